"""Blocks of a matrix product that stay in registers: one row of code per multiply and add.

A tile of C, some rows by some vectors of columns, is summed over the whole inner axis: for each
step one vector load per vector of columns, one broadcast per row, and their products added to the
tile. With 24 accumulators (6 x 4, 8 x 3) a core of two multipliers is kept busy: the latency of
4 cycles needs 8, and the loads stay below one per two multiplies (Goto, van de Geijn 2008,
section 4).

Each element is one chain of multiply-adds along the inner axis, in order, whatever the tile: where
blocks begin and who computes them changes no bit of a result.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.engines.native.emitter import Emitter, Vector, function
from chainrule.engines.native.target import Target
from chainrule.records import dataclass

POINTER = Vector("ptr", 1)
CHAINS = 8  # of multiply-adds that run at once, at least: two multipliers with a latency of 4


@dataclass(frozen=True)
class Tile:
    """A block of C in registers: ``rows`` by ``vectors`` vectors of one type."""

    type: Vector
    rows: int
    vectors: int

    @property
    def columns(self) -> int:
        """Width in elements."""
        return self.vectors * self.type.lanes

    @property
    def size(self) -> int:
        """How many accumulators it takes."""
        return self.rows * self.vectors

    def zeros(self) -> list[str]:
        """Empty sums."""
        return [self.type.constant(0)] * self.size


@dataclass(frozen=True)
class Matrix:
    """A matrix in memory: element (i, j) is ``base[i * row + j * column]``; strides are i64."""

    base: str
    row: str
    column: str

    def at(self, emit: Emitter, element: str, i: str, j: str) -> Matrix:
        """The part that begins at (i, j)."""
        offset = emit.integer(
            "add", emit.integer("mul", i, self.row), emit.integer("mul", j, self.column)
        )
        return Matrix(emit.pointer(self.base, offset, element), self.row, self.column)


@dataclass(frozen=True)
class Panels:
    """A matrix in panels: `packing` says how one lies; the next is ``stride`` elements away."""

    base: str
    stride: str


def accumulator_budget(target: Target) -> int:
    """How many registers hold sums; the others hold operands, and products without fma."""
    return target.registers * 3 // 4 if target.fma else target.registers // 2


def multiply(
    emit: Emitter,
    tile: Tile,
    a: Matrix,
    b: Matrix,
    inner: str,
    sums: Sequence[str],
    masks: Sequence[str | None],
) -> list[str]:
    """Add A B to the sums of a tile.

    Parameters
    ----------
    tile : Tile
    a : Matrix
        The rows of A that the tile needs: (tile.rows, inner).
    b : Matrix
        The columns of B: (inner, tile.columns), with column stride 1.
    inner : str
        Length of the inner axis; i64.
    sums : sequence of str
        The sums so far, row by row.
    masks : sequence of (str or None)
        Which lanes of each vector of B exist; None for all.

    Returns
    -------
    list of str
        The new sums.
    """
    element, scalar = tile.type.element, Vector(tile.type.element, 1)
    types = [POINTER, POINTER] + [tile.type] * tile.size
    carried = list(zip(types, [a.base, b.base, *sums], strict=True))
    with emit.loop("0", inner, carried=carried) as loop:
        at_a, at_b, *sums = loop.values
        columns = _columns(emit, tile, at_b, masks)
        for row in range(tile.rows):
            place = emit.pointer(at_a, emit.integer("mul", a.row, str(row)), element)
            x = emit.splat(tile.type, emit.load(scalar, place))
            for i, y in enumerate(columns, row * tile.vectors):
                sums[i] = emit.multiply_add(tile.type, x, y, sums[i])
        next_a = emit.pointer(at_a, a.column, element)
        loop.following = [next_a, emit.pointer(at_b, b.row, element), *sums]
    return loop.values[2:]


def _columns(emit: Emitter, tile: Tile, line: str, masks: Sequence[str | None]) -> list[str]:
    """One row of B, as wide as the tile."""
    lanes, element = tile.type.lanes, tile.type.element
    return [
        emit.masked_load(tile.type, emit.pointer(line, str(i * lanes), element), mask)
        for i, mask in enumerate(masks)
    ]


def call_kernel(
    emit: Emitter,
    tile: Tile,
    a: Matrix | Panels,
    panel: str,
    sizes: tuple[str, str],
    sums: str,
    resumed: str,
    vectors: int,
) -> None:
    """Add A B to a strip of C in memory, by a function that all products of a module share.

    Parameters
    ----------
    tile : Tile
    a : Matrix or Panels
        Rows of A as they lie, or in panels that are ``tile.rows`` wide.
    panel : str
        ptr to a panel of B, as wide as the tile.
    sizes : (str, str)
        Rows, and length of the inner axis; i64.
    sums : str
        The strip in memory: ptr to (rows, tile.columns).
    resumed : str
        i64 1 if the strip holds sums already, 0 if it is to be begun.
    vectors : int
        How many of the tile's there are columns for.
    """
    count, inner = sizes
    kind = "packed" if isinstance(a, Panels) else "plain" if a.column == "1" else "transposed"
    stride = a.stride if isinstance(a, Panels) else a.row if a.column == "1" else a.column
    name = f"kernel_{tile.type.suffix}_{kind}_{tile.rows}x{vectors}of{tile.vectors}"
    if name not in emit.declarations:
        _define_kernel(emit, name, tile, vectors, kind)
    emit.do(
        f"call void @{name}(i64 {count}, i64 {inner}, ptr {a.base}, i64 {stride}, "
        f"ptr {panel}, ptr {sums}, i64 {resumed})"
    )


KERNEL_PARAMETERS = (
    "i64 %rows, i64 %inner, ptr noalias %a, i64 %stride, ptr noalias %b, ptr noalias %sums, "
    "i64 %resumed"
)


_KINDS = {"plain": Matrix("%a", "%stride", "1"), "transposed": Matrix("%a", "1", "%stride")}


def _define_kernel(emit: Emitter, name: str, tile: Tile, vectors: int, kind: str) -> None:
    body = Emitter(emit.target)
    b = Matrix("%b", str(tile.columns), "1")
    for start, stop, rows in row_blocks(body, "0", "%rows", heights(tile)):
        with body.loop(start, stop, rows) as row:
            if kind == "packed":
                a = _in_panels(body, tile, row.index, whole=rows == tile.rows)
            else:
                a = _KINDS[kind].at(body, tile.type.element, row.index, "0")
            offset = body.integer("mul", row.index, str(tile.columns))
            part = Tile(tile.type, rows, vectors)
            whole: list[str | None] = [None] * vectors
            place = body.pointer("%sums", offset, tile.type.element)
            resume(body, part, a, b, (place, tile.columns), ("%inner", "%resumed"), whole)
    body.do("ret void")
    emit.declarations.update(body.declarations)
    emit.declare(name, function(name, KERNEL_PARAMETERS, body, linkage="internal"))


def _in_panels(emit: Emitter, tile: Tile, row: str, *, whole: bool) -> Matrix:
    """The rows of A from this one on, in panels; ``whole`` where it is the first of a panel."""
    width = str(tile.rows)
    panel = emit.integer("mul", emit.integer("sdiv", row, width), "%stride")
    lane = "0" if whole else emit.integer("srem", row, width)
    first = emit.pointer("%a", emit.integer("add", panel, lane), tile.type.element)
    return Matrix(first, "1", width)


def resume(
    emit: Emitter,
    tile: Tile,
    a: Matrix,
    b: Matrix,
    sums: tuple[str, int],
    sizes: tuple[str, str],
    masks: Sequence[str | None],
) -> None:
    """Take the sums of a tile from memory if there are any, add A B, put them back.

    Parameters
    ----------
    sums : (str, int)
        ptr to the sums; elements from row to row.
    sizes : (str, str)
        Length of the inner axis; 1 if there are sums already, else 0; i64.
    """
    type_, (inner, resumed) = tile.type, sizes
    place, stride = sums
    offsets = [
        row * stride + vector * type_.lanes
        for row in range(tile.rows)
        for vector in range(tile.vectors)
    ]
    places = [emit.pointer(place, str(offset), type_.element) for offset in offsets]
    # no turn or one: a branch whose results come together again
    carried = [(type_, zero) for zero in tile.zeros()]
    with emit.loop("0", resumed, 1, carried) as loop:
        loop.following = [emit.load(type_, pointer) for pointer in places]
    found = multiply(emit, tile, a, b, inner, loop.values, masks)
    for pointer, value in zip(places, found, strict=True):
        emit.store(type_, value, pointer)


def dots(
    emit: Emitter, type_: Vector, lines: tuple[Sequence[str], Sequence[str]], inner: int
) -> list[str]:
    """The sums of products of lines with lines, each along a vector of partial sums.

    Parameters
    ----------
    type_ : Vector
        Of the partial sums.
    lines : (sequence of str, sequence of str)
        ptr to lines of ``inner`` elements: each of the first with each of the second.
    inner : int

    Returns
    -------
    list of str
        Scalars, for each of the first lines those with the second.
    """
    rest = inner % type_.lanes
    zeros = [(type_, type_.constant(0)) for _ in lines[0] for _ in lines[1]]
    with emit.loop("0", str(inner - rest), type_.lanes, zeros) as loop:
        loop.following = _added(emit, type_, lines, loop.index, None, loop.values)
    sums = loop.values
    if rest:
        sums = _added(emit, type_, lines, str(inner - rest), type_.first(rest), sums)
    return [_lane_sum(emit, type_, each) for each in sums]


def _lane_sum(emit: Emitter, type_: Vector, value: str) -> str:
    """The sum of a vector's elements."""
    if type_.lanes == 1:
        return value
    name, scalar = f"llvm.vector.reduce.fadd.{type_.suffix}", Vector(type_.element, 1)
    emit.declare(name, f"declare {scalar} @{name}({scalar}, {type_})")
    zero = f"{scalar} {scalar.constant(-0.0)}"
    return emit.let(f"call reassoc {scalar} @{name}({zero}, {type_} {value})")


