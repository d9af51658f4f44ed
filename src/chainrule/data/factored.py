"""Columns whose values repeat: the different values once, and which of them each row has.

What is said of a cell depends on its text alone, so it is enough to look at each text once. That
makes reading large tables several times as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.data import cells
from chainrule.data.frames import Column, Frame
from chainrule.shapes import Array


class Factored(Column):
    """A column of which ``codes`` says, for each row, the place of its value in ``table``.

    Parameters
    ----------
    table : Column
        The values; not all need to occur, and some may be there twice.
    codes : (n,) integers

    Examples
    --------
    >>> words = Column("kind", cells.texts(["a", "?"]), np.array([False, True]))
    >>> column = Factored(words, np.array([0, 1, 0]))
    >>> column.values.tolist(), column.missing.tolist(), column.distinct().tolist()
    (['a', '?', 'a'], [False, True, False], ['a'])
    """

    table: Column
    codes: Array

    def __init__(self, table: Column, codes: Array) -> None:
        for name, value in (("name", table.name), ("table", table), ("codes", codes)):
            object.__setattr__(self, name, value)  # a column is frozen

    @cached_property
    def values(self) -> Array:
        """The value of each row."""
        return self.table.values[self.codes]

    @cached_property
    def missing(self) -> Array:
        """Where there is no value."""
        return self.table.missing[self.codes]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        return self.table.is_text

    def used(self) -> tuple[Column, Array]:
        """The values that occur, and how often each does."""
        counts = np.bincount(self.codes, minlength=len(self.table))
        return self.table.rows(counts > 0), counts[counts > 0]

    def distinct(self) -> Array:
        """The different values that are there, in sorted order."""
        return self.used()[0].distinct()

    def as_texts(self) -> cells.Texts:
        """Every value as text."""
        return self.table.as_texts()[self.codes]

    def rows(self, chosen: Any) -> Factored:
        """Some of the rows: a mask, indices or a slice."""
        return Factored(self.table, self.codes[chosen])

    def compact(self) -> Factored:
        """The same with each value that occurs once in its table."""
        kept = np.bincount(self.codes, minlength=len(self.table)) > 0
        used, known = self.table.rows(kept), dict[str | None, int]()
        texts = np.where(used.missing, "", used.as_texts()).tolist()  # all missing ones are one
        inverse = np.array([known.setdefault(text, len(known)) for text in texts], np.int32)
        places = np.zeros(len(self.table), np.int32)
        places[kept] = inverse
        _, first = np.unique(inverse, return_index=True)
        return Factored(used.rows(first), places[self.codes])


def by_value(look: Callable[[Column], tuple[Array, ...]], column: Column) -> tuple[Array, ...]:
    """What ``look`` says of each row, where it says the same of rows with the same value.

    >>> words = Column("kind", cells.texts(["a", "bc"]), np.zeros(2, bool))
    >>> def length(column):
    ...     return (np.strings.str_len(column.values),)
    >>> by_value(length, Factored(words, np.array([0, 1, 0])))[0].tolist()
    [1, 2, 1]
    """
    if isinstance(column, Factored):
        return tuple([each[column.codes] for each in look(column.table)])
    return look(column)


def smaller(frame: Frame) -> Frame:
    """The same with codes of the smallest type that holds them."""
    columns = tuple(map(_smaller, frame.columns))
    return replace(frame, columns=columns)


def _smaller(column: Column) -> Column:
    if not isinstance(column, Factored):
        return column
    kind = np.min_scalar_type(max(len(column.table) - 1, 0))
    return Factored(column.table, column.codes.astype(kind))


def column_bytes(column: Column) -> int:
    """About how much memory a column takes."""
    if isinstance(column, Factored):
        return int(column.codes.nbytes) + column_bytes(column.table)
    text = int(np.strings.str_len(column.values).sum()) if column.is_text else 0
    return int(column.values.nbytes + column.missing.nbytes) + text


def joined(parts: Sequence[Frame]) -> Frame:
    """The rows of frames with the same columns, one behind the other."""
    first = parts[0]
    columns = [_joined([part[name] for part in parts]) for name in first.names]
    lines, numbers = (_whole([getattr(p, which) for p in parts]) for which in ("lines", "numbers"))
    return replace(first, columns=tuple(columns), lines=lines, numbers=numbers)


def _whole(parts: Sequence[Array | None]) -> Array | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _joined(parts: Sequence[Column]) -> Column:
    parts = _of_one_type([part for part in parts if len(part)] or parts[:1])
    if not all(isinstance(part, Factored) for part in parts):
        return _end_to_end(parts)
    factored = [part for part in parts if isinstance(part, Factored)]
    starts = np.cumsum([0, *[len(part.table) for part in factored]])
    pairs = zip(factored, starts, strict=False)
    codes = [part.codes.astype(np.int32) + np.int32(start) for part, start in pairs]
    table = _end_to_end([part.table for part in factored])
    return Factored(table, np.concatenate(codes)).compact()


def _end_to_end(parts: Sequence[Column]) -> Column:
    values = np.concatenate([part.values for part in parts])
    return Column(parts[0].name, values, np.concatenate([part.missing for part in parts]))


def _of_one_type(parts: Sequence[Column]) -> Sequence[Column]:
    """Columns of the type that most of them have; values of another are text, or missing."""
    tables = [part.table if isinstance(part, Factored) else part for part in parts]
    types = {table.values.dtype for table in tables if not table.missing.all()}
    if len(types) <= 1:
        wanted = next(iter(types), tables[0].values.dtype)
        same = [table.values.dtype == wanted for table in tables]
        return [p if fits else _nothing(p, wanted) for p, fits in zip(parts, same, strict=True)]
    return [Column(part.name, part.as_texts(), part.missing) for part in parts]


def _nothing(part: Column, dtype: Any) -> Column:
    """A column without values, of an element type."""
    return Column(part.name, np.zeros(len(part), np.int8).astype(dtype), part.missing)
