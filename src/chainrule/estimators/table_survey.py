"""One pass over a table that does not fit into memory: how many rows, and some of each kind.

Each row draws a number from the seed and what it holds, so that equal rows draw the same. Rows that
draw low ones test or are held out; of the others some are the sample that columns are understood
by. What is drawn depends on no other row, so that any number of processes would draw the same.
Where rows repeat by nature each draws by its own number, where whole groups are held out by the
name of its group, and where the latest rows are, time decides. Whether they repeat is known at the
end of the pass only: until then rows are kept for both cases.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from functools import partial, reduce
from itertools import pairwise
from typing import Any, Final

import numpy as np

from chainrule.data.factored import Factored, column_bytes, joined, smaller
from chainrule.data.frames import Column, Frame
from chainrule.data.gathering import packed_frame, unpacked_frame
from chainrule.data.shards import rows_of, share
from chainrule.data.streams import TableStream
from chainrule.engines.processes import gathered, place
from chainrule.errors import DataError, ParameterError, unknown_name
from chainrule.estimators.table_drawing import (
    HELD,
    TESTED,
    ByTime,
    ForFold,
    Rule,
    by_content,
    by_group,
    by_row,
    drawn,
)
from chainrule.estimators.table_repeats import Weighing, are_of_counts
from chainrule.estimators.table_split import is_the_target
from chainrule.estimators.table_target import MOST_CLASSES, refuse_infinite
from chainrule.estimators.table_times import NEVER, Times
from chainrule.estimators.table_weights import weights_in
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
        self._blocks: list[tuple[int, Frame]] | None = None  # once one pass has reached the end
        self._is_small = True  # as far as is known
        self._rows = _own(stream)

    @property
    def is_part(self) -> bool:
        """Whether other processes read other rows."""
        return self._rows is not None

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """The rows of this process in blocks, each with its first number: all, if it is alone."""
        if self._blocks is not None:
            yield from self._blocks
            return
        kept: list[tuple[int, Frame]] = []
        left = REMEMBERED_BYTES
        for number, frame in self._stream.frames(self._rows):
            block = number, smaller(frame)
            yield block
            if self._is_small:
                kept.append(block)
                left -= sum(map(column_bytes, block[1].columns))
                if left < 0:
                    self._is_small = False
                    kept.clear()
        if self._is_small:
            self._blocks = kept


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


@dataclass(frozen=True)
class Roles:
    """What some columns are for, by their names.

    Attributes
    ----------
    target : str
    group, time : str, optional
        What decides which rows test and are held out.
    weight : str, optional
        What rows weigh.
    """

    target: str
    group: str | None = None
    time: str | None = None
    weight: str | None = None

    @classmethod
    def of(cls, stream: Any, target: str | int, **others: str | int | None) -> Roles:
        """Of columns that are there.

        Raises
        ------
        UnknownNameError, ParameterError
            If one is not, or is for two things that exclude each other.
        """
        name = _named(stream, target)
        found = {role: _named(stream, x) for role, x in others.items() if x is not None}
        for role, other in found.items():
            if other == name:
                raise is_the_target(name, role)
        if {"group", "time"} <= found.keys():
            raise ParameterError("hold out by group or by time, not by both")
        return cls(name, **found)

    @property
    def rule(self) -> str:
        """By what rows are chosen, behind their number: "rows at random"."""
        if self.time is not None:
            return f"of the latest rows by {self.time!r}"
        return "rows at random" if self.group is None else f"rows by groups of {self.group!r}"

    def features(self, rows: Frame) -> Frame:
        """The columns that a model may learn from."""
        return rows.without(self.target, *([self.weight] if self.weight else []))

    def weights(self, rows: Frame) -> Array | None:
        """What rows weigh: (n,) float64 from 0.

        Raises
        ------
        DataError
            If a cell is no such number: with its row.
        """
        return None if self.weight is None else weights_in(rows[self.weight], rows)

    def there(self, rows: Frame) -> Array:
        """Which rows have a target, and a weight above 0: (n,) bool."""
        weights, there = self.weights(rows), ~rows[self.target].missing
        return there if weights is None else there & (weights > 0)


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of a table after one pass.

    Attributes
    ----------
    stream : Remembering
    roles : Roles
    seed : int
    rows : int
        All of them.
    without_target : int
    learned_from : int
        Those to train on.
    sample, held_out, test : Frame
        Some rows to train on, those that choose the epoch, those to test, with target and weight.
    labels : Column
        The different values of the target, as long as there are not too many for classes.
    weighing : Weighing, optional
        Of all rows, if they have weights.
    """

    stream: Remembering
    roles: Roles
    seed: int
    rows: int
    without_target: int
    learned_from: int
    sample: Frame
    held_out: Frame
    test: Frame
    labels: Column
    weighing: Weighing | None
    _way: _Division = field(repr=False)
    _validation: float = 0.0
    _times: Times | None = None

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
        time: str | None = None,
        weight: str | int | None = None,
    ) -> Survey:
        """Read a table once; twice, if time decides.

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
        time : str, optional
            A column: the latest rows test, and of the others the latest are held out.
        weight : str or int, optional
            A column: what rows weigh.

        Raises
        ------
        UnknownNameError, ParameterError, DataError
            If there is no such column, a share is out of its range, no row has a target, or no
            group is among those that test or are held out.
        """
        if not 0 <= test < 1 or not 0 <= validation < 1:
            raise ParameterError("the shares of test and validation rows lie from 0 to below 1")
        roles = Roles.of(table, target, group=group, time=time, weight=weight)
        stream = Remembering(table)
        times = None if roles.time is None else _times(stream, roles)
        if times is not None:
            ways = [_by_time(times, seed, _starts(times, test, validation), roles)]
        else:
            end = test + (1 - test) * validation
            rules = (by_row, by_content) if group is None else (partial(by_group, group),)
            ways = [_Division(rule, seed, float(test), float(end), roles) for rule in rules]
        return _surveyed(stream, roles, seed, ways, validation, times)

    @property
    def target(self) -> str:
        """The target's column."""
        return self.roles.target

    def folds(self, count: int) -> Iterator[Survey]:
        """What to learn from and what to test on, for each fold of a cross-validation.

        Each row tests in one fold, if it has no more than can be kept, and nothing is learned from
        it there. Folds by time follow each other, and each is tested by what was before it: there
        is one test fewer than folds.

        Raises
        ------
        DataError
            If there are fewer groups or moments than folds.
        """
        for way in self._ways(count):
            yield _surveyed(
                self.stream, self.roles, self.seed, [way], self._validation, self._times
            )

    def _ways(self, count: int) -> Iterator[_Division]:
        if self._times is None:
            ends = 1 / count, 1 / count + (1 - 1 / count) * self._validation
            for fold in range(count):
                rule = ForFold(self._way.rule, fold, count)
                yield _Division(rule, self.seed, *ends, self.roles, apart=ends[0])
            return
        moments = self._times.moments
        starts = [*moments.folds(count, str(self.roles.time)), NEVER]
        for test, after in pairwise(starts):
            held = _latest(self._times, self._validation, test)
            yield _by_time(self._times, self.seed, np.array([held, test, after]), self.roles)

    def training_frames(self) -> Iterator[tuple[Array, Frame]]:
        """The rows to train on, in blocks, each with the numbers of its rows in the table."""
        for number, frame in prefetched(self.stream.frames, READ_AHEAD):
            numbers = np.arange(number, number + len(frame))
            there = self.roles.there(frame)
            chosen = there.copy()
            chosen[there] = ~self._way.sets_apart(frame.rows(there), numbers[there])
            if chosen.any():
                yield numbers[chosen], frame.rows(chosen)


