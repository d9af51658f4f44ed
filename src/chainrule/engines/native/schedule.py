"""From a graph to groups: what is computed together, in which order.

First ``legalize`` writes operations without a lowering of their own as operations that have one.
Then every node goes into a group. A loop group visits an index space once and computes all its
nodes for each index; a product group computes a matrix product and treats the result, while it is
still in registers, with the elementwise nodes that follow; a routine group is one operation with
a routine of its own. Groups run in order; a node joins the first group in which all it needs is
at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum, auto
from typing import Any, NamedTuple

import numpy as np

from chainrule import ops
from chainrule.engines.native.access import Access, view
from chainrule.engines.native.interleaving import BITS, PRODUCT
from chainrule.engines.native.mathematics import FUNCTIONS
from chainrule.engines.native.partial import PARTIAL
from chainrule.engines.native.sizes import is_contiguous
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, intern
from chainrule.graph.op import Kind
from chainrule.graph.walk import rebuild
from chainrule.records import dataclass
from chainrule.shapes import INT64, ROWS, Extent, Shape

VIEWS = ("reshape", "permute_dims", "broadcast_to", "slice", "flip")
ROUTINES = (
    "take", "scatter_add", "concat", "pad", "cumulative_sum", "argsort", "random_bits", "fold_in",
    "argmax", "argmin", BITS.name,
)  # fmt: skip


EPILOGUE_COLUMNS = 8  # products too narrow to fill a vector leave the rest to loops over whole ones
LONG_EPILOGUE_COLUMNS = 16  # and these do so where the rest is long
INLINE_NODES = 6  # from here on it is


class GroupKind(StrEnum):
    """What a group is."""

    LOOP = auto()
    PRODUCT = auto()
    ROUTINE = auto()


@dataclass()
class Group:
    """Nodes that are computed together.

    Attributes
    ----------
    kind : GroupKind
    space : tuple
        The index space: the shape of every node but the reductions.
    nodes : list of Node
        In the order of computation.
    axes : tuple of int or None
        What the group's reductions reduce; None if it has none.
    """

    kind: GroupKind
    space: Shape
    nodes: list[Node] = field(default_factory=list)
    axes: tuple[int, ...] | None = None

    def __str__(self) -> str:
        listed = ", ".join(node.op.name for node in self.nodes)
        return f"{self.kind} {list(self.space)}: {listed}"


class Labels(NamedTuple):
    """Labels that must lie below a number of classes."""

    node: Node
    classes: int


def legalize(graph: Graph) -> tuple[Graph, list[Labels]]:
    """The graph in operations that have a lowering, with copies where no view can stand.

    Routines and products read contiguous arrays; outputs are arrays of their own.

    Returns
    -------
    graph : Graph
    labels : list of Labels
        What a function must check beside computing its outputs.
    """
    checks: list[Labels] = []
    done: dict[Node, Node] = dict(zip(graph.inputs, graph.inputs, strict=True))
    layouts = _Layouts(graph)
    for node in graph.nodes:
        if node not in done:
            operands = [done[operand] for operand in node.operands]
            if node.op.name == "one_hot":
                checks.append(Labels(operands[0], node.attributes["classes"]))
            done[node] = _legal(node, operands, layouts)
    own: dict[Node, bool] = {}
    for output in graph.outputs:
        found = done[output]
        while layouts.borrowed(found) or found in own:
            found = copied(found)
        own[found] = True
    return Graph(graph.inputs, tuple(own)), checks


def _legal(node: Node, operands: list[Node], layouts: _Layouts) -> Node:
    """One node on legal operands, in operations that have a lowering."""
    if node.op.name in DECOMPOSITIONS:
        found: Node = DECOMPOSITIONS[node.op.name](*operands, **node.attributes)
        return found
    if node.op.name == "matmul":
        return _legal_product(node, operands, layouts)
    if node.op.name in ROUTINES:
        operands = layouts.in_order(operands)
    if node.op.name == "reshape" and view(node, layouts(operands[0])) is None:
        operands = [copied(operands[0])]
    return rebuild(node, tuple(operands))


def _legal_product(node: Node, operands: list[Node], layouts: _Layouts) -> Node:
    """A product whose columns are so many as are known: if not, its transpose is computed."""
    if node.shape[-1] == ROWS:
        flags = {"transpose_a": "transpose_b", "transpose_b": "transpose_a"}
        turned = {name: not node.attributes[other] for name, other in flags.items()}
        following = intern(node.op, (*operands[::-1],), turned, note=node)
        found: Node = ops.matrix_transpose(_legal_product(following, operands[::-1], layouts))
        return found
    thin = _thin_product(node, operands, layouts)
    return rebuild(node, tuple(layouts.in_order(operands))) if thin is None else thin


def copied(x: Node) -> Node:
    """The same elements in an array of their own."""
    return intern(ops.stop_gradient.op, (x,), {})


class _Layouts:
    """How the elements of nodes will lie, if what is computed lies contiguous."""

    def __init__(self, graph: Graph) -> None:
        self.inputs = dict.fromkeys(graph.inputs)
        self.known: dict[Node, Access] = {}

    def __call__(self, node: Node) -> Access:
        """The layout; its address means nothing."""
        chain = [node]
        while (
            chain[-1].op.name in VIEWS
            and chain[-1] not in self.inputs
            and chain[-1] not in self.known
        ):
            chain.append(chain[-1].operands[0])
        for each in reversed(chain):
            if each not in self.known:
                is_view = each.op.name in VIEWS and each not in self.inputs
                found = view(each, self.known[each.operands[0]]) if is_view else None
                self.known[each] = found or Access.contiguous("", each)
        return self.known[node]

    def contiguous(self, node: Node) -> bool:
        """Whether the elements lie one after the other, at the start of their array."""
        layout = self(node)
        return is_contiguous(layout.shape, layout.strides) and not layout.offset

    def in_order(self, nodes: Sequence[Node]) -> list[Node]:
        """The same elements, contiguous: copies where they are not."""
        return [x if self.contiguous(x) else copied(x) for x in nodes]

    def borrowed(self, node: Node) -> bool:
        """Whether the elements are in memory that is not the node's own."""
        return node in self.inputs or node.op.kind is Kind.LEAF or node.op.name in VIEWS


