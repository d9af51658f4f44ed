"""Along which axes a group may be cut into parts, and what a part then reads and writes.

Parts are cut along outputs, never along sums: each element has the bits that it has without.
Partial sums are outputs, too: each belongs to one part, and is over its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from chainrule.engines.native.axes import is_last
from chainrule.engines.native.interleaving import PRODUCT
from chainrule.engines.native.partial import partial_sums
from chainrule.engines.native.parts import product_spec
from chainrule.engines.native.schedule import VIEWS, Group, GroupKind, row_sums
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import plan
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.shapes import FLOAT32, ROWS, Extent

Axis: TypeAlias = int | None  # along which a part of a value lies; None for all of it
ROW = 0  # the axis of a product
ALONE, LATER = -1, -2  # in place of an axis: one part does all of it; when all parts are there


class Touch(NamedTuple):
    """What a part reads or writes of a value: its share along an axis, or all of it.

    The axis of groups that are not cut is `ALONE` or `LATER`.
    """

    node: Node
    axis: Axis


def cut_axis(group: Group) -> int | None:
    """The axis along which a group may be cut: the outermost one that it keeps.

    Parts are then rows, which lie together: what threads write between each other's lines their
    processors fetch ahead in vain, from one another. Of a stack of products they are some of these.
    None for products of integers.
    """
    if partial_sums(group.nodes):
        return ROW
    if group.kind is GroupKind.PRODUCT:
        product = group.nodes[0]
        return ROW if product.op is not PRODUCT and product.dtype.kind == "f" else None
    if group.kind is not GroupKind.LOOP:
        return None
    axes = [axis for axis, extent in enumerate(group.space) if extent != 1]
    return next((axis for axis in axes if axis not in (group.axes or ())), None)


def cut_extent(group: Group, axis: int) -> Extent:
    """What is cut: of partial sums the rows."""
    return ROWS if partial_sums(group.nodes) else group.space[axis]


def cut_unit(group: Group, axis: int, target: Target, batch: int | None) -> int:
    """What parts are multiples of, so that vectors and tiles stay whole.

    A loop writes whole vectors up to its part's end: one that reaches over it is the next part's.
    """
    rows = cut_extent(group, axis) == ROWS
    if group.kind is GroupKind.PRODUCT:
        if len(group.space) > 2:
            return 1
        return target.lanes(FLOAT32) if rows else plan(product_spec(group, batch), target).tile.rows
    if not rows and not is_last(group.space, axis):
        return 1
    values = [x for node in group.nodes for x in (node, *node.operands)]
    most = [target.lanes(x.dtype) for x in values if x.dtype.kind != "b"]
    if rows:
        most.append(target.lanes(FLOAT32))
    return max(most, default=1)  # a multiple of what the loop will take


def writes(group: Group, axis: int, stored: dict[Node, bool]) -> Iterator[Touch]:
    """What a part of a group writes; what a product sums up is there when all parts are."""
    sums = partial_sums(group.nodes)
    for node in sums.values() if sums else group.nodes:
        if node.op.kind is Kind.REDUCTION:
            yield Touch(node, _reduced_axis(node, axis))
        elif node in stored:
            yield Touch(node, axis)


def _reduced_axis(node: Node, axis: int) -> int:
    """Where an axis that is kept comes to lie in a reduction's result."""
    if axis < 0 or node.attributes["keepdims"]:
        return axis
    axes: tuple[int, ...] = node.attributes["axes"]
    return axis - sum(each < axis for each in axes)


def reads(group: Group, axis: int, inputs: dict[Node, None]) -> Iterator[Touch]:
    """What a part of a group reads, beside what it has computed itself."""
    inside = {node for node in group.nodes if node.op.kind is not Kind.REDUCTION}
    sums = partial_sums(group.nodes)
    for node in sums or group.nodes:
        for position, operand in enumerate(node.operands):
            if operand not in inside or operand.shape != group.space:
                yield followed(operand, _operand_axis(group, node, position, axis), inputs)


def _operand_axis(group: Group, node: Node, position: int, axis: int) -> Axis:
    """The axis of an operand that goes along with one of the group's space."""
    if axis < 0:
        return axis
    if partial_sums(group.nodes):
        return summed_axis(node, position)
    if node.op.kind is Kind.CONTRACTION and node.ndim == 2:
        return _product_axis(node, position, axis)
    operand = node.operands[position]
    own = axis - (len(group.space) - operand.ndim)
    return own if own >= 0 and operand.shape[own] == group.space[axis] else None


def _product_axis(node: Node, position: int, axis: int) -> Axis:
    """The first operand has the rows, the second the columns."""
    if position != axis:
        return None
    return 1 - axis if node.attributes[("transpose_a", "transpose_b")[position]] else axis


def summed_axis(node: Node, position: int) -> Axis:
    """The axis of an operand that a product, or a sum over its first axis, sums over."""
    if node.op.kind is not Kind.CONTRACTION:
        return ROW if ROW in node.attributes["axes"] else None
    flipped = node.attributes[("transpose_a", "transpose_b")[position]]
    return ROW if flipped == (position == 0) else 1 - ROW


def followed(node: Node, axis: Axis, inputs: dict[Node, None]) -> Touch:
    """What a view looks at, and the axis of it that goes along with one of the view's."""
    while node.op.name in VIEWS and node not in inputs:
        axis = axis if axis is None or axis < 0 else _FOLLOWED[node.op.name](node, axis)
        node = node.operands[0]
    return Touch(node, axis)


def _through_reshape(node: Node, axis: int) -> Axis:
    """Only where axes of size 1 come and go."""
    (x,) = node.operands
    mine, others = ([i for i, e in enumerate(each.shape) if e != 1] for each in (node, x))
    same = [node.shape[i] for i in mine] == [x.shape[i] for i in others]
    return others[mine.index(axis)] if same and axis in mine else None


def _through_permutation(node: Node, axis: int) -> Axis:
    found: int = node.attributes["axes"][axis]
    return found


def _through_broadcast(node: Node, axis: int) -> Axis:
    (x,) = node.operands
    own = axis - (node.ndim - x.ndim)
    return own if own >= 0 and x.shape[own] == node.shape[axis] else None


def _through_slice(node: Node, axis: int) -> Axis:
    (x,) = node.operands
    whole = node.shape[axis] == x.shape[axis] and node.attributes["steps"][axis] == 1
    return axis if whole else None


def _through_flip(node: Node, axis: int) -> Axis:
    return None if axis in node.attributes["axes"] else axis


_FOLLOWED: dict[str, Callable[[Node, int], Axis]] = {
    "reshape": _through_reshape,
    "permute_dims": _through_permutation,
    "broadcast_to": _through_broadcast,
    "slice": _through_slice,
    "flip": _through_flip,
}


def is_summed_later(node: Node, group: Group) -> bool:
    """Whether a value is known only when all parts of its group are."""
    return group.kind is GroupKind.PRODUCT and node in row_sums(group)
