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
HELD_OUT = "rows are held out at random, and a row of weight 2 is not held out as two rows would be"

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


@parametrize_with_checks(
    [TableClassifier(**FAST), TableRegressor(**FAST)],
    expected_failed_checks=lambda _: {"check_sample_weight_equivalence_on_dense_data": HELD_OUT},
)
def test_checks(estimator: Any, check: Any) -> None:
    check(estimator)