def _surveyed(
    stream: Remembering,
    roles: Roles,
    seed: int,
    ways: Sequence[_Division],
    validation: float,
    times: Times | None,
) -> Survey:
    """Read a table once, dividing it in all ways that may turn out to be the right one."""
    rows, missing, labels, first = 0, 0, _Labels(roles.target), None
    weighing = Weighing()
    for number, frame in prefetched(stream.frames, READ_AHEAD):
        column = frame[roles.target]
        refuse_infinite(column, frame)
        there, first = roles.there(frame), first or frame
        numbers = np.arange(number, number + len(frame))[there]
        rows, missing = rows + len(frame), missing + int(column.missing.sum())
        labels.add(column)
        usable = frame.rows(there)
        weights = roles.weights(usable)
        weighing = weighing if weights is None else weighing.with_rows(weights)
        for way in ways:
            way.offer(usable, numbers)
    if stream.is_part:
        heads = [] if first is None else [packed_frame(first.rows(slice(0, 0)))]
        mine = rows, missing, astuple(weighing), heads, labels.packed, [w.packed() for w in ways]
        counts, gone, weighings, likes, known, kept = zip(*gathered(mine), strict=True)
        rows, missing = sum(counts), sum(gone)
        weighing = reduce(Weighing.together, [Weighing(*each) for each in weighings])
        first = next((unpacked_frame(like) for (like,) in filter(None, likes)), None)
        labels = _Labels.together(roles.target, known)
        for way, parts in zip(ways, zip(*kept, strict=True), strict=True):
            way.replaced(parts)
    if first is None or rows == missing:
        raise DataError(f"{stream.source}: no row has a target in column {roles.target!r}")
    if not ways[0].offered:
        raise DataError(f"{stream.source}: every row with a target weighs 0: nothing to learn")
    way = ways[0] if len(ways) == 1 or ways[0].repeats(first) else ways[-1]
    tested, held, sample = (kept.rows(first) for kept in way.kinds)
    way.require_groups(stream.source)
    return Survey(
        stream, roles, seed, rows, missing, way.learned_from, sample, held, tested, labels.column,
        None if roles.weight is None else weighing, way, validation, times,
    )  # fmt: skip


