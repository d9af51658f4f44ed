"""Phases of a program that several threads share: the compiled side of `threads`.

A phase is a number of chunks of work; the chunks come from shapes alone, so that a result does
not depend on who ran them. The thread that runs the program, number 0, publishes a phase; helpers
wait for one. Each of them takes the chunks of its own share, always the same ones while all keep
up, so that its caches stay warm, and then what is left of the others' shares. So a helper that
sleeps costs nothing: its share is taken. Only one that falls asleep inside a chunk is waited for,
and it is then left out for a while.

Everything lives in a control block of 64-bit words. The lines of a slot that its helper writes
and those that number 0 writes are apart. A share is one word, (generation, next chunk, end): it
is taken by compare-and-swap, which fails for a helper that has slept through a phase, whatever it
has read before.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.structured import I64, Part, Structured

CHUNK_BITS = 12
MAXIMUM_CHUNKS = 2**CHUNK_BITS - 1
WORD_BYTES = 8
GENERATION_SHIFT = 2 * CHUNK_BITS  # leaves 2**40 generations: days of nothing but phases
SPINS = 400  # pauses of 10 to 60 ns; then a waiting helper offers its processor to others
LINGER = 2000  # turns, about a millisecond, that a helper waits for another program
LOOKS = 64  # pauses between two looks at the clock by number 0; a power of two


class Header(IntEnum):
    """The first words of a control block."""

    LEAVE = 0  # helpers go back to Python
    THREADS = 1  # how many take part
    SLOTS = 2  # how many there is room for
    RUN = 3  # the address of the compiled @run
    PATIENCE = 4  # nanoseconds until a helper counts as late
    REST = 5  # nanoseconds that a late helper is left out at first
    LONGEST_REST = 6
    GENERATION = 32  # of the phase; from here on only number 0 reads and writes
    PUBLISHED = 33  # chunks so far


class Slot(IntEnum):
    """The words of one thread, after the header: what is written at different times lies apart."""

    SHARE = 0
    FUNCTION = 1
    CONTEXT = 2
    MODE = 3  # the floating-point control register of number 0
    DROPS = 16  # how often this helper was left out
    RESUME = 17  # when it may come back
    REST = 18  # how long it was left out last
    RETURNED = 32  # equals DROPS while it takes part; from here on only the thread itself writes
    COMPLETED = 48  # chunks so far
    FINISHED = 56  # the last generation that it has nothing left to do for


HEADER_WORDS = 64
BODY = "ptr %context, i64 %chunk, i64 %thread"  # parameters of what threads share
SLOT_WORDS = 64


def emit_parallel(emit: Emitter, control: str, chunks: int | str, body: str, context: str) -> None:
    """Run ``body(context, chunk, thread)`` for each chunk, on the threads of ``control``.

    Parameters
    ----------
    emit : Emitter
    control : str
        The value that holds the control block's address.
    chunks : int or str
        How many, or the i64 value that says so: 0 to MAXIMUM_CHUNKS.
    body : str
        A function of the same module with the parameters `BODY`. It has ended for all chunks
        before what follows begins.
    context : str
        The value that holds the address it is given.
    """
    run = _word(emit, control, Header.RUN, "ptr")
    emit.do(f"call void {run}(ptr {control}, i64 {chunks}, ptr @{body}, ptr {context})")


def emit_threads(emit: Emitter, control: str) -> str:
    """How many threads there are: an i64."""
    return _word(emit, control, Header.THREADS, "i64")


def _word(emit: Emitter, control: str, word: Header, type_: str) -> str:
    place = emit.pointer(control, str(int(word)), "i64")
    return emit.let(f"load atomic {type_}, ptr {place} monotonic, align {WORD_BYTES}")


class Call(NamedTuple):
    """A chunk for ``@call_one``: where a compiled function begins, and what it is given."""

    function: int
    address: int
    first: int
    second: int


class Words(Structured):
    """Code that reads and writes the words of a control block, all of them atomically."""

    def get(self, base: str, word: int) -> str:
        place = self.pointer(base, str(int(word)), "i64")
        return self.let(f"load atomic i64, ptr {place} acquire, align {WORD_BYTES}")

    def put(self, base: str, word: int, value: str) -> None:
        place = self.pointer(base, str(int(word)), "i64")
        self.do(f"store atomic i64 {value}, ptr {place} release, align {WORD_BYTES}")

    def slot(self, index: str) -> str:
        words = self.binary("mul", index, SLOT_WORDS)
        return self.pointer("%control", self.binary("add", words, HEADER_WORDS), "i64")

    def takes_part(self, slot: str) -> str:
        return self.binary("icmp eq", self.get(slot, Slot.DROPS), self.get(slot, Slot.RETURNED))


def _run(emit: Words) -> None:
    """All chunks of a phase, by whoever is there."""
    one_thread = emit.binary("icmp eq", emit.get("%control", Header.THREADS), 1)
    one_chunk = emit.binary("icmp ult", "%chunks", 2)
    with emit.when(emit.let(f"or i1 {one_thread}, {one_chunk}")):
        with emit.loop("0", "%chunks") as chunk:
            emit.do(f"call void %function(ptr %context, i64 {chunk.index}, i64 0)")
        emit.do("ret void")
    began = emit.let("call i64 @now()")
    phase = "ptr %function, ptr %context"
    generation = emit.let(f"call i64 @publish(ptr %control, i64 %chunks, {phase})")
    emit.do(f"call void @take(ptr %control, i64 0, i64 {generation}, {phase})")
    emit.do(f"call void @wait(ptr %control, i64 {generation}, i64 {began})")
    emit.do("ret void")


def _publish(emit: Words) -> None:
    """Give each helper that takes part its share and number 0 what remains; the generation."""
    generation = emit.binary("add", emit.get("%control", Header.GENERATION), 1)
    emit.put("%control", Header.GENERATION, generation)
    published = emit.binary("add", emit.get("%control", Header.PUBLISHED), "%chunks")
    emit.put("%control", Header.PUBLISHED, published)
    mode = emit.let("call i64 @mode()")
    threads = emit.get("%control", Header.THREADS)
    with emit.loop("1", threads, carried=[(I64, "1")]) as helper:
        present = emit.let(f"zext i1 {emit.takes_part(emit.slot(helper.index))} to i64")
        helper.following = [emit.binary("add", helper.values[0], present)]
    present = helper.values[0]
    with emit.loop("1", threads, carried=[(I64, "0"), (I64, "1")]) as helper:
        first, rank = helper.values
        slot = emit.slot(helper.index)
        expected = emit.binary("icmp slt", rank, present)  # one may have come back in between
        included = emit.let(f"and i1 {emit.takes_part(slot)}, {expected}")
        end = emit.binary("udiv", emit.binary("mul", "%chunks", rank), present)
        with emit.when(included):
            _give(emit, slot, generation, (first, end), mode)
        counted = emit.let(f"zext i1 {included} to i64")
        helper.following = [
            emit.let(f"select i1 {included}, i64 {end}, i64 {first}"),
            emit.binary("add", rank, counted),
        ]
    _give(emit, emit.slot("0"), generation, (helper.values[0], "%chunks"), mode)
    emit.do(f"ret i64 {generation}")


def _give(emit: Words, slot: str, generation: str, share: tuple[str, str], mode: str) -> None:
    for word, value in ((Slot.FUNCTION, "%function"), (Slot.CONTEXT, "%context")):
        emit.put(slot, word, emit.let(f"ptrtoint ptr {value} to i64"))
    emit.put(slot, Slot.MODE, mode)
    high = emit.binary("shl", generation, GENERATION_SHIFT)
    middle = emit.binary("shl", share[0], CHUNK_BITS)
    low = emit.binary("or", middle, share[1])
    emit.put(slot, Slot.SHARE, emit.binary("or", high, low))


def _take(emit: Words) -> None:
    """Run the chunks that are left of this generation, first those of the thread's own share."""
    count = emit.variable()
    threads = emit.get("%control", Header.THREADS)
    own = emit.slot("%me")
    with emit.loop("0", threads) as turn:
        index = emit.binary("add", "%me", turn.index)
        index = emit.binary("urem", index, threads)
        share = emit.slot(index)
        emit.store(I64, "0", count)
        with emit.forever() as end:
            found = emit.get(share, Slot.SHARE)
            generation = emit.binary("lshr", found, GENERATION_SHIFT)
            emit.leave_if(emit.binary("icmp ne", generation, "%generation"), end)
            chunk = emit.binary("lshr", found, CHUNK_BITS)
            chunk = emit.binary("and", chunk, MAXIMUM_CHUNKS)
            last = emit.binary("and", found, MAXIMUM_CHUNKS)
            emit.leave_if(emit.binary("icmp uge", chunk, last), end)
            rest = emit.binary("add", found, 1 << CHUNK_BITS)
            place = emit.pointer(share, str(int(Slot.SHARE)), "i64")
            pair = emit.let(f"cmpxchg ptr {place}, i64 {found}, i64 {rest} acq_rel acquire")
            with emit.when(emit.let(f"extractvalue {{ i64, i1 }} {pair}, 1")):
                emit.do(f"call void %function(ptr %context, i64 {chunk}, i64 %me)")
                emit.increase(count)
        taken = emit.load(I64, count)
        with emit.when(emit.binary("icmp ne", taken, 0)):
            completed = emit.binary("add", emit.get(own, Slot.COMPLETED), taken)
            emit.put(own, Slot.COMPLETED, completed)
    emit.do("ret void")


