"""What trainings compute in, and that nobody sees it but by the clock."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from chainrule.estimators import MLPClassifier, MLPRegressor, precision
from chainrule.shapes import FLOAT32, FLOAT64

RNG = np.random.default_rng(8)
X = RNG.normal(size=(1200, 5))
T = X @ RNG.normal(size=(5, 2)) + 0.1 * RNG.normal(size=(1200, 2))
Y = (T[:, 0] > 0).astype(int)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def regressor(**settings: Any) -> MLPRegressor:
    return MLPRegressor(**{"max_iter": 3, "random_state": 0, **settings})


def computed_in(rows: Any = X, targets: Any = T, **settings: Any) -> Any:
    computed, (x, y), _ = precision.as_trained(
        regressor(**settings), [rows, targets], None, FLOAT64, goes_on=False, begins=False
    )
    assert x.dtype == y.dtype == computed
    return computed


def test_rows_that_are_shuffled_into_batches_are_learned_in_float32() -> None:
    assert computed_in() == FLOAT32
    assert computed_in(scipy.sparse.csr_array(X)) == FLOAT32
    assert computed_in(1e5 * X, 1e5 * T) == FLOAT32


@pytest.mark.parametrize(
    "case",
    [
        {"rows": X[:999], "targets": T[:999]},
        {"batch_size": 1200},
        {"shuffle": False},
        {"solver": "lbfgs"},
        {"dtype": "float64"},
        {"rows": X + 2e6},
        {"rows": scipy.sparse.csr_array(-1e7 * X)},
        {"targets": T - 2e6},
        {"rows": 1e-9 * X},
        {"targets": 1e-200 * T},
        {"learning_rate_init": 1e-9},
        {"learning_rate_init": 1e60},
        {"alpha": 1e60},
        {"epsilon": 1e-50},
    ],
    ids=str,
)
def test_where_digits_count_all_are_kept(case: dict[str, Any]) -> None:
    assert computed_in(**case) == FLOAT64


@pytest.mark.parametrize("settings", [{}, {"members": 3}, {"batch_norm": True}], ids=str)
def test_attributes_and_predictions_have_the_type_of_the_rows(settings: dict[str, Any]) -> None:
    model = regressor(**settings).fit(X, T)
    arrays = [*model.coefs_, *model.intercepts_]
    assert {array.dtype for array in arrays} == {FLOAT64}
    assert all((array == array.astype(np.float32)).all() for array in arrays)
    assert model.predict(X).dtype == FLOAT64
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert regressor(dtype="float32", **settings).fit(X, T).predict(X).dtype == FLOAT32


@pytest.mark.parametrize("settings", [{}, {"solver": "sgd"}, {"batch_norm": True}], ids=str)
def test_the_bits_are_those_of_float32_rows(settings: dict[str, Any]) -> None:
    one = regressor(**settings).fit(X, T)
    other = regressor(**settings).fit(X.astype(np.float32), T.astype(np.float32))
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.loss_curve_ == other.loss_curve_


@pytest.mark.parametrize("size", [1e37, 1e-40])
def test_weights_count_as_numbers_do(size: float) -> None:
    """Sums of such weights overflow float32, or vanish there."""
    weights = np.full(len(X), size)
    one = regressor(alpha=0.0).fit(X, T, sample_weight=weights)
    other = regressor(alpha=0.0, dtype="float64").fit(X, T, sample_weight=weights)
    assert one.training_dtype_ == FLOAT64
    assert one.loss_curve_ == other.loss_curve_
    factors = {0: 1e38, 1: 1.0}
    assert MLPClassifier(max_iter=1, class_weight=factors).fit(X, Y).training_dtype_ == FLOAT64


def test_validation_rows_count_too() -> None:
    large = X.copy()
    large[0, 0] = 1e39  # infinite in float32
    model = regressor().fit(X, T, X_val=large, y_val=T)
    assert model.training_dtype_ == FLOAT64
    assert np.isfinite(model.validation_scores_).all()


def test_a_column_of_zeros_with_a_tiny_epsilon() -> None:
    """Adam divides its moments, 0, by epsilon, which float32 would take for 0."""
    rows = np.where(np.arange(5) == 1, 0.0, X)
    model = regressor(alpha=0.0, epsilon=1e-50).fit(rows, T)
    assert all(np.isfinite(array).all() for array in model.coefs_)


def test_what_goes_on_stays_in_its_type() -> None:
    """By ``partial_fit`` and by ``warm_start``, however many rows come, however it was stored."""
    model = MLPClassifier(max_iter=2, random_state=0, warm_start=True).fit(X, Y)
    assert model.training_dtype_ == FLOAT32
    for go_on in (
        lambda: model.partial_fit(X[:20], Y[:20]),
        lambda: model.fit(X[:500], Y[:500]),
        lambda: pickle.loads(pickle.dumps(model)).fit(X[:500], Y[:500]),
    ):
        assert go_on().training_dtype_ == FLOAT32
        assert model.coefs_[0].dtype == FLOAT64
    assert model.partial_fit(1e7 * X[:20], Y[:20]).training_dtype_ == FLOAT64
    assert model.fit(X, Y).training_dtype_ == FLOAT64, "it keeps the digits that it needed once"
    model.set_params(warm_start=False)
    assert model.fit(X, Y).training_dtype_ == FLOAT32, "another training"
    small = MLPClassifier(max_iter=2, random_state=0, warm_start=True).fit(X[:500], Y[:500])
    assert small.fit(X, Y).training_dtype_ == FLOAT64
    assert clone(small).fit(X, Y).training_dtype_ == FLOAT32


def test_moments_come_along_into_another_type() -> None:
    """Where a type is asked for between two calls: ``partial_fit`` goes on all the same."""
    one = MLPClassifier(max_iter=3, random_state=0).fit(X, Y).set_params(dtype="float64")
    other = MLPClassifier(max_iter=3, random_state=0, dtype="float64").fit(X, Y)
    for model in (one, other):
        assert model.partial_fit(X, Y).t_ == 4 * len(X)
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
        assert (a != a.astype(np.float32)).any()
