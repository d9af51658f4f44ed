"""Matrix products: code for one shape, with what is done to the results given by the caller.

Small products run from memory as they are, one tile of registers after another, with the results
handed over in registers. Large ones are cut into blocks that stay in the caches and laid out in
panels (Goto, van de Geijn 2008): for each block of rows and each stretch of the inner axis, A is
packed once, B group by group of panels, and a kernel that all products of a module share adds to
tiles in memory; when a tile has seen the whole inner axis it is handed over.

Either way every element of C is one chain of multiply-adds along the inner axis: its bits depend on
the operands alone, not on the blocks, on bounds, or on the number of rows beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.kernels import (
    Matrix,
    Tile,
    call_kernel,
    multiply,
    row_blocks,
)
from chainrule.engines.native.packing import call_packing, panel_stride
from chainrule.engines.native.tiling import (
    BLOCK_INNER,
    GROUP_PANELS,
    ProductSpec,
    block_rows,
    ceil_div,
    panel_bytes,
    plan,
)

Store: TypeAlias = Callable[[Emitter, Vector, str, str, str, "str | None"], Any]
Bounds: TypeAlias = "tuple[str, str] | None"


def write_product(
    emit: Emitter,
    spec: ProductSpec,
    a: str,
    b: str,
    size: str,
    scratch: str,
    store: Store,
    rows: Bounds = None,
    panels: Bounds = None,
) -> None:
    """Write the loops of a product into the current function.

    Parameters
    ----------
    emit : Emitter
    spec : ProductSpec
    a, b : str
        ptr to the operands.
    size : str
        The size that is known at run time; i64. Any text if there is none.
    scratch : str
        ptr to `scratch_bytes` bytes of this thread's own, best on a multiple of 64.
    store : callable
        ``store(emit, type, value, row, column, mask)`` writes what is done with the vector of
        results C[row, column:column + lanes]; ``mask`` is None, or the mask of the lanes that
        exist. Every result is handed over once, in a fixed order, also where k is 0.
    rows, panels : (str, str), optional
        The part of C that is computed, as [begin, end) of rows and of panels (see `panel_count`);
        i64. Any split gives the same bits.
    """
    bounds = rows, panels
    writer = _Small if plan(spec, emit.target).small else _Blocked
    writer(emit, spec, (a, b), size, scratch, store, bounds).write()


class _Writer:
    """Writes one product: the operands as matrices (i, k) and (k, j), and what is handed over."""

    def __init__(
        self,
        emit: Emitter,
        spec: ProductSpec,
        operands: tuple[str, str],
        size: str,
        scratch: str,
        store: Store,
        bounds: tuple[Bounds, Bounds],
    ) -> None:
        self.emit, self.spec, self.scratch, self.store = emit, spec, scratch, store
        self.plan = plan(spec, emit.target)
        self.tile, self.type = self.plan.tile, self.plan.tile.type
        self.m, self.k = (size if extent is None else str(extent) for extent in (spec.m, spec.k))
        self.lda = str(spec.lda or (self.m if spec.transpose_a else self.k))
        self.ldb = str(spec.ldb or (self.k if spec.transpose_b else spec.n))
        self.a = _matrix(operands[0], self.lda, spec.transpose_a)
        self.b = _matrix(operands[1], self.ldb, spec.transpose_b)
        self.count = ceil_div(spec.n, self.tile.columns)
        self.rows = bounds[0] or ("0", self.m)
        self.panels = bounds[1] or ("0", str(self.count))

    def _at(self, base: str, *terms: tuple[str, str]) -> str:
        """The address ``base`` plus the sum of the products of the pairs."""
        offset = "0"
        for index, stride in terms:
            product = self.emit.integer("mul", index, stride)
            offset = self.emit.integer("add", offset, product)
        return self.emit.pointer(base, offset, self.type.element)

    def _pack_b(self, b: Matrix, sizes: tuple[str, str], place: str) -> None:
        source = (b.base, self.ldb, not self.spec.transpose_b)
        call_packing(self.emit, self.type, self.tile.columns, source, sizes, place)

    def _packed_b(self, place: str, panel: str, inner: str) -> Matrix:
        stride = panel_stride(self.emit, self.type, self.tile.columns, inner)
        return Matrix(self._at(place, (panel, stride)), str(self.tile.columns), "1")

    def _strips(self) -> list[tuple[int, int, list[str | None]]]:
        """Panels of one width: the first, the one behind the last, the mask of each vector."""
        whole, rest = divmod(self.spec.n, self.tile.columns)
        vectors, lanes = divmod(rest, self.type.lanes)
        full: list[str | None] = [None]
        last = full * vectors + ([self.type.first(lanes)] if lanes else [])
        strips = [(0, whole, full * self.tile.vectors), (whole, self.count, last)]
        return [strip for strip in strips if strip[0] != strip[1]]

    def _within(self, first: int, last: int) -> tuple[str, str]:
        """The panels of a strip that lie inside the bounds."""
        begin, end = self.panels
        if self.panels == ("0", str(self.count)):
            return str(first), str(last)
        return (
            self.emit.integer("smax", begin, str(first)),
            self.emit.integer("smin", end, str(last)),
        )

    def _hand_over(
        self, sums: Sequence[str], row: str, column: str, masks: Sequence[str | None]
    ) -> None:
        emit = self.emit
        for i, value in enumerate(sums):
            line, vector = divmod(i, len(masks))
            at_row = emit.integer("add", row, str(line))
            at_column = emit.integer("add", column, str(vector * self.type.lanes))
            self.store(emit, self.type, value, at_row, at_column, masks[vector])


class _Small(_Writer):
    """From memory as it is, tile by tile."""

    def write(self) -> None:
        """Panel by panel, in each row block by row block."""
        packed = self.scratch if self.plan.pack_b else None
        if packed is not None:
            self._pack_b(self.b, (str(self.spec.n), self.k), packed)
        for first, last, masks in self._strips():
            with self.emit.loop(*self._within(first, last)) as panel:
                self._write_panel(panel.index, masks, packed)

    def _write_panel(self, panel: str, masks: Sequence[str | None], packed: str | None) -> None:
        emit, element = self.emit, self.type.element
        column = emit.integer("mul", panel, str(self.tile.columns))
        if packed is None:
            b, read = self.b.at(emit, element, "0", column), masks
        else:
            b, read = self._packed_b(packed, panel, self.k), [None] * len(masks)
        for begin, end, height in row_blocks(emit, *self.rows, self._heights()):
            tile = Tile(self.type, height, len(masks))
            with emit.loop(begin, end, height) as row:
                a = self.a.at(emit, element, row.index, "0")
                sums = multiply(emit, tile, a, b, self.k, tile.zeros(), read)
                self._hand_over(sums, row.index, column, masks)

    def _heights(self) -> list[int]:
        """Two heights cover any number of rows, and keep the code short."""
        m = self.spec.m
        if m is None or self.rows != ("0", self.m):
            return sorted({self.tile.rows, 1}, reverse=True)
        return [height for height in (self.tile.rows, m % self.tile.rows) if height]


class _Blocked(_Writer):
    """Block by block, from panels, by kernels that the products of a module share."""

    def write(self) -> None:
        """Blocks of rows, in each stretches of the inner axis, at least one."""
        emit = self.emit
        bytes_b, bytes_a = panel_bytes(self.spec, self.plan)
        self.panels_b = self.scratch
        self.panels_a = emit.pointer(self.panels_b, str(bytes_b), "i8")
        self.strips = emit.pointer(self.panels_a, str(bytes_a), "i8")
        self.several = self._whether("sgt", self.k, str(BLOCK_INNER))
        self.block_rows = block_rows(self.spec, self.tile)
        begin, end = self.rows
        with emit.loop(begin, end, self.block_rows) as block:
            left = emit.integer("sub", end, block.index)
            height = emit.integer("smin", left, str(self.block_rows))
            with emit.loop("0", emit.integer("smax", self.k, "1"), BLOCK_INNER) as stretch:
                self._write_stretch(block.index, height, stretch.index)

    def _whether(self, relation: str, x: str, y: str) -> str:
        """A comparison as an i64: 1 or 0."""
        return self.emit.let(f"zext i1 {self.emit.let(f'icmp {relation} i64 {x}, {y}')} to i64")

    def _write_stretch(self, block: str, height: str, stretch: str) -> None:
        """Panels of A, then group by group those of B, and what needs both."""
        emit, element, tile = self.emit, self.type.element, self.tile
        left = emit.integer("sub", self.k, stretch)
        inner = emit.integer("smin", left, str(BLOCK_INNER))
        a = self.a.at(emit, element, block, stretch)
        source = (a.base, self.lda, self.spec.transpose_a)
        call_packing(emit, self.type, tile.rows, source, (height, inner), self.panels_a)
        with emit.loop(*self.panels, GROUP_PANELS) as group:
            last = emit.integer("add", group.index, str(GROUP_PANELS))
            last = emit.integer("smin", last, self.panels[1])
            column = emit.integer("mul", group.index, str(tile.columns))
            end = emit.integer("mul", last, str(tile.columns))
            columns = emit.integer("sub", emit.integer("smin", end, str(self.spec.n)), column)
            b = self.b.at(emit, element, stretch, column)
            self._pack_b(b, (columns, inner), self.panels_b)
            with emit.loop(group.index, last) as panel:
                number = emit.integer("sub", panel.index, group.index)
                b = self._packed_b(self.panels_b, number, inner)
                self._write_panel((block, height), panel.index, b, (stretch, inner))

    def _write_panel(
        self, rows: tuple[str, str], panel: str, b: Matrix, inner: tuple[str, str]
    ) -> None:
        """A strip of C, tile by tile: added to, and handed over after the last stretch.

        Handing over in small pieces leaves the memory time to take what is written.
        """
        emit, tile = self.emit, self.tile
        (block, height), (stretch, length) = rows, inner
        between = panel_stride(emit, self.type, tile.rows, length)
        tallest = emit.integer("smin", self.m, str(self.block_rows))
        strip = emit.integer("mul", panel, tallest)
        resumed = self._whether("sgt", stretch, "0")
        reached = emit.integer("add", stretch, length)
        finished = emit.let(f"icmp sge i64 {reached}, {self.k}")
        with emit.loop("0", height, tile.rows) as row:
            count = emit.integer("smin", emit.integer("sub", height, row.index), str(tile.rows))
            number = emit.integer("sdiv", row.index, str(tile.rows))
            panels = self._at(self.panels_a, (number, between))
            line = emit.integer("mul", emit.integer("add", strip, row.index), self.several)
            sums = self._at(self.strips, (line, str(tile.columns)))
            call_kernel(emit, tile, (panels, between), b.base, (count, length), sums, resumed)
            with emit.when(finished):
                self._finish(sums, emit.integer("add", block, row.index), count, panel)

    def _finish(self, sums: str, first: str, count: str, panel: str) -> None:
        """Hand over some rows of a strip from memory."""
        emit, lanes, element = self.emit, self.type.lanes, self.type.element
        column = emit.integer("mul", panel, str(self.tile.columns))
        strips = self._strips()
        for begin, end, masks in strips:
            with ExitStack() as inside:
                if len(strips) > 1:
                    relation, bound = ("slt", end) if end < self.count else ("sge", begin)
                    condition = emit.let(f"icmp {relation} i64 {panel}, {bound}")
                    inside.enter_context(emit.when(condition))
                row = inside.enter_context(emit.loop("0", count))
                line = self._at(sums, (row.index, str(self.tile.columns)))
                places = [emit.pointer(line, str(i * lanes), element) for i in range(len(masks))]
                values = [emit.load(self.type, place) for place in places]
                self._hand_over(values, emit.integer("add", first, row.index), column, masks)


def _matrix(base: str, stride: str, transposed: bool) -> Matrix:
    return Matrix(base, "1", stride) if transposed else Matrix(base, stride, "1")
