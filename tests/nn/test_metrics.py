"""Metrics against scikit-learn's, with and without weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from chainrule.errors import DataError, ParameterError, ShapeError, UnknownNameError
from chainrule.nn import metrics
from chainrule.nn.metrics import METRICS
from tests.nn.problem import wave

N = 50
SCORES = wave(N, 3)
LABELS = np.arange(N) * 2 % 3
BINARY = (wave(N, phase=2.0) > 0.2).astype(int)
SCORE = np.round(wave(N, 1) + 0.4 * BINARY[:, None], 1)  # with ties
WEIGHTS = 1.0 + wave(N, phase=1.0) ** 2
Y, P = wave(N, 2), wave(N, 2, phase=0.3)


def macro_f1(y: Any, p: Any, **weights: Any) -> Any:
    return theirs.f1_score(y, p, average="macro", zero_division=0, **weights)


def error_rate(y: Any, p: Any, **weights: Any) -> Any:
    return theirs.zero_one_loss(y, p, **weights)


OF_LABELS = {
    "accuracy": theirs.accuracy_score,
    "error_rate": error_rate,
    "balanced_accuracy": theirs.balanced_accuracy_score,
    "macro_f1": macro_f1,
}
OF_NUMBERS = {
    "mean_squared_error": theirs.mean_squared_error,
    "root_mean_squared_error": lambda y, p, **w: theirs.mean_squared_error(y, p, **w) ** 0.5,
    "mean_absolute_error": theirs.mean_absolute_error,
    "r2": theirs.r2_score,
}


@pytest.mark.parametrize("name", OF_LABELS)
def test_of_labels(name: str) -> None:
    metric, definition = METRICS[name], OF_LABELS[name]
    predicted = SCORES.argmax(axis=1)
    expected = definition(LABELS, predicted)
    for y in (LABELS, LABELS.astype(float), np.eye(3)[LABELS]):
        assert metric(SCORES, y) == pytest.approx(expected, rel=1e-12)
    assert metric(predicted, LABELS) == pytest.approx(expected, rel=1e-12)
    weighted = definition(LABELS, predicted, sample_weight=WEIGHTS)
    assert metric(SCORES, LABELS, WEIGHTS) == pytest.approx(weighted, rel=1e-12)


@pytest.mark.parametrize("name", OF_LABELS)
@pytest.mark.parametrize("probabilities", [True, False])
def test_of_two_classes_in_one_column(name: str, probabilities: bool) -> None:
    threshold = 0.5 if probabilities else 0.0
    expected = OF_LABELS[name](BINARY, SCORE[:, 0] > threshold)
    for y in (BINARY, BINARY[:, None], 2 * BINARY - 1):
        for score in (SCORE, SCORE[:, 0]):
            found = METRICS[name](score, y, probabilities=probabilities)
            assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_roc_auc(weights: Any) -> None:
    expected = theirs.roc_auc_score(BINARY, SCORE[:, 0], sample_weight=weights)
    for y in (BINARY, BINARY[:, None], 2 * BINARY - 1):
        assert METRICS["roc_auc"](SCORE, y, weights) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(DataError, match="roc_auc needs rows of two classes, got one"):
        METRICS["roc_auc"](SCORE, np.ones(N))


@pytest.mark.parametrize("name", OF_NUMBERS)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_of_numbers(name: str, weights: Any) -> None:
    expected = OF_NUMBERS[name](Y, P, sample_weight=weights)
    assert METRICS[name](P, Y, weights) == pytest.approx(expected, rel=1e-12)
    column = OF_NUMBERS[name](Y[:, 0], P[:, 0], sample_weight=weights)
    for p, y in ((P[:, :1], Y[:, 0]), (P[:, 0], Y[:, :1]), (P[:, 0], Y[:, 0])):
        assert METRICS[name](p, y, weights) == pytest.approx(column, rel=1e-12)


def test_max_error() -> None:
    assert METRICS["max_error"](P[:, 0], Y[:, 0]) == theirs.max_error(Y[:, 0], P[:, 0])


def test_every_metric_is_compared() -> None:
    assert {*OF_LABELS, *OF_NUMBERS, "roc_auc", "max_error"} == set(METRICS)


def test_r2_of_targets_that_do_not_vary() -> None:
    for p in (np.ones(5), np.zeros(5)):
        assert METRICS["r2"](p, np.ones(5)) == theirs.r2_score(np.ones(5), p)


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[bool, int]]) -> None:
    y, score = (np.array(column) for column in zip(*rows, strict=True))
    assume(y.any() and not y.all())
    pairs = [np.sign(a - b) for a in score[y] for b in score[~y]]
    expected = np.mean([(1 + sign) / 2 for sign in pairs])
    assert METRICS["roc_auc"](score.astype(float), y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_greater_is_better_says_which_way(name: str) -> None:
    of_numbers = name in OF_NUMBERS or name == "max_error"
    y = Y[:, 0] if of_numbers else BINARY
    perfect = y if of_numbers else 2.0 * y[:, None] - 1
    worse = perfect[::-1]
    metric = METRICS[name]
    assert (metric(perfect, y) > metric(worse, y)) == metric.greater_is_better


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="accuracy: 3 predictions for 2 targets"):
        METRICS["accuracy"](np.ones((3, 2)), np.ones(2))
    with pytest.raises(DataError, match="r2 of no rows is not defined"):
        METRICS["r2"](np.ones((0, 1)), np.ones(0))
    with pytest.raises(ShapeError, match=r"predictions have shape \(3, 2\) and targets \(3,\)"):
        METRICS["mean_squared_error"](np.ones((3, 2)), np.ones(3))
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(ParameterError, match="a metric is a name or a Metric"):
        metrics.get(np.mean)
