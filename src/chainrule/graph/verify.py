"""The rules of the language, checked: what makes a graph legal.

Every pass from graph to graph must give a legal graph; the tests run :func:`verify` after each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chainrule.errors import ChainruleError, GraphError
from chainrule.graph.graph import Graph, is_free
from chainrule.graph.node import Node
from chainrule.graph.op import Kind, registered
from chainrule.graph.text import value_text
from chainrule.shapes import DTYPES, ROWS, Rows


def verify(graph: Graph) -> None:
    """Check that ``graph`` obeys every rule of the language.

    The inputs are distinct leaves, and no other leaf is without a value. Every node applies a
    registered operation; its type is the one that the operation infers; its operands have the
    element types that the operation coerces to; its attributes can be written down; ROWS stands
    at most once in its shape: first where :func:`chainrule.input` made the leaf, on any axis
    elsewhere, as operations may move it.

    Raises
    ------
    GraphError
        For the first rule that is broken, naming the node and the line that built it.

    Examples
    --------
    >>> from chainrule import ops
    >>> x = ops.input((2,))
    >>> verify(Graph((x,), (ops.exp(x),)))
    >>> verify(Graph((), (ops.exp(x),)))
    Traceback (most recent call last):
    ...
    chainrule.errors.GraphError: <input float64[2]> built at ... is free but no input of the graph
    """
    if len(dict.fromkeys(graph.inputs)) < len(graph.inputs):
        raise GraphError(f"the inputs {graph.inputs} are not distinct")
    bound = dict.fromkeys(graph.inputs)
    for node in bound:
        if not is_free(node):
            raise _broken(node, "is an input of the graph but no free leaf")
    for node in graph.nodes:
        if is_free(node) and node not in bound:
            raise _broken(node, "is free but no input of the graph")
        verify_node(node)


def verify_node(node: Node) -> None:
    """Check the rules that a node obeys in every graph it is in.

    Raises
    ------
    GraphError
        For the first rule that is broken.

    Examples
    --------
    >>> from chainrule import ops
    >>> verify_node(ops.exp(ops.input((2,))))
    """
    for rule in _RULES:
        for why in rule(node):
            raise _broken(node, why)


def _broken(node: Node, why: str) -> GraphError:
    return GraphError(f"{node!r} built at {node.site} {why}")


def _registered(node: Node) -> Iterator[str]:
    if registered().get(node.op.name) is not node.op:
        yield "applies an operation that is not registered"


def _legal_type(node: Node) -> Iterator[str]:
    if node.dtype is not DTYPES.get(node.dtype.name):
        yield f"has element type {node.dtype}, which is not of the language"
    if sum(extent is ROWS for extent in node.shape) > 1:
        yield "has ROWS twice in its shape"
    if not all(isinstance(extent, Rows) or extent >= 0 for extent in node.shape):
        yield "has a negative size"
    payload = node.payload
    if payload is not None and (payload.dtype, payload.shape) != node.type:
        yield f"holds an array of type {payload.dtype}{list(payload.shape)}"


def _legal_attributes(node: Node) -> Iterator[str]:
    for name, value in node.attributes.items():
        try:
            value_text(value)
        except GraphError as reason:
            yield f"has an illegal attribute {name!r}: {reason}"


def _coerced_operands(node: Node) -> Iterator[str]:
    given = tuple(operand.dtype for operand in node.operands)
    if node.op.coerce is not None and (needed := _result(node.op.coerce, *given)) != given:
        yield f"reads operands of types {_names(given)} where it needs {_names(needed)}"


def _names(dtypes: Any) -> str:
    return ", ".join(map(str, dtypes)) if isinstance(dtypes, tuple) else str(dtypes)


def _inferred_type(node: Node) -> Iterator[str]:
    if node.op.kind is Kind.LEAF:
        return
    types = [operand.type for operand in node.operands]
    inferred = _result(node.op.infer, *types, **node.attributes)
    if inferred != node.type:
        yield f"has a type that its operation does not infer: {inferred}"


def _result(function: Callable[..., Any], *arguments: Any, **attributes: Any) -> Any:
    """What ``function`` returns, or the error that it raises, which equals no legal result."""
    try:
        return function(*arguments, **attributes)
    except (ChainruleError, TypeError, ValueError, IndexError) as reason:
        return reason


_RULES = (_registered, _legal_type, _legal_attributes, _coerced_operands, _inferred_type)
