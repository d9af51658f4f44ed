"""The native engine: graphs and whole programs as machine code, for the shapes at hand."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from chainrule.engines.base import BoundedCache, Executable, Outcome, Program, rows_of
from chainrule.engines.native.call import (
    ArrayArgument,
    CompiledFunction,
    Entry,
    Fixed,
    Number,
    Work,
)
from chainrule.engines.native.emitter import module
from chainrule.engines.native.function import ROW_ALIGNMENT, Lowered, lower
from chainrule.engines.native.jit import load
from chainrule.engines.native.ordering import sorting_bytes
from chainrule.engines.native.program import FIELDS, Record, RowInput, write_program
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.subnormals import definitions
from chainrule.engines.native.target import Target, host
from chainrule.engines.native.tiling import scratch_bytes
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.ops import random
from chainrule.shapes import Array, Dtype, Shape, TensorType, bind_rows

KEPT_FUNCTIONS = 128
CACHE_LINE = 64
MANY_ROWS = 2**20  # to see whether scratch memory grows with the rows


class NativeEngine:
    """Graphs compiled to machine code.

    Parameters
    ----------
    target : Target, optional
        The processor to generate code for; this one by default.
    """

    name = "native"

    def __init__(self, target: Target | None = None) -> None:
        self.target = target or host()
        self._functions: BoundedCache[Any, CompiledGraph] = BoundedCache(KEPT_FUNCTIONS)
        self._programs: BoundedCache[Any, CompiledProgram] = BoundedCache(KEPT_FUNCTIONS)

    def compile(self, graph: Graph) -> Executable:
        """A function from the graph's input values to its output values."""
        # the compiled graph holds the graph: its key is unique only while it is alive
        return self._functions.get(graph.key, lambda: CompiledGraph(graph, self.target))

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
        key = (program.step.key, program.shuffled, program.replacement)
        compiled = self._programs.get(key, lambda: CompiledProgram(program, self.target))
        return compiled.run(program, carried, rows, seed, epochs)


def aligned(size: int) -> Array:
    """Bytes that begin at a cache line."""
    raw = np.empty(size + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size]


def fresh(node: Node, rows: int | None) -> Array:
    """An array for a node's value, at a cache line."""
    shape = fixed(node.shape, rows)
    return aligned(math.prod(shape) * node.dtype.itemsize).view(node.dtype).reshape(shape)


def fixed(shape: Shape, rows: int | None) -> tuple[int, ...]:
    """A shape with the number of rows in it."""
    return cast("tuple[int, ...]", bind_rows(shape, rows))


def fitting(array: Array, dtype: Dtype) -> Array:
    """The array itself if compiled code can read it as it lies, else a copy."""
    return array if array.dtype == dtype and array.flags.c_contiguous else array.astype(dtype, "C")


def addresses(arrays: Sequence[Array]) -> Array:
    """Where the arrays lie: (n,) uint64."""
    return np.array([array.ctypes.data for array in arrays], np.uint64)


