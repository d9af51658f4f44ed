"""Numbers on one scale: learned from the training rows and saved with the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from chainrule.data.totals import Totals
from chainrule.errors import unknown_name
from chainrule.shapes import Array

State: TypeAlias = dict[str, Array]
POINTS = 1000  # of the quantile curve
_TAIL = 1e-3  # share of rows beyond the ends of the normal distribution that quantiles map to


def _varying(spread: Array, X: Array) -> Array:
    """The spread, or where it is 0 half of the range, or 1."""
    span = (X.max(axis=0) - X.min(axis=0)) / 2
    return np.where(spread > 0, spread, np.where(span > 0, span, 1.0))


def _standard(X: Array) -> State:
    return {"center": X.mean(axis=0), "scale": _varying(X.std(axis=0), X)}


def _standard_of_all(totals: Totals, sample: State) -> State:
    deviations = totals.deviations
    scale = np.where(deviations > 0, deviations, sample["scale"])
    return {"center": totals.means, "scale": scale}


def _robust(X: Array) -> State:
    lower, median, upper = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
    return {"center": median, "scale": _varying(upper - lower, X)}


def _rescaled(X: Array, state: State) -> Array:
    return (X - state["center"]) / state["scale"]


def _quantile(X: Array) -> State:
    shares = np.linspace(0, 1, min(POINTS, len(X)))
    return {"points": np.quantile(X, shares, axis=0)}


def _normal_scores(X: Array, state: State) -> Array:
    from statistics import NormalDist

    points = state["points"]
    shares = np.linspace(_TAIL, 1 - _TAIL, len(points))
    scores = np.array([*map(NormalDist().inv_cdf, shares)])
    columns = [_ranked(x, curve, scores) for x, curve in zip(X.T, points.T, strict=True)]
    return np.column_stack(columns)


def _ranked(x: Array, curve: Array, scores: Array) -> Array:
    """Scores by rank; equal values have the mean of the scores they could have."""
    upper = np.interp(x, curve, scores)
    lower = -np.interp(-x, -curve[::-1], -scores[::-1])
    result: Array = (upper + lower) / 2
    return result


def _principal(X: Array) -> State:
    base = _standard(X)
    from chainrule.nn.preprocessing import principal_axes

    _, axes = principal_axes(_rescaled(X, base))
    return {**base, "matrix": axes}


def _white(X: Array) -> State:
    base = _standard(X)
    from chainrule.nn.preprocessing import principal_axes

    variances, axes = principal_axes(_rescaled(X, base))
    varies = variances > 0
    return {
        **base,
        "matrix": axes * np.where(varies, 1 / np.sqrt(np.where(varies, variances, 1)), 0),
    }


def _projected(X: Array, state: State) -> Array:
    result: Array = _rescaled(X, state) @ state["matrix"]
    return result


@dataclass(frozen=True)
class Scaling:
    """How numbers come to one scale: what is learned, and how it is applied.

    Attributes
    ----------
    learn : callable
        Takes the training rows (n, d) float64, finite; gives arrays by name.
    apply : callable
        Takes rows and those arrays; gives as many columns.
    relearn : callable, optional
        Takes the totals of all training rows and what was learned of some of them; gives what is
        learned of all. Without it a scaling stays that of those some.
    """

    learn: Callable[[Array], State]
    apply: Callable[[Array, State], Array]
    relearn: Callable[[Totals, State], State] | None = None


SCALINGS: Final = {
    "robust": Scaling(_robust, _rescaled),
    "standard": Scaling(_standard, _rescaled, _standard_of_all),
    "quantile": Scaling(_quantile, _normal_scores),
    "pca": Scaling(_principal, _projected),
    "whiten": Scaling(_white, _projected),
}


def scaling_of(name: str) -> Scaling:
    """The scaling of a name.

    Raises
    ------
    UnknownNameError
        If there is none.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0], [2.0], [9.0]])
    >>> robust = scaling_of("robust")
    >>> robust.apply(X, robust.learn(X)).ravel().tolist()
    [-0.25, 0.0, 1.75]
    """
    if name not in SCALINGS:
        raise unknown_name("scaling", name, SCALINGS)
    return SCALINGS[name]
