"""Batching: a graph that does for many members at once what a given graph does for one.

``batch`` gives chosen leaves a new leading axis, and every node that depends on them follows.
Layers, losses and optimizers never see the axis. There is one rule for each class of operations;
:data:`RULES` is the whole table. Training many networks at once, Jacobians and Hessians use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from chainrule.errors import GraphError
from chainrule.graph.node import Node, intern
from chainrule.graph.op import Kind
from chainrule.graph.walk import topological_order
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply, constant
from chainrule.ops.indexing import scatter_add, take
from chainrule.ops.movement import broadcast_to, concat, moveaxis, permute_dims, reshape
from chainrule.shapes import ROWS, Shape
from chainrule.transforms.passes import graph_pass

Members: TypeAlias = int
Rule: TypeAlias = "Callable[[Node, Sequence[Node], Sequence[bool], Members], Any]"
"""``rule(node, operands, batched, members)``: the batched node; which operands have the axis."""


@graph_pass
def batch(outputs: Sequence[Node], leaves: Mapping[Node, Node]) -> list[Node]:
    """``outputs`` for every member at once.

    Parameters
    ----------
    outputs : sequence of Node
    leaves : mapping of Node to Node
        For each leaf that differs between members, one with a leading axis of their number.

    Returns
    -------
    list of Node
        Each with a leading axis of the number of members.

    Examples
    --------
    >>> import chainrule as cr
    >>> x, xs = cr.input((3,)), cr.input((10, 3))
    >>> cr.transforms.batch([cr.sum(x * x)], {x: xs})
    [<sum float64[10]>]
    """
    members = _common_members(leaves)
    done: dict[Node, tuple[Node, bool]] = {leaf: (many, True) for leaf, many in leaves.items()}
    for node in topological_order(outputs, leaves):
        if node not in done:
            operands = [done[operand][0] for operand in node.operands]
            batched = [done[operand][1] for operand in node.operands]
            done[node] = (
                (_batched(node, operands, batched, members), True)
                if any(batched)
                else (node, False)
            )
    return [_spread(*done[output], members) for output in outputs]


def _common_members(leaves: Mapping[Node, Node]) -> Members:
    counts = {many.shape[0] if many.ndim else None for many in leaves.values()}
    wrong = [
        leaf
        for leaf, many in leaves.items()
        if many.dtype != leaf.dtype or many.shape[1:] != leaf.shape
    ]
    if len(counts) != 1 or wrong or not isinstance(next(iter(counts)), int):
        raise GraphError(
            "every batched leaf needs its own type behind one common leading axis of fixed size"
        )
    (members,) = counts
    return members if isinstance(members, int) else 0


def _spread(node: Node, batched: bool, members: Members) -> Node:
    """``node`` with the members' axis, repeated if it does not have it."""
    result: Node = node if batched else broadcast_to(node, (members, *node.shape))
    return result


def _batched(
    node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members
) -> Node:
    result: Node = RULES[node.op.kind](node, operands, batched, members)
    if result.shape != (members, *node.shape):
        raise GraphError(
            f"batching {node!r} over {members} members gave {result!r}; please report it"
        )
    return result


def _aligned(operand: Node, rank: int, batched: bool) -> Node:
    """A batched operand with its own axes moved to the end, so that broadcasting meets them."""
    missing = rank + 1 - operand.ndim
    if not batched or missing == 0:
        return operand
    result: Node = reshape(operand, (operand.shape[0], *(1,) * missing, *operand.shape[1:]))
    return result


def _elementwise(
    node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members
) -> Any:
    aligned = [_aligned(x, node.ndim, has) for x, has in zip(operands, batched, strict=True)]
    return intern(node.op, tuple(aligned), node.attributes)


def _contraction(
    node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members
) -> Any:
    aligned = [_aligned(x, node.ndim, has) for x, has in zip(operands, batched, strict=True)]
    return intern(node.op, tuple(aligned), node.attributes)


def _along_axes(
    node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members
) -> Any:
    """Reductions and scans: the axes are one further to the right."""
    attributes = dict(node.attributes)
    if "axes" in attributes:
        attributes["axes"] = tuple(axis + 1 for axis in attributes["axes"])
    if "axis" in attributes:
        attributes["axis"] += 1
    return intern(node.op, tuple(operands), attributes)


