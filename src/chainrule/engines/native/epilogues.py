"""Product groups as code: a matrix product, and what is done with its results in registers."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.engines.native.access import Access
from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.loops import (
    Scope,
    immediate,
    is_immediate,
    pieces,
    to_memory,
)
from chainrule.engines.native.lowering import lower, register_type
from chainrule.engines.native.schedule import Group
from chainrule.engines.native.sizes import ONE, ZERO, Size, extent_size
from chainrule.graph.node import Node


def write_product_group(scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
    """Loops over leading axes, and inside them one matrix product with its epilogue."""
    writer = _ProductWriter(scope, group, stored)
    writer.write([], list(group.space[:-2]))


class _ProductWriter:
    """Writes one product group."""

    def __init__(self, scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
        self.scope, self.emit, self.group = scope, scope.emit, group
        self.product, *self.after = group.nodes
        self.inside = dict.fromkeys(group.nodes)
        self.stored = [node for node in group.nodes if node in stored]
        self.accesses: dict[Node, Access] = {node: scope.access(node) for node in self.stored}
        for node in self.after:
            for operand in node.operands:
                if operand not in self.inside and not is_immediate(operand):
                    self.accesses[operand] = scope.access(operand)

    def write(self, indices: list[str], leading: list[object]) -> None:
        """The loops over the leading axes."""
        if leading:
            extent = extent_size(self.group.space[len(indices)])
            with self.emit.loop("0", extent.emit(self.emit)) as loop:
                self.write([*indices, loop.index], leading[1:])
            return
        self._product(indices)

    def _product(self, indices: list[str]) -> None:
        a, b = (self.scope.access(operand) for operand in self.product.operands)
        flags = self.product.attributes
        rows, columns = (extent_size(extent) for extent in self.group.space[-2:])
        inner = extent_size(a.shape[-2] if flags["transpose_a"] else a.shape[-1])
        bases = [self._matrix(access, indices) for access in (a, b)]
        strides = [access.strides[-2] for access in (a, b)]
        write_plain_product(
            self.emit, Vector.of(self.product.dtype, 1), (rows, columns, inner), bases, strides,
            (flags["transpose_a"], flags["transpose_b"]),
            lambda type_, value, row, column: self._finish(indices, type_, value, row, column),
        )  # fmt: skip

    def _matrix(self, access: Access, indices: list[str]) -> str:
        """The address of one matrix of a stack."""
        own = access.shape[:-2]
        used = indices[len(indices) - len(own) :]
        terms = [
            (index, ZERO if extent == 1 else stride)
            for index, extent, stride in zip(used, own, access.strides, strict=False)
        ]
        return access.address(self.emit, terms)

    def _finish(self, indices: list[str], type_: Vector, value: str, row: str, column: str) -> None:
        """The epilogue: the elementwise nodes for one vector of results."""
        values = {self.product: value}
        for node in self.after:
            operands = [self._operand(x, values, indices, row, column, type_.lanes) for x in node.operands]
            values[node] = lower(self.emit, node, operands, type_.lanes)
        for node in self.stored:
            pointer = self._pointer(node, indices, row, column)
            to_memory(self.emit, node, values[node], pointer, type_.lanes)

    def _pointer(self, node: Node, indices: list[str], row: str, column: str) -> str:
        strides = self.accesses[node].broadcast(self.group.space)
        return self.accesses[node].address(self.emit, list(zip([*indices, row, column], strides, strict=True)))

    def _operand(self, x: Node, values: dict[Node, str], indices: list[str], row: str, column: str, lanes: int) -> str:
        if x not in values:
            values[x] = self._loaded(x, indices, row, column, lanes)
        return values[x]

    def _loaded(self, x: Node, indices: list[str], row: str, column: str, lanes: int) -> str:
        emit = self.emit
        if is_immediate(x):
            return immediate(emit, x, lanes)
        stride = self.accesses[x].broadcast(self.group.space)[-1]
        pointer = self._pointer(x, indices, row, column)
        if stride == ZERO or lanes == 1:
            return emit.splat(register_type(x.dtype, lanes), _scalar(emit, x, pointer))
        memory = Vector.of(x.dtype, lanes)
        loaded = emit.load(memory, pointer) if stride == ONE else _gathered(emit, memory, pointer, stride)
        return emit.let(f"icmp ne {memory} {loaded}, {memory.constant(0)}") if x.dtype.kind == "b" else loaded


def _scalar(emit: Emitter, x: Node, pointer: str) -> str:
    memory = Vector.of(x.dtype, 1)
    loaded = emit.load(memory, pointer)
    return emit.let(f"icmp ne {memory} {loaded}, 0") if x.dtype.kind == "b" else loaded


def _gathered(emit: Emitter, memory: Vector, pointer: str, stride: Size) -> str:
    """Elements that lie a stride apart, one by one."""
    step, result = stride.emit(emit), "poison"
    one = Vector(memory.element, 1)
    for lane in range(memory.lanes):
        offset = emit.let(f"mul i64 {step}, {lane}")
        value = emit.load(one, emit.pointer(pointer, offset, memory.element))
        result = emit.let(f"insertelement {memory} {result}, {one} {value}, i64 {lane}")
    return result


def write_plain_product(
    emit: Emitter,
    scalar: Vector,
    sizes: tuple[Size, Size, Size],
    bases: list[str],
    strides: list[Size],
    transposed: tuple[bool, bool],
    finish: Callable[[Vector, str, str, str], None],
) -> None:
    """A product in its plainest form: for each row, for each vector of columns, along the inner axis."""
    rows, columns, inner = sizes
    lanes = 1 if transposed[1] else max(1, emit.target.vector_bytes // (scalar.bits // 8))
    parts = pieces(emit, columns, lanes)
    with emit.loop("0", rows.emit(emit)) as row:
        for part in parts:
            with emit.loop(part.start, part.stop, part.lanes) as column:
                type_ = Vector(scalar.element, part.lanes)
                with emit.loop("0", inner.emit(emit), carried=[(type_, type_.constant(0))]) as k:
                    a = _at(emit, bases[0], strides[0], row.index, k.index, transposed[0], scalar.element)
                    b = _at(emit, bases[1], strides[1], k.index, column.index, transposed[1], scalar.element)
                    x, y = emit.splat(type_, emit.load(scalar, a)), emit.load(type_, b)
                    k.following = [_multiply_add(emit, type_, x, y, k.values[0])]
                finish(type_, k.values[0], row.index, column.index)


def _multiply_add(emit: Emitter, type_: Vector, x: str, y: str, total: str) -> str:
    if type_.is_float:
        return emit.multiply_add(type_, x, y, total)
    return emit.let(f"add {type_} {emit.let(f'mul {type_} {x}, {y}')}, {total}")


def _at(emit: Emitter, base: str, stride: Size, row: str, column: str, transposed: bool, element: str) -> str:
    if transposed:
        row, column = column, row
    line = emit.pointer(base, emit.let(f"mul i64 {row}, {stride.emit(emit)}"), element)
    return emit.pointer(line, column, element)
