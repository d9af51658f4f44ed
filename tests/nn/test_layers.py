"""What layers compute, the shapes they take, their derivatives, and their settings in files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.errors import FileFormatError, ParameterError, ShapeError, UnknownNameError
from chainrule.nn import (
    ELU,
    LAYERS,
    PCA,
    Activation,
    BatchNorm,
    Dropout,
    Embedding,
    Flatten,
    Function,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    Mode,
    Normalize,
    PolynomialFeatures,
    PReLU,
    ReLU,
    RobustScale,
    Sigmoid,
    Softmax,
    Standardize,
    Tanh,
    Whiten,
    initializers,
    layer_from_settings,
)
from chainrule.nn.tabular import TableInput
from chainrule.testing import check_gradients
from tests.nn.problem import wave
from tests.planting import planted

KEY = ops.random.key(3)
BATCH = wave(5, 4) + np.linspace(-1.0, 1.0, 4)

# every kind of layer, with settings that are not the defaults
MADE: list[Layer] = [
    Linear(4, 3, weights="orthogonal", biases=initializers.constant(0.1), name="first"),
    Linear(4, 3, bias=False),
    Activation(LeakyReLU(0.2), name="leaky"),
    Activation(PReLU(4)),
    Activation(Softmax(temperature=2.0)),
    Dropout(0.25),
    BatchNorm(4, momentum=0.3, epsilon=1e-3, affine=False),
    BatchNorm(4),
    LayerNorm(4, epsilon=1e-3),
    Embedding(10, 3, weights=initializers.uniform(-1.0, 1.0)),
    Flatten(name="flat"),
    Standardize(unit_variance=False),
    Normalize(-1.0, 2.0),
    RobustScale(),
    PCA(2),
    Whiten("zca"),
    PolynomialFeatures(3, interaction_only=True),
    TableInput(2, 1, (3,), bins=0, masking=0.2),
]


def state_of(layer: Layer) -> dict[str, Any]:
    return layer.fit(BATCH) if layer.needs_fit else layer.initial_state()


def test_linear_is_an_affine_map() -> None:
    W, b = wave(4, 3), wave(3)
    y, state = Linear(4, 3).forward(BATCH, {"W": W, "b": b}, {}, Mode(True))
    np.testing.assert_allclose(y, BATCH @ W + b, rtol=1e-15)
    assert state == {}
    y, _ = Linear(4, 3, bias=False).forward(BATCH, {"W": W}, {}, Mode(True))
    np.testing.assert_allclose(y, BATCH @ W, rtol=1e-15)


def test_only_weights_are_penalized() -> None:
    parameters = {**Linear(4, 3).parameters(), **BatchNorm(3).parameters()}
    penalized = [name for name, parameter in parameters.items() if parameter.penalized]
    assert penalized == ["W"]


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (None, initializers.glorot_uniform),
        (Tanh(), initializers.glorot_uniform),
        (Sigmoid(), initializers.glorot_uniform),
        (np.cos, initializers.glorot_uniform),
        (ReLU(), initializers.he_normal),
    ],
)
def test_default_weights_suit_what_follows(activation: Any, expected: Any) -> None:
    layer = Linear(2, 3)
    layer.following = activation
    found = layer.parameters()["W"].initializer
    assert found.scale == pytest.approx(expected.scale, rel=1e-12)
    assert (found.fan, found.distribution) == (expected.fan, expected.distribution)


def test_embedding_reads_rows() -> None:
    W = wave(5, 2)
    layer = Embedding(5, 2)
    for x in ([[0, 3], [4, 4]], [[0.0, 3.0], [4.0, 4.0]]):
        y, _ = layer.forward(np.array(x), {"W": W}, {}, Mode(False))
        np.testing.assert_array_equal(y, W[np.array(x, int)])
    assert layer.output_shape((2,)) == (2, 2)
    with pytest.raises(IndexError, match="index 5 is outside an axis of 5"):
        layer.forward(np.array([[5]]), {"W": W}, {}, Mode(False))


def test_flatten() -> None:
    x = wave(2, 3, 4)
    y, _ = Flatten().forward(x, {}, {}, Mode(False))
    np.testing.assert_array_equal(y, x.reshape(2, 12))
    assert Flatten().output_shape((3, 4)) == (12,)


def test_a_function_as_a_layer() -> None:
    layer = Function(lambda x: ops.concat([x, ops.sin(x)], axis=1), name="waves")
    assert layer.output_shape((3,)) == (6,)
    y, _ = layer.forward(BATCH, {}, {}, Mode(True))
    np.testing.assert_allclose(y, np.concatenate([BATCH, np.sin(BATCH)], axis=1))
    with pytest.raises(
        ShapeError, match=r"Function 'total' must give a node whose first axis is ROWS"
    ):
        Function(ops.sum, name="total").output_shape((3,))
    with pytest.raises(ParameterError, match="Function takes a callable, got 'sin'"):
        Function("sin")


def test_a_function_as_an_activation_cannot_be_saved() -> None:
    layer = Activation(ops.sin, name="wave")
    np.testing.assert_allclose(layer.forward(BATCH, {}, {}, Mode(True))[0], np.sin(BATCH))
    assert not layer.probabilities
    with pytest.raises(ParameterError, match=r"Activation 'wave': function is .* no file can hold"):
        layer.settings()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Linear(10, 2, name="middle"), (12,), "Linear 'middle' takes 10 features but 'a' gives 12"),
        (BatchNorm(3), (4,), "BatchNorm takes 3 features but 'a' gives 4"),
        (LayerNorm(3), (2, 4), r"LayerNorm takes 3 features but 'a' gives rows of shape \(2, 4\)"),
        (Activation(PReLU(3)), (4,), "Activation takes 3 features but 'a' gives 4"),
        (Linear(3, 2), (), r"Linear takes 3 features but 'a' gives rows of shape \(\)"),
        (PCA(5), (4,), "PCA keeps 5 components but 'a' gives 4 features"),
        (PCA(2), (4, 3), r"PCA takes features but 'a' gives \(4, 3\)"),
        (PolynomialFeatures(), (4, 3), r"PolynomialFeatures takes features but 'a' gives \(4, 3\)"),
    ],
)
def test_shapes_that_do_not_fit(layer: Layer, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer.output_shape(shape, "'a'")


@pytest.mark.parametrize("layer", MADE, ids=repr)
def test_output_has_the_shape_that_was_foretold(layer: Layer) -> None:
    x = np.array([[1, 2], [3, 4]]) if isinstance(layer, Embedding) else BATCH
    values = {
        name: each.initializer(KEY, each.shape, np.dtype(np.float64))
        for name, each in layer.parameters().items()
    }
    for mode in (Mode(True, KEY), Mode(False)):
        y, _ = layer.forward(x, values, state_of(layer), mode)
        assert y.shape[1:] == layer.output_shape(x.shape[1:])
    node = ops.input((ops.shape_of(x)[0], *x.shape[1:]), x.dtype)
    assert layer.forward(node, values, state_of(layer), Mode(True, KEY))[0].shape == y.shape


@pytest.mark.parametrize("layer", MADE, ids=repr)
@pytest.mark.parametrize("training", [True, False])
def test_derivatives_are_right_to_second_order(layer: Layer, training: bool) -> None:
    state = state_of(layer)
    names = list(layer.parameters())
    arrays = [wave(*layer.parameters()[name].shape) for name in names]

    def output(x: Any, *values: Any) -> Any:
        mode = Mode(training, KEY)
        y, _ = layer.forward(x, dict(zip(names, values, strict=True)), state, mode)
        return y if training else ops.tanh(0.1 * y)

    x = np.array([[1, 2], [3, 1]]) if isinstance(layer, Embedding) else BATCH
    check_gradients(output, x, *arrays)


def test_a_wrong_derivative_is_caught() -> None:
    with (
        planted("tanh", partials=(lambda y, x: 1 - y,)) as name,
        pytest.raises(AssertionError, match="derivative of order 1"),
    ):
        check_gradients(
            lambda x: Activation(defective(name)).forward(x, {}, {}, Mode(True))[0], BATCH
        )


def defective(name: str) -> Any:
    from chainrule.graph.op import registered
    from chainrule.ops.build import Operation

    return Operation(registered()[name])


@pytest.mark.parametrize("layer", MADE, ids=repr)
def test_settings_make_the_same_layer_after_a_file(layer: Layer) -> None:
    settings = json.loads(json.dumps(layer.settings()))
    twin = layer_from_settings(type(layer).__name__, settings)
    assert type(twin) is type(layer)
    assert repr(twin) == repr(layer)
    assert twin.settings() == layer.settings()


@pytest.mark.parametrize("layer", MADE, ids=repr)
def test_arrays_can_be_bound_beside_the_settings(layer: Layer) -> None:
    layer = layer_from_settings(type(layer).__name__, layer.settings())
    layer.values = {name: np.zeros(each.shape) for name, each in layer.parameters().items()}
    layer.state = state_of(layer)
    for name, array in {**layer.values, **layer.state}.items():
        assert getattr(layer, name) is array


def test_every_layer_is_in_the_lists() -> None:
    assert {type(layer).__name__ for layer in MADE} == set(LAYERS)


@pytest.mark.parametrize(
    ("kind", "settings", "error", "message"),
    [
        ("Liner", {}, UnknownNameError, "unknown layer 'Liner'; did you mean 'Linear'"),
        ("Layer", {}, UnknownNameError, "unknown layer 'Layer'"),
        (["Linear"], {}, UnknownNameError, "unknown layer"),
        ("Linear", {"n_in": 2}, FileFormatError, "layer Linear cannot be made from its settings"),
        ("Dropout", {"rat": 1}, FileFormatError, "layer Dropout has no setting 'rat'"),
        ("Dropout", {"rate": 2.0}, ParameterError, r"rate must be a float in \[0, 1\)"),
        ("Dropout", {"rate": "0.5"}, ParameterError, r"rate must be a float in \[0, 1\)"),
        ("Activation", {"function": {"kind": "os.system"}}, UnknownNameError, "activation"),
        ("Activation", {"function": {"kind": ["ReLU"]}}, UnknownNameError, "activation"),
        ("Activation", {"function": None}, ParameterError, "an activation is a name"),
    ],
)
def test_a_file_can_ask_for_nothing_else(
    kind: Any, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        layer_from_settings(kind, settings)


def test_settings_of_activations_survive() -> None:
    assert Activation(ELU(0.5)).settings() == {
        "name": None,
        "function": {"kind": "ELU", "alpha": 0.5},
    }
