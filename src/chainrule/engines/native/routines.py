"""Operations with a routine of their own: gathers, joins, scans, sorting, random bits.

Each takes the scope and the node, reads its operands through contiguous accesses, and writes the
node's contiguous array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.engines.native.emitter import Emitter, Vector, clear, copy
from chainrule.engines.native.lowering import Site
from chainrule.engines.native.sizes import ONE, Size, extent_size, natural_strides, shape_size
from chainrule.engines.native.threefry import fold, load_key, write_bits
from chainrule.engines.native.values import Scope, lower_cast, to_memory
from chainrule.graph.node import Node
from chainrule.shapes import Shape

I64 = Vector("i64", 1)
ROUTINES: dict[str, Callable[[Scope, Node], None]] = {}


def routine(*names: str) -> Callable[[Any], Any]:
    """Enter a routine into the table."""

    def enter(function: Callable[[Scope, Node], None]) -> Callable[[Scope, Node], None]:
        for name in names:
            ROUTINES[name] = function
        return function

    return enter


def element(node: Node) -> str:
    """The type of an element in memory."""
    return Vector.of(node.dtype, 1).element


def nest(
    emit: Emitter,
    sizes: Sequence[Size],
    body: Callable[[list[str]], None],
    indices: Sequence[str] = (),
) -> None:
    """Loops over sizes, and ``body`` inside them."""
    if not sizes:
        body(list(indices))
        return
    if sizes[0] == ONE:
        nest(emit, sizes[1:], body, [*indices, "0"])
        return
    with emit.loop("0", sizes[0].emit(emit)) as loop:
        nest(emit, sizes[1:], body, [*indices, loop.index])


def _sizes(shape: Shape) -> list[Size]:
    return [extent_size(extent) for extent in shape]


def copy_run(emit: Emitter, node: Node, source: str, target: str, count: Size) -> None:
    """Copy elements that lie one after the other."""
    copy(emit, target, source, emit.let(f"mul i64 {count.emit(emit)}, {node.dtype.itemsize}"))


def fill_zero(emit: Emitter, node: Node, target: str, count: Size) -> None:
    """Set elements that lie one after the other to 0."""
    clear(emit, target, emit.let(f"mul i64 {count.emit(emit)}, {node.dtype.itemsize}"))


# Computed places


def _place(emit: Emitter, indices: Node, pointer: str, extent: Size, status: str) -> str:
    """An index counted from the front and clamped; one outside is noted in the status word."""
    memory = Vector.of(indices.dtype, 1)
    raw = lower_cast(emit, indices, emit.load(memory, pointer), 1)
    size = extent.emit(emit)
    negative = emit.let(f"icmp slt i64 {raw}, 0")
    place = emit.let(f"select i1 {negative}, i64 {emit.let(f'add i64 {raw}, {size}')}, i64 {raw}")
    outside = emit.let(f"icmp uge i64 {place}, {size}")
    old = emit.load(I64, status)
    emit.store(I64, emit.let(f"select i1 {outside}, i64 1, i64 {old}"), status)
    last = emit.let(f"sub i64 {size}, 1")
    nearest = emit.let(f"select i1 {negative}, i64 0, i64 {last}")
    return emit.let(f"select i1 {outside}, i64 {nearest}, i64 {place}")


def check_labels(scope: Scope, labels: Node, classes: int) -> None:
    """Note in the status word if a label is negative, or not below the number of classes."""
    emit, access = scope.emit, scope.access(labels)

    def body(indices: list[str]) -> None:
        pointer = access.address(emit, list(zip(indices, access.strides, strict=True)))
        label = lower_cast(emit, labels, emit.load(Vector.of(labels.dtype, 1), pointer), 1)
        outside = emit.let(f"icmp uge i64 {label}, {classes}")
        old = emit.load(I64, "%status")
        emit.store(I64, emit.let(f"select i1 {outside}, i64 1, i64 {old}"), "%status")

    nest(emit, _sizes(labels.shape), body)


@routine("take")
def take(scope: Scope, node: Node) -> None:
    """Runs of elements copied from computed places."""
    emit, (x, indices), axis = scope.emit, node.operands, node.attributes["axis"]
    inner = shape_size(x.shape[axis + 1 :])
    places = shape_size(indices.shape)
    source, index, target = (
        scope.access(x).pointer,
        scope.access(indices).pointer,
        scope.access(node).pointer,
    )
    extent = extent_size(x.shape[axis])

    def body(at: list[str]) -> None:
        front, place = at
        chosen = _place(
            emit, indices, emit.pointer(index, place, element(indices)), extent, "%status"
        )
        row = emit.let(f"add i64 {emit.let(f'mul i64 {front}, {extent.emit(emit)}')}, {chosen}")
        out = emit.let(f"add i64 {emit.let(f'mul i64 {front}, {places.emit(emit)}')}, {place}")
        step = inner.emit(emit)
        start, end = (
            emit.pointer(base, emit.let(f"mul i64 {i}, {step}"), element(node))
            for base, i in ((source, row), (target, out))
        )
        copy_run(emit, node, start, end, inner)

    nest(emit, [shape_size(x.shape[:axis]), places], body)


@routine("scatter_add")
def scatter_add(scope: Scope, node: Node) -> None:
    """Runs of elements added at computed places, one place after the other."""
    emit, (x, indices), axis = scope.emit, node.operands, node.attributes["axis"]
    rank = indices.ndim
    inner, places = shape_size(x.shape[axis + rank :]), shape_size(indices.shape)
    extent = extent_size(node.shape[axis])
    source, index, target = (
        scope.access(x).pointer,
        scope.access(indices).pointer,
        scope.access(node).pointer,
    )
    fill_zero(emit, node, target, shape_size(node.shape))
    memory = Vector.of(node.dtype, 1)

    def body(at: list[str]) -> None:
        front, place, position = at
        chosen = _place(
            emit, indices, emit.pointer(index, place, element(indices)), extent, "%status"
        )
        step = inner.emit(emit)
        row = emit.let(f"add i64 {emit.let(f'mul i64 {front}, {extent.emit(emit)}')}, {chosen}")
        out = emit.let(f"add i64 {emit.let(f'mul i64 {front}, {places.emit(emit)}')}, {place}")
        here = emit.let(f"add i64 {emit.let(f'mul i64 {row}, {step}')}, {position}")
        there = emit.let(f"add i64 {emit.let(f'mul i64 {out}, {step}')}, {position}")
        pointer = emit.pointer(target, here, element(node))
        value = emit.load(memory, emit.pointer(source, there, element(node)))
        add = "fadd" if node.dtype.kind == "f" else "or" if node.dtype.kind == "b" else "add"
        emit.store(
            memory, emit.let(f"{add} {memory} {emit.load(memory, pointer)}, {value}"), pointer
        )

    nest(emit, [shape_size(x.shape[:axis]), places, inner], body)


# Joining and padding


@routine("concat")
def concat(scope: Scope, node: Node) -> None:
    """Each operand's runs copied side by side."""
    start = Size(0)
    for operand in node.operands:
        _copy_part(scope, node, operand, start)
        run = shape_size(operand.shape[node.attributes["axis"] :])
        start = Size(start.number + run.number, run.of_rows)


