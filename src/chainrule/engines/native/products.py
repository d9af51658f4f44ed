"""Matrix products: code for one shape, with what is done to the results given by the caller.

Small products run from memory as they are, one tile of registers after another, with the results
handed over in registers. Large ones are cut into blocks that stay in the caches and laid out in
panels (Goto, van de Geijn 2008): for each block of rows and each stretch of the inner axis, A is
packed once unless it can be read as it lies, B group by group of panels unless all of it was packed
before, and a kernel that all products of a module share adds to tiles in memory; when a tile has
seen the whole inner axis it is handed over.

Either way every element of C is one chain of multiply-adds along the inner axis: its bits depend on
the operands alone, not on the blocks, on bounds, or on the number of rows beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.kernels import (
    Matrix,
    Panels,
    Tile,
    call_kernel,
    dots,
    multiply,
    resume,
    row_blocks,
)
from chainrule.engines.native.narrow import call_narrow, narrow_line
from chainrule.engines.native.packing import call_packing, panel_stride
from chainrule.engines.native.tiling import (
    STREAMED_STEPS,
    ProductSpec,
    block_inner,
    block_rows,
    ceil_div,
    group_panels,
    narrow_bytes,
    narrow_columns,
    plan,
    tile_bytes,
)

LINES = 4  # of B at a time, where they are multiplied with lines of A
Store: TypeAlias = Callable[[Emitter, Vector, str, str, str, "str | None"], Any]
Ahead: TypeAlias = Callable[[Emitter, str, str], Any]
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
    *,
    looped: bool = False,
    ahead: Ahead | None = None,
    common: str | None = None,
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
    looped : bool
        Whether what ``store`` writes is long: it then stands in a loop over the vectors of a tile,
        which goes through memory, instead of once for each of them.
    ahead : callable, optional
        ``ahead(emit, row, column)`` writes what fetches from memory, while the product is
        computed, what ``store`` will read for the vector at this place.
    common : str, optional
        ptr to what `write_common` has laid out; for those products whose spec says so.
    """
    bounds, memory = (rows, panels), (scratch, common)
    chosen = plan(spec, emit.target)
    writer = _Small if chosen.small else _Streamed if chosen.streamed else _Blocked
    writer(emit, spec, (a, b), size, memory, (store, looped, ahead), bounds).write()


def write_common(
    emit: Emitter, spec: ProductSpec, b: str, size: str, common: str, panels: tuple[str, str]
) -> None:
    """Lay out panels of B where all parts of a product find them.

    Parameters
    ----------
    emit : Emitter
    spec : ProductSpec
        Of a product that is computed block by block.
    b : str
        ptr to B.
    size : str
        The size that is known at run time; i64. Any text if there is none.
    common : str
        ptr to `common_bytes` bytes, best on a multiple of 64.
    panels : (str, str)
        Which, as [begin, end); i64.
    """
    tile = plan(spec, emit.target).tile
    k, inner = size if spec.k is None else str(spec.k), str(block_inner(spec))
    ldb = str(spec.ldb or (k if spec.transpose_b else spec.n))
    first, end = (emit.integer("mul", panel, str(tile.columns)) for panel in panels)
    count = emit.integer("sub", emit.integer("smin", end, str(spec.n)), first)
    with emit.loop("0", k, int(inner)) as stretch:
        length = emit.integer("smin", emit.integer("sub", k, stretch.index), inner)
        source = _matrix(b, ldb, spec.transpose_b).at(emit, tile.type.element, stretch.index, first)
        place = _common_place(emit, spec, tile, common, (stretch.index, length), panels[0])
        lines = source.base, ldb, not spec.transpose_b
        call_packing(emit, tile.type, tile.columns, lines, (count, length), place)


def _common_place(
    emit: Emitter, spec: ProductSpec, tile: Tile, common: str, inner: tuple[str, str], panel: str
) -> str:
    """Where `write_common` puts a panel: all of a stretch, then all of the next."""
    (stretch, length), longest = inner, str(block_inner(spec))
    whole = panel_stride(emit, tile.type, tile.columns, longest)
    each = emit.integer("mul", str(ceil_div(spec.n, tile.columns)), whole)
    before = emit.integer("mul", emit.integer("sdiv", stretch, longest), each)
    within = emit.integer("mul", panel, panel_stride(emit, tile.type, tile.columns, length))
    return emit.pointer(common, emit.integer("add", before, within), tile.type.element)


