"""What losses take as targets: shapes and values checked before anything is trained on them."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from chainrule.errors import DataError, ShapeError
from chainrule.records import dataclass
from chainrule.shapes import INT64, Array, Dtype, as_array

SUM_TOLERANCE = 1e-4  # rows of float32 probabilities, summed, are this close to 1


@dataclass(frozen=True)
class Domain:
    """The values that targets may have.

    >>> print(Domain(0.0), "|", Domain(0.0, above=True), "|", Domain(0.0, 1.0))
    >= 0 | > 0 | in [0, 1]
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # whether ``low`` itself is outside

    def outside(self, y: Array) -> Array:
        """Where ``y`` is not of the domain, or not finite."""
        inside = (y > self.low if self.above else y >= self.low) & (y <= self.high)
        return ~(inside & np.isfinite(y))

    def __str__(self) -> str:
        if self.high < math.inf:
            return f"in [{self.low:g}, {self.high:g}]"
        return f"{'>' if self.above else '>='} {self.low:g}" if self.low > -math.inf else "finite"


REALS: Final = Domain()
NONNEGATIVE: Final = Domain(0.0)
POSITIVES: Final = Domain(0.0, above=True)
PROBABILITIES: Final = Domain(0.0, 1.0)


def columns(y: Any, width: int, loss: str) -> Array:
    """``y`` as (n, width); ``(n,)`` fits a width of 1, and nothing else is reshaped.

    Raises
    ------
    ShapeError
        If ``y`` has another shape.
    """
    array = as_array(y)
    if array.ndim == 1 and width == 1:
        return array[:, None]
    if array.ndim != 2 or array.shape[1] != width:
        shapes = f"(n, {width})" + (" or (n,)" if width == 1 else "")
        raise ShapeError(f"{loss} needs targets of shape {shapes}, got {array.shape}")
    return array


def check_values(y: Array, domain: Domain, loss: str) -> Array:
    """``y``, all of whose values must lie in ``domain``.

    Raises
    ------
    DataError
        Naming the first place that does not.
    """
    outside = np.argwhere(domain.outside(y))
    if len(outside):
        place = tuple(int(index) for index in outside[0])
        shown = ", ".join(map(str, place if y.shape[-1:] != (1,) else place[:1]))
        raise DataError(f"{loss} needs targets {domain}, but y[{shown}] is {y[place]}")
    return y


def as_floats(y: Array, dtype: Dtype, loss: str) -> Array:
    """``y`` in the network's element type, which must be able to hold it.

    Raises
    ------
    DataError
        Naming the first place that is not finite, or more than the type holds.
    """
    check_values(y, REALS, loss)
    with np.errstate(over="ignore"):
        found = y.astype(dtype)
    beyond = np.argwhere(~np.isfinite(found))
    if len(beyond):
        place = tuple(int(index) for index in beyond[0])
        where = f"row {place[0]}" + (
            f", column {place[1]}" if y.shape[1:] not in ((), (1,)) else ""
        )
        raise DataError(
            f"the target has {y[place]} in {where}, more than {dtype.name} holds; scale it, or make"
            ' the network with dtype="float64"'
        )
    return found


def class_labels(y: Array, n_out: int, loss: str) -> Array:
    """(n,) integers from 0 to ``n_out - 1``; whole numbers in floats count as integers.

    Raises
    ------
    DataError
        If one is no integer, or no class.
    """
    check_values(y, Domain(0.0, n_out - 1.0), f"{loss} of {n_out} classes")
    fractions = np.flatnonzero(y != np.floor(y))
    if len(fractions):
        place = int(fractions[0])
        raise DataError(f"{loss} needs whole numbers as labels, but y[{place}] is {y[place]}")
    return y.astype(INT64)


def class_probabilities(y: Array, n_out: int, loss: str) -> Array:
    """(n, n_out) rows of probabilities, such as one-hot rows.

    Raises
    ------
    ShapeError
        If there are not ``n_out`` columns.
    DataError
        If a value is no probability, or a row does not sum to 1.
    """
    if y.ndim != 2 or y.shape[1] != n_out:
        raise ShapeError(
            f"{loss} of {n_out} outputs needs labels of shape (n,) or rows of shape (n, {n_out}),"
            f" got {y.shape}"
        )
    check_values(y, PROBABILITIES, loss)
    totals = y.sum(axis=1)
    wrong = np.flatnonzero(np.abs(totals - 1) > SUM_TOLERANCE)
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{loss} needs rows that sum to 1, but y[{row}] sums to {totals[row]}")
    return y


def plus_minus_one(y: Array, loss: str) -> Array:
    """-1 and 1 from two classes, given as -1 and 1 or as 0 and 1.

    Raises
    ------
    DataError
        If other values occur.
    """
    check_values(y, REALS, loss)
    negative = -1 if np.any(y == -1) else 0
    wrong = np.argwhere((y != 1) & (y != negative))
    if len(wrong):
        place = tuple(int(index) for index in wrong[0])
        raise DataError(
            f"{loss} needs targets -1 and 1, or 0 and 1, but y[{place[0]}] is {y[place]}"
        )
    return np.where(y == 1, 1, -1)
