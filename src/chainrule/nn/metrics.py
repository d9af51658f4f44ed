"""Metrics: how good predictions are, in NumPy, on the arrays that a network gives.

A prediction is the network's output, (n, k): scores or probabilities of classes, or numbers.
Labels are whole numbers (n,) or one-hot rows; one output column stands for two classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from chainrule.errors import DataError, ParameterError, ShapeError, unknown_name
from chainrule.records import dataclass
from chainrule.shapes import FLOAT64, INT64, Array, as_array

Measure = Callable[[Array, Array, Array], Any]
"""Takes predictions, targets and weights (n,), the first two of one shape."""


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are.

    Attributes
    ----------
    name : str
    measure : callable
        Of predictions, targets and weights.
    greater_is_better : bool
    needs : {"numbers", "labels", "scores"}
        What it compares: the numbers as they are; class labels; or labels with the scores of the
        second of two classes.
    """

    name: str
    measure: Measure
    greater_is_better: bool
    needs: str = "numbers"

    def __call__(
        self, prediction: Any, target: Any, weights: Any = None, probabilities: bool = False
    ) -> float:
        """The metric.

        Parameters
        ----------
        prediction : (n, k) or (n,) array
        target : (n, k) or (n,) array
        weights : (n,) array, optional
        probabilities : bool
            Whether a single output column is a probability, with 1/2 between the two classes, or
            a score, with 0.

        Raises
        ------
        ShapeError
            If shapes do not fit.
        DataError
            If there are no rows.
        """
        p, y = as_array(prediction), as_array(target)
        if len(p) != len(y):
            raise ShapeError(f"{self.name}: {len(p)} predictions for {len(y)} targets")
        if not len(y):
            raise DataError(f"{self.name} of no rows is not defined")
        w = np.ones(len(y)) if weights is None else as_array(weights, FLOAT64)
        if self.needs != "numbers":
            y = target_labels(y)
            p = predicted_labels(p, 0.5 if probabilities else 0.0) if self.needs == "labels" else p
        return float(self.measure(*_same_shape(p, y, self.name), w))


def predicted_labels(output: Array, threshold: float) -> Array:
    """(n,) class numbers: the largest column's, or whether a single score is above ``threshold``.

    Integers (n,) are labels already.

    Examples
    --------
    >>> predicted_labels(np.array([[0.1, 0.9], [0.8, 0.2]]), 0.5)
    array([1, 0])
    >>> predicted_labels(np.array([[0.2], [0.7]]), 0.5)
    array([0, 1])
    """
    if output.ndim == 2 and output.shape[1] > 1:
        winners: Array = np.argmax(output, axis=1)
        return winners
    if output.ndim == 1 and output.dtype.kind in "biu":
        return output.astype(INT64)
    return (output.reshape(len(output)) > threshold).astype(INT64)


def target_labels(y: Array) -> Array:
    """(n,) class numbers from labels or one-hot rows; of the classes -1 and 1, -1 becomes 0."""
    if y.ndim == 2 and y.shape[1] > 1:
        winners: Array = np.argmax(y, axis=1)
        return winners
    return np.maximum(y.reshape(len(y)), 0).astype(INT64)


def _same_shape(p: Array, y: Array, name: str) -> tuple[Array, Array]:
    if p.shape == (*y.shape, 1) or y.shape == (*p.shape, 1):
        p, y = p.reshape(len(p)), y.reshape(len(y))
    if p.shape != y.shape:
        raise ShapeError(f"{name}: predictions have shape {p.shape} and targets {y.shape}")
    return p, y


def _mean(values: Array, weights: Array) -> Any:
    """The weighted mean over rows of the mean over columns."""
    return np.average(values.reshape(len(values), -1).mean(axis=1), weights=weights)


def _accuracy(p: Array, y: Array, w: Array) -> Any:
    return _mean(np.equal(p, y), w)


def _balanced_accuracy(p: Array, y: Array, w: Array) -> Any:
    """The mean over classes of the share of each that is found."""
    return np.mean([_accuracy(p[y == k], y[y == k], w[y == k]) for k in np.unique(y)])


def _macro_f1(p: Array, y: Array, w: Array) -> Any:
    """The mean over classes of 2 hits / (2 hits + misses + false alarms)."""
    classes = np.unique(np.concatenate([p, y]))
    hits = [2 * w[(p == k) & (y == k)].sum() for k in classes]
    wrong = [w[(p == k) != (y == k)].sum() for k in classes]
    return np.mean(
        [hit / (hit + miss) if hit else 0.0 for hit, miss in zip(hits, wrong, strict=True)]
    )


def _roc_auc(p: Array, y: Array, w: Array) -> Any:
    """How likely a row of the second class scores higher than one of the first; ties count half."""
    distinct, place = np.unique(p, return_inverse=True)
    below = np.bincount(place, w * (y == 0), len(distinct))
    above = np.bincount(place, w * (y == 1), len(distinct))
    if not below.sum() or not above.sum():
        raise DataError("roc_auc needs rows of two classes, got one")
    ordered = np.cumsum(below) - below / 2
    return (above * ordered).sum() / (above.sum() * below.sum())


def _mean_squared_error(p: Array, y: Array, w: Array) -> Any:
    return _mean(np.square(np.subtract(p, y, dtype=FLOAT64)), w)


def _r2(p: Array, y: Array, w: Array) -> Any:
    """1 - squared errors / squared deviations from the mean, averaged over columns."""
    p, y = p.reshape(len(p), -1).astype(FLOAT64), y.reshape(len(y), -1).astype(FLOAT64)
    left = np.average((y - p) ** 2, axis=0, weights=w)
    whole = np.average((y - np.average(y, axis=0, weights=w)) ** 2, axis=0, weights=w)
    constant = np.where(left == 0, 1.0, 0.0)  # scikit-learn's choice where targets do not vary
    return np.mean(np.where(whole > 0, 1 - left / np.where(whole > 0, whole, 1.0), constant))


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _accuracy, True, "labels"),
        Metric("error_rate", lambda p, y, w: 1 - _accuracy(p, y, w), False, "labels"),
        Metric("balanced_accuracy", _balanced_accuracy, True, "labels"),
        Metric("macro_f1", _macro_f1, True, "labels"),
        Metric("roc_auc", _roc_auc, True, "scores"),
        Metric("mean_squared_error", _mean_squared_error, False),
        Metric("root_mean_squared_error", lambda *rows: _mean_squared_error(*rows) ** 0.5, False),
        Metric("mean_absolute_error", lambda p, y, w: _mean(np.abs(p - y), w), False),
        Metric("max_error", lambda p, y, w: np.max(np.abs(p - y)), False),
        Metric("r2", _r2, True),
    )
}


def get(metric: Any) -> Metric:
    """The metric of a name; metrics as they are.

    Raises
    ------
    UnknownNameError
        If there is no metric of that name.
    ParameterError
        If it is neither a name nor a metric.

    Examples
    --------
    >>> get("accuracy")([[0.2, 0.8], [0.6, 0.4]], [1, 1])
    0.5
    """
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str):
        raise ParameterError(f"a metric is a name or a Metric(name, measure, ...), got {metric!r}")
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    return METRICS[metric]
