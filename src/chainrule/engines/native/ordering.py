"""The order of an epoch's rows as code: the stable order of random words.

A row's word and its number share 64 bits, so that one store moves both. The words are uniform: by
some of their highest bits pairs are put into buckets of a few, by counting. Within buckets
neighbours are exchanged until all are in order, by vectors and without a branch that nobody
foresees: the odd-even transposition sort of D. E. Knuth 1973, "The Art of Computer Programming",
volume 3, section 5.3.4, which needs as many phases as the fullest bucket holds pairs.

The functions are the same for every program: they are part of the engine's own module, and `run`
gets the address of the one that it calls once an epoch.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.engines.native.emitter import Emitter, Vector, clear
from chainrule.engines.native.layout import (
    BUCKETS,
    COUNTER_BYTES,
    DIGIT_BITS,
    DRAWN,
    FEW_BITS,
    SHUFFLED,
    SPARE_PAIRS,
)
from chainrule.engines.native.structured import Part, Structured
from chainrule.engines.native.threefry import fold, load_key, write_bits
from chainrule.records import dataclass

I64, WORD, PLACE = Vector("i64", 1), Vector("i32", 1), Vector("ptr", 1)
MOST_ROWS = 2**32 - 1  # a row's number is half a pair
SPARED_BITS = 3  # of those that a number of rows has: four to eight pairs share a bucket
BLOCK_PAIRS = 256  # that are sorted together: as often as the fullest bucket among them needs


@dataclass(frozen=True)
class Digits:
    """The digits by which pairs are put into buckets, as numbers known when the code runs.

    Attributes
    ----------
    count, bits, buckets : str
        How many digits, the bits of each, and how many values one has; i64.
    lowest : str
        The place of the last bit of the lowest of them in a pair; i64.
    """

    count: str
    bits: str
    buckets: str
    lowest: str

    @classmethod
    def of(cls, emit: Emitter, rows: str) -> Digits:
        """One digit for few rows; for many, whose buckets outgrow the nearest cache, short ones."""
        zeros = emit.intrinsic("llvm.ctlz", I64, rows, "true", others=[Vector("i1", 1)])
        known = emit.integer("smin", emit.let(f"sub i64 {64 - SPARED_BITS}, {zeros}"), "32")
        bits = emit.integer("smax", known, "1")
        short = emit.let(f"udiv i64 {emit.let(f'add i64 {bits}, {DIGIT_BITS - 1}')}, {DIGIT_BITS}")
        few = emit.let(f"icmp ule i64 {bits}, {FEW_BITS}")
        count = emit.let(f"select i1 {few}, i64 1, i64 {short}")
        raised = emit.let(f"sub i64 {emit.let(f'add i64 {bits}, {count}')}, 1")
        each = emit.let(f"udiv i64 {raised}, {count}")
        lowest = emit.let(f"sub i64 64, {emit.let(f'mul i64 {count}, {each}')}")
        return cls(count, each, emit.let(f"shl i64 1, {each}"), lowest)

    def bucket(self, emit: Emitter, pair: str, number: str) -> str:
        """The value of a digit, the lowest of them first."""
        shift = emit.let(f"add i64 {self.lowest}, {emit.let(f'mul i64 {number}, {self.bits}')}")
        shifted = emit.let(f"lshr i64 {pair}, {shift}")
        return emit.let(f"and i64 {shifted}, {emit.let(f'sub i64 {self.buckets}, 1')}")


def _drawn(emit: Emitter) -> None:
    """Rows drawn with replacement: (rows,) i64 at ``order``."""
    rows, order = "%rows", "%order"
    _fill(emit, order, emit.let(f"mul i64 {rows}, 8"))
    with emit.loop("0", rows) as row:
        pointer = emit.pointer(order, row.index, "i64")
        emit.store(I64, emit.let(f"urem i64 {emit.load(I64, pointer)}, {rows}"), pointer)
    emit.do("ret void")


def _shuffled(emit: Structured) -> None:
    """A permutation of the rows: (rows,) i64 at ``order``."""
    rows, order, work = "%rows", "%order", "%work"
    _fill(emit, order, emit.let(f"mul i64 {rows}, 4"))
    first = emit.pointer(work, str(BUCKETS * COUNTER_BYTES), "i8")
    second = emit.pointer(first, emit.integer("add", rows, str(SPARE_PAIRS)), "i64")
    _write_pairs(emit, rows, order, first)
    digits = Digits.of(emit, rows)
    arrays = [(PLACE, first), (PLACE, second)]
    with emit.loop("0", digits.count, carried=arrays) as turn:
        source, target = turn.values
        _start(emit, rows, digits, turn.index, source, work)
        _move(emit, rows, digits, turn.index, (source, target), work)
        turn.following = [target, source]
    _settle(emit, rows, digits, turn.values[0])
    _write_rows(emit, rows, turn.values[0], order)
    emit.do("ret void")


def _fill(emit: Emitter, place: str, size: str) -> None:
    """So many bytes of an epoch's own stream."""
    emit.do(f"call void @fill(ptr %seed, i64 %epoch, ptr {place}, i64 {size})")


