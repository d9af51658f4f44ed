"""Gradients of several steps for one update: the same as a batch that much larger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.errors import ParameterError
from chainrule.nn import Activation, Linear, Network
from chainrule.optim import SGD, Adam, AdamW, Optimizer, RMSProp, schedules
from chainrule.shapes import Array
from chainrule.training import DivergenceWarning, EarlyStopping

generator = np.random.default_rng(0)
X = generator.standard_normal((96, 3))
Y = np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:]

OPTIMIZERS: list[Any] = [
    (SGD, {"momentum": 0.9, "nesterov": True}),
    (Adam, {"weight_decay": 0.1, "clip_norm": 0.3}),
    (AdamW, {"clip_value": 0.2, "maximize": True}),
    (RMSProp, {"momentum": 0.5}),
]


def after(optimizer: Optimizer, gradients: Array, scale: float = 1.0) -> tuple[Any, Any]:
    """Parameters and state after steps with these gradients."""
    parameters = {"W": np.array([[1.0, -2.0], [0.5, 3.0]]), "b": np.zeros(2, np.float32)}
    state = optimizer.init(parameters)
    for each in gradients:
        state = {**state, "scale": np.asarray(scale)}
        slopes = {"W": each, "b": each[0].astype(np.float32)}
        parameters, state = optimizer.update(parameters, slopes, state)
    return parameters, state


@pytest.mark.parametrize(("kind", "settings"), OPTIMIZERS)
def test_an_update_takes_the_mean_of_the_gradients(kind: Any, settings: Any) -> None:
    gradients = generator.standard_normal((12, 2, 2))
    found, state = after(kind(0.1, accumulate=4, **settings), gradients)
    expected, other = after(kind(0.1, **settings), gradients.reshape(3, 4, 2, 2).mean(axis=1))
    assert (state["step"], state["waiting"]) == (other["step"], 0)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-6)
    for one, twin in zip(state["slots"].values(), other["slots"].values(), strict=True):
        for name, array in twin.items():
            np.testing.assert_allclose(one[name], array, rtol=1e-5)


def test_steps_between_updates_leave_parameters_as_they_are() -> None:
    gradients = generator.standard_normal((3, 2, 2))
    found, state = after(Adam(0.1, accumulate=4, weight_decay=0.1), gradients)
    start, _ = after(Adam(0.1), gradients[:0])
    assert all(np.array_equal(found[name], start[name]) for name in start)
    assert (state["step"], state["waiting"]) == (0, 3)
    np.testing.assert_allclose(state["sums"]["W"], gradients.sum(axis=0))


def test_a_state_has_no_sums_where_nothing_is_accumulated() -> None:
    assert "sums" not in SGD(0.1).init([np.ones(2)])


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_numbers_of_steps_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(ParameterError, match="accumulate must be an int >= 1"):
        SGD(0.1, accumulate=wrong)


def trained(engine: Any, batch_size: int, accumulate: int, **options: Any) -> tuple[Any, Any]:
    """A network, and its losses, after batches of a size and updates after some of them."""
    model = Network([Linear(3, 8), Activation("tanh"), Linear(8, 1)], seed=2, dtype="float64")
    optimizer = Adam(schedules.Cosine(0.05), accumulate=accumulate)
    history = model.fit(
        X, Y, optimizer=optimizer, epochs=5, batch_size=batch_size, seed=4, engine=engine,
        progress=False, **options,
    )  # fmt: skip
    return model, history


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("options", [{}, {"members": 2}, {"l2": 0.01}], ids=str)
def test_a_network_learns_what_larger_batches_teach(engine: str, options: Any) -> None:
    large, expected = trained(engine, 24, 1, **options)
    small, found = trained(engine, 6, 4, **options)
    for layer, twin in zip(large.layers[::2], small.layers[::2], strict=True):
        for name, array in layer.values.items():
            np.testing.assert_allclose(twin.values[name], array, rtol=1e-9)
    for column in ("loss", "gradient_norm"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-9)
    assert found.step_losses.shape[1] == 4 * expected.step_losses.shape[1]


def test_steps_of_two_epochs_may_make_an_update_together() -> None:
    model, _ = trained("reference", 32, 2)  # three batches an epoch
    other, _ = trained("native", 32, 2)
    for layer, twin in zip(model.layers[::2], other.layers[::2], strict=True):
        np.testing.assert_allclose(layer.W, twin.W, rtol=1e-9)


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_an_epoch_without_an_update_tells_no_norm(engine: str) -> None:
    history = trained(engine, 48, 3)[1]  # two batches an epoch: updates in epochs 2, 3 and 5
    assert np.isnan(history["gradient_norm"]).tolist() == [True, False, False, True, False]


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize(("patience", "epochs"), [(1, 1), (2, 5)])
def test_early_stopping_by_a_norm_that_is_not_told(engine: str, patience: int, epochs: int) -> None:
    """An epoch without an update is no improvement, and no divergence, which would be warned of."""
    model, history = trained(
        engine, 48, 3, early_stopping=EarlyStopping(patience, monitor="gradient_norm")
    )
    assert history.epochs == epochs and np.isnan(history["gradient_norm"][0])
    assert history.best_epoch in (None, *np.flatnonzero(~np.isnan(history["gradient_norm"])))
    assert (history.best_epoch is None) == (epochs == 1)
    assert np.isfinite(model.predict(X)).all()


def test_members_that_diverge_are_told_whatever_is_watched() -> None:
    model = Network([Linear(3, 8), Activation("relu"), Linear(8, 1)], seed=0)
    with pytest.warns(DivergenceWarning):
        model.fit(
            X, Y, optimizer=SGD(1e30), epochs=5, batch_size=48, seed=0, progress=False,
            early_stopping=EarlyStopping(2, monitor="gradient_norm"),
        )  # fmt: skip
