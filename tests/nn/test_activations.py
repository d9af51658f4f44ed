"""What activations say of themselves is true: slopes far out, sizes, ranges, derivatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import norm

from chainrule import ops
from chainrule.errors import ParameterError
from chainrule.nn import (
    CELU,
    ELU,
    GELU,
    SELU,
    Activation,
    ActivationFunction,
    Identity,
    LeakyReLU,
    PReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    activations,
)
from chainrule.nn.activations import ACTIVATIONS
from chainrule.testing import check_gradients
from tests.nn.running import value_and_gradient

SMOOTH_POINTS = np.array([-7.3, -2.2, -0.7, -0.2, 0.3, 0.8, 1.7, 2.4, 7.1])  # away from all kinks
ELEMENTWISE: list[ActivationFunction] = [
    *[kind() for kind in ACTIVATIONS if kind is not Softmax],
    LeakyReLU(0.3),
    ELU(0.5),
    CELU(2.0),
    GELU("tanh"),
]
# the lectures' classes: which derivatives die out on both sides
SATURATING = {"Sign", "Sigmoid", "Tanh", "HardTanh", "HardSigmoid", "Softsign"}


def derivative(function: Any, points: Any) -> Any:
    x = ops.input(points.shape)
    return value_and_gradient(function(x), {x: points}, np.ones(points.shape))[1]


@pytest.mark.parametrize("function", ELEMENTWISE, ids=repr)
def test_derivatives_are_finite_differences(function: ActivationFunction) -> None:
    check_gradients(function, SMOOTH_POINTS)


@pytest.mark.parametrize("function", ELEMENTWISE, ids=repr)
def test_slopes_are_the_limits_of_the_derivative(function: ActivationFunction) -> None:
    low, high = function.slopes
    far = np.array([-1e4, 1e4])
    np.testing.assert_allclose(derivative(function, far), [low, high], atol=1e-6)


def test_wrong_slopes_are_caught() -> None:
    class Leaky(ActivationFunction, function=ops.leaky_relu, slopes=(0.0, 1.0)):
        """A defect: it says that it has no slope below 0."""

    with pytest.raises(AssertionError):
        test_slopes_are_the_limits_of_the_derivative(Leaky())


def test_saturating_ones() -> None:
    assert {type(f).__name__ for f in ELEMENTWISE if f.saturating} == SATURATING


@pytest.mark.parametrize("function", ELEMENTWISE, ids=repr)
def test_values_lie_where_they_are_said_to(function: ActivationFunction) -> None:
    values = function(np.linspace(-20.0, 20.0, 401))
    assert (values.min() > 0) == function.positive
    assert not function.probabilities or values.max() <= 1


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (Identity(), 1.0),
        (ReLU(), math.sqrt(2)),
        (LeakyReLU(0.3), math.sqrt(2 / (1 + 0.3**2))),
        (PReLU(), math.sqrt(2 / (1 + 0.25**2))),
        (SELU(), 1.0),
    ],
    ids=repr,
)
def test_gain_of_published_cases(function: ActivationFunction, expected: float) -> None:
    assert function.gain == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("function", ELEMENTWISE, ids=repr)
def test_gain_keeps_the_mean_square(function: ActivationFunction) -> None:
    def square(z: float) -> float:
        return float(function(z)) ** 2 * float(norm.pdf(z))

    mean_square, _ = integrate.quad(square, -12, 12, points=[-3, -1, 0, 1, 3], limit=200)
    assert function.gain == pytest.approx(mean_square**-0.5, rel=1e-6)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_softmax_needs_a_positive_temperature(temperature: float) -> None:
    with pytest.raises(ParameterError, match="temperature must be a float > 0"):
        Softmax(temperature=temperature)


def test_softmax_by_definition() -> None:
    z = np.array([[2.0, 1.0, 0.1], [1000.0, 0.0, -1000.0]])
    raised = np.exp((z - z.max(axis=1, keepdims=True)) / 2)
    expected = raised / raised.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Softmax(temperature=2.0)(z), expected, rtol=1e-14)
    assert Softmax().probabilities
    assert Activation(Softmax()).probabilities
    assert not Activation("relu").probabilities


def test_prelu_learns_its_slope() -> None:
    layer = Activation(PReLU(3, initial=0.1))
    parameter = layer.parameters()["slope"]
    slope = parameter.initializer(np.zeros(2, np.uint32), parameter.shape, np.dtype("float32"))
    np.testing.assert_array_equal(slope, np.full(3, 0.1, np.float32))
    assert not parameter.penalized


def test_tanh_is_a_stretched_sigmoid() -> None:
    z = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(Tanh()(z), 2 * Sigmoid()(2 * z) - 1, atol=1e-15)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_names(kind: type[ActivationFunction]) -> None:
    assert activations.get(kind.__name__) == kind()
    assert activations.get(kind.__name__.lower()) == kind()


def test_equal_settings_are_equal() -> None:
    assert ReLU() == ReLU()
    assert ReLU() != Tanh()
    assert LeakyReLU(0.1) == LeakyReLU(0.1) != LeakyReLU(0.2)
