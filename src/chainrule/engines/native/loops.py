"""Loop groups as code: an index space visited once, in vectors along its last axis.

Neighbouring axes along which every array runs on without a gap are laid together first. The last
axis is then cut into pieces: full vectors, and what is left over in vectors of half the lanes, a
quarter, ... Reductions keep one accumulator for each piece, in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.engines.native.access import Access
from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.lowering import ROWS_OF_TABLE, Site, lower, register_type
from chainrule.engines.native.schedule import Group
from chainrule.engines.native.tiling import ProductSpec
from chainrule.engines.native.sizes import ONE, ZERO, Size, extent_size, natural_strides
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.ops.build import ROW_COUNT
from chainrule.shapes import Shape


class Scope:
    """What code of one function knows: where every node's elements lie.

    Attributes
    ----------
    emit : Emitter
    access : callable
        ``access(node)``: the node's :class:`Access`.
    products : list of ProductSpec
        The matrix products that need scratch memory at ``%scratch``.
    """

    def __init__(self, emit: Emitter, access: Callable[[Node], Access]) -> None:
        self.emit = emit
        self.access = access
        self.products: list[ProductSpec] = []


@dataclass(frozen=True)
class Piece:
    """A part of the last axis.

    Attributes
    ----------
    start, stop : str
        i64 operands.
    lanes : int
    single : bool
        Whether it is exactly one vector.
    """

    start: str
    stop: str
    lanes: int
    single: bool


@dataclass
class Axis:
    """One axis of the loops, after neighbours were laid together."""

    extent: Size
    reduced: bool
    strides: dict[Any, Size]


def pieces(emit: Emitter, extent: Size, lanes: int) -> list[Piece]:
    """The last axis in vectors: full ones, then halves; single elements where the size varies."""
    if extent.of_rows:
        size = extent.emit(emit)
        if lanes == 1:
            return [Piece("0", size, 1, False)]
        full = emit.let(f"and i64 {size}, {-lanes}")
        return [Piece("0", full, lanes, False), Piece(full, size, 1, False)]
    found, start = [], 0
    while start < extent.count:
        while lanes > extent.count - start:
            lanes //= 2
        stop = start + (extent.count - start) // lanes * lanes
        found.append(Piece(str(start), str(stop), lanes, stop - start == lanes))
        start = stop
    return found


class LoopWriter:
    """Writes one loop group.

    Parameters
    ----------
    scope : Scope
    group : Group
    stored : mapping of Node to bool
        The nodes whose values go to memory.
    """

    def __init__(self, scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
        self.scope, self.emit, self.group = scope, scope.emit, group
        self.reductions = [node for node in group.nodes if node.op.kind is Kind.REDUCTION]
        self.elementwise = [node for node in group.nodes if node.op.kind is not Kind.REDUCTION]
        self.inside = dict.fromkeys(self.elementwise)
        self.stored = [node for node in self.elementwise if node in stored]
        self.accesses: dict[Node, Access] = {}
        for node in group.nodes:
            for operand in node.operands:
                if not self._in_registers(operand) and not is_immediate(operand):
                    self.accesses[operand] = scope.access(operand)
        for node in self.stored:
            self.accesses[node] = scope.access(node)

    def _in_registers(self, operand: Node) -> bool:
        return operand in self.inside and operand.shape == self.group.space

    # Axes

    def axes(self) -> list[Axis]:
        """The axes of the loops, outermost first."""
        space, reduced = self.group.space, self.group.axes or ()
        strides = {node: self._strides(node) for node in self.accesses}
        found = [
            Axis(extent_size(extent), axis in reduced, {node: each[axis] for node, each in strides.items()})
            for axis, extent in enumerate(space)
        ]
        return self._collapsed(found)

    def _strides(self, node: Node) -> tuple[Size, ...]:
        return self.accesses[node].broadcast(self.group.space)

    def _collapsed(self, axes: list[Axis]) -> list[Axis]:
        """Neighbours laid together wherever every array runs on without a gap."""
        whole = [axis for axis in axes if axis.extent != ONE]
        found: list[Axis] = []
        for axis in whole:
            if found and _runs_on(found[-1], axis):
                extent = found[-1].extent.times(axis.extent)
                found[-1] = Axis(extent, axis.reduced, axis.strides)
            else:
                found.append(axis)
        return found or [Axis(ONE, bool(self.group.axes), dict.fromkeys(self.accesses, ZERO))]

    def lanes(self, last: Axis) -> int:
        """Lanes of a full vector; 1 where an array is not read along the last axis in order."""
        strided = any(stride not in (ZERO, ONE) for stride in last.strides.values())
        narrow = [node.dtype for node in self.group.nodes if node.dtype.kind != "b"]
        narrow += [node.dtype for node in self.accesses if node.dtype.kind != "b"]
        return 1 if strided else min([self.emit.target.lanes(dtype) for dtype in narrow] or [1])

    # Code

    def write(self) -> None:
        """Write the loops."""
        axes = self.axes()
        *outer, last = axes
        parts = pieces(self.emit, last.extent, self.lanes(last))
        if not self.reductions:
            self._nest(outer, [], lambda indices: self._along_last(outer, indices, last, parts))
        elif last.reduced:
            kept = [axis for axis in outer if not axis.reduced]
            self._nest(kept, [], lambda indices: self._reduce_last(outer, kept, indices, last, parts))
        else:
            kept = [axis for axis in outer if not axis.reduced]
            self._nest(kept, [], lambda indices: self._reduce_leading(outer, kept, indices, last, parts))

    def _nest(self, axes: Sequence[Axis], indices: list[str], body: Callable[[list[str]], None]) -> None:
        """Loops over ``axes``, and ``body`` inside them."""
        if not axes:
            body(indices)
            return
        with self.emit.loop("0", axes[0].extent.emit(self.emit)) as loop:
            self._nest(axes[1:], [*indices, loop.index], body)

    def _addresses(self, axes: Sequence[Axis], indices: Sequence[str], nodes: Sequence[Node]) -> dict[Node, str]:
        """For each array the address of its element at these outer indices."""
        return {
            node: self.accesses[node].address(
                self.emit, [(index, axis.strides[node]) for axis, index in zip(axes, indices, strict=True)]
            )
            for node in nodes
        }

    def _along_last(self, outer: list[Axis], indices: list[str], last: Axis, parts: Sequence[Piece]) -> None:
        bases = self._addresses(outer, indices, list(self.accesses))
        repeated = self._repeated(bases, last)
        for piece in parts:
            self._each(piece, lambda index, lanes: self._store(self._values(bases, repeated, last, index, lanes), bases, index, lanes))

    def _each(self, piece: Piece, body: Callable[[str, int], None]) -> None:
        if piece.single:
            body(piece.start, piece.lanes)
            return
        with self.emit.loop(piece.start, piece.stop, piece.lanes) as loop:
            body(loop.index, piece.lanes)

    def _repeated(self, bases: dict[Node, str], last: Axis) -> dict[Node, str]:
        """Scalars that are the same all along the last axis, loaded once."""
        return {
            node: self._from_memory(Vector.of(node.dtype, 1), bases[node], node)
            for node in self.accesses
            if last.strides[node] == ZERO and node not in self.inside
        }

    def _from_memory(self, type_: Vector, pointer: str, node: Node) -> str:
        loaded = self.emit.load(type_, pointer)
        if node.dtype.kind != "b":
            return loaded
        return self.emit.let(f"icmp ne {type_} {loaded}, {type_.constant(0)}")

    def _values(self, bases: dict[Node, str], repeated: dict[Node, str], last: Axis, index: str, lanes: int) -> dict[Node, str]:
        """The value of every elementwise node for one vector of indices."""
        values: dict[Node, str] = {}

        def operand_value(operand: Node) -> str:
            if operand not in values:
                values[operand] = self._load(operand, bases, repeated, last, index, lanes)
            return values[operand]

        self.operand_value = operand_value
        for node in self.elementwise:
            values[node] = lower(self.emit, node, [operand_value(x) for x in node.operands], lanes)
        return values

    def _load(self, operand: Node, bases: dict[Node, str], repeated: dict[Node, str], last: Axis, index: str, lanes: int) -> str:
        type_ = register_type(operand.dtype, lanes)
        if is_immediate(operand):
            return immediate(self.emit, operand, lanes)
        if operand in repeated:
            return self.emit.splat(type_, repeated[operand])
        stride = last.strides[operand]
        step = index if stride == ONE else self.emit.let(f"mul i64 {index}, {stride.emit(self.emit)}")
        memory = Vector.of(operand.dtype, lanes)
        return self._from_memory(memory, self.emit.pointer(bases[operand], step, memory.element), operand)

    def _store(self, values: dict[Node, str], bases: dict[Node, str], index: str, lanes: int) -> None:
        for node in self.stored:
            to_memory(self.emit, node, values[node], self.emit.pointer(bases[node], index, Vector.of(node.dtype, 1).element), lanes)

    # Reductions

    def _starts(self, parts: Sequence[Piece]) -> list[tuple[Vector, str]]:
        return [
            (register_type(node.dtype, piece.lanes), identity(node, piece.lanes))
            for piece in parts
            for node in self.reductions
        ]

    def _accumulated(self, node: Node, total: str, values: dict[Node, str], lanes: int) -> str:
        value = values.get(node.operands[0]) or self.operand_value(node.operands[0])
        return combine(self.emit, node, total, value, lanes)

    def _reduced_nest(self, axes: list[Axis], totals: list[str], types: list[Vector], body: Callable[[list[str], list[str]], list[str]], indices: list[str]) -> list[str]:
        """Loops over reduced axes that carry ``totals``; the totals after them."""
        if not axes:
            return body(indices, totals)
        carried = list(zip(types, totals, strict=True))
        with self.emit.loop("0", axes[0].extent.emit(self.emit), carried=carried) as loop:
            loop.following = self._reduced_nest(axes[1:], loop.values, types, body, [*indices, loop.index])
        return loop.values

    def _reduce_last(self, outer: list[Axis], kept: list[Axis], indices: list[str], last: Axis, parts: Sequence[Piece]) -> None:
        """Accumulators run along the last axis; their lanes are combined at the end."""
        reduced = [axis for axis in outer if axis.reduced]
        starts = self._starts(parts)

        def turn(inner: list[str], totals: list[str]) -> list[str]:
            names = self._all_indices(outer, indices, inner)
            bases = self._addresses(outer, names, list(self.accesses))
            repeated = self._repeated(bases, last)
            return self._along_pieces(bases, repeated, last, parts, totals)

        totals = self._reduced_nest(reduced, [x for _, x in starts], [t for t, _ in starts], turn, [])
        count = len(self.reductions)
        for place, node in enumerate(self.reductions):
            found = [
                horizontal(self.emit, node, totals[number * count + place], piece.lanes)
                for number, piece in enumerate(parts)
            ]
            total = found[0] if found else identity(node, 1)
            for other in found[1:]:
                total = combine(self.emit, node, total, other, 1)
            self._store_reduced(node, kept, indices, total, 1, "0")

    def _along_pieces(self, bases: dict[Node, str], repeated: dict[Node, str], last: Axis, parts: Sequence[Piece], totals: list[str]) -> list[str]:
        count, after = len(self.reductions), list(totals)
        for number, piece in enumerate(parts):
            mine = slice(number * count, number * count + count)
            types = [register_type(node.dtype, piece.lanes) for node in self.reductions]

            def turn(index: str, lanes: int, before: list[str]) -> list[str]:
                values = self._values(bases, repeated, last, index, lanes)
                self._store(values, bases, index, lanes)
                return [self._accumulated(node, old, values, lanes) for node, old in zip(self.reductions, before, strict=True)]

            if piece.single:
                after[mine] = turn(piece.start, piece.lanes, after[mine])
                continue
            carried = list(zip(types, after[mine], strict=True))
            with self.emit.loop(piece.start, piece.stop, piece.lanes, carried) as loop:
                loop.following = turn(loop.index, piece.lanes, loop.values)
            after[mine] = loop.values
        return after

    def _reduce_leading(self, outer: list[Axis], kept: list[Axis], indices: list[str], last: Axis, parts: Sequence[Piece]) -> None:
        """One vector of accumulators at a time, down along the reduced axes."""
        reduced = [axis for axis in outer if axis.reduced]
        for piece in parts:
            self._each(piece, lambda index, lanes: self._column(outer, kept, reduced, indices, last, index, lanes))

    def _column(self, outer: list[Axis], kept: list[Axis], reduced: list[Axis], indices: list[str], last: Axis, index: str, lanes: int) -> None:
        types = [register_type(node.dtype, lanes) for node in self.reductions]

        def turn(inner: list[str], totals: list[str]) -> list[str]:
            names = self._all_indices(outer, indices, inner)
            bases = self._addresses(outer, names, list(self.accesses))
            values = self._values(bases, self._repeated(bases, last), last, index, lanes)
            self._store(values, bases, index, lanes)
            return [self._accumulated(node, old, values, lanes) for node, old in zip(self.reductions, totals, strict=True)]

        totals = self._reduced_nest(reduced, [identity(node, lanes) for node in self.reductions], types, turn, [])
        for node, total in zip(self.reductions, totals, strict=True):
            self._store_reduced(node, [*kept, last], [*indices, index], total, lanes, index)

    def _all_indices(self, outer: list[Axis], kept: list[str], reduced: list[str]) -> list[str]:
        left, right = iter(kept), iter(reduced)
        return [next(right) if axis.reduced else next(left) for axis in outer]

    def _store_reduced(self, node: Node, kept: list[Axis], indices: list[str], value: str, lanes: int, last: str) -> None:
        """The result at the kept indices: it lies contiguous, in their order."""
        shape = [axis.extent for axis in kept]
        strides: list[Size] = []
        step = ONE
        for extent in reversed(shape):
            strides.append(step)
            step = step.times(extent)
        terms = list(zip(indices, reversed(strides), strict=True))
        pointer = self.scope.access(node).address(self.emit, terms)
        to_memory(self.emit, node, value, pointer, lanes)


def _runs_on(first: Axis, second: Axis) -> bool:
    """Whether two neighbouring axes are one, for every array."""
    if first.reduced != second.reduced or (first.extent.of_rows and second.extent.of_rows):
        return False
    return all(_continues(stride, second.strides[node], second.extent) for node, stride in first.strides.items())


def _continues(stride: Size, inner: Size, extent: Size) -> bool:
    if inner.count and inner.of_rows and extent.of_rows:
        return False
    return stride == inner.times(extent)


def is_immediate(node: Node) -> bool:
    """Whether a value can be written into the code: a number everywhere, or the number of rows."""
    if node.op is ROW_COUNT:
        return True
    if node.op.name == "broadcast_to" and node.operands[0].op.name == "constant":
        node = node.operands[0]
    return node.payload is not None and node.payload.size == 1


def immediate(emit: Emitter, node: Node, lanes: int) -> str:
    """The operand for such a value."""
    type_ = register_type(node.dtype, lanes)
    if node.op is ROW_COUNT:
        return emit.splat(type_, "%rows")
    source = node.operands[0] if node.op.name == "broadcast_to" else node
    assert source.payload is not None
    return type_.constant(source.payload.reshape(-1)[0])


def lower_cast(emit: Emitter, node: Node, value: str, lanes: int) -> str:
    """An integer as i64."""
    source = register_type(node.dtype, lanes)
    if source.bits == 64:
        return value
    widen = "zext" if node.dtype.kind in "ub" else "sext"
    return emit.let(f"{widen} {source} {value} to {Vector('i64', lanes)}")


def to_memory(
    emit: Emitter, node: Node, value: str, pointer: str, lanes: int, mask: str | None = None
) -> None:
    """Store a value, in the lanes that exist; truth values become bytes."""
    memory = Vector.of(node.dtype, lanes)
    if node.dtype.kind == "b":
        value = emit.let(f"zext {register_type(node.dtype, lanes)} {value} to {memory}")
    emit.masked_store(memory, value, pointer, mask)


COMBINING = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum", "all": "logical_and", "any": "logical_or"}


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
    least, greatest = (0, 2**type_.bits - 1) if kind == "u" else (-(2 ** (type_.bits - 1)), 2 ** (type_.bits - 1) - 1)
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


