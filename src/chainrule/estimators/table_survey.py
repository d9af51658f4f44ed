"""One pass over a table that does not fit into memory: how many rows, and some of each kind.

Each row draws a number from the seed and its own number. Rows that draw low ones test or are held
out; of the others those that draw the lowest are the sample that columns are understood by. What
is drawn depends on no other row, so that any number of processes would draw the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from chainrule.data.factored import Factored, joined
from chainrule.data.frames import Column, Frame
from chainrule.data.prefetch import prefetched
from chainrule.data.streams import TableStream
from chainrule.errors import DataError, ParameterError, unknown_name
from chainrule.estimators.table_target import MOST_CLASSES
from chainrule.ops import random
from chainrule.shapes import Array

SAMPLE_ROWS: Final = 2**17
HELD_OUT_ROWS: Final = 2**16  # to choose the epoch, and as many to test, at most
READ_AHEAD: Final = 2


class Kept:
    """The rows of the lowest draws, at most so many.

    Parameters
    ----------
    most : int
    low, high : float
        Draws that count lie from ``low`` to below ``high``.
    """

    def __init__(self, most: int, low: float, high: float) -> None:
        self.most, self.low, self.high = most, low, high
        self._parts: list[tuple[Frame, Array, Array]] = []

    def offer(self, frame: Frame, draws: Array, numbers: Array) -> None:
        """Keep those rows of a frame that are among the lowest so far."""
        chosen = self.holds(draws)
        if chosen.any():
            self._parts.append((frame.rows(chosen), draws[chosen], numbers[chosen]))
        if sum(len(part) for _, part, _ in self._parts) > 2 * self.most:
            self._prune()

    def holds(self, draws: Array) -> Array:
        """Which draws count."""
        found: Array = (draws >= self.low) & (draws < self.high)
        return found

    def _prune(self) -> None:
        frame, draws, numbers = self._together()
        if len(draws) > self.most:
            self.high = float(np.partition(draws, self.most)[self.most])
            chosen = draws < self.high
            frame, draws, numbers = frame.rows(chosen), draws[chosen], numbers[chosen]
        self._parts = [(joined([frame]), draws, numbers)]

    def _together(self) -> tuple[Frame, Array, Array]:
        frames, draws, numbers = zip(*self._parts, strict=True)
        return joined(frames), np.concatenate(draws), np.concatenate(numbers)

    def rows(self, like: Frame) -> Frame:
        """What was kept, in the order of the table; no rows of ``like`` if there is nothing."""
        if not self._parts:
            return like.rows(slice(0, 0))
        self._prune()
        frame, _, numbers = self._together()
        return frame.rows(np.argsort(numbers))


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of a table after one pass.

    Attributes
    ----------
    stream : TableStream
    target : str
    seed : int
    rows : int
        All of them.
    without_target : int
    learned_from : int
        Those to train on.
    sample, held_out, test : Frame
        Some rows to train on, those that choose the epoch, those to test, with the target.
    labels : Column
        The different values of the target, as long as there are not too many for classes.
    """

    stream: TableStream
    target: str
    seed: int
    rows: int
    without_target: int
    learned_from: int
    sample: Frame
    held_out: Frame
    test: Frame
    labels: Column
    _others: tuple[Kept, Kept] = field(repr=False)

    @classmethod
    def of(
        cls, stream: TableStream, target: str | int, seed: int, *, test: float, validation: float
    ) -> Survey:
        """Read a table once.

        Parameters
        ----------
        stream : TableStream
        target : str or int
            A column, by name or place.
        seed : int
        test : float in [0, 1)
            Share of the rows to test.
        validation : float in [0, 1)
            Share of the others that choose the epoch.

        Raises
        ------
        UnknownNameError, ParameterError, DataError
            If there is no such column, a share is out of its range, or no row has a target.
        """
        if not 0 <= test < 1 or not 0 <= validation < 1:
            raise ParameterError("the shares of test and validation rows lie from 0 to below 1")
        name = _named(stream, target)
        ends = np.array([test, test + (1 - test) * validation, 1.0]).tolist()
        most = (HELD_OUT_ROWS, HELD_OUT_ROWS, SAMPLE_ROWS)
        kinds = [Kept(*each) for each in zip(most, [0.0, *ends[:-1]], ends, strict=True)]
        rows, missing, labels, first = 0, 0, _Labels(name), None
        for number, frame in prefetched(stream.frames, READ_AHEAD):
            column = frame[name]
            there, first = ~column.missing, first or frame
            numbers = np.arange(number, number + len(frame))[there]
            rows, missing = rows + len(frame), missing + int((~there).sum())
            labels.add(column)
            draws, usable = drawn(seed, numbers), frame.rows(there)
            for kind in kinds:
                kind.offer(usable, draws, numbers)
        if first is None or rows == missing:
            raise DataError(f"{stream.source}: no row has a target in column {name!r}")
        tested, held, sample = (kind.rows(first) for kind in kinds)
        left = rows - missing - len(tested) - len(held)
        return cls(
            stream, name, seed, rows, missing, left, sample, held, tested, labels.column,
            (kinds[0], kinds[1]),
        )  # fmt: skip

    def training_frames(self) -> Iterator[tuple[Array, Frame]]:
        """The rows to train on, in blocks, each with the numbers of its rows in the table."""
        for number, frame in prefetched(self.stream.frames, READ_AHEAD):
            numbers = np.arange(number, number + len(frame))
            draws = drawn(self.seed, numbers)
            other = self._others[0].holds(draws) | self._others[1].holds(draws)
            chosen = ~frame[self.target].missing & ~other
            if chosen.any():
                yield numbers[chosen], frame.rows(chosen)


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


def _named(stream: TableStream, target: str | int) -> str:
    names = stream.names
    if isinstance(target, int) and not isinstance(target, bool):
        if -len(names) <= target < len(names):
            return names[target]
    elif target in names:
        return target
    raise unknown_name(f"column of {stream.source}", target, names)


class _Labels:
    """The different values of a column, no more than there may be classes."""

    def __init__(self, name: str) -> None:
        self.column = Column(name, np.empty(0), np.empty(0, bool))

    def add(self, column: Column) -> None:
        """Look at further rows."""
        if len(self.column) > MOST_CLASSES:
            return
        values = column.used()[0] if isinstance(column, Factored) else column
        known = values.distinct()
        both = [Frame("", (each,)) for each in (self.column, _present(self.column.name, known))]
        whole = joined(both)[self.column.name]
        self.column = _present(whole.name, whole.distinct())


def _present(name: str, values: Array) -> Column:
    return Column(name, values, np.zeros(len(values), bool))