class _Writer:
    """Writes one product: the operands as matrices (i, k) and (k, j), and what is handed over."""

    def __init__(
        self,
        emit: Emitter,
        spec: ProductSpec,
        operands: tuple[str, str],
        size: str,
        memory: tuple[str, str | None],
        store: tuple[Store, bool, Ahead | None],
        bounds: tuple[Bounds, Bounds],
    ) -> None:
        self.emit, self.spec, (self.scratch, self.common) = emit, spec, memory
        self.store, self.looped, self.ahead = store
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

    def _hand_over_line(
        self, line: str, row: str, column: str, masks: Sequence[str | None]
    ) -> None:
        """Hand over one row of a tile from memory, by a loop if what is done with it is long."""
        emit, lanes, element = self.emit, self.type.lanes, self.type.element
        if self.looped and len(masks) > 1 and not any(masks):
            with emit.loop("0", str(len(masks) * lanes), lanes) as vector:
                value = emit.load(self.type, emit.pointer(line, vector.index, element))
                self.store(
                    emit, self.type, value, row, emit.integer("add", column, vector.index), None
                )
            return
        places = [emit.pointer(line, str(i * lanes), element) for i in range(len(masks))]
        values = [emit.load(self.type, place) for place in places]
        self._hand_over(values, row, column, masks)

    def _finish(self, sums: str, step: str, row: str, panels: tuple[str, str]) -> None:
        """Hand over one row of a group of panels."""
        emit, (first, last) = self.emit, panels
        for begin, end, masks in self._strips():
            low = emit.integer("smax", first, str(begin))
            with emit.loop(low, emit.integer("smin", last, str(end))) as panel:
                column = emit.integer("mul", panel.index, str(self.tile.columns))
                number = emit.integer("sub", panel.index, first)
                self._hand_over_line(self._at(sums, (number, step)), row, column, masks)

    def _whether(self, relation: str, x: str, y: str) -> str:
        """A comparison as an i64: 1 or 0."""
        return self.emit.let(f"zext i1 {self.emit.let(f'icmp {relation} i64 {x}, {y}')} to i64")

    def _heights(self) -> list[int]:
        """Two heights cover all rows, a third any part of them; so the code stays short."""
        most, rest = self.tile.rows, (self.spec.m or 0) % self.tile.rows
        known = self.spec.m is not None and self.rows == ("0", self.m)
        return sorted({most, rest, rest if known else 1} - {0}, reverse=True)


class _Small(_Writer):
    """From memory as it is, tile by tile."""

    def write(self) -> None:
        """Panel by panel, in each row block by row block."""
        packed: str | None = None
        if self.plan.pack_b:
            packed = self.emit.pointer(self.scratch, str(tile_bytes(self.tile)), "i8")
            self._pack_panels(packed)
        for first, last, masks in self._strips():
            with self.emit.loop(*self._within(first, last)) as panel:
                self._write_panel(panel.index, masks, packed)

    def _pack_panels(self, place: str) -> None:
        """B in panels, as far as it is needed here."""
        emit, columns = self.emit, str(self.tile.columns)
        begin, end = (emit.integer("mul", panel, columns) for panel in self.panels)
        count = emit.integer("sub", emit.integer("smin", end, str(self.spec.n)), begin)
        b = self.b.at(emit, self.type.element, "0", begin)
        self._pack_b(b, (emit.integer("smax", count, "0"), self.k), place)

    def _write_panel(self, panel: str, masks: Sequence[str | None], packed: str | None) -> None:
        emit, element = self.emit, self.type.element
        column = emit.integer("mul", panel, str(self.tile.columns))
        if packed is None:
            b, read = self.b.at(emit, element, "0", column), masks
        else:
            number = emit.integer("sub", panel, self.panels[0])
            b, read = self._packed_b(packed, number, self.k), [None] * len(masks)
        for begin, end, height in row_blocks(emit, *self.rows, self._heights()):
            tile = Tile(self.type, height, len(masks))
            with emit.loop(begin, end, height) as row:
                a = self.a.at(emit, element, row.index, "0")
                sums = multiply(emit, tile, a, b, self.k, tile.zeros(), read)
                if self.looped:
                    self._put_down(sums, len(masks))
                    self._hand_over_rows(row.index, height, column, masks)
                else:
                    self._hand_over(sums, row.index, column, masks)

    def _put_down(self, sums: Sequence[str], vectors: int) -> None:
        """The sums of a tile into memory."""
        for i, value in enumerate(sums):
            line, vector = divmod(i, vectors)
            offset = line * self.tile.columns + vector * self.type.lanes
            place = self.emit.pointer(self.scratch, str(offset), self.type.element)
            self.emit.store(self.type, value, place)

    def _hand_over_rows(
        self, first: str, count: int, column: str, masks: Sequence[str | None]
    ) -> None:
        """Hand over what was put down."""
        emit = self.emit
        with emit.loop("0", str(count)) as row:
            line = self._at(self.scratch, (row.index, str(self.tile.columns)))
            self._hand_over_line(line, emit.integer("add", first, row.index), column, masks)


