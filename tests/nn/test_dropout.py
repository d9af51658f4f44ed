"""Dropout: rates, means, keys, and nothing at all in evaluation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.errors import ParameterError
from chainrule.nn import Dropout, Mode
from chainrule.shapes import ROWS
from tests.nn.problem import wave
from tests.nn.running import run

MASKS, UNITS = 10_000, 20


def masks(layer: Dropout) -> Any:
    """Outputs for ones, each row with a mask of its own."""
    y, _ = layer.forward(np.ones((MASKS, UNITS)), {}, {}, Mode(True, ops.random.key(1)))
    return np.asarray(y)


def check_rate(layer: Dropout, rate: float) -> None:
    """The share that is kept, and the mean, lie within 4 standard errors."""
    y = masks(layer)
    error = 4 * math.sqrt(rate * (1 - rate) / y.size)
    assert abs((y > 0).mean() - (1 - rate)) < error
    assert abs(y.mean() - 1) < error / (1 - rate)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9, 1 / 3])
def test_rate_and_mean(rate: float) -> None:
    check_rate(Dropout(rate), rate)


def test_units_are_dropped_independently() -> None:
    correlation = np.corrcoef(masks(Dropout(0.5)), rowvar=False) - np.eye(UNITS)
    assert abs(correlation).max() < 5 / math.sqrt(MASKS)


def test_an_unscaled_mask_is_caught() -> None:
    class Unscaled(Dropout):
        """A defect: what is kept does not grow."""

        def forward(self, x: Any, parameters: Any, state: Any, mode: Mode) -> Any:
            y, state = super().forward(x, parameters, state, mode)
            return y * self.keep, state

    with pytest.raises(AssertionError):
        check_rate(Unscaled(0.5), 0.5)


def test_kept_values_are_scaled_and_the_rest_is_zero() -> None:
    x = wave(50, 4) + 2.0
    y, _ = Dropout(0.25).forward(x, {}, {}, Mode(True, ops.random.key(0)))
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / 0.75, rtol=1e-15)
    assert 0 < kept.sum() < kept.size


@pytest.mark.parametrize("layer", [Dropout(0.5), Dropout(0.0)])
def test_evaluation_changes_nothing(layer: Dropout) -> None:
    x = ops.input((ROWS, 3))
    assert layer.forward(x, {}, {}, Mode(False))[0] is x
    assert Dropout(0.0).forward(x, {}, {}, Mode(True))[0] is x


def test_the_key_decides_the_mask() -> None:
    x, key = ops.input((ROWS, 8)), ops.input((2,), np.uint32)
    y, _ = Dropout(0.5).forward(x, {}, {}, Mode(True, key))
    ones = np.ones((30, 8))
    first, again, other = (run([y], {x: ones, key: ops.random.key(s)})[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    arrays, _ = Dropout(0.5).forward(ones, {}, {}, Mode(True, ops.random.key(1)))
    np.testing.assert_array_equal(first, arrays)


def test_extreme_rates_stay_unbiased() -> None:
    layer = Dropout(1 - 1e-6)
    assert layer.keep == 1 / 65536
    y, _ = layer.forward(np.ones((1000, 1000)), {}, {}, Mode(True, ops.random.key(5)))
    assert set(np.unique(y)) == {0.0, 65536.0}
    assert abs(y.mean() - 1) < 4 * math.sqrt(65536 / y.size)


def test_refusals() -> None:
    with pytest.raises(ParameterError, match=r"Dropout: rate must be a float in \[0, 1\), got 1.0"):
        Dropout(1.0)
    with pytest.raises(ParameterError, match=r"Dropout 'd' needs Mode\(training=True, key=...\)"):
        Dropout(0.5, name="d").forward(np.ones((2, 2)), {}, {}, Mode(True))
