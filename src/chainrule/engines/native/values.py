"""Values on their way between memory and registers, and how reductions combine them."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.engines.native.access import Access
from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.lowering import ROWS_OF_TABLE, Site, register_type
from chainrule.engines.native.schedule import VIEWS
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.tiling import ProductSpec
from chainrule.graph.node import Node
from chainrule.ops.build import ROW_COUNT


class Scope:
    """What code of one function knows: where every node's elements lie.

    Attributes
    ----------
    emit : Emitter
    access : callable
        ``access(node)``: the node's :class:`Access`.
    products : list of ProductSpec
        The matrix products that need scratch memory at ``%scratch``.
    rows : int or None
        Of a usual batch; None if not known.
    share : Share or None
        The part of the work that the function does; None for all.
    """

    def __init__(
        self,
        emit: Emitter,
        access: Callable[[Node], Access],
        products: list[ProductSpec],
        rows: int | None = None,
        share: Share | None = None,
    ) -> None:
        self.emit, self.access, self.products = emit, access, products
        self.rows, self.share = rows, share


def is_immediate(node: Node) -> bool:
    """Whether a value can be written into the code: a number everywhere, or the number of rows."""
    base = _looked_at(node)
    return base.op is ROW_COUNT or (base.payload is not None and base.payload.size == 1)


def immediate(emit: Emitter, node: Node, lanes: int) -> str:
    """The operand for such a value."""
    type_, base = register_type(node.dtype, lanes), _looked_at(node)
    if base.op is ROW_COUNT:
        return emit.splat(type_, "%rows")
    assert base.payload is not None
    return type_.constant(base.payload.reshape(-1)[0])


def _looked_at(node: Node) -> Node:
    while node.op.name in VIEWS:
        node = node.operands[0]
    return node


def lower_cast(emit: Emitter, node: Node, value: str, lanes: int) -> str:
    """An integer as i64."""
    source = register_type(node.dtype, lanes)
    if source.bits == 64:
        return value
    widen = "zext" if node.dtype.kind in "ub" else "sext"
    return emit.let(f"{widen} {source} {value} to {Vector('i64', lanes)}")


def from_memory(emit: Emitter, type_: Vector, pointer: str, node: Node) -> str:
    """Load a value; bytes become truth values."""
    loaded = emit.load(type_, pointer)
    if node.dtype.kind != "b":
        return loaded
    return emit.let(f"icmp ne {type_} {loaded}, {type_.constant(0)}")


def to_memory(
    emit: Emitter, node: Node, value: str, pointer: str, lanes: int, mask: str | None = None
) -> None:
    """Store a value, in the lanes that exist; truth values become bytes."""
    memory = Vector.of(node.dtype, lanes)
    if node.dtype.kind == "b":
        value = emit.let(f"zext {register_type(node.dtype, lanes)} {value} to {memory}")
    emit.masked_store(memory, value, pointer, mask)


COMBINING = {
    "sum": "add",
    "prod": "multiply",
    "max": "maximum",
    "min": "minimum",
    "all": "logical_and",
    "any": "logical_or",
}


def combine(emit: Emitter, node: Node, total: str, value: str, lanes: int) -> str:
    """One more element taken into a reduction."""
    if node.dtype.kind == "b" and node.op.name in ("max", "min"):
        instruction = "or" if node.op.name == "max" else "and"
        return emit.let(f"{instruction} {Vector('i1', lanes)} {total}, {value}")
    return ROWS_OF_TABLE[COMBINING[node.op.name]](Site(emit, node, lanes), total, value)


def identity(node: Node, lanes: int) -> str:
    """What a reduction of no elements gives."""
    type_ = register_type(node.dtype, lanes)
    name, kind = node.op.name, node.dtype.kind
    if name in ("sum", "any"):
        return type_.constant(0)
    if name in ("prod", "all"):
        return type_.constant(1)
    if kind == "f":
        return type_.constant(float("-inf") if name == "max" else float("inf"))
    if kind == "b":
        return type_.constant(name == "min")
    least, greatest = (
        (0, 2**type_.bits - 1)
        if kind == "u"
        else (-(2 ** (type_.bits - 1)), 2 ** (type_.bits - 1) - 1)
    )
    return type_.constant(least if name == "max" else greatest)


def horizontal(emit: Emitter, node: Node, value: str, lanes: int) -> str:
    """All lanes combined, halves with halves: always in the same order."""
    while lanes > 1:
        type_, half = register_type(node.dtype, lanes), lanes // 2
        low, high = (
            emit.let(
                f"shufflevector {type_} {value}, {type_} poison, <{half} x i32> <"
                + ", ".join(f"i32 {first + lane}" for lane in range(half))
                + ">"
            )
            for first in (0, half)
        )
        if half == 1:
            narrow = register_type(node.dtype, 1)
            low, high = (emit.let(f"extractelement <1 x {narrow}> {x}, i64 0") for x in (low, high))
        value, lanes = combine(emit, node, low, high, half), half
    return value
