"""The public checkers check: they pass what is right, and fail on planted defects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engines.registry import get_engine
from chainrule.errors import ParameterError
from chainrule.graph.graph import Graph
from chainrule.graph.op import registered
from chainrule.ops.build import apply
from chainrule.shapes import Array
from chainrule.testing import check_engines, check_gradients, in_other_precision
from tests.graphs import random_graph
from tests.planting import planted

X = np.random.default_rng(0).normal(size=(3, 4))


def test_right_derivatives_pass() -> None:
    check_gradients(lambda x: cr.softmax(x @ x.T), X, order=3)
    check_gradients(lambda x, y: cr.sum(x**2) * cr.exp(y), X, 0.5)
    check_gradients(lambda x, i: cr.take(x, i) ** 3, X, [2, 0])
    check_gradients(cr.floor, 0.5)
    check_gradients(lambda x: x * 0 + 3.0, X.astype(np.float32))


def test_a_derivative_wrong_by_a_twentieth_of_a_percent_fails() -> None:
    with planted("sin", partials=(lambda y, x: cr.cos(x) * 1.0005,)) as name:
        op = registered()[name]
        with pytest.raises(AssertionError, match="derivative of order 1 in direction 0"):
            check_gradients(lambda x: apply(op, x), X)


def test_a_wrong_mixed_derivative_fails_at_its_order() -> None:
    partials = (lambda y, a, b: cr.stop_gradient(b), lambda y, a, b: a)
    with planted("multiply", partials=partials) as name:
        op = registered()[name]
        check_gradients(lambda x, y: apply(op, x, y), X, X, order=1)
        with pytest.raises(AssertionError, match="order 2"):
            check_gradients(lambda x, y: apply(op, x, y), X, X)


def test_a_hidden_derivative_and_nan_fail() -> None:
    with pytest.raises(AssertionError, match=r"chainrule gives 0\.0, finite differences give"):
        check_gradients(cr.stop_gradient, X)
    with pytest.raises(AssertionError, match="nan"):
        check_gradients(cr.log, -1.0)


class Rounded:
    """An engine that computes what the reference does, changed by ``change``."""

    name = "rounded"

    def __init__(self, change: Callable[[Array], Array]) -> None:
        self.change = change

    def compile(self, graph: Graph) -> Callable[[Sequence[Array]], list[Array]]:
        run = get_engine("reference").compile(graph)
        return lambda arrays: [self.change(array) for array in run(arrays)]

    def run(self, *arguments: Any, **settings: Any) -> Any:
        raise AssertionError("only graphs are checked")


def relative(units: float) -> Callable[[Array], Array]:
    """Every real moved by so many units in its last place."""

    def change(array: Array) -> Array:
        return (
            array + array * units * np.finfo(array.dtype).eps if array.dtype.kind == "f" else array
        )

    return change


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_engine_may_round_in_its_own_way_but_not_more(dtype: Any) -> None:
    x = X.astype(dtype)
    check_engines(cr.exp, x, engine=Rounded(relative(0)))
    check_engines(cr.exp, x, engine=Rounded(relative(8)))
    with pytest.raises(AssertionError, match="output 0 of rounded differs in 12 of 12 elements"):
        check_engines(cr.exp, x, engine=Rounded(relative(100)))


def test_cancellation_costs_what_it_costs_the_reference() -> None:
    def cancelling(x: Any) -> Any:
        return cr.sum((x + 1e4) ** 2) - 1.2e9

    check_engines(cancelling, X.astype(np.float32), engine=Rounded(relative(100)))
    with pytest.raises(AssertionError):
        check_engines(cancelling, X.astype(np.float32), engine=Rounded(lambda x: x * 2))


@pytest.mark.parametrize(
    ("function", "change"),
    [
        (cr.argmax, lambda x: x + 1),
        (lambda x: x > 0, np.logical_not),
        (lambda x: cr.log(cr.relu(x)), lambda x: np.where(np.isinf(x), 0, x)),
        (cr.exp, lambda x: np.where(x > 2, np.nan, x)),
        (cr.exp, lambda x: x.astype(np.float32)),
        (cr.exp, lambda x: x[None]),
    ],
)
def test_what_must_agree_exactly(function: Any, change: Any) -> None:
    check_engines(function, X, engine=Rounded(lambda x: x))
    with pytest.raises(AssertionError):
        check_engines(function, X, engine=Rounded(change))


@settings(max_examples=40)
@given(st.integers(0, 100_000), st.sampled_from([np.float32, np.float64]))
def test_random_graphs_keep_their_margin(seed: int, dtype: Any) -> None:
    """In the other precision every comparison falls the same way: the results are close."""
    sample = random_graph(seed, dtype=dtype)
    swapped = in_other_precision(sample.graph)
    other = np.float64 if dtype is np.float32 else np.float32
    assert all(node.dtype != dtype for node in swapped.nodes)
    results = [
        get_engine("reference").compile(graph)([value.astype(kind) for value in sample.values])
        for graph, kind in ((sample.graph, dtype), (swapped, other))
    ]
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-2, atol=1e-2)
    check_engines(sample.graph, *sample.values, engine=Rounded(relative(4)))


def test_the_reference_engine_is_not_checked_against_itself() -> None:
    with pytest.raises(ParameterError, match="against itself"):
        check_engines(cr.exp, X, engine="reference")
