"""scikit-learn's contract, for the estimators of tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainrule.estimators.table import TableClassifier, TableRegressor

FAST: dict[str, Any] = {
    "hidden": (8,), "members": 2, "epochs": 20, "bins": 8, "learning_rate": 0.02,
    "random_state": 0, "engine": "native",
}  # fmt: skip

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix:UserWarning"),
]


@pytest.fixture(autouse=True)
def global_random_state_is_left_alone() -> Iterator[None]:
    """One of scikit-learn's own checks draws from the global generator; it is put back."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)


@parametrize_with_checks([TableClassifier(**FAST), TableRegressor(**FAST)])
def test_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", [TableClassifier, TableRegressor])
def test_what_weights_of_tables_do_promise(kind: type) -> None:
    """Rows of weight 0 are not there, weights of 1 are none: to the last bit."""
    draw = np.random.default_rng(0)
    X, y, weights = draw.normal(size=(40, 2)), np.arange(40) % 3, np.arange(40) % 4 > 0
    known, settings = X[weights], FAST | {"epochs": 2, "engine": "reference"}
    fits = [
        kind(**settings).fit(known, y[weights]),
        kind(**settings).fit(X, y, sample_weight=weights.astype(float)),
        kind(**settings).fit(known, y[weights], sample_weight=np.full(30, 1.0)),
    ]
    first, *others = [fit.predict(X) for fit in fits]
    for other in others:
        np.testing.assert_array_equal(first, other)
