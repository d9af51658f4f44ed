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
from math import lcm

from chainrule.engines.native.cuts import (
    ALONE,
    LATER,
    Axis,
    Touch,
    cut_axis,
    cut_unit,
    is_summed_later,
    reads,
    writes,
)
from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.parts import parts_of
from chainrule.engines.native.schedule import Group, GroupKind
from chainrule.engines.native.sharing import USUAL_ROWS, Own, Share, grows, shared_from, work
from chainrule.engines.native.sizes import extent_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import ceil_div
from chainrule.graph.node import Node
from chainrule.records import dataclass
from chainrule.shapes import Extent

# Operations in whose time threads come together and fetch what others wrote: they only wait for a
# third of a microsecond, but every line that another processor has written takes 10 ns.
WAIT = 1_000_000
PARTS = 2  # that phases are chosen for; any number of threads may go through them
LIGHT = 20_000  # operations of a group that one part may do alone
LONGEST = 64  # groups of a phase: the time to find phases is then linear in the number of groups


@dataclass(frozen=True)
class Phase:
    """A group, or several that are cut alike.

    Attributes
    ----------
    groups : tuple of Group
    start : int or None
        From how many rows on threads share it; None if they never do.
    axes : tuple of int
        The axis along which each is cut; `ALONE` for a group that the last part does. Empty for a
        group by itself, which is cut as it likes.
    units : dict of Extent to int
        What is cut, and what parts of it are multiples of, but for the last.
    """

    groups: tuple[Group, ...]
    start: int | None
    axes: tuple[int, ...]
    units: Mapping[Extent, int]

    def count(self, emit: Emitter, threads: str) -> str:
        """Into how many parts it is cut, for so many threads: i64."""
        count = threads
        for extent, unit in self.units.items():
            up = emit.integer("add", extent_size(extent).emit(emit), str(unit - 1))
            count = emit.integer("smin", count, emit.integer("sdiv", up, str(unit)))
        return emit.integer("smax", count, "1")

    def write_part(
        self, emit: Emitter, share: Share, write: Callable[[Group, Share | None], None]
    ) -> None:
        """Write one part of all groups, by ``write(group, share)``."""
        bounds = {
            extent: share.part(emit, extent_size(extent).emit(emit), unit)
            for extent, unit in self.units.items()
        }
        last = emit.let(f"icmp eq i64 {emit.integer('add', share.index, '1')}, {share.count}")
        for group, axis in zip(self.groups, self.axes, strict=True):
            if axis == ALONE:
                with emit.when(last):
                    write(group, None)
            else:
                write(group, replace(share, own=Own(axis, bounds[group.space[axis]])))


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
    """

    target: Target
    batch: int | None
    inputs: dict[Node, None]
    stored: dict[Node, bool]
    replaced: Mapping[Node, Node]

    @property
    def rows(self) -> int:
        """Of a usual batch."""
        return self.batch or USUAL_ROWS


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
    axis : int or None
        Along which it may be cut.
    unit : int
    reads, writes : dict of int to tuple of Touch
        For each way in which a phase can have it.
    """

    def __init__(self, group: Group, setting: Setting) -> None:
        target, batch = setting.target, setting.batch
        self.group, self.axis = group, cut_axis(group)
        self.load, self.row = work(group, setting.rows), work(group, 1)
        self.alone = Phase((group,), shared_from(group, batch), (), {})
        self.unit = 1 if self.axis is None else cut_unit(group, self.axis, target, batch)
        large = group.kind is GroupKind.PRODUCT and self.alone.start is not None
        parts = parts_of(group, target, batch, setting.rows) if large else None
        self.apart = large and (parts is None or not parts.alike(target))
        ways = [ALONE, LATER] if self.axis is None else [ALONE, LATER, self.axis]
        self.reads = {way: tuple(reads(group, way, setting.inputs)) for way in ways}
        self.writes = {way: tuple(writes(group, way, setting.stored)) for way in ways}