class _Streamed(_Writer):
    """A few rows of A, and B as it lies: read once, in the order in which it lies."""

    def write(self) -> None:
        """A few rows after the other; usually that is all of them."""
        emit, columns = self.emit, self.tile.columns
        for begin, end, height in row_blocks(emit, *self.rows, self._heights()):
            with emit.loop(begin, end, height) as row:
                if self.spec.transpose_b:
                    self._write_dots(row.index, height)
                else:
                    self._write_stretches(row.index, height)
                with emit.loop("0", str(height)) as line:
                    at_row = emit.integer("add", row.index, line.index)
                    here = self._at(self.scratch, (line.index, str(columns)))
                    self._finish(here, str(height * columns), at_row, self.panels)

    def _write_stretches(self, row: str, height: int) -> None:
        """Some steps of the inner axis after the other, for all columns."""
        emit, element = self.emit, self.type.element
        with emit.loop("0", emit.integer("smax", self.k, "1"), STREAMED_STEPS) as stretch:
            left = emit.integer("sub", self.k, stretch.index)
            inner = emit.integer("smin", left, str(STREAMED_STEPS))
            resumed = self._whether("sgt", stretch.index, "0")
            a = self.a.at(emit, element, row, stretch.index)
            for first, last, masks in self._strips():
                with emit.loop(*self._within(first, last)) as panel:
                    column = emit.integer("mul", panel.index, str(self.tile.columns))
                    b = self.b.at(emit, element, stretch.index, column)
                    tile = Tile(self.type, height, len(masks))
                    sums = self._tile(panel.index, height), self.tile.columns
                    resume(emit, tile, a, b, sums, (inner, resumed), masks)

    def _tile(self, panel: str, height: int) -> str:
        """Where the sums of a panel lie."""
        number = self.emit.integer("sub", panel, self.panels[0])
        return self._at(self.scratch, (number, str(height * self.tile.columns)))

    def _write_dots(self, row: str, height: int) -> None:
        """Lines of A with lines of B, some of B's at a time."""
        emit, element = self.emit, self.type.element
        begin, end = (emit.integer("mul", panel, str(self.tile.columns)) for panel in self.panels)
        end = emit.integer("smin", end, str(self.spec.n))
        for first, last, count in row_blocks(emit, begin, end, [LINES, 1]):
            with emit.loop(first, last, count) as column:
                rows = [emit.integer("add", row, str(i)) for i in range(height)]
                columns = [emit.integer("add", column.index, str(j)) for j in range(count)]
                a = [self.a.at(emit, element, each, "0").base for each in rows]
                b = [self.b.at(emit, element, "0", each).base for each in columns]
                for number, value in enumerate(dots(emit, self.type, (a, b), self.spec.k or 0)):
                    line, beside = divmod(number, count)
                    place = self._element(line, columns[beside], height)
                    emit.store(Vector(element, 1), value, place)

    def _element(self, line: int, column: str, height: int) -> str:
        """Where one sum lies."""
        emit, columns = self.emit, str(self.tile.columns)
        tile = self._tile(emit.integer("sdiv", column, columns), height)
        lane = emit.integer("srem", column, columns)
        return self._at(tile, (str(line), columns), (lane, "1"))


