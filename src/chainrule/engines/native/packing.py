"""Panels: parts of a matrix, laid out in the order in which a kernel reads them.

A panel holds ``width`` rows or columns for every step of the inner axis: element (step, lane) is at
``panel[step * width + lane]``. What is beyond the edge of the matrix is never read; those lanes of
the last panel hold anything finite or not, and nobody looks at what is computed from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from chainrule.engines.native.emitter import Emitter, Vector, function, mask_below, prefetch

RUN = 8  # steps that are packed together, where lines are steps
AHEAD = 16  # steps from the one that is packed to the one that is asked for
LINE_BITS = 512  # that caches move at a time
WIDEST = 64  # lanes of a panel, at most
PARAMETERS = (
    "ptr noalias %source, i64 %stride, i64 %extent, i64 %inner, ptr noalias %panels, "
    "i64 %width, i64 %panel_stride"
)


def slack(type_: Vector, width: int) -> int:
    """Elements between panels: vectors are written whole, and may reach over a panel's end."""
    return -width % type_.lanes


def panel_stride(emit: Emitter, type_: Vector, width: int, inner: str) -> str:
    """Elements from one panel to the next."""
    return emit.integer("add", emit.integer("mul", inner, str(width)), str(slack(type_, width)))


def panel_elements(type_: Vector, width: int, extent: int, inner: int) -> int:
    """Elements that `call_packing` writes to."""
    panels = -(-extent // width)
    return panels * (inner * width + slack(type_, width))


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
    extent, inner = sizes
    if by_steps:
        name, write = f"pack_steps_{type_.suffix}_{width}", partial(_write_steps, width=width)
    else:
        blocks = _block_steps(type_, inner)
        kind = "".join(f"_by_{steps}" for steps in blocks) if inner.isdigit() else ""
        name, write = f"pack_lanes_{type_.suffix}{kind}", partial(_write_lanes, blocks=blocks)
    if name not in emit.declarations:
        body = Emitter(emit.target)
        write(body, type_)
        body.do("ret void")
        emit.declarations.update(body.declarations)
        emit.declare(name, function(name, PARAMETERS, body, linkage="internal"))
    between = panel_stride(emit, type_, width, inner)
    emit.do(
        f"call void @{name}(ptr {base}, i64 {stride}, i64 {extent}, i64 {inner}, ptr {panels}, "
        f"i64 {width}, i64 {between})"
    )


def _write_steps(emit: Emitter, type_: Vector, width: int) -> None:
    """Lines are steps: each is cut into pieces as wide as a panel, a few steps at a time.

    So a panel is written in runs, and the lines that are read stay in the nearest cache.
    """
    vectors = -(-width // type_.lanes)
    reach = vectors * type_.lanes  # how far a panel's last vector is read
    fitting = emit.integer("sdiv", emit.integer("sub", "%extent", str(reach - width)), str(width))
    whole = emit.integer("smax", fitting, "0")
    panels = _rounded_up(emit, "%extent", str(width))
    with emit.loop("0", "%inner", RUN) as run:
        end = emit.integer("smin", emit.integer("add", run.index, str(RUN)), "%inner")
        for start, stop, masked in (("0", whole, False), (whole, panels, True)):
            with emit.loop(start, stop) as panel, emit.loop(run.index, end) as step:
                lane = emit.integer("mul", panel.index, str(width))
                left = emit.integer("sub", "%extent", lane)
                offset = emit.integer(
                    "add",
                    emit.integer("mul", panel.index, "%panel_stride"),
                    emit.integer("mul", step.index, str(width)),
                )
                line = emit.integer("add", emit.integer("mul", step.index, "%stride"), lane)
                _fetch(emit, type_, width, line)
                _copy(
                    emit, type_, vectors, left if masked else None,
                    emit.pointer("%source", line, type_.element),
                    emit.pointer("%panels", offset, type_.element),
                )  # fmt: skip


def _fetch(emit: Emitter, type_: Vector, width: int, line: str) -> None:
    """Ask for the piece that comes AHEAD steps later: no processor sees that it will be read."""
    later = emit.integer("add", line, emit.integer("mul", str(AHEAD), "%stride"))
    for offset in range(0, width, LINE_BITS // type_.bits):
        place = emit.integer("add", later, str(offset))
        prefetch(emit, emit.pointer("%source", place, type_.element))


def _copy(
    emit: Emitter, type_: Vector, vectors: int, left: str | None, source: str, place: str
) -> None:
    """Copy vectors; ``left`` is how many elements there are, None for enough.

    Vectors of one lane have no masks: in place of elements that do not exist the last one is read.
    """
    for vector in range(vectors):
        offset = origin = str(vector * type_.lanes)
        mask = None
        if left and type_.lanes == 1:
            origin = emit.integer("smin", offset, emit.integer("sub", left, "1"))
        elif left:
            mask = mask_below(emit, type_, emit.integer("sub", left, offset))
        value = emit.masked_load(type_, emit.pointer(source, origin, type_.element), mask)
        emit.store(type_, value, emit.pointer(place, offset, type_.element))


def _block_steps(type_: Vector, inner: str) -> list[int]:
    """The steps of blocks, largest first; of those that ``inner`` needs if it is a literal."""
    found = sorted({type_.lanes, steps_of_few(type_)}, reverse=True)
    return [x for x in found if x <= int(inner)][:1] if inner.isdigit() else found


def _write_lanes(emit: Emitter, type_: Vector, blocks: Sequence[int]) -> None:
    """Lines are lanes: square blocks, as many steps as a vector has lanes, change in registers.

    A line is read a whole vector at a time: lines that lie a power of two apart share places in
    the caches, and would drive each other out before they are read again.

    A vector may reach over the panel's end into the next step's first lanes. So steps go upwards,
    and the groups of lanes downwards: what was hurt is written afterwards.
    """
    table = emit.let(f"alloca ptr, i64 {WIDEST}", "table")
    panels = _rounded_up(emit, "%extent", "%width")
    groups = _rounded_up(emit, "%width", str(type_.lanes))
    with emit.loop("0", panels) as panel:
        first = emit.integer("mul", panel.index, "%width")
        _note_lines(emit, type_, first, groups, table)
        place = emit.integer("mul", panel.index, "%panel_stride")
        target = emit.pointer("%panels", place, type_.element)
        done = "0"
        for steps in blocks:
            enough = emit.let(f"icmp sge i64 %inner, {steps}")
            open_ = emit.let(f"icmp eq i64 {done}, 0")
            chosen = emit.let(f"and i1 {enough}, {open_}")
            end = emit.let(f"select i1 {chosen}, i64 %inner, i64 0")
            with emit.loop("0", end, steps) as block, _downwards(emit, type_, groups) as lane:
                lines = emit.pointer(table, lane, "ptr")
                at_lane = emit.pointer(target, lane, type_.element)
                _transpose_block(emit, type_, steps, lines, block.index, at_lane)
            done = emit.integer("smax", done, end)
        with emit.loop(done, "%inner") as step, _downwards(emit, type_, groups) as lane:
            lines = emit.pointer(table, lane, "ptr")
            at_lane = emit.pointer(target, lane, type_.element)
            _collect_step(emit, type_, lines, step.index, at_lane)


@contextmanager
def _downwards(emit: Emitter, type_: Vector, groups: str) -> Iterator[str]:
    """The first lane of each group of a panel, the last one first."""
    with emit.loop("0", groups) as turn:
        group = emit.integer("sub", emit.integer("sub", groups, "1"), turn.index)
        yield emit.integer("mul", group, str(type_.lanes))


def _rounded_up(emit: Emitter, x: str, y: str) -> str:
    """The least integer that is not below x / y."""
    above = emit.integer("add", x, emit.integer("sub", y, "1"))
    return emit.integer("sdiv", above, y)


def steps_of_few(type_: Vector) -> int:
    """Steps of a block where there are not enough for a square one: what 16 bytes hold."""
    return min(type_.lanes, 128 // type_.bits)


def _note_lines(emit: Emitter, type_: Vector, first: str, groups: str, table: str) -> None:
    """Where the lines of a panel begin; lines that do not exist are replaced by the last one.

    They are kept in memory: sixteen pointers do not fit into the registers, and cost the code
    generator more time than all the rest.
    """
    last = emit.integer("sub", "%extent", "1")
    with emit.loop("0", emit.integer("mul", groups, str(type_.lanes))) as lane:
        line = emit.integer("smin", emit.integer("add", first, lane.index), last)
        offset = emit.integer("mul", line, "%stride")
        start = emit.pointer("%source", offset, type_.element)
        emit.do(f"store ptr {start}, ptr {emit.pointer(table, lane.index, 'ptr')}")


def _line(emit: Emitter, type_: Vector, table: str, lane: str, step: str) -> str:
    """The address of one step of one line."""
    start = emit.let(f"load ptr, ptr {emit.pointer(table, lane, 'ptr')}")
    return emit.pointer(start, step, type_.element)


def _collect_step(emit: Emitter, type_: Vector, table: str, step: str, target: str) -> None:
    """One step of every line, element by element."""
    scalar = Vector(type_.element, 1)
    place = emit.pointer(target, emit.integer("mul", step, "%width"), type_.element)
    with emit.loop("0", str(type_.lanes)) as lane:
        value = emit.load(scalar, _line(emit, type_, table, lane.index, step))
        emit.store(scalar, value, emit.pointer(place, lane.index, type_.element))


def _transpose_block(
    emit: Emitter, type_: Vector, steps: int, table: str, step: str, target: str
) -> None:
    """Some steps of every line, read along the lines and written as vectors of lanes.

    The last block begins early enough to be whole, and writes some steps again.
    """
    start = emit.integer("smin", step, emit.integer("sub", "%inner", str(steps)))
    piece = Vector(type_.element, steps)
    pieces = [
        emit.load(piece, _line(emit, type_, table, str(lane), start)) for lane in range(type_.lanes)
    ]
    rows = [_joined(emit, piece, pieces[i::steps]) for i in range(steps)]
    for i, value in enumerate(_transposed(emit, type_, rows)):
        offset = emit.integer("mul", emit.integer("add", start, str(i)), "%width")
        emit.store(type_, value, emit.pointer(target, offset, type_.element))


def _joined(emit: Emitter, type_: Vector, pieces: list[str]) -> str:
    """One vector from several, in order."""
    while len(pieces) > 1:
        order = range(2 * type_.lanes)
        pairs = zip(pieces[::2], pieces[1::2], strict=True)
        pieces = [_shuffled(emit, type_, pair, order) for pair in pairs]
        type_ = Vector(type_.element, 2 * type_.lanes)
    return pieces[0]


def _transposed(emit: Emitter, type_: Vector, rows: list[str]) -> list[str]:
    """Square blocks side by side in vectors, each transposed, by rounds of interleaving halves."""
    steps, half = len(rows), len(rows) // 2
    for _ in range(steps.bit_length() - 1):
        pairs = list(zip(rows[:half], rows[half:], strict=True))
        rows = [
            _shuffled(emit, type_, pair, _interleaving(type_.lanes, steps, start))
            for pair in pairs
            for start in (0, half)
        ]
    return rows


def _interleaving(lanes: int, steps: int, start: int) -> list[int]:
    """Lanes that mix halves of two vectors' blocks: a0 b0 a1 b1 ... from element ``start`` on."""
    return [
        block + start + i // 2 + (i % 2) * lanes
        for block in range(0, lanes, steps)
        for i in range(steps)
    ]


def _shuffled(emit: Emitter, type_: Vector, pair: tuple[str, str], lanes: Sequence[int]) -> str:
    picked = ", ".join(f"i32 {lane}" for lane in lanes)
    mask = f"<{len(lanes)} x i32> <{picked}>"
    return emit.let(f"shufflevector {type_} {pair[0]}, {type_} {pair[1]}, {mask}")
