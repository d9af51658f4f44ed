"""Plans: graphs as NumPy calls in order, with the memory that their results are written to.

A plan holds for one number of rows. Each instruction has the NumPy function that means its node,
the places it reads and, where its result is needed only inside the plan, a buffer. Buffers are
shared by results that do not live at the same time; an elementwise operation writes over an
operand that nobody reads afterwards.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import cached_property, partial
from itertools import accumulate, count
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from chainrule.engines.blas import SPLIT_FROM
from chainrule.errors import MissingInputError
from chainrule.graph.graph import Graph, is_free
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.records import dataclass
from chainrule.shapes import INT64, ROWS, Array, Dtype, bind_rows, fixed_shape

ALIGNMENT: Final = 64  # bytes: a line of the processor's cache
KEPT_WORKSPACE: Final = 2**20  # bytes; larger ones are freed after each call
KEPT_WORKSPACES: Final = 4  # of each plan; more exist only while more threads are inside

ARITHMETIC: Final[dict[str, Callable[..., Any]]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
}
"""The same to the bit as NumPy's functions; for two numbers 0.1 us, where those take 1 us."""


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


Call: TypeAlias = "tuple[Callable[..., Any], Callable[[list[Any]], Any], int, tuple[int, ...]]"
"""An instruction as it runs: the function, what picks its operands, its target, the released."""


