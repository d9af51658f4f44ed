"""Random bits as code: the Threefry cipher on vectors of counters, and keys made from keys."""

from __future__ import annotations

from chainrule.engines.native.emitter import Emitter, Vector, copy, function

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(
    emit: Emitter, key: tuple[str, str], first: str, second: str, lanes: int
) -> tuple[str, str]:
    """The cipher of :func:`chainrule.ops.random.threefry`, by one key on vectors of counters."""
    word = Vector("i32", lanes)
    keys = emit.splat(word, key[0]), emit.splat(word, key[1])
    return threefry_of_each(emit, keys, first, second, lanes)


def threefry_of_each(
    emit: Emitter, keys: tuple[str, str], first: str, second: str, lanes: int
) -> tuple[str, str]:
    """The same by a key for each lane.

    It is one function of the module: there are many places that need it, and it is long.
    """
    word, name = Vector("i32", lanes), f"threefry_{lanes}"
    pair = f"{{{word}, {word}}}"
    if name not in emit.declarations:
        body = Emitter(emit.target)
        x, y = _rounds(body, ("%key0", "%key1"), "%first", "%second", lanes)
        half = body.let(f"insertvalue {pair} poison, {word} {x}, 0")
        body.do(f"ret {pair} {body.let(f'insertvalue {pair} {half}, {word} {y}, 1')}")
        emit.declarations.update(body.declarations)
        names = ("%key0", "%key1", "%first", "%second")
        parameters = ", ".join(f"{word} {name}" for name in names)
        emit.declare(name, function(name, parameters, body, pair, "internal"))
    given = ", ".join(f"{word} {each}" for each in (*keys, first, second))
    found = emit.let(f"call {pair} @{name}({given})")
    return emit.let(f"extractvalue {pair} {found}, 0"), emit.let(f"extractvalue {pair} {found}, 1")


def _rounds(
    emit: Emitter, keys: tuple[str, str], first: str, second: str, lanes: int
) -> tuple[str, str]:
    word = Vector("i32", lanes)
    both = emit.let(f"xor {word} {keys[0]}, {keys[1]}")
    words = [*keys, emit.let(f"xor {word} {both}, {word.constant(0x1BD11BDA)}")]
    x, y = emit.let(f"add {word} {first}, {words[0]}"), emit.let(f"add {word} {second}, {words[1]}")
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = emit.let(f"add {word} {x}, {y}")
            y = emit.intrinsic("llvm.fshl", word, y, y, word.constant(rotation))
            y = emit.let(f"xor {word} {y}, {x}")
        x = emit.let(f"add {word} {x}, {words[(group + 1) % 3]}")
        y = emit.let(f"add {word} {y}, {words[(group + 2) % 3]}")
        y = emit.let(f"add {word} {y}, {word.constant(group + 1)}")
    return x, y


def load_key(emit: Emitter, pointer: str) -> tuple[str, str]:
    """The two words of a key in memory."""
    word = Vector("i32", 1)
    return emit.load(word, pointer), emit.load(word, emit.pointer(pointer, "1", "i32"))


def fold(emit: Emitter, key: tuple[str, str], number: str) -> tuple[str, str]:
    """A new key from a key and an i64."""
    low = emit.let(f"trunc i64 {number} to i32")
    high = emit.let(f"trunc i64 {emit.let(f'lshr i64 {number}, 32')} to i32")
    return threefry(emit, key, low, emit.let(f"xor i32 {high}, -1"), 1)


def write_bits(emit: Emitter, key: tuple[str, str], target: str, size: str, lanes: int) -> None:
    """Fill ``size`` bytes with the stream of a key."""
    block = 8 * lanes
    full = emit.let(f"sub i64 {size}, {emit.let(f'urem i64 {size}, {block}')}")
    with emit.loop("0", full, block) as loop:
        _store_blocks(emit, key, loop.index, emit.pointer(target, loop.index, "i8"), lanes)
    with emit.loop(full, size, 8) as loop:
        spare = emit.let("alloca i64", "spare")
        _store_blocks(emit, key, loop.index, spare, 1)
        left = emit.let(f"sub i64 {size}, {loop.index}")
        few = emit.let(f"icmp slt i64 {left}, 8")
        count = emit.let(f"select i1 {few}, i64 {left}, i64 8")
        here = emit.pointer(target, loop.index, "i8")
        copy(emit, here, spare, count)


def _store_blocks(emit: Emitter, key: tuple[str, str], byte: str, target: str, lanes: int) -> None:
    """The blocks whose bytes begin at ``byte``."""
    word = Vector("i32", lanes)
    first = emit.let(f"lshr i64 {byte}, 3")
    low = emit.splat(word, emit.let(f"trunc i64 {first} to i32"))
    if lanes > 1:
        steps = ", ".join(f"i32 {lane}" for lane in range(lanes))
        low = emit.let(f"add {word} {low}, <{steps}>")
    high = emit.splat(word, emit.let(f"trunc i64 {emit.let(f'lshr i64 {first}, 32')} to i32"))
    x, y = threefry(emit, key, low, high, lanes)
    if lanes == 1:
        emit.store(word, x, target)
        emit.store(word, y, emit.pointer(target, "1", "i32"))
        return
    mixed = Vector("i32", 2 * lanes)
    order = ", ".join(f"i32 {lane}, i32 {lane + lanes}" for lane in range(lanes))
    pair = emit.let(f"shufflevector {word} {x}, {word} {y}, <{2 * lanes} x i32> <{order}>")
    emit.store(mixed, pair, target)
