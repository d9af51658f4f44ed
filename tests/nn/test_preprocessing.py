"""Preprocessing layers against their definitions and scikit-learn's, on awkward columns too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import decomposition, preprocessing

from chainrule.errors import DataError, NotFittedError, ParameterError, ShapeError
from chainrule.nn import (
    PCA,
    Layer,
    Mode,
    Normalize,
    PolynomialFeatures,
    RobustScale,
    Standardize,
    Whiten,
)
from chainrule.nn.preprocessing import principal_axes
from tests.nn.problem import wave
from tests.nn.running import run_layer

X = wave(60, 4) @ np.triu(wave(4, 4, phase=3.0) + 2.0) + np.array([5.0, -100.0, 0.0, 1e3])
FRESH = wave(9, 4, phase=5.0) * 10.0


def transformed(layer: Layer, train: Any, x: Any) -> Any:
    """``x`` as the layer gives it after learning from ``train``, by graph; state stays."""
    state = layer.fit(train)
    y, after = run_layer(layer, x, {}, state, training=True)
    assert all(np.array_equal(after[name], state[name]) for name in state)
    return y


@pytest.mark.parametrize("size", [1e-200, 1e160, 1e300])
@pytest.mark.parametrize("layer", [Standardize(), Normalize(), RobustScale()], ids=repr)
def test_features_whose_squares_are_no_numbers_are_scaled(layer: Any, size: float) -> None:
    """As those of a usual size are, beside which they lie."""
    usual, far = layer.fit(X), layer.fit(X * [size, 1, 1, size])
    for name, expected in usual.items():
        np.testing.assert_allclose(far[name] / [size, 1, 1, size], expected, rtol=1e-12)
        np.testing.assert_array_equal(far[name][1:3], expected[1:3])
    widest = Normalize().fit(np.array([[-1.7e308], [1.7e308]]))
    assert np.isfinite(widest["scale"]).all()


SCIKIT_LEARNS = [
    (Standardize(), preprocessing.StandardScaler()),
    (Standardize(unit_variance=False), preprocessing.StandardScaler(with_std=False)),
    (Normalize(), preprocessing.MinMaxScaler()),
    (Normalize(-1.0, 3.0), preprocessing.MinMaxScaler((-1.0, 3.0))),
    (RobustScale(), preprocessing.RobustScaler()),
]


@pytest.mark.parametrize(("layer", "theirs"), SCIKIT_LEARNS, ids=repr)
def test_scaling_is_scikit_learns(layer: Layer, theirs: Any) -> None:
    found = transformed(layer, X, FRESH)
    np.testing.assert_allclose(found, theirs.fit(X).transform(FRESH), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("layer", "theirs"), SCIKIT_LEARNS, ids=repr)
def test_columns_that_do_not_vary(layer: Layer, theirs: Any) -> None:
    train = X.copy()
    train[:, 1], train[:, 2] = 0.1, -7.0
    found = transformed(layer, train, train)
    np.testing.assert_allclose(found, theirs.fit_transform(train), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("components", [1, 2, 4, None])
def test_pca_is_scikit_learns_up_to_signs(components: int | None) -> None:
    theirs = decomposition.PCA(components).fit(X)
    layer = PCA(components)
    found = transformed(layer, X, FRESH)
    expected = theirs.transform(FRESH)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-8)
    variances = layer.fit(X)["explained_variance"]
    np.testing.assert_allclose(variances * 60 / 59, theirs.explained_variance_, rtol=1e-8)


def test_axes_point_to_their_greatest_element() -> None:
    _, axes = principal_axes(X)
    assert (axes[np.abs(axes).argmax(axis=0), range(4)] > 0).all()
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-13)


@pytest.mark.parametrize("method", ["pca", "zca"])
def test_whitened_covariance_is_the_identity(method: str) -> None:
    y = transformed(Whiten(method), X, X)
    assert abs(y.mean(axis=0)).max() < 1e-9
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(4), atol=1e-9)


def test_zca_stays_closer_to_the_features() -> None:
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    distances = [
        np.square(transformed(Whiten(method), scaled, scaled) - scaled).sum()
        for method in ("zca", "pca")
    ]
    assert distances[0] < distances[1]


def test_directions_that_do_not_vary_become_zero() -> None:
    train = X.copy()
    train[:, 3] = 2.0 * train[:, 0] - 3.0  # rank 3
    y = transformed(Whiten(), train, train)
    np.testing.assert_allclose(y.T @ y / len(y), np.diag([1.0, 1.0, 1.0, 0.0]), atol=1e-9)
    few = transformed(Whiten("zca"), X[:2], X[:2])
    assert np.isfinite(few).all()
    np.testing.assert_allclose(np.linalg.eigvalsh(few.T @ few / 2), [0, 0, 0, 1], atol=1e-9)


rows = st.tuples(st.integers(1, 30), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-1e6, 1e6))
)


@given(rows)
def test_any_rows_give_finite_features_within_bounds(train: Any) -> None:
    normalized = transformed(Normalize(), train, train)
    assert normalized.min() >= -1e-9
    assert normalized.max() <= 1 + 1e-9
    for layer in (Standardize(), RobustScale(), PCA(), Whiten(), Whiten("zca")):
        assert np.isfinite(transformed(layer, train, train)).all(), layer
    standard = transformed(Standardize(), train, train)
    assert standard.var(axis=0).max() <= 1 + 1e-6


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({"degree": 1}, preprocessing.PolynomialFeatures(1, include_bias=False)),
        ({}, preprocessing.PolynomialFeatures(2, include_bias=False)),
        ({"degree": 4}, preprocessing.PolynomialFeatures(4, include_bias=False)),
        (
            {"degree": 3, "interaction_only": True},
            preprocessing.PolynomialFeatures(3, interaction_only=True, include_bias=False),
        ),
        (
            {"degree": 6, "interaction_only": True},
            preprocessing.PolynomialFeatures(6, interaction_only=True, include_bias=False),
        ),
    ],
)
def test_polynomials_are_scikit_learns(settings: dict[str, Any], theirs: Any) -> None:
    layer = PolynomialFeatures(**settings)
    y, _ = run_layer(layer, FRESH, {}, {}, training=False)
    np.testing.assert_allclose(y, theirs.fit_transform(FRESH), rtol=1e-12)
    assert layer.output_shape((4,)) == y.shape[1:]


def test_float32_features_stay_float32() -> None:
    layer = Standardize()
    state = {name: array.astype(np.float32) for name, array in layer.fit(X).items()}
    y, _ = run_layer(layer, FRESH.astype(np.float32), {}, state, training=False)
    assert y.dtype == np.float32
    y, _ = layer.forward(FRESH.astype(np.float32), {}, layer.fit(X), Mode(False))
    assert y.dtype == np.float32


def test_rows_of_matrices_are_scaled_element_by_element() -> None:
    images = wave(20, 3, 4)
    y = transformed(Standardize(), images, images)
    np.testing.assert_allclose(y.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1.0, rtol=1e-12)


def test_training_rows_are_needed() -> None:
    with pytest.raises(NotFittedError, match="Whiten 'w' has not seen training rows yet"):
        Whiten(name="w").forward(X, {}, {}, Mode(False))
    with pytest.raises(DataError, match=r"Standardize cannot learn from shape \(0, 3\)"):
        Standardize().fit(np.zeros((0, 3)))
    with pytest.raises(DataError, match="Standardize cannot learn from numbers that"):
        Standardize().fit([[1.0, np.nan]])
    with pytest.raises(ShapeError, match=r"PCA learns from rows \(n, features\), got \(3,\)"):
        PCA().fit([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match=r"Whiten learns from rows .*, got \(2, 2, 2\)"):
        Whiten().fit(np.ones((2, 2, 2)))
    with pytest.raises(ParameterError, match=r"low must be below high, got 1\.0 and 1\.0"):
        Normalize(1.0, 1.0)


def test_dividing_by_n_less_one_is_caught() -> None:
    class Unbiased(Whiten):
        """A defect: the covariance is divided by n - 1."""

        def projected(self, variances: Any, axes: Any) -> dict[str, Any]:
            return super().projected(variances * 60 / 59, axes)

    y = transformed(Unbiased(), X, X)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(y.T @ y / len(y), np.eye(4), atol=1e-6)
