"""Members side by side: small networks that train at once, laid so that lanes are members.

A step of many members has their axis in front of all others. Where the networks are small, a row
of one of them fills no vector; but the members all do the same with numbers of their own. So the
step is built anew from that of one member, with the members' axis behind all others: elementwise
operations and sums go along it as they are, and a matrix product is one of matrices whose elements
are vectors ("compact" or interleaved layout: Kim et al. 2017, "Designing vector-friendly compact
BLAS and LAPACK kernels").

The rules mirror those of :mod:`chainrule.transforms.batch`. A step with an operation that has none
stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np

from chainrule import ops
from chainrule.engines.base import Program
from chainrule.engines.native.target import Target
from chainrule.graph.cost import node_operations
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, intern
from chainrule.graph.op import Kind, Op
from chainrule.shapes import ROWS, UINT32, Array, Shape, TensorType, bind_rows, size_of
from chainrule.transforms.batch import Case

GAIN = 1.05  # by how much fewer lanes must stand idle
MOST_BYTES = 2**17  # of one matrix of all members: larger ones are read past the first-level cache


def _product_type(a: TensorType, b: TensorType) -> TensorType:
    members = b.shape[2] if a.shape[2] == 1 else a.shape[2]
    return TensorType(a.dtype, (a.shape[0], b.shape[1], members))


def _numpy_product(a: Array, b: Array) -> Array:
    return np.moveaxis(np.matmul(np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)), 0, -1)


PRODUCT: Final = Op(
    "interleaved_product", Kind.CONTRACTION, _product_type, _numpy_product,
    summary="(m, k, members) times (k, n, members); one of them may have 1 in place of members.",
)  # fmt: skip


def _bits_type(keys: TensorType, shape: Shape, width: int) -> TensorType:
    one = ops.random.RANDOM_BITS.infer(TensorType(keys.dtype, (2,)), shape=shape, width=width)
    return TensorType(one.dtype, (*shape, keys.shape[-1]))


def _numpy_bits(keys: Array, *, shape: Shape, width: int) -> Array:
    found = ops.random.RANDOM_BITS.numpy(keys.T, shape=shape, width=width)
    return np.moveaxis(found, 0, -1)


BITS: Final = Op(
    "interleaved_bits", Kind.RANDOM, _bits_type, _numpy_bits,
    summary="Random integers for each member from the key of its own: keys (2, members).",
)  # fmt: skip


def interleaved(program: Program, target: Target) -> Program:
    """The program with its members' axis last in all that is carried and recorded.

    Behind what is carried come the members' numbers. What is recorded of all members alike is one
    number. The same program if there are no members, or if it would be no faster.
    """
    if program.single is None or not _is_worth_it(program, program.single, target):
        return program
    step = side_by_side(program, members_of(program))
    return program if step is None else replace(program, step=step, carried=program.carried + 1)


def members_of(program: Program) -> int:
    """How many members a program trains."""
    (members, *_) = program.step.inputs[0].shape
    assert isinstance(members, int)
    return members


def _is_worth_it(program: Program, single: Graph, target: Target) -> bool:
    """Whether members fill more lanes of vectors than rows of their matrices do."""
    members = members_of(program)
    products = [node for node in single.nodes if node.op.kind is Kind.CONTRACTION]
    sizes = [_fixed_bytes(x) for node in products for x in (node, *node.operands)]
    work = [node_operations(node, program.batch) for node in products]
    if not sum(work) or members * max(sizes) > MOST_BYTES:
        return False
    lanes = [target.lanes(node.dtype) for node in products]
    pairs = list(zip(products, work, lanes, strict=True))
    by_rows = sum(count * _slots(_row_length(node), each) for node, count, each in pairs)
    by_members = sum(count * _slots(members, each) for _, count, each in pairs)
    return by_rows > GAIN * by_members


def _slots(extent: int, lanes: int) -> float:
    """Lanes of the vectors that hold so many elements, for each of these."""
    return -(-extent // lanes) * lanes / extent


def _row_length(node: Node) -> int:
    """Elements that a product takes together in the layout of one member."""
    a, *_ = node.operands
    known = [x for x in (node.shape[-1], *a.shape[::-1]) if isinstance(x, int) and x > 1]
    return known[0] if known else 1


def _fixed_bytes(node: Node) -> int:
    """Of a matrix that does not grow with the rows."""
    return 0 if ROWS in node.shape else size_of(bind_rows(node.shape, None)) * node.dtype.itemsize


def side_by_side(program: Program, members: int) -> Graph | None:
    """The step of so many members; None where an operation has no rule, or a record is an array.

    Records of members stand side by side, so that parts of them can write to one array.
    """
    single = program.single
    assert single is not None
    if any(x.ndim for x in single.outputs[program.carried :]):
        return None
    many = {x: ops.input((*x.shape, members), x.dtype) for x in single.inputs[: program.carried]}
    *rows, key = single.inputs[program.carried :]
    numbers = ops.input((members,), UINT32)
    keys = ops.random.fold_in(ops.broadcast_to(key, (members, 2)), numbers)
    done: dict[Node, tuple[Node, bool]] = {leaf: (node, True) for leaf, node in many.items()}
    done[key] = ops.permute_dims(keys, (1, 0)), True
    for node in single.nodes:
        if node in done:
            continue
        operands = [done[x][0] for x in node.operands]
        batched = [done[x][1] for x in node.operands]
        if not any(batched):
            done[node] = node, False
            continue
        found = _interleaved(Case(node, operands, batched, members))
        if found is None:
            return None
        done[node] = found, True
    carried = [_spread(*done[x], members) for x in single.outputs[: program.carried]]
    records = [done[x][0] for x in single.outputs[program.carried :]]
    return Graph((*many.values(), numbers, *rows, key), (*carried, numbers, *records))


def _interleaved(case: Case) -> Node | None:
    node = case.node
    rule = RULES.get(node.op.name) or RULES.get(node.op.kind)
    result: Node | None = rule(case) if rule else None
    assert result is None or result.shape == (*node.shape, case.members)
    return result


def _aligned(case: Case) -> list[Any]:
    """The operands, those without members with an axis of size 1 in their place."""
    pairs = zip(case.operands, case.batched, strict=True)
    return [x if has or not x.ndim else ops.expand_dims(x, x.ndim) for x, has in pairs]


def _spread(node: Node, batched: bool, members: int) -> Node:
    """A node with the members' axis, repeated if it does not have it."""
    if batched:
        return node
    result: Node = ops.broadcast_to(ops.expand_dims(node, node.ndim), (*node.shape, members))
    return result