def _softmax(x: Node, axis: int) -> Any:
    raised = ops.exp(x - ops.max(x, axis=axis, keepdims=True))
    return raised / ops.sum(raised, axis=axis, keepdims=True)


def _logsumexp(x: Node, axes: tuple[int, ...], keepdims: bool) -> Any:
    top = ops.max(x, axis=axes, keepdims=True)
    shift = ops.where(ops.isfinite(top), top, 0)
    total = ops.log(ops.sum(ops.exp(x - shift), axis=axes, keepdims=True)) + shift
    return total if keepdims else ops.squeeze(total, axes)


def _one_hot(labels: Node, classes: int, dtype: Any) -> Any:
    numbers = ops.constant(np.arange(classes))
    return ops.astype(
        ops.equal(ops.expand_dims(ops.astype(labels, INT64), labels.ndim), numbers), dtype
    )


def _thin_product(node: Node, operands: list[Node], layouts: _Layouts) -> Node | None:
    """A product that would not fill a vector, one column wide or deep, in elements."""
    a, b = operands
    transpose_a, transpose_b = (node.attributes[name] for name in ("transpose_a", "transpose_b"))
    inner = a.shape[-2] if transpose_a else a.shape[-1]
    if inner != 1 and node.shape[-1] != 1:
        return None
    column = ops.matrix_transpose(b) if transpose_b else b
    found: Node
    if inner == 1:
        found = (ops.matrix_transpose(a) if transpose_a else a) * column
    elif transpose_a and a.ndim == 2 and _fills_a_vector(a.shape[-1]):
        line, matrix = layouts.in_order([ops.matrix_transpose(column), a])
        found = ops.matrix_transpose(line @ matrix)  # full vectors, and nothing stored
    elif transpose_a:
        found = ops.expand_dims(ops.sum(a * column, axis=-2), a.ndim - 1)
    else:
        found = ops.sum(a * ops.matrix_transpose(column), axis=-1, keepdims=True)
    return found if found.type == node.type else None


DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    "softmax": _softmax,
    "logsumexp": _logsumexp,
    "one_hot": _one_hot,
}


