"""On real data, at equal settings, no less accurate than scikit-learn."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network as theirs
from sklearn.datasets import load_digits
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import chainrule.estimators as ours

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SEEDS = range(8)


def differences(settings: dict[str, Any], data: Any) -> np.ndarray:
    """Our test accuracy minus theirs for each seed; `make bench` compares the times."""
    X, y, X_test, y_test = data
    found = []
    for seed in SEEDS:
        mine, peer = (
            home.MLPClassifier(random_state=seed, **settings).fit(X, y).score(X_test, y_test)
            for home in (ours, theirs)
        )
        found.append(mine - peer)
    return np.array(found)


def assert_as_good(found: np.ndarray) -> None:
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean()) <= 2 * error + 1e-3, f"{found.mean():+.4f} +- {error:.4f}"


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_ENGINE", "native")


def test_digits(native: None) -> None:
    X, y = load_digits(return_X_y=True)
    chosen = np.arange(len(y)) % 4 == 0
    data = (X[~chosen] / 16, y[~chosen], X[chosen] / 16, y[chosen])
    found = differences({"max_iter": 60}, data)
    assert_as_good(found)


def test_adult(native: None, shared: Path) -> None:
    folder = shared / "data" / "tabular"
    columns = [
        np.array(_columns(folder / name), object) for name in ("adult.data.gz", "adult.test.gz")
    ]
    numbers = [0, 2, 4, 10, 11, 12]
    words = [each for each in range(14) if each not in numbers]
    scaler = StandardScaler().fit(columns[0][:, numbers].astype(float))
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder.fit(columns[0][:, words])
    rows = [
        np.hstack([scaler.transform(c[:, numbers].astype(float)), encoder.transform(c[:, words])])
        for c in columns
    ]
    labels = [np.array([word.startswith(">50K") for word in c[:, 14]]) for c in columns]
    data = (rows[0], labels[0], rows[1], labels[1])
    found = differences({"max_iter": 4}, data)
    assert_as_good(found)


def _columns(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        split = [line.strip().split(", ") for line in lines]
    return [cells for cells in split if len(cells) == 15]
