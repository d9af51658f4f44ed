"""A program as one compiled function: epochs, the order of rows, gathering, steps, records.

While it runs, subnormal numbers are flushed to zero: the moments of dead units go there, and
arithmetic on them is many times slower.

``run(ptr places, i64 first_epoch, i64 epochs)``, where ``places`` holds addresses and numbers in
the order of :data:`FIELDS`. Carried values have two sets of buffers: a step reads one and writes
the other, so that nothing is copied between steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.engines.base import Program
from chainrule.engines.native.emitter import Emitter, Vector, copy, function
from chainrule.engines.native.ordering import write_drawn, write_shuffled
from chainrule.engines.native.routines import fold, load_key
from chainrule.engines.native.subnormals import enter, leave
from chainrule.engines.native.target import Target
from chainrule.shapes import TensorType, bind_rows, size_of

I64, WORD = Vector("i64", 1), Vector("i32", 1)
FIELDS = (
    "even_table",  # of the step: reads the first set of carried buffers, writes the second
    "odd_table",  # the other way round
    "seed",  # two words
    "step_key",  # where the step reads its key
    "bounds",  # (steps, 2) int64: where each batch begins and ends
    "order",  # (rows,) int64
    "sorting",  # work space of the shuffle
    "status",  # index error, steps done, stopped by a loss that is not finite
    "rows",  # a number: rows of the data sets
    "steps",  # a number: steps an epoch
)


@dataclass(frozen=True)
class RowInput:
    """A data set whose rows a step reads.

    Attributes
    ----------
    row_bytes : int
    """

    row_bytes: int

    @classmethod
    def of(cls, type_: TensorType) -> RowInput:
        """From the type of the step's input."""
        return cls(size_of(type_.shape[1:]) * type_.dtype.itemsize)


@dataclass(frozen=True)
class Record:
    """A number or array that each step leaves.

    Attributes
    ----------
    size : int
        Bytes.
    count : int
        Elements.
    element : str
        Their type.
    """

    size: int
    count: int
    element: str

    @classmethod
    def of(cls, type_: TensorType) -> Record:
        """From the type of the step's output."""
        count = size_of(bind_rows(type_.shape, None))
        return cls(count * type_.dtype.itemsize, count, Vector.of(type_.dtype, 1).element)


def write_program(
    program: Program, inputs: Sequence[RowInput], records: Sequence[Record], target: Target
) -> tuple[str, dict[str, str]]:
    """The text of the function ``run``, and its declarations."""
    emit = Emitter(target)
    _Runner(emit, program, inputs, records).write()
    return function("run", "ptr %places, i64 %first, i64 %epochs", emit), emit.declarations


class _Runner:
    """Writes the loops over epochs and steps."""

    def __init__(
        self, emit: Emitter, program: Program, inputs: Sequence[RowInput], records: Sequence[Record]
    ) -> None:
        self.emit, self.program, self.inputs, self.records = emit, program, inputs, records
        self.place: dict[str, str] = {}

    def write(self) -> None:
        """The body."""
        emit = self.emit
        for position, name in enumerate(FIELDS):
            kind = "i64" if name in ("rows", "steps") else "ptr"
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
                self._record(emit.let(f"add i64 {number}, {step.index}"), fresh, kept)
                self._leave_if_not_finite(fresh[0], before)
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
        for source, target, each in zip(data, batch, self.inputs, strict=True):
            self._gather(source, target, each.row_bytes, low, rows)
        done = emit.load(I64, emit.pointer(self.place["status"], "1", "i64"))
        odd = emit.let(f"trunc i64 {done} to i1")
        table = emit.let(
            f"select i1 {odd}, ptr {self.place['odd_table']}, ptr {self.place['even_table']}"
        )
        emit.do(f"call void @step(ptr {table}, i64 {rows}, ptr {self.place['status']})")

    def _step_key(self, key: tuple[str, str], step: str) -> None:
        """The key of one step, where its graph draws random numbers."""
        emit, used = self.emit, self.program.step.inputs[-1]
        if any(used in node.operands for node in self.program.step.nodes):
            first, second = fold(emit, key, emit.let(f"add i64 {step}, 1"))
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
            copy(emit, there, here, str(size))

    @property
    def _reorders(self) -> bool:
        return self.program.shuffled or self.program.replacement

    def _record(self, number: str, fresh: list[str], kept: list[str]) -> None:
        emit = self.emit
        for source, target, record in zip(fresh, kept, self.records, strict=True):
            there = emit.pointer(target, emit.let(f"mul i64 {number}, {record.size}"), "i8")
            copy(emit, there, source, str(record.size))

    def _leave_if_not_finite(self, loss: str, before: str) -> None:
        """Return, without counting the step, if the loss of no member is finite."""
        emit, record = self.emit, self.records[0]
        type_ = Vector(record.element, 1)
        with emit.loop("0", str(record.count), carried=[(Vector("i1", 1), "false")]) as member:
            value = emit.load(type_, emit.pointer(loss, member.index, record.element))
            size = emit.intrinsic("llvm.fabs", type_, value)
            finite = emit.let(f"fcmp olt {type_} {size}, {type_.constant(float('inf'))}")
            member.following = [emit.let(f"or i1 {member.values[0]}, {finite}")]
        end, stay = emit.label("end"), emit.label("stay")
        emit.do(f"br i1 {member.values[0]}, label %{stay}, label %{end}")
        emit.start(end)
        emit.store(I64, "1", emit.pointer(self.place["status"], "2", "i64"))
        leave(emit, before)
        emit.do("ret void")
        emit.start(stay)
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
