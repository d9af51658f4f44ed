"""Products of members side by side: matrices whose elements are vectors, one lane for a member.

A tile of C, some rows by some columns, is kept in registers, a vector for each element; for each
step along the inner axis a vector for each row of A and each column of B is loaded, or a number
that all members share. Every element of C is one chain of multiply-adds along the inner axis: its
bits depend neither on the tile nor on the members beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from chainrule.engines.native.access import Access
from chainrule.engines.native.emitter import Vector
from chainrule.engines.native.kernels import POINTER, accumulator_budget, row_blocks
from chainrule.engines.native.sizes import ZERO, extent_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import TYPICAL_ROWS, ceil_div
from chainrule.engines.native.values import Scope
from chainrule.graph.node import Node
from chainrule.shapes import Extent

LATENCY = 4  # cycles of a multiply-add, of which two begin in each


@dataclass(frozen=True)
class Tile:
    """Elements of C in registers."""

    rows: int
    columns: int


def write_interleaved_product(scope: Scope, node: Node) -> None:
    """The loops of one product: by tile of C, by vector of members, along the inner axis."""
    _Writer(scope, node).write()


class _Writer:
    def __init__(self, scope: Scope, node: Node) -> None:
        self.scope, self.emit = scope, scope.emit
        self.c, (self.a, self.b) = scope.access(node), (scope.access(x) for x in node.operands)
        rows, columns, members = node.shape
        self.members = extent_size(members).number
        self.type = Vector.of(node.dtype, _lanes(self.members, scope.emit.target.lanes(node.dtype)))
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
        whole = self.columns // tile.columns * tile.columns
        strips = [(0, whole, tile.columns), (whole, self.columns, self.columns - whole)]
        blocks = row_blocks(emit, begin, end, heights)
        for (start, stop, height), (first, last, width) in product(blocks, strips):
            if width and first != last:
                with emit.loop(start, stop, height) as row:
                    with emit.loop(str(first), str(last), width) as column:
                        self._members(row.index, column.index, Tile(height, width))

    def _members(self, row: str, column: str, tile: Tile) -> None:
        """One tile for all members; the last vector begins where it ends with the last of them."""
        emit, lanes = self.emit, self.type.lanes
        with emit.loop("0", str(self.members), lanes) as vector:
            member = emit.integer("smin", vector.index, str(self.members - lanes))
            self._tile(row, column, member, tile)

    def _tile(self, row: str, column: str, member: str, tile: Tile) -> None:
        emit, type_ = self.emit, self.type
        (a_row, a_inner, a_member), (b_inner, b_column, b_member) = self.a.strides, self.b.strides
        a = self.a.address(emit, [(row, a_row), (member, a_member)])
        b = self.b.address(emit, [(column, b_column), (member, b_member)])
        places = list(product(range(tile.rows), range(tile.columns)))
        zeros = [(type_, type_.constant(0)) for _ in places]
        with emit.loop("0", self.inner.emit(emit), 1, [(POINTER, a), (POINTER, b), *zeros]) as loop:
            at_a, at_b, *sums = loop.values
            lines = [self._load(self.a, at_a, i, 0) for i in range(tile.rows)]
            columns = [self._load(self.b, at_b, j, 1) for j in range(tile.columns)]
            loop.following = [
                emit.pointer(at_a, a_inner.emit(emit), type_.element),
                emit.pointer(at_b, b_inner.emit(emit), type_.element),
                *[
                    emit.multiply_add(type_, lines[i], columns[j], total)
                    for (i, j), total in zip(places, sums, strict=True)
                ],
            ]
        c_row, c_column, c_member = self.c.strides
        c = self.c.address(emit, [(row, c_row), (column, c_column), (member, c_member)])
        for (i, j), total in zip(places, loop.values[2:], strict=True):
            terms = [(str(i), c_row), (str(j), c_column)]
            emit.store(type_, total, self._offset(c, terms))

    def _load(self, matrix: Access, base: str, index: int, axis: int) -> str:
        """A row's or a column's element for each member, or the one that they share."""
        emit, stride = self.emit, matrix.strides[axis]
        place = self._offset(base, [(str(index), stride)])
        if matrix.shape[2] == 1 or matrix.strides[2] == ZERO:
            scalar = Vector(self.type.element, 1)
            return emit.splat(self.type, emit.load(scalar, place))
        return emit.load(self.type, place)

    def _offset(self, base: str, terms: object) -> str:
        emit, offset = self.emit, "0"
        for index, stride in terms:
            offset = emit.integer("add", offset, emit.integer("mul", index, stride.emit(emit)))
        return emit.pointer(base, offset, self.type.element)


def _lanes(members: int, most: int) -> int:
    """Lanes of a vector: no more than there are members."""
    while most > members:
        most //= 2
    return most


def tile_for(rows: Extent, columns: int, target: Target) -> Tile:
    """The tile that needs the fewest cycles, by a model of a core with two multipliers.

    >>> from chainrule.engines.native.target import TARGETS
    >>> tile_for(10, 10, TARGETS["avx512"])
    Tile(rows=2, columns=10)
    """
    count, budget = rows if isinstance(rows, int) else TYPICAL_ROWS, accumulator_budget(target)

    def cycles(tile: Tile) -> float:
        whole, rest = divmod(columns, tile.columns)
        widths = [tile.columns] * whole + [rest] * (rest > 0)
        down = ceil_div(count, tile.rows)
        return down * sum(
            max(LATENCY, tile.rows * width / 2, (tile.rows + width) / 2) + 1 for width in widths
        )

    tiles = [
        Tile(height, width)
        for width in range(1, min(columns, budget) + 1)
        for height in range(1, budget // width + 1)
        if isinstance(rows, int) or height & (height - 1) == 0
    ]
    return min(tiles, key=cycles)
