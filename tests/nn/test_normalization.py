"""Normalising layers: what comes out has mean 0 and variance 1, and one row is no batch."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import ShapeError
from chainrule.nn import BatchNorm, LayerNorm, Mode
from tests.nn.problem import wave
from tests.nn.running import run_layer

X = 5.0 * wave(40, 3) + np.array([100.0, -3.0, 0.0])


def test_batch_statistics_in_training_and_running_ones_in_evaluation() -> None:
    layer = BatchNorm(3, affine=False, epsilon=1e-12)
    state = layer.initial_state()
    y, state = run_layer(layer, X, {}, state, training=True)
    np.testing.assert_allclose(y.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=0), 1.0, rtol=1e-9)
    np.testing.assert_allclose(state["running_mean"], 0.1 * X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(state["running_var"], 0.9 + 0.1 * X.var(axis=0, ddof=1), rtol=1e-12)
    y, after = run_layer(layer, X, {}, state, training=False)
    expected = (X - state["running_mean"]) / np.sqrt(state["running_var"])
    np.testing.assert_allclose(y, expected, rtol=1e-9)
    np.testing.assert_array_equal(after["running_mean"], state["running_mean"])


def test_running_statistics_tend_to_the_data() -> None:
    layer = BatchNorm(3, momentum=0.5)
    values = {"gamma": np.ones(3), "beta": np.zeros(3)}
    state = layer.initial_state()
    for _ in range(60):
        _, state = run_layer(layer, X, values, state, training=True)
    np.testing.assert_allclose(state["running_mean"], X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(state["running_var"], X.var(axis=0, ddof=1), rtol=1e-12)


def test_statistics_over_all_axes_but_the_last() -> None:
    x = wave(4, 5, 3)
    y, _ = BatchNorm(3, affine=False).forward(x, {}, BatchNorm(3).initial_state(), Mode(True))
    flat, _ = BatchNorm(3, affine=False).forward(
        x.reshape(20, 3), {}, BatchNorm(3).initial_state(), Mode(True)
    )
    np.testing.assert_allclose(y.reshape(20, 3), flat, rtol=1e-12)


def test_one_row_is_no_batch() -> None:
    layer = BatchNorm(3, name="norm")
    with pytest.raises(ShapeError, match="BatchNorm 'norm' needs at least two rows in training"):
        layer.forward(X[:1], {}, layer.initial_state(), Mode(True))
    assert BatchNorm.needs_batch_statistics
    assert not LayerNorm.needs_batch_statistics


def test_layer_norm_looks_at_one_row_only() -> None:
    layer = LayerNorm(3, affine=False, epsilon=1e-12)
    y, _ = layer.forward(X, {}, {}, Mode(True))
    alone, _ = layer.forward(X[:1], {}, {}, Mode(False))
    np.testing.assert_allclose(y[:1], alone, rtol=1e-12)
    np.testing.assert_allclose(y.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=1), 1.0, rtol=1e-9)


def test_values_far_from_zero_keep_their_variance() -> None:
    x = (1e6 + wave(64, 1)).astype(np.float64)
    y, _ = BatchNorm(1, affine=False).forward(x, {}, BatchNorm(1).initial_state(), Mode(True))
    np.testing.assert_allclose(y.var(), 1.0, rtol=1e-4)
