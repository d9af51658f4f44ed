"""Means and deviations of all rows, the same in whatever blocks and processes the rows come."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import sqrt
from typing import Any, Final

import numpy as np

from chainrule.shapes import INT64, Array

_DIGITS: Final = 53  # bits of a float64
_FINEST: Final = 1126  # every float64 is 53 bits times a power of 2 that is at least 2**-1126
_LIMB: Final = 18  # bits that are added at a time: of 2**35 rows a float64 holds the sum
UNIT: Final = 1 << _FINEST  # of which sums are told in parts


def exact_sum(values: Array, times: Array | None = None) -> int:
    """The sum of finite numbers, without rounding, in parts of ``UNIT``.

    Numbers of one exponent are added as integers, a few bits at a time.

    Parameters
    ----------
    values : (n,) float64
    times : (n,) int64, optional
        How often each counts; no more than 2**35 together.

    References
    ----------
    U. W. Kulisch and W. L. Miranker 1981, Computer Arithmetic in Theory and Practice: the long
    accumulator.

    Examples
    --------
    >>> exact_sum(np.array([1e100, 0.5, -1e100, 0.25]), np.array([1, 3, 1, 1])) / UNIT
    1.75
    """
    fractions, exponents = np.frexp(values)
    digits = np.ldexp(fractions, _DIGITS).astype(INT64)
    places = exponents + (_FINEST - _DIGITS)
    total = 0
    for low in range(0, _DIGITS, _LIMB):
        last = low + _LIMB > _DIGITS  # has the sign
        limb = digits >> low if last else (digits >> low) & ((1 << _LIMB) - 1)
        sums = np.bincount(places, limb if times is None else limb * times)
        total += sum(int(sums[place]) << int(place) + low for place in np.flatnonzero(sums))
    return total


class Totals:
    """Exact sums of columns, shifted to near their means, and of the squares.

    A shift by a number near the mean leaves little to cancel in the variance (Chan, Golub and
    LeVeque 1983, Algorithms for computing the sample variance); as nothing is rounded but each
    row's own difference and square, neither the order of rows nor the blocks they come in matter.

    Parameters
    ----------
    near : (d,) float64
        About the mean of each column.

    Examples
    --------
    >>> totals = Totals(np.array([1e9]))
    >>> totals.add(2, [(np.array([1e9, 1e9 + 2]), None)])
    >>> totals.add(2, [(np.array([1e9 + 4]), np.array([2]))])
    >>> totals.means.tolist(), totals.deviations.round(6).tolist()
    ([1000000002.5], [1.658312])
    """

    def __init__(self, near: Array) -> None:
        self._near: list[float] = near.tolist()
        self._rows = 0
        self._sums, self._squares = [0] * len(near), [0] * len(near)

    def add(self, rows: int, columns: Sequence[tuple[Array, Array | None]]) -> None:
        """Count further rows: of each column its values, and how often each of them occurs."""
        self._rows += rows
        for place, (values, times) in enumerate(columns):
            shifted = values - self._near[place]
            self._sums[place] += exact_sum(shifted, times)
            self._squares[place] += exact_sum(shifted * shifted, times)

    def packed(self) -> list[Any]:
        """What was counted, as JSON can say it."""
        return [self._rows, self._sums, self._squares]

    def replaced(self, parts: Sequence[Sequence[Any]]) -> None:
        """Have what all processes have counted."""
        rows, sums, squares = zip(*parts, strict=True)
        self._rows = sum(rows)
        self._sums, self._squares = (
            [sum(each) for each in zip(*one, strict=True)] for one in (sums, squares)
        )

    @property
    def means(self) -> Array:
        """Of each column, (d,) float64."""
        shifts = [self._mean(each) for each in self._sums]
        return np.array(
            [float(Fraction(x) + shift) for x, shift in zip(self._near, shifts, strict=True)]
        )

    @property
    def deviations(self) -> Array:
        """Standard deviations (divided by n), (d,) float64."""
        pairs = zip(self._sums, self._squares, strict=True)
        variances = [self._mean(square) - self._mean(total) ** 2 for total, square in pairs]
        return np.array([sqrt(max(variance, Fraction())) for variance in variances])

    def _mean(self, total: int) -> Fraction:
        return Fraction(total, max(self._rows, 1) * UNIT)