def _movement(
    node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members
) -> Any:
    return _MOVEMENTS[node.op.name](node, operands, batched, members)


def _to_shape(
    node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members
) -> Any:
    (x,) = operands
    shape: Shape = (members, *node.shape)
    return (
        reshape(x, shape)
        if node.op.name == "reshape"
        else broadcast_to(_aligned(x, node.ndim, True), shape)
    )


def _permute(
    node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members
) -> Any:
    return apply(node.op, *operands, axes=(0, *[axis + 1 for axis in node.attributes["axes"]]))


def _slice(node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members) -> Any:
    box = node.attributes
    return apply(node.op, *operands, starts=(0, *box["starts"]), stops=(members, *box["stops"]),
                 steps=(1, *box["steps"]))  # fmt: skip


def _pad(node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members) -> Any:
    edges = ((0, 0), *node.attributes["edges"])
    return apply(node.op, *operands, edges=edges, interior=(0, *node.attributes["interior"]))


def _concat(node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members) -> Any:
    parts = [_spread(x, has, members) for x, has in zip(operands, batched, strict=True)]
    return concat(parts, node.attributes["axis"] + 1)


_MOVEMENTS: dict[str, Rule] = {
    "reshape": _to_shape,
    "broadcast_to": _to_shape,
    "permute_dims": _permute,
    "flip": _along_axes,
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
}


def _indexing(
    node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members
) -> Any:
    if node.op.name == "one_hot":
        return intern(node.op, tuple(operands), node.attributes)
    (x, indices), (x_has, indices_has) = operands, batched
    if not indices_has:
        return intern(
            node.op, (x, indices), {**node.attributes, "axis": node.attributes["axis"] + 1}
        )
    if node.op.name == "take" and not x_has:
        return moveaxis(take(x, indices, node.attributes["axis"]), node.attributes["axis"], 0)
    return _own_places(node, _spread(x, x_has, members), indices, members)


def _own_places(node: Node, x: Node, indices: Node, members: Members) -> Any:
    """Each member at its own indices: members laid end to end, indices shifted to their member."""
    axis, places = node.attributes["axis"], indices.ndim - 1
    extent = x.shape[axis + 1] if node.op.name == "take" else node.attributes["size"]
    if extent is ROWS:
        raise GraphError("members cannot index the rows of a batch each in their own way")
    inside = _shifted(indices, extent, members)
    before = range(1, 1 + axis)
    if node.op.name == "take":
        front = moveaxis(x, axis + 1, 1)
        taken = take(reshape(front, (members * extent, *front.shape[2:])), inside, 0)
        order = [0, *[places + each for each in before], *range(1, 1 + places)]
        return permute_dims(taken, [*order, *range(len(order), taken.ndim)])
    order = [0, *range(1 + axis, 1 + axis + places), *before]
    front = permute_dims(x, [*order, *range(len(order), x.ndim)])
    added = scatter_add(front, inside, 0, members * extent)
    return moveaxis(reshape(added, (members, extent, *added.shape[1:])), 1, axis + 1)


def _shifted(indices: Node, extent: int, members: Members) -> Node:
    """Indices into ``members`` axes laid end to end; one that was outside stays outside."""
    first = constant([extent * member for member in range(members)])
    outside = ew.logical_or(ew.less(indices, -extent), ew.greater_equal(indices, extent))
    place = ew.where(ew.less(indices, 0), indices + extent, indices)
    shifted = place + reshape(first, (members, *(1,) * (indices.ndim - 1)))
    result: Node = ew.where(outside, members * extent, shifted)
    return result


def _random(node: Node, operands: Sequence[Node], batched: Sequence[bool], members: Members) -> Any:
    """Each member has a key of its own; a number without axes serves them all."""
    spread = [
        _spread(x, has, members) if place == 0 or x.ndim else x
        for place, (x, has) in enumerate(zip(operands, batched, strict=True))
    ]
    return intern(node.op, tuple(spread), node.attributes)


RULES: dict[Kind, Rule] = {
    Kind.ELEMENTWISE: _elementwise,
    Kind.REDUCTION: _along_axes,
    Kind.SCAN: _along_axes,
    Kind.CONTRACTION: _contraction,
    Kind.MOVEMENT: _movement,
    Kind.INDEXING: _indexing,
    Kind.RANDOM: _random,
}
