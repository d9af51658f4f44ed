"""Batches: the rows of data sets that a step works on, side by side. Threads share large ones.

A row is copied from wherever the order of the epoch says: from memory that no processor foresees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.engines.base import Program
from chainrule.engines.native.emitter import Emitter, Vector, copy, function, prefetch
from chainrule.engines.native.parallel import BODY, emit_parallel, emit_threads
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.target import Target
from chainrule.records import dataclass

I64 = Vector("i64", 1)
LINE = 64  # bytes that caches move at a time
LEAST_AHEAD, MOST_AHEAD = 8, 32  # rows from the one that is gathered to the one that is asked for
ON_THE_WAY = 4096  # bytes that have been asked for and have not come
FETCHED = 8 * LINE  # of a row; the processor sees by itself that more of it is read
WORTH = 32 * 1024  # bytes of a batch from which on threads share it: some 5 microseconds
NAME = "gather"  # of the function that threads share
LOW, ROWS, SHARES, LAST, POINTERS = range(5)  # words of its context


class Places(NamedTuple):
    """Where rows come from and go to: the operands of a batch.

    Attributes
    ----------
    last : str
        The last place in the order; i64.
    order : str
        ptr to the numbers of the rows.
    data, batch : tuple of str
        ptr to each data set, and to where its rows go.
    """

    last: str
    order: str
    data: tuple[str, ...]
    batch: tuple[str, ...]


@dataclass(frozen=True)
class Gathering:
    """Writes how the rows of a program's batches come together.

    Attributes
    ----------
    program : Program
    sizes : sequence of int
        Bytes of one row of each data set.
    threads : bool
        Whether the program has threads that share some of its work.
    """

    program: Program
    sizes: Sequence[int]
    threads: bool

    @property
    def reorders(self) -> bool:
        """Whether rows are taken in another order than they lie in."""
        return self.program.shuffled or self.program.replacement

    @property
    def shared(self) -> bool:
        """Whether threads share the work."""
        return self.threads and self.program.batch * sum(self.sizes) >= WORTH

    def begin(self, emit: Emitter, places: Places) -> None:
        """Write what is the same for all batches."""
        if not self.shared:
            return
        pointers = places.order, *places.data, *places.batch
        emit.do(f"%context = alloca [{POINTERS + len(pointers)} x i64]")
        _put(emit, LAST, f"i64 {places.last}")
        for word, pointer in enumerate(pointers, POINTERS):
            _put(emit, word, f"ptr {pointer}")

    def write(self, emit: Emitter, places: Places, control: str, low: str, rows: str) -> None:
        """Write the gathering of the rows at [low, low + rows) of the order."""
        if not self.shared:
            self._write_part(emit, places, low, ("0", rows))
            return
        count = emit_threads(emit, control)
        for word, value in ((LOW, low), (ROWS, rows), (SHARES, count)):
            _put(emit, word, f"i64 {value}")
        emit_parallel(emit, control, count, NAME, "%context")

    def functions(self, target: Target) -> tuple[list[str], dict[str, str]]:
        """The text of what threads share, if they do, and its declarations."""
        if not self.shared:
            return [], {}
        emit = Emitter(target)
        low, rows, shares, last = (_get(emit, word, "i64") for word in (LOW, ROWS, SHARES, LAST))
        sets = len(self.sizes)
        words = range(POINTERS, POINTERS + 1 + 2 * sets)
        order, *pointers = (_get(emit, word, "ptr") for word in words)
        places = Places(last, order, tuple(pointers[:sets]), tuple(pointers[sets:]))
        part = Share("%chunk", shares, self.program.batch).part(emit, rows)
        self._write_part(emit, places, low, part)
        emit.do("ret void")
        return [function(NAME, BODY, emit, linkage="internal")], emit.declarations

    def _write_part(self, emit: Emitter, places: Places, low: str, part: tuple[str, str]) -> None:
        for source, target, size in zip(places.data, places.batch, self.sizes, strict=True):
            if self.reorders:
                self._collect(emit, places, (source, target, size), low, part)
            else:
                begin, end = part
                first = emit.integer("add", low, begin)
                here = emit.pointer(source, emit.integer("mul", first, str(size)), "i8")
                there = emit.pointer(target, emit.integer("mul", begin, str(size)), "i8")
                rows = emit.integer("sub", end, begin)
                copy(emit, there, here, emit.integer("mul", rows, str(size)))

    def _collect(
        self,
        emit: Emitter,
        places: Places,
        copied: tuple[str, str, int],
        low: str,
        part: tuple[str, str],
    ) -> None:
        """Row by row."""
        source, target, size = copied
        with emit.loop(*part) as row:
            place = emit.integer("add", low, row.index)
            here = self._row(emit, places.order, place, source, size)
            there = emit.pointer(target, emit.integer("mul", row.index, str(size)), "i8")
            if size >= LINE:
                later = emit.integer("add", place, str(_rows_ahead(size)))
                later = emit.integer("smin", later, places.last)
                row_later = self._row(emit, places.order, later, source, size)
                for offset in range(0, min(size, FETCHED), LINE):
                    prefetch(emit, emit.pointer(row_later, str(offset), "i8"))
            copy(emit, there, here, str(size))

    def _row(self, emit: Emitter, order: str, place: str, source: str, size: int) -> str:
        """The address of the row that stands at one place of the order."""
        number = emit.load(I64, emit.pointer(order, place, "i64"))
        return emit.pointer(source, emit.integer("mul", number, str(size)), "i8")


def _rows_ahead(size: int) -> int:
    """How many rows before it is gathered a row of so many bytes is asked for."""
    return min(max(ON_THE_WAY // min(size, FETCHED), LEAST_AHEAD), MOST_AHEAD)


def _put(emit: Emitter, word: int, value: str) -> None:
    emit.do(f"store {value}, ptr {emit.pointer('%context', str(word), 'i64')}")


def _get(emit: Emitter, word: int, kind: str) -> str:
    return emit.let(f"load {kind}, ptr {emit.pointer('%context', str(word), 'i64')}")
