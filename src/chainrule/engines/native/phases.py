"""Phases: groups that threads go through together, without waiting for each other in between.

All groups of a phase are cut into as many parts. Part number p of a group reads, of what the phase
computes, only what part p of the groups before it has computed; so that a thread goes from one
group to the next at once, and finds in its own caches what it has just written. Between two phases
everybody waits for everybody: that, and what then moves between caches, has its price.

Which groups form phases is found by dynamic programming over the groups in their order: what costs
least for two threads, in operations. A large product is a phase by itself (`parts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from chainrule.engines.native.cuts import (
    ALONE,
    LATER,
    ROW,
    Axis,
    Touch,
    cut_axis,
    cut_extent,
    cut_unit,
    is_summed_later,
    reads,
    writes,
)
from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.partial import PARTIAL, PARTS, partial_sums
from chainrule.engines.native.parts import parts_of
from chainrule.engines.native.schedule import Group, GroupKind
from chainrule.engines.native.sharing import USUAL_ROWS, Own, Share, grows, shared_from, work
from chainrule.engines.native.sizes import extent_size, shape_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import ceil_div
from chainrule.graph.node import Node
from chainrule.records import dataclass
from chainrule.shapes import ROWS, Extent

# Operations in whose time threads come together: a third of a microsecond, and some time until all
# work at full speed.
WAIT = 150_000
# In whose time a byte comes from the processor that has written it: 64 of them take some 7 ns, half
# of an array does, and its writer takes as many lines back.
MOVED = 10
START = 500_000  # what it costs to share a step at all: rows and results lie elsewhere, too
GAIN = 0.9  # most of the cost that is left where one thread would else do all
LIGHT = 20_000  # operations of a group that one part may do alone
LONGEST = 64  # groups of a phase: the time to find phases is then linear in the number of groups


class Cut(NamedTuple):
    """How a group is cut.

    Attributes
    ----------
    axis : int
    unit : int
        What parts along it are multiples of, but for the last.
    """

    axis: int
    unit: int = 1


Part: TypeAlias = tuple[Axis, int]  # of a value: the axis and the unit


@dataclass(frozen=True)
class Phase:
    """A group, or several that are cut alike.

    Attributes
    ----------
    groups : tuple of Group
    start : int or None
        From how many rows on threads share it; None if they never do.
    cuts : tuple of Cut
        How each is cut; along `ALONE` if the last part does all of it. Empty for a group by itself,
        which is cut as it likes.
    """

    groups: tuple[Group, ...]
    start: int | None
    cuts: tuple[Cut, ...]

    @property
    def extents(self) -> list[tuple[Extent, int]]:
        """What is cut, and what parts of it are multiples of, but for the last."""
        pairs = zip(self.groups, self.cuts, strict=bool(self.cuts))
        found = [(cut_extent(group, axis), unit) for group, (axis, unit) in pairs if axis != ALONE]
        return list(dict.fromkeys(found))

    @property
    def partial(self) -> bool:
        """Whether it gives partial sums: then there are as many parts as these have."""
        return any(partial_sums(group.nodes) for group in self.groups)

    def count(self, emit: Emitter, threads: str) -> str:
        """Into how many parts it is cut, for so many threads: i64."""
        if self.partial:
            return str(PARTS)
        count = threads
        for extent, unit in self.extents:
            up = emit.integer("add", extent_size(extent).emit(emit), str(unit - 1))
            count = emit.integer("smin", count, emit.integer("sdiv", up, str(unit)))
        return emit.integer("smax", count, "1")

    def write_part(
        self, emit: Emitter, share: Share, write: Callable[[Group, Share | None], None]
    ) -> None:
        """Write one part of all groups, by ``write(group, share)``."""
        bounds = {
            (extent, unit): share.part(emit, extent_size(extent).emit(emit), unit)
            for extent, unit in self.extents
        }
        last = emit.let(f"icmp eq i64 {emit.integer('add', share.index, '1')}, {share.count}")
        for group, (axis, unit) in zip(self.groups, self.cuts, strict=True):
            if axis == ALONE:
                with emit.when(last):
                    write(group, None)
            else:
                bound = bounds[cut_extent(group, axis), unit]
                write(group, replace(share, own=Own(axis, bound)))


@dataclass(frozen=True)
class Setting:
    """What decides about phases, beside the groups.

    Attributes
    ----------
    target : Target
    batch : int or None
        Rows of a batch; None if not known.
    inputs : dict of Node
    stored : dict of Node
        What goes to memory.
    replaced : mapping of Node to Node
        What is written where another value lies: the next carried values.
    contested : dict of Node
        Of these, the ones that lie where other groups have read.
    """

    target: Target
    batch: int | None
    inputs: dict[Node, None]
    stored: dict[Node, bool]
    replaced: Mapping[Node, Node]
    contested: dict[Node, None]

    @property
    def rows(self) -> int:
        """Of a usual batch."""
        return self.batch or USUAL_ROWS

    def moved(self, touch: Touch) -> int:
        """What it costs to read more than what, as is to be expected, a part has written."""
        node, axis = touch
        if node.payload is not None or axis == ROW:
            return 0
        size = shape_size(node.shape)
        cost = MOVED * size.number * node.dtype.itemsize * (self.rows if size.of_rows else 1)
        if node.op is PARTIAL:
            cost //= PARTS
        return cost if axis is None or axis < 0 else cost // PARTS


class _Choice:
    """A group, and what is asked about it again and again.

    Attributes
    ----------
    alone : Phase
        Of this group, which is cut as it likes if it is large.
    apart : bool
        Whether it is better shared by itself: a large product that is not cut as a phase cuts it.
    load, row : int
        Operations; and those for one row.
    cost : int
        Of the group by itself.
    partial : bool
        Whether it gives partial sums.
    axis : int or None
        Along which it may be cut.
    unit : int
    reads, writes : dict of int to tuple of Touch
        For each way in which a phase can have it.
    moved : dict of int to dict of Node to int
        Likewise: operations in whose time values come from others.
    """

    def __init__(self, group: Group, setting: Setting) -> None:
        target, batch = setting.target, setting.batch
        self.group, self.axis = group, cut_axis(group)
        self.load, self.row = work(group, setting.rows), work(group, 1)
        self.partial = bool(partial_sums(group.nodes))
        start = None if self.partial else shared_from(group, batch)
        self.alone = Phase((group,), start, ())
        self.unit = 1 if self.axis is None else cut_unit(group, self.axis, target, batch)
        large = group.kind is GroupKind.PRODUCT and self.alone.start is not None
        parts = parts_of(group, target, batch, setting.rows) if large else None
        self.apart = large and (parts is None or not parts.alike(target))
        ways = [ALONE, LATER] if self.axis is None else [ALONE, LATER, self.axis]
        self.reads = {way: tuple(reads(group, way, setting.inputs)) for way in ways}
        self.writes = {way: tuple(writes(group, way, setting.stored)) for way in ways}
        self.moved = {way: self._moved(way, setting) for way in ways}
        self.cost = self._cost()

    def _moved(self, way: int, setting: Setting) -> dict[Node, int]:
        """What comes from others, and what is taken from them to be written: what each costs.

        One thread alone needs the half of what goes by rows that others have computed.
        """
        read = {x.node: setting.moved(x) for x in self.reads[way]}
        contested = [x.node for x in self.writes[way] if x.node in setting.contested]
        written = {node: setting.moved(Touch(node, None)) for node in contested}
        if way >= 0:
            return {node: cost // PARTS for node, cost in written.items()} | read
        late = any(node.op is PARTIAL for node in read)
        read = {
            node: cost if node.op is PARTIAL else cost // PARTS
            for node, cost in read.items()
            if node.op is PARTIAL or ROWS in node.shape
        }
        return written | read if late else read

    def _cost(self) -> int:
        """By itself."""
        alone = self.load + sum(self.moved[ALONE].values())
        if self.alone.start is None or self.axis is None:
            return alone
        return min(alone, WAIT + sum(self.moved[self.axis].values()) + self.load // PARTS)


class _Open:
    """A phase that grows."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.taken: list[_Choice] = []
        self.cuts: list[Cut] = []
        self.deferred: list[_Choice] = []
        self.written: dict[Node, Part | None] = {}  # None: when all parts are there
        self.read: dict[Node, set[Part]] = {}
        self.cut = self.alone = 0
        self.moved: dict[Node, int] = {}  # operations in whose time values come from others

    @property
    def cost(self) -> int:
        """In operations."""
        return WAIT + sum(self.moved.values()) + self.cut // PARTS + self.alone

    def way(self, choice: _Choice) -> Cut | None:
        """How a group can be taken in: along an axis, `ALONE`, or `LATER`; None if it can not."""
        if choice.axis is not None:
            cut = Cut(choice.axis, self._unit(choice, choice.axis))
            if self._has_parts(choice, cut) and self._fits(choice, cut):
                return cut
        if not self.taken or choice.partial or choice.load > LIGHT:
            return None
        return Cut(ALONE) if self._fits(choice, Cut(ALONE)) else Cut(LATER)

    def _unit(self, choice: _Choice, axis: int) -> int:
        """That of the parts it reads, where they are whole for it as well."""
        parts = (self.written.get(touch.node) for touch in choice.reads[axis])
        units = (part[1] for part in parts if part and part[0] != ALONE)
        return min((unit for unit in units if unit % choice.unit == 0), default=choice.unit)

    def _has_parts(self, choice: _Choice, cut: Cut) -> bool:
        """Whether what is cut has several parts, of whole units."""
        extent = cut_extent(choice.group, cut.axis)
        known = extent if isinstance(extent, int) else self.setting.rows
        return PARTS * cut.unit <= known

    def _fits(self, choice: _Choice, cut: Cut) -> bool:
        needed = [(touch.node, (touch.axis, cut.unit)) for touch in choice.reads[cut.axis]]
        return all(self._is_there(*each) for each in needed) and all(
            self._is_free(touch.node, (touch.axis, cut.unit), needed)
            for touch in choice.writes[cut.axis]
        )

    def _is_there(self, node: Node, part: Part) -> bool:
        """Whether a part finds what it reads."""
        return self.written.get(node, part) == part

    def _is_free(self, node: Node, part: Part, own: Sequence[tuple[Node, Part]]) -> bool:
        """Whether nobody else reads what a part writes over."""
        before = self.setting.replaced.get(node)
        seen = set() if before is None else self.read.get(before, set())
        return {*seen, *(each for read, each in own if read is before)} <= {part}

    def take(self, choice: _Choice, cut: Cut) -> None:
        """Take a group in."""
        if cut.axis == LATER:
            self.deferred.append(choice)
        else:
            self.taken.append(choice)
            self.cuts.append(cut)
        if cut.axis < 0:
            self.alone += choice.cost
        else:
            self.cut += choice.load
        for node, cost in choice.moved[cut.axis].items() if cut.axis >= 0 else ():
            if node not in self.written:
                self.moved[node] = max(cost, self.moved.get(node, 0))
        for touch in choice.reads[cut.axis]:
            self.read.setdefault(touch.node, set()).add((touch.axis, cut.unit))
        for touch in choice.writes[cut.axis]:  # what comes later nobody finds, nor may write over
            later = cut.axis == LATER or is_summed_later(touch.node, choice.group)
            self.written[touch.node] = None if later else (touch.axis, cut.unit)

    def closed(self) -> list[Phase]:
        """The phase as it is now, and what follows it."""
        groups = tuple(choice.group for choice in self.taken)
        growing = [choice for choice in self.taken if grows(choice.group)]
        fixed = sum(choice.load for choice in self.taken if choice not in growing)
        row = sum(choice.row for choice in growing)
        anyway = sum(sum(choice.moved[ALONE].values()) for choice in self.taken)
        price = PARTS * (WAIT + max(0, sum(self.moved.values()) - anyway))
        start = ceil_div(max(0, price - fixed), max(1, row)) if growing else 0
        phase = Phase(groups, start, tuple(self.cuts))
        if phase.partial:
            phase = replace(phase, start=0)
        return [phase, *(choice.alone for choice in self.deferred)]


