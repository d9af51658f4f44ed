"""Columns that hardly ever vary: a sample of the rows may not show it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from chainrule.data.factored import Factored, by_value, joined
from chainrule.data.frames import Column, Frame
from chainrule.data.gathering import packed_frame, unpacked_frame
from chainrule.engines.processes import gathered
from chainrule.estimators.table_repeats import marks_of
from chainrule.shapes import Array

FEW: Final = 64  # rows, in which most columns vary


class Varying:
    """Which columns vary, as far as rows were looked at.

    Examples
    --------
    >>> from chainrule.data.frames import as_frame
    >>> seen = Varying()
    >>> for rows in ({"a": [1, 1], "b": [2, 2]}, {"a": [1, 1], "b": [2, 3]}):
    ...     seen.add(as_frame(rows))
    >>> seen.names
    {'b'}
    """

    def __init__(self) -> None:
        self._marks: defaultdict[str, set[int]] = defaultdict(set)  # no more than tell

    def add(self, frame: Frame) -> None:
        """Look at further rows."""
        for column in frame.columns:
            for rows in (slice(FEW), slice(None)):
                if len(self._marks[column.name]) < 2:
                    self._marks[column.name] |= _extremes(column.rows(rows))

    @property
    def names(self) -> set[str]:
        """The columns that have two different values, of which one may be that there is none."""
        return {name for name, marks in self._marks.items() if len(marks) > 1}

    def packed(self) -> dict[str, list[int]]:
        """What was seen, as JSON can say it."""
        return {name: [*marks] for name, marks in self._marks.items()}

    def replaced(self, parts: Sequence[Mapping[str, Sequence[int]]]) -> None:
        """Have what all processes have seen."""
        for part in parts:
            for name, marks in part.items():
                self._marks[name].update(marks)


def with_rare_values(
    sample: Frame, varying: Container[str], rows: Iterable[tuple[Array, Frame]], *, shared: bool
) -> Frame:
    """A sample, and the first row in which a column has another value than in all of the sample.

    Parameters
    ----------
    sample : Frame
    varying : container of str
        The columns that vary in some row: without any that does not in the sample nothing is read.
    rows : iterable of (numbers, Frame)
        All rows that the sample is of, in blocks.
    shared : bool
        Whether other processes have other rows, of which this one hears.

    Examples
    --------
    >>> from chainrule.data.frames import as_frame
    >>> sample, whole = as_frame({"flag": [0, 0]}), as_frame({"flag": [0, 0, 0, 7, 8]})
    >>> found = with_rare_values(sample, {"flag"}, [(np.arange(5), whole)], shared=False)
    >>> found["flag"].values.tolist()
    [0.0, 0.0, 7.0]
    """
    seen = {each.name: _extremes(each) for each in sample.columns if each.name in varying}
    usual = {name: marks.pop() for name, marks in seen.items() if len(marks) == 1}
    if not usual:
        return sample
    found: dict[str, tuple[int, Frame]] = {}
    for numbers, frame in rows:
        for name in usual.keys() - found.keys():
            (marks,) = by_value(marks_of, frame[name])
            others = np.flatnonzero(marks != usual[name])
            if len(others):
                found[name] = int(numbers[others[0]]), frame.rows(others[:1])
        if len(found) == len(usual):
            break
    chosen = _first_of_all(found) if shared else found
    return joined([sample, *dict(sorted(chosen.values(), key=lambda row: row[0])).values()])


def _first_of_all(found: Mapping[str, tuple[int, Frame]]) -> dict[str, tuple[int, Frame]]:
    """For each column the first row of those that all processes have found."""
    mine = {name: [number, packed_frame(row)] for name, (number, row) in found.items()}
    first: dict[str, list[Any]] = {}
    for part in gathered(mine):
        for name, row in part.items():
            first[name] = min(first.get(name, row), row, key=lambda each: each[0])
    return {name: (number, unpacked_frame(row)) for name, (number, row) in first.items()}


def _extremes(column: Column) -> set[int]:
    """Marks of two different values, if there are any."""
    (marks,) = marks_of(column.used()[0] if isinstance(column, Factored) else column)
    return {int(marks.min()), int(marks.max())} if len(marks) else set()