def _times(stream: Remembering, roles: Roles) -> Times:
    """The moments of the rows that count."""

    def frames() -> Iterator[Frame]:
        for _, frame in stream.frames():
            yield frame.rows(roles.there(frame))

    return Times.of(frames, str(roles.time), shared=stream.is_part)


def _starts(times: Times, test: float, validation: float) -> Array:
    """Where rows are held out and test from on, and where none is left out."""
    tested = _latest(times, test, NEVER)
    return np.array([_latest(times, validation, tested), tested, NEVER])


def _latest(times: Times, share: float, before: np.uint64) -> np.uint64:
    """Where the latest share of the rows before a moment begins."""
    if not share:
        return before
    found = times.moments.latest(share, before)
    if found is None:
        raise DataError(f"column {times.clock.name!r} has one moment only: nothing can be held out")
    return found


def _by_time(times: Times, seed: int, starts: Array, roles: Roles) -> _Division:
    return _Division(ByTime(times.clock, starts), seed, TESTED, HELD, roles, apart=HELD)


class _Division:
    """Rows that test, that are held out and that are trained on, of which some are kept.

    Parameters
    ----------
    rule : callable
        What rows draw, as :func:`by_row`.
    seed : int
    tested, held : float
        Rows with draws below these test, or are held out.
    roles : Roles
    apart : float
        Rows with draws below this are not trained on where more test or are held out than are kept;
        others then are.

    Attributes
    ----------
    kinds : tuple of Kept
        Rows that test, that are held out, and a sample of the others.
    offered : int
        Rows that were looked at.
    """

    def __init__(
        self, rule: Rule, seed: int, tested: float, held: float, roles: Roles, apart: float = 0.0
    ) -> None:
        self.rule, self._seed, self._roles = rule, seed, roles
        self.kinds = (
            Kept(TEST_ROWS, 0.0, tested), Kept(HELD_OUT_ROWS, tested, held),
            Kept(SAMPLE_ROWS, 0.0, 1.0),
        )  # fmt: skip
        self._shares = tested, held - tested
        self._trained_from, self._apart = held, apart
        self.offered = self._left_out = 0

    def _draws(self, rows: Frame, numbers: Array) -> Array:
        weight = self._roles.weight
        return self.rule(self._seed, numbers, rows.without(weight) if weight else rows)

    def offer(self, rows: Frame, numbers: Array) -> None:
        """Look at further rows."""
        draws = self._draws(rows, numbers)
        for kept in self.kinds[:2]:
            kept.offer(rows, draws, numbers)
        rest = draws >= self._trained_from
        self.kinds[2].offer(rows.rows(rest), drawn(self._seed, numbers[rest]), numbers[rest])
        self.offered += len(rows)
        self._left_out += int((~(draws >= self._apart)).sum())

    @property
    def learned_from(self) -> int:
        """How many of the rows that were looked at are trained on."""
        beside = [kept.count for kept in self.kinds[:2] if kept.low >= self._apart]
        return self.offered - self._left_out - sum(beside)

    def sets_apart(self, rows: Frame, numbers: Array) -> Array:
        """Which rows are not trained on, (n,) bool."""
        draws = self._draws(rows, numbers)
        found: Array = self.kinds[0].holds(draws) | self.kinds[1].holds(draws)
        return found | ~(draws >= self._apart)

    def repeats(self, like: Frame) -> bool:
        """Whether rows repeat by nature, as those that are held out say, or else those that test.

        Parameters
        ----------
        like : Frame
        """
        rows = next((kept for kept in self.kinds[1::-1] if kept.count), self.kinds[2]).rows(like)
        return are_of_counts([*self._roles.features(rows).columns, rows[self._roles.target]])

    def require_groups(self, source: str) -> None:
        """Refuse groups of which none is among those that test or are held out.

        Raises
        ------
        DataError
            With their column.
        """
        for kept, wanted in zip(self.kinds[:2], self._shares, strict=True):
            if self._roles.group is not None and wanted and not kept.count:
                raise DataError(
                    f"{source}: column {self._roles.group!r} has so few groups that none of them"
                    f" is among the {wanted:.0%} that are held out; try a larger share, or another"
                    " seed"
                )

    def packed(self) -> list[Any]:
        """What was counted and kept, as JSON can say it."""
        return [self.offered, self._left_out, *[kept.packed() for kept in self.kinds]]

    def replaced(self, parts: Sequence[Sequence[Any]]) -> None:
        """Have what all processes have counted and kept."""
        offered, left_out, *kinds = zip(*parts, strict=True)
        self.offered, self._left_out = sum(offered), sum(left_out)
        for kept, each in zip(self.kinds, kinds, strict=True):
            kept.replaced(each)


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
