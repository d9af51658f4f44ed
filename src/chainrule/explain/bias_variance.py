"""Bias and variance: what an estimator's error is made of, over many data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ShapeError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Bars, Panel
from chainrule.explain.subjects import require_finite

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BiasVariance:
    """The parts of the expected squared error at some places.

    Attributes
    ----------
    mean : (n,) float64
        The mean prediction over the data sets.
    bias2, variance : (n,) float64
        The squared distance of the mean prediction from the truth; the variance of the
        predictions around their mean (divided by the number of sets less 1).
    """

    mean: Floats
    bias2: Floats
    variance: Floats

    def figure(self, noise: float = 0.0) -> Chart:
        """Their means, and the noise's, as bars."""
        parts = {"bias²": self.bias2.mean(), "variance": self.variance.mean(), "noise": noise}
        bars = Bars(range(len(parts)), list(parts.values()), numbers_on=True)
        panel = Panel(bars, y="mean squared error", x_names=dict(enumerate(parts)))
        return Chart(panel, title="What the expected error is made of")


def decomposed(predictions: npt.ArrayLike, truth: npt.ArrayLike) -> BiasVariance:
    """Bias and variance of predictions made from many data sets.

    Parameters
    ----------
    predictions : (sets, n) float
        A row of predictions for every data set.
    truth : (n,) float
        What is predicted, without noise; targets with noise put their noise into ``bias2``.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or there are fewer than two sets.
    DataError
        If a number is not finite.

    Notes
    -----
    E (y - f)^2 = (E f - truth)^2 + Var f + noise (Geman, Bienenstock and Doursat 1992, eq. 2.5).

    Examples
    --------
    >>> parts = decomposed([[1.0, 0.0], [3.0, 0.0]], truth=[1.0, 0.0])
    >>> parts.bias2, parts.variance
    (array([1., 0.]), array([2., 0.]))
    """
    made, wanted = np.asarray(predictions, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if made.ndim != 2 or made.shape[1:] != wanted.shape or len(made) < 2:
        raise ShapeError(
            "predictions have the shape (sets, n) with at least 2 sets, and truth (n,), not"
            f" {made.shape} and {wanted.shape}"
        )
    require_finite(made, "the predictions", "train with a smaller rate, for example")
    require_finite(wanted, "the truths")
    mean = made.mean(axis=0)
    return BiasVariance(mean, (mean - wanted) ** 2, made.var(axis=0, ddof=1))


def bootstrap(
    fit: Callable[[Floats, Floats], Callable[[Floats], Any]],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    X_test: npt.ArrayLike,
    *,
    sets: int = 50,
    seed: int = 0,
) -> Floats:
    """Predictions of an estimator that is fitted anew to resampled rows.

    Parameters
    ----------
    fit : callable
        From rows and targets to a function that predicts, such as
        ``lambda X, y: estimator.fit(X, y).predict``.
    X, y : (n, ...) and (n, ...)
    X_test : (m, ...)
    sets : int
        How many times n rows are drawn, with replacement.
    seed : int

    Returns
    -------
    (sets, m) float64
        For :func:`decomposed`.
    """
    rows, targets, asked = np.asarray(X), np.asarray(y), np.asarray(X_test)
    draw = np.random.default_rng(seed)
    drawn = draw.integers(0, len(rows), (sets, len(rows)))
    return np.stack([np.asarray(fit(rows[k], targets[k])(asked)).ravel() for k in drawn])
