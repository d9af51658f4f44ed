"""The order of an epoch's rows as code: the stable order of random words.

A row's word and its number share 64 bits, so that one store moves both. The words are uniform:
sorted by as many of their highest bits as the number of rows has, few pairs are left out of place,
and those an insertion sort moves by a step or two.

The functions are the same for every program: they are part of the engine's own module, and `run`
gets the address of the one that it calls once an epoch.
"""

from __future__ import annotations

from chainrule.engines.native.emitter import Emitter, Vector, clear
from chainrule.engines.native.layout import (
    BUCKETS,
    COUNTER_BYTES,
    DIGIT_BITS,
    DRAWN,
    FEW_BITS,
    SHUFFLED,
)
from chainrule.engines.native.structured import Part
from chainrule.engines.native.threefry import fold, load_key, write_bits
from chainrule.records import dataclass

I64, WORD, PLACE = Vector("i64", 1), Vector("i32", 1), Vector("ptr", 1)
MOST_ROWS = 2**32 - 1  # a row's number is half a pair


@dataclass(frozen=True)
class Digits:
    """The digits by which pairs are sorted, as numbers known when the code runs.

    Attributes
    ----------
    count, bits, buckets : str
        How many digits, the bits of each, and how many values one has; i64.
    """

    count: str
    bits: str
    buckets: str

    @classmethod
    def of(cls, emit: Emitter, rows: str) -> Digits:
        """One digit for few rows; for many, whose buckets outgrow the nearest cache, short ones."""
        zeros = emit.intrinsic("llvm.ctlz", I64, rows, "true", others=[Vector("i1", 1)])
        bits = emit.integer("smin", emit.let(f"sub i64 64, {zeros}"), "32")
        short = emit.let(f"udiv i64 {emit.let(f'add i64 {bits}, {DIGIT_BITS - 1}')}, {DIGIT_BITS}")
        few = emit.let(f"icmp ule i64 {bits}, {FEW_BITS}")
        count = emit.let(f"select i1 {few}, i64 1, i64 {short}")
        raised = emit.let(f"sub i64 {emit.let(f'add i64 {bits}, {count}')}, 1")
        each = emit.let(f"udiv i64 {raised}, {count}")
        return cls(count, each, emit.let(f"shl i64 1, {each}"))

    def bucket(self, emit: Emitter, pair: str, number: str) -> str:
        """The value of a digit, the lowest of them first."""
        above = emit.let(f"sub i64 {self.count}, {number}")
        shift = emit.let(f"sub i64 64, {emit.let(f'mul i64 {above}, {self.bits}')}")
        shifted = emit.let(f"lshr i64 {pair}, {shift}")
        return emit.let(f"and i64 {shifted}, {emit.let(f'sub i64 {self.buckets}, 1')}")


def _drawn(emit: Emitter) -> None:
    """Rows drawn with replacement: (rows,) i64 at ``order``."""
    rows, order = "%rows", "%order"
    _write_bits(emit, order, emit.let(f"mul i64 {rows}, 8"))
    with emit.loop("0", rows) as row:
        pointer = emit.pointer(order, row.index, "i64")
        emit.store(I64, emit.let(f"urem i64 {emit.load(I64, pointer)}, {rows}"), pointer)
    emit.do("ret void")


def _shuffled(emit: Emitter) -> None:
    """A permutation of the rows: (rows,) i64 at ``order``."""
    rows, order, work = "%rows", "%order", "%work"
    _write_bits(emit, order, emit.let(f"mul i64 {rows}, 4"))
    first = emit.pointer(work, str(BUCKETS * COUNTER_BYTES), "i8")
    second = emit.pointer(first, rows, "i64")
    _write_pairs(emit, rows, order, first)
    digits = Digits.of(emit, rows)
    arrays = [(PLACE, first), (PLACE, second)]
    with emit.loop("0", digits.count, carried=arrays) as turn:
        source, target = turn.values
        _start(emit, rows, digits, turn.index, source, work)
        _move(emit, rows, digits, turn.index, (source, target), work)
        turn.following = [target, source]
    _insert(emit, rows, turn.values[0])
    _write_rows(emit, rows, turn.values[0], order)
    emit.do("ret void")


def _write_bits(emit: Emitter, place: str, size: str) -> None:
    """So many bytes of an epoch's own stream."""
    key = fold(emit, fold(emit, load_key(emit, "%seed"), "%epoch"), "0")
    write_bits(emit, key, place, size, max(1, emit.target.vector_bytes // 4))


def _write_pairs(emit: Emitter, rows: str, words: str, pairs: str) -> None:
    with emit.loop("0", rows) as row:
        word = emit.load(WORD, emit.pointer(words, row.index, "i32"))
        high = emit.let(f"shl i64 {emit.let(f'zext i32 {word} to i64')}, 32")
        pair = emit.let(f"or i64 {high}, {row.index}")
        emit.store(I64, pair, emit.pointer(pairs, row.index, "i64"))


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


def _insert(emit: Emitter, rows: str, pairs: str) -> None:
    """Each pair before those that are larger: insertion sort."""
    with emit.loop("1", rows) as row:
        pair = emit.load(I64, emit.pointer(pairs, row.index, "i64"))
        moved = _larger_before(emit, pairs, row.index, pair)
        with emit.when(moved):
            _insert_one(emit, pairs, row.index, pair)


def _larger_before(emit: Emitter, pairs: str, place: str, pair: str) -> str:
    before = emit.let(f"sub i64 {place}, 1")
    return emit.let(f"icmp ugt i64 {emit.load(I64, emit.pointer(pairs, before, 'i64'))}, {pair}")


def _insert_one(emit: Emitter, pairs: str, start: str, pair: str) -> None:
    """Move larger pairs up from ``start`` on, and put a pair into the gap."""
    head, entry = emit.label("head"), emit.block
    test, end = emit.label("test"), emit.label("end")
    place, lower = emit.fresh("i"), emit.fresh("n")
    emit.do(f"br label %{head}")
    emit.start(head)
    emit.do(f"{place} = phi i64 [ {start}, %{entry} ], [ {lower}, %{test} ]")
    emit.do(f"{lower} = sub i64 {place}, 1")
    above = emit.load(I64, emit.pointer(pairs, lower, "i64"))
    emit.store(I64, above, emit.pointer(pairs, place, "i64"))
    first = emit.let(f"icmp eq i64 {lower}, 0")
    emit.do(f"br i1 {first}, label %{end}, label %{test}")
    emit.start(test)
    larger = _larger_before(emit, pairs, lower, pair)
    emit.do(f"br i1 {larger}, label %{head}, label %{end}")
    emit.start(end)
    emit.store(I64, pair, emit.pointer(pairs, lower, "i64"))


def _write_rows(emit: Emitter, rows: str, pairs: str, order: str) -> None:
    with emit.loop("0", rows) as row:
        pair = emit.load(I64, emit.pointer(pairs, row.index, "i64"))
        number = emit.let(f"and i64 {pair}, {MOST_ROWS}")
        emit.store(I64, number, emit.pointer(order, row.index, "i64"))


PARAMETERS = "ptr %seed, i64 %epoch, i64 %rows, ptr %order, ptr %work"
PARTS = (
    Part(SHUFFLED, PARAMETERS, _shuffled, linkage="external"),
    Part(DRAWN, PARAMETERS, _drawn, linkage="external"),
)
