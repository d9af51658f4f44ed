"""Panels: parts of a matrix, laid out in the order in which a kernel reads them.

A panel holds ``width`` rows or columns for every step of the inner axis: element (step, lane) is at
``panel[step * width + lane]``. What is beyond the edge of the matrix is never read; those lanes of
the last panel hold anything finite or not, and nobody looks at what is computed from them.
"""

from __future__ import annotations

from chainrule.engines.native.emitter import Emitter, Vector, function
from chainrule.engines.native.target import Target

PARAMETERS = "ptr noalias %source, i64 %stride, i64 %extent, i64 %inner, ptr noalias %panels"


def slack(type_: Vector, width: int) -> int:
    """Elements between panels: vectors are written whole, and may reach over a panel's end."""
    return -width % type_.lanes


def panel_stride(emit: Emitter, type_: Vector, width: int, inner: str) -> str:
    """Elements from one panel to the next."""
    return emit.integer("add", emit.integer("mul", inner, str(width)), str(slack(type_, width)))


def panel_elements(type_: Vector, width: int, extent: int, inner: int) -> int:
    """Elements that `call_packing` may write to: the panels, and a block of lanes behind them."""
    panels = -(-extent // width)
    return panels * (inner * width + slack(type_, width)) + type_.lanes * (width + type_.lanes)


def call_packing(
    emit: Emitter,
    type_: Vector,
    width: int,
    source: tuple[str, str, bool],
    sizes: tuple[str, str],
    panels: str,
) -> None:
    """Lay out a matrix in panels, by a function that all products of a module share.

    Parameters
    ----------
    type_ : Vector
    width : int
        Lanes of a panel.
    source : (str, str, bool)
        ptr to the first element; elements from line to line; whether a line is one step of the
        inner axis (else it is one lane).
    sizes : (str, str)
        How many lanes and how many steps there are; i64.
    panels : str
        ptr to where they go.
    """
    base, stride, by_steps = source
    name = f"pack_{'steps' if by_steps else 'lanes'}_{type_.suffix}_{width}"
    if name not in emit.declarations:
        body = Emitter(emit.target)
        (_write_steps if by_steps else _write_lanes)(body, type_, width)
        body.do("ret void")
        emit.declarations.update(body.declarations)
        emit.declare(name, function(name, PARAMETERS, body, linkage="internal"))
    extent, inner = sizes
    emit.do(
        f"call void @{name}(ptr {base}, i64 {stride}, i64 {extent}, i64 {inner}, ptr {panels})"
    )


def _write_steps(emit: Emitter, type_: Vector, width: int) -> None:
    """Lines are steps: each is cut into pieces as wide as a panel."""
    vectors = -(-width // type_.lanes)
    reach = vectors * type_.lanes  # how far a panel's last vector is read
    stride = panel_stride(emit, type_, width, "%inner")
    fitting = emit.integer("sdiv", emit.integer("sub", "%extent", str(reach - width)), str(width))
    whole = emit.integer("smax", fitting, "0")
    panels = emit.integer("sdiv", emit.integer("add", "%extent", str(width - 1)), str(width))
    with emit.loop("0", "%inner") as step:
        line = emit.pointer("%source", emit.integer("mul", step.index, "%stride"), type_.element)
        place = emit.pointer("%panels", emit.integer("mul", step.index, str(width)), type_.element)
        for start, stop, masked in (("0", whole, False), (whole, panels, True)):
            with emit.loop(start, stop) as panel:
                lane = emit.integer("mul", panel.index, str(width))
                offset = emit.integer("mul", panel.index, stride)
                left = emit.integer("sub", "%extent", lane)
                _copy(
                    emit, type_, vectors, left if masked else None,
                    emit.pointer(line, lane, type_.element),
                    emit.pointer(place, offset, type_.element),
                )  # fmt: skip


def _copy(
    emit: Emitter, type_: Vector, vectors: int, left: str | None, source: str, place: str
) -> None:
    """Copy vectors; ``left`` is how many elements there are, None for enough."""
    for vector in range(vectors):
        offset = str(vector * type_.lanes)
        mask = left and emit.mask_below(type_, emit.integer("sub", left, offset))
        if type_.lanes == 1 and mask:
            mask = emit.let(f"icmp sgt i64 {left}, {offset}")
        value = emit.masked_load(type_, emit.pointer(source, offset, type_.element), mask)
        emit.store(type_, value, emit.pointer(place, offset, type_.element))


def _write_lanes(emit: Emitter, type_: Vector, width: int) -> None:
    """Lines are lanes: square blocks are transposed in registers.

    A vector may reach over the panel's end into the next step's first lanes. So steps go upwards,
    and the groups of lanes downwards: what was hurt is written afterwards.
    """
    lanes, groups = type_.lanes, -(-width // type_.lanes)
    stride = panel_stride(emit, type_, width, "%inner")
    panels = emit.integer("sdiv", emit.integer("add", "%extent", str(width - 1)), str(width))
    with emit.loop("0", panels) as panel, emit.loop("0", str(groups)) as turn:
        group = emit.integer("sub", str(groups - 1), turn.index)
        lane = emit.integer("mul", group, str(lanes))
        first = emit.integer("add", emit.integer("mul", panel.index, str(width)), lane)
        place = emit.integer("add", emit.integer("mul", panel.index, stride), lane)
        lines = _lines(emit, type_, first)
        for stop, masked in _block_kinds(emit, lanes):
            with emit.loop("0", stop, lanes) as block:
                _transpose_block(
                    emit, type_, width, lines, block.index, masked,
                    emit.pointer("%panels", place, type_.element),
                )  # fmt: skip


def _lines(emit: Emitter, type_: Vector, first: str) -> list[str]:
    """Where the lines of a group begin; lines that do not exist are replaced by the last one."""
    last = emit.integer("sub", "%extent", "1")
    pointers = []
    for lane in range(type_.lanes):
        line = emit.integer("smin", emit.integer("add", first, str(lane)), last)
        offset = emit.integer("mul", line, "%stride")
        pointers.append(emit.pointer("%source", offset, type_.element))
    return pointers


def _block_kinds(emit: Emitter, lanes: int) -> list[tuple[str, bool]]:
    """How far blocks go without masks, and how far with them; fewer steps than lanes need masks."""
    if emit.target.masks:
        return [("%inner", True)]
    enough = emit.let(f"icmp sge i64 %inner, {lanes}")
    whole = emit.let(f"select i1 {enough}, i64 %inner, i64 0")
    few = emit.integer("sub", "%inner", whole)
    return [(whole, False)] if lanes == 1 else [(whole, False), (few, True)]


def _transpose_block(
    emit: Emitter,
    type_: Vector,
    width: int,
    lines: list[str],
    step: str,
    masked: bool,
    panel: str,
) -> None:
    """Read some steps of every line, write them as vectors of lanes.

    The last block begins early enough to be whole, and writes some steps again. Where all steps
    together are fewer than a block, what is written behind them is overwritten or behind the end.
    """
    last = emit.integer("sub", "%inner", str(type_.lanes))
    start = emit.integer("smin", step, emit.integer("smax", last, "0") if masked else last)
    mask = emit.mask_below(type_, "%inner") if masked else None
    rows = [
        emit.masked_load(type_, emit.pointer(line, start, type_.element), mask) for line in lines
    ]
    offset = emit.integer("mul", start, str(width))
    for i, value in enumerate(transposed(emit, type_, rows)):
        place = emit.integer("add", offset, str(i * width))
        emit.store(type_, value, emit.pointer(panel, place, type_.element))


def transposed(emit: Emitter, type_: Vector, rows: list[str]) -> list[str]:
    """The columns of a square block in registers, by log2(lanes) rounds of pairwise exchange."""
    lanes = type_.lanes
    distance = lanes // 2
    while distance:
        low = [lane + (lanes - distance if lane & distance else 0) for lane in range(lanes)]
        high = [lane + (lanes if lane & distance else distance) for lane in range(lanes)]
        following = list(rows)
        for i in range(lanes):
            if not i & distance:
                pair = rows[i], rows[i + distance]
                following[i] = _shuffle(emit, type_, pair, low)
                following[i + distance] = _shuffle(emit, type_, pair, high)
        rows = following
        distance //= 2
    return rows


def _shuffle(emit: Emitter, type_: Vector, pair: tuple[str, str], lanes: list[int]) -> str:
    picked = ", ".join(f"i32 {lane}" for lane in lanes)
    mask = f"<{len(lanes)} x i32> <{picked}>"
    return emit.let(f"shufflevector {type_} {pair[0]}, {type_} {pair[1]}, {mask}")


def needs_masks(target: Target, columns: int, lanes: int) -> bool:
    """Whether reading rows of ``columns`` in vectors would take masks that the target lacks."""
    return columns % lanes != 0 and not target.masks
