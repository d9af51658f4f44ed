"""How far predictions can be trusted, learned from held-out rows.

Probabilities are corrected by a temperature, numbers get a standard deviation and intervals, and
rows far from all training rows are told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import DataError, FileFormatError, ParameterError
from chainrule.estimators.table_repeats import Weighing
from chainrule.nn.tabular import SMOOTH_LIMIT
from chainrule.shapes import FLOAT32, FLOAT64, Array

FAR_SHARE = 0.01  # of rows like the training rows that are flagged as far
NEIGHBOURS = 512  # training rows that distances are measured to
_BLOCK = 4096
_COLDEST, _HOTTEST = 0.05, 20.0
_GOLDEN = 0.6180339887498949  # (sqrt(5) - 1) / 2
_TINY = 1e-12
_SPREAD_FACTORS = np.array([0.0, *np.geomspace(0.1, 30.0, 24)])
_FITTING_ROWS = 10  # that the two numbers of a deviation need
_MOST_LAID_OUT = 65_536  # numbers of which a share is told


# Weights


def as_counts(weights: Array | None, rows: int) -> Array:
    """How many rows each row is, (n,) float64.

    Weights count rows where training has each as often as it weighs; else a row of the mean weight
    is one, so that large weights promise no more than the rows can tell.

    >>> as_counts(np.array([1.0, 3.0]), 2).tolist(), as_counts(np.array([2e3, 6e3]), 2).tolist()
    ([1.0, 3.0], [0.5, 1.5])
    """
    if weights is None:
        return np.ones(rows)
    counting = Weighing().with_rows(weights).is_counting
    return weights if counting else weights / weights.mean()


def laid_out(values: Array, counts: Array) -> Array:
    """Rising values, each as often as it counts: every so many rows the value that is there.

    Systematic resampling (Kitagawa 1996, Monte Carlo filter and smoother, appendix).

    >>> laid_out(np.array([5.0, 4.0]), np.array([1.0, 3.0])).tolist()
    [4.0, 4.0, 4.0, 5.0]
    """
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(counts[order])
    n = min(round(float(counts.sum())), _MOST_LAID_OUT)
    places = np.searchsorted(ends, (np.arange(n) + 0.5) * (ends[-1:] / max(n, 1)))
    found: Array = values[order][places]
    return found


# Probabilities


def tempered(probabilities: Array, temperature: float) -> Array:
    """softmax(log p / T): surer below T = 1, less sure above; sums are 1 in float64.

    >>> tempered(np.array([[0.8, 0.2]]), 2.0).round(4).tolist()
    [[0.6667, 0.3333]]
    """
    powers = probabilities
    if temperature != 1:
        logits = np.log(np.maximum(probabilities, _TINY)) / temperature
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = powers / powers.sum(axis=1, keepdims=True)
    return result


def log_loss(probabilities: Array, labels: Array, counts: Array | None = None) -> float:
    """The mean of -log p of the right class."""
    right = probabilities[np.arange(len(labels)), labels]
    return float(-np.average(np.log(np.maximum(right, _TINY)), weights=counts))


def best_temperature(probabilities: Array, labels: Array, counts: Array | None = None) -> float:
    """The temperature of least log loss (Guo et al. 2017, On calibration of modern networks).

    Found by golden section on its logarithm. Of n rows each counts as 1 / (n + 2) wrong, so that
    rows which are all right do not make a model certain (Platt 1999, section 2.2). A row that
    counts 3 is three rows.
    """
    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    n, classes = probabilities.shape
    doubt = 1 / ((n if counts is None else counts.sum()) + 2)

    def loss(at: float) -> float:
        found = tempered(probabilities, math.exp(at))
        even = -np.average(np.log(np.maximum(found, _TINY)).mean(axis=1), weights=counts)
        share = doubt * classes / (classes - 1)
        return float((1 - share) * log_loss(found, labels, counts) + share * even)

    while high - low > 1e-4:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return math.exp((low + high) / 2)


def calibration_error(probabilities: Array, labels: Array, bins: int = 15) -> float:
    """The expected calibration error: |confidence - accuracy| over bins of equal width.

    Naeini, Cooper and Hauskrecht 2015, Obtaining well calibrated probabilities.
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = np.bincount(place, sure - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def best_threshold(scores: Array, positive: Array, counts: Array | None = None) -> float:
    """The threshold on a score with the greatest F1: 2 hits / (2 hits + misses + false alarms).

    Halfway between the score that is the last to count and the next one.

    >>> best_threshold(np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, True, True]))
    0.25
    """
    order = np.argsort(-scores, kind="stable")
    each = np.ones(len(scores)) if counts is None else counts[order]
    ordered, hits = scores[order], np.cumsum(each * positive[order])
    f1 = 2 * hits / (np.cumsum(each) + (hits[-1] or 1.0))
    ends = np.append(ordered[:-1] > ordered[1:], True)  # equal scores count together
    best = int(np.argmax(np.where(ends, f1, -1.0)))
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + below) / 2)


