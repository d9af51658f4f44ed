"""The native engine: graphs and whole programs as machine code, for the shapes at hand."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import RLock
from typing import Any

import numpy as np

from chainrule.engines.base import BoundedCache, Direct, Executable, Outcome, Program, rows_of
from chainrule.engines.native.build import build, program_kind
from chainrule.engines.native.call import ArrayArgument, Entry, Fixed, Number, Work
from chainrule.engines.native.guard import default_heap
from chainrule.engines.native.heap import Heap
from chainrule.engines.native.interleaving import interleaved
from chainrule.engines.native.layout import FUNCTION, RUNNER, sorting_bytes
from chainrule.engines.native.runtime import prepare
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.target import Target, host
from chainrule.engines.native.threads import Control, alone, team
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ShapeError
from chainrule.graph.graph import Graph
from chainrule.ops import random
from chainrule.shapes import INT64, ROWS, UINT32, Array, Dtype, TensorType, bind_rows, fixed_shape

KEPT_FUNCTIONS = 128
ADDRESS = np.dtype(np.uint64)
MANY_ROWS = 2**20  # to see whether scratch memory grows with the rows


class NativeEngine:
    """Graphs compiled to machine code.

    Parameters
    ----------
    target : Target, optional
        The processor to generate code for; this one by default.
    heap : Heap, optional
        Where the arrays come from that compiled code reads and writes.
    """

    name = "native"
    splits_epochs = True
    speed = 20.0

    def __init__(self, target: Target | None = None, heap: Heap | None = None) -> None:
        prepare()
        self.target, self.heap = target or host(), heap or default_heap()
        self._functions: BoundedCache[Any, CompiledGraph] = BoundedCache(KEPT_FUNCTIONS)
        self._programs: BoundedCache[Any, CompiledProgram] = BoundedCache(KEPT_FUNCTIONS)

    def compile(self, graph: Graph) -> Executable:
        """A function from the graph's input values to its output values."""
        # the compiled graph holds the graph: its key is unique only while it is alive
        return self._functions.get(graph.key, lambda: CompiledGraph(graph, self.target, self.heap))

    def run(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        *,
        seed: int,
        epochs: range,
    ) -> Outcome:
        """Iterate a program over whole epochs, in one call that holds no interpreter lock."""
        key = (program.step.key, program_kind(program))
        compiled = self._programs.get(key, lambda: CompiledProgram(program, self.target, self.heap))
        return compiled.run(program, carried, rows, seed, epochs)