class _Blocked(_Writer):
    """Block by block, from panels, by kernels that the products of a module share."""

    def write(self) -> None:
        """Blocks of rows, in each stretches of the inner axis, at least one."""
        emit = self.emit
        self.block_rows, self.inner = block_rows(self.spec, self.plan), block_inner(self.spec)
        self.group = group_panels(self.tile)
        self.narrow = narrow_columns(self.spec, self.tile)
        self.panels_b = emit.pointer(self.scratch, str(narrow_bytes(self.spec, self.plan)), "i8")
        longest = emit.integer("smin", self.k, str(self.inner))
        between = panel_stride(emit, self.type, self.tile.columns, longest)
        packed = 0 if self.spec.common else min(self.group, self.count)
        self.strips = self._at(self.panels_b, (str(packed), between))
        self.panels_a = self._at(self.strips, (self._kept_lines(), str(self.tile.columns)))
        begin, end = self.rows
        with emit.loop(begin, end, self.block_rows) as block:
            left = emit.integer("sub", end, block.index)
            height = emit.integer("smin", left, str(self.block_rows))
            with emit.loop("0", emit.integer("smax", self.k, "1"), self.inner) as stretch:
                self._write_stretch(block.index, height, stretch.index)

    def _write_stretch(self, block: str, height: str, stretch: str) -> None:
        """Panels of A, then group by group those of B, and what needs both."""
        emit, element, tile = self.emit, self.type.element, self.tile
        left = emit.integer("sub", self.k, stretch)
        inner = emit.integer("smin", left, str(self.inner))
        a = self.a.at(emit, element, block, stretch).base
        if self.plan.pack_a:
            source = (a, self.lda, self.spec.transpose_a)
            call_packing(emit, self.type, tile.rows, source, (height, inner), self.panels_a)
        with emit.loop(*self.panels, self.group) as group:
            last = emit.integer("add", group.index, str(self.group))
            last = emit.integer("smin", last, self.panels[1])
            column = emit.integer("mul", group.index, str(tile.columns))
            end = emit.integer("mul", last, str(tile.columns))
            columns = emit.integer("sub", emit.integer("smin", end, str(self.spec.n)), column)
            self.group_b = self._panels_of_b((group.index, column), columns, (stretch, inner))
            self._write_narrow(height, (group.index, last), (stretch, inner))
            with emit.loop("0", height, tile.rows) as row:
                given = self._rows_of_a(a, row.index, inner)
                self._write_rows(
                    (block, height), row.index, given, (group.index, last), (stretch, inner)
                )

    def _panels_of_b(self, first: tuple[str, str], columns: str, inner: tuple[str, str]) -> str:
        """Where the panels of a group are; ``first`` is their first panel and its column."""
        emit, (stretch, length) = self.emit, inner
        if self.common is not None:
            return _common_place(emit, self.spec, self.tile, self.common, inner, first[0])
        b = self.b.at(emit, self.type.element, stretch, first[1])
        self._pack_b(b, (columns, length), self.panels_b)
        return self.panels_b

    def _rows_of_a(self, a: str, row: str, inner: str) -> Matrix | Panels:
        """Rows of A as the kernel takes them."""
        if not self.plan.pack_a:
            return Matrix(self._at(a, (row, self.a.row)), self.a.row, self.a.column)
        between = panel_stride(self.emit, self.type, self.tile.rows, inner)
        number = self.emit.integer("sdiv", row, str(self.tile.rows))
        return Panels(self._at(self.panels_a, (number, between)), between)

    def _write_rows(
        self,
        rows: tuple[str, str],
        row: str,
        a: Matrix | Panels,
        panels: tuple[str, str],
        inner: tuple[str, str],
    ) -> None:
        """Some rows of a group of panels: added to, and handed over after the last stretch.

        Rows are handed over as far as the group reaches, so that memory is read and written in
        long runs.
        """
        emit, tile = self.emit, self.tile
        (block, height), (first, last), (stretch, length) = rows, panels, inner
        count = emit.integer("smin", emit.integer("sub", height, row), str(tile.rows))
        resumed = self._whether("sgt", stretch, "0")
        sums, step = self._sums(first, row)
        for begin, end, masks in self._strips():
            low = emit.integer("smax", first, str(begin))
            with emit.loop(low, emit.integer("smin", last, str(end))) as panel:
                self._fetch(emit.integer("add", block, row), count, panel.index)
                number = emit.integer("sub", panel.index, first)
                b = self._packed_b(self.group_b, number, length)
                place = self._at(sums, (number, step))
                sizes = count, length
                call_kernel(emit, tile, a, b.base, sizes, place, resumed, len(masks))
        finished = emit.let(f"icmp sge i64 {emit.integer('add', stretch, length)}, {self.k}")
        with emit.when(finished), emit.loop("0", count) as line:
            at_row = emit.integer("add", emit.integer("add", block, row), line.index)
            here = self._at(sums, (line.index, str(tile.columns)))
            self._finish(here, step, at_row, panels)
            self._finish_narrow((row, line.index), at_row, panels)

    def _strips(self) -> list[tuple[int, int, list[str | None]]]:
        """The narrow columns are no part of them."""
        strips = super()._strips()
        if self.narrow is None:
            return strips
        *others, (first, last, masks) = strips
        return [*others, (first, last, masks[:-1])] if masks[:-1] else others

    def _narrow_panels(self, panels: tuple[str, str]) -> tuple[str, str]:
        """The panel that holds the narrow columns, if it is one of these."""
        low, high = self.emit.integer("smax", panels[0], str(self.count - 1)), str(self.count)
        return low, self.emit.integer("smin", panels[1], high)

    def _write_narrow(self, height: str, panels: tuple[str, str], inner: tuple[str, str]) -> None:
        """The narrow columns of a block, if they are in this group."""
        if self.narrow is None:
            return
        emit, tile, (stretch, length) = self.emit, self.tile, inner
        between = panel_stride(emit, self.type, tile.rows, length)
        above = emit.integer("add", height, str(tile.rows - 1))
        count = emit.integer("sdiv", above, str(tile.rows))
        resumed = self._whether("sgt", stretch, "0")
        with emit.loop(*self._narrow_panels(panels)) as panel:
            number = emit.integer("sub", panel.index, panels[0])
            b = self._packed_b(self.group_b, number, length).base
            b = emit.pointer(b, str(self._narrow_offset()), self.type.element)
            given = self.panels_a, between, count
            call_narrow(emit, tile, self.narrow, given, b, length, self.scratch, resumed)

    def _narrow_offset(self) -> int:
        """Where the narrow columns begin in their panel."""
        return self.spec.n % self.tile.columns // self.type.lanes * self.type.lanes

    def _finish_narrow(self, line: tuple[str, str], row: str, panels: tuple[str, str]) -> None:
        """Hand over the narrow columns of a row, if they are in this group."""
        if self.narrow is None:
            return
        emit, tile = self.emit, self.tile
        with emit.loop(*self._narrow_panels(panels)) as panel:
            number = emit.integer("sdiv", line[0], str(tile.rows))
            value = narrow_line(emit, tile, self.narrow, self.scratch, number, line[1])
            column = emit.integer("mul", panel.index, str(tile.columns))
            column = emit.integer("add", column, str(self._narrow_offset()))
            self._hand_over([value], row, column, [self.type.first(self.narrow.columns)])

    def _fetch(self, row: str, count: str, panel: str) -> None:
        """What handing over a tile will read, while it is computed."""
        emit, lanes = self.emit, self.type.lanes
        if self.ahead is None:
            return
        column = emit.integer("mul", panel, str(self.tile.columns))
        with emit.loop("0", count) as line:
            here = emit.integer("add", row, line.index)
            for vector in range(self.tile.vectors):
                self.ahead(emit, here, emit.integer("add", column, str(vector * lanes)))

    def _kept_lines(self) -> str:
        """How many lines of sums there is room for."""
        tallest = self.emit.integer("smin", self.m, str(self.block_rows))
        most, few = (
            self.emit.integer("mul", tallest, str(self.count)),
            self.tile.rows * self.group,
        )
        if self.spec.k is not None:
            return most if self.spec.k > self.inner else str(few)
        several = self.emit.let(f"icmp sgt i64 {self.k}, {self.inner}")
        return self.emit.let(f"select i1 {several}, i64 {most}, i64 {few}")

    def _sums(self, panel: str, row: str) -> tuple[str, str]:
        """Where the sums of a panel's rows lie; elements from one panel to the next.

        Between stretches all are kept; those of a single stretch for as long as a group.
        """
        emit, columns = self.emit, str(self.tile.columns)
        tallest = emit.integer("smin", self.m, str(self.block_rows))
        several = emit.let(f"icmp sgt i64 {self.k}, {self.inner}")
        kept = emit.integer("add", emit.integer("mul", panel, tallest), row)
        line = emit.let(f"select i1 {several}, i64 {kept}, i64 0")
        lines = emit.let(f"select i1 {several}, i64 {tallest}, i64 {self.tile.rows}")
        return self._at(self.strips, (line, columns)), emit.integer("mul", lines, columns)


def _matrix(base: str, stride: str, transposed: bool) -> Matrix:
    return Matrix(base, "1", stride) if transposed else Matrix(base, stride, "1")
