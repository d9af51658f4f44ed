"""Forward mode: over every operation it is the transpose of reverse mode, and a slope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ShapeError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import registered
from chainrule.ops.build import apply
from chainrule.shapes import ROWS, Array, is_float
from chainrule.transforms.gradient import adjoints
from chainrule.transforms.jvp import jvp
from tests.graphs import random_graph
from tests.ops.samples import OPERATIONS, samples
from tests.planting import planted

run = ReferenceEngine().compile
STEP = 1e-6


def check_slopes(output: Node, leaves: Sequence[Node], arrays: Sequence[Array],
                 differences: bool = True) -> None:  # fmt: skip
    """Along a random direction: u . (J t) = (J' u) . t, and the difference quotient agrees."""
    generator = np.random.default_rng(2)
    real = [place for place, leaf in enumerate(leaves) if is_float(leaf.dtype)]
    directions = {leaves[i]: cr.input(leaves[i].shape, leaves[i].dtype) for i in real}
    seed = cr.input(output.shape, output.dtype)
    (forward,) = jvp([output], directions)
    backward = adjoints(output, list(directions), seed)
    reached = [place for place, d in zip(real, backward, strict=True) if isinstance(d, Node)]
    graph = Graph(
        (*leaves, *directions.values(), seed),
        (forward, *[each for each in backward if isinstance(each, Node)]),
    )
    t = {place: generator.normal(size=arrays[place].shape) for place in real}
    u = generator.normal(size=output.shape)
    pushed, *pulled = run(graph)([*arrays, *t.values(), u])
    total = sum(np.vdot(d, t[place]) for d, place in zip(pulled, reached, strict=True))
    np.testing.assert_allclose(np.vdot(u, pushed), total, rtol=1e-9, atol=1e-9)
    if differences:
        expected = quotient(output, leaves, arrays, t)
        np.testing.assert_allclose(pushed, expected, rtol=2e-5, atol=2e-5)


def quotient(output: Node, leaves: Sequence[Node], arrays: Sequence[Array],
             t: dict[int, Array]) -> Array:  # fmt: skip
    value = run(Graph(tuple(leaves), (output,)))

    def at(step: float) -> Array:
        return value([a + step * t[i] if i in t else a for i, a in enumerate(arrays)])[0]

    return (at(STEP) - at(-STEP)) / (2 * STEP)


def check_op(name: str) -> None:
    for sample in samples(name):
        leaves = sample.leaves()
        output = sample.on(leaves)
        if output.dtype == np.float64 and any(is_float(leaf.dtype) for leaf in leaves):
            check_slopes(output, leaves, sample.arrays, differences=name != "stop_gradient")


@pytest.mark.parametrize("name", OPERATIONS)
def test_forward_mode_is_reverse_mode_transposed_and_a_slope(name: str) -> None:
    check_op(name)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tanh", {"partials": (lambda y, x: 1 - 1.001 * y * y,)}),
        ("max", {"vjp": lambda g, y, x, axes, keepdims: (cr.zeros_like(x),)}),
    ],
)
def test_the_law_catches_a_wrong_derivative(name: str, changes: dict[str, Any]) -> None:
    with planted(name, **changes) as defective, pytest.raises(AssertionError):
        for sample in samples(name):
            leaves = sample.leaves()
            built = apply(registered()[defective], *leaves, **sample.attributes)
            check_slopes(built, leaves, sample.arrays)


@given(st.integers(0, 100_000))
def test_random_graphs(seed: int) -> None:
    sample = random_graph(seed)
    for output in sample.graph.outputs:
        if is_float(output.dtype):
            check_slopes(output, sample.graph.inputs, sample.values, differences=False)


def test_outputs_without_a_path_have_slope_zero() -> None:
    x, y = cr.input((3,)), cr.input((2,))
    found = jvp([cr.sin(y), cr.argmax(x), cr.stop_gradient(x)], {x: cr.ones_like(x)})
    assert [run(Graph((x, y), (f,)))([np.ones(3), np.ones(2)])[0].tolist() for f in found] == [
        [0.0, 0.0], 0, [0.0] * 3,
    ]  # fmt: skip


def test_an_inner_node_can_be_the_point() -> None:
    x = cr.input(())
    inner = cr.sin(x)
    (slope,) = jvp([inner * inner], {inner: cr.constant(1.0)})
    value = run(Graph((x,), (slope,)))([np.asarray(0.3)])[0]
    np.testing.assert_allclose(value, 2 * np.sin(0.3))


def test_rows() -> None:
    x, t = cr.input((ROWS, 2)), cr.input((ROWS, 2))
    (slope,) = jvp([cr.mean(x * x)], {x: t})
    a, b = np.random.default_rng(0).normal(size=(2, 5, 2))
    np.testing.assert_allclose(run(Graph((x, t), (slope,)))([a, b])[0], 2 * (a * b).mean())


def test_a_tangent_of_another_type_is_refused() -> None:
    x = cr.input((3,))
    with pytest.raises(ShapeError, match=r"has type float64\[2\] and needs float64\[3\]"):
        jvp([x], {x: cr.input((2,))})


def higher(function: Callable[[Node], Node], point: float, order: int) -> float:
    """A derivative of any order, by forward mode over itself."""
    x = cr.input(())
    node = function(x)
    for _ in range(order):
        (node,) = jvp([node], {x: cr.constant(1.0)})
    return float(run(Graph((x,), (node,)))([np.asarray(point)])[0])


def test_forward_mode_of_forward_mode() -> None:
    assert higher(cr.sin, 0.4, 4) == pytest.approx(np.sin(0.4))
    assert higher(lambda x: x**4, 1.5, 3) == pytest.approx(24 * 1.5)
    assert higher(lambda x: cr.max(cr.stack([x, x * x])), 2.0, 2) == pytest.approx(2.0)
