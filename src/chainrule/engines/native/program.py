"""A program as one compiled function: epochs, the order of rows, gathering, steps, records.

While it runs, subnormal numbers are flushed to zero: the moments of dead units go there, and
arithmetic on them is many times slower.

``run(ptr places, i64 first_epoch, i64 epochs)``, where ``places`` holds addresses and numbers in
the order of :data:`FIELDS`. A step reads the carried values and writes the next ones in their
place.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.engines.base import Program
from chainrule.engines.native.emitter import Emitter, Vector, copy, function, prefetch
from chainrule.engines.native.ordering import write_drawn, write_shuffled
from chainrule.engines.native.routines import fold, load_key
from chainrule.engines.native.subnormals import enter, leave
from chainrule.engines.native.target import Target
from chainrule.shapes import TensorType, bind_rows, size_of

I64, WORD = Vector("i64", 1), Vector("i32", 1)
LINE = 64  # bytes that caches move at a time
AHEAD = 8  # rows from the one that is gathered to the one that is asked for
FETCHED = 8 * LINE  # of a row; the processor sees by itself that more of it is read
FIELDS = (
    "table",  # of the step
    "seed",  # two words
    "step_key",  # where the step reads its key
    "bounds",  # (steps, 2) int64: where each batch begins and ends
    "order",  # (rows,) int64
    "sorting",  # work space of the shuffle
    "status",  # index error, steps done, stopped by a loss that is not finite
    "rows",  # a number: rows of the data sets
    "steps",  # a number: steps an epoch
    "first_step",  # a number: that of the first of them, counted from 1
)


def write_program(program: Program, target: Target) -> tuple[str, dict[str, str]]:
    """The text of the function ``run``, and its declarations."""
    emit = Emitter(target)
    _Runner(emit, program).write()
    return function("run", "ptr %places, i64 %first, i64 %epochs", emit), emit.declarations


def _bytes(type_: TensorType, skipped: int = 0) -> int:
    """Of an array, or of one row of a data set."""
    return size_of(bind_rows(type_.shape[skipped:], None)) * type_.dtype.itemsize


class _Runner:
    """Writes the loops over epochs and steps."""

    def __init__(self, emit: Emitter, program: Program) -> None:
        self.emit, self.program = emit, program
        step, carried = program.step, program.carried
        self.inputs = [_bytes(node.type, skipped=1) for node in step.inputs[carried:-1]]
        self.records = [_bytes(node.type) for node in step.outputs[carried:]]
        self.place: dict[str, str] = {}

    def write(self) -> None:
        """The body."""
        emit = self.emit
        for position, name in enumerate(FIELDS):
            kind = "i64" if name in ("rows", "steps", "first_step") else "ptr"
            self.place[name] = self._field(position, kind)
        data = [self._field(len(FIELDS) + 2 * i, "ptr") for i in range(len(self.inputs))]
        batch = [self._field(len(FIELDS) + 2 * i + 1, "ptr") for i in range(len(self.inputs))]
        start = len(FIELDS) + 2 * len(self.inputs)
        fresh = [self._field(start + 2 * i, "ptr") for i in range(len(self.records))]
        kept = [self._field(start + 2 * i + 1, "ptr") for i in range(len(self.records))]
        seed, before = load_key(emit, self.place["seed"]), enter(emit)
        with emit.loop("0", "%epochs") as epoch:
            key = fold(emit, seed, emit.let(f"add i64 %first, {epoch.index}"))
            self._order(key)
            with emit.loop("0", self.place["steps"]) as step:
                self._step(key, step.index, data, batch)
                number = emit.let(f"mul i64 {epoch.index}, {self.place['steps']}")
                number = emit.let(f"add i64 {number}, {step.index}")
                loss, *others = zip(fresh, kept, self.records, strict=True)
                self._record(number, [loss])  # of a step that ended early it alone is known
                self._leave_if_stopped(before)
                self._record(number, others)
        leave(emit, before)
        emit.do("ret void")

    def _field(self, position: int, kind: str) -> str:
        emit = self.emit
        return emit.let(f"load {kind}, ptr {emit.pointer('%places', str(position), 'i64')}", "f")

    # Steps

    def _step(self, key: tuple[str, str], step: str, data: list[str], batch: list[str]) -> None:
        emit = self.emit
        self._step_key(key, step)
        bound = emit.let(f"mul i64 {step}, 2")
        low = emit.load(I64, emit.pointer(self.place["bounds"], bound, "i64"))
        high = emit.load(
            I64, emit.pointer(self.place["bounds"], emit.let(f"add i64 {bound}, 1"), "i64")
        )
        rows = emit.let(f"sub i64 {high}, {low}")
        for source, target, size in zip(data, batch, self.inputs, strict=True):
            self._gather(source, target, size, low, rows)
        table, status = self.place["table"], self.place["status"]
        emit.do(f"call void @step(ptr {table}, i64 {rows}, ptr {status})")

    def _step_key(self, key: tuple[str, str], step: str) -> None:
        """The key of one step, where its graph draws random numbers."""
        emit, used = self.emit, self.program.step.inputs[-1]
        if any(used in node.operands for node in self.program.step.nodes):
            first, second = fold(emit, key, emit.let(f"add i64 {step}, {self.place['first_step']}"))
            emit.store(WORD, first, self.place["step_key"])
            emit.store(WORD, second, emit.pointer(self.place["step_key"], "1", "i32"))

    def _gather(self, source: str, target: str, size: int, low: str, rows: str) -> None:
        """The rows of one batch, side by side."""
        emit = self.emit
        if not self._reorders:
            here = emit.pointer(source, emit.let(f"mul i64 {low}, {size}"), "i8")
            count = emit.let(f"mul i64 {rows}, {size}")
            copy(emit, target, here, count)
            return
        with emit.loop("0", rows) as row:
            place = emit.let(f"add i64 {low}, {row.index}")
            chosen = emit.load(I64, emit.pointer(self.place["order"], place, "i64"))
            here = emit.pointer(source, emit.let(f"mul i64 {chosen}, {size}"), "i8")
            there = emit.pointer(target, emit.let(f"mul i64 {row.index}, {size}"), "i8")
            if size >= LINE:
                self._fetch(source, size, place)
            copy(emit, there, here, str(size))

    def _fetch(self, source: str, size: int, place: str) -> None:
        """Ask for a row that comes later, which may be far from the one before it."""
        emit, last = self.emit, self.emit.integer("sub", self.place["rows"], "1")
        later = emit.integer("smin", emit.integer("add", place, str(AHEAD)), last)
        chosen = emit.load(I64, emit.pointer(self.place["order"], later, "i64"))
        row = emit.pointer(source, emit.let(f"mul i64 {chosen}, {size}"), "i8")
        for offset in range(0, min(size, FETCHED), LINE):
            prefetch(emit, emit.pointer(row, str(offset), "i8"))

    @property
    def _reorders(self) -> bool:
        return self.program.shuffled or self.program.replacement

    def _record(self, number: str, copies: Sequence[tuple[str, str, int]]) -> None:
        """Keep what the step left."""
        emit = self.emit
        for source, target, size in copies:
            there = emit.pointer(target, emit.let(f"mul i64 {number}, {size}"), "i8")
            copy(emit, there, source, str(size))

    def _leave_if_stopped(self, before: str) -> None:
        """Return, without counting the step, if its loss was not finite; else count it."""
        emit = self.emit
        stopped = emit.load(I64, emit.pointer(self.place["status"], "2", "i64"))
        with emit.when(emit.let(f"icmp ne i64 {stopped}, 0")):
            leave(emit, before)
            emit.do("ret void")
        pointer = emit.pointer(self.place["status"], "1", "i64")
        emit.store(I64, emit.let(f"add i64 {emit.load(I64, pointer)}, 1"), pointer)

    def _order(self, epoch_key: tuple[str, str]) -> None:
        """The order of an epoch's rows."""
        if not self._reorders:
            return
        emit, rows, order = self.emit, self.place["rows"], self.place["order"]
        key = fold(emit, epoch_key, "0")
        if self.program.replacement:
            write_drawn(emit, key, rows, order)
        else:
            write_shuffled(emit, key, rows, order, self.place["sorting"])
