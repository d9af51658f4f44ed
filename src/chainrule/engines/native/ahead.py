"""The order of the next epoch's rows, made by a helper meanwhile: the compiled side of `early`.

A phase of one chunk is published when an epoch begins, and waited for when the next one does. Who
comes first takes the chunk: if no helper does, number 0 orders the rows itself, as it would have
anyway.
"""

from __future__ import annotations

from enum import IntEnum

from chainrule.engines.native.emitter import copy
from chainrule.engines.native.ordering import PARAMETERS
from chainrule.engines.native.parallel import BODY, Words
from chainrule.engines.native.structured import Part

CALLED = "call_ahead"  # what Python calls in place of a program
AHEAD = "ahead"  # what the program then calls once an epoch


class Word(IntEnum):
    """What ``work`` of `ordering` holds here: 64-bit words."""

    CONTROL = 0  # of the threads
    ORDERING = 1  # the address of the function that orders rows
    SEED = 2
    ROWS = 3
    ROOM = 4  # where the next order goes: (rows,) i64
    SORTING = 5  # the work space of that function
    END = 6  # the first epoch that will not come
    EPOCH = 7  # whose order is made
    GENERATION = 8  # of the phase that makes it; 0 if there is none
    BEGAN = 9  # when it was published


def _call(emit: Words) -> None:
    """A program, and the end of what it began: Ctrl-C, which Python hears, comes not in between."""
    emit.do("call void %program(ptr %places, i64 %first, i64 %epochs)")
    emit.do("call void @settle(ptr %work)")
    emit.do("ret void")


def _ahead(emit: Words) -> None:
    """The order of an epoch, and a beginning of that of the next one."""
    made = emit.binary("icmp ne", emit.get("%work", Word.GENERATION), 0)
    with emit.when(made):
        emit.do("call void @settle(ptr %work)")
    with emit.when(emit.let(f"xor i1 {made}, true")):
        emit.put("%work", Word.EPOCH, "%epoch")
        emit.do("call void @order(ptr %work, i64 0, i64 0)")
    copy(emit, "%order", _pointer(emit, "%work", Word.ROOM), emit.binary("mul", "%rows", 8))
    following = emit.binary("add", "%epoch", 1)
    with emit.when(emit.binary("icmp slt", following, emit.get("%work", Word.END))):
        emit.put("%work", Word.EPOCH, following)
        emit.put("%work", Word.BEGAN, emit.let("call i64 @now()"))
        control = _pointer(emit, "%work", Word.CONTROL)
        phase = f"ptr {control}, i64 1, ptr @order, ptr %work"
        emit.put("%work", Word.GENERATION, emit.let(f"call i64 @publish({phase})"))
    emit.do("ret void")


def _order(emit: Words) -> None:
    """The chunk: one epoch's order."""
    seed, room, sorting, ordering = (
        _pointer(emit, "%context", word)
        for word in (Word.SEED, Word.ROOM, Word.SORTING, Word.ORDERING)
    )
    epoch, rows = emit.get("%context", Word.EPOCH), emit.get("%context", Word.ROWS)
    given = f"ptr {seed}, i64 {epoch}, i64 {rows}, ptr {room}, ptr {sorting}"
    emit.do(f"call void {ordering}({given})")
    emit.do("ret void")


def _settle(emit: Words) -> None:
    """What was published is done: by a helper, or now."""
    generation = emit.get("%work", Word.GENERATION)
    with emit.when(emit.binary("icmp ne", generation, 0)):
        control = _pointer(emit, "%work", Word.CONTROL)
        phase = f"i64 {generation}, ptr @order, ptr %work"
        emit.do(f"call void @take(ptr {control}, i64 0, {phase})")
        began = emit.get("%work", Word.BEGAN)
        emit.do(f"call void @wait(ptr {control}, i64 {generation}, i64 {began})")
        emit.put("%work", Word.GENERATION, "0")
    emit.do("ret void")


def _pointer(emit: Words, base: str, word: Word) -> str:
    return emit.let(f"inttoptr i64 {emit.get(base, word)} to ptr")


PROGRAM = "ptr %program, ptr %places, i64 %first, i64 %epochs"
PARTS = (
    Part(CALLED, f"{PROGRAM}, ptr %work", _call, linkage="external"),
    Part(AHEAD, PARAMETERS, _ahead, linkage="external"),
    Part("order", BODY, _order),
    Part("settle", "ptr %work", _settle),
)