def _wait(emit: Words) -> None:
    """Until all chunks that were ever published are completed."""
    since, turns = emit.variable(), emit.variable()
    published = emit.get("%control", Header.PUBLISHED)
    slots = emit.get("%control", Header.SLOTS)
    with emit.forever() as end:
        with emit.loop("0", slots, carried=[(I64, "0")]) as thread:
            completed = emit.get(emit.slot(thread.index), Slot.COMPLETED)
            thread.following = [emit.binary("add", thread.values[0], completed)]
        emit.leave_if(emit.binary("icmp eq", thread.values[0], published), end)
        emit.do("call void @pause()")
        turn = emit.binary("and", emit.increase(turns), LOOKS - 1)
        with emit.when(emit.binary("icmp eq", turn, 0)):
            emit.do(f"call void @look(ptr %control, i64 %generation, i64 %began, ptr {since})")
    emit.do("ret void")


def _look(emit: Words) -> None:
    """Note when waiting began; drop late helpers once, and from then on let them run.

    A helper may take as long again as number 0 took for its own part, and some patience more.
    """
    since = emit.load(I64, "%since")
    with emit.when(emit.binary("icmp slt", since, 0)):
        emit.do("call void @yield()")
        emit.do("ret void")
    now = emit.let("call i64 @now()")
    with emit.when(emit.binary("icmp eq", since, 0)):
        emit.store(I64, now, "%since")
        emit.do("ret void")
    waited = emit.binary("sub", now, since)
    worked = emit.binary("sub", since, "%began")
    patience = emit.binary("add", emit.get("%control", Header.PATIENCE), worked)
    with emit.when(emit.binary("icmp sgt", waited, patience)):
        emit.do("call void @drop_late(ptr %control, i64 %generation)")
        emit.store(I64, "-1", "%since")
    emit.do("ret void")


