"""Derivatives of functions: against each other, against differences, nested, on trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import (
    DisconnectedError,
    DtypeError,
    GradientError,
    MissingInputError,
    NotDifferentiableError,
    ParameterError,
    ShapeError,
)
from chainrule.expressions import values
from chainrule.graph.node import Node
from chainrule.shapes import Array

A = np.random.default_rng(7).normal(size=(3, 3))

# Scalar functions of three numbers
ZOO: dict[str, Callable[[Any], Any]] = {
    "sum of squares": lambda x: cr.sum(x * x),
    "product": cr.prod,
    "Rosenbrock": lambda x: cr.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
    "quadratic form": lambda x: x @ A @ x,
    "log-sum-exp": lambda x: cr.log(cr.sum(cr.exp(x))),
    "entropy": lambda x: -cr.sum(cr.softmax(x) * cr.log(cr.softmax(x))),
    "Gauss": lambda x: cr.exp(-cr.sum(x * x) / 2),
    "norm": lambda x: cr.sqrt(1 + cr.sum(x * x)),
    "network": lambda x: cr.sum(cr.tanh(A @ cr.sigmoid(A.T @ x))),
    "ratio": lambda x: x[0] * x[1] / (2 + cr.cos(x[2])),
    "sorted": lambda x: cr.sum(cr.take(x, cr.argsort(x)) ** 2 * np.array([1.0, 2.0, 4.0])),
    "cumulative": lambda x: cr.sum(cr.cumulative_sum(x) ** 3),
    "branches": lambda x: cr.sum(cr.where(x > 0, cr.sin(x), x**2)),
    "powers": lambda x: cr.sum(cr.abs(x) ** cr.stack([x[1] ** 2, x[2] ** 2, x[0] ** 2])),
    "determinant": lambda x: x[0] * x[1] - x[2] ** 2 + cr.erf(x[0]),
}
in_the_zoo = pytest.mark.parametrize("name", ZOO)
points = st.lists(st.floats(0.2, 2.0), min_size=3, max_size=3, unique=True).map(np.array)
POINT, DIRECTION = np.array([0.7, -1.2, 0.4]), np.array([0.3, 1.0, -0.8])


def numbers(fn: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """``fn`` from arrays to arrays."""
    return lambda x: np.asarray(cr.evaluate(fn(cr.constant(x))))


def differences(fn: Callable[[Array], Any], x: Array, step: float = 1e-6) -> Array:
    """The Jacobian by central differences: axes of the value, then of x."""
    columns = [
        (np.asarray(fn(x + step * e)) - np.asarray(fn(x - step * e))) / (2 * step)
        for e in np.eye(x.size)
    ]
    return np.stack(columns, axis=-1)


def close(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


# The derivatives agree


@in_the_zoo
def test_gradients_are_slopes(name: str) -> None:
    fn = ZOO[name]
    value, gradient = cr.value_and_grad(fn)(POINT)
    close(value, numbers(fn)(POINT), 1e-12)
    close(gradient, differences(numbers(fn), POINT), 1e-6)


@in_the_zoo
def test_all_ways_to_a_first_derivative_agree(name: str) -> None:
    fn = ZOO[name]
    gradient = cr.grad(fn)(POINT)
    value, pull = cr.vjp(fn, POINT)
    _, slope = cr.jvp(fn, (POINT,), (DIRECTION,))
    close(cr.jacobian(fn)(POINT), gradient)
    close(pull(1.0)[0], gradient)
    close(pull(2.5)[0], 2.5 * gradient)
    close(slope, gradient @ DIRECTION)
    x = cr.variable(POINT)
    fn(x).backward()
    close(x.grad, gradient)
    close(cr.gradient(fn(x), x).value, gradient)
    close(value, fn(x).value)


@in_the_zoo
def test_all_ways_to_a_second_derivative_agree(name: str) -> None:
    fn = ZOO[name]
    hessian = cr.hessian(fn)(POINT)
    close(hessian, differences(cr.grad(fn), POINT), 1e-5)
    close(hessian, hessian.T)
    close(cr.jacobian(cr.jacobian(fn))(POINT), hessian)
    close(cr.hvp(fn)(POINT, DIRECTION), hessian @ DIRECTION)
    reverse = cr.grad(lambda x: cr.sum(cr.grad(fn)(x) * DIRECTION))(POINT)
    close(reverse, hessian @ DIRECTION)
    forward = cr.jvp(lambda x: cr.jvp(fn, (x,), (DIRECTION,))[1], (POINT,), (DIRECTION,))[1]
    close(forward, DIRECTION @ hessian @ DIRECTION)


@given(points, st.sampled_from(sorted(ZOO)))
def test_anywhere(x: Array, name: str) -> None:
    fn = ZOO[name]
    gradient = cr.grad(fn)(x)
    close(gradient, differences(numbers(fn), x), 1e-4 * (1 + np.abs(gradient).max()))
    close(cr.hvp(fn)(x, DIRECTION), cr.hessian(fn)(x) @ DIRECTION, 1e-6)


@pytest.mark.parametrize("shape", [(), (2,), (5,), (2, 3)])
def test_jacobians_of_both_modes(shape: tuple[int, ...]) -> None:
    """Fewer outputs than inputs take reverse mode, more take forward mode."""
    B = np.random.default_rng(0).normal(size=(int(np.prod(shape)), 3))

    def fn(x: Any) -> Any:
        return cr.reshape(cr.sin(cr.constant(B) @ x), shape)

    found = cr.jacobian(fn)(POINT)
    expected = np.cos(B @ POINT)[:, None] * B
    close(found, expected.reshape(*shape, 3))
    third = cr.jacobian(cr.jacobian(fn))(POINT)
    assert third.shape == (*shape, 3, 3)
    close(third, np.einsum("i,ij,ik->ijk", -np.sin(B @ POINT), B, B).reshape(*shape, 3, 3))


def test_the_jacobian_of_an_array_of_two_axes() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3))
    found = cr.jacobian(lambda x: x.T @ x)(x)
    assert found.shape == (3, 3, 2, 3)
    unit = np.eye(3)
    close(found, np.einsum("ib,aj->ijab", unit, x) + np.einsum("jb,ai->ijab", unit, x))


def test_second_derivatives_of_linear_functions_are_zero() -> None:
    close(cr.hessian(lambda x: cr.sum(x * DIRECTION))(POINT), np.zeros((3, 3)))
    close(cr.hvp(lambda x: cr.sum(x * DIRECTION))(POINT, DIRECTION), np.zeros(3))
    close(cr.hessian(cr.max)(POINT), np.zeros((3, 3)))
    with pytest.raises(DisconnectedError):
        cr.hessian(lambda x: cr.sum(DIRECTION))(POINT)


@pytest.mark.parametrize("size", [1, 5])
def test_a_jacobian_of_what_does_not_depend_on_its_argument_is_an_error(size: int) -> None:
    """Whichever mode it would take."""
    with pytest.raises(DisconnectedError):
        cr.jacobian(lambda x: cr.constant(np.ones(size)))(POINT)


LOST: dict[str, Callable[[Any], Any]] = {
    "power 0": lambda x: cr.sum(x**0),
    "times 0": lambda x: cr.sum(x * 0.0 + 3.0),
    "difference": lambda x: cr.sum(x - x),
}


@pytest.mark.parametrize("name", LOST)
def test_the_derivative_is_zero_where_simplification_takes_the_argument_away(name: str) -> None:
    fn, zeros = LOST[name], np.zeros(3)
    assert fn(cr.variable(POINT)).value.shape == ()
    close(cr.grad(fn)(POINT), zeros)
    close(cr.vjp(fn, POINT)[1](2.0)[0], zeros)
    close(cr.jacobian(fn)(POINT), zeros)
    close(cr.jvp(fn, (POINT,), (DIRECTION,))[1], 0.0)
    close(cr.hessian(fn)(POINT), np.zeros((3, 3)))
    close(cr.hvp(fn)(POINT, DIRECTION), zeros)
    close(cr.jacobian(lambda x: fn(x) * np.ones(5))(POINT), np.zeros((5, 3)))
    close(cr.grad(lambda x: x**0)(2.0), 0.0)
    close(cr.hessian(lambda x: x**1)(2.0), 0.0)


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize(
    ("fn", "error"),
    [
        (lambda x, ones: cr.astype(cr.greater(x[0], 0) * ones, np.float64), NotDifferentiableError),
        (lambda x, ones: cr.stop_gradient(x[0]) * ones, NotDifferentiableError),
        (lambda x, ones: cr.constant(ones), DisconnectedError),
    ],
)
def test_jacobians_of_both_modes_tell_of_the_same_absence(
    fn: Callable[..., Any], error: type[GradientError], size: int
) -> None:
    with pytest.raises(error):
        cr.jacobian(lambda x: fn(x, np.ones(size)))(POINT)
    _, slope = cr.jvp(lambda x: fn(x, np.ones(size)), (POINT,), (DIRECTION,))
    close(slope, np.zeros(size))


def test_argnums_of_numpy() -> None:
    close(cr.grad(lambda x, y: x * y, np.int64(1))(2.0, 3.0), 2.0)
    close(cr.grad(lambda x, y: x * y, np.array([1, 0]))(2.0, 3.0), (2.0, 3.0))
    close(cr.jacobian(lambda x, y: x * y, np.int64(0))(2.0, 3.0), 3.0)
    close(cr.hessian(lambda x: x**3, np.int64(0))(2.0), 12.0)
    with pytest.raises(ParameterError, match=r"argnums 0\.5 must be an integer"):
        cr.grad(lambda x: x, 0.5)(1.0)  # type: ignore[arg-type]


def test_arguments_are_not_confused_with_equal_constants() -> None:
    y = cr.variable(3.0)
    close(cr.grad(lambda x, y: x * 2.0 * y)(2.0, y).value, 6.0)
    close(cr.grad(lambda x: x * 2.0)(cr.constant(2.0)).value, 2.0)
    value, slope = cr.jvp(lambda x, y: x * 2.0 * y, (2.0, y), (1.0, 0.0))
    close((value.value, slope.value), (12.0, 6.0))


def test_arguments_that_simplification_would_take_apart() -> None:
    z = cr.variable(POINT)
    slope = cr.grad(lambda x: cr.log(cr.sum(x)))(cr.exp(z))
    close(slope.value, np.full(3, 1 / np.exp(POINT).sum()))
    close(cr.jacobian(lambda x: -x)(-z).value, -np.eye(3))


def test_no_elements() -> None:
    x = np.zeros((0,))
    assert cr.grad(cr.sum)(x).shape == (0,)
    assert cr.jacobian(lambda x: x * 2)(x).shape == (0, 0)
    assert cr.hessian(lambda x: cr.sum(x * x))(x).shape == (0, 0)


def test_float32_stays_float32() -> None:
    x = POINT.astype(np.float32)
    fn = ZOO["network"]
    single = A.astype(np.float32)
    first = cr.grad(lambda x: cr.sum(cr.tanh(single @ x)))(x)
    second = cr.hessian(lambda x: cr.sum(cr.tanh(single @ x)))(x)
    assert first.dtype == second.dtype == np.float32
    assert cr.jvp(lambda x: x * x, (x,), (DIRECTION,))[1].dtype == np.float32
    assert cr.grad(fn)(x).dtype == np.float32  # of the argument's type, though A is float64


# Nesting


def test_derivatives_of_any_order() -> None:
    derivative, expected = cr.sin, [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]
    for each in expected:
        derivative = cr.grad(derivative)
        close(derivative(0.6), each(0.6))


def test_a_function_within_a_function_may_use_what_is_around_it() -> None:
    """d/dx of x d/dy (x y^2) at y = 2: the inner function is called with a plain number."""

    def outer(x: Any) -> Any:
        return x * cr.grad(lambda y: x * y * y)(2.0)

    close(cr.grad(outer)(3.0), 2 * 3.0 * 4.0)
    close(cr.hessian(outer)(3.0), 8.0)
    assert float(outer(cr.variable(3.0)).value) == 36.0

    def mixed(x: Any) -> Any:
        inner = cr.jacobian(lambda y: cr.stack([x * y[0] ** 2, y[0] * y[1]]))([1.0, 2.0])
        return cr.sum(inner) + cr.jvp(lambda y: x * y, (1.0,), (2.0,))[1]

    close(cr.grad(mixed)(3.0), 2.0 + 2.0)
    close(cr.grad(lambda x: cr.vjp(lambda y: x * y, 1.0)[1](x)[0])(3.0), 6.0)


def test_no_confusion_of_perturbations() -> None:
    """d/dx (x d/dy (x + y)) = 1, where mixed-up levels would give 2 (Siskind, Pearlmutter 2005)."""
    close(cr.grad(lambda x: x * cr.grad(lambda y: x + y)(1.0))(1.0), 1.0)
    forward = cr.jvp(lambda x: x * cr.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1]
    close(forward, 1.0)


def test_caught_variables_are_constants_of_the_function() -> None:
    w = cr.variable([1.0, 2.0])
    slope = cr.grad(lambda x: cr.sum(w * x * x))
    close(slope([1.0, 1.0]), [2.0, 4.0])
    w.value = [0.0, 1.0]
    close(slope([1.0, 1.0]), [0.0, 2.0])


def test_nodes_in_nodes_out() -> None:
    x = cr.variable(POINT)
    node = cr.grad(ZOO["product"])(x)
    assert isinstance(node, Node)
    close(node.value, differences(numbers(ZOO["product"]), POINT), 1e-6)
    x.value = POINT * 2
    close(node.value, differences(numbers(ZOO["product"]), POINT * 2), 1e-6)
    placeholder = cr.input((3,))
    hessian = cr.hessian(ZOO["product"])(placeholder)
    close(cr.evaluate(hessian, feed={placeholder: POINT}), cr.hessian(ZOO["product"])(POINT))


def test_a_caught_placeholder_gives_nodes() -> None:
    y = cr.input((), name="y")
    node = cr.grad(lambda x: x * x * y)(3.0)
    assert isinstance(node, Node)
    assert float(cr.evaluate(node, feed={y: 2.0})) == 12.0
    with pytest.raises(MissingInputError, match="'y'"):
        cr.evaluate(node)


# Arguments


class Layer(NamedTuple):
    W: Any
    b: Any


def test_trees_of_arguments_and_results() -> None:
    layers = {"first": Layer(np.ones((2, 2)), np.zeros(2)), "rest": [(np.full(2, 3.0),), None]}

    def loss(layers: Any, x: Any) -> Any:
        hidden = x @ layers["first"].W + layers["first"].b
        return cr.sum(hidden * layers["rest"][0][0])

    value, slopes = cr.value_and_grad(loss)(layers, np.array([1.0, 2.0]))
    assert float(value) == 18.0
    assert isinstance(slopes["first"], Layer)
    close(slopes["first"].W, [[3.0, 3.0], [6.0, 6.0]])
    close(slopes["rest"][0][0], [3.0, 3.0])
    assert slopes["rest"][1] is None
    (value, parts), (slope, moved) = cr.jvp(
        lambda p: (cr.sum(p["a"]), {"double": p["a"] * 2, "same": p["b"]}),
        ({"a": [1.0, 2.0], "b": 5.0},), ({"a": [0.0, 1.0], "b": 1.0},),
    )  # fmt: skip
    assert (float(value), parts["double"].tolist(), float(parts["same"])) == (3.0, [2.0, 4.0], 5.0)
    assert (float(slope), moved["double"].tolist(), float(moved["same"])) == (1.0, [0.0, 2.0], 1.0)


def test_several_results_are_pulled_back_together() -> None:
    value, pull = cr.vjp(lambda x, y: {"p": x * y, "q": cr.sin(x)}, 2.0, 3.0)
    close(value["p"], 6.0)
    x_bar, y_bar = pull({"p": 10.0, "q": 1.0})
    close(x_bar, 30.0 + np.cos(2.0))
    close(y_bar, 20.0)
    with pytest.raises(ShapeError, match=r"seed has shape \(2,\)"):
        pull({"p": [1.0, 2.0], "q": 1.0})


def test_argnums() -> None:
    def fn(x: Any, y: Any, z: Any) -> Any:
        return x * y**2 * z**3

    close(cr.grad(fn, 1)(2.0, 3.0, 5.0), 2 * 2 * 3 * 125)
    close(cr.grad(fn, -1)(2.0, 3.0, 5.0), 2 * 9 * 75)
    close(cr.grad(fn, (2, 0))(2.0, 3.0, 5.0), (2 * 9 * 75, 9 * 125))
    close(cr.hessian(fn, 1)(2.0, 3.0, 5.0), 2 * 2 * 125)
    close(cr.jacobian(fn, argnums=2)(2.0, 3.0, 5.0), 2 * 9 * 75)
    with pytest.raises(ParameterError, match="argnums 3 asks for more than the 3 arguments"):
        cr.grad(fn, 3)(2.0, 3.0, 5.0)


def test_lists_are_arrays_and_tuples_are_several() -> None:
    close(cr.grad(lambda x: cr.sum(x**2))([[1, 2], [3, 4]]), [[2, 4], [6, 8]])
    found = cr.grad(lambda pair: pair[0] ** 2 * pair[1])((3, 4))
    assert isinstance(found, tuple)
    close(found, (24.0, 9.0))
    mixed = cr.grad(lambda items: cr.sum(items[0]) * items[1])([np.ones(2), 4.0])
    assert isinstance(mixed, list)
    close(mixed[0], [4.0, 4.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.grad(lambda x: x * 2)(POINT), ShapeError, "needs a scalar; sum it"),
        (lambda: cr.grad(cr.sum)(np.arange(3)), DtypeError, "need real arguments"),
        (lambda: cr.grad(lambda x, y: x, 1)(1.0, 2.0), DisconnectedError, "does not depend on"),
        (lambda: cr.jvp(cr.sin, (np.arange(3),), (np.ones(3),)), DtypeError, "need real"),
        (lambda: cr.jvp(cr.sin, (POINT,), (np.ones(2),)), ShapeError, "tangent"),
        (lambda: cr.jacobian(lambda p: p[0] + p[1])((1.0, 2.0)), ParameterError, "one array"),
        (lambda: cr.grad(cr.sum)([[1.0], [1.0, 2.0]]), DtypeError, "array of numbers"),
        (lambda: cr.grad(cr.sum)("text"), DtypeError, "not supported"),
    ],
)  # fmt: skip
def test_refusals(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_names_tell_what_a_derivative_is_of() -> None:
    def loss(x: Any) -> Any:
        return x

    assert cr.grad(loss).__name__ == "gradient_of_loss"
    assert cr.hessian(loss).__doc__ == "The hessian of loss."


def test_calls_leave_nothing_behind() -> None:
    slope = cr.grad(ZOO["network"])
    slope(POINT)
    before = len(values._simplified), len(values._as_written)
    for _ in range(5):
        slope(POINT)
    assert (len(values._simplified), len(values._as_written)) == before
