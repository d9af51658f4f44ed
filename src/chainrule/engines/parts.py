"""Sums over the rows of a batch that need not be put together yet.

Where each device has some of the rows, a sum over all of them costs a message, and its parts cost
none. What is linear in a sum has parts, too: the gradients that wait for an update are kept, step
after step, as parts, and summed over the devices when the update is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from chainrule.engines.choice import Choice, users_of
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.shapes import ROWS, is_float

Axes: TypeAlias = tuple[int | None, ...]
"""For each operand 0 where it comes in parts (rows, or parts of a sum), None where whole."""

OVER_ROWS: Final = ("sum", "matmul", "scatter_add")
LINEAR: Final[dict[str, Axes]] = {
    **dict.fromkeys(("add", "subtract"), (0, 0)),
    **dict.fromkeys(("negative", "astype", "reshape", "permute_dims", "broadcast_to"), (0,)),
    "divide": (0, None),
    "where": (None, 0, 0),
}
"""Operations that are linear in some of their operands together, while the others stand still."""


def parts_of(graph: Graph, carried: int, choice: Choice) -> dict[Node, Axes]:
    """The nodes that are kept in parts, and how each takes its operands.

    Parameters
    ----------
    graph : Graph
        A step, whose first ``carried`` outputs are the first inputs of the next step.
    carried : int
    choice : Choice
        Of the graph: what it computes where its condition holds may need sums that are whole.

    Returns
    -------
    dict
        Sums over rows, what is linear in them, and carried inputs, where all that needs them in
        every step is kept in parts itself, or is told after the epoch.
    """
    pairs = list(zip(graph.inputs[:carried], graph.outputs[:carried], strict=True))
    nodes, inner = graph.nodes, dict.fromkeys(choice.inner)
    kept = _reached([n for n in nodes if inner.keys().isdisjoint((n, *n.operands))], pairs)
    users, known = users_of(nodes), -1
    while len(kept) != known:
        known = len(kept)
        for pair in pairs:
            if not kept.keys() >= set(pair):
                _drop(kept, pair)
        for node in reversed(nodes):
            if not all(user in inner or _takes(user, node, kept) for user in users[node]):
                _drop(kept, [node])
    return _reached([node for node in nodes if node in kept], pairs)  # not what has no sum left


def _drop(kept: dict[Node, Axes], nodes: Iterable[Node]) -> None:
    for node in nodes:
        kept.pop(node, None)


def _takes(user: Node, node: Node, kept: Mapping[Node, Axes]) -> bool:
    """Whether ``user`` takes parts wherever ``node`` is an operand of it."""
    if user not in kept:
        return False
    ways = zip(user.operands, kept[user], strict=True)
    return all(axis == 0 for operand, axis in ways if operand is node)


def _reached(nodes: Sequence[Node], pairs: Sequence[tuple[Node, Node]]) -> dict[Node, Axes]:
    """Sums over rows, and what is linear in them, through carried values, too."""
    found: dict[Node, Axes] = {}
    known = -1
    while len(found) != known:
        known = len(found)
        for node in nodes:
            axes = None if node in found else _axes(node, found)
            if axes is not None:
                found[node] = axes
        found = {**{old: () for old, new in pairs if new in found}, **found}
    return found


def _axes(node: Node, found: Mapping[Node, Axes]) -> Axes | None:
    """How a node takes its operands if it can be computed in parts."""
    if ROWS in node.shape or not is_float(node.dtype):
        return None
    if any(ROWS in operand.shape for operand in node.operands):
        return _by_rows(node)
    reached: Axes = tuple([0 if operand in found else None for operand in node.operands])
    if node.op.name == "multiply":
        return reached if None in reached and 0 in reached else None
    axes = LINEAR.get(node.op.name, ())
    return axes if (0, 0) in zip(axes, reached, strict=False) else None


def _by_rows(node: Node) -> Axes | None:
    """How a sum over rows takes its operands."""
    shapes = [operand.shape for operand in node.operands]
    if node.op.name not in OVER_ROWS or any(ROWS in shape[1:] for shape in shapes):
        return None
    return tuple([0 if ROWS in shape else None for shape in shapes])