def phases(groups: Sequence[Group], last: int, setting: Setting) -> tuple[int, list[Phase]]:
    """All groups in phases, in their order, and what that costs two threads, in operations.

    Parameters
    ----------
    groups : sequence of Group
    last : int
        The number of a group that ends its phase; negative if there is none.
    setting : Setting
    """
    choices = [_Choice(group, setting) for group in groups]
    best: list[tuple[int, list[Phase]]] = [(0, [])]  # from each group on, the last first
    for first in range(len(groups) - 1, -1, -1):
        cost, rest = best[-1]
        cheapest = choices[first].cost + cost, [choices[first].alone, *rest]
        end = last + 1 if first <= last else len(groups)
        for stop, opened in _grown(choices[first : min(end, first + LONGEST)], setting):
            cost, rest = best[len(groups) - first - stop]
            if opened.cost + cost < cheapest[0]:
                cheapest = opened.cost + cost, [*opened.closed(), *rest]
        best.append(cheapest)
    cost, found = best[-1]
    unshared = sum(choice.load for choice in choices)
    large = any(choice.alone.start is not None for choice in choices)
    if not large and GAIN * unshared <= cost + START:
        return unshared, [choice.alone for choice in choices]
    return cost + START, found


def _grown(choices: Sequence[_Choice], setting: Setting) -> Iterator[tuple[int, _Open]]:
    """The phases that begin with a group: how many they are, and what it is until it grows."""
    opened = _Open(setting)
    for count, choice in enumerate(choices, 1):
        cut = None if choice.apart else opened.way(choice)
        if cut is None:
            return
        opened.take(choice, cut)
        if cut.axis >= 0:
            yield count, opened
