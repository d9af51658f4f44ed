"""Reverse-mode differentiation, from graph to graph: one walk backwards through the order.

The rules of single operations stand in their records. What every rule would otherwise repeat
lives here: contributions of several paths are added up, broadcast axes are summed away, and a
path that leads nowhere is an :class:`Absence` with a reason, never a silent zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.errors import DisconnectedError, NotDifferentiableError, ShapeError
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.graph.walk import depends_on, topological_order
from chainrule.ops import elementwise as ew
from chainrule.ops.movement import ones_like, reshape, zeros_like
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.shapes import Shape, is_float


@dataclass(frozen=True)
class Absence:
    """Why there is no derivative: no path at all, or a path that ends at ``blocked_by``."""

    blocked_by: Node | None = None

    def error(self, output: Node, variable: Node) -> DisconnectedError | NotDifferentiableError:
        """The error that says so."""
        if self.blocked_by is None:
            return DisconnectedError(
                f"{output!r} does not depend on {variable!r}, so there is no derivative"
            )
        op, site = self.blocked_by.op.name, self.blocked_by.site
        return NotDifferentiableError(
            f"every path from {output!r} to {variable!r} ends at {op!r}, which has no derivative there"
            f" (built at {site}); use a smooth operation in its place"
        )


def gradient(output: Node, inputs: Sequence[Node], seed: Node | None = None) -> list[Node]:
    """Derivatives of ``output`` by each of ``inputs``, as nodes of the same graph.

    Parameters
    ----------
    output : Node
        A scalar, or anything if ``seed`` is given.
    inputs : sequence of Node
        Any nodes of the graph, leaves or not.
    seed : Node, optional
        The derivative of a final result by ``output``, of its shape; 1 by default.

    Raises
    ------
    ShapeError
        If ``output`` is no scalar and there is no seed.
    DisconnectedError, NotDifferentiableError
        If there is no path to an input, or none with a derivative.
    """
    found = adjoints(output, inputs, seed)
    for variable, adjoint in zip(inputs, found, strict=True):
        if isinstance(adjoint, Absence):
            raise adjoint.error(output, variable)
    return [adjoint for adjoint in found if isinstance(adjoint, Node)]


def adjoints(
    output: Node, inputs: Sequence[Node], seed: Node | None = None
) -> list[Node | Absence]:
    """As :func:`gradient`, with an :class:`Absence` where there is no derivative."""
    order = topological_order([output])
    relevant = depends_on(order, inputs)
    totals = {output: _seeded(output, seed)}
    blocked_by: Node | None = None
    for node in reversed(order):
        if node not in totals or not relevant[node]:
            continue
        arrived = list(contributions(node, totals[node], relevant))
        for operand, contribution in arrived:
            previous = totals.get(operand)
            totals[operand] = contribution if previous is None else ew.add(previous, contribution)
        if node.operands and not arrived:
            blocked_by = node
    present = dict.fromkeys(order)
    return [totals.get(node, Absence(blocked_by if node in present else None)) for node in inputs]


def _seeded(output: Node, seed: Node | None) -> Node:
    if seed is None:
        if output.shape != ():
            raise ShapeError(
                f"the gradient of {output!r} needs a scalar; sum it, or give a seed of shape {output.shape}"
            )
        one: Node = ones_like(output)
        return one
    if seed.shape != output.shape:
        raise ShapeError(f"the seed has shape {seed.shape}, and {output!r} needs {output.shape}")
    return seed


def contributions(node: Node, g: Node, relevant: dict[Node, bool]) -> Iterator[tuple[Node, Node]]:
    """For each operand that matters, what reaches it through ``node``, in the operand's shape."""
    if node.op.kind is Kind.LEAF:
        return
    for operand, contribution in zip(
        node.operands, vector_jacobian_product(node, g, relevant), strict=True
    ):
        if contribution is not None and relevant[operand] and is_float(operand.dtype):
            yield operand, unbroadcast(contribution, operand.shape)


def vector_jacobian_product(node: Node, g: Node, relevant: dict[Node, bool]) -> Sequence[Any]:
    """The contributions of ``node`` to its operands, before broadcasting is undone."""
    if node.op.vjp is not None:
        return node.op.vjp(g, node, *node.operands, **node.attributes)
    return [
        local_product(g, partial, node) if relevant[operand] else None
        for partial, operand in zip(node.op.partials, node.operands, strict=True)
    ]


def local_product(g: Node, partial: Any, node: Node) -> Any:
    """``g`` times the local partial derivative of an elementwise node."""
    if partial is None:
        return None
    if callable(partial):
        return ew.multiply(g, partial(node, *node.operands))
    if partial == 0:
        return zeros_like(g)
    return g if partial == 1 else ew.negative(g) if partial == -1 else ew.multiply(g, partial)


def unbroadcast(g: Node, shape: Shape) -> Node:
    """``g`` summed over the axes along which an operand of ``shape`` was repeated."""
    if g.shape == shape:
        return g
    new = g.ndim - len(shape)
    repeated = [
        axis for axis in range(new, g.ndim) if shape[axis - new] == 1 and g.shape[axis] != 1
    ]
    total = reduce_sum(g, axis=[*range(new), *repeated]) if new or repeated else g
    result: Node = reshape(total, shape)
    return result