@dataclass(frozen=True)
class Plan:
    """A graph prepared for one number of rows.

    Attributes
    ----------
    instructions : tuple of Instruction
    values : list
        The starting contents of all places: constants, and None.
    buffers : tuple of Buffer
    slots : tuple of int
        Sizes in bytes.
    inputs, outputs : tuple of int
        Places.
    homes : tuple of Node
        For each output the node in whose memory it lies: itself, what it is a view of, or a leaf.
    borrowed : tuple of int
        The outputs that share memory with an input, a constant, or an output before them.
    splits_products : bool
        Whether a product is large enough for BLAS to split it among threads.
    """

    instructions: tuple[Instruction, ...]
    values: list[Any]
    buffers: tuple[Buffer, ...]
    slots: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    homes: tuple[Node, ...]
    borrowed: tuple[int, ...]
    splits_products: bool
    idle: list[list[Array]] = field(default_factory=list)  # workspaces that no thread uses now

    def __str__(self) -> str:
        return "\n".join(map(self._line, self.instructions))

    def _line(self, step: Instruction) -> str:
        sources = ", ".join(f"%{place}" for place in step.sources)
        home = "" if step.buffer is None else f" in slot {self.buffers[step.buffer].slot}"
        return f"%{step.target} = {step.node.op.name}({sources}) : {step.node.type}{home}"

    @cached_property
    def calls(self) -> list[Call]:
        """The instructions as they run: buffers follow the values, and stand behind operands."""
        first = len(self.values)
        return [
            (
                function,
                _picking(sources if buffer is None else (*sources, first + buffer)),
                target,
                released,
            )
            for function, sources, target, buffer, released, _ in self.instructions
        ]

    def workspace(self) -> list[Array]:
        """Memory for all buffers, for one thread at a time."""
        ends = list(accumulate(map(_aligned, self.slots), initial=0))
        arena = np.empty(ends[-1] + ALIGNMENT, np.uint8)
        arena = arena[-arena.ctypes.data % ALIGNMENT :]
        return [
            arena[ends[slot] :][: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
            for slot, shape, dtype in self.buffers
        ]

    def execute(self, workspace: Sequence[Array], arrays: Iterable[Array]) -> list[Any]:
        """The values of the outputs, in arrays of their own but for the ``borrowed`` ones."""
        values = [*self.values, *workspace]
        for place, array in zip(self.inputs, arrays, strict=True):
            values[place] = array
        for function, operands, target, released in self.calls:
            values[target] = function(*operands(values))
            if released:
                for place in released:
                    values[place] = None
        return [values[place] for place in self.outputs]

    def __call__(self, arrays: Sequence[Array]) -> list[Any]:
        """As :meth:`execute`, with a workspace that is made, or kept from an earlier call."""
        try:
            workspace = self.idle.pop()  # one operation, so that no two threads get the same
        except IndexError:
            workspace = self.workspace()
        values = self.execute(workspace, arrays)
        if len(self.idle) < KEPT_WORKSPACES and sum(self.slots) <= KEPT_WORKSPACE:
            self.idle.append(workspace)
        return values


def _picking(places: tuple[int, ...]) -> Callable[[list[Any]], Any]:
    """What gives the values at ``places``: 0.1 us for two, a third of a list comprehension."""
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


def _aligned(size: int) -> int:
    """``size`` rounded up to whole lines of cache."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class _Lifetimes:
    """Which memory each node's value lies in, and the last instruction that reads it."""

    def __init__(self, graph: Graph, steps: Sequence[Node]) -> None:
        self.home: dict[Node, Node] = {}  # views lie in the memory of what they look at
        self.lodgers: dict[Node, list[Node]] = {}  # the nodes that lie in one memory
        self.last_use: dict[Node, int] = {}
        for position, node in enumerate(steps):
            home = self.home_of(node.operands[0]) if node.op.view else node
            self.home[node] = home
            self.lodgers.setdefault(home, []).append(node)
            self.last_use[home] = position
            for operand in node.operands:
                self.last_use[self.home.get(operand, operand)] = position
        self.kept = dict.fromkeys(self.home_of(node) for node in (*graph.inputs, *graph.outputs))

    def home_of(self, node: Node) -> Node:
        """The node whose memory holds the value of ``node``."""
        return self.home.get(node, node)

    def ending(self, position: int, node: Node) -> list[Node]:
        """The memories of results that nobody reads after ``node``, which is at ``position``."""
        last, kept, lodgers, found = self.last_use, self.kept, self.lodgers, []
        for operand in node.operands:
            x = self.home.get(operand, operand)
            if last[x] == position and x in lodgers and x not in kept and x not in found:
                found.append(x)
        return found


class _Allocator:
    """Gives results their buffers, in the order of the instructions."""

    def __init__(self, lifetimes: _Lifetimes) -> None:
        self.lifetimes = lifetimes
        self.buffers: dict[Buffer, int] = {}
        self.slots: list[int] = []
        self.slot_of: dict[Node, int] = {}
        self.free: list[tuple[int, int, int]] = []  # size, minus the time of becoming free, slot
        self.clock = count()

    def assign(self, node: Node, shape: tuple[int, ...], ending: Sequence[Node]) -> int | None:
        """The buffer that ``node`` writes into; None if its result is an array of its own."""
        found = None
        if shape and node.op.into is not None and node not in self.lifetimes.kept:
            slot = self._overwritten(node, ending)
            if slot is None:
                slot = self._take(math.prod(shape) * node.dtype.itemsize)
            self.slot_of[node] = slot
            found = self.buffers.setdefault(Buffer(slot, shape, node.dtype), len(self.buffers))
        for home in ending:
            slot = self.slot_of.get(home)
            if slot is not None and slot != self.slot_of.get(node):
                insort(self.free, (self.slots[slot], -next(self.clock), slot))
        return found

    def _overwritten(self, node: Node, ending: Sequence[Node]) -> int | None:
        """The slot of an operand that an elementwise node may write over."""
        if node.op.kind is not Kind.ELEMENTWISE:
            return None
        views = [self.lifetimes.home_of(x) for x in node.operands if x.op.view]
        for x in node.operands:
            if x in ending and x in self.slot_of and x.type == node.type and x not in views:
                return self.slot_of[x]
        return None

    def _take(self, size: int) -> int:
        """The smallest free slot that is large enough, else the largest, enlarged, or a new one."""
        if not self.free:
            self.slots.append(size)
            return len(self.slots) - 1
        place = bisect_left(self.free, (size,))
        _, _, slot = self.free.pop(min(place, len(self.free) - 1))
        self.slots[slot] = max(size, self.slots[slot])
        return slot


def make_plan(graph: Graph, rows: int | None) -> Plan:
    """The plan of ``graph`` for a number of rows.

    Raises
    ------
    MissingInputError
        For a placeholder or variable that is not among the graph's inputs.
    """
    order, inputs = graph.nodes, dict.fromkeys(graph.inputs)
    places = {node: place for place, node in enumerate(dict.fromkeys([*inputs, *order]))}
    values: list[Any] = [None] * len(places)
    steps = []
    for node in order:
        if node not in inputs and node.op.kind is Kind.LEAF:
            values[places[node]] = leaf_value(node, rows)
        elif node not in inputs:
            steps.append(node)
    _scalars_for_numbers(steps, places, values)
    computed, lifetimes = dict.fromkeys(steps), _Lifetimes(graph, steps)
    allocator = _Allocator(lifetimes)
    code = []
    for position, node in enumerate(steps):
        shape, ending = fixed_shape(bind_rows(node.shape, rows)), lifetimes.ending(position, node)
        buffer = allocator.assign(node, shape, ending)
        unbuffered = [home for home in ending if home not in allocator.slot_of]
        code.append(
            Instruction(
                _function(node, rows, buffered=buffer is not None),
                tuple([places[operand] for operand in node.operands]),
                places[node],
                buffer,
                tuple([places[each] for home in unbuffered for each in lifetimes.lodgers[home]])
                if unbuffered
                else (),
                node,
            )
        )
    homes = [lifetimes.home_of(node) for node in graph.outputs]
    return Plan(
        tuple(code),
        values,
        tuple(allocator.buffers),
        tuple(allocator.slots),
        tuple([places[node] for node in graph.inputs]),
        tuple([places[node] for node in graph.outputs]),
        tuple(homes),
        _copied(homes, computed),
        any(_multiply_adds(node, rows) >= SPLIT_FROM for node in steps),
    )


def _copied(homes: Sequence[Node], computed: Mapping[Node, None]) -> tuple[int, ...]:
    """The outputs that share their memory with another one before them, or with what is given."""
    first = {home: place for place, home in reversed(list(enumerate(homes)))}
    return tuple(i for i, home in enumerate(homes) if first[home] != i or home not in computed)


def _scalars_for_numbers(steps: Sequence[Node], places: dict[Node, int], values: list[Any]) -> None:
    """Make constants that only numbers are computed from NumPy scalars."""
    arrays = dict.fromkeys(x for node in steps if node.shape for x in node.operands)
    for number in (x for node in steps if not node.shape for x in node.operands):
        if number.payload is not None and number.shape == () and number not in arrays:
            values[places[number]] = number.payload[()]


def _function(node: Node, rows: int | None, *, buffered: bool) -> Callable[..., Any]:
    """What computes ``node``: its meaning in NumPy with the attributes bound."""
    if node.shape == () and node.op.name in ARITHMETIC:
        return ARITHMETIC[node.op.name]
    function = node.op.numpy
    if buffered and node.op.into is not None:
        function = node.op.into
    if node.op.kind is Kind.INDEXING:
        function = partial(_located, function, node)
    if not node.attributes:
        return function  # of most nodes
    return partial(function, **{k: bind_rows(v, rows) for k, v in node.attributes.items()})


def _located(function: Callable[..., Any], node: Node, *operands: Any, **settings: Any) -> Any:
    """``function(...)``, its error told with the place where ``node`` was built."""
    try:
        return function(*operands, **settings)
    except IndexError as reason:
        raise IndexError(f"{node.op.name} built at {node.site}: {reason}") from None


def _multiply_adds(node: Node, rows: int | None) -> int:
    """How many multiplications a product takes; 0 for other operations."""
    if node.op.kind is not Kind.CONTRACTION:
        return 0
    shape = node.operands[0].shape
    inner = shape[-2] if node.attributes["transpose_a"] else shape[-1]
    return math.prod(fixed_shape(bind_rows((*node.shape, inner), rows)))


def leaf_value(node: Node, rows: int | None) -> Array:
    """The value of a leaf that is no input: a constant, or the number of rows.

    Raises
    ------
    MissingInputError
        For a placeholder or variable.
    """
    if is_free(node):
        raise MissingInputError(
            f"{node!r} built at {node.site} has no value; give it one with feed={{node: array}}"
        )
    return node.payload if node.payload is not None else np.asarray(bind_rows(ROWS, rows), INT64)
