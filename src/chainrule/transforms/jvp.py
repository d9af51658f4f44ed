"""Forward-mode differentiation, from graph to graph: one walk along the order.

Needs no rules of its own. Elementwise operations have their partial derivatives; a linear
operation applies to the tangents as it does to the operands; a multilinear one does so to one
operand at a time; and for the rest, the vector-Jacobian product is linear in its vector, so that
differentiating it once more gives the Jacobian-vector product (Radul et al. 2023, "You only
linearize once", explain why one direction is enough).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.errors import ShapeError
from chainrule.graph.node import Node, intern
from chainrule.graph.op import Algebra, Kind
from chainrule.graph.walk import depends_on, topological_order
from chainrule.ops import elementwise as ew
from chainrule.ops.build import placeholder
from chainrule.ops.movement import broadcast_to, zeros_like
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.shapes import is_float
from chainrule.transforms.gradient import adjoints, contributions, local_product
from chainrule.transforms.passes import graph_pass


@graph_pass
def jvp(outputs: Sequence[Node], tangents: Mapping[Node, Node]) -> list[Node]:
    """Derivatives of ``outputs`` along a direction, as nodes of the same graph.

    Parameters
    ----------
    outputs : sequence of Node
    tangents : mapping of Node to Node
        For each input the direction, of the input's type.

    Returns
    -------
    list of Node
        One derivative for each output, of its shape; zeros where it does not depend on any input,
        or only by operations without a derivative. Where that is to be an error, ask
        :func:`chainrule.transforms.gradient.gradient` first, as ``jacobian`` does.

    Raises
    ------
    ShapeError
        If a tangent's type is not that of its input.
    """
    for node, tangent in tangents.items():
        if tangent.type != node.type:
            raise ShapeError(
                f"the tangent of {node!r} has type {tangent.type} and needs {node.type}"
            )
    order = topological_order(outputs)
    relevant = depends_on(order, tangents)
    known = dict(tangents)
    for node in order:
        if relevant[node] and node not in known and is_float(node.dtype):
            pushed = _push(node, [known.get(operand) for operand in node.operands])
            if pushed is not None:
                known[node] = broadcast_to(pushed, node.shape)
    return [known[output] if output in known else zeros_like(output) for output in outputs]


def _push(node: Node, tangents: Sequence[Node | None]) -> Node | None:
    """The tangent of ``node``, from those of its operands."""
    if all(tangent is None for tangent in tangents):
        return None
    if node.op.partials:
        terms = [
            local_product(tangent, partial, node)
            for partial, tangent in zip(node.op.partials, tangents, strict=True)
            if tangent is not None
        ]
    elif Algebra.LINEAR in node.op.algebra:
        terms = [_linear(node, tangents)]
    elif Algebra.MULTILINEAR in node.op.algebra:
        terms = [
            _replaced(node, place, tangent)
            for place, tangent in enumerate(tangents)
            if tangent is not None
        ]
    else:
        terms = [_transposed(node, tangents)]
    return _total([term for term in terms if term is not None])


def _total(terms: Sequence[Node]) -> Node | None:
    total: Any = None
    for term in terms:
        total = term if total is None else ew.add(total, term)
    result: Node | None = total
    return result


def _linear(node: Node, tangents: Sequence[Node | None]) -> Node:
    """The operation applied to tangents; operands without one, such as indices, stay or are 0."""
    pairs = zip(node.operands, tangents, strict=True)
    filled = [t if t is not None else zeros_like(x) if is_float(x.dtype) else x for x, t in pairs]
    return intern(node.op, tuple(filled), node.attributes)


def _replaced(node: Node, place: int, tangent: Node) -> Node:
    operands = (*node.operands[:place], tangent, *node.operands[place + 1 :])
    return intern(node.op, operands, node.attributes)


def _transposed(node: Node, tangents: Sequence[Node | None]) -> Node | None:
    """J t, as the derivative by v of (J' v) . t, which is linear in v."""
    if node.op.kind is Kind.RANDOM:
        return None
    vector = placeholder(node.type)
    along = dict(zip(node.operands, tangents, strict=True))
    relevant = {operand: tangent is not None for operand, tangent in along.items()}
    products = [
        reduce_sum(ew.multiply(contribution, along[operand]))
        for operand, contribution in contributions(node, vector, relevant)
    ]
    total = _total(products)
    if total is None:
        return None
    (pushed,) = adjoints(total, [vector])
    return pushed if isinstance(pushed, Node) else None  # J' v is 0 whatever v is
