"""The verifier: every rule of the language, each with a graph that breaks it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.verify import verify
from chainrule.ops.build import placeholder
from chainrule.shapes import FLOAT32, FLOAT64, ROWS, TensorType
from chainrule.transforms import passes
from tests.graphs import random_graph

X = cr.input((2,), name="x")
I = cr.input((2,), np.int64, name="i")  # noqa: E741
EXP, ADD, SUM = cr.exp.op, cr.add.op, cr.sum(X).op


def made(op: Any, operands: Any, type_: Any, **attributes: Any) -> Graph:
    """A graph of one node that no operation gave."""
    return Graph((X, I), (Node(op, operands, attributes, type_),))


VECTOR = TensorType(FLOAT64, (2,))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (Graph((), (cr.exp(X),)), "is free but no input"),
        (Graph((X, X), (X,)), "not distinct"),
        (Graph((cr.exp(X),), (cr.exp(X),)), "an input of the graph but no free leaf"),
        (Graph((cr.constant(1.0),), ()), "an input of the graph but no free leaf"),
        (made(EXP, (X,), TensorType(FLOAT32, (2,))), "does not infer: float64"),
        (made(EXP, (X,), TensorType(FLOAT64, (3,))), "does not infer: float64"),
        (made(EXP, (I,), VECTOR), "operands of types int64 where it needs float64"),
        (made(ADD, (X, I), VECTOR), "operands of types float64, int64"),
        (made(SUM, (X,), TensorType(FLOAT64, ()), axes=(1,), keepdims=False), "does not infer"),
        (made(SUM, (X,), TensorType(FLOAT64, ()), axis=0), "does not infer"),
        (made(SUM, (X,), TensorType(FLOAT64, ()), axes=[0], keepdims=False), "attribute 'axes'"),
        (made(X.op, (), TensorType(FLOAT64, (ROWS, ROWS))), "ROWS twice|is free"),
        (made(EXP, (X, X), VECTOR), "needs|infer"),
    ],
)
def test_a_graph_that_breaks_a_rule_is_named(graph: Graph, message: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        verify(graph)
    assert "not distinct" in message or "built at" in str(caught.value)


def test_rows_may_stand_once_in_a_shape() -> None:
    types = [TensorType(FLOAT64, shape) for shape in [(ROWS, 2), (ROWS, ROWS)]]
    once, twice = map(placeholder, types)
    verify(Graph((once,), (cr.exp(once),)))
    with pytest.raises(GraphError, match="ROWS twice"):
        verify(Graph((twice,), (cr.exp(twice),)))


def test_a_constant_holds_what_its_type_says() -> None:
    node = Node(cr.constant(1.0).op, (), {}, VECTOR, payload=np.zeros(3))
    with pytest.raises(GraphError, match="holds an array of type float64"):
        verify(Graph((), (node,)))


def test_random_graphs_and_their_derivatives_are_legal() -> None:
    for seed in range(50):
        graph = random_graph(seed).graph
        verify(graph)


def test_a_pass_that_breaks_types_is_caught_in_every_test() -> None:
    """The observer that conftest enters looks at what every pass gives."""

    @passes.graph_pass
    def defective(node: Node) -> list[Node]:
        return [Node(EXP, (node,), {}, TensorType(FLOAT32, node.shape))]

    with pytest.raises(AssertionError, match="defective gave an illegal graph"):
        defective(X)
