"""Members side by side as code: operations whose elements are vectors, one lane for a member.

Products: a tile of C, some rows by some columns, is kept in registers, a vector for each element;
for each step along the inner axis a vector for each row of A and each column of B is loaded, or a
number that all members share. Every element of C is one chain of multiply-adds along the inner
axis: its bits depend neither on the tile nor on the members beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from chainrule.engines.native.access import Access
from chainrule.engines.native.axes import pieces
from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.epilogues import Epilogue, Place
from chainrule.engines.native.interleaving import BITS
from chainrule.engines.native.kernels import POINTER, accumulator_budget, row_blocks
from chainrule.engines.native.routines import routine
from chainrule.engines.native.schedule import Group
from chainrule.engines.native.sizes import ONE, ZERO, Size, extent_size, shape_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.threefry import threefry_of_each
from chainrule.engines.native.tiling import TYPICAL_ROWS, ceil_div
from chainrule.engines.native.values import Scope
from chainrule.graph.node import Node
from chainrule.records import dataclass
from chainrule.shapes import UINT32, Dtype, Extent

BLOCK_BYTES = 8  # of random bits: two words
LATENCY = 4  # cycles of a multiply-add, of which two begin in each


@dataclass(frozen=True)
class Tile:
    """Elements of C in registers."""

    rows: int
    columns: int


def write_interleaved_product(scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
    """The loops of one product: by tile of C, by vector of members, along the inner axis."""
    _Writer(scope, group.nodes[0], Epilogue(scope, group, stored)).write()


class _Writer:
    def __init__(self, scope: Scope, node: Node, epilogue: Epilogue) -> None:
        self.scope, self.emit, self.epilogue = scope, scope.emit, epilogue
        self.a, self.b = (_repeated(scope.access(x)) for x in node.operands)
        rows, columns, members = node.shape
        self.dtype, self.members = node.dtype, extent_size(members).number
        self.rows, self.columns = extent_size(rows), extent_size(columns).number
        self.inner = extent_size(self.a.shape[1])
        self.tile = tile_for(rows, self.columns, scope.emit.target)

    def write(self) -> None:
        """Tile by tile."""
        emit, tile, extent = self.emit, self.tile, self.rows.emit(self.emit)
        begin, end = "0", extent
        if self.scope.share is not None:
            begin, end = self.scope.share.part(emit, extent, tile.rows)
        heights = [tile.rows, 1]
        if not self.rows.of_rows and self.scope.share is None:
            heights = [height for height in (tile.rows, self.rows.number % tile.rows) if height]
        for start, stop, height in row_blocks(emit, begin, end, heights):
            with emit.loop(start, stop, height) as row:
                self._row_of_tiles(row.index, height)

    def _row_of_tiles(self, row: str, height: int) -> None:
        width = self.tile.columns
        whole, rest = divmod(self.columns, width)
        if whole:
            with self.emit.loop("0", str(whole * width), width) as column:
                self._members(row, column.index, Tile(height, width))
        if rest:
            self._members(row, str(whole * width), Tile(height, rest))

    def _members(self, row: str, column: str, tile: Tile) -> None:
        """One tile for all members."""
        for type_, index, mask in vectors(self.emit, self.members, self.dtype):
            self._tile(Place([row, column, index], type_.lanes, mask), type_, tile)

    def _tile(self, place: Place, type_: Vector, tile: Tile) -> None:
        emit, (row, column, member) = self.emit, place.indices
        (a_row, a_inner, a_member), (b_inner, b_column, b_member) = self.a.strides, self.b.strides
        a = self.a.address(emit, [(row, a_row), (member, a_member)])
        b = self.b.address(emit, [(column, b_column), (member, b_member)])
        places = list(product(range(tile.rows), range(tile.columns)))
        zeros = [(type_, type_.constant(0)) for _ in places]
        with emit.loop("0", self.inner.emit(emit), 1, [(POINTER, a), (POINTER, b), *zeros]) as loop:
            at_a, at_b, *sums = loop.values
            lines = [self._load(self.a, at_a, (i, 0), type_, place.mask) for i in range(tile.rows)]
            columns = [
                self._load(self.b, at_b, (j, 1), type_, place.mask) for j in range(tile.columns)
            ]
            loop.following = [
                emit.pointer(at_a, a_inner.emit(emit), type_.element),
                emit.pointer(at_b, b_inner.emit(emit), type_.element),
                *[
                    emit.multiply_add(type_, lines[i], columns[j], total)
                    for (i, j), total in zip(places, sums, strict=True)
                ],
            ]
        for (i, j), total in zip(places, loop.values[2:], strict=True):
            indices = [
                emit.integer("add", row, str(i)),
                emit.integer("add", column, str(j)),
                member,
            ]
            self.epilogue.finish(type_, total, replace(place, indices=indices))

    def _load(
        self, matrix: Access, base: str, line: tuple[int, int], type_: Vector, mask: str | None
    ) -> str:
        """For each member the element of a row or a column, or the one that they share."""
        emit, (number, axis) = self.emit, line
        step = emit.integer("mul", str(number), matrix.strides[axis].emit(emit))
        place = emit.pointer(base, step, type_.element)
        if matrix.strides[2] == ZERO:
            return emit.splat(type_, emit.load(Vector(type_.element, 1), place))
        return emit.masked_load(type_, place, mask)


def vectors(emit: Emitter, members: int, dtype: Dtype) -> Iterator[tuple[Vector, str, str | None]]:
    """The members in vectors: the type of each, its first member, and the mask of its lanes.

    What is left over is part of a vector, or where there are no masks in shorter ones.
    """
    type_ = Vector.of(dtype, emit.target.lanes(dtype))
    end, masks = str(members // type_.lanes * type_.lanes), emit.target.masks
    for piece in pieces(emit, Size(members), type_.lanes):
        if masks and piece.start == end:
            yield type_, end, type_.first(members % type_.lanes)
            return
        with emit.loop(piece.start, piece.stop, piece.lanes) as loop:
            yield Vector.of(dtype, piece.lanes), loop.index, None


def _repeated(access: Access) -> Access:
    """What all members share is read with a step of 0."""
    return replace(access, strides=access.broadcast(access.shape))


def tile_for(rows: Extent, columns: int, target: Target) -> Tile:
    """The tile that needs the fewest cycles, by a model of a core with two multipliers.

    >>> from chainrule.engines.native.target import TARGETS
    >>> tile_for(10, 10, TARGETS["avx512"])
    Tile(rows=5, columns=4)
    """
    count, budget = rows if isinstance(rows, int) else TYPICAL_ROWS, accumulator_budget(target)

    def cycles(tile: Tile) -> float:
        whole, rest = divmod(columns, tile.columns)
        widths = [tile.columns] * whole + [rest] * (rest > 0)
        down = ceil_div(count, tile.rows)
        return down * sum(
            max(LATENCY, tile.rows * width / 2, tile.rows + width) for width in widths
        )

    tiles = [
        Tile(height, width)
        for width in range(1, min(columns, budget) + 1)
        for height in range(1, budget // width + 1)
        if isinstance(rows, int) or height & (height - 1) == 0
    ]
    return min(tiles, key=cycles)


@routine(BITS.name)
def interleaved_bits(scope: Scope, node: Node) -> None:
    """Block by block of 64 bits, for all members; of the last block what there is room for."""
    emit, size, members = scope.emit, shape_size(node.shape[:-1]), extent_size(node.shape[-1])
    each, count = BLOCK_BYTES // node.dtype.itemsize, size.emit(emit)
    with emit.loop("0", count, each) as block:
        number = emit.integer("sdiv", block.index, str(each))
        for type_, member, mask in vectors(emit, members.number, UINT32):
            keys = scope.access(node.operands[0]), member, mask
            words = _words(emit, type_, keys, number)
            for place, value in enumerate(_parts(emit, type_, words, node.dtype)):
                element = emit.integer("add", block.index, str(place))
                line = emit.integer("mul", element, str(members.number))
                at = emit.integer("add", line, member)
                exists = emit.let(f"icmp slt i64 {element}, {count}")
                with emit.when(exists):
                    memory = Vector.of(node.dtype, type_.lanes)
                    target = emit.pointer(scope.access(node).pointer, at, memory.element)
                    emit.masked_store(memory, value, target, mask)


def _words(
    emit: Emitter, type_: Vector, keys: tuple[Access, str, str | None], number: str
) -> tuple[str, str]:
    """The two words of one block for some members."""
    access, member, mask = keys
    places = [access.address(emit, [(str(i), access.strides[0]), (member, ONE)]) for i in (0, 1)]
    first, second = (emit.masked_load(type_, place, mask) for place in places)
    high = emit.let(f"lshr i64 {number}, 32")
    counter = [emit.splat(type_, emit.let(f"trunc i64 {x} to i32")) for x in (number, high)]
    return threefry_of_each(emit, (first, second), counter[0], counter[1], type_.lanes)


def _parts(emit: Emitter, type_: Vector, words: tuple[str, str], dtype: Dtype) -> Iterator[str]:
    """The numbers that two words hold, the lowest bits first."""
    narrow = Vector.of(dtype, type_.lanes)
    if narrow.bits == 2 * type_.bits:
        low, high = (emit.let(f"zext {type_} {word} to {narrow}") for word in words)
        high = emit.let(f"shl {narrow} {high}, {narrow.constant(type_.bits)}")
        yield emit.let(f"or {narrow} {low}, {high}")
    elif narrow.bits == type_.bits:
        yield from words
    else:
        for word, shift in product(words, range(0, type_.bits, narrow.bits)):
            moved = emit.let(f"lshr {type_} {word}, {type_.constant(shift)}")
            yield emit.let(f"trunc {type_} {moved} to {narrow}")