def _drop_late(emit: Words) -> None:
    """Leave out, for a while, the helpers that were given a share and are not through."""
    now = emit.let("call i64 @now()")
    threads = emit.get("%control", Header.THREADS)
    with emit.loop("1", threads) as helper:
        slot = emit.slot(helper.index)
        given = emit.binary("lshr", emit.get(slot, Slot.SHARE), GENERATION_SHIFT)
        given = emit.binary("icmp eq", given, "%generation")
        late = emit.binary("icmp ne", emit.get(slot, Slot.FINISHED), "%generation")
        with emit.when(emit.let(f"and i1 {given}, {late}")):
            rest = _next_rest(emit, slot, now)
            emit.put(slot, Slot.REST, rest)
            emit.put(slot, Slot.RESUME, emit.binary("add", now, rest))
            emit.put(slot, Slot.DROPS, emit.binary("add", emit.get(slot, Slot.DROPS), 1))
    emit.do("ret void")


def _next_rest(emit: Words, slot: str, now: str) -> str:
    """Twice the last rest if that has hardly been over, up to the longest one.

    What keeps a processor busy takes it again at once; a moment of the system's own does not.
    """
    last, resume = emit.get(slot, Slot.REST), emit.get(slot, Slot.RESUME)
    shortest = emit.get("%control", Header.REST)
    longest = emit.get("%control", Header.LONGEST_REST)
    over = emit.binary("sub", now, resume)
    long_ago = emit.binary("icmp sgt", over, shortest)
    twice = emit.intrinsic("llvm.smin", I64, emit.binary("shl", last, 1), longest)
    longer = emit.intrinsic("llvm.smax", I64, twice, shortest)
    return emit.let(f"select i1 {long_ago}, i64 {shortest}, i64 {longer}")