def _copy_part(scope: Scope, node: Node, operand: Node, start: Size) -> None:
    """One operand's runs, each ``start`` behind the beginning of a whole run."""
    emit, axis = scope.emit, node.attributes["axis"]
    run, whole = shape_size(operand.shape[axis:]), shape_size(node.shape[axis:])
    source, target = scope.access(operand).pointer, scope.access(node).pointer

    def body(at: list[str]) -> None:
        (front,) = at
        here = emit.pointer(source, emit.let(f"mul i64 {front}, {run.emit(emit)}"), element(node))
        there = emit.pointer(
            target, emit.let(f"mul i64 {front}, {whole.emit(emit)}"), element(node)
        )
        copy_run(emit, node, here, emit.pointer(there, start.emit(emit), element(node)), run)

    nest(emit, [shape_size(node.shape[:axis])], body)


@routine("pad")
def pad(scope: Scope, node: Node) -> None:
    """Zeros, and the elements among them."""
    emit, (x,) = scope.emit, node.operands
    edges, gaps = node.attributes["edges"], node.attributes["interior"]
    source, target = scope.access(x), scope.access(node)
    fill_zero(emit, node, target.pointer, shape_size(node.shape))
    strides = natural_strides(node.shape)

    def body(indices: list[str]) -> None:
        here = source.address(emit, list(zip(indices, source.strides, strict=True)))
        moved = [
            emit.let(f"add i64 {emit.let(f'mul i64 {index}, {gap + 1}')}, {low}")
            for index, (low, _), gap in zip(indices, edges, gaps, strict=True)
        ]
        there = target.address(emit, list(zip(moved, strides, strict=True)))
        memory = Vector.of(node.dtype, 1)
        emit.store(memory, emit.load(memory, here), there)

    nest(emit, _sizes(x.shape), body)


