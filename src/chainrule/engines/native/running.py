"""Programs as machine code: their work space, their calls, and what these give."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

from chainrule.engines.base import Outcome, Program, rows_of, told_until
from chainrule.engines.native.build import build
from chainrule.engines.native.heap import Heap
from chainrule.engines.native.layout import DRAWN, RUNNER, SHUFFLED, sorting_bytes
from chainrule.engines.native.parallel import Call
from chainrule.engines.native.runtime import BASIS, runtime
from chainrule.engines.native.target import Target
from chainrule.engines.native.threads import Control, alone, team
from chainrule.ops import random
from chainrule.shapes import INT64, UINT32, Array, TensorType

if TYPE_CHECKING:
    from chainrule.engines.native.early import EarlyOrders

ADDRESS = np.dtype(np.uint64)
FEWEST_ROWS = 2048  # of an epoch whose order a helper makes early: some 15 microseconds
MANY_ROWS = 1_000_000  # of all epochs of a call: milliseconds, for which helpers are called


class CompiledProgram:
    """A step and the loops around it as machine code."""

    def __init__(self, program: Program, target: Target, heap: Heap) -> None:
        self.graph, self.target, self.heap = program.step, target, heap
        self.layout, code = build(program.step, target, program)
        self.constants = [heap.given(array, array.dtype) for array in self.layout.constants]
        step, carried = program.step, program.carried
        self.carried = [node.type for node in step.outputs[:carried]]
        self.records = [node.type for node in step.outputs[carried:]]
        self.fed = [node.type for node in step.inputs[carried:-1]]
        self.call = code.function(RUNNER, None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self.address = code.address(RUNNER)
        self.reorders = program.shuffled or program.replacement
        self.ordering = runtime(BASIS).address(DRAWN if program.replacement else SHUFFLED)
        self._idle: _Space | None = None
        self._lock = RLock()  # a garbage collection may call `release` anywhere

    def run(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
        epochs: range,
    ) -> Outcome | None:
        """Run some epochs; None if a computed index was outside its axis."""
        run = self.begin(program, carried, rows, seed, epochs)
        run.call()
        return run.outcome()

    def begin(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
        epochs: range,
        kept: Sequence[Array | None] = (),
    ) -> Run:
        """All that a call needs but the call, which may be made in any thread.

        Records go to the arrays ``kept``, (epochs, steps, ...), in which no step's may have gaps,
        and all must lie equally far apart; to a new array where there is none.
        """
        rows_of([node.type for node in self.graph.inputs[:-1]], [*carried, *rows])
        space = self._taken(program, len(rows[0]))
        return Run(self, space, program, carried, rows, seed, epochs, kept)

    def give_back(self, space: _Space) -> None:
        """Keep work space for the next call."""
        with self._lock:
            self._idle = space

    def _taken(self, program: Program, rows: int) -> _Space:
        """Work space that nobody else has: that of the last call, or new one."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None and idle.program() is program and idle.rows == rows:
            return idle
        bounds = program.bounds(rows)
        if idle is None or not idle.fits(bounds, rows):
            idle = _Space(self, bounds, rows)
        idle.serve(program, bounds)
        return idle

    def release(self, ended: object) -> None:
        """Give memory back that was kept for a program which is no more."""
        with self._lock:
            if self._idle is not None and self._idle.program is ended:
                self._idle = None


class _Space:
    """Memory that calls share: all that no call leaves anything in.

    The parts of a long epoch are programs of one step; they follow each other in one space.

    Attributes
    ----------
    program : weak reference
        The last that it served. Where that ends, nobody needs this any more.
    status : (3,) int64
        Index error, steps done, stopped by a loss that is not finite.
    """

    program: weakref.ref[Program]

    def __init__(self, compiled: CompiledProgram, bounds: Array, rows: int) -> None:
        heap, self.release = compiled.heap, compiled.release
        self.heap, self.rows = heap, rows
        most = self.most = _largest(bounds)
        self.batch = [heap.array(type_, most) for type_ in compiled.fed]
        self.once = [heap.array(type_) for type_ in compiled.records]
        self.work = [heap.empty(size) for size in compiled.layout.arena(most)]
        self.scratch = compiled.layout.scratch(compiled.target, most)
        self.scratches = heap.empty(0)
        self.common = heap.empty(compiled.layout.common(compiled.target, most))
        self.status = heap.filled(0, (3,), INT64)
        self.fields = {
            "step_key": heap.filled(0, (2,), UINT32),
            "order": heap.filled(0, (rows,), INT64),
            "sorting": heap.empty(sorting_bytes(rows)),
            "status": self.status,
        }
        self.handed_out: list[weakref.ref[Array]] = []  # the carried values after the last call

    def fits(self, bounds: Array, rows: int) -> bool:
        """Whether batches of these bounds, of so many rows, have room and no more than that."""
        return self.rows == rows and self.most == _largest(bounds)

    def serve(self, program: Program, bounds: Array) -> None:
        """Belong to a program from now on."""
        self.program = weakref.ref(program, self.release)
        self.steps, self.first = len(bounds), program.first_step + 1
        self.fields["bounds"] = self.heap.given(bounds, INT64)

    def given_back(self, carried: Sequence[Array], donated: int) -> list[bool]:
        """Which carried values are those of the last call, and nobody else's any more."""
        last = [reference() for reference in self.handed_out] or [None] * len(carried)
        kept = len(carried) - donated
        return [i >= kept and carried[i] is last[i] for i in range(len(carried))]


