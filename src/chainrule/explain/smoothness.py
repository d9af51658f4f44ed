"""How smooth a loss is along its gradient: landscape, predictiveness, effective beta-smoothness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ShapeError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Band, Line, Panel
from chainrule.explain.subjects import require_finite
from chainrule.expressions import compile as compiled
from chainrule.expressions import value_and_grad

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Smoothness:
    """What lies ahead of every visited point, in the direction of its gradient.

    Attributes
    ----------
    losses : (points, rates) float64
        The loss after a step of each rate.
    changes : (points, rates) float64
        How far the gradient there is from the gradient at the point.
    beta : (points,) float64
        The greatest change of the gradient over the distance moved.
    """

    losses: Floats
    changes: Floats
    beta: Floats

    def figure(self, title: str = "What lies ahead of each step, along its gradient") -> Chart:
        """The range of the loss, the change of the gradient, and the measured beta."""
        at = np.arange(1, len(self.beta) + 1)
        low, high = self.losses.min(axis=1), self.losses.max(axis=1)
        return Chart(
            Panel(Band(at, low, high), title="range of the loss ahead", x="point", y="loss"),
            Panel(Line(at, self.changes.max(axis=1)), title="change of the gradient", x="point"),
            Panel(Line(at, self.beta), title="effective β-smoothness", x="point"),
            title=title,
        )


def smoothness(
    fn: Callable[[Any], Any], points: npt.ArrayLike, rates: Sequence[float]
) -> Smoothness:
    """Measure along the gradient, at every point, as far as each rate goes.

    Parameters
    ----------
    fn : callable
        From a vector (d,), as array or node, to a scalar: the loss of the parameters.
    points : (points, d) float
        Usually those that a training visits; see :func:`~chainrule.explain.trajectory`.
    rates : sequence of float > 0
        Step sizes; a step of rate r moves by r times the gradient.

    Raises
    ------
    ShapeError
        If the points are no vectors.
    DataError
        If the loss or the gradient of a point is not finite.

    References
    ----------
    S. Santurkar, D. Tsipras, A. Ilyas and A. Madry 2018, How does batch normalization help
    optimization?, figure 4.

    Examples
    --------
    A quadratic bends everywhere alike:

    >>> smoothness(lambda w: 3 * (w @ w) / 2, [[1.0, 2.0]], [0.1, 0.2]).beta
    array([3.])
    """
    visited = np.asarray(points, dtype=np.float64)
    if visited.ndim != 2:
        raise ShapeError(f"points have the shape (points, d), not {visited.shape}")
    run, steps = compiled(value_and_grad(fn)), np.asarray(rates, dtype=np.float64)
    losses, changes, beta = [], [], []
    for point in visited:
        loss, slope = run(point)
        ahead = [run(point - rate * slope) for rate in steps]
        require_finite([loss, *slope], "loss and gradient of a point", "leave it out")
        losses.append([float(loss) for loss, _ in ahead])
        changes.append([float(np.linalg.norm(there - slope)) for _, there in ahead])
        moved = steps * max(float(np.linalg.norm(slope)), np.finfo(float).tiny)
        beta.append(float(np.max(np.array(changes[-1]) / moved)))
    return Smoothness(np.array(losses), np.array(changes), np.array(beta))
