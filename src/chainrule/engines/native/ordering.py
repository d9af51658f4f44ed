"""The order of an epoch's rows as code: the stable order of random words, by radix.

A row's word and its number share 64 bits, so that one store moves both; how often each digit
occurs is counted for all digits while the pairs are written.
"""

from __future__ import annotations

from typing import NamedTuple

from chainrule.engines.native.emitter import Emitter, Vector, clear
from chainrule.engines.native.layout import BUCKETS, COUNTER_BYTES, DIGIT_BITS, DIGITS
from chainrule.engines.native.routines import write_bits

I64, WORD = Vector("i64", 1), Vector("i32", 1)
MOST_ROWS = 2**32 - 1  # a row's number is half a pair


class Space(NamedTuple):
    """Where the sort works: counters for each digit, and two arrays of pairs."""

    counters: str
    pairs: tuple[str, str]

    @classmethod
    def at(cls, emit: Emitter, place: str, rows: str) -> Space:
        """Laid out in `sorting_bytes` bytes."""
        first = emit.pointer(place, str(DIGITS * BUCKETS * COUNTER_BYTES), "i8")
        return cls(place, (first, emit.pointer(first, rows, "i64")))

    def counter(self, emit: Emitter, digit: int, bucket: str) -> str:
        """The place of one counter."""
        place = emit.integer("add", bucket, str(digit * BUCKETS))
        return emit.pointer(self.counters, place, "i32")


def write_drawn(emit: Emitter, key: tuple[str, str], rows: str, order: str) -> None:
    """Rows drawn with replacement: (rows,) i64 at ``order``."""
    write_bits(emit, key, order, emit.let(f"mul i64 {rows}, 8"), _lanes(emit))
    with emit.loop("0", rows) as row:
        pointer = emit.pointer(order, row.index, "i64")
        emit.store(I64, emit.let(f"urem i64 {emit.load(I64, pointer)}, {rows}"), pointer)


def write_shuffled(emit: Emitter, key: tuple[str, str], rows: str, order: str, work: str) -> None:
    """A permutation of the rows: (rows,) i64 at ``order``."""
    space = Space.at(emit, work, rows)
    write_bits(emit, key, order, emit.let(f"mul i64 {rows}, 4"), _lanes(emit))
    _write_pairs(emit, rows, order, space)
    for digit in range(DIGITS):
        _start(emit, digit, space)
        source, target = (space.pairs[(digit + turn) % 2] for turn in range(2))
        last = digit == DIGITS - 1
        _move(emit, rows, digit, space, (source, order if last else target), last)


def _lanes(emit: Emitter) -> int:
    return max(1, emit.target.vector_bytes // 4)


def _write_pairs(emit: Emitter, rows: str, words: str, space: Space) -> None:
    clear(emit, space.counters, str(DIGITS * BUCKETS * COUNTER_BYTES))
    with emit.loop("0", rows) as row:
        word = emit.load(WORD, emit.pointer(words, row.index, "i32"))
        high = emit.let(f"shl i64 {emit.let(f'zext i32 {word} to i64')}, 32")
        pair = emit.let(f"or i64 {high}, {row.index}")
        emit.store(I64, pair, emit.pointer(space.pairs[0], row.index, "i64"))
        for digit in range(DIGITS):
            _increase(emit, space.counter(emit, digit, _bucket(emit, pair, digit)))


def _bucket(emit: Emitter, pair: str, digit: int) -> str:
    shifted = emit.let(f"lshr i64 {pair}, {32 + digit * DIGIT_BITS}")
    return shifted if digit == DIGITS - 1 else emit.let(f"and i64 {shifted}, {BUCKETS - 1}")


def _increase(emit: Emitter, pointer: str) -> str:
    """Add 1 to a counter; what it was before."""
    before = emit.load(WORD, pointer)
    emit.store(WORD, emit.let(f"add i32 {before}, 1"), pointer)
    return before


def _start(emit: Emitter, digit: int, space: Space) -> None:
    """From how often each bucket occurs to where it begins."""
    with emit.loop("0", str(BUCKETS), carried=[(WORD, "0")]) as bucket:
        pointer = space.counter(emit, digit, bucket.index)
        count = emit.load(WORD, pointer)
        emit.store(WORD, bucket.values[0], pointer)
        bucket.following = [emit.let(f"add i32 {bucket.values[0]}, {count}")]


def _move(
    emit: Emitter, rows: str, digit: int, space: Space, arrays: tuple[str, str], last: bool
) -> None:
    """Each pair to the next place of its bucket; in the last turn the row's number alone."""
    source, target = arrays
    with emit.loop("0", rows) as row:
        pair = emit.load(I64, emit.pointer(source, row.index, "i64"))
        place = _increase(emit, space.counter(emit, digit, _bucket(emit, pair, digit)))
        index = emit.let(f"zext i32 {place} to i64")
        value = emit.let(f"and i64 {pair}, {MOST_ROWS}") if last else pair
        emit.store(I64, value, emit.pointer(target, index, "i64"))
