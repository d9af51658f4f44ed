"""Sparse rows: what is learned is the same bits as of dense rows, in bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from chainrule.estimators import LogisticRegression, MLPClassifier, MLPRegressor
from chainrule.estimators import sparse as module
from chainrule.estimators.sparse import SparseRows, features
from chainrule.shapes import FLOAT32, FLOAT64

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DRAW = np.random.default_rng(0)
DENSE = np.where(DRAW.random((230, 30)) < 0.2, DRAW.normal(size=(230, 30)), 0.0)
LABELS = (DENSE @ DRAW.normal(size=30) > 0).astype(int)
WEIGHTS = DRAW.integers(0, 3, 230).astype(float)


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sparse matrix is too large, and 50 rows are a part."""
    monkeypatch.setattr(module, "DENSE_BYTES", 0)
    monkeypatch.setattr(module, "PART_BYTES", 50 * 30 * 8)


def test_rows_are_dense_when_they_are_taken(in_parts: None) -> None:
    rows = features(sparse.csc_array(DENSE), FLOAT32)
    assert isinstance(rows, SparseRows) and len(rows) == 230 and rows.rows_of_a_part == 100
    np.testing.assert_array_equal(rows[3:7], DENSE[3:7].astype(np.float32))
    np.testing.assert_array_equal(rows[np.array([5, 0])], DENSE[[5, 0]].astype(np.float32))
    np.testing.assert_array_equal(rows.take(np.array([9, 8]))[:], DENSE[[9, 8]].astype("f4"))


def test_few_sparse_rows_are_made_dense_at_once() -> None:
    assert isinstance(features(sparse.csr_matrix(DENSE), FLOAT64), np.ndarray)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 20},
        {"batch_size": 16, "dropout": 0.2, "engine": "native", "max_iter": 3},
        {"batch_size": 64, "early_stopping": True},
        {"batch_size": 20, "shuffle": False, "members": 2},
        {"batch_size": 229, "batch_norm": True},
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_training_in_parts_gives_the_same_bits(
    settings: dict[str, Any], weighted: bool, in_parts: None
) -> None:
    chosen = {"hidden_layer_sizes": 8, "max_iter": 6, "random_state": 0, **settings}
    weights = WEIGHTS if weighted else None
    dense = MLPClassifier(**chosen).fit(DENSE, LABELS, weights)
    parts = MLPClassifier(**chosen).fit(sparse.csr_matrix(DENSE), LABELS, weights)
    for one, other in zip(dense.coefs_, parts.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(dense.loss_curve_, parts.loss_curve_, rtol=1e-12)
    found = parts.predict_proba(sparse.csr_matrix(DENSE))
    np.testing.assert_allclose(found, dense.predict_proba(DENSE), rtol=1e-12)


@pytest.mark.parametrize("kind", ["classifier", "regressor", "logistic", "liblinear"])
@pytest.mark.parametrize("weighted", [False, True])
def test_searches_in_parts_come_to_the_same_minimum(
    kind: str, weighted: bool, in_parts: None
) -> None:
    made: dict[str, Any] = {
        "classifier": MLPClassifier((5,), solver="lbfgs", alpha=0.1, random_state=0, max_iter=30),
        "regressor": MLPRegressor(
            hidden_layer_sizes=5, solver="lbfgs", alpha=0.1, random_state=0, max_iter=30
        ),
        "logistic": LogisticRegression(C=0.5),
        "liblinear": LogisticRegression(solver="liblinear"),
    }
    weights = WEIGHTS if weighted else None
    dense = made[kind].fit(DENSE, LABELS, sample_weight=weights).predict(DENSE)
    matrix = sparse.csr_array(DENSE)
    parts = made[kind].fit(matrix, LABELS, sample_weight=weights).predict(matrix)
    np.testing.assert_allclose(parts, dense, rtol=1e-5, atol=1e-5)


def test_a_loss_that_is_not_finite_is_told_in_parts_as_well(in_parts: None) -> None:
    model = MLPRegressor(
        hidden_layer_sizes=4, solver="sgd", learning_rate_init=1e6, batch_size=20, random_state=0
    )
    with pytest.raises(ValueError, match="not finite in epoch"):
        model.fit(sparse.csr_matrix(DENSE) * 1e6, LABELS)


def test_wide_rows_stay_sparse_in_memory() -> None:
    wide = sparse.random(1500, 40_000, density=1e-4, format="csr", random_state=0)
    y = np.arange(1500) % 2  # dense they would take 458 MiB
    tracemalloc.start()
    model = MLPClassifier(2, max_iter=1, random_state=0, batch_size=250).fit(wide, y)
    model.predict(wide)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 250 * 2**20
