"""Convex or not: certificates and counter-examples, for functions and for sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.explain.critical_points import hessian_spectrum
from chainrule.explain.svg import format_number
from chainrule.expressions import compile as compiled
from chainrule.expressions import hessian

Floats = npt.NDArray[np.float64]
ROUNDING = 1e-9  # by which the middle has to lie above the chord, relative to the values
HESSIANS = 16  # points at which they are compared


@dataclass(frozen=True)
class Convexity:
    """What was found out about a function or a set.

    Attributes
    ----------
    convex : bool or None
        None where neither a certificate nor a counter-example was found.
    because : str
        One sentence.
    witness : tuple of (n,) arrays, or None
        Two points and the one in the middle that breaks convexity.
    """

    convex: bool | None
    because: str
    witness: tuple[Floats, Floats, Floats] | None = None


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
    worst, excess = None, 0.0
    for a, b in zip(starts, ends, strict=True):
        values = [float(evaluate(point)) for point in (a, b, (a + b) / 2)]
        above = values[2] - (values[0] + values[1]) / 2
        if above > max(excess, ROUNDING * max(1.0, *map(abs, values))):
            worst, excess = (a, b, (a + b) / 2), above
    if worst is not None:
        above_chord = f"the middle of a segment lies {format_number(excess)} above its chord"
        return Convexity(False, above_chord, worst)
    return _by_hessian(fn, starts[:HESSIANS], samples)


def _by_hessian(fn: Callable[[Any], Any], points: Floats, tried: int) -> Convexity:
    found = [np.asarray(hessian(fn)(point)) for point in points]
    least = min(float(hessian_spectrum(fn, point)[0]) for point in points)
    size = max(float(np.abs(each).max()) for each in found)
    same = all(np.allclose(each, found[0], rtol=ROUNDING, atol=ROUNDING * size) for each in found)
    if same and least >= -ROUNDING * size:
        least = 0.0 if abs(least) <= ROUNDING * size else least
        constant = "the Hessian is the same everywhere, with least eigenvalue"
        return Convexity(True, f"{constant} {format_number(least)}")
    return Convexity(
        None,
        f"no counter-example among {tried} segments; the least eigenvalue of the Hessian at"
        f" {len(points)} points is {format_number(least)}",
    )


def _drawn(low: npt.ArrayLike, high: npt.ArrayLike, samples: int, seed: int) -> Floats:
    """Points of a box: (samples, n)."""
    bottom, top = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return bottom + (top - bottom) * np.random.default_rng(seed).random((samples, bottom.size))


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

    Examples
    --------
    >>> ring = lambda p: abs(np.hypot(*p.T) - 1) <= 0.2
    >>> convex_set(ring, [-2, -2], [2, 2]).convex
    False
    """
    drawn = _drawn(low, high, samples, seed)
    members = drawn[contains(drawn)]
    half = len(members) // 2
    starts, ends = members[:half], members[half : 2 * half]
    middles = (starts + ends) / 2
    outside = np.flatnonzero(~contains(middles))
    if outside.size:
        first = outside[0]
        return Convexity(
            False,
            f"{outside.size} of {half} middles of segments between members lie outside",
            (starts[first], ends[first], middles[first]),
        )
    return Convexity(None, f"no counter-example among {half} segments between members")
