"""Rules that remove movements, conversions and reductions that do nothing, and fold constants."""

from __future__ import annotations

import numpy as np

from chainrule.graph.node import SHARED_CONSTANT_SIZE, Node
from chainrule.graph.op import Kind
from chainrule.graph.walk import rebuild
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply, astype, constant
from chainrule.ops.contraction import product
from chainrule.ops.functions import count
from chainrule.ops.movement import broadcast_to, ones_like, permute_dims, reshape, zeros_like
from chainrule.ops.reduce import SUM
from chainrule.shapes import ROWS, broadcast_shapes, size_of
from chainrule.transforms.rules import Replacement, RuleTable, fitted, is_elementwise, is_op, number


def fold_constants(node: Node) -> Replacement:
    """f(c1, c2) = c."""
    if node.op.kind in (Kind.LEAF, Kind.RANDOM) or is_op(node, "broadcast_to"):
        return None
    arrays = [operand.payload for operand in node.operands]
    if any(array is None for array in arrays) or ROWS in node.shape:
        return None
    if size_of(node.shape) > SHARED_CONSTANT_SIZE:  # larger ones would swell the graph
        return None
    with np.errstate(all="ignore"):
        return constant(np.asarray(node.op.numpy(*arrays, **node.attributes)), node.dtype)


def drop_identity_movement(node: Node) -> Replacement:
    """a movement to the shape and order that is there already."""
    (x,) = node.operands
    if node.shape != x.shape:
        return None
    if is_op(node, "permute_dims") and node.attributes["axes"] != tuple(range(x.ndim)):
        return None
    return None if is_op(node, "pad") and any(node.attributes["interior"]) else x


def merge_movements(node: Node) -> Replacement:
    """reshape(reshape(x)) = reshape(x); broadcast(broadcast(x)) = broadcast(x)."""
    (x,) = node.operands
    if x.op is not node.op:
        return None
    (inner,) = x.operands
    if is_op(node, "permute_dims"):
        order = x.attributes["axes"]
        return permute_dims(inner, [order[axis] for axis in node.attributes["axes"]])
    return apply(node.op, inner, **node.attributes)


def double_flip(node: Node) -> Replacement:
    """flip(flip(x)) = x."""
    (x,) = node.operands
    return x.operands[0] if x.op is node.op and x.attributes == node.attributes else None


def reshape_of_number(node: Node) -> Replacement:
    """reshape(broadcast(c)) = broadcast(c)."""
    (x,) = node.operands
    if not is_op(x, "broadcast_to") or x.operands[0].shape != ():
        return None
    return broadcast_to(x.operands[0], node.shape)


def keep_reduced_axes(node: Node) -> Replacement:
    """reshape(sum(x)), putting the summed axes back = sum(x) with its axes kept."""
    (x,) = node.operands
    if x.op.kind is not Kind.REDUCTION or x.attributes["keepdims"]:
        return None
    kept = apply(x.op, *x.operands, axes=x.attributes["axes"], keepdims=True)
    return kept if kept.shape == node.shape else None


def movement_of_number(node: Node) -> Replacement:
    """permute, slice or flip of a number everywhere = that number everywhere."""
    (x,) = node.operands
    if number(x) is None or not is_op(x, "broadcast_to") or 0 in node.shape:
        return None
    return fitted(constant(number(x), node.dtype), node)


def drop_conversion(node: Node) -> Replacement:
    """astype(x, its own type) = x; astype(astype(bool, a), b) = astype(bool, b)."""
    (x,) = node.operands
    if x.dtype == node.dtype:
        return x
    if is_op(x, "astype") and x.operands[0].dtype.kind == "b" and node.dtype.kind != "b":
        return astype(x.operands[0], node.dtype)
    return None


def drop_broadcast_operand(node: Node) -> Replacement:
    """f(broadcast(x), y) = f(x, y) where y already has the shape."""
    if not is_elementwise(node) or not [x for x in node.operands if _repeats(x)]:
        return None
    operands = [*node.operands]
    for position, operand in enumerate(operands):
        if _repeats(operand):
            trial = [*operands[:position], operand.operands[0], *operands[position + 1 :]]
            if broadcast_shapes(*[each.shape for each in trial]) == node.shape:
                operands = trial
    return rebuild(node, tuple(operands)) if tuple(operands) != node.operands else None