class Scheduler:
    """Forms the groups of one graph.

    Parameters
    ----------
    graph : Graph
    first : sequence of Node
        Outputs that are to be known as early as can be.
    """

    def __init__(self, graph: Graph, first: Sequence[Node] = ()) -> None:
        self.graph = graph
        outputs = tuple(dict.fromkeys((*first, *graph.outputs)))
        self.order = Graph(graph.inputs, outputs).nodes
        self.inputs, self.results = dict.fromkeys(graph.inputs), dict.fromkeys(graph.outputs)
        self.groups: list[Group] = []
        self.place: dict[Node, int] = {}
        self.users: dict[Node, list[Node]] = {node: [] for node in self.order}
        for node in self.order:
            for operand in node.operands:
                self.users[operand].append(node)

    def run(self) -> list[Group]:
        """The groups, in order."""
        for node in self.order:
            if node in self.inputs or node.op.kind is Kind.LEAF or node.op.name in VIEWS:
                continue
            if node.op is PARTIAL:
                self.place[node] = self.place[node.operands[0]]
                self.groups[self.place[node]].nodes.append(node)
            elif node.op.name in ROUTINES:
                self._open(GroupKind.ROUTINE, node, node.shape)
            elif node.op.kind is Kind.CONTRACTION:
                self._open(GroupKind.PRODUCT, node, node.shape)
            elif node.op.kind is Kind.REDUCTION:
                self._place_reduction(node)
            else:
                self._place_elementwise(node)
        self.groups = [part for group in self.groups for part in _parted(group)]
        return self._sunk()

    def _sunk(self) -> list[Group]:
        """The groups; what is computed from inputs and numbers alone moves to its first reader."""
        where = {node: index for index, group in enumerate(self.groups) for node in group.nodes}
        readers: dict[Node, list[Node]] = {}
        for node in where:
            for home in dict.fromkeys(map(self.home, node.operands)):
                readers.setdefault(home, []).append(node)
        moved: list[list[Node]] = [[] for _ in self.groups]
        for group in reversed(self.groups):
            for node in reversed(self._light(group)):
                index = self._first_reader(node, readers.get(node, ()), where)
                if index is not None:
                    moved[index].append(node)
                    where[node] = index
        for index, (group, new) in enumerate(zip(self.groups, moved, strict=True)):
            left = [node for node in group.nodes if where[node] == index]
            start = 1 if group.kind is GroupKind.PRODUCT else 0
            group.nodes[:] = [*left[:start], *reversed(new), *left[start:]]
        return [group for group in self.groups if group.nodes]

    def _light(self, group: Group) -> list[Node]:
        """The nodes of a loop that need no array that another group has computed."""
        found: dict[Node, bool] = {}
        for node in group.nodes if group.kind is GroupKind.LOOP else ():
            computed = [x for x in map(self.home, node.operands) if x in self.place and x.ndim]
            if node.op.kind is not Kind.REDUCTION and all(x in found for x in computed):
                found[node] = True
        return list(found)

    def _first_reader(
        self, node: Node, readers: Sequence[Node], where: Mapping[Node, int]
    ) -> int | None:
        """The first group that reads a node, if it is another one and can compute it itself.

        A product's operands must be there before it: what follows it is computed from its results.
        """
        first = min([where[reader] for reader in readers], default=where[node])
        group = self.groups[first]
        there = [reader for reader in readers if where[reader] == first]
        read = [x for reader in there for x in reader.operands if self.home(x) is node]
        fits = first != where[node] and group.space == self.groups[where[node]].space
        operand = group.kind is GroupKind.PRODUCT and group.nodes[0] in there
        direct = all(x is node for x in read)
        return first if fits and direct and not operand and _takes_more(group) else None

    def _open(self, kind: GroupKind, node: Node, space: Shape) -> Group:
        group = Group(kind, space, [node])
        self.groups.append(group)
        self.place[node] = len(self.groups) - 1
        return group

    def home(self, node: Node) -> Node:
        """What a view looks at."""
        while node.op.name in VIEWS and node not in self.inputs:
            node = node.operands[0]
        return node

    def _ready(self, operand: Node) -> int:
        """The first group in which an operand can be loaded."""
        return self.place.get(self.home(operand), -1) + 1

    def _in_registers(self, operand: Node, index: int) -> bool:
        group = self.groups[index]
        computed = self.place.get(operand) == index and operand.shape == group.space
        return computed and operand.op.kind is not Kind.REDUCTION

    def _fits(self, node: Node, index: int) -> bool:
        return all(
            self._in_registers(operand, index) or self._ready(operand) <= index
            for operand in node.operands
        )

    def _place_elementwise(self, node: Node) -> None:
        """Put a node into the first group that has all it needs."""
        for index, group in enumerate(self.groups):
            if (
                group.kind is GroupKind.ROUTINE
                or group.space != node.shape
                or not self._fits(node, index)
            ):
                continue
            chained = any(self._in_registers(operand, index) for operand in node.operands)
            if group.kind is GroupKind.LOOP and _reduces_leading(group):
                continue
            if group.kind is GroupKind.LOOP or (chained and not _is_narrow(group)):
                group.nodes.append(node)
                self.place[node] = index
                return
        self._open(GroupKind.LOOP, node, node.shape)

    def _place_reduction(self, node: Node) -> None:
        (x,) = node.operands
        axes = node.attributes["axes"]
        index = self.place.get(x)
        if index is not None and self._sums_product(node, index):
            self.groups[index].nodes.append(node)
            self.place[node] = index
            return
        if index is not None and self._may_reduce(x, index, axes):
            self.groups[index].nodes.append(node)
            self.groups[index].axes = axes
            self.place[node] = index
            return
        group = self._open(GroupKind.LOOP, node, x.shape)
        group.axes = axes
        if index is not None and x.ndim - 1 in axes and self._is_summed_only(x, index):
            self.groups[index].nodes.remove(x)
            group.nodes.insert(0, x)
            self.place[x] = self.place[node]

    def _is_summed_only(self, x: Node, index: int) -> bool:
        """Whether what a product's epilogue computes would be stored for one sum alone.

        What it is computed from is in memory anyway: something else reads it from there.
        """
        group = self.groups[index]
        if group.kind is not GroupKind.PRODUCT or x is group.nodes[0] or len(self.users[x]) > 1:
            return False
        inside = [operand for operand in x.operands if self._in_registers(operand, index)]
        return x not in self.results and all(
            any(self._reads_memory(user) for user in self.users[operand]) for operand in inside
        )

    def _reads_memory(self, user: Node) -> bool:
        """Whether a node, wherever it will be computed, reads its operands from memory."""
        if user.op.kind is Kind.CONTRACTION or user.op.name in (*VIEWS, *ROUTINES):
            return True
        homes = [self.home(operand) for operand in user.operands]
        return any(
            home not in self.place and home not in self.inputs and home.op.kind is not Kind.LEAF
            for home in homes
        )

    def _sums_product(self, node: Node, index: int) -> bool:
        """Whether a sum of all that a product's epilogue computes is taken there, row by row."""
        group, (x,) = self.groups[index], node.operands
        whole = node.op.name == "sum" and node.attributes["axes"] == (0, 1) and x.ndim == 2
        fits = group.kind is GroupKind.PRODUCT and self._in_registers(x, index)
        return fits and whole and node not in self.results and _sums_rows(group)

    def _may_reduce(self, x: Node, index: int, axes: tuple[int, ...]) -> bool:
        group = self.groups[index]
        last = x.ndim - 1 in axes
        return (
            group.kind is GroupKind.LOOP
            and self._in_registers(x, index)
            and group.axes in (None, axes)
            and (last or not axes)
        )


