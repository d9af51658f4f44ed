"""Monte Carlo dropout: variances are those of dropout itself, and of a row by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.estimators import thinning
from chainrule.estimators.table import TableRegressor
from chainrule.nn import Activation, Dropout, Linear, Network

CHOSEN: dict[str, Any] = {
    "hidden": (32,), "members": 1, "dropout": 0.3, "epochs": 30, "bins": 0,
    "learning_rate": 0.01, "random_state": 0, "log_target": "no",
}  # fmt: skip


def network(rate: float, seed: int = 0) -> Network:
    return Network([Linear(3, 40), Activation("relu"), Dropout(rate), Linear(40, 1)], seed=seed)


def test_variances_are_those_of_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "PASSES", 4000)
    model, X = network(0.4), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    outputs = np.asarray(model.predict(X))[None]
    found = thinning.variances(outputs, X, thinning.passes_of(model))
    units = np.maximum(X @ model["linear1"].values["W"] + model["linear1"].values["b"], 0)
    weights = model["linear4"].values["W"][:, 0]
    keep = 1 - 0.4
    np.testing.assert_allclose(found, ((units * weights) ** 2).sum(axis=1) * (1 - keep) / keep,
                               rtol=0.1)  # fmt: skip


@pytest.mark.parametrize("model", [network(0.0), Network([Linear(3, 1)], seed=0)])
def test_a_network_without_dropout_has_no_passes(model: Network) -> None:
    assert thinning.passes_of(model) is None


def test_members_vary_by_themselves() -> None:
    outputs = np.random.default_rng(0).normal(size=(4, 6, 1))
    np.testing.assert_allclose(thinning.variances(outputs, outputs[0], None),
                               outputs.var(axis=0)[:, 0])  # fmt: skip


def table(rows: int, seed: int) -> tuple[dict[str, Any], Any]:
    """A line through noise that is wider on the right."""
    draw = np.random.default_rng(seed)
    x, z = draw.uniform(-2, 2, rows), draw.normal(size=rows)
    return {"x": x, "z": z}, 3 * x + z + draw.normal(size=rows) * 0.3


@pytest.fixture(scope="module")
def model() -> TableRegressor:
    return TableRegressor(**CHOSEN).fit(*table(1500, 0))


def test_one_network_with_dropout_knows_how_sure_it_is(model: TableRegressor) -> None:
    X, y = table(800, 1)
    found, deviations = model.predict(X, return_std=True)
    np.testing.assert_array_equal(found, model.predict(X))
    assert deviations.std() > 0
    assert np.mean(np.abs(y - found) < 1.645 * deviations) == pytest.approx(0.9, abs=0.05)
    low, high = model.predict_interval(X, coverage=0.8)
    assert np.mean((low <= y) & (y <= high)) == pytest.approx(0.8, abs=0.06)


def test_deviations_are_a_rows_own_and_kept_in_files(model: TableRegressor, tmp_path: Path) -> None:
    X, _ = table(50, 2)
    whole = model.predict(X, return_std=True)[1]
    some = model.predict({name: cells[10:20] for name, cells in X.items()}, return_std=True)[1]
    np.testing.assert_allclose(some, whole[10:20], rtol=1e-4)
    model.save(tmp_path / "m")
    again = TableRegressor.load(tmp_path / "m").predict(X, return_std=True)[1]
    np.testing.assert_array_equal(again, whole)
