"""First values: their spread, their independence of everything but the key."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ParameterError, ShapeError, UnknownNameError
from chainrule.nn import initializers
from chainrule.nn.initializers import INITIALIZERS, KINDS, VarianceScaling, normal, uniform
from chainrule.ops import random

DRAWS = 10**6
SHAPE = (2000, 500)
KEY = random.key(0)
FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)

# initialiser, its variance for SHAPE (n_in 2000, n_out 500), and E z^4 / variance^2 - 1
SPREADS = [
    (uniform(-1.0, 3.0), 16 / 12, 0.8, 1.0),
    (normal(0.3), 0.09, 2.0, 0.0),
    (initializers.glorot_uniform, 2 / 2500, 0.8, 0.0),
    (initializers.glorot_normal, 2 / 2500, 2.0, 0.0),
    (initializers.he_uniform, 2 / 2000, 0.8, 0.0),
    (initializers.he_normal, 2 / 2000, 2.0, 0.0),
    (initializers.lecun_uniform, 1 / 2000, 0.8, 0.0),
    (initializers.lecun_normal, 1 / 2000, 2.0, 0.0),
    (VarianceScaling(3.0, "out", "normal"), 3 / 500, 2.0, 0.0),
]


def check_spread(initializer: Any, variance: float, excess: float, mean: float) -> None:
    """Mean and variance of a million draws lie within 3 standard errors."""
    drawn = initializer(KEY, SHAPE, FLOAT64)
    assert drawn.shape == SHAPE
    assert abs(drawn.mean() - mean) < 3 * math.sqrt(variance / DRAWS)
    assert abs(drawn.var() - variance) < 3 * variance * math.sqrt(excess / DRAWS)


@pytest.mark.parametrize(("initializer", "variance", "excess", "mean"), SPREADS)
def test_spread(initializer: Any, variance: float, excess: float, mean: float) -> None:
    check_spread(initializer, variance, excess, mean)


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_a_wrong_spread_is_caught(factor: float) -> None:
    with pytest.raises(AssertionError):
        check_spread(VarianceScaling(2.0 * factor, "in", "normal"), 2 / 2000, 2.0, 0.0)


def test_uniform_stays_within_its_bounds() -> None:
    drawn = initializers.glorot_uniform(KEY, (300, 200), FLOAT32)
    limit = math.sqrt(6 / 500)
    assert -limit <= drawn.min() < -0.99 * limit
    assert 0.99 * limit < drawn.max() <= limit


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.1, 3.0))
def test_orthogonal(n_in: int, n_out: int, gain: float) -> None:
    W = initializers.orthogonal(gain)(KEY, (n_in, n_out), FLOAT64)
    product = W.T @ W if n_in >= n_out else W @ W.T
    np.testing.assert_allclose(product, gain**2 * np.eye(min(n_in, n_out)), atol=1e-12)


def test_orthogonal_is_uniform_over_rotations() -> None:
    signs = [
        initializers.orthogonal()(random.key(seed), (1, 1), FLOAT64)[0, 0] for seed in range(200)
    ]
    assert 60 < sum(sign > 0 for sign in signs) < 140


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_key_decides(name: str) -> None:
    initializer = INITIALIZERS[name]
    first, again = (initializer(KEY, (4, 3), FLOAT32) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == FLOAT32
    if name not in ("zeros", "constant"):
        assert not np.array_equal(first, initializer(random.key(1), (4, 3), FLOAT32))


def test_constants() -> None:
    np.testing.assert_array_equal(initializers.zeros(KEY, (2,), FLOAT32), [0.0, 0.0])
    np.testing.assert_array_equal(initializers.constant(1.5)(KEY, (2,), FLOAT32), [1.5, 1.5])


@pytest.mark.parametrize("initializer", [initializers.he_normal, initializers.orthogonal()])
def test_a_vector_has_no_fan(initializer: Any) -> None:
    with pytest.raises(ShapeError, match=r"is for matrices of weights, got shape \(3,\)"):
        initializer(KEY, (3,), FLOAT32)


def test_refusals() -> None:
    with pytest.raises(ParameterError, match=r"uniform needs low <= high, got 1\.0 and 0\.0"):
        uniform(1.0, 0.0)
    with pytest.raises(ParameterError, match="std must be a float >= 0, got -1"):
        normal(-1.0)
    with pytest.raises(ParameterError, match="fan must be 'in' or 'out' or 'average'"):
        VarianceScaling(1.0, "both")
    with pytest.raises(UnknownNameError, match="did you mean 'orthogonal'"):
        initializers.get("ortogonal")
    with pytest.raises(ParameterError, match="an initializer is a name or a record"):
        initializers.get(initializers.Normal)


def test_every_kind_can_be_read_from_a_file() -> None:
    assert {type(each).__name__ for each in INITIALIZERS.values()} == set(KINDS)
