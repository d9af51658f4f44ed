"""What trainings compute in, and that nobody sees it but by the clock."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse

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
    return precision.of_training(regressor(**settings), rows, targets, FLOAT64)


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


def test_a_training_goes_on_in_another_type() -> None:
    """``partial_fit`` after ``fit``: the optimizer's moments come along."""
    one = MLPClassifier(max_iter=3, random_state=0).fit(X, Y)
    other = MLPClassifier(max_iter=3, random_state=0, dtype="float64").fit(X, Y)
    for model in (one, other):
        assert model.partial_fit(X, Y).t_ == 4 * len(X)
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
        assert (a != a.astype(np.float32)).any()
    one.set_params(warm_start=True).fit(X, Y)
    assert (one.coefs_[0] == one.coefs_[0].astype(np.float32)).all()
