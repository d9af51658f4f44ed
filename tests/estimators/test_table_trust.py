"""Temperature, deviations, intervals and flags keep what they promise, on rows never seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from chainrule.errors import DataError, ParameterError
from chainrule.estimators import table_learning
from chainrule.estimators.table import TableClassifier, TableRegressor
from chainrule.estimators.table_trust import (
    Deviation,
    Neighbours,
    as_counts,
    average_precision,
    best_temperature,
    best_threshold,
    calibration_error,
    features_of,
    log_loss,
    tempered,
)

FAST: dict[str, Any] = {
    "hidden": (16,), "members": 2, "epochs": 25, "bins": 8, "learning_rate": 0.02,
    "engine": "native",
}  # fmt: skip


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# Probabilities


@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_probabilities_of_float32_have_sums_of_float64(temperature: float) -> None:
    """NumPy's ``choice`` refuses those whose sum is 1e-7 from 1, as the mean of members' may be."""
    logits = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    given = p.astype(np.float64)
    assert np.abs(given.sum(axis=1) - 1).max() > 5e-8
    np.testing.assert_allclose(tempered(given, temperature).sum(axis=1), 1, rtol=1e-15)


@pytest.mark.parametrize("truth", [0.3, 1.0, 4.0])
def test_the_temperature_is_found(truth: float) -> None:
    draw = draws(0)
    right = draw.dirichlet(np.ones(4), 20_000)
    labels = (right.cumsum(1) > draw.random((20_000, 1))).argmax(1)
    reported = tempered(right, 1 / truth)  # over- or underconfident
    found = best_temperature(reported, labels)
    assert found == pytest.approx(truth, rel=0.05)
    exact = minimize_scalar(
        lambda t: log_loss(tempered(reported, t), labels), bounds=(0.05, 20), method="bounded"
    )
    assert found == pytest.approx(exact.x, rel=0.01)


def test_rows_that_are_all_right_do_not_make_a_model_certain() -> None:
    p = np.full((20, 2), [0.9, 0.1])
    sure = tempered(p, best_temperature(p, np.zeros(20, int)))
    assert 0.9 < sure[0, 0] < 0.99


def test_calibration_lowers_log_loss_and_calibration_error() -> None:
    draw, gains = draws(1), []
    for seed in range(4):
        X = draw.normal(size=(1500, 5))
        y = X[:, 0] + draw.normal(size=1500) > 0
        rows = slice(0, 500)
        plain, calibrated = (
            TableClassifier(
                **{**FAST, "epochs": 40}, dropout=0.0, patience=40, random_state=seed, calibrate=c
            ).fit(X[rows], y[rows]).predict_proba(X[500:])
            for c in (False, True)
        )  # fmt: skip
        truth = y[500:].astype(int)
        gains.append(log_loss(plain, truth) - log_loss(calibrated, truth))
        np.testing.assert_array_equal(plain.argmax(1), calibrated.argmax(1))
    assert np.mean(gains) > -0.002


def test_calibration_error_of_a_perfect_forecast() -> None:
    draw = draws(0)
    p = np.column_stack([share := draw.random(100_000), 1 - share])
    labels = (draw.random(100_000) > share).astype(int)
    assert calibration_error(p, labels) < 0.01
    assert calibration_error(np.full((10, 2), [1.0, 0.0]), np.ones(10, int)) == 1


@pytest.mark.parametrize("decimals", [1, 16])
def test_precision_and_thresholds_are_those_of_scikit_learn(decimals: int) -> None:
    draw = draws(2)
    positive = draw.random(400) < 0.2
    scores = (0.3 * positive + 0.7 * draw.random(400)).round(decimals)
    expected = average_precision_score(positive, scores)
    assert average_precision(scores, positive) == pytest.approx(expected)
    precision, recall, _ = precision_recall_curve(positive, scores)
    best = np.nanmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    chosen = best_threshold(scores, positive)
    assert f1_score(positive, scores >= chosen) == pytest.approx(best)
    with pytest.raises(DataError, match="positive class"):
        average_precision(scores, np.zeros(400, bool))


# Numbers


def test_deviations_are_those_under_which_errors_are_likeliest() -> None:
    draw = draws(0)
    variances = draw.exponential(size=20_000)
    errors = np.sqrt(2.0 * variances + 0.5) * draw.normal(size=20_000)
    found = Deviation.fit(errors, variances)
    assert found.factor == pytest.approx(2.0, rel=0.2)
    scale = found.of(variances)
    truth = np.sqrt(2.0 * variances + 0.5)
    best = norm.logpdf(errors, scale=truth).mean()
    assert norm.logpdf(errors, scale=scale).mean() > best - 1e-3


def test_reach_and_quantiles_count_scores() -> None:
    found = Deviation(0.0, 1.0, np.array([-4.0, -2.0, 0.0, 1.0, 3.0, 5.0, 6.0, 7.0, 8.0]))
    assert [found.reach(c) for c in (0.1, 0.5, 0.9)] == [0.0, 4.0, 8.0]
    assert [found.quantile(q) for q in (0.1, 0.5, 0.9)] == [-4.0, 3.0, 8.0]
    assert found.quantile(np.float32(0.25)) == found.quantile(0.25) == -2.0
    with pytest.raises(ParameterError, match=r"at least 19 held-out rows, .* 9"):
        found.reach(0.95)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        found.reach(1.0)


def friedman(rows: int, seed: int) -> tuple[Any, Any]:
    """Friedman 1991, equation 61, with noise that grows along a sixth column."""
    draw = draws(seed)
    X = draw.random((rows, 6))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3]
    return X, y + 5 * X[:, 4] + (0.5 + 2 * X[:, 5]) * draw.normal(size=rows)


@pytest.mark.parametrize("logarithmic", ["yes", "no"])
def test_intervals_and_quantiles_hold_what_they_promise(logarithmic: str) -> None:
    shares: list[list[float]] = []
    for seed in range(12):
        X, y = friedman(1600, seed)
        y = np.exp(y / 10) if logarithmic == "yes" else y
        model = TableRegressor(**FAST, random_state=seed, log_target=logarithmic)
        model.fit(X[:600], y[:600])
        rest, truth = X[600:], y[600:]
        held = [(low <= truth) & (truth <= high) for low, high in
                (model.predict_interval(rest, c) for c in (0.5, 0.8, 0.9))]  # fmt: skip
        below = [truth <= model.predict_quantile(rest, q) for q in (0.1, 0.5, 0.9)]
        shares.append([float(np.mean(each)) for each in (*held, *below)])
        p, deviation = model.predict(rest, return_std=True)
        assert 0.7 < np.sqrt(np.mean(((p - truth) / deviation) ** 2)) < 1.5
    mean, error = np.mean(shares, axis=0), np.std(shares, axis=0) / math.sqrt(12)
    promised = np.array([0.5, 0.8, 0.9, 0.1, 0.5, 0.9])
    assert (np.abs(mean - promised) < 3 * error + 1 / 61).all(), (mean, error)


def test_quantiles_never_cross() -> None:
    X, y = friedman(300, 0)
    model = TableRegressor(**FAST, random_state=0).fit(X, y)
    levels = [0.05, 0.2, 0.5, 0.8, 0.95]
    found = np.array([model.predict_quantile(X, level) for level in levels])
    assert (np.diff(found, axis=0) >= 0).all()


def test_too_few_rows_give_no_intervals() -> None:
    model = TableRegressor(**FAST, random_state=0).fit(*friedman(9, 0))
    assert np.isfinite(model.predict(np.full((2, 6), 0.5))).all()
    with pytest.raises(ParameterError, match="the model has measured 0"):
        model.predict_interval(np.full((2, 6), 0.5))


# Weights


def test_a_row_that_counts_three_is_three_rows() -> None:
    draw = draws(0)
    counts = draw.integers(1, 4, 300).astype(float)
    copies = np.repeat(np.arange(300), counts.astype(int))
    p = draw.dirichlet(np.ones(2), 300)
    labels = (draw.random(300) < p[:, 1]).astype(int)
    errors, spread = draw.normal(size=(2, 300))
    spread **= 2
    rows = draw.normal(size=(300, 3)).astype(np.float32)

    def found(counts: Any, at: Any) -> list[float]:
        deviation = Deviation.fit(errors[at], spread[at], counts)
        return [
            log_loss(p[at], labels[at], counts),
            best_temperature(p[at], labels[at], counts),
            best_threshold(p[at, 1], labels[at] == 1, counts),
            deviation.factor, deviation.noise, deviation.reach(0.9), deviation.quantile(0.05),
            Neighbours.fit(rows[:50], rows[at], counts, 3, 0, 0).limit,
        ]  # fmt: skip

    expected = found(np.ones(len(copies)), copies)
    np.testing.assert_allclose(found(counts, slice(None)), expected, rtol=1e-4)
    alone = np.isclose(found(np.ones(300), slice(None)), expected, rtol=1e-4)
    assert alone.sum() <= 2  # the factor is of a few, and the farthest row the same


def test_large_weights_promise_no_more_than_the_rows_can_tell() -> None:
    draw = draws(0)
    errors, weights = draw.normal(size=60), draw.integers(1_000, 9_000, 60).astype(float)
    found = Deviation.fit(errors, np.zeros(60), as_counts(weights, 60))
    np.testing.assert_allclose(found.noise, np.average(errors**2, weights=weights))
    assert len(found.scores) == 60
    with pytest.raises(ParameterError, match="the model has measured 60"):
        found.reach(0.99)


@pytest.mark.parametrize("kind", [TableClassifier, TableRegressor])
def test_weights_of_held_out_rows_count(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model of the same network, calibrated on the same rows with and without weights."""
    draw = draws(3)
    X = draw.normal(size=(400, 2))
    noise = draw.normal(size=400) * np.where(X[:, 1] > 0, 2.0, 0.1)
    y = X[:, 0] + noise > 0 if kind is TableClassifier else X[:, 0] + noise
    weights = np.where(X[:, 1] > 0, 1.0, 2.0) * 0.7
    first, second = [], []
    for seen in (first, second):
        model = kind(**FAST, random_state=0).fit(X, y, weights).model_
        seen += [model.network.predict(model.trust.neighbours.points), model.trust]
        monkeypatch.setattr(table_learning, "as_counts", lambda _, rows: np.ones(rows))
    np.testing.assert_array_equal(first[0], second[0])
    if kind is TableClassifier:
        assert first[1].temperature < second[1].temperature
    else:
        assert first[1].deviation.noise < second[1].deviation.noise


