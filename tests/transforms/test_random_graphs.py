"""Simplification and derivatives of random graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engines.registry import get_engine
from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.verify import verify
from chainrule.graph.walk import topological_order
from chainrule.transforms.gradient import adjoints
from chainrule.transforms.rules import Replacement, Rule
from chainrule.transforms.simplify import RULES, simplify, simplify_graph
from tests.graphs import RandomGraph, random_graph

seeds = st.integers(0, 1_000_000)
run = get_engine("reference").compile


def with_gradients(sample: RandomGraph) -> Graph:
    """The graph's outputs, and the derivatives of their sum by its inputs."""
    outputs = sample.graph.outputs
    total = cr.sum(cr.concat([cr.reshape(node, (-1,)) for node in outputs]))
    found = adjoints(total, sample.graph.inputs)
    gradients = tuple(node for node in found if isinstance(node, Node))
    return Graph(sample.graph.inputs, (*outputs, *gradients))


def check_simplify(seed: int) -> None:
    sample = random_graph(seed)
    graph = with_gradients(sample)
    simple = simplify_graph(graph)
    verify(simple)
    assert [node.type for node in simple.outputs] == [node.type for node in graph.outputs]
    for mine, raw in zip(run(simple)(sample.values), run(graph)(sample.values), strict=True):
        finite = np.isfinite(raw)
        np.testing.assert_allclose(mine[finite], raw[finite], rtol=1e-9, atol=1e-9)


@settings(max_examples=120)
@given(seeds)
def test_a_simplified_graph_computes_the_same(seed: int) -> None:
    check_simplify(seed)


@settings(max_examples=60)
@given(seeds)
def test_simplifying_twice_changes_nothing(seed: int) -> None:
    once = simplify(with_gradients(random_graph(seed)).outputs)
    assert simplify(once) == once


@settings(max_examples=60)
@given(seeds)
def test_simplifying_never_adds_work(seed: int) -> None:
    graph = with_gradients(random_graph(seed))
    simple = simplify_graph(graph)
    assert len(topological_order(simple.outputs)) <= len(topological_order(graph.outputs))


@settings(max_examples=60)
@given(seeds)
def test_gradients_of_random_graphs_agree_with_finite_differences(seed: int) -> None:
    sample = random_graph(seed, size=6)
    graph = Graph(sample.graph.inputs, sample.graph.outputs[-1:])
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=graph.outputs[0].shape)
    total = cr.sum(graph.outputs[0] * cr.constant(weights))
    along = [generator.normal(size=value.shape) for value in sample.values]
    found = adjoints(total, graph.inputs)
    slope = sum(
        (
            cr.sum(d * cr.constant(v))
            for d, v in zip(found, along, strict=True)
            if isinstance(d, Node)
        ),
        cr.constant(0.0),
    )
    evaluate, step = run(Graph(graph.inputs, (total, slope))), 1e-4
    values = [
        evaluate([x + offset * step * v for x, v in zip(sample.values, along, strict=True)])
        for offset in (0, 1, -1)
    ]
    difference = (values[1][0] - values[2][0]) / (2 * step)
    np.testing.assert_allclose(values[0][1], difference, rtol=1e-4, atol=1e-4)


@contextmanager
def planted_rule(name: str, rule: Rule) -> Iterator[None]:
    RULES.setdefault(name, []).insert(0, rule)
    try:
        yield
    finally:
        RULES[name].remove(rule)


def half_tanh(node: Node) -> Replacement:
    """A rule that changes the value: tanh(x) = x / (1 + x^2 / 3)."""
    (x,) = node.operands
    return x / (1 + x * x / 3)


def shrinking(node: Node) -> Replacement:
    """A rule that changes the type."""
    return cr.astype(node.operands[0], np.float32)


def test_a_rule_that_changes_values_is_caught() -> None:
    with planted_rule("tanh", half_tanh), pytest.raises(AssertionError):
        for seed in range(20):
            check_simplify(seed)


def test_a_rule_that_changes_types_is_caught() -> None:
    with (
        planted_rule("tanh", shrinking),
        pytest.raises(GraphError, match=r"rule shrinking turned float64.* into float32"),
    ):
        simplify([cr.tanh(cr.input((2,)))])


def test_rules_that_undo_each_other_are_caught() -> None:
    x, y = cr.input((2,)), cr.input((2,))
    with (
        planted_rule("hypot", lambda node: cr.atan2(*node.operands)),
        planted_rule("atan2", lambda node: cr.hypot(*node.operands)),
        pytest.raises(GraphError, match=r"does not end: '(hypot|atan2)' turns into itself"),
    ):
        simplify([cr.hypot(x, y)])


def test_rules_that_keep_growing_are_caught() -> None:
    with (
        planted_rule("tanh", lambda node: cr.tanh(cr.sin(node.operands[0]))),
        pytest.raises(GraphError, match=r"does not end: rule .* keeps firing"),
    ):
        simplify([cr.tanh(cr.input((2,)))])
