"""Reverse-mode differentiation, from graph to graph: one walk backwards through the order.

The rules of single operations stand in their records. What every rule would otherwise repeat
lives here: contributions of several paths are added up, broadcast axes are summed away, and a
path that leads nowhere is an :class:`Absence` with a reason, never a silent zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.errors import DisconnectedError, NotDifferentiableError, ShapeError
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.graph.walk import depends_on, topological_order
from chainrule.ops import elementwise as ew
from chainrule.ops.build import cast
from chainrule.ops.movement import ones_like, reshape, zeros_like
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.records import dataclass
from chainrule.shapes import Shape, is_float
from chainrule.transforms.passes import graph_pass


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
            f"every path from {output!r} to {variable!r} ends at {op!r} (built at {site}),"
            " which has no derivative there; use a smooth operation in its place"
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


@graph_pass
def adjoints(
    output: Node, inputs: Sequence[Node], seed: Node | None = None
) -> list[Node | Absence]:
    """As :func:`gradient`, with an :class:`Absence` where there is no derivative."""
    order = topological_order([output])
    relevant = depends_on(order, inputs)
    start = _seeded(output, seed)
    totals = {output: start} if is_float(output.dtype) else {}
    for node in reversed(order):
        if node in totals and relevant[node]:
            for operand, contribution in contributions(node, totals[node], relevant):
                before = totals.get(operand)
                totals[operand] = contribution if before is None else ew.add(before, contribution)
    return [totals[x] if x in totals else _absence(x, order, totals) for x in inputs]


def _seeded(output: Node, seed: Node | None) -> Node:
    if seed is None and output.shape != ():
        raise ShapeError(
            f"the gradient of {output!r} needs a scalar;"
            f" sum it, or give a seed of shape {output.shape}"
        )
    if seed is not None and seed.shape != output.shape:
        raise ShapeError(f"the seed has shape {seed.shape}, and {output!r} needs {output.shape}")
    start: Node = ones_like(output) if seed is None else cast(seed, output.dtype)
    return start


def _absence(variable: Node, order: Sequence[Node], totals: Mapping[Node, Node]) -> Absence:
    """Why nothing arrived at ``variable``: no path, or the operation at which the path ends."""
    reaches = depends_on(order, [variable])
    if not reaches[order[-1]]:
        return Absence()
    node = next(n for n in reversed(order) if reaches[n] and not _passes(n, reaches, totals))
    while True:  # from real numbers made of truth values or indices down to where those were made
        inner = [x for x in node.operands if reaches[x] and x.operands and not is_float(x.dtype)]
        if not inner:
            return Absence(node)
        node = inner[0]


def _passes(node: Node, reaches: Mapping[Node, bool], totals: Mapping[Node, Node]) -> bool:
    return node in totals and any(x in totals for x in node.operands if reaches[x])


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