# Flags


def test_planted_faults_are_flagged_and_nothing_else() -> None:
    draw = draws(0)
    table = {
        "x": draw.normal(size=400),
        "word": draw.choice(["a", "b"], 400).tolist(),
        "price": [f"{value:.2f} €" for value in 10 * draw.random(400)],
    }
    model = TableRegressor(**FAST, random_state=0).fit(table, draw.normal(size=400))
    clean = {name: list(values[:50]) for name, values in table.items()}
    assert not any(rows.any() for name, rows in model.flags(clean).items() if name != "far")
    planted = {"x": ("outside", 99.0), "word": ("unknown", "c"), "price": ("unknown", "free")}
    for column, (flag, value) in planted.items():
        broken = {**clean, column: [value, None, *clean[column][2:]]}
        flags = model.flags(broken)
        assert flags[flag].tolist() == [True] + [False] * 49
        assert flags["missing"].tolist()[1:] == [True] + [False] * 48


def test_far_rows_are_flagged_at_the_stated_rate() -> None:
    rates = []
    for seed in range(20):
        draw = draws(seed)
        X, codes = draw.normal(size=(1500, 4)), draw.integers(0, 5, (1500, 1))
        rows = np.hstack([X, codes]).astype(np.float32)
        near = Neighbours.fit(rows[:800], rows[800:1100], np.ones(300), 4, 1, seed)
        distances = near.distances(*features(rows[1100:]))
        rates.append(np.mean(distances > near.limit))
        assert (near.distances(*features(rows[:1] + 100)) > near.limit).all()
    assert np.mean(rates) == pytest.approx(0.01, abs=0.006)


def features(rows: Any) -> tuple[Any, Any]:
    return features_of(rows, 4, 1)


def test_distances_are_those_of_the_nearest_row() -> None:
    draw = draws(0)
    mixed = np.hstack([draw.normal(size=(300, 3)), draw.integers(0, 3, (300, 2))])
    known = mixed.astype(np.float32)
    near = Neighbours.fit(known, known[:0], np.empty(0), 3, 2, 0)
    assert near.limit == math.inf
    rows = known[:50] + np.float32(0.25) * (np.arange(5) < 3)
    held = [x[:, :3] / np.sqrt(1 + (x[:, :3].astype(float) / 3) ** 2) for x in (rows, known)]
    squared = ((held[0][:, None] - held[1]) ** 2).sum(2)
    squared += (rows[:, None, 3:] != known[:, 3:]).sum(2)
    found = near.distances(*features_of(rows, 3, 2))
    np.testing.assert_allclose(found, squared.min(axis=1), atol=1e-5)