def _added(
    emit: Emitter,
    type_: Vector,
    lines: tuple[Sequence[str], Sequence[str]],
    place: str,
    mask: str | None,
    sums: Sequence[str],
) -> list[str]:
    """One more vector of each line."""
    firsts, seconds = (
        [emit.masked_load(type_, emit.pointer(line, place, type_.element), mask) for line in side]
        for side in lines
    )
    pairs = [(x, y) for x in firsts for y in seconds]
    return [emit.multiply_add(type_, x, y, s) for (x, y), s in zip(pairs, sums, strict=True)]


def heights(tile: Tile) -> list[int]:
    """The heights of blocks that cover any number of rows."""
    few = min(tile.rows, -(-CHAINS // tile.vectors))
    return sorted({tile.rows, few, 1}, reverse=True)


def row_blocks(
    emit: Emitter, start: str, stop: str, heights: Sequence[int]
) -> list[tuple[str, str, int]]:
    """Cut [start, stop) into blocks, the highest first: (first row, end, height) for each height.

    The last of the heights must divide what the others leave. Heights that no row is left for are
    dropped where the rows are known.
    """
    blocks = []
    for height in heights:
        count = emit.integer("sdiv", emit.integer("sub", stop, start), str(height))
        end = emit.integer("add", start, emit.integer("mul", count, str(height)))
        if end != start:
            blocks.append((start, end, height))
        start = end
    return blocks
