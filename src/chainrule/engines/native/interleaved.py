"""Products of members side by side: matrices whose elements are vectors, one lane for a member.

A tile of C, some rows by some columns, is kept in registers, a vector for each element; for each
step along the inner axis a vector for each row of A and each column of B is loaded, or a number
that all members share. Every element of C is one chain of multiply-adds along the inner axis: its
bits depend neither on the tile nor on the members beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from chainrule.engines.native.access import Access
from chainrule.engines.native.axes import pieces
from chainrule.engines.native.emitter import Vector
from chainrule.engines.native.epilogues import Epilogue, Place
from chainrule.engines.native.kernels import POINTER, accumulator_budget, row_blocks
from chainrule.engines.native.schedule import Group
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
        whole = self.columns // tile.columns * tile.columns
        strips = [(0, whole, tile.columns), (whole, self.columns, self.columns - whole)]
        blocks = row_blocks(emit, begin, end, heights)
        for (start, stop, height), (first, last, width) in product(blocks, strips):
            if width and first != last:
                with emit.loop(start, stop, height) as row:
                    with emit.loop(str(first), str(last), width) as column:
                        self._members(row.index, column.index, Tile(height, width))

    def _members(self, row: str, column: str, tile: Tile) -> None:
        """One tile for all members."""
        for start, stop, type_, mask in self._vectors():
            with self.emit.loop(str(start), str(stop), type_.lanes) as member:
                self._tile(Place([row, column, member.index], type_.lanes, mask), type_, tile)

    def _vectors(self) -> list[tuple[int, int, Vector, str | None]]:
        """The members in whole vectors, and what is left over in part of one or in shorter ones."""
        target = self.emit.target
        type_ = Vector.of(self.dtype, target.lanes(self.dtype))
        whole, rest = divmod(self.members, type_.lanes)
        end = whole * type_.lanes
        if rest and target.masks:
            last = (end, self.members, type_, type_.first(rest))
            return [(0, end, type_, None), last] if end else [last]
        parts = pieces(self.emit, extent_size(self.members), type_.lanes)
        return [
            (int(part.start), int(part.stop), Vector.of(self.dtype, part.lanes), None)
            for part in parts
        ]

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
            indices = [emit.integer("add", row, str(i)), emit.integer("add", column, str(j)), member]
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


def _repeated(access: Access) -> Access:
    """What all members share is read with a step of 0."""
    return replace(access, strides=access.broadcast(access.shape))


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
            max(LATENCY, tile.rows * width / 2, tile.rows + width) for width in widths
        )

    tiles = [
        Tile(height, width)
        for width in range(1, min(columns, budget) + 1)
        for height in range(1, budget // width + 1)
        if isinstance(rows, int) or height & (height - 1) == 0
    ]
    return min(tiles, key=cycles)