class _Open:
    """A phase that grows."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.taken: list[_Choice] = []
        self.axes: list[int] = []
        self.units: dict[Extent, int] = {}
        self.deferred: list[_Choice] = []
        self.written: dict[Node, Touch | None] = {}  # None: when all parts are there
        self.read: dict[Node, set[Axis]] = {}
        self.cut = self.alone = 0

    @property
    def cost(self) -> int:
        """In operations."""
        return WAIT + self.cut // PARTS + self.alone

    def way(self, choice: _Choice) -> int | None:
        """How a group can be taken in: along an axis, `ALONE`, or `LATER`; None if it can not."""
        axis = choice.axis
        if axis is not None and self._has_parts(choice, axis) and self._fits(choice, axis):
            return axis
        if not self.taken or choice.load > LIGHT:
            return None
        return ALONE if self._fits(choice, ALONE) else LATER

    def _has_parts(self, choice: _Choice, axis: int) -> bool:
        """Whether what is cut has several parts, of whole units."""
        extent = choice.group.space[axis]
        known = extent if isinstance(extent, int) else self.setting.rows
        return PARTS * self._unit(choice, extent) <= known

    def _unit(self, choice: _Choice, extent: Extent) -> int:
        return lcm(choice.unit, self.units.get(extent, 1))

    def _fits(self, choice: _Choice, way: int) -> bool:
        needed = choice.reads[way]
        return all(map(self._is_there, needed)) and all(
            self._is_free(touch, needed) for touch in choice.writes[way]
        )

    def _is_there(self, touch: Touch) -> bool:
        """Whether a part finds what it reads."""
        return touch.node not in self.written or self.written[touch.node] == touch

    def _is_free(self, touch: Touch, own: Sequence[Touch]) -> bool:
        """Whether nobody else reads what a part writes over."""
        before = self.setting.replaced.get(touch.node)
        seen = set() if before is None else self.read.get(before, set())
        return {*seen, *(each.axis for each in own if each.node is before)} <= {touch.axis}

    def take(self, choice: _Choice, way: int) -> None:
        """Take a group in."""
        if way == LATER:
            self.deferred.append(choice)
        else:
            self.taken.append(choice)
            self.axes.append(way)
        if way in (ALONE, LATER):
            self.alone += choice.load
        else:
            self.cut += choice.load
            extent = choice.group.space[way]
            self.units[extent] = self._unit(choice, extent)
        self._note(choice, way)

    def _note(self, choice: _Choice, way: int) -> None:
        """What a group reads and writes; what comes later nobody finds, nor may write over."""
        for touch in choice.reads[way]:
            self.read.setdefault(touch.node, set()).add(touch.axis)
        for touch in choice.writes[way]:
            later = way == LATER or is_summed_later(touch.node, choice.group)
            self.written[touch.node] = None if later else touch

    def closed(self) -> list[Phase]:
        """The phase as it is now, and what follows it."""
        groups = tuple(choice.group for choice in self.taken)
        growing = [choice for choice in self.taken if grows(choice.group)]
        fixed = sum(choice.load for choice in self.taken if choice not in growing)
        row = sum(choice.row for choice in growing)
        start = ceil_div(max(0, PARTS * WAIT - fixed), max(1, row)) if growing else 0
        phase = Phase(groups, start, tuple(self.axes), dict(self.units))
        return [phase, *(choice.alone for choice in self.deferred)]


def phases(groups: Sequence[Group], last: int, setting: Setting) -> list[Phase]:
    """All groups in phases, in their order.

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
        cheapest = choices[first].load + cost, [choices[first].alone, *rest]
        end = last + 1 if first <= last else len(groups)
        for stop, opened in _grown(choices[first : min(end, first + LONGEST)], setting):
            cost, rest = best[len(groups) - first - stop]
            if opened.cost + cost < cheapest[0]:
                cheapest = opened.cost + cost, [*opened.closed(), *rest]
        best.append(cheapest)
    return best[-1][1]


def _grown(choices: Sequence[_Choice], setting: Setting) -> Iterator[tuple[int, _Open]]:
    """The phases that begin with a group: how many they are, and what it is until it grows."""
    opened = _Open(setting)
    for count, choice in enumerate(choices, 1):
        way = None if choice.apart else opened.way(choice)
        if way is None:
            return
        opened.take(choice, way)
        if way not in (ALONE, LATER):
            yield count, opened
