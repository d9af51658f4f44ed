"""A node as a line of mathematics."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from chainrule.explain.graph_picture import formula
from chainrule.explain.svg import format_number
from chainrule.graph.node import Node
from chainrule.graph.walk import topological_order
from chainrule.ops.build import CONSTANT
from chainrule.transforms.simplify import simplify

WHOLE = 9  # how tightly what needs no parentheses holds together
TIGHTNESS = {"add": 1, "subtract": 1, "multiply": 2, "divide": 2, "negative": 3, "power": 4}
ONE_SIDED = ("subtract", "divide", "power")  # a right operand of equal tightness is parenthesised
LISTED = 4  # elements of a constant that are written out

Written = tuple[str, int]


def symbols(output: Node) -> str:
    """What a node computes, in one line, after simplification.

    Examples
    --------
    >>> import chainrule as cr
    >>> w1, w2, x = (cr.variable(1.0, name=name) for name in ("w1", "w2", "x"))
    >>> y = w2 * cr.exp(w1 * x)
    >>> symbols(y), symbols(cr.gradient(y, w1))
    ('w2 × exp(w1 × x)', 'w2 × exp(w1 × x) × x')
    """
    (simple,) = simplify([output])
    return spelled(simple, {})


def spelled(output: Node, atoms: Mapping[Node, str], longest: float = math.inf) -> str:
    """A node as it stands, in terms of ``atoms``; empty if it takes more characters than that.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.variable(1.0, name="x")
    >>> s = cr.sigmoid(x)
    >>> spelled(s * (1 - s), {s: "s"})
    's × (1 − s)'
    """
    written: dict[Node, Written] = {node: (text, WHOLE) for node, text in atoms.items()}
    for node in topological_order([output], atoms):
        if node not in written:
            written[node] = _written(node, [written[operand] for operand in node.operands])
            if len(written[node][0]) > longest:
                return ""
    return written[output][0]


def _written(node: Node, operands: list[Written]) -> Written:
    if not operands:
        return (_constant(node) if node.op is CONSTANT else node.name or "?"), WHOLE
    tightness = TIGHTNESS.get(node.op.name, WHOLE)
    if tightness == WHOLE and node.op.symbol.isalnum():
        return formula(node.op.symbol, [text for text, _ in operands]), WHOLE
    texts = [
        f"({text})"
        if inner < tightness or (inner == tightness and place and node.op.name in ONE_SIDED)
        else text
        for place, (text, inner) in enumerate(operands)
    ]
    return formula(node.op.symbol, texts), tightness


def _constant(node: Node) -> str:
    value = np.asarray(node.payload)
    if value.size > LISTED:
        return f"[{' × '.join(map(str, value.shape))}]"
    numbers = ", ".join(format_number(float(each)) for each in value.ravel())
    return numbers if value.ndim == 0 else f"({numbers})"
