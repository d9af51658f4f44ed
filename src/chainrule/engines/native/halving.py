"""The units of a hidden layer in two halves, so that threads need not pass weights to each other.

Where threads divide a step by rows, each of them needs all weights, half of which the other one has
moved. Who has half of a layer's units has all that belongs to these, forth and back: the weights
that lead to them and from them, their gradient, the optimizer's moments. Threads then exchange what
the next layer sums over units, and its gradient ("tensor parallelism": Shoeybi et al. 2019,
"Megatron-LM", section 3).

So a step is built anew, with an axis of two in front of what has units and half of these behind it.
What is carried of one half lies together: of halves that lie row by row in each other processors
would fetch the other one's lines ahead, and take them from each other again and again. Sums over
units have another order, the same one for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from chainrule import ops
from chainrule.engines.base import Program
from chainrule.engines.native.target import Target
from chainrule.graph.cost import operations
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, intern
from chainrule.graph.op import Kind
from chainrule.shapes import ROWS, Shape, fixed_shape

HALVES: Final = 2
FEWEST_ROWS = 8
# Of a step, in operations: where there are fewer, waiting takes what is won; of one with more,
# products are divided as it suits each of them.
LEAST, MOST = 3_000_000, 100_000_000


class Halved(NamedTuple):
    """A step with the units of a layer in halves.

    Attributes
    ----------
    step : Graph
    axes : tuple of (int or None)
        For each carried value the axis of the units; None where it has none.
    """

    step: Graph
    axes: tuple[int | None, ...]


def halved(program: Program, target: Target) -> Halved | None:
    """The program's step with the units of its first hidden layer in halves.

    None if there is no such layer, or if the step would be no faster.
    """
    carried = dict.fromkeys(program.step.inputs[: program.carried])
    layers = [node.operands[1] for node in program.step.nodes if _is_layer(node, carried)]
    if program.single is not None or len(layers) < 2:
        return None
    first, second, *_ = layers
    (features, units), (inner, following) = fixed_shape(first.shape), fixed_shape(second.shape)
    even = inner == units and units % (HALVES * target.lanes(first.dtype)) == 0
    exchanged = program.batch * (features + 2 * following)  # rows, sums, and the slope of these
    fewer = exchanged <= units * (features + following)
    return in_halves(program, first) if even and fewer and _pays(program) else None


def _pays(program: Program) -> bool:
    """Whether a step is neither too short nor too long."""
    rows = program.batch
    return rows >= FEWEST_ROWS and LEAST <= operations(program.step, rows) <= MOST


def _is_layer(node: Node, carried: Mapping[Node, None]) -> bool:
    """Whether it is the product of a batch, or of what follows from it, with carried weights."""
    if node.op.name != "matmul" or node.shape[:1] != (ROWS,) or any(node.attributes.values()):
        return False
    return node.ndim == 2 and node.operands[1] in carried


def in_halves(program: Program, weights: Node) -> Halved:
    """The step with those units in halves to which ``weights``, a carried matrix, lead.

    Whatever carried value would come to lie in halves does so from the start.
    """
    step, count = program.step, program.carried
    axes: dict[Node, int] = {}
    found = {weights: 1}
    while found:
        axes |= found
        values = _values(step, axes)
        pairs = list(zip(step.inputs, (values[x] for x in step.outputs[:count]), strict=False))
        found = {x: y.axis for x, y in pairs if y.axis is not None and x not in axes}
    carried = [y.along(axes[x]) if x in axes else y.whole for x, y in pairs]
    records = [values[x].whole for x in step.outputs[count:]]
    inputs = tuple(values[x].node for x in step.inputs)
    return Halved(Graph(inputs, (*carried, *records)), tuple(map(axes.get, step.inputs[:count])))


# Values


class Value(NamedTuple):
    """A node of the new step, and which axis of the old one's is in halves; None if none is."""

    node: Node
    axis: int | None = None

    @property
    def whole(self) -> Node:
        """The value as it was."""
        return self.node if self.axis is None else joined(self.node, self.axis)

    def along(self, axis: int) -> Node:
        """The value in halves along an axis."""
        return self.node if self.axis == axis else apart(self.whole, axis)


def apart(x: Any, axis: int) -> Any:
    """A node, or an array, with an axis of two in front and half of another one behind it."""
    shape = *x.shape[:axis], HALVES, x.shape[axis] // HALVES, *x.shape[axis + 1 :]
    return ops.permute_dims(ops.reshape(x, shape), _moved(len(shape), axis, 0))


def joined(x: Any, axis: int) -> Any:
    """What `apart` was given."""
    shape = *x.shape[1 : axis + 1], HALVES * x.shape[axis + 1], *x.shape[axis + 2 :]
    return ops.reshape(ops.permute_dims(x, _moved(x.ndim, 0, axis)), shape)