def work_space(lowered: Lowered, target: Target, rows: int) -> list[Array]:
    """Work space for a function called with up to this many rows."""
    steps = -(-rows // ROW_ALIGNMENT) * ROW_ALIGNMENT
    sizes = (lowered.fixed_bytes, steps * lowered.row_bytes, _scratch(lowered, target, rows))
    return [aligned(size) for size in sizes]


class CompiledGraph:
    """One graph as machine code.

    Attributes
    ----------
    lowered : Lowered
    text : str
        The LLVM IR.
    """

    def __init__(self, graph: Graph, target: Target) -> None:
        self.graph, self.target = graph, target
        self.lowered = lower(graph, target, "compute")
        self.text = module(target, [self.lowered.text], self.lowered.declarations)
        self._types = [node.type for node in graph.inputs]
        self._results = [node.type for node in self.lowered.graph.outputs]
        self._grows = _scratch(self.lowered, target, 1) != _scratch(self.lowered, target, MANY_ROWS)
        self._call = CompiledFunction(load(self.text, target), "compute", self._entries()).raw

    def _entries(self) -> list[Entry]:
        """What the function's table holds."""
        inputs = [_argument(f"input {i}", type_) for i, type_ in enumerate(self._types)]
        constants = [Fixed(array.ctypes.data) for array in self.lowered.constants]
        outputs = [_argument(f"output {i}", type_, True) for i, type_ in enumerate(self._results)]
        work = [Work(self.lowered.fixed_bytes), Work(0, self.lowered.row_bytes)]
        scratch = Number("scratch") if self._grows else Work(_scratch(self.lowered, self.target, 1))
        return [*inputs, *constants, *outputs, *work, scratch]

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values of the outputs, in arrays of their own.

        Raises
        ------
        IndexError
            If a computed index was outside its axis.
        """
        rows = rows_of(self._types, arrays)
        results = [np.empty(fixed(shape, rows), dtype) for dtype, shape in self._results]
        pairs = zip(arrays, self._types, strict=True)
        inputs = [fitting(array, type_.dtype) for array, type_ in pairs]
        given: list[Any] = [*inputs, *results]
        if self._grows:
            space = aligned(_scratch(self.lowered, self.target, rows or 0))
            given.append(space.ctypes.data)
        if self._call(rows or 0, *given):
            raise index_error()
        return results


def _argument(name: str, type_: TensorType, writable: bool = False) -> ArrayArgument:
    size = shape_size(type_.shape)
    bytes_ = size.number * type_.dtype.itemsize
    return ArrayArgument(
        name, 0 if size.of_rows else bytes_, bytes_ if size.of_rows else 0, writable
    )


def _scratch(lowered: Lowered, target: Target, rows: int) -> int:
    """Bytes of scratch memory that the products of a function share."""
    return max([scratch_bytes(spec, target, rows) for spec in lowered.products], default=0)


def index_error() -> IndexError:
    """What compiled code notes in its status word, as an exception."""
    return IndexError("a computed index is outside its axis")


class CompiledProgram:
    """A step and the loops around it as machine code."""

    def __init__(self, program: Program, target: Target) -> None:
        self.graph, self.target = program.step, target
        self.lowered = lower(program.step, target, "step")
        inputs, outputs = program.step.inputs, self.lowered.graph.outputs
        self.carried = program.carried
        self.row_inputs = [RowInput.of(node.type) for node in inputs[program.carried : -1]]
        self.records = [Record.of(node.type) for node in outputs[program.carried :]]
        text, declarations = write_program(program, self.row_inputs, self.records, target)
        functions = [definitions(target), self.lowered.text, text]
        self.text = module(target, functions, {**self.lowered.declarations, **declarations})
        parameters = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._call = load(self.text, target).function("run", None, *parameters)

    def run(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
        epochs: range,
    ) -> Outcome:
        """Run some epochs."""
        bounds = program.bounds(len(rows[0]))
        rows_of([node.type for node in self.graph.inputs[:-1]], [*carried, *rows])
        fed = self.graph.inputs[self.carried : -1]
        data = [fitting(array, node.dtype) for array, node in zip(rows, fed, strict=True)]
        most = int((bounds[:, 1] - bounds[:, 0]).max())
        inputs, outputs = self.graph.inputs, self.lowered.graph.outputs
        sets = [[fresh(node, None) for node in outputs[: self.carried]] for _ in range(2)]
        for target, value in zip(sets[0], carried, strict=True):
            np.copyto(target, value)
        batch = [fresh(node, most) for node in inputs[self.carried : -1]]
        step_key, once = (
            np.empty(2, np.uint32),
            [fresh(node, None) for node in outputs[self.carried :]],
        )
        work = work_space(self.lowered, self.target, most)
        kept = [
            np.full(
                (len(epochs), len(bounds), *array.shape),
                np.nan if array.dtype.kind == "f" else 0,
                array.dtype,
            )
            for array in once
        ]
        tables = [
            addresses(
                [*sets[i], *batch, step_key, *self.lowered.constants, *sets[1 - i], *once, *work]
            )
            for i in range(2)
        ]
        count = len(rows[0])
        order, sorting = np.empty(count, np.int64), aligned(sorting_bytes(count))
        status, key = np.zeros(3, np.int64), random.key(seed)
        fields = {
            "even_table": tables[0], "odd_table": tables[1], "seed": key, "step_key": step_key,
            "bounds": bounds, "order": order, "sorting": sorting, "status": status,
        }  # fmt: skip
        numbers = {"rows": count, "steps": len(bounds)}
        pairs = [
            x.ctypes.data
            for both in (zip(data, batch, strict=True), zip(once, kept, strict=True))
            for pair in both
            for x in pair
        ]
        found = [numbers[name] if name in numbers else fields[name].ctypes.data for name in FIELDS]
        places = np.array([*found, *pairs], np.uint64)
        self._call(places.ctypes.data, epochs.start, len(epochs))
        if status[0]:
            raise index_error()
        done, stopped = int(status[1]), bool(status[2])
        ran = done // len(bounds) + stopped  # epochs that were begun
        return Outcome(sets[done % 2], [record[:ran] for record in kept], finite=not stopped)
