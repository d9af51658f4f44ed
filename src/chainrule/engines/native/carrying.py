"""Which values of a step may be written where the value they follow lies.

A program's step turns carried values into the next ones, which come to lie in the same arrays. A
value is written there at once if nobody needs the old one later, and nobody beside the same
element; otherwise it waits in the arena, and is copied when the step ends. Nothing is written over
before the loss is known: a loss that is not finite leaves the carried values as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chainrule.engines.native.schedule import Group, GroupKind
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Kind


def loss_group(graph: Graph, groups: Sequence[Group], carried: int) -> int:
    """The group that computes a step's first record, its loss."""
    loss = graph.outputs[carried]
    return next(index for index, group in enumerate(groups) if loss in group.nodes)


def waiting(
    graph: Graph, groups: Sequence[Group], home: Callable[[Node], Node], carried: int
) -> list[Node]:
    """The next carried values that must not be written at once."""
    known = loss_group(graph, groups, carried)
    place = {node: index for index, group in enumerate(groups) for node in group.nodes}
    readers = _readers(groups, home)

    def waits(pair: tuple[Node, Node]) -> bool:
        before, after = pair
        written = place[after]
        return written <= known or any(
            index > written or (index == written and not _beside(groups[index], node, pair, home))
            for index, node in readers.get(before, ())
        )

    pairs = zip(graph.inputs[:carried], graph.outputs[:carried], strict=True)
    return [pair[1] for pair in pairs if waits(pair)]


def read_elsewhere(
    groups: Sequence[Group], home: Callable[[Node], Node], replaced: Mapping[Node, Node]
) -> list[Node]:
    """Those next values that lie where another group has read the value before."""
    place = {node: index for index, group in enumerate(groups) for node in group.nodes}
    readers = _readers(groups, home)
    return [
        after
        for after, before in replaced.items()
        if any(index != place[after] for index, _ in readers.get(before, ()))
    ]


def _readers(
    groups: Sequence[Group], home: Callable[[Node], Node]
) -> dict[Node, list[tuple[int, Node]]]:
    """For each value who reads it, through views as well: a group's index and a node in it."""
    found: dict[Node, list[tuple[int, Node]]] = {}
    for index, group in enumerate(groups):
        for node in group.nodes:
            for operand in node.operands:
                found.setdefault(home(operand), []).append((index, node))
    return found


def _beside(
    group: Group, reader: Node, pair: tuple[Node, Node], home: Callable[[Node], Node]
) -> bool:
    """Whether each element is read in the turn that writes its successor, and in no other."""
    before, after = pair
    direct = all(x is before for x in reader.operands if home(x) is before)
    elementwise = group.kind is not GroupKind.ROUTINE and reader.op.kind is Kind.ELEMENTWISE
    return direct and elementwise and before.shape == after.shape == group.space
