"""The compiled side of `blocks`: a block of rows as a chunk of a phase.

Its context is words: `Context`, then for each entry of a compiled function's table where it is for
the first row, what it grows by with each row and with each thread, and whether its numbers are
looked at. They are looked at where the block's rows come into a cache anyway.
"""

from __future__ import annotations

from enum import IntEnum

from chainrule.engines.native.emitter import Vector
from chainrule.engines.native.parallel import BODY, WORD_BYTES
from chainrule.engines.native.structured import I64, Part, Structured
from chainrule.shapes import FLOAT32, FLOAT64, Dtype

ENTRY_WORDS = 4  # address, bytes a row, bytes a thread, bytes of an element that must be finite
SUMS = 4  # at once, so that one need not wait for another


class Context(IntEnum):
    """The first words of what a phase of blocks is given."""

    FUNCTION = 0
    ENTRIES = 1  # of the function's table
    ROWS = 2  # of all blocks
    BLOCK = 3  # rows of each but the last
    FIRST = 4  # the block that is the phase's first chunk
    FOUND = 5  # whether something was wrong with a block: the others are left


CONTEXT_WORDS = len(Context)


class Blocks(Structured):
    """Code that reads the words of a context."""

    def word(self, word: int) -> str:
        return self.load(I64, self.pointer("%context", str(int(word)), "i64"))

    def found(self) -> str:
        """Whether something was wrong with a block that has ended: an i1."""
        place = self.pointer("%context", str(int(Context.FOUND)), "i64")
        value = self.let(f"load atomic i64, ptr {place} monotonic, align {WORD_BYTES}")
        return self.binary("icmp ne", value, 0)

    def refuse(self) -> None:
        """Note that something is wrong with this block."""
        place = self.pointer("%context", str(int(Context.FOUND)), "i64")
        self.do(f"store atomic i64 1, ptr {place} monotonic, align {WORD_BYTES}")


def _block(emit: Blocks) -> None:
    """Fill a table, look at the block's numbers, call."""
    count = emit.word(Context.ENTRIES)
    table, status = emit.let(f"alloca i64, i64 {count}"), emit.let("alloca [4 x i64]")
    with emit.when(emit.found()):
        emit.do("ret void")
    emit.do(f"store [4 x i64] zeroinitializer, ptr {status}")
    number = emit.binary("add", "%chunk", emit.word(Context.FIRST))
    low = emit.binary("mul", number, emit.word(Context.BLOCK))
    left = emit.binary("sub", emit.word(Context.ROWS), low)
    rows = emit.integer("smin", left, emit.word(Context.BLOCK))
    with emit.loop("0", count) as entry:
        address = _entry(emit, entry.index, low, rows)
        emit.store(I64, address, emit.pointer(table, entry.index, "i64"))
    place = emit.pointer("%context", str(int(Context.FUNCTION)), "i64")
    function = emit.let(f"load ptr, ptr {place}")
    emit.do(f"call void {function}(ptr {table}, i64 {rows}, ptr {status})")
    with emit.when(emit.binary("icmp ne", emit.load(I64, status), 0)):
        emit.refuse()
    emit.do("ret void")


def _entry(emit: Blocks, index: str, low: str, rows: str) -> str:
    """Where an entry is for this block; leaves the function if its numbers are not finite."""
    skipped = emit.binary("add", emit.binary("mul", index, ENTRY_WORDS), CONTEXT_WORDS)
    words = emit.pointer("%context", skipped, "i64")
    start, of_row, of_thread, element = (
        emit.load(I64, emit.pointer(words, str(place), "i64")) for place in range(ENTRY_WORDS)
    )
    own = emit.binary("add", start, emit.binary("mul", "%thread", of_thread))
    address = emit.binary("add", own, emit.binary("mul", low, of_row))
    for width in (4, 8):
        with emit.when(emit.binary("icmp eq", element, width)):
            numbers = emit.binary("udiv", emit.binary("mul", rows, of_row), width)
            finite = emit.let(f"call i1 @finite{width}(i64 {address}, i64 {numbers})")
            with emit.when(emit.let(f"xor i1 {finite}, true")):
                emit.refuse()
                emit.do("ret void")
    return address


def _finite(emit: Blocks, dtype: Dtype) -> None:
    """Whether no element is NaN or infinite: 0 times each is 0, and so is the sum of that."""
    scalar, type_ = (Vector.of(dtype, lanes) for lanes in (1, emit.target.lanes(dtype)))
    element = scalar.element
    step = SUMS * type_.lanes
    start = emit.let("inttoptr i64 %address to ptr")
    whole = emit.binary("sub", "%count", emit.binary("urem", "%count", step))
    zero, none = type_.constant(0.0), scalar.constant(0.0)
    with emit.loop("0", whole, step, [(type_, zero)] * SUMS) as loop:
        places = [emit.binary("add", loop.index, i * type_.lanes) for i in range(SUMS)]
        loaded = [emit.load(type_, emit.pointer(start, place, element)) for place in places]
        pairs = zip(loaded, loop.values, strict=True)
        loop.following = [emit.multiply_add(type_, x, zero, total) for x, total in pairs]
    total = loop.values[0]
    for other in loop.values[1:]:
        total = emit.let(f"fadd {type_} {total}, {other}")
    wrong = emit.let(f"fcmp uno {type_} {total}, {zero}")
    bits = f"i{type_.lanes}"
    packed = wrong if type_.lanes == 1 else emit.let(f"bitcast {type_.mask} {wrong} to {bits}")
    with emit.loop(whole, "%count", 1, [(scalar, none)]) as rest:
        value = emit.load(scalar, emit.pointer(start, rest.index, element))
        rest.following = [emit.multiply_add(scalar, value, none, rest.values[0])]
    clean = emit.let(f"icmp eq {bits} {packed}, 0")
    ordered = emit.let(f"fcmp ord {scalar} {rest.values[0]}, {none}")
    emit.do(f"ret i1 {emit.let(f'and i1 {clean}, {ordered}')}")


PARTS = (
    Part("block", BODY, _block, linkage="external"),
    Part("finite4", "i64 %address, i64 %count", lambda emit: _finite(emit, FLOAT32), "i1"),
    Part("finite8", "i64 %address, i64 %count", lambda emit: _finite(emit, FLOAT64), "i1"),
)
