"""Linear and logistic regression: scikit-learn's minima, and what they are minima of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.linear_model as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import scale

import chainrule.estimators as ours
from chainrule.errors import DataError, ParameterError

RNG = np.random.default_rng(2)
ROWS = RNG.normal(size=(50, 8))
ROWS[:, 7] = ROWS[:, 6] - ROWS[:, 5]
TARGETS = RNG.normal(size=(50, 2)) + 3
WEIGHTS = RNG.uniform(size=50)
CANCER, SICK = load_breast_cancer(return_X_y=True)
CANCER = scale(CANCER)
IRIS, KINDS = load_iris(return_X_y=True)


# Linear


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("settings", [{}, {"fit_intercept": False}, {"positive": True}])
@pytest.mark.parametrize("columns", [slice(None), 0])
def test_least_squares(settings: dict[str, Any], weights: Any, columns: Any) -> None:
    y = TARGETS[:, columns]
    one, other = (
        home.LinearRegression(**settings).fit(ROWS, y, sample_weight=weights)
        for home in (ours, theirs)
    )
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-12)
    np.testing.assert_allclose(one.intercept_, other.intercept_, atol=1e-12)
    assert getattr(one, "rank_", None) == getattr(other, "rank_", None)
    np.testing.assert_allclose(one.predict(ROWS), other.predict(ROWS))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_same_from_sparse_rows_and_by_gradient_descent(weights: Any) -> None:
    exact = ours.LinearRegression().fit(ROWS, TARGETS, weights)
    sparse = ours.LinearRegression(tol=1e-13)
    descent = ours.LinearRegression(solver="gradient_descent", tol=1e-12, max_iter=20_000)
    for model, rows in ((sparse, scipy.sparse.csr_matrix(ROWS)), (descent, ROWS)):
        model.fit(rows, TARGETS, weights)
        np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-9)
        np.testing.assert_allclose(model.intercept_, exact.intercept_, atol=1e-9)
    assert (np.diff(descent.loss_curve_) < 1e-14).all()


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 4), st.integers(0, 10**6))
def test_of_many_minima_the_smallest(n: int, width: int, rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rank = min(n, width, rank)
    left, right = (np.linalg.qr(rng.normal(size=(extent, rank)))[0] for extent in (n, width))
    rows = (left * rng.uniform(1, 3, size=rank)) @ right.T
    y = rng.normal(size=n)
    expected = np.linalg.pinv(rows, rcond=1e-9) @ y
    for solver in ("exact", "gradient_descent"):
        model = ours.LinearRegression(fit_intercept=False, solver=solver, tol=1e-10)
        np.testing.assert_allclose(model.fit(rows, y).coef_, expected, atol=1e-8)


def test_gradient_descent_that_diverges_says_so() -> None:
    model = ours.LinearRegression(solver="gradient_descent", learning_rate=1e3)
    with pytest.raises(DataError, match="smaller learning_rate"):
        model.fit(ROWS, TARGETS)
    with pytest.raises(ParameterError, match="positive=True needs"):
        model.set_params(positive=True).fit(ROWS, TARGETS)


# Logistic

PENALTIES: dict[str, dict[str, Any]] = {
    "l2": {},
    "strong": {"C": 0.05},
    "none": {"C": np.inf},
    "l1": {"l1_ratio": 1.0, "solver": "saga"},
    "both": {"l1_ratio": 0.4, "C": 0.3, "solver": "saga"},
    "balanced": {"class_weight": "balanced", "C": 0.1},
    "through the origin": {"fit_intercept": False},
    "liblinear": {"solver": "liblinear", "C": 0.05, "intercept_scaling": 3.0},
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("data", ["two", "three"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_minimum_is_scikit_learns(penalty: str, data: str, weighted: bool) -> None:
    rows, y = (CANCER[::5, :6], SICK[::5]) if data == "two" else (IRIS[::2], KINDS[::2])
    if data == "three" and penalty in ("liblinear", "none"):
        pytest.skip(
            "scikit-learn's liblinear takes two classes; without penalty iris has no minimum"
        )
    weights = np.linspace(0.2, 1.5, len(y)) if weighted else None
    settings = {"tol": 1e-7, "random_state": 0, **PENALTIES[penalty]}
    one = ours.LogisticRegression(max_iter=5000, **settings).fit(rows, y, weights)
    other = theirs.LogisticRegression(max_iter=20_000, **settings).fit(rows, y, weights)
    np.testing.assert_allclose(one.predict_proba(rows), other.predict_proba(rows), atol=2e-4)
    np.testing.assert_allclose(one.predict_log_proba(rows), np.log(one.predict_proba(rows)))
    assert one.coef_.shape == other.coef_.shape
    assert one.intercept_.shape == other.intercept_.shape
    if "l1_ratio" in settings:
        np.testing.assert_array_equal(one.coef_ == 0, other.coef_ == 0)


def test_older_names_of_penalties() -> None:
    pairs = [("l1", {"l1_ratio": 1.0}), ("l2", {}), (None, {"C": np.inf})]
    for name, said in pairs:
        old = ours.LogisticRegression(penalty=name, max_iter=3000).fit(CANCER[:, :4], SICK)
        new = ours.LogisticRegression(max_iter=3000, **said).fit(CANCER[:, :4], SICK)
        np.testing.assert_array_equal(old.coef_, new.coef_)


def test_probabilities_far_out_are_finite() -> None:
    model = ours.LogisticRegression(max_iter=1000).fit(CANCER, SICK)
    assert np.isfinite(model.predict_log_proba(CANCER * 1e6)).all()


def test_sparse_coefficients_predict_the_same() -> None:
    model = ours.LogisticRegression(l1_ratio=1.0, C=0.1).fit(CANCER, SICK)
    before = model.decision_function(CANCER)
    np.testing.assert_allclose(model.sparsify().decision_function(CANCER), before)
    np.testing.assert_array_equal(model.densify().decision_function(CANCER), before)


def test_warm_start_begins_where_it_ended() -> None:
    model = ours.LogisticRegression(warm_start=True, tol=1e-6, max_iter=1000).fit(CANCER, SICK)
    assert model.n_iter_[0] > 5
    assert model.fit(CANCER, SICK).n_iter_[0] <= 2


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2 classes"):
        ours.LogisticRegression().fit(CANCER, np.zeros(len(CANCER)))
    with pytest.raises(ParameterError, match="does not support multiclass"):
        ours.LogisticRegression(solver="liblinear").fit(IRIS, KINDS)