class CompiledGraph:
    """One graph as machine code."""

    def __init__(self, graph: Graph, target: Target, heap: Heap) -> None:
        self.graph, self.target, self.heap = graph, target, heap
        self.layout, code = build(graph, target)
        self._constants = [heap.given(array, array.dtype) for array in self.layout.constants]
        self._types = [node.type for node in graph.inputs]
        self._results = [node.type for node in graph.outputs]
        known = not any(ROWS in shape for _, shape in self._results)
        self._made = self._shapes(None) if known else None
        self._shared_from = self.layout.shared_from
        self._grows = self._scratch(1) != self._scratch(MANY_ROWS)
        self._call = heap.function(code, FUNCTION, self._entries(shared=False))
        if self._shared_from is not None:
            entries = self._entries(shared=True)
            self._call_shared = heap.function(code, FUNCTION, entries, releases_gil=True)

    def _scratch(self, rows: int) -> int:
        return self.layout.scratch(self.target, rows)

    def _entries(self, *, shared: bool) -> list[Entry]:
        """What the function's table holds, with one thread or several."""
        layout = self.layout
        inputs = [_argument(f"input {i}", type_) for i, type_ in enumerate(self._types)]
        constants = [Fixed(array.ctypes.data) for array in self._constants]
        outputs = [_argument(f"output {i}", type_, True) for i, type_ in enumerate(self._results)]
        work = [Work(layout.fixed_bytes), Work(0, layout.row_bytes)]
        return [*inputs, *constants, *outputs, *work, *self._thread_entries(shared)]

    def _thread_entries(self, shared: bool) -> list[Entry]:
        """Scratch memory, its size for each thread, the control block."""
        if shared:
            return [Number("scratch"), Number("scratch of a thread"), Number("control")]
        scratch = Number("scratch") if self._grows else Work(self._scratch(1))
        control = 0 if self._shared_from is None else alone().address
        return [scratch, Fixed(0), Fixed(control)]

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values of the outputs, in arrays of their own.

        Raises
        ------
        IndexError
            If a computed index was outside its axis.
        MemoryError
            If results or work space do not fit.
        """
        rows = rows_of(self._types, arrays)
        results = [np.empty(shape, dtype) for shape, dtype in self._made or self._shapes(rows)]
        pairs = zip(arrays, self._types, strict=True)
        given: list[Any] = [self.heap.given(array, type_.dtype) for array, type_ in pairs]
        try:
            status = self._run(rows or 0, [*given, *results])
        except MemoryError as reason:
            raise MemoryError(f"there is no memory for work on {rows or 1} rows") from reason
        if status < 0:  # another thread gave an array another shape since it was looked at
            raise ShapeError("the arrays changed while they were read: give each thread its own")
        if status:
            raise index_error(lambda engine: engine.compile(self.graph)(arrays))
        return results

    def direct(self, arrays: Sequence[Array]) -> Direct:
        """The function for plain arrays of the types and shapes of these.

        What compiled code cannot read as it lies, or in which it finds something wrong, goes the
        careful way.
        """
        rows = rows_of(self._types, arrays)
        if self._grows or self._is_shared(rows or 0):
            return lambda *given: self(given)
        call, count = self._call.raw, rows or 0
        empty = _maker(self._made or self._shapes(rows))

        def run(*given: Array) -> list[Array]:
            results = empty()
            try:
                done = call(count, *given, *results) == 0
            except (BufferError, MemoryError, ValueError):
                done = False
            return results if done else self(given)

        return run

    def _is_shared(self, rows: int) -> bool:
        """Whether threads share the work on so many rows."""
        return self._shared_from is not None and rows >= self._shared_from

    def _shapes(self, rows: int | None) -> list[tuple[tuple[int, ...], Dtype]]:
        """Shapes and element types of the results."""
        return [(fixed_shape(bind_rows(shape, rows)), dtype) for dtype, shape in self._results]

    def _run(self, rows: int, given: Sequence[Any]) -> int:
        """Call the function: its status."""
        if self._is_shared(rows):
            return self._run_shared(rows, given)
        if not self._grows:
            return self._call(rows, *given)
        space = self.heap.empty(self._scratch(rows))
        return self._call(rows, *given, space.ctypes.data)

    def _run_shared(self, rows: int, given: Sequence[Any]) -> int:
        """Call the function with all threads."""
        with team() as control:
            size = self._scratch(rows)
            space = self.heap.empty(size * control.slots)
            return self._call_shared(rows, *given, space.ctypes.data, size, control.address)


def _argument(name: str, type_: TensorType, writable: bool = False) -> ArrayArgument:
    size = shape_size(type_.shape)
    bytes_ = size.number * type_.dtype.itemsize
    fixed, of_rows = (0, bytes_) if size.of_rows else (bytes_, 0)
    return ArrayArgument(name, fixed, of_rows, writable, type_.dtype.alignment)


def _maker(known: Sequence[tuple[tuple[int, ...], Dtype]]) -> Callable[[], list[Array]]:
    """What makes new arrays; a loop over a single one would take as long as that."""
    empty = np.empty
    if len(known) != 1:
        return lambda: [empty(shape, dtype) for shape, dtype in known]
    shape, dtype = known[0]
    return lambda: [empty(shape, dtype)]


def index_error(replay: Callable[[ReferenceEngine], object]) -> IndexError:
    """What compiled code notes in its status word: the error of the engine that names the node."""
    try:
        replay(ReferenceEngine())
    except IndexError as reason:
        return reason
    return IndexError("a computed index is outside its axis")


class CompiledProgram:
    """A step and the loops around it as machine code."""

    def __init__(self, program: Program, target: Target, heap: Heap) -> None:
        self.graph, self.target, self.heap = program.step, target, heap
        program = interleaved(program, target)
        self.interleaved = program.step is not self.graph
        self.layout, code = build(program.step, target, program)
        self.constants = [heap.given(array, array.dtype) for array in self.layout.constants]
        step, carried = program.step, program.carried
        self.carried = [node.type for node in step.outputs[:carried]]
        self.records = [node.type for node in step.outputs[carried:]]
        self.fed = [node.type for node in step.inputs[carried:-1]]
        self.call = code.function(RUNNER, None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._idle: _Space | None = None
        self._lock = RLock()  # a garbage collection may call `release` anywhere

    def run(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
        epochs: range,
    ) -> Outcome:
        """Run some epochs.

        Raises
        ------
        IndexError
            If a computed index was outside its axis.
        """
        rows_of([node.type for node in self.graph.inputs[:-1]], [*carried, *rows])
        space = self._taken(program, len(rows[0]))
        outcome = _Run(self, space, program, carried, rows, seed)(epochs)
        if space.status[0]:
            raise index_error(
                lambda engine: engine.run(program, carried, rows, seed=seed, epochs=epochs)
            )
        self._idle = space  # for the next call
        return outcome

    def _taken(self, program: Program, rows: int) -> _Space:
        """Work space that nobody else has: that of the last call, or new one."""
        with self._lock:
            idle, self._idle = self._idle, None
        fits = idle is not None and idle.program() is program and idle.rows == rows
        return idle if idle is not None and fits else _Space(self, program, rows)

    def release(self, ended: object) -> None:
        """Give memory back that was kept for a program which is no more."""
        with self._lock:
            if self._idle is not None and self._idle.program is ended:
                self._idle = None


class _Space:
    """Memory that the calls of one program share: all that no call leaves anything in.

    Attributes
    ----------
    program : weak reference
        Where the program ends, nobody needs this any more.
    status : (3,) int64
        Index error, steps done, stopped by a loss that is not finite.
    """

    def __init__(self, compiled: CompiledProgram, program: Program, rows: int) -> None:
        heap, bounds = compiled.heap, program.bounds(rows)
        self.program, self.rows = weakref.ref(program, compiled.release), rows
        self.steps, self.first = len(bounds), program.first_step + 1
        most = int((bounds[:, 1] - bounds[:, 0]).max())
        self.batch = [heap.array(type_, most) for type_ in compiled.fed]
        self.once = [heap.array(type_) for type_ in compiled.records]
        self.work = [heap.empty(size) for size in compiled.layout.arena(most)]
        self.scratch = compiled.layout.scratch(compiled.target, most)
        self.scratches = heap.empty(0)
        self.status = heap.filled(0, (3,), INT64)
        self.fields = {
            "step_key": heap.filled(0, (2,), UINT32),
            "bounds": heap.given(bounds, INT64),
            "order": heap.filled(0, (rows,), INT64),
            "sorting": heap.empty(sorting_bytes(rows)),
            "status": self.status,
        }
        self.handed_out: list[weakref.ref[Array]] = []  # the carried values after the last call

    def given_back(self, carried: Sequence[Array], donated: int) -> list[bool]:
        """Which carried values are those of the last call, and nobody else's any more."""
        last = [reference() for reference in self.handed_out] or [None] * len(carried)
        kept = len(carried) - donated
        return [i >= kept and carried[i] is last[i] for i in range(len(carried))]


