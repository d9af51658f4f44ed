"""The reference engine: NumPy, node by node. It is the definition of the language.

A graph becomes a plan once for each number of rows: the nodes in topological order, each with
the NumPy function that means it, the places it reads, and, where its result is needed only
inside the plan, a buffer it writes into. Buffers are shared by values whose lifetimes do not
overlap; an elementwise operation writes over an operand that nobody reads afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from chainrule.engines.base import BoundedCache, Executable, Outcome, Program, rows_of
from chainrule.errors import MissingInputError
from chainrule.graph.graph import Graph, is_free
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.ops import random
from chainrule.shapes import INT64, ROWS, Array, Dtype, bind_rows, fixed_shape

CACHED_PLANS = 256
_SMALL = 64  # bytes; below, a new array costs less than looking after a buffer


class Instruction(NamedTuple):
    """One step of a plan: ``values[target] = function(*values[sources])``, into a buffer or not."""

    function: Callable[..., Any]
    sources: tuple[int, ...]
    target: int
    buffer: int | None
    released: tuple[int, ...]  # places that nobody reads afterwards
    node: Node


class Buffer(NamedTuple):
    """Memory for one result: part of a slot, shared by results that do not live at one time."""

    slot: int
    shape: tuple[int, ...]
    dtype: Dtype


@dataclass(frozen=True)
class Plan:
    """A graph prepared for one number of rows.

    Attributes
    ----------
    instructions : tuple of Instruction
    values : list
        The starting contents of all places: constants, and None.
    buffers : list of Buffer
    slots : list of int
        Sizes in bytes.
    inputs, outputs : tuple of int
        Places.
    """

    instructions: tuple[Instruction, ...]
    values: list[Any]
    buffers: list[Buffer]
    slots: list[int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    idle: list[list[Array]] = field(default_factory=list)  # workspaces that no thread uses now

    def __str__(self) -> str:
        return "\n".join(map(self._line, self.instructions))

    def _line(self, step: Instruction) -> str:
        sources = ", ".join(f"%{place}" for place in step.sources)
        home = "" if step.buffer is None else f" in slot {self.buffers[step.buffer].slot}"
        return f"%{step.target} = {step.node.op.name}({sources}) : {step.node.type}{home}"

    def workspace(self) -> list[Array]:
        """Arrays for the buffers, this caller's own until it puts them back into ``idle``."""
        try:
            return self.idle.pop()
        except IndexError:
            memory = [np.empty(size, np.uint8) for size in self.slots]
            return [
                memory[slot][: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
                for slot, shape, dtype in self.buffers
            ]

    def __call__(self, arrays: Sequence[Array]) -> list[Any]:
        """The values of the outputs, in arrays of their own."""
        values = self.values.copy()
        for place, array in zip(self.inputs, arrays, strict=True):
            values[place] = array
        workspace = self.workspace()
        for function, sources, target, buffer, released, node in self.instructions:
            operands = [values[place] for place in sources]
            try:
                values[target] = (
                    function(*operands)
                    if buffer is None
                    else function(*operands, workspace[buffer])
                )
            except IndexError as reason:
                raise IndexError(f"{node.op.name} built at {node.site}: {reason}") from None
            for place in released:
                values[place] = None
        self.idle.append(workspace)
        return [values[place] for place in self.outputs]


class _Lifetimes:
    """Which memory each node's value lies in, and the last instruction that reads it."""

    def __init__(self, graph: Graph, steps: Sequence[Node]) -> None:
        self.home: dict[Node, Node] = {}  # views lie in the memory of what they look at
        self.last_use: dict[Node, int] = {}
        for position, node in enumerate(steps):
            self.home[node] = self.home_of(node.operands[0]) if node.op.view else node
            for operand in (node, *node.operands):
                self.last_use[self.home_of(operand)] = position
        self.kept = dict.fromkeys(self.home_of(node) for node in (*graph.inputs, *graph.outputs))

    def home_of(self, node: Node) -> Node:
        """The node whose memory holds the value of ``node``."""
        return self.home.get(node, node)

    def ending(self, position: int, nodes: Sequence[Node]) -> list[Node]:
        """The memories among those of ``nodes`` that are free after instruction ``position``."""
        homes = dict.fromkeys(self.home_of(node) for node in nodes)
        return [home for home in homes if home not in self.kept and self.last_use[home] == position]


class _Allocator:
    """Gives results their buffers, in the order of the instructions."""

    def __init__(self, lifetimes: _Lifetimes, rows: int | None) -> None:
        self.lifetimes, self.rows = lifetimes, rows
        self.buffers: list[Buffer] = []
        self.slots: list[int] = []
        self.slot_of: dict[Node, int] = {}
        self.free: list[int] = []

    def assign(self, position: int, node: Node) -> int | None:
        """The buffer that ``node`` writes into; None if its result is an array of its own."""
        shape = fixed_shape(bind_rows(node.shape, self.rows))
        size = math.prod(shape) * node.dtype.itemsize
        ending = self.lifetimes.ending(position, node.operands)
        found = None
        if node.op.into is not None and node not in self.lifetimes.kept and size > _SMALL:
            slot = self._overwritten(node, ending)
            self.slot_of[node] = self._take(size) if slot is None else slot
            self.buffers.append(Buffer(self.slot_of[node], shape, node.dtype))
            found = len(self.buffers) - 1
        self.free.extend(
            self.slot_of[home]
            for home in ending
            if home in self.slot_of and self.slot_of[home] != self.slot_of.get(node)
        )
        return found

    def _overwritten(self, node: Node, ending: Sequence[Node]) -> int | None:
        """The slot of an operand that an elementwise node may write over."""
        if node.op.kind is not Kind.ELEMENTWISE:
            return None
        same = (
            x for x in node.operands if x in ending and x in self.slot_of and x.type == node.type
        )
        return next((self.slot_of[x] for x in same), None)

    def _take(self, size: int) -> int:
        """The smallest free slot that is large enough, or a new one."""
        fitting = [slot for slot in self.free if self.slots[slot] >= size]
        if not fitting:
            self.slots.append(size)
            return len(self.slots) - 1
        best = min(fitting, key=self.slots.__getitem__)
        self.free.remove(best)
        return best


def make_plan(graph: Graph, rows: int | None) -> Plan:
    """The plan of ``graph`` for a number of rows.

    Raises
    ------
    MissingInputError
        For a placeholder or variable that is not among the graph's inputs.
    """
    order = graph.nodes
    inputs = dict.fromkeys(graph.inputs)
    places = {node: place for place, node in enumerate(dict.fromkeys([*inputs, *order]))}
    inner = [node for node in order if node not in inputs]
    steps = [node for node in inner if node.op.kind is not Kind.LEAF]
    values: list[Any] = [None] * len(places)
    for node in inner:
        if node.op.kind is Kind.LEAF:
            values[places[node]] = _leaf_value(node, rows)
    lifetimes = _Lifetimes(graph, steps)
    allocator = _Allocator(lifetimes, rows)
    code = [
        _instruction(position, node, places, lifetimes, allocator)
        for position, node in enumerate(steps)
    ]
    starts, ends = (
        tuple([places[node] for node in nodes]) for nodes in (graph.inputs, graph.outputs)
    )
    return Plan(tuple(code), values, allocator.buffers, allocator.slots, starts, ends)


def _instruction(
    position: int, node: Node, places: dict[Node, int], lifetimes: _Lifetimes, allocator: _Allocator
) -> Instruction:
    buffer = allocator.assign(position, node)
    function = node.op.numpy if buffer is None or node.op.into is None else node.op.into
    attributes = {name: bind_rows(value, allocator.rows) for name, value in node.attributes.items()}
    ending = [
        x
        for x in lifetimes.ending(position, node.operands)
        if x in places and x.op.kind is not Kind.LEAF
    ]
    return Instruction(
        partial(function, **attributes) if attributes else function,
        tuple([places[operand] for operand in node.operands]),
        places[node],
        buffer,
        tuple([places[home] for home in ending if home not in allocator.slot_of]),
        node,
    )


def _leaf_value(node: Node, rows: int | None) -> Array:
    if is_free(node):
        raise MissingInputError(
            f"{node!r} built at {node.site} has no value; give it one with feed={{node: array}}"
        )
    return node.payload if node.payload is not None else np.asarray(bind_rows(ROWS, rows), INT64)


class ReferenceEngine:
    """NumPy, node by node; BLAS is held to one thread, so that equal seeds give equal bits."""

    name = "reference"

    def __init__(self) -> None:
        self._plans: BoundedCache[Any, tuple[Graph, Plan]] = BoundedCache(CACHED_PLANS)

    def plan(self, graph: Graph, rows: int | None = None) -> Plan:
        """The plan of ``graph`` for a number of rows, made once."""
        # the graph is stored with its plan: its key is unique only while it is alive
        return self._plans.get((graph.key, rows), lambda: (graph, make_plan(graph, rows)))[1]

    def compile(self, graph: Graph) -> Executable:
        """A function from the graph's input values to its output values."""
        types = [node.type for node in graph.inputs]

        def run(arrays: Sequence[Array]) -> list[Array]:
            plan = self.plan(graph, rows_of(types, arrays))
            with np.errstate(all="ignore"), one_blas_thread():
                return [np.asarray(value) for value in plan(arrays)]

        return run

    def run(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        *,
        seed: int,
        epochs: range,
    ) -> Outcome:
        """Iterate a program over whole epochs."""
        bounds = program.bounds(len(rows[0]))
        records = []
        state = list(carried)
        with np.errstate(all="ignore"), one_blas_thread():
            for epoch in epochs:
                keys = step_keys(seed, epoch, len(bounds))
                order = row_order(program, seed, epoch, len(rows[0]))
                for (low, high), key in zip(bounds, keys, strict=True):
                    batch = [
                        array[low:high] if order is None else array[order[low:high]]
                        for array in rows
                    ]
                    values = self.plan(program.step, high - low)([*state, *batch, key])
                    records.append(values[program.carried :])
                    if not np.isfinite(values[program.carried]).any():
                        return Outcome(state, stack_records(records, len(bounds)), finite=False)
                    state = values[: program.carried]
        return Outcome([np.asarray(value) for value in state], stack_records(records, len(bounds)))


def step_keys(seed: int, epoch: int, steps: int) -> Array:
    """The random key of each step of an epoch: (steps, 2) uint32."""
    epoch_key = random.fold_in(random.key(seed), epoch)
    keys: Array = random.fold_in(np.tile(epoch_key, (steps, 1)), np.arange(1, steps + 1))
    return keys


def row_order(program: Program, seed: int, epoch: int, rows: int) -> Array | None:
    """The order in which an epoch visits the rows; None for the order they are in."""
    key = random.fold_in(random.fold_in(random.key(seed), epoch), 0)
    order: Array
    if program.replacement:
        order = random.random_bits(key, (rows,), 64) % np.uint64(rows)
    elif program.shuffled:
        order = random.permutation(key, rows)
    else:
        return None
    return order.astype(np.int64)


def stack_records(records: Sequence[Sequence[Any]], steps: int) -> list[Array]:
    """For each record an array with axes (epochs, steps, ...); steps that did not run are NaN."""
    missing = -len(records) % steps
    columns = [np.asarray(column) for column in zip(*records, strict=True)]
    padded = [
        np.concatenate([c, np.full((missing, *c.shape[1:]), np.nan, c.dtype)]) for c in columns
    ]
    return [column.reshape(-1, steps, *column.shape[1:]) for column in padded]


@cache
def _threadpools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread, so that sums are split the same way everywhere."""
    limit: AbstractContextManager[Any] = _threadpools().limit(limits=1, user_api="blas")
    return limit
