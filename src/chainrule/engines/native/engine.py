"""The native engine: graphs and whole programs as machine code, for the shapes at hand."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.engines.base import BoundedCache, Executable, Outcome, Program, rows_of
from chainrule.engines.native.emitter import module
from chainrule.engines.native.function import ROW_ALIGNMENT, Lowered, lower
from chainrule.engines.native.jit import Code, to_object
from chainrule.engines.native.program import FIELDS, Record, RowInput, write_program
from chainrule.engines.native.target import Target, host
from chainrule.engines.native.tiling import scratch_bytes
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.ops import random
from chainrule.shapes import Array, bind_rows

KEPT_FUNCTIONS = 128
CACHE_LINE = 64


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
    shape = bind_rows(node.shape, rows)
    size = int(np.prod(shape, dtype=np.int64)) * node.dtype.itemsize
    return aligned(size).view(node.dtype).reshape(shape)


def addresses(arrays: Sequence[Array]) -> Array:
    """Where the arrays lie: (n,) uint64."""
    return np.array([array.ctypes.data for array in arrays], np.uint64)


def work_space(lowered: Lowered, target: Target, rows: int) -> list[Array]:
    """Work space for a function called with up to this many rows."""
    steps = -(-rows // ROW_ALIGNMENT) * ROW_ALIGNMENT
    scratch = max([scratch_bytes(spec, target, rows) for spec in lowered.products], default=0)
    return [aligned(lowered.fixed_bytes), aligned(steps * lowered.row_bytes), aligned(scratch)]


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
        self.code = Code(to_object(self.text, target), target)
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
        self._call = signature(self.code.address("compute"))
        self._types = [node.type for node in graph.inputs]

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The values of the outputs, in arrays of their own."""
        rows = rows_of(self._types, arrays)
        inputs = [np.require(array, requirements="C") for array in arrays]
        results = [fresh(node, rows) for node in self.lowered.graph.outputs]
        held = [*inputs, *self.lowered.constants, *results, *work_space(self.lowered, self.target, rows or 0)]
        table, status = addresses(held), np.zeros(3, np.int64)
        self._call(table.ctypes.data, rows or 0, status.ctypes.data)
        check_status(status)
        return results


def check_status(status: Array) -> None:
    """Raise what compiled code could not.

    Raises
    ------
    IndexError
        If a computed index was outside its axis.
    """
    if status[0]:
        raise IndexError("a computed index is outside its axis")


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
        self.text = module(target, [self.lowered.text, text], {**self.lowered.declarations, **declarations})
        self.code = Code(to_object(self.text, target), target)
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._call = signature(self.code.address("run"))

    def run(
        self, program: Program, carried: Sequence[Array], rows: Sequence[Array], seed: int, epochs: range
    ) -> Outcome:
        """Run some epochs."""
        bounds = np.array(program.bounds(len(rows[0])), np.int64)
        data = [np.require(array, requirements="C") for array in rows]
        most = int((bounds[:, 1] - bounds[:, 0]).max())
        inputs, outputs = self.graph.inputs, self.lowered.graph.outputs
        sets = [[fresh(node, None) for node in outputs[: self.carried]] for _ in range(2)]
        for target, value in zip(sets[0], carried, strict=True):
            np.copyto(target, value)
        batch = [fresh(node, most) for node in inputs[self.carried : -1]]
        step_key, once = np.empty(2, np.uint32), [fresh(node, None) for node in outputs[self.carried :]]
        work = work_space(self.lowered, self.target, most)
        kept = [np.full((len(epochs), len(bounds), *array.shape), np.nan if array.dtype.kind == "f" else 0, array.dtype) for array in once]
        tables = [
            addresses([*sets[i], *batch, step_key, *self.lowered.constants, *sets[1 - i], *once, *work])
            for i in range(2)
        ]
        count = len(rows[0])
        order, sorting = np.empty(count, np.int64), aligned(count * 16 + 8 * 256 + 16)
        status, key = np.zeros(3, np.int64), random.key(seed)
        fields = {
            "even_table": tables[0], "odd_table": tables[1], "seed": key, "step_key": step_key,
            "bounds": bounds, "order": order, "sorting": sorting, "status": status,
        }  # fmt: skip
        numbers = {"rows": count, "steps": len(bounds)}
        pairs = [x.ctypes.data for both in (zip(data, batch, strict=True), zip(once, kept, strict=True)) for pair in both for x in pair]
        found = [numbers[name] if name in numbers else fields[name].ctypes.data for name in FIELDS]
        places = np.array([*found, *pairs], np.uint64)
        self._call(places.ctypes.data, epochs.start, len(epochs))
        check_status(status)
        done, stopped = int(status[1]), bool(status[2])
        ran = done // len(bounds) + stopped  # epochs that were begun
        return Outcome(sets[done % 2], [record[:ran] for record in kept], finite=not stopped)
