"""What a graph costs: the scalar operations that evaluating it takes."""

from __future__ import annotations

import math
from collections.abc import Callable

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.shapes import bind_rows, fixed_shape


def operations(graph: Graph, rows: int | None = None) -> int:
    """How many scalar operations one evaluation of ``graph`` executes.

    A product of an (m, k) and a (k, n) matrix counts 2 m k n; an elementwise operation, a scan
    and random bits count the size of their result; a reduction that of its operand; an indexing
    operation the elements that it moves; movements and leaves nothing.

    Parameters
    ----------
    graph : Graph
    rows : int, optional
        What ROWS stands for, if it occurs.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.graph.graph import close
    >>> a, b = ops.input((2, 3)), ops.input((3, 5))
    >>> operations(close([ops.sum(a @ b)]))  # 2 * 2 * 3 * 5 + 10
    70
    """
    return sum(node_operations(node, rows) for node in graph.nodes)


def node_operations(node: Node, rows: int | None = None) -> int:
    """What one node adds to `operations`."""
    return _COSTS[node.op.kind](node, rows)


def _size(node: Node, rows: int | None) -> int:
    return math.prod(fixed_shape(bind_rows(node.shape, rows)))


def _operand_size(node: Node, rows: int | None) -> int:
    return _size(node.operands[0], rows)


def _nothing(node: Node, rows: int | None) -> int:
    return 0


def _product(node: Node, rows: int | None) -> int:
    left = fixed_shape(bind_rows(node.operands[0].shape, rows))
    return 2 * _size(node, rows) * left[-2 if node.attributes["transpose_a"] else -1]


def _moved(node: Node, rows: int | None) -> int:
    return min(_size(node, rows), _operand_size(node, rows))


_COSTS: dict[Kind, Callable[[Node, int | None], int]] = {
    Kind.LEAF: _nothing,
    Kind.ELEMENTWISE: _size,
    Kind.REDUCTION: _operand_size,
    Kind.SCAN: _size,
    Kind.CONTRACTION: _product,
    Kind.MOVEMENT: _nothing,
    Kind.INDEXING: _moved,
    Kind.RANDOM: _size,
}
