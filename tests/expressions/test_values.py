"""Variables, values, backward and evaluate."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engines import registry
from chainrule.errors import (
    DisconnectedError,
    DtypeError,
    MissingInputError,
    NotDifferentiableError,
    ParameterError,
    ShapeError,
    UnknownNameError,
)
from chainrule.expressions import values
from chainrule.shapes import ROWS


@pytest.fixture
def circuit() -> tuple[Any, Any, Any, Any]:
    """f = (x + y) z of the lectures."""
    x, y, z = cr.variable(-2.0, name="x"), cr.variable(5.0, name="y"), cr.variable(-4.0, name="z")
    return x, y, z, (x + y) * z


# Values


def test_the_circuit_of_the_lectures(circuit: Any) -> None:
    x, y, z, f = circuit
    assert (f.value.shape, f.value.dtype, float(f.value)) == ((), np.float64, -12.0)
    f.backward()
    assert (float(x.grad), float(y.grad), float(z.grad)) == (-4.0, -4.0, 3.0)


def test_values_are_kept_until_a_variable_they_used_is_assigned(circuit: Any) -> None:
    x, _, _, f = circuit
    inner, other = f.operands[0], cr.variable(1.0)
    before = f.value
    assert f.value is before
    other.value = 2.0
    assert f.value is before
    assert float(inner.value) == 3.0
    x.value = 3.0
    assert float(f.value) == -32.0
    assert float(inner.value) == 8.0
    assert float(before) == -12.0
    x.value = -2.0
    assert float(f.value) == -12.0


def test_values_are_read_only(circuit: Any) -> None:
    x, _, _, f = circuit
    f.backward()
    for array in (x.value, f.value, x.grad, (x * np.ones(3)).T.value, cr.constant([1.0]).value):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_a_variable_keeps_a_copy() -> None:
    array = np.array([1.0, 2.0])
    x = cr.variable(array)
    array[0] = 7.0
    assert x.value.tolist() == [1.0, 2.0]
    x.value = array
    array[0] = 8.0
    assert x.value.tolist() == [7.0, 2.0]
    assert array.flags.writeable


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (3, None, np.float64),
        (True, None, np.float64),
        ([1, 2], None, np.float64),
        (np.float32(2), None, np.float32),
        (np.array([1, 2], np.int32), None, np.int32),
        ([1.5], "float32", np.float32),
        (np.ones(2, ">f8"), None, np.float64),
    ],
)
def test_element_types_of_variables(value: Any, dtype: Any, expected: Any) -> None:
    x = cr.variable(value, dtype=dtype)
    assert x.dtype == x.value.dtype == expected
    assert x.value.dtype.isnative


def test_assigning_keeps_shape_and_type() -> None:
    x = cr.variable([1.0, 2.0], dtype="float32", name="w")
    x.value = [3, 4]
    assert x.value.dtype == np.float32
    with pytest.raises(ShapeError, match=r"value of <variable 'w' .* has shape \(3,\)"):
        x.value = [1.0, 2.0, 3.0]
    with pytest.raises(ShapeError):
        x.value = 1.0
    with pytest.raises(DtypeError, match="complex"):
        x.value = [1j, 2.0]
    with pytest.raises(DtypeError, match="float64, and int64 is needed"):
        cr.variable(np.array([1])).value = [1.5]
    with pytest.raises(DtypeError, match="holds an array, not a node"):
        cr.variable(x * 2)
    assert x.value.tolist() == [3.0, 4.0]


def test_integers_that_do_not_fit_are_refused() -> None:
    x = cr.variable(np.array([1, 2], np.int8))
    x.value = [-128, 127]
    assert x.value.tolist() == [-128, 127]
    for wrong in (128, 300, -129):
        with pytest.raises(DtypeError, match=f"holds {wrong}, and int8 goes from -128 to 127"):
            x.value = [0, wrong]
    assert x.value.tolist() == [-128, 127]
    y = cr.variable(np.array(1, np.uint8))
    y.value = 255
    assert int(y.value) == 255
    with pytest.raises(DtypeError, match="holds -1"):
        y.value = -1
    with pytest.raises(DtypeError, match="int64 goes from"):
        cr.variable(np.array(1)).value = np.uint64(2**63)


def test_a_placeholder_has_no_value() -> None:
    x = cr.input((3,), name="x")
    with pytest.raises(MissingInputError, match=r"'x'.*test_values\.py.*feed="):
        _ = cr.sum(x).value
    with pytest.raises(MissingInputError):
        cr.sum(x).backward()


def test_values_are_those_of_the_graph_as_written() -> None:
    x = cr.variable(1000.0)
    written = cr.log(1 + cr.exp(x))
    assert np.isinf(written.value)
    assert float(cr.evaluate(written)) == 1000.0


# Backward


def test_backward_adds() -> None:
    x = cr.variable([1.0, 2.0])
    assert x.grad is None
    cr.sum(x * x).backward()
    cr.sum(3 * x).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [5.0, 7.0]
    kept = x.grad
    x.grad = None
    assert x.grad is None
    cr.sum(x).backward()
    assert x.grad.tolist() == [1.0, 1.0]
    assert kept.tolist() == [5.0, 7.0]
    x.grad = [0, 10]
    cr.sum(x).backward()
    assert x.grad.tolist() == [1.0, 11.0]
    with pytest.raises(ShapeError, match="grad of"):
        x.grad = 1.0


def test_a_variable_used_twice_gets_the_sum_of_both_paths() -> None:
    x = cr.variable(3.0)
    (x * x + cr.sin(x) * x).backward()
    np.testing.assert_allclose(x.grad, 6 + np.sin(3.0) + 3 * np.cos(3.0))


def test_backward_follows_assignment() -> None:
    x = cr.variable(3.0)
    y = x * x
    for value in (3.0, 5.0, -1.0):
        x.value, x.grad = value, None
        y.backward()
        assert float(x.grad) == 2 * value


def test_seeds() -> None:
    x = cr.variable([1.0, 2.0], dtype="float32")
    y = x * x
    y.backward([1.0, 10.0])
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [2.0, 40.0]
    x.grad = None
    cr.sum(y).backward(0.5)
    assert x.grad.tolist() == [1.0, 2.0]
    with pytest.raises(ShapeError, match=r"starts from a scalar.*sum it, or give a seed of shape"):
        y.backward()
    with pytest.raises(ShapeError, match="seed of backward"):
        y.backward([1.0, 2.0, 3.0])


def test_backward_reaches_real_variables_only() -> None:
    x, i = cr.variable([1.0, 2.0, 3.0]), cr.variable(np.array([0, 0]))
    cr.sum(x[i]).backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]
    assert i.grad is None
    with pytest.raises(DtypeError, match="nothing to differentiate"):
        cr.sum(i).backward()
    y = cr.variable(2.0)
    (cr.stop_gradient(x[0]) * y).backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]
    assert float(y.grad) == 1.0


def test_backward_that_reaches_nothing_is_an_error() -> None:
    x, i = cr.variable(2.0), cr.variable(np.array(1))
    with pytest.raises(DisconnectedError, match="does not depend on any variable"):
        cr.constant(1.0).backward()
    with pytest.raises(DisconnectedError, match="of real numbers"):
        (i * 2.0).backward()
    with pytest.raises(NotDifferentiableError, match="stop_gradient"):
        cr.stop_gradient(x).backward()
    assert x.grad is None


def test_backward_on_a_variable_itself() -> None:
    x = cr.variable(2.0)
    x.backward()
    x.backward(3.0)
    assert float(x.grad) == 4.0


# Gradients as nodes


def test_gradients_are_nodes_and_differentiable_again() -> None:
    x = cr.variable(2.0)
    (first,) = cr.gradient(x**4, [x])
    second = cr.gradient(first, x)
    assert (float(first.value), float(second.value)) == (32.0, 48.0)
    x.value = 1.0
    assert (float(first.value), float(second.value)) == (4.0, 12.0)
    total = cr.gradient(x * np.ones(3), [x], seed=[1.0, 2.0, 3.0])[0]
    assert float(total.value) == 6.0


def test_absent_gradients_are_errors() -> None:
    x, y = cr.variable(2.0), cr.variable([1.0, 3.0])
    with pytest.raises(DisconnectedError, match="does not depend on"):
        cr.gradient(cr.sum(y), [x])
    with pytest.raises(NotDifferentiableError, match="argmax"):
        cr.gradient(cr.sum(cr.argmax(y) * 1.0), [y])


# evaluate


def test_feeds_of_placeholders_variables_and_inner_nodes() -> None:
    x, w = cr.input((ROWS, 2)), cr.variable([1.0, 2.0])
    inner = x @ w
    outer = cr.exp(inner) + w[0]
    a = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    found = cr.evaluate([inner, outer], feed={x: a})
    np.testing.assert_allclose(found[1], np.exp(a @ [1.0, 2.0]) + 1.0)
    np.testing.assert_allclose(
        cr.evaluate(outer, feed={x: a, w: [0.0, 1.0]}), np.exp(a @ [0.0, 1.0])
    )
    np.testing.assert_allclose(cr.evaluate(outer, feed={inner: [0.0, 1.0]}), [2.0, np.e + 1.0])
    np.testing.assert_allclose(cr.evaluate(outer, feed={outer: [7.0]}), [7.0])
    assert w.value.tolist() == [1.0, 2.0]


def test_rows_come_first_in_an_input_and_anywhere_in_a_node() -> None:
    for shape in [(3, ROWS), (2, ROWS, 4), (ROWS, ROWS)]:
        with pytest.raises(ShapeError, match="ROWS can only be the first axis"):
            cr.input(shape)
    x, w = cr.input((ROWS, 2)), cr.variable([[1.0], [2.0]])
    a = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    moved = (x * 2).T
    assert moved.shape == (2, ROWS)
    np.testing.assert_array_equal(cr.evaluate(moved, feed={x: a}), 2 * a.T)
    slope = cr.grad(lambda t: cr.sum(w * t**2))(moved)
    np.testing.assert_allclose(
        cr.evaluate(slope, feed={x: a}), 2 * np.array([[1.0], [2.0]]) * (2 * a.T)
    )
    value, pull = cr.vjp(lambda t: t * w, moved)
    assert value.shape == pull(value)[0].shape == (2, ROWS)


def test_a_constant_can_be_fed() -> None:
    c = cr.constant(2.0, name="c")
    y = c * 3 + cr.variable(1.0)
    assert float(cr.evaluate(y, feed={c: 10.0})) == 31.0
    assert float(cr.evaluate(y)) == 7.0


def test_feeds_that_do_not_fit_are_refused() -> None:
    x, i = cr.input((2,), name="x"), cr.input((), np.int64, name="i")
    with pytest.raises(ShapeError, match="the value of <input 'x'"):
        cr.evaluate(x, feed={x: [1.0]})
    with pytest.raises(DtypeError, match="float64, and int64 is needed"):
        cr.evaluate(i, feed={i: 1.5})
    with pytest.raises(DtypeError, match="is not supported"):
        cr.evaluate(x, feed={x: ["a", "b"]})
    with pytest.raises(MissingInputError, match="'x'"):
        cr.evaluate([i, x], feed={i: 1})
    with pytest.raises(ParameterError, match="keys of feed are nodes, got 'x'"):
        cr.evaluate(x, feed={"x": 1})  # type: ignore[dict-item]


def test_what_evaluate_gives() -> None:
    x = cr.variable([1.0, 2.0])
    single, several = cr.evaluate(x * 2), cr.evaluate([x * 2, x, 3.0])
    assert isinstance(single, np.ndarray)
    assert [array.tolist() for array in several] == [[2.0, 4.0], [1.0, 2.0], 3.0]
    several[1][0] = 9.0
    assert x.value.tolist() == [1.0, 2.0]
    assert cr.evaluate([]) == []


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=5))
def test_evaluate_and_value_agree(numbers: list[float]) -> None:
    x = cr.variable(numbers)
    y = cr.log(cr.sum(cr.exp(x))) - cr.mean(cr.sigmoid(x))
    np.testing.assert_allclose(cr.evaluate(y), y.value, rtol=1e-12)


# Engines


def test_engines_by_name() -> None:
    x = cr.variable(3.0)
    assert float(cr.evaluate(x * 2, engine="reference")) == 6.0
    with pytest.raises(UnknownNameError, match="unknown engine 'referense'; did you mean"):
        cr.evaluate(x, engine="referense")


def test_an_engine_that_is_missing_falls_back_with_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_is_available", lambda name: name == "reference")
    registry._warn_once.cache_clear()
    with pytest.warns(registry.EngineFallbackWarning, match="'native' is not available"):
        assert registry.get_engine("native").name == "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.get_engine("native").name == "reference"
        assert registry.get_engine().name == "reference"
    registry._warn_once.cache_clear()


# Memory and identity


def test_nodes_are_freed_when_nobody_needs_them() -> None:
    x = cr.variable(2.0)
    node = cr.sin(x) * 1.25
    _ = node.value
    node.backward()
    seen = weakref.ref(node), weakref.ref(node.operands[0])
    values._as_written._items.clear()
    values._simplified._items.clear()
    del node
    gc.collect()
    assert [each() for each in seen] == [None, None]


def test_graphs_are_kept_in_bounded_caches_only() -> None:
    x = cr.variable(2.0)
    seen = []
    for place in range(values.KEPT_GRAPHS + 40):
        node = cr.sin(x) * (1.0 + place)
        _ = node.value
        cr.evaluate(node)
        node.backward()
        seen.append(weakref.ref(node))
    del node
    gc.collect()
    alive = sum(each() is not None for each in seen)
    assert alive <= values.KEPT_GRAPHS
    assert max(len(values._as_written), len(values._simplified)) <= values.KEPT_GRAPHS


def test_caches_hold_no_expression_without_variables_and_no_large_constant() -> None:
    x = cr.variable(np.ones(3))
    before = len(values._as_written), len(values._simplified)
    large = np.arange(values.KEPT_BYTES // 8 + 1.0)
    for node in (cr.sin(cr.constant(0.125)) + 7.5, cr.sum(cr.constant(large) * x[0])):
        first = float(node.value)
        np.testing.assert_allclose(cr.evaluate(node), first)
    assert (len(values._as_written), len(values._simplified)) == before
    x.value = [2.0, 0.0, 0.0]
    assert float(node.value) == 2 * first
    seen = weakref.ref(node)
    del node
    gc.collect()
    assert seen() is None


def test_nodes_refuse_to_be_pickled_and_copied() -> None:
    x = cr.variable(2.0)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(DtypeError, match="cannot be pickled"):
            attempt(x * 2)


def test_two_variables_are_never_one() -> None:
    x, y = cr.variable(1.0), cr.variable(1.0)
    assert x is not y
    assert (x * 2) is (x * 2)
    assert (x * 2) is not (y * 2)


def test_backward_is_stable_where_the_graph_as_written_overflows() -> None:
    z = cr.variable([-1e4, 1e4])
    loss = -cr.log(cr.softmax(z))[0]
    loss.backward()
    assert z.grad is not None
    np.testing.assert_array_equal(z.grad, [-1.0, 1.0])
