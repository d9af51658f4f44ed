"""Rows that are there several times, and rows with weights: one and the same thing.

A row of weight 3 and three equal rows have to give the same model. So rows that are equal in every
column and in the target are split as one row with their weights' sum, whose copies are then never
on both sides, and the order of the rows that people gave plays no part. Where copies are few they
are trained on as they are: a table without weights is learned from its own rows.

Where rows repeat by nature that would be wrong: of survivors by class, sex and age group there are
two dozen different rows, and every new one is equal to one of them. Such tables of counts are laid
out, each row as often as it was counted. They are known by their different rows: the same features
have different targets, or nearly all rows are there that could be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import tee
from struct import Struct
from typing import Any, Final

import numpy as np

from chainrule.data.factored import by_value
from chainrule.data.frames import Column
from chainrule.data.notation import number_notation
from chainrule.shapes import Array

RECURRING = 0.05  # share of different rows whose features another has: they repeat by nature
FULLNESS = 4  # or the columns could make so many times as many different rows, at most,
MOST_VALUES = 100  # and each has at most so many values
MOST_LAID_OUT = 10_000_000
MOST_COPIES = 2.0  # of a row, on average, where rows are trained on as often as they weigh
HEAVIEST = 4.0  # in mean weights: what a row may weigh in a batch
NUMBERS_BEGIN: Final = (*"-0123456789", "inf", "nan")
_FLOAT, _BITS = Struct("=d"), Struct("=Q")
ABSENT: Final = ~np.uint64(0)
_ODD: Final = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)  # of splitmix64


def different_rows(columns: Sequence[Column], weights: Array | None) -> tuple[Any, Array | None]:
    """Which rows to learn from, in which order, and what each weighs.

    Parameters
    ----------
    columns : sequence of Column
        The features, and last the target.
    weights : (n,) float64 above 0, optional

    Returns
    -------
    rows : (m,) int64 or slice
        The first of each kind of rows, in an order that their content says; of a table of counts
        each as often as it counts. The slice of all, if no two are equal and each weighs 1.
    weights : (m,) float64 or None
        None where all weigh the same.

    Examples
    --------
    >>> from chainrule.data.frames import as_column
    >>> columns = [as_column([1.5, 2.5, 1.5], "x"), as_column([0.5, 7.5, 0.5], "y")]
    >>> rows, weights = different_rows(columns, np.array([1.0, 0.5, 1.0]))
    >>> sorted(zip(rows.tolist(), weights.tolist()))
    [(0, 2.0), (1, 0.5)]
    >>> sorted(different_rows(columns, np.array([1.0, 2.0, 1.0]))[0].tolist())
    [0, 0, 1, 1]
    """
    weighed = weights is not None and (weights != 1).any()
    order, begins = _sorted(columns, by_all=weighed)
    if begins.all() and not weighed:
        return slice(None), weights
    mine = np.ones(len(order)) if weights is None else weights[order]
    totals = np.add.reduceat(mine, np.flatnonzero(begins))
    rows = order[begins]
    if _is_of_counts([column.rows(rows) for column in columns], totals):
        return np.repeat(rows, totals.astype(np.int64)), None
    return rows, None if (totals == totals[0]).all() else totals


def kinds_of(columns: Iterable[Column]) -> tuple[Array, Array]:
    """Rows that are to be on one side of a split, because they are equal.

    Parameters
    ----------
    columns : iterable of Column
        The features, and last the target. It may end early, where some tell all rows apart.

    Returns
    -------
    firsts : (m,) int64
        The first row of each kind; of a table of counts all rows.
    kinds : (n,) int64
        The place in ``firsts`` of the one that each row is equal to.

    Examples
    --------
    >>> from chainrule.data.frames import as_column
    >>> x, y = np.array([[1.5, 2.5, 1.5, 3.5, 4.5, 5.5], [0.5, 7.5, 0.5, 0.1, 0.2, 0.3]])
    >>> kinds_of([as_column(x, "x"), as_column(y, "y")])
    (array([0, 1, 3, 4, 5]), array([0, 1, 0, 2, 3, 4]))
    """
    ahead, columns = tee(columns)
    order, begins = _sorted(ahead)
    firsts = order[begins]
    counts = np.diff(np.append(np.flatnonzero(begins), len(order)))
    if begins.all() or _is_of_counts([column.rows(firsts) for column in columns], counts):
        return np.arange(len(order)), np.arange(len(order))
    found = np.empty_like(order)
    found[order] = np.repeat(firsts, counts)
    return np.unique(found, return_inverse=True)


def are_of_counts(columns: Sequence[Column]) -> bool:
    """Whether rows repeat by nature, as far as some rows that were drawn can tell.

    They also do where a row has another that is equal, on average: if copies were kept together the
    share that is held out would be left to chance, as one row may be a fifth of a table.

    Parameters
    ----------
    columns : sequence of Column
        The features, and last the target.

    Examples
    --------
    >>> from chainrule.data.frames import as_column
    >>> sizes, prices = as_column(np.arange(60) % 40, "x"), as_column(np.arange(60) % 40 / 7, "y")
    >>> are_of_counts([sizes, prices]), are_of_counts([sizes.rows([0] * 9), prices.rows([0] * 9)])
    (False, True)
    """
    order, begins = _sorted(columns)
    counts = np.diff(np.append(np.flatnonzero(begins), len(order)))
    if (counts * (counts - 1)).sum() > len(order):
        return True
    firsts = order[begins]
    return not begins.all() and _is_of_counts([each.rows(firsts) for each in columns], counts)


def light_rows(weights: Array) -> tuple[Array, Array | None]:
    """Rows to train on, so that none is heavier than a few mean ones: a batch would hang on it.

    Parameters
    ----------
    weights : (n,) float64

    Returns
    -------
    rows : (m,) int64
        Each row as often as it weighs, if weights are whole and make at most twice as many rows;
        else as often as needed, at most a quarter more than n.
    weights : (m,) float64 or None
        A row's weight, shared by its copies; None where each weighs 1.

    Examples
    --------
    >>> light_rows(np.array([1.0, 3.0, 2.0]))
    (array([0, 1, 1, 1, 2, 2]), None)
    >>> light_rows(np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 5.5]))[1][-2:].tolist()
    [2.75, 2.75]
    """
    return Weighing().with_rows(weights).light(weights)


@dataclass(frozen=True)
class Weighing:
    """What has to be known of all weights to make rows light.

    Attributes
    ----------
    rows : int
    total : float
    whole : bool
        Whether each is a whole number.
    """

    rows: int = 0
    total: float = 0.0
    whole: bool = True

    def with_rows(self, weights: Array) -> Weighing:
        """The same with further rows."""
        return self.together(Weighing(len(weights), float(weights.sum()), not (weights % 1).any()))

    def together(self, other: Weighing) -> Weighing:
        """Of the rows of both."""
        total = self.total + other.total
        return Weighing(self.rows + other.rows, total, self.whole and other.whole)

    @property
    def is_counting(self) -> bool:
        """Whether each row is laid out as often as it weighs."""
        return self.whole and self.total <= MOST_COPIES * self.rows

    def light(self, weights: Array) -> tuple[Array, Array | None]:
        """Which of some rows to train on, and what each weighs, as :func:`light_rows`."""
        rows = np.arange(len(weights))
        if self.is_counting:
            return np.repeat(rows, weights.astype(np.int64)), None
        heaviest = HEAVIEST * self.total / self.rows
        copies = np.ceil(weights / heaviest).astype(np.int64)
        rows = np.repeat(rows, copies)
        return rows, (weights / copies)[rows]


def _sorted(columns: Iterable[Column], *, by_all: bool = False) -> tuple[Array, Array]:
    """An order in which equal rows follow each other, and where in it another row begins.

    No more columns are looked at than it takes to tell all rows apart, of most tables two or three,
    unless the order has to be that of rows some of which are there several times.
    """
    looked: list[Column] = []
    marks: Any = np.uint64(0)
    tied: Any = slice(None)
    for column in map(_as_parsed, columns):
        looked.append(column)
        marks = mixed(marks, by_value(marks_of, column)[0])
        tied = _shared(marks, tied)
        if not len(tied) and not by_all:
            break
    order = np.argsort(marks, kind="stable")
    begins = np.append(True, np.diff(marks[order]) != 0)
    second = np.flatnonzero(~begins)
    mine, other = order[second], order[second - 1]
    equal = [_are_equal(column, mine, other) for column in looked]
    begins[second] = ~np.logical_and.reduce(equal)  # marks may meet by chance
    return order, begins


def _shared(marks: Array, tied: Any) -> Array:
    """Of some rows those whose mark another of them has too."""
    rows = np.arange(len(marks))[tied]
    _, kinds, counts = np.unique(marks[rows], return_inverse=True, return_counts=True)
    found: Array = rows[counts[kinds] > 1]
    return found


def _as_parsed(column: Column) -> Column:
    """A column whose texts are all numbers as these: "1" and "1.0" are equal, "007" is a name."""
    if not column.is_text:
        return column
    notation = number_notation([*dict.fromkeys(column.values[~column.missing].tolist())])
    if notation is None:
        return column
    values = np.where(column.missing, 0.0, notation.numbers(column.values))
    return Column(column.name, values, column.missing)


def mixed(marks: Array, more: Array) -> Array:
    """One mark of two, by the steps of splitmix64 (Steele, Lea and Flood 2014)."""
    for odd, shift in zip(_ODD, (30, 27), strict=True):
        marks = (marks ^ (marks >> np.uint64(shift))) * odd
    mixed: Array = marks ^ more
    return mixed


def marks_of(column: Column) -> tuple[Array]:
    """(n,) uint64: equal for equal values, and mostly different for others; 1.5 is "1.5"."""
    if column.is_text:
        texts = column.values.tolist()
        known = {text: _mark(text) for text in dict.fromkeys(texts)}
        values = np.fromiter(map(known.__getitem__, texts), np.uint64, len(texts))
    elif column.values.dtype.kind == "f":
        values = (column.values + 0.0).view(np.uint64)  # -0.0 is 0.0
    else:
        values = column.values.astype(np.int64).view(np.uint64)
    return (np.where(column.missing, ABSENT, values),)


def _mark(text: str) -> int:
    """The bits of the number that is written so, or else of a digest."""
    if text.startswith(NUMBERS_BEGIN):  # most words need no attempt
        with suppress(ValueError):
            number = float(text)
            if repr(number).removesuffix(".0") == text.removesuffix(".0"):
                return bits_of(number)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def bits_of(number: float) -> int:
    """Its 64 bits: equal for equal numbers.

    >>> bits_of(-0.0), bits_of(1.0) == bits_of(1)
    (0, True)
    """
    return int(_BITS.unpack(_FLOAT.pack(number + 0.0))[0])


def _are_equal(column: Column, mine: Array, other: Array) -> Array:
    first, second = column.rows(mine), column.rows(other)
    same = (first.missing == second.missing) & (first.missing | (first.values == second.values))
    return np.asarray(same, bool)


def _is_of_counts(columns: Sequence[Column], counts: Array) -> bool:
    """Whether whole numbers count different rows, the last column being the target, by nature."""
    if (counts % 1).any() or counts.sum() > MOST_LAID_OUT:
        return False
    *features, _ = columns
    recurring = int((~_sorted(features)[1]).sum()) if features else 0
    return recurring >= RECURRING * len(counts) or _is_full(columns, len(counts))


def _is_full(columns: Sequence[Column], rows: int) -> bool:
    """Whether so many different rows are most that the values of the columns could make."""
    possible = 1
    for column in columns:
        values = len(column.distinct()) + bool(column.missing.any())
        possible *= values
        if values > MOST_VALUES or possible > FULLNESS * rows:
            return False
    return True
