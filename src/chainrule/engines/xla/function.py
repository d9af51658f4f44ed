"""A graph as a JAX function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.engines.base import rows_of
from chainrule.engines.xla.library import jnp
from chainrule.engines.xla.table import lowering
from chainrule.errors import MissingInputError
from chainrule.graph.graph import Graph, is_free
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.shapes import INT64, ROWS, bind_rows

Values = Sequence[Any]


def traceable(graph: Graph, precision: str) -> Callable[[Values], list[Any]]:
    """What computes ``graph`` when JAX traces it: values of the inputs in, of the outputs out.

    Parameters
    ----------
    graph : Graph
    precision : str
        Of products, one of :data:`chainrule.engines.xla.devices.PRECISIONS`.

    Raises
    ------
    MissingInputError
        For a placeholder or variable that is not among the graph's inputs.
    """
    nodes, inputs = graph.nodes, dict.fromkeys(graph.inputs)
    for node in nodes:
        if node not in inputs and is_free(node):
            raise MissingInputError(
                f"{node!r} built at {node.site} has no value; give it one with feed={{node: array}}"
            )
    types = [node.type for node in graph.inputs]

    def compute(values: Values) -> list[Any]:
        rows = rows_of(types, values)
        known = dict(zip(graph.inputs, values, strict=True))
        for node in nodes:
            if node not in known:
                known[node] = _value(node, known, rows, precision)
        return [known[node] for node in graph.outputs]

    return compute


def _value(node: Node, known: dict[Node, Any], rows: int | None, precision: str) -> Any:
    if node.op.kind is Kind.LEAF:
        if node.payload is not None:
            return jnp.asarray(node.payload)
        return jnp.asarray(bind_rows(ROWS, rows), INT64)
    settings = {name: bind_rows(value, rows) for name, value in node.attributes.items()}
    if node.op.kind is Kind.CONTRACTION:
        settings["precision"] = precision
    return lowering(node.op.name)(*[known[operand] for operand in node.operands], **settings)
