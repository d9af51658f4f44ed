"""A step's groups, their order and their phases: those with which two threads are through first.

The usual order is the scheduler's, which knows the loss early. In another one comes first what is
computed row by row, up to the gradients of all layers: each thread goes through it with rows of its
own. Then what is summed over rows: the loss, and, as soon as that is known, the gradients of
parameters and what follows from them. If these are written as sums of `partial` sums, which belong
to the first of the two, then sums move between threads, and neither rows nor what was computed from
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from chainrule.engines.native.carrying import loss_group, read_elsewhere, waiting
from chainrule.engines.native.cuts import ROW, followed, summed_axis
from chainrule.engines.native.interleaving import PRODUCT
from chainrule.engines.native.partial import PARTIAL, PARTS, partial_sums
from chainrule.engines.native.phases import Phase, Setting, phases
from chainrule.engines.native.schedule import Group, GroupKind, Labels, Scheduler, stored_nodes
from chainrule.engines.native.sharing import USUAL_ROWS, grows, work
from chainrule.engines.native.target import Target
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, intern
from chainrule.graph.op import Kind
from chainrule.graph.walk import rebuild
from chainrule.ops import sum as sum_of
from chainrule.records import dataclass
from chainrule.shapes import ROWS

LEAST = 1_500_000  # operations of a step that may pay to be shared in two phases
MOST = 100_000_000  # of one that is divided into no more parts than partial sums have


@dataclass(frozen=True)
class Arrangement:
    """How a function goes about its graph.

    Attributes
    ----------
    graph : Graph
        Legalized; its outputs are distinct arrays.
    labels : sequence of Labels
        What is checked where it lies in memory: nodes of this graph.
    home : callable
        What a view looks at.
    phases : list of Phase
    stored : dict of Node
        What goes to memory.
    waiting : dict of Node
        The next carried values that must not be written at once.
    contested : dict of Node
        Of those that are, the ones whose memory others have read before.
    loss : Group or None
        What computes the loss of a program's step.
    cost : int
        For two threads, in operations.
    """

    graph: Graph
    labels: Sequence[Labels]
    home: Callable[[Node], Node]
    phases: list[Phase]
    stored: dict[Node, bool]
    waiting: dict[Node, None]
    contested: dict[Node, None]
    loss: Group | None
    cost: int

    @property
    def groups(self) -> list[Group]:
        """Of all phases."""
        return [group for phase in self.phases for group in phase.groups]


class Arranger:
    """Arranges one graph.

    Parameters
    ----------
    graph : Graph
        Legalized.
    labels : sequence of Labels
        What is checked where it lies in memory.
    target : Target
    carried : int or None
        For a program's step: how many outputs are the next values of the first inputs.
    rows : int or None
        Of a batch, where it is known.
    """

    def __init__(
        self,
        graph: Graph,
        labels: Sequence[Labels],
        target: Target,
        carried: int | None,
        rows: int | None,
    ) -> None:
        self.graph, self.labels, self.target = graph, labels, target
        self.carried, self.rows = carried, rows

    def run(self) -> Arrangement:
        """The usual arrangement, or the other one if that costs less."""
        return min(self._arrangements(), key=lambda found: found.cost)

    def _arrangements(self) -> Iterator[Arrangement]:
        labels, scheduler = self.labels, self._scheduler(self.graph)
        groups = scheduler.run()
        usual = self._arranged(scheduler, groups, labels)
        yield usual
        if self.carried is None or usual.cost < LEAST:
            return
        if self._may_sum_in_parts(groups):
            graph, labels = in_parts(self.graph, labels)
            scheduler = self._scheduler(graph)
            groups = scheduler.run()
        results = scheduler.graph.outputs[: self.carried]
        yield self._arranged(scheduler, by_rows(groups, scheduler.home, results), labels)

    def _may_sum_in_parts(self, groups: Sequence[Group]) -> bool:
        """Whether a step is small, and not one of members side by side.

        Some of these have the bits of all, and may cost too little for what pays for all.
        """
        operations = sum(work(group, self.rows or USUAL_ROWS) for group in groups)
        members = any(node.op is PRODUCT for node in self.graph.nodes)
        return operations <= MOST and not members

    def _scheduler(self, graph: Graph) -> Scheduler:
        carried = self.carried
        return Scheduler(graph, () if carried is None else graph.outputs[carried : carried + 1])

    def _arranged(
        self, scheduler: Scheduler, groups: Sequence[Group], labels: Sequence[Labels]
    ) -> Arrangement:
        """With the groups in this order."""
        graph, home, carried = scheduler.graph, scheduler.home, self.carried
        stored = _in_memory(scheduler, groups, labels)
        late = {} if carried is None else dict.fromkeys(waiting(graph, groups, home, carried))
        pairs = zip(graph.outputs[: carried or 0], graph.inputs, strict=False)
        replaced = {after: before for after, before in pairs if after not in late}
        known = -1 if carried is None else loss_group(graph, groups, carried)
        contested = dict.fromkeys(read_elsewhere(groups, home, replaced))
        setting = Setting(self.target, self.rows, scheduler.inputs, stored, replaced, contested)
        cost, found = phases(groups, known, setting)
        loss = None if carried is None else groups[known]
        return Arrangement(graph, labels, home, found, stored, late, contested, loss, cost)


def _in_memory(
    scheduler: Scheduler, groups: Sequence[Group], labels: Sequence[Labels]
) -> dict[Node, bool]:
    """The nodes whose values are stored."""
    stored = stored_nodes(scheduler.graph, groups, scheduler.home)
    for group in groups:
        if group.kind is GroupKind.ROUTINE:
            stored[group.nodes[0]] = True
        stored |= {node: True for node in group.nodes if node.op.kind is Kind.REDUCTION}
    whole = {node: None for group in groups for node in partial_sums(group.nodes)}
    computed = dict.fromkeys(node for group in groups for node in group.nodes)
    checked = [scheduler.home(each.node) for each in labels]
    stored |= {node: True for node in checked if node in computed}
    return {node: True for node in stored if node not in whole}


# Sums


def in_parts(graph: Graph, labels: Sequence[Labels]) -> tuple[Graph, list[Labels]]:
    """The graph with all sums over rows made of partial ones, and what is checked beside it.

    Sums over all of a matrix of another kind, such as the squares of a gradient, are made of those
    of its rows, which threads can share.
    """
    inputs = dict.fromkeys(graph.inputs)
    done: dict[Node, Node] = {node: node for node in inputs}
    for node in graph.nodes:
        if node not in done:
            found = rebuild(node, tuple(done[x] for x in node.operands))
            if _sums_rows(found, inputs):
                found = _total(found)
            elif found.op.name == "sum" and found.attributes["axes"] == (0, 1):
                found = sum_of(sum_of(found.operands[0], axis=1), axis=0)
            done[node] = found
    outputs = tuple(done[x] for x in graph.outputs)
    return Graph(graph.inputs, outputs), [x._replace(node=done[x.node]) for x in labels]


def _total(node: Node) -> Node:
    parts = intern(PARTIAL, (node,), {})
    first, second = (parts[i] for i in range(PARTS))
    total: Node = first + second
    return total


def _sums_rows(node: Node, inputs: dict[Node, None]) -> bool:
    """Whether a sum, or a matrix product, is over rows that lie one after the other."""
    if node.op.name not in ("sum", "matmul") or ROWS in node.shape or node.dtype.kind != "f":
        return False
    axes = [summed_axis(node, position) for position in range(len(node.operands))]
    return all(
        axis is not None and x.ndim <= 2 and x.shape[axis] == ROWS
        and followed(x, axis, inputs).axis == ROW
        for x, axis in zip(node.operands, axes, strict=True)
    )  # fmt: skip


# Orders


def by_rows(
    groups: Sequence[Group], home: Callable[[Node], Node], results: Sequence[Node]
) -> list[Group]:
    """The same nodes in another order.

    Parameters
    ----------
    groups : sequence of Group
    home : callable
        What a view looks at.
    results : sequence of Node
        The next carried values: what computes them is not brought forward.
    """
    computed = {node: None for group in groups for node in group.nodes}
    parts = [part for group in groups for part in _parted(group, home, computed)]
    place = {node: part for part, group in enumerate(parts) for node in group.nodes}
    needs = [_needed(part, group, place, home) for part, group in enumerate(parts)]
    written = dict.fromkeys(node for node in results if node.ndim)
    early: set[int] = set()  # all that they need is early, too
    given: set[int] = set()  # and these need nothing that goes by rows
    for part, group in enumerate(parts):
        fixed = not grows(group) and not any(node in written for node in group.nodes)
        if fixed and needs[part] <= given:
            given.add(part)
        if (fixed or _goes_by_rows(group)) and needs[part] <= early:
            early.add(part)
    first = _before({part for part in early if _goes_by_rows(parts[part])}, needs)
    rest = [part for part in range(len(parts)) if part not in first]
    turns = [*sorted(first & given), *sorted(first - given), *rest]
    return [parts[part] for part in turns]


def _before(parts: set[int], needs: Sequence[set[int]]) -> set[int]:
    """Parts, and all that they need."""
    found = set(parts)
    for part in range(len(needs) - 1, -1, -1):
        if part in found:
            found |= needs[part]
    return found


def _needed(
    own: int, group: Group, place: Mapping[Node, int], home: Callable[[Node], Node]
) -> set[int]:
    """The parts whose results a group reads."""
    read = (home(x) for node in group.nodes for x in node.operands)
    return {place[x] for x in read if x in place} - {own}


def _goes_by_rows(group: Group) -> bool:
    return _keeps_rows(group) or bool(partial_sums(group.nodes))


def _keeps_rows(group: Group) -> bool:
    """Whether a row of results comes from a row of what is read, as far as can be."""
    return group.space[:1] == (ROWS,) and ROW not in (group.axes or ())


def _parted(
    group: Group, home: Callable[[Node], Node], computed: Mapping[Node, object]
) -> Iterator[Group]:
    """A group for each of its turns."""
    turns = _turns(group, home, computed)
    for turn in sorted({*turns.values()}):
        nodes = [node for node in group.nodes if turns[node] == turn]
        reduces = any(node.op.kind is Kind.REDUCTION for node in nodes)
        yield Group(group.kind, group.space, nodes, group.axes if reduces else None)


def _turns(
    group: Group, home: Callable[[Node], Node], computed: Mapping[Node, object]
) -> dict[Node, int]:
    """When each node is computed.

    Of a loop over rows what it sums up comes first, then partial sums, which no other reduction
    may stand beside, then the rest; of numbers those that are known from the start come first.
    """
    nodes, sums = group.nodes, partial_sums(group.nodes)
    if group.kind is GroupKind.LOOP and not group.space:
        given = _given(group, home, computed)
        return {node: int(node not in given) for node in nodes}
    if group.kind is not GroupKind.LOOP or group.space[:1] != (ROWS,) or _keeps_rows(group):
        return dict.fromkeys(nodes, 0)
    partial = {*sums, *sums.values()}
    return {
        node: 1 if node in partial else 2 if node.op.kind is Kind.REDUCTION else 0 for node in nodes
    }


def _given(
    group: Group, home: Callable[[Node], Node], computed: Mapping[Node, object]
) -> dict[Node, None]:
    """The nodes that need nothing but inputs."""
    found: dict[Node, None] = {}
    for node in group.nodes:
        if all(x in found or x not in computed for x in map(home, node.operands)):
            found[node] = None
    return found