class _Run:
    """The arrays of one call of a program."""

    def __init__(
        self,
        compiled: CompiledProgram,
        space: _Space,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
    ) -> None:
        self.compiled, self.space, heap = compiled, space, compiled.heap
        given = zip(rows, compiled.fed, strict=True)
        self.data = [heap.given(array, type_.dtype) for array, type_ in given]
        given_back = space.given_back(carried, program.donated)
        if compiled.interleaved:
            carried = [np.moveaxis(array, 0, -1) for array in carried]
        self.carried = [
            array if back else heap.copied(array)
            for array, back in zip(carried, given_back, strict=True)
        ]
        space.handed_out = [weakref.ref(array) for array in self.carried]
        self.fields = {**space.fields, "seed": heap.given(random.key(seed), UINT32)}
        space.status.fill(0)

    def __call__(self, epochs: range) -> Outcome:
        """Run them."""
        status = self.space.status
        kept = [self._kept(array, len(epochs)) for array in self.space.once]
        with self._team() as control:
            table = self._table(control)
            places = self._places(table, kept, control)
            self.compiled.call(places.ctypes.data, epochs.start, len(epochs))
        self.compiled.heap.check()
        done, stopped = int(status[1]), bool(status[2])
        ran = done // self.space.steps + stopped  # epochs that were begun
        carried, records = self.carried, [x[:ran] for x in kept]
        if self.compiled.interleaved:  # behind the axes of epochs and steps come the members
            carried = [np.ascontiguousarray(np.moveaxis(x, -1, 0)) for x in carried]
            records = [np.moveaxis(x, -1, 2) for x in records]
        return Outcome(carried, records, finite=not stopped)

    def _team(self) -> AbstractContextManager[Control | None]:
        """Threads, where they share some of the work."""
        return nullcontext() if self.compiled.layout.shared_from is None else team()

    def _kept(self, array: Array, epochs: int) -> Array:
        """Where each step's record goes; steps that do not run leave NaN or 0."""
        nothing = np.nan if array.dtype.kind == "f" else 0
        shape = (epochs, self.space.steps, *array.shape)
        return self.compiled.heap.filled(nothing, shape, array.dtype)

    def _table(self, control: Control | None) -> Array:
        """What a step reads; the next carried values lie where the old ones do."""
        space = self.space
        threads, address = (control.slots, control.address) if control else (1, 0)
        if space.scratches.nbytes < space.scratch * threads:
            space.scratches = self.compiled.heap.empty(space.scratch * threads)
        inputs = [*self.carried, *space.batch, self.fields["step_key"]]
        outputs = [*self.carried, *space.once]
        arrays = [*inputs, *self.compiled.constants, *outputs, *space.work, space.scratches]
        return self._words([*_places(arrays), space.scratch, address])

    def _words(self, words: Sequence[int]) -> Array:
        return self.compiled.heap.given(np.array(words, ADDRESS), ADDRESS)

    def _places(self, table: Array, kept: Sequence[Array], control: Control | None) -> Array:
        """What ``run`` reads: its fields, then a source and a target for each copy."""
        space, arrays = self.space, {**self.fields, "table": table}
        words = {name: array.ctypes.data for name, array in arrays.items()}
        words |= {"rows": space.rows, "steps": space.steps, "first_step": space.first}
        words["control"] = control.address if control else 0
        copies = [*zip(self.data, space.batch, strict=True), *zip(space.once, kept, strict=True)]
        pairs = _places([array for copy in copies for array in copy])
        return self._words([*[words[name] for name in self.compiled.layout.fields], *pairs])


def _places(arrays: Sequence[Array]) -> list[int]:
    """Where arrays lie."""
    return [array.ctypes.data for array in arrays]
