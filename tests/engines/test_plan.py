"""Plans: memory is shared, and nobody can tell."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engines import plan as plans
from chainrule.engines.plan import make_plan
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import DtypeError, MissingInputError, ShapeError
from chainrule.graph.graph import Graph
from chainrule.graph.op import registered
from chainrule.ops.build import apply
from chainrule.shapes import ROWS, Array
from tests.graphs import RandomGraph, random_graph
from tests.planting import planted

seeds = st.integers(0, 1_000_000)
compiled = ReferenceEngine().compile


def naive(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """Node by node, each result in an array of its own."""
    values = dict(zip(graph.inputs, arrays, strict=True))
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if node not in values:
                operands = [values[operand] for operand in node.operands]
                found = (
                    node.payload
                    if node.payload is not None
                    else node.op.numpy(*operands, **node.attributes)
                )
                values[node] = np.asarray(found)
    return [values[node] for node in graph.outputs]


def unfriendly(array: Array) -> Array:
    """The same elements, read-only, with gaps between them and the last axis backwards."""
    wide = np.zeros((*array.shape, 2), array.dtype)
    wide[..., 0] = array
    found = wide[..., 0] if array.ndim == 0 else wide[..., ::-1, 0][..., ::-1]
    found.flags.writeable = False
    return found


def assert_close(found: Sequence[Array], expected: Sequence[Array]) -> None:
    """Equal but for the order of sums, which follows the order of elements in memory."""
    for mine, theirs in zip(found, expected, strict=True):
        tolerance = 1e-11 if mine.dtype == np.float64 else 2e-4
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance, strict=True)


def assert_same(found: Sequence[Array], expected: Sequence[Array]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)


def check_plan(sample: RandomGraph) -> None:
    run, before = compiled(sample.graph), [array.copy() for array in sample.values]
    found = run(sample.values)
    assert_close(found, naive(sample.graph, sample.values))
    assert_same(run(sample.values), found)  # on memory that is used already
    assert_same(sample.values, before)


@settings(max_examples=150)
@given(seeds, st.sampled_from([np.float64, np.float32]))
def test_shared_memory_changes_nothing(seed: int, dtype: Any) -> None:
    check_plan(random_graph(seed, size=20, dtype=dtype))


def test_an_operation_that_writes_before_it_has_read_is_caught() -> None:
    def wrong(a: Array, b: Array, out: Array | None = None) -> Any:
        if out is None:
            return a + b
        out[...] = a
        return np.add(out, b, out=out)

    x = cr.input((100,))
    with planted("add", into=wrong) as name, pytest.raises(AssertionError):
        y = apply(registered()[name], cr.sin(x), cr.cos(x))
        w = cr.exp(x)
        z = apply(registered()[name], w, y)  # written over y: w is still needed
        check_plan(RandomGraph(Graph((x,), (cr.sum(z * w),)), [np.linspace(0.0, 1.0, 100)]))


@settings(max_examples=60)
@given(seeds)
def test_read_only_inputs_with_any_strides(seed: int) -> None:
    sample = random_graph(seed)
    found = compiled(sample.graph)([unfriendly(array) for array in sample.values])
    assert_close(found, naive(sample.graph, sample.values))


@settings(max_examples=60)
@given(seeds)
def test_outputs_are_arrays_of_their_own(seed: int) -> None:
    sample = random_graph(seed)
    graph = Graph(sample.graph.inputs, (*sample.graph.outputs, *sample.graph.inputs))
    run = compiled(graph)
    first, second = run(sample.values), run(sample.values)
    arrays = [*first, *second, *sample.values]
    for place, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[:place])
    for array in first:
        assert array.flags.writeable


def test_views_constants_and_repeated_outputs_are_copied() -> None:
    x, c = cr.input((2, 3)), cr.constant(np.arange(100.0))
    y = x * 2
    graph = Graph((x,), (x, x.T, c, c[:3], y, y.T, y, cr.broadcast_to(y[0], (4, 3))))
    value = np.arange(6.0).reshape(2, 3)
    found = compiled(graph)([value])
    assert_same(found, naive(graph, [value]))
    for place, array in enumerate(found):
        array[...] = -1.0
        assert not any(np.shares_memory(array, other) for other in found[:place])
    assert value[0, 1] == 1.0
    assert c.value[1] == 1.0


def test_nothing_is_written_over_what_a_view_still_shows() -> None:
    x = cr.input((9, 9))
    y = cr.exp(x)
    for z in (y + y.T, cr.where(y > y.T, y, y.T), cr.clip(y, y.T, y), cr.maximum(y[::-1], y)):
        graph = Graph((x,), (cr.sum(z, axis=0),))
        value = np.random.default_rng(0).normal(size=(9, 9))
        assert_same(compiled(graph)([value]), naive(graph, [value]))


def test_a_chain_needs_one_piece_of_memory() -> None:
    x = y = cr.input((1000,))
    for _ in range(50):
        y = cr.sin(y)
    plan = make_plan(Graph((x,), (cr.sum(y),)), None)
    assert plan.slots == (8000,)
    assert len(plan.buffers) == 1


def test_memory_is_shared_between_sizes() -> None:
    x = cr.input((100,))
    small = cr.sum(cr.sin(cr.cos(x)))  # its memory is made larger for what comes after
    large = cr.sum(cr.sin(cr.broadcast_to(small, (300,))))
    plan = make_plan(Graph((x,), (cr.exp(large),)), None)
    assert sum(plan.slots) <= 2400 + 8


def test_a_plan_prints_one_line_an_instruction() -> None:
    x = cr.input((ROWS, 3), name="x")
    plan = make_plan(Graph((x,), (cr.sum(cr.exp(x @ np.ones((3, 2)))),)), 5)
    assert str(plan).splitlines() == [
        "%2 = matmul(%0, %1) : float64[ROWS,2] in slot 0",
        "%3 = exp(%2) : float64[ROWS,2] in slot 0",
        "%4 = sum(%3) : float64[]",
    ]


def test_many_threads_run_one_executable() -> None:
    x = cr.input((50, 50))
    y = cr.sum(cr.tanh(x @ cr.exp(x * 0.1)) + cr.sin(x.T), axis=0)
    run = compiled(Graph((x,), (y,)))
    values = [np.random.default_rng(i).normal(size=(50, 50)) for i in range(40)]
    alone = [run([value])[0] for value in values]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert_same(list(pool.map(lambda value: run([value])[0], values)), alone)


def test_workspaces_are_kept_small_and_few() -> None:
    x = cr.input((ROWS,))
    graph = Graph((x,), (cr.sum(cr.sin(cr.cos(x))),))
    small, large = make_plan(graph, 10), make_plan(graph, plans.KEPT_WORKSPACE)
    small([np.ones(10)])
    large([np.ones(plans.KEPT_WORKSPACE)])
    assert (len(small.idle), len(large.idle)) == (1, 0)
    small.idle.extend([small.workspace() for _ in range(plans.KEPT_WORKSPACES)])
    before = len(small.idle)
    small([np.ones(10)])
    assert len(small.idle) == before - 1


def test_an_error_leaves_the_plan_as_it_was() -> None:
    x, i = cr.input((5,)), cr.input((2,), np.int64)
    taken = cr.take(cr.exp(x), i)
    run = compiled(Graph((x, i), (cr.sum(taken),)))
    good = [np.arange(5.0), np.array([0, -1])]
    expected = run(good)
    for _ in range(3):
        with pytest.raises(IndexError) as caught:
            run([np.arange(5.0), np.array([0, 5])])
        assert str(caught.value).startswith("take built at ")
        assert f"test_plan.py:{taken.site.line}" in str(caught.value)
        assert "index 5 is outside an axis of 5" in str(caught.value)
        assert_same(run(good), expected)


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ([np.zeros((4, 3)), np.zeros(5)], ShapeError, "number of rows: 4 and 5"),
        (
            [np.zeros((4, 2)), np.zeros(4)],
            ShapeError,
            r"float64\[ROWS,3\] was given shape \(4, 2\)",
        ),
        ([np.zeros(4), np.zeros(4)], ShapeError, "was given shape"),
        ([np.zeros((4, 3), np.float32), np.zeros(4)], DtypeError, "elements of type float32"),
    ],
)
def test_values_that_do_not_fit_are_refused(arrays: Any, error: Any, message: str) -> None:
    x, y = cr.input((ROWS, 3)), cr.input((ROWS,))
    with pytest.raises(error, match=message):
        compiled(Graph((x, y), (cr.sum(x, axis=1) + y,)))(arrays)


def test_a_graph_whose_leaf_has_no_value_is_refused() -> None:
    x, y = cr.input((3,)), cr.input((3,), name="y")
    with pytest.raises(MissingInputError, match=r"'y'.*has no value; give it one with feed"):
        make_plan(Graph((x,), (x + y,)), None)


def test_one_executable_serves_every_number_of_rows() -> None:
    x = cr.input((ROWS, 2))
    run = compiled(Graph((x,), (cr.mean(cr.exp(x)), cr.sum(x, axis=1))))
    for rows in (1, 7, 0, 3, 1):
        value = np.random.default_rng(rows).normal(size=(rows, 2))
        mean, sums = run([value])
        np.testing.assert_allclose(sums, value.sum(axis=1))
        assert np.isnan(mean) if rows == 0 else np.isclose(mean, np.exp(value).mean())


def test_an_executable_is_freed_with_its_graph() -> None:
    x = cr.input((3,))
    node = cr.sin(x)
    run: Callable[..., Any] | None = compiled(Graph((x,), (node,)))
    assert run is not None
    run([np.ones(3)])
    seen = weakref.ref(node)
    del run, node
    gc.collect()
    assert seen() is None
