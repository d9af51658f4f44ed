"""Product groups as code: a matrix product, and what is done with its results in registers."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.engines.native.access import Access
from chainrule.engines.native.axes import pieces
from chainrule.engines.native.emitter import Emitter, Vector, prefetch
from chainrule.engines.native.lowering import lower, register_type
from chainrule.engines.native.parts import parts_of, product_spec
from chainrule.engines.native.products import Bounds, write_common, write_product
from chainrule.engines.native.schedule import Group, is_long, row_sums
from chainrule.engines.native.sizes import ONE, ZERO, Size, extent_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import ALIGNMENT, ProductSpec
from chainrule.engines.native.values import (
    Scope,
    combine,
    horizontal,
    immediate,
    is_immediate,
    to_memory,
)
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.records import dataclass


def write_product_group(scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
    """Loops over leading axes, and inside them one matrix product with its epilogue."""
    writer = _ProductWriter(scope, group, stored)
    writer.write([], list(group.space[:-2]))


@dataclass(frozen=True)
class Place:
    """Where a vector of results belongs.

    Attributes
    ----------
    indices : list of str
        Of its first element, along all axes.
    lanes : int
    mask : str or None
        The lanes that exist, where not all do.
    """

    indices: list[str]
    lanes: int
    mask: str | None = None


class Epilogue:
    """What is done with the results of a product, a vector at a time.

    Attributes
    ----------
    product : Node
    after : list of Node
        The elementwise nodes that follow it.
    sums : list of Node
        What is summed over all of it.
    """

    def __init__(self, scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
        self.emit, self.space = scope.emit, group.space
        self.product, *after = group.nodes
        self.after = [node for node in after if node.op.kind is not Kind.REDUCTION]
        self.sums = row_sums(group)
        self.inside = dict.fromkeys(group.nodes)
        self.stored = [x for x in (self.product, *self.after) if x in stored]
        self.accesses: dict[Node, Access] = {
            node: scope.access(node) for node in (*self.stored, *self.sums)
        }
        for node in self.after:
            for operand in node.operands:
                if operand not in self.inside and not is_immediate(operand):
                    self.accesses[operand] = scope.access(operand)
        self.loads: dict[tuple[object, ...], str] = {}  # what rows of a tile read alike: a bias

    @property
    def looped(self) -> bool:
        """Whether its code is so long that it should stand once, in a loop."""
        return is_long(self.after) or bool(self.sums)

    @property
    def streams(self) -> list[Node]:
        """Arrays of the product's shape that it reads."""
        return [x for x in self.accesses if x not in self.inside and x.shape == self.space]

    def fetch(self, place: Place) -> None:
        """Ask for what it will read."""
        for node in self.streams:
            prefetch(self.emit, self._pointer(node, place))

    def finish(self, type_: Vector, value: str, place: Place) -> None:
        """The elementwise nodes for one vector of results."""
        values, mask = {self.product: value}, place.mask
        for node in self.after:
            operands = [self._operand(x, values, place) for x in node.operands]
            values[node] = lower(self.emit, node, operands, type_.lanes)
        for node in self.stored:
            to_memory(self.emit, node, values[node], self._pointer(node, place), type_.lanes, mask)
        for node in self.sums:
            self._add_to_row(node, type_, values[node.operands[0]], place)

    def _add_to_row(self, node: Node, type_: Vector, value: str, place: Place) -> None:
        """One more vector into the sums of a row, which begin with its first."""
        emit, (*_, row, column) = self.emit, place.indices
        if place.mask is not None:
            zero = type_.constant(0)
            value = emit.let(f"select {type_.mask} {place.mask}, {type_} {value}, {type_} {zero}")
        sums = _sums_of_row(emit, self.accesses[node], type_, row)
        begun = emit.let(f"icmp ne i64 {column}, 0")
        before = emit.let(
            f"select i1 {begun}, {type_} {emit.load(type_, sums)}, {type_} {type_.constant(0)}"
        )
        emit.store(type_, combine(emit, node, before, value, type_.lanes), sums)

    def _pointer(self, node: Node, place: Place) -> str:
        strides = self.accesses[node].broadcast(self.space)
        return self.accesses[node].address(
            self.emit, list(zip(place.indices, strides, strict=True))
        )

    def _operand(self, x: Node, values: dict[Node, str], place: Place) -> str:
        if x not in values:
            values[x] = self._loaded(x, place)
        return values[x]

    def _loaded(self, x: Node, place: Place) -> str:
        emit, lanes = self.emit, place.lanes
        if is_immediate(x):
            return immediate(emit, x, lanes)
        pointer = self._pointer(x, place)
        known = x, emit.block, pointer, lanes, place.mask
        if known not in self.loads:
            self.loads[known] = self._load(x, pointer, place)
        return self.loads[known]

    def _load(self, x: Node, pointer: str, place: Place) -> str:
        emit, lanes = self.emit, place.lanes
        stride = self.accesses[x].broadcast(self.space)[-1]
        if stride == ZERO or lanes == 1:
            return emit.splat(register_type(x.dtype, lanes), _scalar(emit, x, pointer))
        memory = Vector.of(x.dtype, lanes)
        if stride == ONE:
            loaded = emit.masked_load(memory, pointer, place.mask)
        else:
            loaded = _gathered(emit, memory, pointer, stride, place.mask)
        return (
            emit.let(f"icmp ne {memory} {loaded}, {memory.constant(0)}")
            if x.dtype.kind == "b"
            else loaded
        )