def average_precision(scores: Array, positive: Array) -> float:
    """The area under the curve of precision and recall: sum of (R_i - R_{i-1}) P_i.

    >>> round(average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True])), 4)
    0.8333
    """
    if not positive.any():
        raise DataError("average precision needs rows of the positive class")
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(positive[order])
    ends = np.flatnonzero(np.append(ordered[:-1] > ordered[1:], True))
    recall = hits[ends] / positive.sum()
    precision = hits[ends] / (ends + 1)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


# Numbers


@dataclass(frozen=True, eq=False)
class Deviation:
    """The standard deviation of an error: sqrt(factor * variance between members + noise).

    Attributes
    ----------
    factor, noise : float >= 0
    scores : (n,) float64
        Of the held-out rows in rising order: target less prediction, in standard deviations.
    """

    factor: float
    noise: float
    scores: Array

    @classmethod
    def fit(cls, errors: Array, variances: Array, counts: Array | None = None) -> Deviation:
        """The normal deviation under which the held-out errors (n,) are likeliest.

        Parameters
        ----------
        errors : (n,) array
            Targets less predictions.
        variances : (n,) array
            Between members.
        counts : (n,) array, optional
            How many rows each is.
        """
        counts = np.ones(len(errors)) if counts is None else counts
        if counts.sum() < _FITTING_ROWS:
            return cls(1.0, 1.0, np.empty(0))
        squares = errors.astype(FLOAT64) ** 2
        floor = max(float(np.average(squares, weights=counts)) * 1e-4, _TINY)
        fits = [(_cost(squares, f, variances, floor, counts), f) for f in _SPREAD_FACTORS]
        factor = float(min(fits)[1])
        noise = _noise(squares, factor * variances, floor, counts)
        scale = np.sqrt(factor * variances + noise)
        return cls(factor, noise, laid_out(errors / scale, counts))

    def of(self, variances: Array) -> Array:
        """The deviation where members vary so much."""
        return np.sqrt(self.factor * variances + self.noise)

    def reach(self, coverage: float) -> float:
        """How many deviations an interval reaches to each side, to hold ``coverage`` of the rows.

        The ceil((n + 1) coverage)-th smallest score of n held-out rows (split conformal
        prediction: Vovk, Gammerman and Shafer 2005; Lei et al. 2018, section 2).

        Raises
        ------
        ParameterError
            If the coverage is not between 0 and 1, or beyond what the held-out rows can tell.
        """
        return _conformal(np.sort(np.abs(self.scores)), coverage, "an interval of coverage")

    def quantile(self, level: float) -> float:
        """How many deviations above the prediction lies what a share ``level`` of targets is below.

        A score of the held-out rows, as for :meth:`reach`; below 1/2 counted from the other end, so
        that two quantiles hold at least what lies between their levels.

        Raises
        ------
        ParameterError
            As :meth:`reach`.
        """
        if 0 < level < 0.5:
            return -_conformal(-self.scores[::-1], 1 - level, "a quantile of level")
        return _conformal(self.scores, level, "a quantile of level")


def _conformal(scores: Array, share: float, what: str) -> float:
    """The ceil((n + 1) share)-th of n rising scores: at least ``share`` of new ones are below."""
    if not 0 < share < 1:
        raise ParameterError(f"{what} must lie between 0 and 1, both excluded, got {share!r}")
    n = len(scores)
    place = math.ceil((n + 1) * share)
    if place > n:
        raise ParameterError(
            f"{what} {share:g} needs at least {math.ceil(share / (1 - share))} held-out rows, and"
            f" the model has measured {n}"
        )
    return float(scores[place - 1])


def _noise(squares: Array, explained: Array, floor: float, counts: Array) -> float:
    """The constant variance beside ``explained`` that makes errors likeliest: fixed-point steps."""
    noise = max(float(np.average(squares - explained, weights=counts)), floor)
    for _ in range(50):
        weight = counts / (explained + noise) ** 2
        noise = max(float(np.sum(weight * (squares - explained)) / np.sum(weight)), floor)
    return noise