def _moved(rank: int, source: int, target: int) -> list[int]:
    """The axes, one of them moved elsewhere."""
    axes = [axis for axis in range(rank) if axis != source]
    axes.insert(target, source)
    return axes


def _of_half(shape: Shape, axis: int) -> Shape:
    """The shape of both halves."""
    extent = shape[axis]
    assert isinstance(extent, int)
    return (HALVES, *shape[:axis], extent // HALVES, *shape[axis + 1 :])


def _values(step: Graph, axes: Mapping[Node, int]) -> dict[Node, Value]:
    """What becomes of each node if some inputs are in halves."""
    values = {x: Value(x) for x in step.inputs}
    for x, axis in axes.items():
        values[x] = Value(ops.input(_of_half(x.shape, axis), x.dtype), axis)
    for node in step.nodes:
        if node not in values:
            values[node] = _rebuilt(node, [values[x] for x in node.operands])
    return values


def _rebuilt(node: Node, operands: Sequence[Value]) -> Value:
    """The same of what its operands have become; whole where there is no rule."""
    found = None
    if any(x.axis is not None for x in operands):
        rule = RULES.get(node.op.name) or RULES.get(node.op.kind)
        found = rule(node, operands) if rule else None
    return found or Value(_again(node, [x.whole for x in operands]))


def _again(node: Node, operands: Sequence[Node], **changed: Any) -> Node:
    if not changed and tuple(operands) == node.operands:
        return node
    return intern(node.op, tuple(operands), {**node.attributes, **changed})


# Rules


def _elementwise(node: Node, operands: Sequence[Value]) -> Value | None:
    """Along the same axis of all operands."""
    ranks = [x.node.ndim - (x.axis is not None) for x in operands]
    pairs = zip(operands, ranks, strict=True)
    axes = {x.axis + node.ndim - rank for x, rank in pairs if x.axis is not None}
    if len(axes) > 1:
        return None
    (axis,) = axes
    return Value(_again(node, [_aligned(x, axis, node.ndim) for x in operands]), axis)


def _aligned(x: Value, axis: int, rank: int) -> Node:
    """An operand whose axes, behind that of the halves, are the last of so many."""
    own = axis - rank + x.node.ndim - (x.axis is not None)
    if x.axis is None and (own < 0 or x.node.shape[own] == 1):
        return x.node
    mine = x.along(own)
    ones = (1,) * (rank + 1 - mine.ndim)
    result: Node = ops.reshape(mine, (HALVES, *ones, *mine.shape[1:]))
    return result


def _product(node: Node, operands: Sequence[Value]) -> Value | None:
    """Rows or columns in halves stay apart; sums over units are added up."""
    if any(len(x.shape) != 2 for x in node.operands):
        return None
    a, b = operands
    inner = int(not node.attributes["transpose_a"]), int(node.attributes["transpose_b"])
    if a.axis == inner[0] or b.axis == inner[1]:
        parts = _again(node, [a.along(inner[0]), b.along(inner[1])])
        return Value(ops.sum(parts, axis=0))
    if a.axis is not None and b.axis is not None:
        return None
    return Value(_again(node, [a.node, b.node]), 0 if b.axis is None else 1)


def _sum(node: Node, operands: Sequence[Value]) -> Value | None:
    """Over each half; over both if units are summed up."""
    (x,), axes = operands, node.attributes["axes"]
    assert x.axis is not None
    sums = _again(node, [x.node], axes=tuple(axis + 1 for axis in axes))
    if x.axis in axes:
        return Value(ops.sum(sums, axis=0))
    gone = 0 if node.attributes["keepdims"] else sum(axis < x.axis for axis in axes)
    return Value(sums, x.axis - gone)


def _reshape(node: Node, operands: Sequence[Value]) -> Value | None:
    """Where axes of size 1 come and go."""
    (x,), (before,) = operands, node.operands
    old, new = ([i for i, e in enumerate(y.shape) if e != 1] for y in (before, node))
    if [before.shape[i] for i in old] != [node.shape[i] for i in new]:
        return None
    assert x.axis is not None
    axis = new[old.index(x.axis)]
    return Value(ops.reshape(x.node, _of_half(node.shape, axis)), axis)


Rule: TypeAlias = Callable[[Node, Sequence[Value]], "Value | None"]
RULES: Final[Mapping[Any, Rule]] = {
    Kind.ELEMENTWISE: _elementwise,
    "matmul": _product,
    "sum": _sum,
    "reshape": _reshape,
}
"""By the name of an operation, or by its class."""
