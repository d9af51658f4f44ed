"""Gradients cost what theory says, and are what one would derive by hand."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.cost import operations
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.text import print_graph
from chainrule.transforms.simplify import simplify

GOLDEN = Path(__file__).parent.parent / "golden"

ACTIVATIONS: dict[str, Callable[[Node], Any]] = {
    name: getattr(cr, name)
    for name in ("sigmoid", "tanh", "relu", "gelu", "silu", "softplus", "elu")
}
LOSSES: dict[str, Callable[[Node, Node], Any]] = {
    "squared error": lambda z, y: cr.mean(cr.square(z - y)),
    "cross entropy": lambda z, y: -cr.mean(cr.sum(y * cr.log(cr.softmax(z)), axis=1)),
    "binary cross entropy": lambda z, y: (
        -cr.mean(y * cr.log(cr.sigmoid(z)) + (1 - y) * cr.log(1 - cr.sigmoid(z)))
    ),
}
ROWS = 64


def network(
    sizes: list[int], activation: Callable[[Node], Any], loss: Callable[[Node, Node], Any]
) -> tuple[list[Node], Node]:
    """Inputs (rows, targets, weights and biases) and the loss of a multilayer perceptron."""
    x = cr.input((cr.ROWS, sizes[0]), np.float32, name="x")
    y = cr.input((cr.ROWS, sizes[-1]), np.float32, name="y")
    inputs, h = [x, y], x
    for layer, (before, after) in enumerate(pairwise(sizes)):
        w = cr.input((before, after), np.float32, name=f"w{layer}")
        b = cr.input((after,), np.float32, name=f"b{layer}")
        inputs += [w, b]
        h = (activation(h) if layer else h) @ w + b
    return inputs, loss(h, y)


def with_gradients(inputs: list[Node], value: Node) -> Graph:
    (value,) = simplify([value])
    return Graph(tuple(inputs), tuple(simplify([value, *cr.gradient(value, inputs[2:])])))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [[2, 10, 10, 1], [64, 128, 10], [5, 3], [20] * 6, [1, 1, 1]])
def test_value_and_gradient_cost_at_most_four_values(
    sizes: list[int], activation: str, loss: str
) -> None:
    inputs, value = network(sizes, ACTIVATIONS[activation], LOSSES[loss])
    alone = operations(Graph(tuple(inputs), tuple(simplify([value]))), ROWS)
    both = operations(with_gradients(inputs, value), ROWS)
    assert both <= 4 * alone, f"{both / alone:.2f} times the operations of the value"


def test_a_gradient_that_costs_too_much_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The derivative of tanh as a mean of twenty, each from a hyperbolic tangent of its own."""
    gradient = import_module("chainrule.transforms.gradient")
    local_product = gradient.local_product

    def costly(y: Node, x: Node) -> Any:
        return sum(1 - cr.tanh(x + place * 1e-12) ** 2 for place in range(20)) / 20

    def wasteful(g: Node, partial: Any, node: Node) -> Any:
        return local_product(g, costly if node.op.name == "tanh" else partial, node)

    case = [20] * 6, "tanh", "squared error"
    test_value_and_gradient_cost_at_most_four_values(*case)
    monkeypatch.setattr(gradient, "local_product", wasteful)
    with pytest.raises(AssertionError, match="times the operations of the value"):
        test_value_and_gradient_cost_at_most_four_values(*case)


# By hand


def rows() -> Any:
    return cr.astype(cr.ops.row_count(), np.float64)


def test_the_gradient_of_softmax_with_cross_entropy_is_p_minus_y() -> None:
    z, labels = cr.input((cr.ROWS, 10)), cr.input((cr.ROWS,), np.int64)
    target = cr.one_hot(labels, 10)
    expected = (cr.softmax(z) - target) * (1 / rows())
    for form in (
        cr.mean(-cr.sum(target * cr.log(cr.softmax(z)), axis=1)),
        -cr.mean(cr.sum(target * cr.log_softmax(z), axis=1)),
        cr.mean(
            cr.sum(-target * cr.log(cr.exp(z) / cr.sum(cr.exp(z), axis=1, keepdims=True)), axis=-1)
        ),
    ):
        (value,) = simplify([form])
        assert simplify(cr.gradient(value, [z])) == simplify([expected])


def test_the_gradient_of_the_logistic_loss_is_a_minus_y() -> None:
    z, y = cr.input((cr.ROWS, 1)), cr.input((cr.ROWS, 1))
    a = cr.sigmoid(z)
    expected = (a - y) * (1 / rows())
    for form in (
        cr.mean(-(y * cr.log(a) + (1 - y) * cr.log(1 - a))),
        -cr.mean(y * cr.log(a) + (1 - y) * cr.log(1 - a)),
        cr.mean(cr.softplus(z) - y * z),
    ):
        (value,) = simplify([form])
        assert simplify(cr.gradient(value, [z])) == simplify([expected])


def test_the_gradient_of_a_squared_error_is_twice_the_difference() -> None:
    z, y = cr.input((cr.ROWS, 1)), cr.input((cr.ROWS, 1))
    (value,) = simplify([cr.mean(cr.square(z - y))])
    assert simplify(cr.gradient(value, [z])) == simplify([(z - y) * (2 / rows())])


def test_a_linear_layer_has_the_hand_derived_backward_pass() -> None:
    """dW = x' dy, db = the sum of dy over rows, dx = dy W': three products' work and no copies."""
    inputs, value = network([64, 128, 10], cr.relu, LOSSES["cross entropy"])
    graph = with_gradients(inputs, value)
    names = [node.op.name for node in graph.nodes]
    assert names.count("matmul") == 5  # two forward, two for weights, one for the hidden layer
    assert "permute_dims" not in names
    assert len(graph.nodes) == len(set(graph.nodes))


# Golden graphs and plans

NETWORKS = {
    "moons_2_10_10_1": lambda: network([2, 10, 10, 1], cr.relu, LOSSES["binary cross entropy"]),
    "digits_64_128_10": lambda: network([64, 128, 10], cr.tanh, LOSSES["cross entropy"]),
    "line_1_1": lambda: network([1, 1], cr.tanh, LOSSES["squared error"]),
}


def golden_texts(name: str) -> dict[str, str]:
    graph = with_gradients(*NETWORKS[name]())
    plan = str(ReferenceEngine().plan(graph, ROWS))
    return {f"{name}.graph": print_graph(graph).text, f"{name}.plan": plan}


@pytest.mark.parametrize("name", NETWORKS)
def test_printed_graphs_and_plans_are_as_before(name: str) -> None:
    for file, text in golden_texts(name).items():
        path = GOLDEN / file
        assert text + "\n" == path.read_text(encoding="utf-8"), (
            f"{file} has changed; if that is meant: python -m tests.laws.test_cost"
        )


if __name__ == "__main__":
    for network_name in NETWORKS:
        for file_name, content in golden_texts(network_name).items():
            (GOLDEN / file_name).write_text(content + "\n", encoding="utf-8")
