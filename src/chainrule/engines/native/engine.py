"""The native engine: graphs as machine code, for the shapes at hand."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.engines.base import BoundedCache, Executable, rows_of
from chainrule.engines.native.emitter import module
from chainrule.engines.native.function import ROW_ALIGNMENT, Lowered, lower
from chainrule.engines.native.jit import Code, to_object
from chainrule.engines.native.target import Target, host
from chainrule.graph.graph import Graph
from chainrule.shapes import Array, bind_rows

KEPT_FUNCTIONS = 128


class NativeEngine:
    """Graphs compiled to machine code."""

    name = "native"

    def __init__(self, target: Target | None = None) -> None:
        self.target = target or host()
        self._kept: BoundedCache[Any, tuple[Graph, Function]] = BoundedCache(KEPT_FUNCTIONS)

    def compile(self, graph: Graph) -> Executable:
        """A function from the graph's input values to its output values."""
        return self._kept.get(graph.key, lambda: (graph, Function(graph, self.target)))[1]


class Function:
    """One compiled graph."""

    def __init__(self, graph: Graph, target: Target) -> None:
        self.lowered: Lowered = lower(graph, target, "compute")
        text = module(target, [self.lowered.text], self.lowered.declarations)
        self.text = text
        self.code = Code(to_object(text, target), target)
        self.call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)(
            self.code.address("compute")
        )
        self.types = [node.type for node in graph.inputs]
        self.outputs = self.lowered.graph.outputs

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        rows = rows_of(self.types, arrays)
        inputs = [np.ascontiguousarray(array).reshape(array.shape) for array in arrays]
        unique = dict.fromkeys(self.outputs)
        results = {node: np.empty(bind_rows(node.shape, rows), node.dtype) for node in unique}
        arena = [
            np.empty(self.lowered.fixed_bytes + 64, np.uint8),
            np.empty(-(-(rows or 0) // ROW_ALIGNMENT) * ROW_ALIGNMENT * self.lowered.row_bytes + 64, np.uint8),
        ]
        held = [*inputs, *self.lowered.constants, *results.values(), *arena]
        table = np.array([array.ctypes.data for array in held], np.uint64)
        status = np.zeros(1, np.int64)
        self.call(table.ctypes.data, rows or 0, status.ctypes.data)
        if status[0]:
            raise IndexError("a computed index is outside its axis")
        seen: dict[Any, bool] = {}
        found = []
        for node in self.outputs:
            found.append(results[node].copy() if node in seen else results[node])
            seen[node] = True
        return found