def _sums_rows(group: Group) -> bool:
    """Whether a product has wide rows of real numbers, as many as are known."""
    rows, columns = group.space[-2:]
    wide = isinstance(columns, int) and columns >= LONG_EPILOGUE_COLUMNS
    return wide and isinstance(rows, int) and group.nodes[0].dtype.kind == "f"


def _parted(group: Group) -> list[Group]:
    """A narrow product with a long epilogue as the product and a loop over whole vectors."""
    product, *rest = group.nodes
    if group.kind is not GroupKind.PRODUCT or not _is_apart(product, rest):
        return [group]
    return [
        Group(GroupKind.PRODUCT, group.space, [product]),
        Group(GroupKind.LOOP, group.space, rest),
    ]


def _is_apart(product: Node, rest: Sequence[Node]) -> bool:
    """Whether what follows a product is better done by loops than at its results."""
    if product.op is PRODUCT:
        return is_long(rest)
    columns = product.shape[-1]
    narrow = isinstance(columns, int) and columns < LONG_EPILOGUE_COLUMNS
    return narrow and len(rest) > INLINE_NODES


def row_sums(group: Group) -> list[Node]:
    """The sums over all of a product that its epilogue takes."""
    return [node for node in group.nodes if node.op.kind is Kind.REDUCTION]


def is_long(nodes: Sequence[Node]) -> bool:
    """Whether the code of an epilogue is so long that it should stand once."""
    return len(nodes) > INLINE_NODES or any(node.op.name in FUNCTIONS for node in nodes)


def _takes_more(group: Group) -> bool:
    """Whether what only this group reads may be computed in it."""
    wide = group.kind is GroupKind.PRODUCT and not _is_narrow(group) and len(group.nodes) > 1
    return wide or group.kind is GroupKind.LOOP


def _is_narrow(group: Group) -> bool:
    return not _fills_a_vector(group.space[-1])


def _fills_a_vector(columns: Extent) -> bool:
    """Whether a row is known to be long enough for vectors."""
    return isinstance(columns, int) and columns >= EPILOGUE_COLUMNS


def _reduces_leading(group: Group) -> bool:
    return group.axes is not None and len(group.space) - 1 not in group.axes


def stored_nodes(graph: Graph, groups: Sequence[Group], home: Any) -> dict[Node, bool]:
    """The nodes whose values go to memory: read by another group, through a view, or as output."""
    place = {node: index for index, group in enumerate(groups) for node in group.nodes}
    stored: dict[Node, bool] = {}
    for index, group in enumerate(groups):
        for node in group.nodes:
            for operand in node.operands:
                base = home(operand)
                same = (
                    operand is base
                    and place.get(base) == index
                    and base.op.kind is not Kind.REDUCTION
                )
                if base in place and not same:
                    stored[base] = True
    for output in graph.outputs:
        if home(output) in place:
            stored[home(output)] = True
    return stored
