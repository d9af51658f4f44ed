"""The last columns of a product, too few to fill a vector: rows lie in the lanes instead.

A panel of A holds the rows of a tile side by side for every step of the inner axis: one or two
vectors, which are multiplied by each of the columns' elements of B. So as many multiply-adds are
needed as there are columns, and not as there are rows. Each sum is the same chain of multiply-adds
as in the other columns.
"""

from __future__ import annotations

from chainrule.engines.native.emitter import Emitter, Vector, function
from chainrule.engines.native.kernels import POINTER, Tile, row_blocks
from chainrule.engines.native.tiling import Narrow

CHAINS = 12  # that run at once: two multipliers with a latency of 4 need 8
MOST_PANELS = 4  # of A at a time
PARAMETERS = (
    "i64 %panels, i64 %inner, ptr noalias %a, i64 %stride, ptr noalias %b, ptr noalias %sums, "
    "i64 %resumed"
)


def call_narrow(
    emit: Emitter,
    tile: Tile,
    narrow: Narrow,
    panels: tuple[str, str, str],
    b: str,
    inner: str,
    sums: str,
    resumed: str,
) -> None:
    """Add A B to sums in memory, by a function that all products of a module share.

    Parameters
    ----------
    tile : Tile
        Whose rows a panel of A holds, and whose columns a panel of B.
    narrow : Narrow
    panels : (str, str, str)
        ptr to panels of A; elements from one to the next; how many there are.
    b : str
        ptr to the columns of B.
    inner : str
        Length of the inner axis; i64.
    sums : str
        ptr to (panels, columns, rows in whole vectors).
    resumed : str
        i64 1 if there are sums already, 0 if they are to be begun.
    """
    name = f"narrow_{tile.type.suffix}_{tile.rows}x{narrow.columns}of{tile.columns}"
    if name not in emit.declarations:
        body = Emitter(emit.target)
        _write(body, tile, narrow)
        emit.declarations.update(body.declarations)
        emit.declare(name, function(name, PARAMETERS, body, linkage="internal"))
    base, stride, count = panels
    emit.do(
        f"call void @{name}(i64 {count}, i64 {inner}, ptr {base}, i64 {stride}, "
        f"ptr {b}, ptr {sums}, i64 {resumed})"
    )


def narrow_line(emit: Emitter, tile: Tile, narrow: Narrow, sums: str, panel: str, line: str) -> str:
    """The sums of one row, in the first lanes of a vector."""
    first = emit.integer("mul", panel, str(narrow.columns * narrow.reach(tile)))
    place = emit.pointer(sums, emit.integer("add", first, line), tile.type.element)
    one, found = Vector(tile.type.element, 1), tile.type.constant(0)
    for column in range(narrow.columns):
        here = emit.pointer(place, str(column * narrow.reach(tile)), tile.type.element)
        value = emit.load(one, here)
        found = emit.let(f"insertelement {tile.type} {found}, {one} {value}, i64 {column}")
    return found


def _write(emit: Emitter, tile: Tile, narrow: Narrow) -> None:
    each = narrow.columns * narrow.vectors(tile)
    several = max(1, min(-(-CHAINS // each), MOST_PANELS))
    for start, stop, count in row_blocks(emit, "0", "%panels", sorted({several, 1}, reverse=True)):
        with emit.loop(start, stop, count) as panel:
            _write_panels(emit, tile, narrow, panel.index, count)
    emit.do("ret void")


def _write_panels(emit: Emitter, tile: Tile, narrow: Narrow, first: str, count: int) -> None:
    """Some panels of A with all columns."""
    type_, reach, vectors = tile.type, narrow.reach(tile), narrow.vectors(tile)
    element, one = type_.element, Vector(type_.element, 1)
    a = emit.pointer("%a", emit.integer("mul", first, "%stride"), element)
    lines = [emit.integer("mul", "%stride", str(panel)) for panel in range(count)]
    offset = emit.integer("mul", first, str(narrow.columns * reach))
    base = emit.pointer("%sums", offset, element)
    size = count * narrow.columns * vectors
    places = [emit.pointer(base, str(i * type_.lanes), element) for i in range(size)]
    zeros = [(type_, type_.constant(0))] * size
    with emit.loop("0", "%resumed", 1, zeros) as begun:
        begun.following = [emit.load(type_, place) for place in places]
    carried = [(POINTER, a), (POINTER, "%b"), *((type_, each) for each in begun.values)]
    with emit.loop("0", "%inner", carried=carried) as step:
        at_a, at_b, *sums = step.values
        columns = [
            emit.splat(type_, emit.load(one, emit.pointer(at_b, str(column), element)))
            for column in range(narrow.columns)
        ]
        rows = [
            emit.load(type_, emit.pointer(emit.pointer(at_a, line, element), str(i), element))
            for line in lines
            for i in range(0, reach, type_.lanes)
        ]
        for i, total in enumerate(sums):
            panel, rest = divmod(i, narrow.columns * vectors)
            column, vector = divmod(rest, vectors)
            row = rows[panel * vectors + vector]
            sums[i] = emit.multiply_add(type_, row, columns[column], total)
        following = emit.pointer(at_a, str(tile.rows), element)
        step.following = [following, emit.pointer(at_b, str(tile.columns), element), *sums]
    for place, value in zip(places, step.values[2:], strict=True):
        emit.store(type_, value, place)
