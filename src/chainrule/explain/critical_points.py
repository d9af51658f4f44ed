"""Where a function is level: the second partial derivative test, and what the Hessian says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ShapeError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Intervals, Panel, Points, Rule
from chainrule.explain.subjects import require_finite
from chainrule.explain.svg import format_number
from chainrule.expressions import grad, hessian

LEVEL = 1e-9  # gradients and eigenvalues no larger are taken for 0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CriticalPoint:
    """A function at one point.

    Attributes
    ----------
    point, gradient, eigenvalues : (n,) float64
        Eigenvalues of the Hessian in ascending order.
    tolerance : float
        What is taken for 0.
    """

    point: Floats
    gradient: Floats
    eigenvalues: Floats
    tolerance: float

    @property
    def verdict(self) -> str:
        """``"not critical"``, ``"minimum"``, ``"maximum"``, ``"saddle"`` or ``"inconclusive"``."""
        least, most = self.eigenvalues[[0, -1]]
        if np.abs(self.gradient).max() > self.tolerance:
            return "not critical"
        if least < -self.tolerance and most > self.tolerance:
            return "saddle"
        if min(abs(least), abs(most)) <= self.tolerance:
            return "inconclusive"
        return "minimum" if least > 0 else "maximum"

    def figure(self) -> Chart:
        """The spectrum of the Hessian, under the verdict."""
        size = format_number(float(np.linalg.norm(self.gradient)))
        place = np.arange(1, len(self.eigenvalues) + 1)
        panel = Panel(
            Rule(y=0.0),
            Intervals(place, np.zeros(len(place)), self.eigenvalues, ink="class0"),
            Points(place, self.eigenvalues, ink="class0", marker="circle"),
            x="eigenvalues of the Hessian, in ascending order",
            y="curvature",
        )
        return Chart(panel, title=f"{self.verdict}; the gradient has norm {size}".capitalize())


def second_derivative_test(
    fn: Callable[[Any], Any], point: npt.ArrayLike, *, tolerance: float = LEVEL
) -> CriticalPoint:
    """What kind of critical point a point is, by the eigenvalues of the Hessian.

    Parameters
    ----------
    fn : function of an (n,) node to a scalar node
    point : (n,) float
    tolerance : float
        Gradients and eigenvalues no larger are taken for 0.

    Raises
    ------
    ShapeError
        If the point is no vector.
    DataError
        If the point or the gradient there is not finite.

    Examples
    --------
    >>> saddle = second_derivative_test(lambda p: p[0] ** 2 - p[1] ** 2, [0.0, 0.0])
    >>> saddle.verdict, saddle.eigenvalues
    ('saddle', array([-2.,  2.]))
    >>> second_derivative_test(lambda p: p[0] ** 4 + p[1] ** 2, [0.0, 0.0]).verdict
    'inconclusive'
    """
    at = np.asarray(point, dtype=np.float64)
    if at.ndim != 1 or not at.size:
        raise ShapeError(f"a point is a vector, not of shape {at.shape}")
    slope = np.asarray(grad(fn)(at))
    require_finite([*at, *slope], "the point and the gradient there", "choose another point")
    return CriticalPoint(at, slope, hessian_spectrum(fn, at), tolerance)


def hessian_spectrum(fn: Callable[[Any], Any], point: npt.ArrayLike) -> Floats:
    """The eigenvalues of the Hessian of ``fn`` at an (n,) point, in ascending order.

    Examples
    --------
    >>> import chainrule as cr
    >>> hessian_spectrum(lambda p: cr.sum(p * p) + p[0] * p[1], [1.0, 2.0])
    array([1., 3.])
    """
    spectrum: Floats = np.linalg.eigvalsh(hessian(fn)(np.asarray(point, dtype=np.float64)))
    return spectrum


def rises_and_falls(
    fn: Callable[[Any], Any], point: npt.ArrayLike, *, radius: float = 0.1, samples: int = 360
) -> tuple[int, int]:
    """How many arcs of a circle around a point in the plane lie higher, and how many lower.

    A minimum has one rise and no fall, a saddle two and two.

    Parameters
    ----------
    fn : function of a (2,) array to a number
    point : (2,) float
    radius : float
    samples : int
        Along the circle.

    Examples
    --------
    >>> rises_and_falls(lambda p: p[0] ** 2 - p[1] ** 2, [0.0, 0.0])
    (2, 2)
    """
    centre = np.asarray(point, dtype=np.float64)
    turns = 2 * np.pi * (np.arange(samples) + 0.5) / samples
    circle = centre + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    level = float(fn(centre))
    higher = [float(fn(each)) > level for each in circle]
    start = next((k for k in range(samples) if higher[k] != higher[k - 1]), 0)
    arcs = [kind for kind, _ in groupby(higher[start:] + higher[:start])]
    return arcs.count(True), arcs.count(False)
