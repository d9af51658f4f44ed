"""What each row of a table draws: by that number it tests, is held out or is trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from typing import Final, TypeAlias
from zlib import crc32

import numpy as np

from chainrule.data.cells import distinct
from chainrule.data.factored import by_value
from chainrule.data.frames import Column, Frame
from chainrule.estimators.table_repeats import ABSENT, NUMBERS_BEGIN, bits_of, mixed
from chainrule.estimators.table_times import Clock
from chainrule.ops import random
from chainrule.shapes import Array

Rule: TypeAlias = Callable[[int, Array, Frame], Array]


def drawn(seed: int, numbers: Array) -> Array:
    """What each row draws, by its number: (n,) float64, uniform in [0, 1).

    >>> drawn(0, np.arange(3)).round(3).tolist() == drawn(0, np.arange(1, 3)).round(3).tolist()
    False
    >>> (drawn(0, np.arange(3))[1:] == drawn(0, np.arange(1, 3))).all().item()
    True
    """
    key = random.fold_in(random.key(seed), random.Stream.HELD_OUT_ROWS)
    low, high = (numbers & 0xFFFFFFFF).astype(np.uint32), (numbers >> 32).astype(np.uint32)
    first, second = random.threefry(key, low, high)
    found: Array = (first * 2.0**21 + (second >> np.uint32(11))) * 2.0**-53
    return found


def by_row(seed: int, numbers: Array, rows: Frame) -> Array:
    """What decides whether each row tests or is held out: (n,) float64, uniform in [0, 1).

    Parameters
    ----------
    seed : int
    numbers : (n,) int64
        Of the rows in their table: they draw.
    rows : Frame
    """
    return drawn(seed, numbers)


def by_content(seed: int, numbers: Array, rows: Frame) -> Array:
    """The same, where equal rows draw the same.

    Examples
    --------
    >>> from chainrule.data.frames import as_frame
    >>> sizes = as_frame({"size": [1.5, 2.5, 1.5], "colour": ["red", "red", "red"]})
    >>> first, second, third = by_content(0, np.arange(3), sizes).tolist()
    >>> first == third, first == second
    (True, False)
    """
    marks = [by_value(partial(_marks, place), each)[0] for place, each in enumerate(rows.columns)]
    return drawn(seed, reduce(np.add, marks))


def by_group(group: str, seed: int, numbers: Array, rows: Frame) -> Array:
    """The same, where the text in a column draws.

    Examples
    --------
    >>> from chainrule.data.frames import as_frame
    >>> shops = as_frame({"shop": ["north", "south", "north"]})
    >>> first, second, third = by_group("shop", 0, np.arange(3), shops).tolist()
    >>> first == third, first == second
    (True, False)
    """
    return drawn(seed, *by_value(_digests, rows[group]))


TESTED, HELD = 0.25, 0.5  # rows that are divided by time draw below these
_LOW: Final = np.array([HELD, TESTED, 0.0, np.nan])
_HIGH: Final = np.array([1.0, HELD, TESTED, np.nan])


@dataclass(frozen=True, eq=False)
class ByTime:
    """The same, where time decides, and the row's number among those of one kind.

    Attributes
    ----------
    clock : Clock
    starts : (3,) uint64
        Where the rows that are held out begin, those that test, and those that are left out.
    """

    clock: Clock
    starts: Array

    def __call__(self, seed: int, numbers: Array, rows: Frame) -> Array:
        kind = np.searchsorted(self.starts, self.clock.keys(rows), side="right")
        low, high = _LOW[kind], _HIGH[kind]
        found: Array = np.minimum(
            low + drawn(seed, numbers) * (high - low), np.nextafter(high, 0.0)
        )
        return found


@dataclass(frozen=True)
class ForFold:
    """Another rule for one fold of a cross-validation: other rows draw low in each.

    Attributes
    ----------
    rule : callable
        As :func:`by_row`.
    fold, folds : int
        From 0.
    """

    rule: Rule
    fold: int
    folds: int

    def __call__(self, seed: int, numbers: Array, rows: Frame) -> Array:
        draws = self.rule(seed, numbers, rows)
        place = np.floor(draws * self.folds)  # the fold that tests a row
        turned = (place - self.fold) % self.folds
        within = np.minimum(draws * self.folds - place, np.nextafter(1.0, 0.0))
        found: Array = (turned + within) / self.folds
        return found


def _marks(place: int, column: Column) -> tuple[Array]:
    """(n,) uint64: equal for equal values of a column, and mostly different for others."""
    if column.is_text:
        values = np.fromiter(map(_mark, column.values.tolist()), np.uint64, len(column))
    elif column.values.dtype.kind == "f":
        values = (column.values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 is 0.0
    else:
        values = column.values.astype(np.int64).view(np.uint64)
    keyed = mixed(np.array([place], np.uint64), np.where(column.missing, ABSENT, values))
    return (mixed(keyed, np.zeros(1, np.uint64)),)


def _mark(text: str) -> int:
    """The bits of the number that is written in any way, or else of a checksum."""
    if text.startswith(NUMBERS_BEGIN):
        with suppress(ValueError):
            return bits_of(float(text))
    return crc32(text.encode())


def _digests(column: Column) -> tuple[Array]:
    """64 bits of each value's text; what is missing is a value of its own."""
    texts = np.where(column.missing, "", column.as_texts())
    values, inverse = distinct(texts)
    whole = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in values.tolist()]
    found = np.frombuffer(b"".join(whole), "<u8").astype(np.uint64)
    return (found[inverse],)