# Along an axis


@routine("cumulative_sum")
def cumulative_sum(scope: Scope, node: Node) -> None:
    """One line after the other along the axis."""
    emit, (x,), axis = scope.emit, node.operands, node.attributes["axis"]
    inner = shape_size(x.shape[axis + 1 :])
    memory = Vector.of(node.dtype, 1)
    add = "fadd" if node.dtype.kind == "f" else "add"

    def body(at: list[str]) -> None:
        front, back = at
        extent, step = extent_size(x.shape[axis]).emit(emit), inner.emit(emit)
        base = emit.let(f"mul i64 {emit.let(f'mul i64 {front}, {extent}')}, {step}")
        start = emit.let(f"add i64 {base}, {back}")
        with emit.loop("0", extent, carried=[(memory, memory.constant(0))]) as loop:
            here = emit.let(f"add i64 {start}, {emit.let(f'mul i64 {loop.index}, {step}')}")
            value = emit.load(memory, emit.pointer(scope.access(x).pointer, here, element(node)))
            total = emit.let(f"{add} {memory} {loop.values[0]}, {value}")
            emit.store(memory, total, emit.pointer(scope.access(node).pointer, here, element(node)))
            loop.following = [total]

    nest(emit, [shape_size(x.shape[:axis]), inner], body)


@routine("argmax", "argmin")
def argmax(scope: Scope, node: Node) -> None:
    """The first place of the largest or smallest; NaN counts as both."""
    emit, (x,), (axis,) = scope.emit, node.operands, node.attributes["axes"]
    inner = shape_size(x.shape[axis + 1 :])
    memory, best = Vector.of(x.dtype, 1), node.op.name == "argmax"
    site = Site(emit, _compared(x), 1)

    def body(at: list[str]) -> None:
        front, back = at
        extent, step = extent_size(x.shape[axis]).emit(emit), inner.emit(emit)
        base = emit.let(f"mul i64 {emit.let(f'mul i64 {front}, {extent}')}, {step}")
        start = emit.let(f"add i64 {base}, {back}")
        first = emit.load(memory, emit.pointer(scope.access(x).pointer, start, element(x)))
        with emit.loop("1", extent, carried=[(memory, first), (I64, "0")]) as loop:
            here = emit.let(f"add i64 {start}, {emit.let(f'mul i64 {loop.index}, {step}')}")
            value = emit.load(memory, emit.pointer(scope.access(x).pointer, here, element(x)))
            old, place = loop.values
            better = _better(site, value, old, best, x)
            loop.following = [
                emit.let(f"select i1 {better}, {memory} {value}, {memory} {old}"),
                emit.let(f"select i1 {better}, i64 {loop.index}, i64 {place}"),
            ]
        out = emit.let(f"add i64 {emit.let(f'mul i64 {front}, {step}')}, {back}")
        to_memory(
            emit, node, loop.values[1], emit.pointer(scope.access(node).pointer, out, "i64"), 1
        )

    nest(emit, [shape_size(x.shape[:axis]), inner], body)


def _compared(x: Node) -> Node:
    """A node whose operand has the type of ``x``, for comparisons."""
    from chainrule import ops

    found: Node = ops.less(x, x)
    return found


def _better(site: Site, value: str, old: str, greatest: bool, x: Node) -> str:
    emit = site.emit
    memory = Vector.of(x.dtype, 1)
    if not memory.is_float:
        sign = "u" if x.dtype.kind in "ub" else "s"
        return emit.let(f"icmp {sign}{'gt' if greatest else 'lt'} {memory} {value}, {old}")
    wins = emit.let(f"fcmp {'ogt' if greatest else 'olt'} {memory} {value}, {old}")
    value_nan, old_nan = (emit.let(f"fcmp uno {memory} {v}, {v}") for v in (value, old))
    fresh = emit.let(f"and i1 {value_nan}, {emit.let(f'xor i1 {old_nan}, true')}")
    return emit.let(f"or i1 {wins}, {fresh}")


