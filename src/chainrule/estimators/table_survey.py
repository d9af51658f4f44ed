"""One pass over a table that does not fit into memory: how many rows, and some of each kind.

Each row draws a number from the seed and what it holds, so that equal rows draw the same. Rows that
draw low ones test or are held out; of the others some are the sample that columns are understood
by. What is drawn depends on no other row, so that any number of processes would draw the same.
Where rows repeat by nature each draws by its own number, and where whole groups are held out by the
name of its group. Whether they repeat is known at the end of the pass only: until then rows are
kept for both cases.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, Final
from zlib import crc32

import numpy as np

from chainrule.data.cells import distinct
from chainrule.data.factored import Factored, by_value, column_bytes, joined, smaller
from chainrule.data.frames import Column, Frame
from chainrule.data.gathering import packed_frame, unpacked_frame
from chainrule.data.shards import rows_of, share
from chainrule.data.streams import TableStream
from chainrule.engines.processes import gathered, place
from chainrule.errors import DataError, ParameterError, unknown_name
from chainrule.estimators.table_repeats import ABSENT, are_of_counts, mixed
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
        """Let the rows of the highest draws go, before the others are joined: that is slow."""
        if len(self._parts) == 1 and len(self._parts[0][1]) <= self.most:
            return
        draws, numbers = (
            np.concatenate(each) for each in zip(*[part[1:] for part in self._parts], strict=True)
        )
        if len(draws) > self.most:
            lowest, beyond = np.partition(draws, [0, self.most])[[0, self.most]].tolist()
            self.high = max(beyond, math.nextafter(lowest, 1.0))
            fitting = np.flatnonzero(draws < self.high)
            first = np.argsort(numbers[fitting])
            self._let_go.update(draws[fitting[first[self.most :]]].tolist())
            chosen = np.zeros(len(draws), bool)
            chosen[fitting[first[: self.most]]] = True
            self._choose(chosen)
        self._parts = [self._together()]

    def _choose(self, chosen: Array) -> None:
        """Let go all rows but some, of all parts one behind the other."""
        ends = np.cumsum([len(draws) for _, draws, _ in self._parts])
        self._parts = [
            (frame.rows(mine), draws[mine], numbers[mine])
            for mine, (frame, draws, numbers) in zip(
                np.split(chosen, ends[:-1]), self._parts, strict=True
            )
        ]

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
    _way: _Division = field(repr=False)

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
        ends = np.array([test, test + (1 - test) * validation]).tolist()
        rules = (by_row, by_content) if group is None else (partial(by_group, group),)
        ways = [_Division(rule, seed, *ends) for rule in rules]
        rows, missing, labels, first, stream = 0, 0, _Labels(name), None, Remembering(table)
        for number, frame in prefetched(stream.frames, READ_AHEAD):
            column = frame[name]
            refuse_infinite(column, frame)
            there, first = ~column.missing, first or frame
            numbers = np.arange(number, number + len(frame))[there]
            rows, missing = rows + len(frame), missing + int((~there).sum())
            labels.add(column)
            usable = frame.rows(there)
            for way in ways:
                way.offer(usable, numbers)
        if stream.is_part:
            heads = [] if first is None else [packed_frame(first.rows(slice(0, 0)))]
            mine = rows, missing, heads, labels.packed, [way.packed() for way in ways]
            counts, gone, likes, known, kept = zip(*gathered(mine), strict=True)
            rows, missing = sum(counts), sum(gone)
            first = next((unpacked_frame(like) for (like,) in filter(None, likes)), None)
            labels = _Labels.together(name, known)
            for way, parts in zip(ways, zip(*kept, strict=True), strict=True):
                way.replaced(parts)
        if first is None or rows == missing:
            raise DataError(f"{stream.source}: no row has a target in column {name!r}")
        way = ways[0] if ways[0].repeats(first, name) else ways[-1]
        tested, held, sample = (kept.rows(first) for kept in way.kinds)
        for wanted, part in ((test, tested), (validation, held)):
            if group is not None and wanted and not len(part):
                raise DataError(
                    f"{stream.source}: column {group!r} has so few groups that none of them is"
                    f" among the {wanted:.0%} that are held out; try a larger share, or another"
                    " seed"
                )
        left = rows - missing - sum(kept.count for kept in way.kinds[:2])
        return cls(
            stream, name, seed, rows, missing, left, sample, held, tested, labels.column, group, way
        )

    def training_frames(self) -> Iterator[tuple[Array, Frame]]:
        """The rows to train on, in blocks, each with the numbers of its rows in the table."""
        for number, frame in prefetched(self.stream.frames, READ_AHEAD):
            numbers = np.arange(number, number + len(frame))
            chosen = ~frame[self.target].missing & ~self._way.sets_apart(frame, numbers)
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


class _Division:
    """Rows that test, that are held out and that are trained on, of which some are kept.

    Parameters
    ----------
    rule : callable
        What rows draw, as :func:`by_row`.
    seed : int
    tested, held : float
        Rows with draws below these test, or are held out.

    Attributes
    ----------
    kinds : tuple of Kept
        Rows that test, that are held out, and a sample of the others.
    """

    def __init__(
        self, rule: Callable[[int, Array, Frame], Array], seed: int, tested: float, held: float
    ) -> None:
        self._rule, self._seed = rule, seed
        self.kinds = (
            Kept(TEST_ROWS, 0.0, tested), Kept(HELD_OUT_ROWS, tested, held),
            Kept(SAMPLE_ROWS, 0.0, 1.0),
        )  # fmt: skip
        self._trained_from = held

    def offer(self, rows: Frame, numbers: Array) -> None:
        """Look at further rows."""
        draws = self._rule(self._seed, numbers, rows)
        for kept in self.kinds[:2]:
            kept.offer(rows, draws, numbers)
        rest = draws >= self._trained_from
        self.kinds[2].offer(rows.rows(rest), drawn(self._seed, numbers[rest]), numbers[rest])

    def sets_apart(self, rows: Frame, numbers: Array) -> Array:
        """Which rows test or are held out, (n,) bool."""
        draws = self._rule(self._seed, numbers, rows)
        return self.kinds[0].holds(draws) | self.kinds[1].holds(draws)

    def repeats(self, like: Frame, target: str) -> bool:
        """Whether rows repeat by nature, as those that are held out say, or else those that test.

        Parameters
        ----------
        like : Frame
        target : str
        """
        rows = next((kept for kept in self.kinds[1::-1] if kept.count), self.kinds[2]).rows(like)
        return are_of_counts([*rows.without(target).columns, rows[target]])

    def packed(self) -> list[Any]:
        """What was kept, as JSON can say it."""
        return [kept.packed() for kept in self.kinds]

    def replaced(self, parts: Sequence[Sequence[Any]]) -> None:
        """Have what all processes have kept."""
        for kept, each in zip(self.kinds, zip(*parts, strict=True), strict=True):
            kept.replaced(each)


def _marks(place: int, column: Column) -> tuple[Array]:
    """(n,) uint64: equal for equal values of a column, and mostly different for others."""
    if column.is_text:
        texts = map(str.encode, column.values.tolist())
        values = np.fromiter(map(crc32, texts), np.uint64, len(column))
    elif column.values.dtype.kind == "f":
        values = (column.values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 is 0.0
    else:
        values = column.values.astype(np.int64).view(np.uint64)
    keyed = mixed(np.array([place], np.uint64), np.where(column.missing, ABSENT, values))
    return (mixed(keyed, np.zeros(1, np.uint64)),)


def _digests(column: Column) -> tuple[Array]:
    """64 bits of each value's text; what is missing is a value of its own."""
    texts = np.where(column.missing, "", column.as_texts())
    values, inverse = distinct(texts)
    whole = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in values.tolist()]
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
