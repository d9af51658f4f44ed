"""What is computed only where a condition holds, and which sums need not be whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.engines.choice import Choice, choice_of
from chainrule.engines.parts import parts_of
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.shapes import ROWS
from chainrule.transforms import simplify

W, TOTAL, MOMENT = (ops.input((3, 2), "float64", name) for name in ("w", "total", "moment"))
X, D = ops.input((ROWS, 3), "float64", "x"), ops.input((ROWS, 2), "float64", "d")
DUE = ops.input((), "bool", "due")
SLOPE = ops.matmul(ops.permute_dims(X, (1, 0)), D)


def accumulating(*records: Any) -> Graph:
    """A step that takes a square root of a sum of gradients where it is due."""
    total = TOTAL + SLOPE
    moved = ops.where(DUE, W - ops.sqrt(total), W)
    outputs = [moved, ops.where(DUE, ops.zeros_like(total), total), *records]
    return Graph((W, TOTAL, X, D, DUE), tuple(simplify(outputs)))


def named(nodes: Any) -> list[str]:
    return [node.op.name for node in nodes]


def check_order(graph: Graph, choice: Choice) -> None:
    """Each node comes after its operands, and all are there once."""
    order = [*choice.before, *choice.inner, *choice.results, *choice.after]
    assert set(order) == set(graph.nodes) and len(order) == len(graph.nodes)
    known: set[Node] = set(graph.inputs)
    for node in order:
        assert known.issuperset(node.operands)
        known.add(node)


def test_an_update_is_computed_where_it_is_due() -> None:
    graph = accumulating()
    choice = choice_of(graph)
    assert named(choice.inner) == ["sqrt", "subtract"] and choice.condition is DUE
    check_order(graph, choice)


def test_what_others_need_is_computed_always() -> None:
    choice = choice_of(accumulating(ops.sum(ops.sqrt(TOTAL + SLOPE))))
    assert named(choice.inner) == ["subtract"]


def test_what_follows_a_choice_comes_last() -> None:
    chosen = ops.where(DUE, ops.exp(W), W)
    graph = Graph((W, DUE), (ops.tanh(chosen),))
    choice = choice_of(graph)
    assert (named(choice.inner), named(choice.after)) == (["exp"], ["tanh"])
    check_order(graph, choice)


@pytest.mark.parametrize(
    "output",
    [
        ops.tanh(W),
        ops.where(ops.greater(W, 0), ops.exp(W), W),  # a condition for each element
        ops.sum(W) * ops.where(DUE, ops.exp(ops.sum(W)), 1.0),  # a number: not worth a branch
        ops.where(DUE, ops.exp(ops.where(DUE, ops.tanh(W), W)), W),  # one needs the other
    ],
)
def test_other_graphs_have_no_branch(output: Node) -> None:
    assert not choice_of(Graph((W, DUE), (output,))).inner


def kept(graph: Graph, carried: int) -> list[str]:
    return named(parts_of(graph, carried, choice_of(graph)))


def test_sums_that_wait_are_kept_in_parts() -> None:
    assert sorted(kept(accumulating(), 2)) == ["add", "input", "matmul", "where"]


@pytest.mark.parametrize(
    ("whole", "record"), [("matmul", ops.sum(SLOPE * SLOPE)), ("input", ops.exp(TOTAL))]
)
def test_sums_that_each_step_needs_are_not(whole: str, record: Node) -> None:
    assert whole not in kept(accumulating(record), 2)


def test_parameters_are_whole() -> None:
    descent = Graph((W, X, D), (W - 0.1 * SLOPE, ops.sum(ops.matmul(X, W)) / 4.0))
    assert kept(descent, 1) == ["sum", "divide"]  # the loss is told after the epoch


def test_averages_of_what_a_step_needs_are_whole() -> None:
    mean = ops.sum(D, axis=0, keepdims=True)
    state = ops.input((1, 2), "float64", "mean")
    graph = Graph((state, D), (0.9 * state + 0.1 * mean, ops.sum(ops.exp(D - mean))))
    assert kept(graph, 1) == ["sum"]


def test_products_of_sums_are_whole() -> None:
    total = ops.sum(D)
    assert kept(Graph((D,), (total * total,)), 0) == []
    assert kept(Graph((D,), (np.float64(2.0) * total,)), 0) == ["sum", "multiply"]
