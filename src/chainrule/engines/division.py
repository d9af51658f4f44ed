"""Along which axis devices divide each matrix of a network that is too wide for one of them.

Two layers in a row need one message: the first matrix is divided by columns, so that each device
has some of the units between them, and the second by rows, so that each adds what its units
contribute (Shoeybi et al. 2019, "Megatron-LM: Training multi-billion parameter language models
using model parallelism", section 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.shapes import ROWS, fixed_shape

FEWER: Final = 8  # times fewer outputs than inputs are not worth a message
ROW, COLUMN = -2, -1


def divided_axes(step: Graph, carried: int) -> list[int | None]:
    """The axis of each carried value, counted from the end; None for what stays whole.

    Parameters
    ----------
    step : Graph
        Whose first ``carried`` outputs are the first inputs of the next step.
    carried : int

    Returns
    -------
    list of int or None
        The same for a matrix and all that is added to it or kept for it: moments of an optimizer.
    """
    alike = _alike(step, carried)
    inputs = step.inputs[:carried]
    ways = _ways(step, alike, {alike[node] for node in inputs})
    return [ways.get(alike[x], COLUMN if len(x.shape) > 1 else None) for x in inputs]


def _alike(step: Graph, carried: int) -> dict[Node, Node]:
    """For each node one that stands for all that it meets element by element, step after step."""
    found = {node: node for node in [*step.inputs, *step.nodes]}

    def first(node: Node) -> Node:
        while found[node] is not node:
            node = found[node]
        return node

    pairs = list(zip(step.inputs[:carried], step.outputs[:carried], strict=True))
    for node in step.nodes:
        if node.op.kind is Kind.ELEMENTWISE and ROWS not in node.shape:
            pairs += [(node, operand) for operand in node.operands if operand.shape == node.shape]
    for one, other in pairs:
        found[first(one)] = first(other)
    return {node: first(node) for node in found}


def _ways(step: Graph, alike: Mapping[Node, Node], carried: Set[Node]) -> dict[Node, int | None]:
    """How matrices are divided: by columns, and by rows where the units before them are divided.

    Vectors that belong to such units, as biases do, are divided as they are.
    """
    ways: dict[Node, int | None] = {}
    divided: dict[Node, Node] = {}  # values of units, and the matrix that they come from
    vectors: dict[Node, Node] = {}
    alone: dict[Node, None] = {}  # matrices by columns, until one by rows follows
    for node in step.nodes:
        if node.op.kind is Kind.ELEMENTWISE:
            before = [divided[x] for x in node.operands if x in divided and x.shape == node.shape]
            if before:
                divided[node] = before[0]
                shared = [alike[x] for x in node.operands if len(x.shape) == 1]
                vectors |= dict.fromkeys([x for x in shared if x in carried], before[0])
        elif node.op.name == "matmul" and not node.attributes["transpose_b"]:
            units, matrix = node.operands[0], alike[node.operands[1]]
            if matrix not in carried or matrix in ways:
                continue
            if units in divided:
                ways[matrix] = ROW
                alone.pop(divided[units], None)
            else:
                ways[matrix] = COLUMN
                divided[node], alone[matrix] = matrix, None
    ways |= dict.fromkeys([x for x in alone if _length(x, COLUMN) * FEWER <= _length(x, ROW)])
    return ways | {vector: ways[matrix] for vector, matrix in vectors.items()}


def _length(matrix: Node, axis: int) -> int:
    return fixed_shape(matrix.shape)[axis]
