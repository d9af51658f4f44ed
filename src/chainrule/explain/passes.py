"""One forward and one backward pass over a graph as written, with every number kept.

The reference engine runs the graph without simplification, and the gradient is that of the raw
graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.engines.registry import get_engine
from chainrule.errors import ParameterError
from chainrule.expressions.values import Variable
from chainrule.graph.graph import Graph, free_leaves
from chainrule.graph.node import Node
from chainrule.graph.walk import topological_order
from chainrule.shapes import Array, is_float
from chainrule.transforms.gradient import adjoints, unbroadcast, vector_jacobian_product


@dataclass(frozen=True, eq=False)
class Passes:
    """The numbers of one forward and one backward pass over a graph as written.

    Attributes
    ----------
    order : list of Node
        Operands before their users.
    values : dict of Node to array
    gradients : dict of Node to array
        The derivative of the output by each node; nodes without one are left out.
    shares : dict of Node to tuple of (array or None)
        What each node sends back to each of its operands; None where that is nothing.
    """

    order: list[Node]
    values: Mapping[Node, Array]
    gradients: Mapping[Node, Array]
    shares: Mapping[Node, tuple[Array | None, ...]]


def passes(output: Node) -> Passes:
    """Run ``output`` forwards and backwards, node by node, exactly as it was written.

    Parameters
    ----------
    output : Node
        A float scalar whose free leaves are all variables.

    Raises
    ------
    ParameterError
        If ``output`` is no node.
    MissingInputError
        If there is a placeholder without a value.
    ShapeError
        If ``output`` is no scalar.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.variable(3.0)
    >>> both = passes(x * x)
    >>> both.gradients[x], both.shares[both.order[-1]]
    (array(6.), (array(3.), array(3.)))
    """
    if not isinstance(output, Node):
        raise ParameterError(
            f"a graph is a node, such as x * x of x = cr.variable(3.0), and not a"
            f" {type(output).__name__}"
        )
    order = topological_order([output])
    slopes = {
        node: slope
        for node, slope in zip(order, adjoints(output, order), strict=True)
        if isinstance(slope, Node)
    }
    sent = {node: sent_back(node, slopes[node]) for node in slopes if node.operands}
    arrived = [share for shares in sent.values() for share in shares if share is not None]
    numbers = _evaluated([*order, *slopes.values(), *arrived])
    return Passes(
        order,
        {node: numbers[node] for node in order},
        {node: numbers[slope] for node, slope in slopes.items()},
        {
            node: tuple(None if share is None else numbers[share] for share in shares)
            for node, shares in sent.items()
        },
    )


def sent_back(node: Node, slope: Node) -> list[Node | None]:
    """What ``node`` sends to each operand when ``slope`` arrives at it; None where nothing is."""
    products = vector_jacobian_product(node, slope, dict.fromkeys(node.operands, True))
    return [
        None
        if product is None or not is_float(operand.dtype)
        else unbroadcast(product, operand.shape)
        for product, operand in zip(products, node.operands, strict=True)
    ]


def _evaluated(nodes: Sequence[Node]) -> dict[Node, Array]:
    """The values of all nodes, by the reference engine, without simplification."""
    distinct = tuple(dict.fromkeys(nodes))
    leaves = free_leaves(distinct)
    graph = Graph(tuple(leaf for leaf in leaves if isinstance(leaf, Variable)), distinct)
    run = get_engine("reference").compile(graph)
    results = run([leaf.value for leaf in leaves if isinstance(leaf, Variable)])
    return dict(zip(distinct, results, strict=True))