def _worker(emit: Words) -> None:
    """A helper's work from the moment it comes out of Python until it is told to leave."""
    saved = emit.let("call i64 @mode()")
    mode, seen, turns = emit.variable(saved), emit.variable(), emit.variable()
    slot = emit.slot("%me")
    with emit.forever() as end:
        emit.leave_if(emit.let(f"call i1 @leaves(ptr %control, i64 %me, ptr {turns})"), end)
        present = emit.takes_part(slot)
        with emit.when(emit.let(f"xor i1 {present}, true")):
            emit.do(f"call void @rest(ptr {slot})")
        # of a phase that began without it, it takes what is left of the others' shares
        share = emit.let(f"select i1 {present}, ptr {slot}, ptr {emit.slot('0')}")
        generation = emit.binary("lshr", emit.get(share, Slot.SHARE), GENERATION_SHIFT)
        is_new = emit.binary("icmp ne", generation, emit.load(I64, seen))
        is_new = emit.let(f"and i1 {is_new}, {emit.takes_part(slot)}")
        with emit.when(is_new):
            _adopt_mode(emit, share, mode)
            function_, context = (
                emit.let(f"inttoptr i64 {emit.get(share, word)} to ptr")
                for word in (Slot.FUNCTION, Slot.CONTEXT)
            )
            emit.do(
                f"call void @take(ptr %control, i64 %me, i64 {generation}, "
                f"ptr {function_}, ptr {context})"
            )
            emit.put(slot, Slot.FINISHED, generation)
            emit.store(I64, generation, seen)
            emit.store(I64, "0", turns)
        with emit.when(emit.let(f"xor i1 {is_new}, true")):
            emit.do(f"call void @idle(ptr {turns})")
    emit.put(slot, Slot.RETURNED, "-1")
    emit.do(f"call void @set_mode(i64 {saved})")
    emit.do("ret void")


def _leaves(emit: Words) -> None:
    """Whether a helper goes back to Python: some time after its program, as the next may follow."""
    told = emit.binary("icmp ne", emit.get("%control", Header.LEAVE), 0)
    idle = emit.binary("icmp ugt", emit.load(I64, "%turns"), LINGER)
    over = emit.let(f"and i1 {told}, {idle}")
    spare = emit.binary("icmp uge", "%me", emit.get("%control", Header.THREADS))
    emit.do(f"ret i1 {emit.let(f'or i1 {over}, {spare}')}")


def _adopt_mode(emit: Words, slot: str, mode: str) -> None:
    wanted = emit.get(slot, Slot.MODE)
    with emit.when(emit.binary("icmp ne", wanted, emit.load(I64, mode))):
        emit.do(f"call void @set_mode(i64 {wanted})")
        emit.store(I64, wanted, mode)


def _rest(emit: Words) -> None:
    """Sleep for a millisecond of a helper's rest, or come back at its end."""
    drops = emit.get("%slot", Slot.DROPS)
    now = emit.let("call i64 @now()")
    over = emit.binary("icmp sge", now, emit.get("%slot", Slot.RESUME))
    with emit.when(over):
        emit.put("%slot", Slot.RETURNED, drops)
        emit.do("ret void")
    emit.do("call void @sleep()")
    emit.do("ret void")


def _idle(emit: Words) -> None:
    """One turn of waiting."""
    emit.do("call void @pause()")
    with emit.when(emit.binary("icmp ugt", emit.increase("%turns"), SPINS)):
        emit.do("call void @yield()")
    emit.do("ret void")


def _call_one(emit: Words) -> None:
    """A chunk that is a call of its own; the context holds the words of `Call` for each."""
    words = emit.pointer("%context", "%chunk", f"[{len(Call._fields)} x i64]")
    places = [emit.pointer(words, str(i), "i64") for i in range(len(Call._fields))]
    function_, address = (emit.let(f"load ptr, ptr {place}") for place in places[:2])
    first, second = (emit.load(I64, place) for place in places[2:])
    emit.do(f"call void {function_}(ptr {address}, i64 {first}, i64 {second})")
    emit.do("ret void")


_PHASE = "ptr %function, ptr %context"
PARTS = (  # ``@run``, which number 0 calls for each phase, and ``@worker``, which helpers run
    Part("run", f"ptr %control, i64 %chunks, {_PHASE}", _run, linkage="external"),
    Part("call_one", BODY, _call_one, linkage="external"),
    Part("publish", f"ptr %control, i64 %chunks, {_PHASE}", _publish, "i64"),
    Part("take", f"ptr %control, i64 %me, i64 %generation, {_PHASE}", _take),
    Part("wait", "ptr %control, i64 %generation, i64 %began", _wait),
    Part("look", "ptr %control, i64 %generation, i64 %began, ptr %since", _look),
    Part("drop_late", "ptr %control, i64 %generation", _drop_late),
    Part("worker", "ptr %control, i64 %me", _worker, linkage="external"),
    Part("leaves", "ptr %control, i64 %me, ptr %turns", _leaves, "i1"),
    Part("rest", "ptr %slot", _rest),
    Part("idle", "ptr %turns", _idle),
)
