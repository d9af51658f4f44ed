"""From nodes of the language to the picture of a circuit: every value, every gradient.

The graph is shown as it was written: the reference engine runs it without simplification, and
the gradient is that of the raw graph. A plain number that an operation reads is written into its
gate, as on the CS231n slides: ``+1``, ``×−1``, ``1/x``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.engines.registry import get_engine
from chainrule.explain.graph_picture import GraphPicture, Record
from chainrule.explain.svg import format_number
from chainrule.expressions.values import Variable
from chainrule.graph.graph import Graph, free_leaves
from chainrule.graph.node import Node
from chainrule.graph.walk import topological_order
from chainrule.ops.build import CONSTANT
from chainrule.shapes import Array, is_float
from chainrule.transforms.gradient import adjoints, unbroadcast, vector_jacobian_product

LISTED = 4  # elements of an array that are written one by one

# How a gate reads that has a plain number c on its right or on its left, and x on the other side.
WITH_NUMBER_RIGHT = {
    "add": "+{c}",
    "subtract": "−{c}",
    "multiply": "×{c}",
    "divide": "/{c}",
    "power": "x^{c}",
}
WITH_NUMBER_LEFT = {
    "add": "+{c}",
    "subtract": "{c}−x",
    "multiply": "×{c}",
    "divide": "{c}/x",
    "power": "{c}^x",
}


@dataclass(frozen=True)
class Ledger:
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


def ledger(output: Node) -> Ledger:
    """Run ``output`` forwards and backwards, node by node, exactly as it was written.

    Parameters
    ----------
    output : Node
        A float scalar whose free leaves are all variables.

    Raises
    ------
    MissingInputError
        If there is a placeholder without a value.
    ShapeError
        If ``output`` is no scalar.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.variable(3.0)
    >>> book = ledger(x * x)
    >>> book.gradients[x], book.shares[book.order[-1]]
    (array(6.), (array(3.), array(3.)))
    """
    order = topological_order([output])
    slopes = {
        node: slope
        for node, slope in zip(order, adjoints(output, order), strict=True)
        if isinstance(slope, Node)
    }
    relevant = dict.fromkeys(order, True)
    sent = {
        node: _contributions(node, slopes[node], relevant)
        for node in order
        if node in slopes and node.operands
    }
    contributions = [share for shares in sent.values() for share in shares if share is not None]
    numbers = _evaluated([*order, *slopes.values(), *contributions])
    return Ledger(
        order,
        {node: numbers[node] for node in order},
        {node: numbers[slope] for node, slope in slopes.items()},
        {
            node: tuple(None if share is None else numbers[share] for share in shares)
            for node, shares in sent.items()
        },
    )


def _contributions(node: Node, slope: Node, relevant: dict[Node, bool]) -> list[Node | None]:
    products = vector_jacobian_product(node, slope, relevant)
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


def circuit(output: Node, *, title: str = "") -> GraphPicture:
    """The circuit of a scalar: forward values above its wires, gradients below.

    Parameters
    ----------
    output : Node
        A float scalar whose free leaves are all variables.
    title : str
        One line, drawn on top.

    Raises
    ------
    MissingInputError
        If there is a placeholder without a value.
    ShapeError
        If ``output`` is no scalar.

    Examples
    --------
    >>> import chainrule as cr
    >>> x, y, z = cr.variable(-2, name="x"), cr.variable(5, name="y"), cr.variable(-4, name="z")
    >>> print(circuit((x + y) * z).text())
    node  formula      value  gradient
    x                     −2        −4
    y                      5        −4
    t1    t1 = x + y       3        −4
    z                     −4         3
    t2    t2 = t1 × z    −12         1
    """
    book = ledger(output)
    folded = {node: gate for node in book.order if (gate := _with_number(node, book)) is not None}
    ids = {node: f"n{place}" for place, node in enumerate(book.order)}
    read = {operand for node in book.order for operand in _wired(node, folded)} | {output}
    records = [_record(node, book, ids, folded) for node in book.order if node in read]
    return GraphPicture(tuple(records), title)


def _with_number(node: Node, book: Ledger) -> tuple[str, Node] | None:
    """The gate's text and the other operand, if one of two operands is a plain number."""
    if len(node.operands) != 2:
        return None
    left, right = node.operands
    for number, other, table in ((right, left, WITH_NUMBER_RIGHT), (left, right, WITH_NUMBER_LEFT)):
        if _is_number(number) and not _is_number(other) and node.op.name in table:
            return table[node.op.name].format(c=_shown(book.values[number])), other
    return None


def _is_number(node: Node) -> bool:
    return node.op is CONSTANT and node.shape == ()


def _wired(node: Node, folded: Mapping[Node, tuple[str, Node]]) -> tuple[Node, ...]:
    """The operands that are drawn as wires."""
    return (folded[node][1],) if node in folded else node.operands


def _record(
    node: Node, book: Ledger, ids: Mapping[Node, str], folded: Mapping[Node, tuple[str, Node]]
) -> Record:
    wired = _wired(node, folded)
    shares = [
        _shown(share)
        for operand, share in zip(node.operands, book.shares.get(node, ()), strict=False)
        if operand in wired
    ]
    symbol = folded[node][0] if node in folded else node.op.symbol
    is_plain = node.op is CONSTANT
    return Record(
        ids[node],
        symbol=symbol if node.operands else "",
        name=node.name or "",
        operands=tuple(ids[operand] for operand in wired),
        value=_shown(book.values[node]),
        gradient="" if is_plain else _shown(book.gradients.get(node)),
        operand_gradients=tuple(shares),
    )


def _shown(value: Any) -> str:
    """A number, the elements of a small array, or the shape of a large one."""
    if value is None:
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return format_number(float(array))
    if array.size <= LISTED:
        return f"({', '.join(format_number(float(element)) for element in array.ravel())})"
    return " × ".join(map(str, array.shape))
