"""A program as one compiled function: epochs, the order of rows, gathering, steps, records.

While it runs, subnormal numbers are flushed to zero: the moments of dead units go there, and
arithmetic on them is many times slower.

``run(ptr places, i64 first_epoch, i64 epochs)``, where ``places`` holds addresses and numbers in
the order of :data:`FIELDS`; then for each data set its address and that of a batch; then for each
record the address of a step's, that of the first one kept, and the bytes from one to the next. A
step reads the carried values and writes the next ones in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.engines.base import Program
from chainrule.engines.native.emitter import Emitter, Vector, copy, function
from chainrule.engines.native.gathering import Gathering, Places
from chainrule.engines.native.subnormals import enter, leave
from chainrule.engines.native.target import Target
from chainrule.engines.native.threefry import fold, load_key
from chainrule.shapes import TensorType, bind_rows, size_of

I64, WORD = Vector("i64", 1), Vector("i32", 1)
FIELDS = (
    "table",  # of the step
    "seed",  # two words
    "step_key",  # where the step reads its key
    "bounds",  # (steps, 2) int64: where each batch begins and ends
    "order",  # (rows,) int64
    "sorting",  # work space of what orders rows
    "ordering",  # a function of `ordering`
    "control",  # of the threads
    "status",  # index error, steps done, stopped by a loss that is not finite
    "rows",  # a number: rows of the data sets
    "steps",  # a number: steps an epoch
    "first_step",  # a number: that of the first of them, counted from 1
)


def write_program(
    program: Program, target: Target, *, threads: bool
) -> tuple[list[str], dict[str, str]]:
    """The text of the function ``run``, of what it shares, and their declarations.

    Parameters
    ----------
    program : Program
    target : Target
    threads : bool
        Whether threads share some of the step.
    """
    emit = Emitter(target)
    runner = _Runner(emit, program, threads=threads)
    runner.write()
    functions, declarations = runner.gathering.functions(target)
    run = function("run", "ptr %places, i64 %first, i64 %epochs", emit)
    return [*functions, run], emit.declarations | declarations


def _bytes(type_: TensorType, skipped: int = 0) -> int:
    """Of an array, or of one row of a data set."""
    return size_of(bind_rows(type_.shape[skipped:], None)) * type_.dtype.itemsize


class Record(NamedTuple):
    """What a step records: its bytes, where a step leaves it, and where those of all steps go."""

    size: int
    fresh: str
    kept: str
    stride: str


class _Runner:
    """Writes the loops over epochs and steps."""

    def __init__(self, emit: Emitter, program: Program, *, threads: bool) -> None:
        self.emit, self.program = emit, program
        step, carried = program.step, program.carried
        sizes = [_bytes(node.type, skipped=1) for node in step.inputs[carried:-1]]
        self.gathering = Gathering(program, sizes, threads)
        self.records = [_bytes(node.type) for node in step.outputs[carried:]]
        self.draws = any(step.inputs[-1] in node.operands for node in step.nodes)
        self.place: dict[str, str] = {}

    def write(self) -> None:
        """The body."""
        emit = self.emit
        for position, name in enumerate(FIELDS):
            kind = "i64" if name in ("rows", "steps", "first_step") else "ptr"
            self.place[name] = self._field(position, kind)
        sets, last = range(len(self.gathering.sizes)), emit.integer("sub", self.place["rows"], "1")
        data = tuple(self._field(len(FIELDS) + 2 * i, "ptr") for i in sets)
        batch = tuple(self._field(len(FIELDS) + 2 * i + 1, "ptr") for i in sets)
        self.batch = Places(last, self.place["order"], data, batch)
        self.gathering.begin(emit, self.batch)
        records = [self._record_at(i) for i in range(len(self.records))]
        before = enter(emit)
        with emit.loop("0", "%epochs") as epoch:
            key = self._begin_epoch(emit.let(f"add i64 %first, {epoch.index}"))
            with emit.loop("0", self.place["steps"]) as step:
                self._step(key, step.index)
                number = emit.let(f"mul i64 {epoch.index}, {self.place['steps']}")
                number = emit.let(f"add i64 {number}, {step.index}")
                loss, *others = records
                self._record(number, [loss])  # of a step that ended early it alone is known
                self._leave_if_stopped(before)
                self._record(number, others)
        leave(emit, before)
        emit.do("ret void")

    def _begin_epoch(self, number: str) -> tuple[str, str] | None:
        """Bring the rows into the epoch's order; its key, where the step draws random numbers."""
        emit, place = self.emit, self.place
        if self.gathering.reorders:
            given = f"ptr {place['seed']}, i64 {number}, i64 {place['rows']}"
            where = f"ptr {place['order']}, ptr {place['sorting']}"
            emit.do(f"call void {place['ordering']}({given}, {where})")
        return fold(emit, load_key(emit, place["seed"]), number) if self.draws else None

    def _field(self, position: int, kind: str) -> str:
        emit = self.emit
        return emit.let(f"load {kind}, ptr {emit.pointer('%places', str(position), 'i64')}", "f")

    def _record_at(self, number: int) -> Record:
        """What is known of a record when the code runs."""
        start = len(FIELDS) + 2 * len(self.gathering.sizes) + 3 * number
        kinds = enumerate(("ptr", "ptr", "i64"))
        fresh, kept, stride = [self._field(start + place, kind) for place, kind in kinds]
        return Record(self.records[number], fresh, kept, stride)

    # Steps

    def _step(self, key: tuple[str, str] | None, step: str) -> None:
        emit = self.emit
        if key is not None:
            self._step_key(key, step)
        bound = emit.let(f"mul i64 {step}, 2")
        low = emit.load(I64, emit.pointer(self.place["bounds"], bound, "i64"))
        high = emit.load(
            I64, emit.pointer(self.place["bounds"], emit.let(f"add i64 {bound}, 1"), "i64")
        )
        rows = emit.let(f"sub i64 {high}, {low}")
        self.gathering.write(emit, self.batch, self.place["control"], low, rows)
        table, status = self.place["table"], self.place["status"]
        emit.do(f"call void @step(ptr {table}, i64 {rows}, ptr {status})")

    def _step_key(self, key: tuple[str, str], step: str) -> None:
        emit, place = self.emit, self.place["step_key"]
        first, second = fold(emit, key, emit.let(f"add i64 {step}, {self.place['first_step']}"))
        emit.store(WORD, first, place)
        emit.store(WORD, second, emit.pointer(place, "1", "i32"))

    def _record(self, number: str, records: Sequence[Record]) -> None:
        """Keep what the step left."""
        emit = self.emit
        for size, fresh, kept, stride in records:
            there = emit.pointer(kept, emit.let(f"mul i64 {number}, {stride}"), "i8")
            copy(emit, there, fresh, str(size))

    def _leave_if_stopped(self, before: str) -> None:
        """Return, without counting the step, if its loss was not finite; else count it."""
        emit = self.emit
        stopped = emit.load(I64, emit.pointer(self.place["status"], "2", "i64"))
        with emit.when(emit.let(f"icmp ne i64 {stopped}, 0")):
            leave(emit, before)
            emit.do("ret void")
        pointer = emit.pointer(self.place["status"], "1", "i64")
        emit.store(I64, emit.let(f"add i64 {emit.load(I64, pointer)}, 1"), pointer)
