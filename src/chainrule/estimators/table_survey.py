"""One pass over a table that does not fit into memory: how many rows, and some of each kind.

Each row draws a number from the seed and what it holds, so that equal rows draw the same. Rows that
draw low ones test or are held out; of the others some are the sample that columns are understood
by. What is drawn depends on no other row, so that any number of processes would draw the same.
Where rows repeat by nature each draws by its own number, where whole groups are held out by the
name of its group, and where the latest rows are, time decides. Whether they repeat is known at the
end of the pass only: until then rows are kept for both cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import partial, reduce
from itertools import pairwise
from typing import Any, Final

import numpy as np

from chainrule.data.factored import Factored, joined
from chainrule.data.frames import Column, Frame
from chainrule.data.gathering import packed_frame, unpacked_frame
from chainrule.data.schema import Schema, infer_schema
from chainrule.data.streams import TableStream
from chainrule.engines.processes import gathered
from chainrule.errors import DataError, ParameterError
from chainrule.estimators.table_blocks import Remembering
from chainrule.estimators.table_drawing import (
    HELD,
    TESTED,
    ByTime,
    ForFold,
    by_content,
    by_group,
    by_row,
)
from chainrule.estimators.table_kept import Division
from chainrule.estimators.table_repeats import Weighing
from chainrule.estimators.table_roles import Roles
from chainrule.estimators.table_target import MOST_CLASSES, refuse_infinite
from chainrule.estimators.table_times import NEVER, Times
from chainrule.estimators.table_varying import Varying, with_rare_values
from chainrule.shapes import Array
from chainrule.training.prefetch import prefetched

READ_AHEAD: Final = 2
HEAD_ROWS: Final = 2**11  # that tell ids


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
        A column that varies in rows to train on also does in the sample.
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
    _way: Division = field(repr=False)
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
        schema: Schema | None = None,
        kinds: Mapping[str, str] | None = None,
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
        schema : Schema, optional
            What the columns are; by default what the first rows look like.
        kinds : mapping of str to str, optional
            Kinds of some columns.

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
            if group is None:
                roles = replace(roles, alike=_alike(table, roles, schema, kinds or {}))
            rules = (by_row, by_content) if group is None else (partial(by_group, group),)
            ways = [Division(rule, seed, float(test), float(end), roles) for rule in rules]
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

    def _ways(self, count: int) -> Iterator[Division]:
        if self._times is None:
            ends = 1 / count, 1 / count + (1 - 1 / count) * self._validation
            for fold in range(count):
                rule = ForFold(self._way.rule, fold, count)
                yield Division(rule, self.seed, *ends, self.roles, apart=ends[0])
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
    ways: Sequence[Division],
    validation: float,
    times: Times | None,
) -> Survey:
    """Read a table once, dividing it in all ways that may turn out to be the right one."""
    seen = _Seen(roles, ways)
    for number, frame in prefetched(stream.frames, READ_AHEAD):
        seen.add(number, frame)
    if stream.is_part:
        seen.share()
    like = seen.require_rows(stream.source)
    way = ways[0] if len(ways) == 1 or ways[0].repeats(like) else ways[-1]
    tested, held, sample = (kept.rows(like) for kept in way.kinds)
    way.require_groups(stream.source)
    found = Survey(
        stream, roles, seed, seen.rows, seen.missing, way.learned_from, sample, held, tested,
        seen.labels.column, None if roles.weight is None else seen.weighing, way, validation, times,
    )  # fmt: skip
    if found.learned_from == len(sample):
        return found
    training, names = found.training_frames(), seen.varying.names
    return replace(found, sample=with_rare_values(sample, names, training, shared=stream.is_part))


class _Seen:
    """What a pass has seen of a table so far.

    Parameters
    ----------
    roles : Roles
    ways : sequence of Division

    Attributes
    ----------
    rows, missing : int
        All, and those without a target.
    weighing : Weighing
    labels : _Labels
    varying : Varying
    """

    def __init__(self, roles: Roles, ways: Sequence[Division]) -> None:
        self._roles, self._ways = roles, ways
        self._first: Frame | None = None  # of no rows
        self.rows = self.missing = 0
        self.weighing, self.labels = Weighing(), _Labels(roles.target)
        self.varying = Varying()

    def add(self, number: int, frame: Frame) -> None:
        """Look at the rows from a number on."""
        column = frame[self._roles.target]
        refuse_infinite(column, frame)
        if self._first is None:
            self._first = frame.rows(slice(0, 0))
        self.rows, self.missing = self.rows + len(frame), self.missing + int(column.missing.sum())
        self.labels.add(column)
        there = self._roles.there(frame)
        usable, numbers = frame.rows(there), np.arange(number, number + len(frame))[there]
        weights = self._roles.weights(usable)
        if weights is not None:
            self.weighing = self.weighing.with_rows(weights)
        self.varying.add(usable)
        for way in self._ways:
            way.offer(usable, numbers)

    def share(self) -> None:
        """Also know what other processes have seen, each of rows of its own."""
        heads = [] if self._first is None else [packed_frame(self._first)]
        kept = [way.packed() for way in self._ways]
        mine = (
            self.rows, self.missing, astuple(self.weighing), heads, self.labels.packed,
            self.varying.packed(), kept,
        )  # fmt: skip
        counts, gone, weighings, likes, known, varied, parts = zip(*gathered(mine), strict=True)
        self.rows, self.missing = sum(counts), sum(gone)
        self.weighing = reduce(Weighing.together, [Weighing(*each) for each in weighings])
        self._first = next((unpacked_frame(like) for (like,) in filter(None, likes)), None)
        self.labels = _Labels.together(self._roles.target, known)
        self.varying.replaced(varied)
        for way, each in zip(self._ways, zip(*parts, strict=True), strict=True):
            way.replaced(each)

    def require_rows(self, source: str) -> Frame:
        """The table without its rows, if any of them can be learned from.

        Raises
        ------
        DataError
            If none has a target, or a weight.
        """
        if self._first is None or self.rows == self.missing:
            raise DataError(f"{source}: no row has a target in column {self._roles.target!r}")
        if not self._ways[0].offered:
            raise DataError(f"{source}: every row with a target weighs 0: nothing to learn")
        return self._first


def _alike(
    table: TableStream, roles: Roles, schema: Schema | None, kinds: Mapping[str, str]
) -> tuple[str, ...]:
    """Columns in which copies of a row may differ: ids and others that nothing is learned from.

    The first rows, which every process reads, say which these are; a column that does not vary
    there may do so later.
    """
    head = roles.features(joined([frame for _, frame in table.frames(range(HEAD_ROWS))]))
    known = (schema or infer_schema(head)).with_kinds(kinds)
    varies = {each.name for each in head.columns if len(each.distinct()) > 1}
    return tuple([x.name for x in known.columns if not x.is_used and x.name in {*varies, *kinds}])


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


def _by_time(times: Times, seed: int, starts: Array, roles: Roles) -> Division:
    return Division(ByTime(times.clock, starts), seed, TESTED, HELD, roles, apart=HELD)


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