def _elementwise(case: Case) -> Any:
    return intern(case.node.op, tuple(_aligned(case)), case.node.attributes)


def _along_axes(case: Case) -> Any:
    """The axes keep their numbers."""
    return intern(case.node.op, tuple(case.operands), case.node.attributes)


def _product(case: Case) -> Any:
    node, flags = case.node, case.node.attributes
    if any(x.ndim != 2 for x in node.operands) or node.dtype.kind != "f":
        return None
    a, b = _aligned(case)
    a = ops.permute_dims(a, (1, 0, 2)) if flags["transpose_a"] else a
    b = ops.permute_dims(b, (1, 0, 2)) if flags["transpose_b"] else b
    if node.shape[1] != ROWS:
        return intern(PRODUCT, (a, b), {})
    turned = [ops.permute_dims(x, (1, 0, 2)) for x in (b, a)]  # columns are so many as are known
    return ops.permute_dims(intern(PRODUCT, tuple(turned), {}), (1, 0, 2))


def _to_shape(case: Case) -> Any:
    return ops.reshape(case.operands[0], (*case.node.shape, case.members))


def _repeat(case: Case) -> Any:
    return ops.broadcast_to(case.operands[0], (*case.node.shape, case.members))


def _permute(case: Case) -> Any:
    axes = case.node.attributes["axes"]
    return ops.permute_dims(case.operands[0], (*axes, len(axes)))


def _slice(case: Case) -> Any:
    box, (x,) = case.node.attributes, case.operands
    return intern(case.node.op, (x,), {
        "starts": (*box["starts"], 0), "stops": (*box["stops"], case.members),
        "steps": (*box["steps"], 1),
    })  # fmt: skip


def _concat(case: Case) -> Any:
    pairs = zip(case.operands, case.batched, strict=True)
    parts = [_spread(x, has, case.members) for x, has in pairs]
    return ops.concat(parts, case.node.attributes["axis"])


def _fold(case: Case) -> Any:
    """Keys of members stand side by side as well."""
    (key, number), (key_has, number_has) = case.operands, case.batched
    if number.ndim != number_has:  # a key for each of several numbers
        return None
    keys = ops.permute_dims(key, (1, 0)) if key_has else ops.broadcast_to(key, (case.members, 2))
    numbers = number if number_has else ops.broadcast_to(number, (case.members,))
    return ops.permute_dims(ops.random.fold_in(keys, numbers), (1, 0))


def _bits(case: Case) -> Any:
    return intern(BITS, tuple(case.operands), case.node.attributes)


Rule: TypeAlias = Callable[[Case], Any]
RULES: Final[dict[Any, Rule]] = {
    Kind.ELEMENTWISE: _elementwise,
    Kind.REDUCTION: _along_axes,
    Kind.SCAN: _along_axes,
    Kind.CONTRACTION: _product,
    "reshape": _to_shape,
    "broadcast_to": _repeat,
    "permute_dims": _permute,
    "flip": _along_axes,
    "slice": _slice,
    "concat": _concat,
    "fold_in": _fold,
    "random_bits": _bits,
}
"""By the name of an operation, or by its class."""


def interleaved_operations(node: Node, rows: int) -> int:
    """Multiplications and additions of a product."""
    extents = (*node.shape, node.operands[0].shape[1])
    return 2 * size_of(bind_rows(extents, rows))