def _largest(bounds: Array) -> int:
    """The rows of the largest batch."""
    return int((bounds[:, 1] - bounds[:, 0]).max())


class Run:
    """The arrays of one call of a program."""

    def __init__(
        self,
        compiled: CompiledProgram,
        space: _Space,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
        epochs: range,
        kept: Sequence[Array | None] = (),
    ) -> None:
        self.compiled, self.space, self.epochs, heap = compiled, space, epochs, compiled.heap
        given = zip(rows, compiled.fed, strict=True)
        self.data = [heap.given(array, type_.dtype) for array, type_ in given]
        given_back = space.given_back(carried, program.donated)
        self.carried = [
            array if back else heap.copied(array)
            for array, back in zip(carried, given_back, strict=True)
        ]
        space.handed_out = [weakref.ref(array) for array in self.carried]
        self.fields = {**space.fields, "seed": heap.given(random.key(seed), UINT32)}
        places = kept or [None] * len(compiled.records)
        pairs = zip(places, compiled.records, strict=True)
        self.kept = [self._new(type_) if place is None else place for place, type_ in pairs]
        space.status.fill(0)

    def call(self) -> None:
        """Run the epochs."""
        with self._team() as control:
            early = self._early(control)
            arguments = self._arguments(control, early)
            if early is None:
                self.compiled.call(*arguments)
            else:
                early.call(self.compiled.address, *arguments)

    def one_of_several(self) -> Call:
        """The same for `at_once`; keep this object alive until then."""
        return Call(self.compiled.address, *self._arguments(alone()))

    def _team(self) -> AbstractContextManager[Control | None]:
        """Threads, where they share some of the work, or make orders early."""
        return team() if self._shared or self._orders_early else nullcontext()

    @property
    def _shared(self) -> bool:
        return self.compiled.layout.shared_from is not None

    @property
    def _orders_early(self) -> bool:
        """Whether helpers have something to do though the steps leave them nothing."""
        rows, epochs = self.space.rows, len(self.epochs)
        many = rows >= FEWEST_ROWS and rows * epochs >= MANY_ROWS
        return many and epochs > 1 and self.compiled.reorders and not self._shared

    def _early(self, control: Control | None) -> EarlyOrders | None:
        """What a helper makes, if there is one and it has nothing else to do."""
        if control is None or control.slots == 1 or not self._orders_early:
            return None
        from chainrule.engines.native.early import EarlyOrders

        given = self.fields["seed"], self.fields["sorting"], self.space.rows, self.epochs.stop
        return EarlyOrders(control, self.compiled.ordering, *given)

    def _arguments(
        self, control: Control | None, early: EarlyOrders | None = None
    ) -> tuple[int, int, int]:
        address = control.address if control else 0
        self._table = self._table_of(control)
        self._places = self._places_of(self._table, address, early)
        return self._places.ctypes.data, self.epochs.start, len(self.epochs)

    def outcome(self) -> Outcome | None:
        """What the call gave; None if a computed index was outside its axis."""
        self.compiled.heap.check()
        outside, done, stopped = self.space.status.tolist()
        if outside:
            return None
        self.compiled.give_back(self.space)
        if not stopped:
            return Outcome(self.carried, list(self.kept))
        epoch, step = divmod(done, self.space.steps)
        records = [told_until(x[: epoch + 1], step + (x is self.kept[0])) for x in self.kept]
        return Outcome(self.carried, records, finite=False)

    def _new(self, type_: TensorType) -> Array:
        """A place for the record of each step."""
        shape = (len(self.epochs), self.space.steps, *type_.shape)
        return self.compiled.heap.array(TensorType(type_.dtype, shape))

    def _table_of(self, control: Control | None) -> Array:
        """What a step reads; the next carried values lie where the old ones do."""
        space = self.space
        threads, address = (control.slots, control.address) if control else (1, 0)
        if space.scratches.nbytes < space.scratch * threads:
            space.scratches = self.compiled.heap.empty(space.scratch * threads)
        carried = _places(self.carried)
        inputs = _places([*space.batch, self.fields["step_key"], *self.compiled.constants])
        outputs = _places([*space.once, *space.work, space.scratches])
        last = space.scratch, address, *_places([space.common])
        return self._words([*carried, *inputs, *carried, *outputs, *last])

    def _words(self, words: Sequence[int]) -> Array:
        return self.compiled.heap.given(np.array(words, ADDRESS), ADDRESS)

    def _places_of(self, table: Array, control: int, early: EarlyOrders | None) -> Array:
        """What ``run`` reads: its fields, then a source and a target for each copy."""
        space, ordering = self.space, self.compiled.ordering
        arrays = {**self.fields, "table": table}
        if early is not None:
            arrays["sorting"], ordering = early.work, early.address
        words = {name: array.ctypes.data for name, array in arrays.items()}
        words |= {"rows": space.rows, "steps": space.steps, "first_step": space.first}
        words |= {"control": control, "ordering": ordering}
        fields = [words[name] for name in self.compiled.layout.fields]
        pairs = zip(_places(self.data), _places(space.batch), strict=True)
        strides = [array.strides[1] for array in self.kept]
        records = zip(_places(space.once), _places(self.kept), strides, strict=True)
        return self._words([*fields, *chain(*pairs, *records)])


def _places(arrays: Sequence[Array]) -> list[int]:
    """Where arrays lie."""
    return [array.ctypes.data for array in arrays]