def _cost(squares: Array, factor: float, variances: Array, floor: float, counts: Array) -> float:
    """Twice the negative log likelihood of a normal with mean 0."""
    total = factor * variances + _noise(squares, factor * variances, floor, counts)
    return float(np.average(np.log(total) + squares / total, weights=counts))


# Distance


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Some training rows, and how far from the nearest a row may be.

    Attributes
    ----------
    points : (n, d) float32
        Training rows as :func:`features_of` gives them.
    codes : (n, c) int32
        Their category numbers: each that differs counts 1.
    limit : float
        The squared distance beyond which a row is far.
    """

    points: Array
    codes: Array
    limit: float

    @classmethod
    def fit(
        cls,
        X: Array,
        held_out: Array,
        counts: Array,
        numbers: int,
        categories: int,
        seed: int,
    ) -> Neighbours:
        """From training rows; FAR_SHARE of rows like the held-out ones are beyond the limit.

        Each of these counts as so many rows.
        """
        draw = np.random.Generator(np.random.Philox(seed)).permutation(len(X))[:NEIGHBOURS]
        points, codes = features_of(X[np.sort(draw)], numbers, categories)
        found = cls(points, codes, math.inf)
        distances = found.distances(*features_of(held_out, numbers, categories))
        distances = laid_out(distances, counts)
        place = math.ceil((len(distances) + 1) * (1 - FAR_SHARE))
        if place > len(distances):
            return found
        return cls(points, codes, float(distances[place - 1]))

    def distances(self, points: Array, codes: Array) -> Array:
        """Squared distance of each row to the nearest of the points, (n,) float64."""
        found = [
            self._nearest(points[low : low + _BLOCK], codes[low : low + _BLOCK])
            for low in range(0, len(points), _BLOCK)
        ]
        return np.concatenate(found) if found else np.empty(0)

    def _nearest(self, points: Array, codes: Array) -> Array:
        a, b = points.astype(FLOAT64), self.points.astype(FLOAT64)
        squared = (a**2).sum(axis=1)[:, None] - 2 * a @ b.T + (b**2).sum(axis=1)
        for mine, known in zip(codes.T, self.codes.T, strict=True):
            squared += mine[:, None] != known
        nearest: Array = np.maximum(squared, 0.0).min(axis=1)
        return nearest


def features_of(X: Array, numbers: int, categories: int) -> tuple[Array, Array]:
    """Encoded rows as points and category numbers; numbers held smoothly to a limit."""
    ratio = X[:, :numbers].astype(FLOAT64) / SMOOTH_LIMIT
    held = SMOOTH_LIMIT * ratio / np.sqrt(1 + ratio**2)
    end = X.shape[1] - categories
    points = np.concatenate([held, X[:, numbers:end]], axis=1).astype(FLOAT32)
    return points, X[:, end:].astype(np.int32)


# All of it


@dataclass(frozen=True, eq=False)
class Trust:
    """What held-out rows say about predictions.

    Attributes
    ----------
    temperature : float > 0
    threshold : float
        Of the second of two classes: of greatest F1.
    deviation : Deviation or None
        For numbers.
    neighbours : Neighbours
    """

    temperature: float
    threshold: float
    deviation: Deviation | None
    neighbours: Neighbours

    def packed(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What a file holds."""
        facts: dict[str, Any] = {"temperature": self.temperature, "threshold": self.threshold}
        limit = self.neighbours.limit
        facts["limit"] = limit if math.isfinite(limit) else None
        arrays = {"points": self.neighbours.points, "codes": self.neighbours.codes}
        if self.deviation is not None:
            facts |= {"factor": self.deviation.factor, "noise": self.deviation.noise}
            arrays["scores"] = self.deviation.scores
        return facts, arrays

    @classmethod
    def unpacked(cls, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Trust:
        """What :meth:`packed` took apart.

        Raises
        ------
        FileFormatError
            If its parts do not fit together.
        """
        numbers = [facts[name] for name in facts if name != "limit"]
        if not all(type(x) in (int, float) and x >= 0 for x in numbers) or not facts["temperature"]:
            raise FileFormatError("its calibration is damaged")
        points, codes = arrays["points"], arrays["codes"]
        if points.ndim != 2 or codes.ndim != 2 or len(points) != len(codes):
            raise FileFormatError("its training rows are damaged")
        limit = math.inf if facts["limit"] is None else float(facts["limit"])
        deviation = None
        if "factor" in facts:
            deviation = Deviation(facts["factor"], facts["noise"], arrays["scores"])
            if deviation.scores.ndim != 1:
                raise FileFormatError("its measured errors are damaged")
        return cls(
            facts["temperature"], facts["threshold"], deviation, Neighbours(points, codes, limit)
        )
