"""The order of time of a table that does not fit into memory: which rows are its latest.

One pass counts how many rows each moment has. That is exact for up to a million different moments;
of more, those that are next to each other are counted together, so that memory stays bounded: then
too every row on one side of a cut is later than each on the other, and equal moments are on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from chainrule.data.factored import by_value
from chainrule.data.frames import Column, Frame
from chainrule.engines.processes import gathered
from chainrule.errors import DataError
from chainrule.estimators.table_split import Written, refuse_missing_times, written_times
from chainrule.estimators.table_validation import starts_of_folds
from chainrule.shapes import INT64, Array

MOST_MOMENTS: Final = 2**20  # that are told apart
NEVER: Final = np.uint64(2**64 - 1)  # later than all moments
_SIGN: Final = np.uint64(2**63)


class Moments:
    """How many rows of a table each moment has.

    Examples
    --------
    >>> found = Moments()
    >>> found.add(ordered(np.array([3.0, -1.0, 3.0, 2.0])))
    >>> found.counts.tolist(), bool(found.latest(0.5) == ordered(np.array([3.0]))[0])
    ([1, 1, 2], True)
    """

    def __init__(self) -> None:
        self._keys, self._counts = np.empty(0, np.uint64), np.empty(0, INT64)
        self._pending: list[Array] = []
        self._shift = 0  # bits of keys that tell no moments apart

    def add(self, keys: Array) -> None:
        """Count further rows, by what :func:`ordered` says of their moments."""
        self._pending.append(keys)
        if sum(map(len, self._pending)) > MOST_MOMENTS:
            self._settle()

    @property
    def counts(self) -> Array:
        """The rows of each moment, in the order of time: (n,) int64."""
        self._settle()
        return self._counts

    def _settle(self) -> None:
        new, self._pending = self._pending, []
        if new:
            self._merge(np.concatenate(new), np.ones(sum(map(len, new)), INT64))

    def _merge(self, keys: Array, counts: Array) -> None:
        """Count moments as often as they are said to be there."""
        both, counts = np.append(self._keys, keys), np.append(self._counts, counts)
        while True:
            both = (both >> np.uint64(self._shift)) << np.uint64(self._shift)
            self._keys, places = np.unique(both, return_inverse=True)
            if len(self._keys) <= MOST_MOMENTS:
                break
            self._shift += 1
        self._counts = np.zeros(len(self._keys), INT64)
        np.add.at(self._counts, places, counts)

    def shared(self) -> None:
        """Also count the rows of the other processes."""
        self._settle()
        parts = gathered([self._shift, self._keys.tolist(), self._counts.tolist()])
        self._shift = max(shift for shift, *_ in parts)
        self._keys, self._counts = np.empty(0, np.uint64), np.empty(0, INT64)
        for _, keys, counts in parts:
            self._merge(np.array(keys, np.uint64), np.array(counts, INT64))

    def latest(self, share: float, before: np.uint64 = NEVER) -> np.uint64 | None:
        """Where the latest share of the rows before a moment begins.

        Returns
        -------
        uint64 or None
            None if that is no share: all these rows are of one moment.
        """
        sizes = self.counts  # which settles the keys
        ends = np.cumsum(sizes[self._keys < before])
        if not len(ends):
            return None
        place = int(np.searchsorted(ends, int(ends[-1] * (1 - share)), side="right"))
        start: np.uint64 = self._keys[min(place, len(ends) - 1)]
        return None if start == self._keys[0] else start

    def folds(self, count: int, name: str) -> Array:
        """Where each fold but the first begins, when they follow each other: (count - 1,) uint64.

        Raises
        ------
        DataError
            If there are fewer moments than folds.
        """
        sizes = self.counts  # which settles the keys
        return self._keys[starts_of_folds(sizes, count, name)]


def ordered(values: Array) -> Array:
    """(n,) uint64: in the order of numbers or moments, and equal where they are.

    >>> keys = ordered(np.array([-2.0, -0.5, -0.0, 0.0, 1.5]))
    >>> bool((np.diff(keys.astype(float)) >= 0).all()), bool(keys[2] == keys[3])
    (True, True)
    """
    if values.dtype.kind == "M":
        found: Array = values.view(INT64).view(np.uint64) ^ _SIGN
        return found
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 is 0.0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


@dataclass(frozen=True)
class Clock:
    """How a column says when something was.

    Attributes
    ----------
    name : str
        The column's.
    form : Written, optional
        How text writes moments or numbers.
    """

    name: str
    form: Written | None

    def keys(self, rows: Frame) -> Array:
        """What :func:`ordered` says of the moment of each row.

        Raises
        ------
        DataError
            If one is missing, or cannot be read.
        """
        found, readable, _ = self.look(rows[self.name])
        refuse_missing_times(rows[self.name], rows)
        if not readable.all():
            row = int(np.argmin(readable))
            text = rows[self.name].as_texts()[row]
            raise DataError(
                f"{rows.place(row)}: column {self.name!r} orders rows, and {str(text)!r} is"
                " neither a date nor a number as in other rows"
            )
        return found

    def look(self, column: Column) -> tuple[Array, ...]:
        """What :func:`ordered` says of each row, whether it can be read, and whether as a date."""
        return by_value(self._look, column)

    def _look(self, column: Column) -> tuple[Array, ...]:
        values = column.values
        if column.is_text:
            values = np.full(len(values), np.nan) if self.form is None else self.form.values(values)
        dated = values.dtype.kind == "M"
        readable = ~np.isnat(values) if dated else ~np.isnan(values.astype(np.float64))
        return ordered(values), readable, np.full(len(values), dated)


@dataclass(frozen=True, eq=False)
class Times:
    """The moments of a table's rows.

    Attributes
    ----------
    clock : Clock
    moments : Moments
    """

    clock: Clock
    moments: Moments

    @classmethod
    def of(cls, frames: Callable[[], Iterable[Frame]], name: str, *, shared: bool) -> Self:
        """Read a table once; again where later rows say that dates are written in another way.

        Parameters
        ----------
        frames : callable
            Gives the rows in blocks.
        name : str
            The column that orders them.
        shared : bool
            Whether other processes read other rows.

        Raises
        ------
        DataError
            If the column holds neither dates nor numbers, or one is missing.
        """
        known: list[str] = []
        while True:
            form = written_times(known, name) if known else None
            clock, moments = Clock(name, form), Moments()
            new = _counted(clock, moments, frames())
            found = [text for part in (gathered(new) if shared else [new]) for text in part]
            if not found:
                break
            known = sorted({*known, *found})
        if shared:
            moments.shared()
        return cls(clock, moments)


def _counted(clock: Clock, moments: Moments, frames: Iterable[Frame]) -> list[str]:
    """Count moments up to the first block with text that is not understood: that is returned."""
    kinds: set[bool] = set()
    for frame in frames:
        column = frame[clock.name]
        refuse_missing_times(column, frame)
        keys, readable, dated = clock.look(column)
        if not readable.all():
            return [*map(str, column.distinct().tolist())]
        kinds |= {*np.unique(dated).tolist()}
        if len(kinds) > 1:
            raise DataError(
                f"{frame.source}: column {clock.name!r} orders rows, and holds dates in some"
                " and numbers in others"
            )
        moments.add(keys)
    return []
