"""Convex or not: certificates and counter-examples, for functions and for sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError
from chainrule.explain.chart import Chart
from chainrule.explain.critical_points import hessian_spectrum
from chainrule.explain.marks import Line, Panel, Points
from chainrule.explain.subjects import require_finite
from chainrule.explain.svg import format_number
from chainrule.expressions import compile as compiled
from chainrule.expressions import hessian

Floats = npt.NDArray[np.float64]
ROUNDING = 1e-9  # by which the middle has to lie above the chord, relative to the values
HESSIANS = 16  # points at which they are compared
ALONG = np.linspace(0.0, 1.0, 101)  # of a segment, from one end to the other
VERDICTS = {True: "Convex", False: "Not convex", None: "Neither shown nor refuted"}


@dataclass(frozen=True)
class Convexity:
    """What was found out about a function or a set.

    Attributes
    ----------
    convex : bool or None
        None where neither a certificate nor a counter-example was found.
    because : str
        One sentence.
    along : (101,) float64
        The function at even steps along one segment, that of the witness if there is one; of a
        set 1 where it is inside, 0 where it is not.
    witness : tuple of (n,) arrays, or None
        Two points and the one in the middle that breaks convexity.
    """

    convex: bool | None
    because: str
    along: Floats
    witness: tuple[Floats, Floats, Floats] | None = None

    def figure(self) -> Chart:
        """One segment: the function along it, its chord, and the middle, which decides."""
        ends, middle = [0, -1], [len(ALONG) // 2]
        marks = (
            Line(ALONG, self.along, label="along the segment"),
            Line(ALONG[ends], self.along[ends], label="chord"),
            Points(ALONG[middle], self.along[middle], ink="ink", marker="circle"),
        )
        panel = Panel(*marks, x="from one end of a segment to the other")
        return Chart(panel, title=f"{VERDICTS[self.convex]}: {self.because}")


def convexity(
    fn: Callable[[Any], Any],
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    *,
    samples: int = 2000,
    seed: int = 0,
) -> Convexity:
    """Whether a smooth function is convex on a box: by its Hessian, or by a segment that is not.

    A Hessian that is the same everywhere and has no negative eigenvalue is a certificate; two
    points whose chord lies below the function in the middle are a counter-example.

    Parameters
    ----------
    fn : function of an (n,) node to a scalar node
    low, high : (n,) float
        Corners of the box.
    samples : int
        Segments that are tried.
    seed : int

    Raises
    ------
    DataError
        If the function is not finite everywhere in the box.

    Examples
    --------
    >>> import chainrule as cr
    >>> convexity(lambda w: (w[0] - 2 * w[1]) ** 2, [-1, -1], [1, 1]).because
    'the Hessian is the same everywhere, with least eigenvalue 0'
    >>> convexity(lambda w: (cr.tanh(w[0]) - 1) ** 2, [-6.0], [3.0]).convex
    False
    """
    starts, ends = _drawn(low, high, 2 * samples, seed).reshape(2, samples, -1)
    evaluate = compiled(fn)

    def along(a: Floats, b: Floats) -> Floats:
        return np.array([float(evaluate(point)) for point in _between(a, b)])

    worst, excess = None, 0.0
    for a, b in zip(starts, ends, strict=True):
        values = [float(evaluate(point)) for point in (a, b, (a + b) / 2)]
        require_finite(values, "values of the function in the box", "choose a smaller box")
        above = values[2] - (values[0] + values[1]) / 2
        if above > max(excess, ROUNDING * max(1.0, *map(abs, values))):
            worst, excess = (a, b, (a + b) / 2), above
    if worst is not None:
        above_chord = f"the middle of a segment lies {format_number(excess)} above its chord"
        return Convexity(False, above_chord, along(*worst[:2]), worst)
    return _by_hessian(fn, starts[:HESSIANS], samples, along(starts[0], ends[0]))


def _by_hessian(fn: Callable[[Any], Any], points: Floats, tried: int, along: Floats) -> Convexity:
    found = [np.asarray(hessian(fn)(point)) for point in points]
    least = min(float(hessian_spectrum(fn, point)[0]) for point in points)
    size = max(float(np.abs(each).max()) for each in found)
    same = all(np.allclose(each, found[0], rtol=ROUNDING, atol=ROUNDING * size) for each in found)
    if same and least >= -ROUNDING * size:
        least = 0.0 if abs(least) <= ROUNDING * size else least
        constant = "the Hessian is the same everywhere, with least eigenvalue"
        return Convexity(True, f"{constant} {format_number(least)}", along)
    return Convexity(
        None,
        f"no counter-example among {tried} segments; the least eigenvalue of the Hessian at"
        f" {len(points)} points is {format_number(least)}",
        along,
    )


def _drawn(low: npt.ArrayLike, high: npt.ArrayLike, samples: int, seed: int) -> Floats:
    """Points of a box: (samples, n)."""
    bottom, top = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return bottom + (top - bottom) * np.random.default_rng(seed).random((samples, bottom.size))


def _between(start: Floats, end: Floats) -> Floats:
    """Points from one to the other: (101, n)."""
    return start + ALONG[:, None] * (end - start)


def convex_set(
    contains: Callable[[Floats], npt.NDArray[np.bool_]],
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    *,
    samples: int = 4000,
    seed: int = 0,
) -> Convexity:
    """Whether the middles of segments between members of a set are members.

    Parameters
    ----------
    contains : function of (m, n) points to (m,) bool
    low, high : (n,) float
        Corners of the box that is searched.
    samples : int
        Points that are drawn; members among them are paired.
    seed : int

    Raises
    ------
    DataError
        If fewer than two of the points are members.

    Examples
    --------
    >>> ring = lambda p: abs(np.hypot(*p.T) - 1) <= 0.2
    >>> convex_set(ring, [-2, -2], [2, 2]).convex
    False
    """
    drawn = _drawn(low, high, samples, seed)
    members = drawn[contains(drawn)]
    half = len(members) // 2
    if not half:
        raise DataError(
            f"convex_set: of {samples} points of the box {len(members)} lie in the set, and a"
            " segment needs two; choose a smaller box around it, or more samples"
        )
    starts, ends = members[:half], members[half : 2 * half]
    middles = (starts + ends) / 2
    outside = np.flatnonzero(~contains(middles))
    first = outside[0] if outside.size else 0
    along = contains(_between(starts[first], ends[first])).astype(np.float64)
    if outside.size:
        return Convexity(
            False,
            f"{outside.size} of {half} middles of segments between members lie outside",
            along,
            (starts[first], ends[first], middles[first]),
        )
    unbroken = f"no counter-example among {half} segments between members"
    return Convexity(None, unbroken, along)
