"""Batching: a graph that does for many members at once what a given graph does for one.

``batch`` gives chosen leaves a new leading axis, and every node that depends on them follows.
Layers, losses and optimizers never see the axis. There is one rule for each class of operations;
:data:`RULES` is the whole table. Training many networks at once, Jacobians and Hessians use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.node import Node, intern
from chainrule.graph.op import Kind
from chainrule.graph.walk import topological_order
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply, constant
from chainrule.ops.indexing import scatter_add, take
from chainrule.ops.movement import broadcast_to, concat, moveaxis, pad, permute_dims, reshape
from chainrule.shapes import ROWS
from chainrule.transforms.passes import graph_pass


class Case(NamedTuple):
    """A node that depends on batched leaves."""

    node: Node
    operands: Sequence[Any]  # as they are now
    batched: Sequence[bool]  # which of them have the axis of the members
    members: int

    def aligned(self) -> list[Any]:
        """The operands, the batched ones with axes of size 1 for broadcasting to meet their own."""
        rank = self.node.ndim
        pairs = zip(self.operands, self.batched, strict=True)
        return [_aligned(operand, rank) if has else operand for operand, has in pairs]

    def spread(self) -> list[Any]:
        """The operands, all with the axis of the members."""
        pairs = zip(self.operands, self.batched, strict=True)
        return [_spread(operand, has, self.members) for operand, has in pairs]


Rule: TypeAlias = "Callable[[Case], Any]"
"""Gives the node for all members, in front of its own axes one of their number."""


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
            case = Case(node, operands, batched, members)
            done[node] = (_batched(case), True) if any(batched) else (node, False)
    return [_spread(*done[output], members) for output in outputs]


def _common_members(leaves: Mapping[Node, Node]) -> int:
    counts = {many.shape[0] if many.ndim else None for many in leaves.values()}
    fitting = all(
        many.dtype == leaf.dtype and many.shape[1:] == leaf.shape for leaf, many in leaves.items()
    )
    members = counts.pop() if len(counts) == 1 and fitting else None
    if not isinstance(members, int):
        raise GraphError(
            "every batched leaf needs its own type behind one common leading axis of fixed size"
        )
    return members


def _spread(node: Node, batched: bool, members: int) -> Node:
    """``node`` with the members' axis, repeated if it does not have it."""
    result: Node = node if batched else broadcast_to(node, (members, *node.shape))
    return result


def _aligned(operand: Node, rank: int) -> Node:
    """A batched operand with its own axes moved to the end of ``rank`` axes."""
    missing = rank + 1 - operand.ndim
    result: Node = reshape(operand, (operand.shape[0], *(1,) * missing, *operand.shape[1:]))
    return result


def _batched(case: Case) -> Node:
    result: Node = RULES[case.node.op.kind](case)
    if result.shape != (case.members, *case.node.shape):
        raise GraphError(
            f"batching {case.node!r} over {case.members} members gave {result!r}; please report it"
        )
    return result


def _broadcasting(case: Case) -> Any:
    return intern(case.node.op, tuple(case.aligned()), case.node.attributes)


def _along_axes(case: Case) -> Any:
    """The axes are one further to the right."""
    attributes = dict(case.node.attributes)
    if "axes" in attributes:
        attributes["axes"] = tuple(axis + 1 for axis in attributes["axes"])
    if "axis" in attributes:
        attributes["axis"] += 1
    return intern(case.node.op, tuple(case.operands), attributes)


def _random(case: Case) -> Any:
    """A key for each member, and where numbers are folded in, one for each key."""
    key, *numbers = case.spread()
    keys = key.shape[:-1]
    fitting = [broadcast_to(_aligned(number, len(keys) - 1), keys) for number in numbers]
    return intern(case.node.op, (key, *fitting), case.node.attributes)


def _movement(case: Case) -> Any:
    return _MOVEMENTS[case.node.op.name](case)


def _to_shape(case: Case) -> Any:
    return reshape(case.operands[0], (case.members, *case.node.shape))


def _repeat(case: Case) -> Any:
    return broadcast_to(case.aligned()[0], (case.members, *case.node.shape))


def _permute(case: Case) -> Any:
    return permute_dims(case.operands[0], [0, *[axis + 1 for axis in case.node.attributes["axes"]]])


def _slice(case: Case) -> Any:
    box = case.node.attributes
    return apply(case.node.op, *case.operands, starts=(0, *box["starts"]),
                 stops=(case.members, *box["stops"]), steps=(1, *box["steps"]))  # fmt: skip


def _pad(case: Case) -> Any:
    attributes = case.node.attributes
    return pad(case.operands[0], [(0, 0), *attributes["edges"]], [0, *attributes["interior"]])


def _concat(case: Case) -> Any:
    return concat(case.spread(), case.node.attributes["axis"] + 1)


_MOVEMENTS: dict[str, Rule] = {
    "reshape": _to_shape,
    "broadcast_to": _repeat,
    "permute_dims": _permute,
    "flip": _along_axes,
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
}


def _indexing(case: Case) -> Any:
    node = case.node
    if node.op.name == "one_hot":
        return intern(node.op, tuple(case.operands), node.attributes)
    x_has, indices_has = case.batched
    if not indices_has:
        return _along_axes(case)
    if node.op.name == "take" and not x_has:
        axis = node.attributes["axis"]
        return moveaxis(take(case.operands[0], case.operands[1], axis), axis, 0)
    x, indices = case.spread()
    return _own_places(node, x, indices, case.members)


def _own_places(node: Node, x: Node, indices: Node, members: int) -> Any:
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


def _shifted(indices: Node, extent: int, members: int) -> Node:
    """Indices into ``members`` axes laid end to end; one that was outside stays outside."""
    first = constant(np.arange(members) * extent)
    outside = ew.logical_or(ew.less(indices, -extent), ew.greater_equal(indices, extent))
    place = ew.where(ew.less(indices, 0), indices + extent, indices)
    shifted = place + reshape(first, (members, *(1,) * (indices.ndim - 1)))
    result: Node = ew.where(outside, members * extent, shifted)
    return result


RULES: dict[Kind, Rule] = {
    Kind.ELEMENTWISE: _broadcasting,
    Kind.REDUCTION: _along_axes,
    Kind.SCAN: _along_axes,
    Kind.CONTRACTION: _broadcasting,
    Kind.MOVEMENT: _movement,
    Kind.INDEXING: _indexing,
    Kind.RANDOM: _random,
}
