"""Law 4: the gradient is total: broadcasting, fan-out, and the absence of a derivative."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import chainrule as cr
from chainrule.errors import DisconnectedError, NotDifferentiableError, ShapeError
from chainrule.graph.op import registered
from tests.planting import planted

walk = import_module("chainrule.transforms.gradient")
X, Z = cr.input((3,), name="x"), cr.input((3,), name="z")


def check_broadcast(shapes: Any) -> None:
    """Derivatives by operands have the operands' shapes, and are sums over the repeated axes."""
    a, b = (cr.input(shape) for shape in shapes)
    generator = np.random.default_rng(0)
    first, second = (generator.normal(size=shape) for shape in shapes)
    da, db = cr.evaluate(cr.gradient(cr.sum(a * b), [a, b]), feed={a: first, b: second})
    assert (da.shape, db.shape) == shapes
    assert np.vdot(da, first) == pytest.approx((first * second).sum())
    assert np.vdot(db, second) == pytest.approx((first * second).sum())


@given(mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=4))
def test_broadcasting_is_undone(shapes: Any) -> None:
    check_broadcast(shapes.input_shapes)


def test_broadcasting_left_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "unbroadcast", lambda g, shape: g)
    with pytest.raises(AssertionError):
        check_broadcast(((3,), (2, 3)))


@given(st.integers(1, 30))
def test_every_path_counts(fan_out: int) -> None:
    total: Any = 0.0
    for power in range(fan_out):
        total = total + cr.sum(X) * power
    (found,) = cr.gradient(cr.sum(total), [X])
    assert cr.evaluate(found, feed={X: np.ones(3)}).tolist() == [sum(range(fan_out))] * 3


def test_one_operand_in_two_places_counts_twice() -> None:
    assert cr.evaluate(cr.gradient(cr.sum(X * X), [X]), feed={X: [1.0, 2.0, 3.0]})[0].tolist() == [
        2.0, 4.0, 6.0,
    ]  # fmt: skip
    (found,) = cr.gradient(cr.sum(X + X), [X])
    assert cr.evaluate(found, feed={X: np.zeros(3)}).tolist() == [2.0, 2.0, 2.0]


def test_no_path_is_an_error() -> None:
    with pytest.raises(DisconnectedError, match=r"'x'.*does not depend|does not depend on .*'x'"):
        cr.gradient(cr.sum(Z * 2.0), [X])


def blocked() -> Iterator[Any]:
    hidden = cr.astype(cr.argmax(X), np.float64)
    yield "argmax", hidden
    yield "argmax", cr.sum(Z) * cr.exp(hidden)
    yield "greater", cr.sum(cr.where(X > 0, Z, 2 * Z))
    yield "less", cr.sum(cr.astype(X < 0, np.float64) * Z)
    yield "stop_gradient", cr.sum(cr.stop_gradient(X) * Z)
    yield "astype", cr.astype(cr.sum(cr.astype(X, np.int64)) + 1, np.float64)
    yield "argsort", cr.sum(cr.take(Z, cr.argsort(X)))
    yield "isnan", cr.astype(cr.any(cr.isnan(X)), np.float64)


@pytest.mark.parametrize(("name", "output"), list(blocked()))
def test_a_path_without_a_derivative_is_an_error_that_names_its_end(name: str, output: Any) -> None:
    with pytest.raises(NotDifferentiableError, match=f"ends at '{name}' .*test_gradient_is_total"):
        cr.gradient(output, [X])
    with pytest.raises(NotDifferentiableError, match=f"ends at '{name}'"):
        cr.gradient(output + cr.sum(Z), [Z, X])


def test_an_integer_output_has_no_derivative() -> None:
    with pytest.raises(NotDifferentiableError, match="argmax"):
        cr.gradient(cr.argmax(X), [X])


def test_one_good_path_is_enough() -> None:
    (found,) = cr.gradient(cr.sum(cr.where(X > 0, X, -X)), [X])
    assert cr.evaluate(found, feed={X: [-1.0, 2.0, -3.0]}).tolist() == [-1.0, 1.0, -1.0]


def test_flat_functions_have_derivative_zero() -> None:
    (found,) = cr.gradient(cr.sum(cr.floor(X)), [X])
    assert cr.evaluate(found, feed={X: [0.5, 1.5, 2.5]}).tolist() == [0.0, 0.0, 0.0]


def test_backward_passes_by_what_has_no_derivative() -> None:
    x, y = cr.variable([1.0, 2.0]), cr.variable([3.0, 4.0])
    cr.sum(cr.stop_gradient(x) * y).backward()
    assert x.grad is None
    assert y.grad is not None
    assert y.grad.tolist() == [1.0, 2.0]


def test_inner_nodes_can_be_differentiated_by() -> None:
    hidden = cr.tanh(X)
    (found,) = cr.gradient(cr.sum(hidden * hidden), [hidden])
    expected = 2 * np.tanh([0.1, 0.2, 0.3])
    np.testing.assert_allclose(cr.evaluate(found, feed={X: [0.1, 0.2, 0.3]}), expected)


def test_only_a_number_needs_no_seed() -> None:
    with pytest.raises(ShapeError, match="needs a scalar"):
        cr.gradient(X * 2.0, [X])
    with pytest.raises(ShapeError, match=r"the seed has shape \(2,\)"):
        walk.gradient(X * 2.0, [X], cr.input((2,)))
    narrow = cr.input((3,), np.float32)
    (found,) = walk.gradient(narrow * 2, [narrow], cr.input((3,)))
    assert found.dtype == np.float32


def test_a_silent_zero_is_caught() -> None:
    """An operation that hides its missing derivative behind zeros fails the law above."""
    with planted("stop_gradient", partials=(0.0,)) as name:
        hidden = cr.ops.build.apply(registered()[name], X)
        with pytest.raises(pytest.fail.Exception), pytest.raises(NotDifferentiableError):
            cr.gradient(cr.sum(hidden), [X])