def write_common_panels(scope: Scope, group: Group) -> None:
    """What this thread lays out of the second operand, for all parts of the product."""
    emit, share = scope.emit, scope.share
    assert share is not None
    parts = parts_of(group, emit.target, scope.rows, share.rows)
    assert parts is not None
    b = scope.access(group.nodes[0].operands[1]).address(emit, [])
    panels = share.part(emit, str(parts.panels))
    write_common(emit, parts.spec, b, "%rows", "%common", panels)


class _ProductWriter:
    """Writes one product group."""

    def __init__(self, scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
        self.scope, self.emit, self.group = scope, scope.emit, group
        self.product = group.nodes[0]
        self.epilogue = Epilogue(scope, group, stored)

    def write(self, indices: list[str], leading: list[object]) -> None:
        """The loops over the leading axes."""
        if leading:
            extent = extent_size(self.group.space[len(indices)]).emit(self.emit)
            begin, end = "0", extent
            share = self.scope.share
            if share and not indices:
                begin, end = share.own.bounds if share.own else share.part(self.emit, extent)
            with self.emit.loop(begin, end) as loop:
                self.write([*indices, loop.index], leading[1:])
            return
        self._product(indices)

    def _product(self, indices: list[str]) -> None:
        """One matrix product; of integers in its plainest form."""
        accesses = [self.scope.access(operand) for operand in self.product.operands]
        bases = [self._matrix(access, indices) for access in accesses]
        if self.product.dtype.kind == "f":
            self._real_product(indices, bases)
        else:
            self._plain_product(indices, accesses, bases)

    def _sizes(self) -> tuple[Size, Size, Size]:
        """Rows, columns, and the length of the inner axis."""
        a, flags = self.product.operands[0], self.product.attributes
        inner = a.shape[-2] if flags["transpose_a"] else a.shape[-1]
        rows, columns = self.group.space[-2:]
        return extent_size(rows), extent_size(columns), extent_size(inner)

    def _real_product(self, indices: list[str], bases: list[str]) -> None:
        spec, (own_rows, own_panels) = self._part()
        self.scope.products.append(spec)
        epilogue = self.epilogue

        def finish(
            emit: Emitter, type_: Vector, value: str, row: str, column: str, mask: str | None
        ) -> None:
            epilogue.finish(type_, value, Place([*indices, row, column], type_.lanes, mask))

        def ahead(emit: Emitter, row: str, column: str) -> None:
            epilogue.fetch(Place([*indices, row, column], 1))

        write_product(
            self.emit,
            spec,
            bases[0],
            bases[1],
            "%rows",
            "%scratch",
            finish,
            own_rows,
            own_panels,
            looped=epilogue.looped,
            ahead=ahead if epilogue.looped and epilogue.streams else None,
            common="%common" if spec.common else None,
        )

    def _part(self) -> tuple[ProductSpec, tuple[Bounds, Bounds]]:
        """The product, and the rows and panels that are this thread's."""
        scope, share = self.scope, self.scope.share
        if share is not None and share.own is not None and len(self.group.space) == 2:
            return product_spec(self.group, scope.rows), (share.own.bounds, None)
        if share is not None:
            parts = parts_of(self.group, self.emit.target, scope.rows, share.rows)
            if parts is not None:
                return parts.spec, parts.bounds(self.emit, share)
        return product_spec(self.group, scope.rows), (None, None)

    def _plain_product(self, indices: list[str], accesses: list[Access], bases: list[str]) -> None:
        flags = self.product.attributes
        write_plain_product(
            self.emit,
            Vector.of(self.product.dtype, 1),
            self._sizes(),
            bases,
            [access.strides[-2] for access in accesses],
            (flags["transpose_a"], flags["transpose_b"]),
            lambda type_, value, row, column: self.epilogue.finish(
                type_, value, Place([*indices, row, column], type_.lanes)
            ),
        )

    def _matrix(self, access: Access, indices: list[str]) -> str:
        """The address of one matrix of a stack."""
        own = access.shape[:-2]
        used = indices[len(indices) - len(own) :]
        terms = [
            (index, ZERO if extent == 1 else stride)
            for index, extent, stride in zip(used, own, access.strides, strict=False)
        ]
        return access.address(self.emit, terms)


def row_sum_bytes(group: Group, target: Target) -> int:
    """Room for the sums of the rows: a vector for each, behind the number that they come to."""
    rows = extent_size(group.space[-2]).number
    return rows * _vector(group.nodes[0], target).bits // 8 * target.lanes(group.nodes[0].dtype)


def write_row_sums(scope: Scope, group: Group) -> None:
    """Add up the sums of the rows, in their order."""
    emit, rows = scope.emit, str(extent_size(group.space[-2]).number)
    for node in row_sums(group):
        type_, access = _vector(node, emit.target), scope.access(node)
        with emit.loop("0", rows, carried=[(type_, type_.constant(0))]) as row:
            line = emit.load(type_, _sums_of_row(emit, access, type_, row.index))
            row.following = [combine(emit, node, row.values[0], line, type_.lanes)]
        total = horizontal(emit, node, row.values[0], type_.lanes)
        emit.store(Vector.of(node.dtype, 1), total, access.pointer)


def _vector(node: Node, target: Target) -> Vector:
    return Vector.of(node.dtype, target.lanes(node.dtype))


def _sums_of_row(emit: Emitter, access: Access, type_: Vector, row: str) -> str:
    first = emit.pointer(access.pointer, str(ALIGNMENT), "i8")
    return emit.pointer(first, emit.integer("mul", row, str(type_.lanes)), type_.element)


def _scalar(emit: Emitter, x: Node, pointer: str) -> str:
    memory = Vector.of(x.dtype, 1)
    loaded = emit.load(memory, pointer)
    return emit.let(f"icmp ne {memory} {loaded}, 0") if x.dtype.kind == "b" else loaded


def _gathered(emit: Emitter, memory: Vector, pointer: str, stride: Size, mask: str | None) -> str:
    """Elements that lie a stride apart, one by one; lanes that do not exist read the first."""
    step, result = stride.emit(emit), memory.constant(0)
    one = Vector(memory.element, 1)
    for lane in range(memory.lanes):
        offset = emit.let(f"mul i64 {step}, {lane}")
        if mask is not None:
            exists = emit.let(f"extractelement {memory.mask} {mask}, i64 {lane}")
            offset = emit.let(f"select i1 {exists}, i64 {offset}, i64 0")
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
    """A product in its plainest form: by row, by vector of columns, along the inner axis."""
    rows, columns, inner = sizes
    lanes = 1 if transposed[1] else max(1, emit.target.vector_bytes // (scalar.bits // 8))
    parts = pieces(emit, columns, lanes)
    with emit.loop("0", rows.emit(emit)) as row:
        for part in parts:
            with emit.loop(part.start, part.stop, part.lanes) as column:
                type_ = Vector(scalar.element, part.lanes)
                with emit.loop("0", inner.emit(emit), carried=[(type_, type_.constant(0))]) as k:
                    a = _at(
                        emit,
                        bases[0],
                        strides[0],
                        row.index,
                        k.index,
                        transposed[0],
                        scalar.element,
                    )
                    b = _at(
                        emit,
                        bases[1],
                        strides[1],
                        k.index,
                        column.index,
                        transposed[1],
                        scalar.element,
                    )
                    x, y = emit.splat(type_, emit.load(scalar, a)), emit.load(type_, b)
                    k.following = [_multiply_add(emit, type_, x, y, k.values[0])]
                finish(type_, k.values[0], row.index, column.index)


def _multiply_add(emit: Emitter, type_: Vector, x: str, y: str, total: str) -> str:
    if type_.is_float:
        return emit.multiply_add(type_, x, y, total)
    return emit.let(f"add {type_} {emit.let(f'mul {type_} {x}, {y}')}, {total}")


def _at(
    emit: Emitter, base: str, stride: Size, row: str, column: str, transposed: bool, element: str
) -> str:
    if transposed:
        row, column = column, row
    line = emit.pointer(base, emit.let(f"mul i64 {row}, {stride.emit(emit)}"), element)
    return emit.pointer(line, column, element)
