"""One pass over a table that does not fit into memory: how many rows, and some of each kind.

Each row draws a number from the seed and its own number. Rows that draw low ones test or are held
out; of the others those that draw the lowest are the sample that columns are understood by. What
is drawn depends on no other row, so that any number of processes would draw the same. Where whole
groups are held out, a row tests or is held out by what the name of its group draws.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from chainrule.data.factored import Factored, by_value, column_bytes, joined, smaller
from chainrule.data.frames import Column, Frame
from chainrule.data.gathering import packed_frame, unpacked_frame
from chainrule.data.shards import rows_of, share
from chainrule.data.streams import TableStream
from chainrule.engines.processes import gathered, place
from chainrule.errors import DataError, ParameterError, unknown_name
from chainrule.estimators.table_target import MOST_CLASSES, refuse_infinite
from chainrule.ops import random
from chainrule.shapes import INT64, Array
from chainrule.training.prefetch import prefetched

SAMPLE_ROWS: Final = 2**16  # quantiles of so many are right to 0.2 % of the rows
HELD_OUT_ROWS: Final = 2**14  # that choose the epoch, at most
TEST_ROWS: Final = 2**16  # at most
REMEMBERED_BYTES: Final = 2**27  # of a table whose blocks are kept, not read again
READ_AHEAD: Final = 2
SPARE: Final = 4  # times the rows that are kept, before those of the highest draws are let go


class Remembering:
    """A stream whose blocks are kept when they are read the first time, if they are small enough.

    Attributes
    ----------
    source, names
        Of the stream.
    """

    def __init__(self, stream: TableStream) -> None:
        self.source, self.names, self._stream = stream.source, stream.names, stream
        self._rows = _own(stream)
        self._blocks: list[tuple[int, Frame]] = []
        self._left: int | None = REMEMBERED_BYTES  # None where blocks have to be read
        self._complete = False

    @property
    def is_part(self) -> bool:
        """Whether other processes read other rows."""
        return self._rows is not None

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """The rows of this process in blocks, each with its first number: all, if it is alone."""
        if self._complete:
            yield from self._blocks
            return
        for number, frame in self._stream.frames(self._rows):
            block = number, smaller(frame)
            yield block
            self._keep(*block)
        self._complete = self._left is not None

    def _keep(self, number: int, frame: Frame) -> None:
        if self._left is None:
            return
        self._left -= sum(map(column_bytes, frame.columns))
        self._blocks.append((number, frame))
        if self._left < 0:
            self._left, self._blocks = None, []


def _own(stream: TableStream) -> range | None:
    """The rows that this process reads, of several that each read some; None is all of them.

    Lines of text have to be counted: every process reads all of them.
    """
    number, count = place()
    if count == 1 or stream.known_rows is None:
        return None
    return rows_of(share(number, count), stream.known_rows)


class Kept:
    """The rows of the lowest draws, at most so many; rows of one draw are together.

    Of a draw that more rows have, the first are kept, if it is the lowest.

    Parameters
    ----------
    most : int
    low, high : float
        Draws that count lie from ``low`` to below ``high``.
    """

    def __init__(self, most: int, low: float, high: float) -> None:
        self.most, self.low, self.high = most, low, high
        self._parts: list[tuple[Frame, Array, Array]] = []
        self._let_go: Counter[float] = Counter()  # rows by their draw

    def offer(self, frame: Frame, draws: Array, numbers: Array) -> None:
        """Keep those rows of a frame that are among the lowest so far."""
        chosen = self.holds(draws)
        if chosen.any():
            self._parts.append((frame.rows(chosen), draws[chosen], numbers[chosen]))
        if sum(len(part) for _, part, _ in self._parts) > SPARE * self.most:
            self._prune()

    def holds(self, draws: Array) -> Array:
        """Which draws count."""
        found: Array = (draws >= self.low) & (draws < self.high)
        return found

    def _prune(self) -> None:
        frame, draws, numbers = self._together()
        if len(draws) > self.most:
            lowest, beyond = np.partition(draws, [0, self.most])[[0, self.most]].tolist()
            self.high = max(beyond, math.nextafter(lowest, 1.0))
            fitting = np.flatnonzero(draws < self.high)
            first = np.argsort(numbers[fitting])
            chosen, beyond_most = fitting[first[: self.most]], fitting[first[self.most :]]
            self._let_go.update(draws[beyond_most].tolist())
            frame, draws, numbers = frame.rows(chosen), draws[chosen], numbers[chosen]
        self._parts = [(joined([frame]), draws, numbers)]

    @property
    def count(self) -> int:
        """How many rows count: those kept, and those of the only draw that were too many."""
        if self._parts:
            self._prune()
        kept = sum(len(draws) for _, draws, _ in self._parts)
        return kept + sum(n for draw, n in self._let_go.items() if self.low <= draw < self.high)

    def _together(self) -> tuple[Frame, Array, Array]:
        frames, draws, numbers = zip(*self._parts, strict=True)
        return joined(frames), np.concatenate(draws), np.concatenate(numbers)

    def packed(self) -> list[Any]:
        """What was kept, as JSON can say it."""
        if not self._parts:
            return [self.high, {}]
        self._prune()
        frame, draws, numbers = self._together()
        gone = {draw.hex(): many for draw, many in self._let_go.items()}
        return [self.high, gone, packed_frame(frame), draws.tolist(), numbers.tolist()]

    def replaced(self, parts: Sequence[Sequence[Any]]) -> None:
        """Have what all processes have kept; of each of them only what all would keep."""
        self._parts, self.high = [], min(high for high, *_ in parts)
        self._let_go = Counter()
        for _, gone, *kept in parts:
            self._let_go.update({float.fromhex(draw): many for draw, many in gone.items()})
            if kept:
                frame, draws, numbers = kept
                self.offer(unpacked_frame(frame), np.array(draws), np.array(numbers, INT64))

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
    stream : Remembering
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
    group : str, optional
        The column whose values are on one side each.
    """

    stream: Remembering
    target: str
    seed: int
    rows: int
    without_target: int
    learned_from: int
    sample: Frame
    held_out: Frame
    test: Frame
    labels: Column
    group: str | None
    _others: tuple[Kept, Kept] = field(repr=False)

    @classmethod
    def of(
        cls,
        table: TableStream,
        target: str | int,
        seed: int,
        *,
        test: float,
        validation: float,
        group: str | None = None,
    ) -> Survey:
        """Read a table once.

        Parameters
        ----------
        table : TableStream
        target : str or int
            A column, by name or place.
        seed : int
        test : float in [0, 1)
            Share of the rows to test.
        validation : float in [0, 1)
            Share of the others that choose the epoch.
        group : str, optional
            A column: shares then are of its values, and rows with one value are together.

        Raises
        ------
        UnknownNameError, ParameterError, DataError
            If there is no such column, a share is out of its range, no row has a target, or no
            group is among those that test or are held out.
        """
        if not 0 <= test < 1 or not 0 <= validation < 1:
            raise ParameterError("the shares of test and validation rows lie from 0 to below 1")
        name = _named(table, target)
        if group is not None and _named(table, group) == name:
            raise ParameterError(f"column {name!r} is the target; name another one as the group")
        ends = np.array([test, test + (1 - test) * validation, 1.0]).tolist()
        most = (TEST_ROWS, HELD_OUT_ROWS, SAMPLE_ROWS)
        bounds = (0.0, ends[0]), (ends[0], ends[1]), (0.0, 1.0)
        kinds = [Kept(many, *bound) for many, bound in zip(most, bounds, strict=True)]
        rows, missing, labels, first, stream = 0, 0, _Labels(name), None, Remembering(table)
        for number, frame in prefetched(stream.frames, READ_AHEAD):
            column = frame[name]
            refuse_infinite(column, frame)
            there, first = ~column.missing, first or frame
            numbers = np.arange(number, number + len(frame))[there]
            rows, missing = rows + len(frame), missing + int((~there).sum())
            labels.add(column)
            usable = frame.rows(there)
            draws = divided(seed, numbers, usable, group)
            for kind in kinds[:2]:
                kind.offer(usable, draws, numbers)
            rest = draws >= ends[1]
            kinds[2].offer(usable.rows(rest), drawn(seed, numbers[rest]), numbers[rest])
        if stream.is_part:
            heads = [] if first is None else [packed_frame(first.rows(slice(0, 0)))]
            mine = rows, missing, heads, labels.packed, [kind.packed() for kind in kinds]
            counts, gone, likes, known, kept = zip(*gathered(mine), strict=True)
            rows, missing = sum(counts), sum(gone)
            first = next((unpacked_frame(like) for (like,) in filter(None, likes)), None)
            labels = _Labels.together(name, known)
            for kind, parts in zip(kinds, zip(*kept, strict=True), strict=True):
                kind.replaced(parts)
        if first is None or rows == missing:
            raise DataError(f"{stream.source}: no row has a target in column {name!r}")
        tested, held, sample = (kind.rows(first) for kind in kinds)
        for wanted, part in ((test, tested), (validation, held)):
            if group is not None and wanted and not len(part):
                raise DataError(
                    f"{stream.source}: column {group!r} has so few groups that none of them is"
                    f" among the {wanted:.0%} that are held out; try a larger share, or another"
                    " seed"
                )
        left = rows - missing - kinds[0].count - kinds[1].count
        return cls(
            stream, name, seed, rows, missing, left, sample, held, tested, labels.column, group,
            (kinds[0], kinds[1]),
        )  # fmt: skip

    def training_frames(self) -> Iterator[tuple[Array, Frame]]:
        """The rows to train on, in blocks, each with the numbers of its rows in the table."""
        for number, frame in prefetched(self.stream.frames, READ_AHEAD):
            numbers = np.arange(number, number + len(frame))
            draws = divided(self.seed, numbers, frame, self.group)
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


