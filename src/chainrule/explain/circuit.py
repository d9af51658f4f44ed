"""From nodes of the language to the picture of a circuit: every value, every gradient.

The graph is shown as it was written: the reference engine runs it without simplification, and
the gradient is that of the raw graph. A plain number that an operation reads is written into its
gate, as on the CS231n slides: ``+1``, ``×−1``, ``1/x``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from chainrule.explain.folding import folded
from chainrule.explain.graph_picture import GraphPicture, Record
from chainrule.explain.passes import Passes, passes
from chainrule.explain.svg import format_number
from chainrule.graph.node import Node
from chainrule.ops.build import CONSTANT

LISTED = 4  # elements of an array, at most, that are written one by one

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


def circuit(output: Node, *, title: str = "") -> GraphPicture:
    """The circuit of a scalar: forward values above its wires, gradients below.

    A graph of more than 300 nodes is folded into blocks; ``opened("block 3")`` shows one.

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
    return folded(drawn(passes(output), title))


def drawn(book: Passes, title: str = "") -> GraphPicture:
    """The circuit of what two passes found; see ``by_id``."""
    output = book.order[-1]
    folded = {node: gate for node in book.order if (gate := _with_number(node, book)) is not None}
    ids = {node: key for key, node in by_id(book).items()}
    read = {operand for node in book.order for operand in _wired(node, folded)} | {output}
    names = _names([node for node in book.order if node in read])
    records = [_record(node, book, ids, names, folded) for node in book.order if node in read]
    return GraphPicture(tuple(records), title)


def by_id(book: Passes) -> dict[str, Node]:
    """All nodes, by their ids on the picture."""
    return {f"n{place}": node for place, node in enumerate(book.order)}


def _names(nodes: Sequence[Node]) -> dict[Node, str]:
    """The names that were given; arrays that have none are c1, c2, ... in formulas."""
    names = {node: node.name or "" for node in nodes}
    fresh = (name for name in map("c{}".format, count(1)) if name not in names.values())
    for node in nodes:
        if not node.operands and node.shape and not node.name:
            names[node] = next(fresh)
    return names


def _with_number(node: Node, book: Passes) -> tuple[str, Node] | None:
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
    node: Node,
    book: Passes,
    ids: Mapping[Node, str],
    names: Mapping[Node, str],
    folded: Mapping[Node, tuple[str, Node]],
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
        name=names[node],
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