@routine("argsort")
def argsort(scope: Scope, node: Node) -> None:
    """Insertion by rank: each element's place is how many come before it; stable.

    Quadratic in the axis; the order of an epoch's rows has a routine of its own.
    """
    emit, (x,), axis = scope.emit, node.operands, node.attributes["axis"]
    inner = shape_size(x.shape[axis + 1 :])
    memory = Vector.of(x.dtype, 1)

    def body(at: list[str]) -> None:
        front, back, mine = at
        extent, step = extent_size(x.shape[axis]).emit(emit), inner.emit(emit)
        base = emit.let(f"mul i64 {emit.let(f'mul i64 {front}, {extent}')}, {step}")
        start = emit.let(f"add i64 {base}, {back}")

        def value_at(index: str) -> str:
            here = emit.let(f"add i64 {start}, {emit.let(f'mul i64 {index}, {step}')}")
            return emit.load(memory, emit.pointer(scope.access(x).pointer, here, element(x)))

        value = value_at(mine)
        with emit.loop("0", extent, carried=[(I64, "0")]) as loop:
            before = _comes_before(emit, x, value_at(loop.index), value, loop.index, mine)
            one = emit.let(f"zext i1 {before} to i64")
            loop.following = [emit.let(f"add i64 {loop.values[0]}, {one}")]
        out = emit.let(f"add i64 {start}, {emit.let(f'mul i64 {loop.values[0]}, {step}')}")
        emit.store(I64, mine, emit.pointer(scope.access(node).pointer, out, "i64"))

    nest(emit, [shape_size(x.shape[:axis]), inner, extent_size(x.shape[axis])], body)


def _comes_before(emit: Emitter, x: Node, a: str, b: str, i: str, j: str) -> str:
    """Whether a at i goes before b at j: smaller, or equal and earlier; NaN last."""
    memory = Vector.of(x.dtype, 1)
    if memory.is_float:
        a_nan, b_nan = (emit.let(f"fcmp uno {memory} {v}, {v}") for v in (a, b))
        smaller = emit.let(f"fcmp olt {memory} {a}, {b}")
        only_b = emit.let(f"and i1 {b_nan}, {emit.let(f'xor i1 {a_nan}, true')}")
        less = emit.let(f"or i1 {smaller}, {only_b}")
        both = emit.let(f"and i1 {a_nan}, {b_nan}")
        same = emit.let(f"or i1 {emit.let(f'fcmp oeq {memory} {a}, {b}')}, {both}")
    else:
        less = emit.let(f"icmp {'u' if x.dtype.kind in 'ub' else 's'}lt {memory} {a}, {b}")
        same = emit.let(f"icmp eq {memory} {a}, {b}")
    earlier = emit.let(f"icmp slt i64 {i}, {j}")
    return emit.let(f"or i1 {less}, {emit.let(f'and i1 {same}, {earlier}')}")


# Random bits


@routine("fold_in")
def fold_in(scope: Scope, node: Node) -> None:
    """One key after the other."""
    emit, (key, number) = scope.emit, node.operands
    keys, numbers, target = scope.access(key), scope.access(number), scope.access(node)
    word = Vector("i32", 1)

    def body(at: list[str]) -> None:
        (place,) = at
        raw = emit.load(
            Vector.of(number.dtype, 1),
            emit.pointer(numbers.pointer, place if number.ndim else "0", element(number)),
        )
        wide = lower_cast(emit, number, raw, 1)
        here = emit.let(f"mul i64 {place}, 2")
        first, second = fold(emit, load_key(emit, emit.pointer(keys.pointer, here, "i32")), wide)
        out = emit.pointer(target.pointer, here, "i32")
        emit.store(word, first, out)
        emit.store(word, second, emit.pointer(out, "1", "i32"))

    nest(emit, [shape_size(node.shape[:-1])], body)


@routine("random_bits")
def random_bits(scope: Scope, node: Node) -> None:
    """Blocks of 64 bits, a vector of counters at a time; the last block may be cut."""
    emit, (key,) = scope.emit, node.operands
    members, each = shape_size(key.shape[:-1]), shape_size(node.shape[key.ndim - 1 :])
    lanes = max(1, emit.target.vector_bytes // 4)

    def body(at: list[str]) -> None:
        (member,) = at
        words = load_key(
            emit, emit.pointer(scope.access(key).pointer, emit.let(f"mul i64 {member}, 2"), "i32")
        )
        size = emit.let(f"mul i64 {each.emit(emit)}, {node.dtype.itemsize}")
        target = emit.pointer(
            scope.access(node).pointer, emit.let(f"mul i64 {member}, {size}"), "i8"
        )
        write_bits(emit, words, target, size, lanes)

    nest(emit, [members], body)