def divided(seed: int, numbers: Array, rows: Frame, group: str | None) -> Array:
    """What decides whether each row tests or is held out: (n,) float64, uniform in [0, 1).

    Parameters
    ----------
    seed : int
    numbers : (n,) int64
        Of the rows in their table.
    rows : Frame
    group : str, optional
        A column: the text in it draws, in place of the row's number.

    Examples
    --------
    >>> from chainrule.data.frames import as_frame
    >>> shops = as_frame({"shop": ["north", "south", "north"]})
    >>> first, second, third = divided(0, np.arange(3), shops, "shop").tolist()
    >>> first == third, first == second
    (True, False)
    """
    if group is None:
        return drawn(seed, numbers)
    return drawn(seed, *by_value(_digests, rows[group]))


def _digests(column: Column) -> tuple[Array]:
    """64 bits of each value's text; what is missing is a value of its own."""
    texts = np.where(column.missing, "", column.as_texts())
    distinct, inverse = np.unique(texts, return_inverse=True)
    whole = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in distinct.tolist()]
    found = np.frombuffer(b"".join(whole), "<u8").astype(np.uint64)
    return (found[inverse],)


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

    @property
    def packed(self) -> dict[str, Any]:
        """The values, as JSON can say them."""
        return packed_frame(Frame("", (self.column,)))

    @classmethod
    def together(cls, name: str, parts: Sequence[dict[str, Any]]) -> _Labels:
        """Those of all processes."""
        found = cls(name)
        for part in parts:
            found.add(unpacked_frame(part)[name])
        return found

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
