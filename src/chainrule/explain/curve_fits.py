"""Least squares from many starts at once, for functions of few parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ShapeError
from chainrule.expressions import compile as compiled
from chainrule.expressions import vjp

FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-2, 1e-15, 1e12
EASIER, HARDER = 1 / 4, 3.0  # what a step that lowers the loss, or fails to, does to the damping
FELT = 1e-100  # smaller slopes count as none: products of subnormal numbers take 100 times longer

Floats = npt.NDArray[np.float64]
Derived = Callable[[Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True)
class CurveFits:
    """What was reached from each start.

    Attributes
    ----------
    parameters : (starts, p) float64
    losses : (starts,) float64
        Mean squared errors.
    gradient_norms : (starts,) float64
        Euclidean norms of the loss's gradient.
    """

    parameters: Floats
    losses: Floats
    gradient_norms: Floats

    @property
    def best(self) -> Floats:
        """The parameters with the least loss: (p,)."""
        best: Floats = self.parameters[np.argmin(self.losses)]
        return best


def fit_curves(
    curve: Callable[[Any, Any], Any],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    starts: npt.ArrayLike,
    *,
    iterations: int = 200,
) -> CurveFits:
    r"""Fit a function of few parameters by the Levenberg-Marquardt method, from every start.

    .. math:: \theta \leftarrow \theta - (J^T J + \mu \operatorname{diag} J^T J)^{-1} J^T r

    with r the residuals and J their Jacobian, which one backward pass over copies of the
    parameters, one for each row, gives for all starts.

    Parameters
    ----------
    curve : function of (x, theta)
        Element by element in x, with the parameters on theta's last axis: ``theta[..., 0]`` is the
        first; nodes in, node out.
    x, y : (n,) float
    starts : (m, p) float
    iterations : int

    Returns
    -------
    CurveFits

    References
    ----------
    D. W. Marquardt 1963, An algorithm for least-squares estimation of nonlinear parameters.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = np.linspace(0, 1, 9)
    >>> line = lambda x, theta: theta[..., 0] + theta[..., 1] * cr.exp(theta[..., 2] * x)
    >>> fits = fit_curves(line, x, 2 + 3 * np.exp(-x), [[0.0, 1.0, 1.0], [1.0, 1.0, -2.0]])
    >>> fits.parameters.round(6)
    array([[ 2.,  3., -1.],
           [ 2.,  3., -1.]])
    """
    across, wanted = np.asarray(x, np.float64), np.asarray(y, np.float64)
    theta = np.array(starts, np.float64)
    if across.ndim != 1 or wanted.shape != across.shape or theta.ndim != 2:
        raise ShapeError(
            "fit_curves takes x and y of one shape (n,) and starts (m, p), not"
            f" {across.shape}, {wanted.shape} and {theta.shape}"
        )
    with np.errstate(all="ignore"):  # steps that overflow are not taken
        residuals, jacobian, losses = _descend(_derived(curve, across), wanted, theta, iterations)
    slopes = 2 * np.einsum("mnp,mn->mp", jacobian, residuals) / len(across)
    return CurveFits(theta, losses, np.linalg.norm(slopes, axis=1))


def _descend(
    derived: Derived, wanted: Floats, theta: Floats, iterations: int
) -> tuple[Floats, Floats, Floats]:
    """Move ``theta`` in place; what it leads to: residuals, Jacobian and losses."""
    damping = np.full(len(theta), FIRST_DAMPING)
    residuals, jacobian = derived(theta, wanted)
    losses = np.mean(residuals**2, axis=1)
    for _ in range(iterations):
        trial = theta - _step(residuals, jacobian, damping)
        found = derived(trial, wanted)
        reached = np.mean(found[0] ** 2, axis=1)
        better = reached < losses  # a loss that is not a number is not
        theta[better], losses[better] = trial[better], reached[better]
        residuals[better], jacobian[better] = found[0][better], found[1][better]
        damping = np.clip(damping * np.where(better, EASIER, HARDER), LEAST_DAMPING, MOST_DAMPING)
    return residuals, jacobian, losses


def _derived(curve: Callable[[Any, Any], Any], x: Floats) -> Derived:
    """A function of (theta, y) that gives residuals (m, n) and their Jacobian (m, n, p)."""

    @partial(compiled, engine="reference")
    def both(copies: Any) -> tuple[Any, Any]:
        values, pull = vjp(lambda each: curve(x, each), copies)
        return values, pull(np.ones(values.shape))[0]

    def derived(theta: Floats, y: Floats) -> tuple[Floats, Floats]:
        shape = (len(theta), len(x), theta.shape[1])
        values, jacobian = both(np.broadcast_to(theta[:, None, :], shape))
        felt = np.where(np.abs(jacobian) > FELT, jacobian, 0.0)
        return np.asarray(values) - y, felt

    return derived


def _step(residuals: Floats, jacobian: Floats, damping: Floats) -> Floats:
    """The damped Gauss-Newton step of every start: (m, p)."""
    products = jacobian.transpose(0, 2, 1) @ jacobian
    places = np.arange(products.shape[1])
    diagonal = products[:, places, places]
    products[:, places, places] += damping[:, None] * np.maximum(diagonal, LEAST_DAMPING)
    slopes = np.einsum("mnp,mn->mp", jacobian, residuals)
    try:
        step = np.linalg.solve(products, slopes[:, :, None])
    except np.linalg.LinAlgError:  # parameters that the residuals do not feel stay
        step = np.linalg.pinv(products, hermitian=True) @ slopes[:, :, None]
    return np.asarray(step[:, :, 0], np.float64)
