"""The native engine: graphs and whole programs as machine code, for the shapes at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from chainrule.engines.base import (
    BoundedCache,
    Direct,
    Executable,
    Finite,
    Outcome,
    Program,
    rows_of,
)
from chainrule.engines.native.build import build, program_kind
from chainrule.engines.native.call import ArrayArgument, Entry, Fixed, Number, Work
from chainrule.engines.native.guard import default_heap
from chainrule.engines.native.halves import CompiledHalves
from chainrule.engines.native.halving import halved
from chainrule.engines.native.heap import Function, Heap
from chainrule.engines.native.interleaving import interleaved
from chainrule.engines.native.layout import FUNCTION
from chainrule.engines.native.members import CompiledMembers
from chainrule.engines.native.running import CompiledProgram
from chainrule.engines.native.runtime import BASIS, prepare
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.target import Target, host
from chainrule.engines.native.threads import alone, team
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ShapeError
from chainrule.graph.graph import Graph
from chainrule.shapes import ROWS, Array, Dtype, TensorType, bind_rows, fixed_shape

if TYPE_CHECKING:
    from chainrule.engines.native.blocks import RowBlocks

Compiled: TypeAlias = CompiledProgram | CompiledMembers | CompiledHalves
KEPT_FUNCTIONS = 128
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
        prepare(BASIS)
        self.target, self.heap = target or host(), heap or default_heap()
        self._functions: BoundedCache[Any, CompiledGraph] = BoundedCache(KEPT_FUNCTIONS)
        self._programs: BoundedCache[Any, Compiled] = BoundedCache(KEPT_FUNCTIONS)

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
        compiled = self._programs.get(key, lambda: self._compiled(program))
        outcome = compiled.run(program, carried, rows, seed, epochs)
        if outcome is None:
            raise index_error(
                lambda engine: engine.run(program, carried, rows, seed=seed, epochs=epochs)
            )
        return outcome

    def _compiled(self, program: Program) -> Compiled:
        whole = interleaved(program, self.target)
        if whole is not program:
            return CompiledMembers(program, whole, self.target, self.heap)
        found = halved(program, self.target)
        if found is not None:
            return CompiledHalves(program, found, self.target, self.heap)
        return CompiledProgram(program, self.target, self.heap)


class CompiledGraph:
    """One graph as machine code."""

    def __init__(self, graph: Graph, target: Target, heap: Heap) -> None:
        self.graph, self.target, self.heap = graph, target, heap
        self.layout, self._code = build(graph, target)
        self._constants = [heap.given(array, array.dtype) for array in self.layout.constants]
        self._types = [node.type for node in graph.inputs]
        self._results = [node.type for node in graph.outputs]
        known = not any(ROWS in shape for _, shape in self._results)
        self._made = self._shapes(None) if known else None
        self._shared_from = self.layout.shared_from
        self._spaces: dict[int, tuple[int, int]] = {}
        self._blocks: RowBlocks | None = None
        self._grows = self._space(1) != self._space(MANY_ROWS)
        self._call = heap.function(self._code, FUNCTION, self._entries(shared=False))
        if self._shared_from is not None:
            entries = self._entries(shared=True)
            self._call_shared = heap.function(self._code, FUNCTION, entries, releases_gil=True)

    def _space(self, rows: int) -> tuple[int, int]:
        """Bytes of scratch memory of a thread, and of what threads have in common."""
        found = self._spaces.get(rows)  # the blocks of a data set are of one size but for the last
        if found is None:
            layout, target = self.layout, self.target
            found = layout.scratch(target, rows), layout.common(target, rows)
            self._spaces = {rows: found}
        return found

    def _entries(self, *, shared: bool) -> list[Entry]:
        """What the function's table holds, with one thread or several."""
        layout = self.layout
        inputs = [_argument(f"input {i}", type_) for i, type_ in enumerate(self._types)]
        constants = [Fixed(array.ctypes.data) for array in self._constants]
        outputs = [_argument(f"output {i}", type_, True) for i, type_ in enumerate(self._results)]
        work = [Work(layout.fixed_bytes), Work(0, layout.row_bytes)]
        return [*inputs, *constants, *outputs, *work, *self._thread_entries(shared)]

    def _thread_entries(self, shared: bool) -> list[Entry]:
        """Scratch memory, its size for each thread, the control block, what threads share."""
        if shared:
            words = "scratch", "scratch of a thread", "control", "common panels"
            return [Number(word) for word in words]
        scratch, common = (
            Number(name) if self._grows else Work(size)
            for name, size in zip(("scratch", "common panels"), self._space(1), strict=True)
        )
        control = 0 if self._shared_from is None else alone().address
        return [scratch, Fixed(0), Fixed(control), common]

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

    def direct(self, arrays: Sequence[Array], kept: int = 0) -> Direct:
        """The function for plain arrays of the types and shapes of these.

        What compiled code cannot read as it lies, or in which it finds something wrong, goes the
        careful way. To look where an array lies takes a tenth of a microsecond: for the first
        ``kept``, which every call uses, that is done now.
        """
        first = tuple(arrays[:kept])

        def careful(*given: Array) -> list[Array]:
            return self((*first, *given))

        return self._quick(arrays, first, careful) or careful

    def finite(self, arrays: Sequence[Array], kept: int = 0) -> Finite | None:
        """The same, if there is a quick way; it gives None where the last array is not finite."""
        first = tuple(arrays[:kept])

        def careful(*given: Array) -> list[Array] | None:
            return self((*first, *given)) if np.isfinite(given[-1]).all() else None

        return self._quick(arrays, first, careful, finite=True)

    def by_blocks(self, arrays: Sequence[Array], finite: bool) -> list[Array] | None:
        """The outputs for many rows, block by block on all threads.

        None where the graph has no such form, or something is wrong with the rows.
        """
        from chainrule.engines.native.blocks import RowBlocks, goes_by_blocks

        rows = rows_of(self._types, arrays)
        if not rows or not goes_by_blocks(self.graph):
            return None
        if self._blocks is None:
            self._blocks = RowBlocks(
                self.graph, self.layout, self._code, self._constants, self.target, self.heap
            )
        try:
            return self._blocks(rows, arrays, finite)
        except MemoryError as reason:
            raise MemoryError(f"there is no memory for work on {rows} rows") from reason

    def _quick(
        self,
        arrays: Sequence[Array],
        first: Sequence[Array],
        otherwise: Callable[..., Any],
        finite: bool = False,
    ) -> Callable[..., Any] | None:
        """What calls compiled code at once, and ``otherwise`` where that finds something wrong."""
        rows = rows_of(self._types, arrays)
        if self._grows or self._is_shared(rows or 0) or not self._readable(first):
            return None
        call, count = self._knowing(first, finite).raw, rows or 0
        empty = _maker(self._made or self._shapes(rows))

        def run(*given: Array) -> list[Array]:
            results = empty()
            try:
                done = call(count, *given, *results) == 0
            except (BufferError, MemoryError, ValueError):
                done = False
            return results if done else otherwise(*given)

        return run

    def _readable(self, arrays: Sequence[Array]) -> bool:
        """Whether compiled code can read them as they lie."""
        pairs = zip(arrays, self._types, strict=False)
        return all(self.heap.given(array, type_.dtype) is array for array, type_ in pairs)

    def _knowing(self, first: Sequence[Array], finite: bool) -> Function:
        """The function of the other arrays."""
        if not first and not finite:
            return self._call
        entries = self._entries(shared=False)
        entries[: len(first)] = [Fixed(array.ctypes.data, array) for array in first]
        if finite:
            last, type_ = len(self._types) - 1, self._types[-1]
            entries[last] = _argument(f"input {last}", type_, finite=type_.dtype.kind == "f")
        return self.heap.function(self._code, FUNCTION, entries)

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
        spaces = [self.heap.empty(size) for size in self._space(rows)]
        return self._call(rows, *given, *(space.ctypes.data for space in spaces))

    def _run_shared(self, rows: int, given: Sequence[Any]) -> int:
        """Call the function with all threads."""
        with team() as control:
            size, in_common = self._space(rows)
            space, common = self.heap.empty(size * control.slots), self.heap.empty(in_common)
            places = space.ctypes.data, size, control.address, common.ctypes.data
            return self._call_shared(rows, *given, *places)


def _argument(
    name: str, type_: TensorType, writable: bool = False, finite: bool = False
) -> ArrayArgument:
    size = shape_size(type_.shape)
    bytes_ = size.number * type_.dtype.itemsize
    fixed, of_rows = (0, bytes_) if size.of_rows else (bytes_, 0)
    of_element = type_.dtype.itemsize * finite
    return ArrayArgument(name, fixed, of_rows, writable, type_.dtype.alignment, of_element)


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