def _filled(emit: Emitter) -> None:
    key = fold(emit, fold(emit, load_key(emit, "%seed"), "%epoch"), "0")
    write_bits(emit, key, "%place", "%size", max(1, emit.target.vector_bytes // 4))
    emit.do("ret void")


def _pairs(emit: Emitter) -> Vector:
    return Vector("i64", max(2, emit.target.vector_bytes // 8))


def _write_pairs(emit: Emitter, rows: str, words: str, pairs: str) -> None:
    def write(index: str, pair: Vector, numbers: str) -> None:
        word = emit.load(Vector("i32", pair.lanes), emit.pointer(words, index, "i32"))
        wide = emit.let(f"zext {Vector('i32', pair.lanes)} {word} to {pair}")
        high = emit.let(f"shl {pair} {wide}, {pair.constant(32)}")
        emit.store(
            pair, emit.let(f"or {pair} {high}, {numbers}"), emit.pointer(pairs, index, "i64")
        )

    _each(emit, rows, write)


def _each(emit: Emitter, rows: str, write: Callable[[str, Vector, str], None]) -> None:
    """``write(index, type, numbers)`` for several pairs at a time, and for the last ones singly."""
    pair = _pairs(emit)
    full = emit.let(f"and i64 {rows}, {-pair.lanes}")
    steps = ", ".join(f"i64 {lane}" for lane in range(pair.lanes))
    with emit.loop("0", full, pair.lanes) as some:
        numbers = emit.let(f"add {pair} {emit.splat(pair, some.index)}, <{steps}>")
        write(some.index, pair, numbers)
    with emit.loop(full, rows) as one:
        write(one.index, I64, one.index)


def _increase(emit: Emitter, pointer: str) -> str:
    """Add 1 to a counter; what it was before."""
    before = emit.load(WORD, pointer)
    emit.store(WORD, emit.let(f"add i32 {before}, 1"), pointer)
    return before


def _start(
    emit: Emitter, rows: str, digits: Digits, number: str, source: str, counters: str
) -> None:
    """Where each bucket of a digit begins."""
    clear(emit, counters, emit.let(f"mul i64 {digits.buckets}, {COUNTER_BYTES}"))
    with emit.loop("0", rows) as row:
        pair = emit.load(I64, emit.pointer(source, row.index, "i64"))
        _increase(emit, emit.pointer(counters, digits.bucket(emit, pair, number), "i32"))
    with emit.loop("0", digits.buckets, carried=[(WORD, "0")]) as bucket:
        pointer = emit.pointer(counters, bucket.index, "i32")
        count = emit.load(WORD, pointer)
        emit.store(WORD, bucket.values[0], pointer)
        bucket.following = [emit.let(f"add i32 {bucket.values[0]}, {count}")]


def _move(
    emit: Emitter, rows: str, digits: Digits, number: str, arrays: tuple[str, str], counters: str
) -> None:
    """Each pair to the next place of its bucket."""
    source, target = arrays
    with emit.loop("0", rows) as row:
        pair = emit.load(I64, emit.pointer(source, row.index, "i64"))
        place = _increase(emit, emit.pointer(counters, digits.bucket(emit, pair, number), "i32"))
        index = emit.let(f"zext i32 {place} to i64")
        emit.store(I64, pair, emit.pointer(target, index, "i64"))


def _settle(emit: Structured, rows: str, digits: Digits, pairs: str) -> None:
    """Sort pairs that lie in their buckets: blocks of whole buckets, one after the other."""
    pair = _pairs(emit)
    with emit.loop("0", str(SPARE_PAIRS), pair.lanes) as spare:
        place = emit.pointer(pairs, emit.integer("add", rows, spare.index), "i64")
        emit.store(pair, pair.constant(-1), place)
    with emit.turns([(I64, "0")]) as block:
        (start,) = block.values
        stop = _bucket_end(emit, rows, digits, pairs, emit.integer("add", start, str(BLOCK_PAIRS)))
        with emit.turns() as turn:
            turn.again = _exchange_neighbours(emit, pair, pairs, start, stop)
        block.following = [stop]
        block.again = emit.let(f"icmp slt i64 {stop}, {rows}")


def _bucket_end(emit: Structured, rows: str, digits: Digits, pairs: str, start: str) -> str:
    """The first place from ``start`` on where a bucket ends, the number of rows at most."""
    with emit.turns([(I64, emit.integer("smin", start, rows))]) as turn:
        (place,) = turn.values
        before = emit.integer("sub", place, "1")
        left, right = (emit.load(I64, emit.pointer(pairs, i, "i64")) for i in (before, place))
        differing = emit.let(f"lshr i64 {emit.let(f'xor i64 {left}, {right}')}, {digits.lowest}")
        same = emit.let(f"icmp eq i64 {differing}, 0")
        turn.again = emit.let(f"and i1 {same}, {emit.let(f'icmp slt i64 {place}, {rows}')}")
        turn.following = [emit.let(f"add i64 {place}, {emit.let(f'zext i1 {turn.again} to i64')}")]
    return turn.following[0]


def _exchange_neighbours(emit: Emitter, pair: Vector, pairs: str, start: str, stop: str) -> str:
    """Two phases of an odd-even transposition sort over [start, stop); i1, whether any moved."""
    lanes = pair.lanes
    last = emit.integer("add", stop, str(lanes))
    here = emit.pointer(pairs, start, "i64")
    loaded = emit.load(pair, here)
    even = _in_order(emit, pair, loaded)
    emit.store(pair, even, here)
    moved = emit.let(f"xor {pair} {even}, {loaded}")
    second = emit.integer("add", start, str(lanes))
    with emit.loop(second, last, lanes, carried=[(pair, even), (pair, moved)]) as loop:
        before, moved = loop.values
        here = emit.pointer(pairs, loop.index, "i64")
        loaded = emit.load(pair, here)
        even = _in_order(emit, pair, loaded)
        order = ", ".join(f"i32 {lane}" for lane in range(1, lanes + 1))
        across = emit.let(
            f"shufflevector {pair} {before}, {pair} {even}, <{lanes} x i32> <{order}>"
        )
        odd = _in_order(emit, pair, across)
        emit.store(pair, even, here)
        first = emit.integer("sub", loop.index, str(lanes - 1))
        emit.store(pair, odd, emit.pointer(pairs, first, "i64"))
        for new, old in ((even, loaded), (odd, across)):
            moved = emit.let(f"or {pair} {moved}, {emit.let(f'xor {pair} {new}, {old}')}")
        loop.following = [even, moved]
    name = f"llvm.vector.reduce.or.{pair.suffix}"
    emit.declare(name, f"declare i64 @{name}({pair})")
    return emit.let(f"icmp ne i64 {emit.let(f'call i64 @{name}({pair} {loop.values[1]})')}, 0")


def _in_order(emit: Emitter, pair: Vector, values: str) -> str:
    """The smaller of each two neighbours first."""
    lanes = range(pair.lanes)
    swapped = ", ".join(f"i32 {lane ^ 1}" for lane in lanes)
    other = emit.let(
        f"shufflevector {pair} {values}, {pair} poison, <{pair.lanes} x i32> <{swapped}>"
    )
    low, high = (emit.intrinsic(f"llvm.{name}", pair, values, other) for name in ("umin", "umax"))
    chosen = ", ".join(f"i32 {lane + (lane % 2) * pair.lanes}" for lane in lanes)
    return emit.let(f"shufflevector {pair} {low}, {pair} {high}, <{pair.lanes} x i32> <{chosen}>")


def _write_rows(emit: Emitter, rows: str, pairs: str, order: str) -> None:
    def write(index: str, pair: Vector, _numbers: str) -> None:
        value = emit.load(pair, emit.pointer(pairs, index, "i64"))
        number = emit.let(f"and {pair} {value}, {pair.constant(MOST_ROWS)}")
        emit.store(pair, number, emit.pointer(order, index, "i64"))

    _each(emit, rows, write)


PARAMETERS = "ptr %seed, i64 %epoch, i64 %rows, ptr %order, ptr %work"
PARTS = (
    Part("fill", "ptr %seed, i64 %epoch, ptr %place, i64 %size", _filled),
    Part(SHUFFLED, PARAMETERS, _shuffled, linkage="external"),
    Part(DRAWN, PARAMETERS, _drawn, linkage="external"),
)
