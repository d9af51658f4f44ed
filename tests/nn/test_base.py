"""A layer's settings, and the arrays that a network binds to it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from chainrule.errors import DtypeError, ParameterError, ShapeError, UnknownNameError
from chainrule.nn import Activation, BatchNorm, Layer, Linear, Mode, Named, ReLU
from chainrule.nn.base import read_only
from chainrule.optim.settings import POSITIVE, setting


def bound() -> Linear:
    """A layer as a network leaves it."""
    layer = Linear(2, 3, name="middle")
    layer.values = {
        "W": read_only(np.ones((2, 3), np.float32)),
        "b": read_only(np.zeros(3, np.float32)),
    }
    return layer


def test_bound_arrays_are_attributes() -> None:
    layer = bound()
    layer.gradients = {"W": np.full((2, 3), 2.0), "b": np.full(3, 4.0)}
    assert layer.W is layer.values["W"]
    assert layer.b is layer.values["b"]
    np.testing.assert_array_equal(layer.gradient_w, np.full((2, 3), 2.0))
    np.testing.assert_array_equal(layer.gradient_b, np.full(3, 4.0))


def test_state_is_an_attribute() -> None:
    layer = BatchNorm(2)
    layer.state = layer.initial_state()
    layer.running_mean = [1, 2]
    np.testing.assert_array_equal(layer.state["running_mean"], [1.0, 2.0])
    assert layer.running_mean.dtype == np.float64


def test_assignment_stores_a_read_only_copy() -> None:
    layer, mine = bound(), np.arange(6.0).reshape(2, 3)
    before = layer.values
    layer.W = mine
    mine[0, 0] = 100.0
    np.testing.assert_array_equal(layer.W, np.arange(6.0).reshape(2, 3))
    assert layer.W.dtype == np.float32
    assert not layer.W.flags.writeable
    np.testing.assert_array_equal(before["W"], 1.0)  # whoever held the old set still has it


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones((3, 2)), ShapeError, r"Linear 'middle': W has shape \(2, 3\).*assigned \(3, 2\)"),
        (np.ones((2, 3), bool) * 1j, DtypeError, "complex"),
        ([["a"] * 3] * 2, DtypeError, "not supported"),
    ],
)
def test_assignment_refuses_what_does_not_fit(
    value: Any, error: type[Exception], message: str
) -> None:
    layer = bound()
    with pytest.raises(error, match=message):
        layer.W = value
    np.testing.assert_array_equal(layer.W, 1.0)


def test_arrays_before_there_are_any() -> None:
    with pytest.raises(AttributeError, match=r"Linear 'a' has no 'W'.*once a Network has taken it"):
        _ = Linear(2, 3, name="a").W
    with pytest.raises(AttributeError, match=r"no gradient_w before model\.backward"):
        _ = bound().gradient_w
    with pytest.raises(AttributeError, match="unknown attribute of Linear 'middle' 'gradient_q'"):
        _ = bound().gradient_q


def test_arrays_assigned_too_early_are_not_lost_silently() -> None:
    layer = Linear(2, 3)
    layer.W = np.ones((2, 3))
    with pytest.raises(ParameterError, match="Linear was given W before it had arrays"):
        layer.values = {"W": np.zeros((2, 3))}


def test_settings_are_fixed_but_the_name() -> None:
    layer = Linear(2, 3)
    layer.name = "first"
    assert layer.label == "Linear 'first'"
    with pytest.raises(AttributeError, match="settings of Linear 'first' are fixed"):
        layer.n_in = 5
    assert layer.n_in == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(0, 3), "Linear: n_in must be an int >= 1, got 0"),
        (lambda: Linear(2, 2.5), "Linear: n_out must be an int >= 1, got 2.5"),
        (lambda: Linear(2, 3, bias=1), "Linear: bias must be True or False, got 1"),
        (lambda: Linear(2, 3, name=""), "Linear: name must be None or text"),
        (lambda: BatchNorm(3, momentum=1.5), r"momentum must be a float in \[0, 1\], got 1.5"),
        (lambda: Linear(2, 3, weights=0.1), "an initializer is a name or a record"),
        (lambda: Activation(3), "an activation is a name, a record such as ReLU"),
        (lambda: Activation(ReLU), r"an activation is made by calling its class: ReLU\(\)"),
    ],
)
def test_settings_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        Activation("rellu")
    with pytest.raises(UnknownNameError, match="did you mean 'he_normal'"):
        Linear(2, 3, weights="he_norml")


def test_shown_without_defaults() -> None:
    assert (
        repr(Linear(2, 3, bias=False, name="a")) == "Linear(n_in=2, n_out=3, bias=False, name='a')"
    )


def test_copies_are_layers_of_their_own() -> None:
    layer = bound()
    twin = copy.deepcopy(layer)
    twin.W = np.zeros((2, 3))
    np.testing.assert_array_equal(layer.W, 1.0)
    assert twin.name == "middle"


def test_a_layer_of_ones_own() -> None:
    @dataclass(eq=False, repr=False)
    class Scale(Layer):
        factor: float = setting(POSITIVE, 2.0)

        def forward(self, x: Any, parameters: Any, state: Any, mode: Mode) -> Any:
            return x * self.factor, state

    class Late(Layer):
        def __init__(self) -> None:
            super().__init__(name="late")
            self.k = 3

    assert Scale(3.0, name="s").settings() == {"name": "s", "factor": 3.0}
    assert Scale().forward(np.ones(2), {}, {}, Mode(False))[0].tolist() == [2.0, 2.0]
    assert Late().k == 3
    with pytest.raises(TypeError, match="Late must define forward"):
        Late().forward(1.0, {}, {}, Mode(False))


def test_named_entries() -> None:
    p = Named({"W": 1})
    assert (p.W, p["W"], list(p)) == (1, 1, ["W"])
    with pytest.raises(AttributeError, match="there is no 'b' here, only W"):
        _ = p.b