def _repeats(x: Node) -> bool:
    """Whether broadcasting could do what ``x`` does: repeat, or give a scalar axes of size 1."""
    return is_op(x, "broadcast_to") or (is_op(x, "reshape") and x.operands[0].shape == ())


def broadcast_after(node: Node) -> Replacement:
    """f(broadcast(x), c) = broadcast(f(x, c)): compute before repeating."""
    if not is_elementwise(node) or not [x for x in node.operands if is_op(x, "broadcast_to")]:
        return None
    operands = tuple([x.operands[0] if is_op(x, "broadcast_to") else x for x in node.operands])
    shape = broadcast_shapes(*[operand.shape for operand in operands])
    if shape == node.shape or not all(operand.shape in ((), shape) for operand in operands):
        return None
    return broadcast_to(rebuild(node, operands), node.shape)


def drop_empty_reduction(node: Node) -> Replacement:
    """a reduction over no axes, or over axes of size 1, of sums, products, max and min."""
    (x,) = node.operands
    if any(x.shape[axis] != 1 for axis in node.attributes["axes"]) or node.dtype != x.dtype:
        return None
    return reshape(x, node.shape)


def merge_sums(node: Node) -> Replacement:
    """sum(sum(x)) = sum(x) over all the axes at once."""
    (x,) = node.operands
    if x.op is not SUM or x.attributes["keepdims"] or node.attributes["keepdims"]:
        return None
    inner = x.attributes["axes"]
    left = [axis for axis in range(x.operands[0].ndim) if axis not in inner]
    axes = sorted([*inner, *[left[axis] for axis in node.attributes["axes"]]])
    return apply(SUM, x.operands[0], axes=tuple(axes), keepdims=False)


def sum_of_broadcast(node: Node) -> Replacement:
    """sum of a scalar repeated n times = n times the scalar."""
    (x,) = node.operands
    if not is_op(x, "broadcast_to") or x.operands[0].shape != () or x.dtype.kind != "f":
        return None
    if 0 in x.shape:
        return zeros_like(node)
    total = ew.multiply(x.operands[0], count(x, node.attributes["axes"]))
    return fitted(total, node)


def sum_of_one_hot(node: Node) -> Replacement:
    """sum(one_hot(labels)) over the classes = 1."""
    (x,) = node.operands
    classes = is_op(x, "one_hot") and node.attributes["axes"] == (x.ndim - 1,)
    return ones_like(node) if classes else None


def transpose_into_product(node: Node) -> Replacement:
    """A' B: the product reads its operand transposed, no copy."""
    a, turned_a = _untransposed(node.operands[0])
    b, turned_b = _untransposed(node.operands[1])
    flags = node.attributes
    if not turned_a and not turned_b:
        return None
    return product(a, b, flags["transpose_a"] != turned_a, flags["transpose_b"] != turned_b)


def _untransposed(x: Node) -> tuple[Node, bool]:
    """What ``x`` is the transpose of, and True; or ``x`` itself, and False."""
    turned = is_op(x, "permute_dims") and x.attributes["axes"] == _swap(x.ndim)
    return (x.operands[0], True) if turned else (x, False)


def _swap(rank: int) -> tuple[int, ...]:
    return (*range(rank - 2), rank - 1, rank - 2)


def transposed_product(node: Node) -> Replacement:
    """(A B)' = B' A'."""
    (x,) = node.operands
    if not is_op(x, "matmul") or node.attributes["axes"] != _swap(x.ndim):
        return None
    (a, b), flags = x.operands, x.attributes
    return product(b, a, not flags["transpose_b"], not flags["transpose_a"])


_MOVEMENT = [drop_identity_movement, merge_movements, movement_of_number]
RULES: RuleTable = {
    "*": [fold_constants, drop_broadcast_operand, broadcast_after],
    "reshape": [drop_identity_movement, merge_movements, reshape_of_number, keep_reduced_axes],
    "permute_dims": [*_MOVEMENT, transposed_product],
    "broadcast_to": [drop_identity_movement, merge_movements],
    "slice": [drop_identity_movement, movement_of_number],
    "pad": [drop_identity_movement],
    "flip": [double_flip, movement_of_number],
    "astype": [drop_conversion],
    "sum": [drop_empty_reduction, merge_sums, sum_of_broadcast, sum_of_one_hot],
    "prod": [drop_empty_reduction],
    "max": [drop_empty_reduction],
    "min": [drop_empty_reduction],
    "matmul": [transpose_into_product],
}
