"""Sums of a few hidden units, f(x) = w0 + sum w_i h(v_i x + b_i), fitted from many starts.

Their parameters stand in one vector: theta = (w0, w_1, ..., w_m, v_1, ..., v_m, b_1, ..., b_m).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule import ops
from chainrule.errors import ShapeError, unknown_name
from chainrule.explain.curve_fits import CurveFits, fit_curves

if TYPE_CHECKING:
    from chainrule.networks import Network

UNITS = {"tanh": ops.tanh, "logistic": ops.sigmoid}
LAYERS = {"tanh": "tanh", "logistic": "sigmoid"}
SCALES = (1.0, 1.0, 4.0, 2.0)  # of the starts: w0, w, v and b

Floats = npt.NDArray[np.float64]


def unit_sum(unit: str = "tanh") -> Callable[[Any, Any], Any]:
    """The curve of x (n,) and theta (..., 3 m + 1), for :func:`~chainrule.explain.fit_curves`.

    Raises
    ------
    UnknownNameError
        If the unit is neither ``"tanh"`` nor ``"logistic"``.

    Examples
    --------
    >>> unit_sum()(np.array([0.0, 1.0]), np.array([0.5, 2.0, 1.0, 0.0])).round(3)
    array([0.5  , 2.023])
    """
    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)

    def curve(x: Any, theta: Any) -> Any:
        hidden = _hidden(theta.shape[-1])
        w, v, b = (theta[..., 1 + k * hidden : 1 + (k + 1) * hidden] for k in range(3))
        return theta[..., 0] + ops.sum(w * UNITS[unit](v * x[:, None] + b), axis=-1)

    return curve


def fit_units(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    hidden: int = 3,
    unit: str = "tanh",
    *,
    restarts: int = 64,
    iterations: int = 100,
    seed: int = 0,
) -> CurveFits:
    """Fit a sum of units from many random starts at once.

    Parameters
    ----------
    x, y : (n,) float
    hidden : int
        Units.
    unit : {"tanh", "logistic"}
    restarts : int
    iterations : int
        Of the Levenberg-Marquardt method.
    seed : int

    Examples
    --------
    >>> x = np.linspace(-1, 1, 50)
    >>> bool(fit_units(x, x**2, restarts=8).losses.min() < 1e-6)
    True
    """
    scales = np.repeat(SCALES, [1, hidden, hidden, hidden])
    starts = np.random.default_rng(seed).normal(size=(restarts, 3 * hidden + 1)) * scales
    return fit_curves(unit_sum(unit), x, y, starts, iterations=iterations)


def unit_network(theta: npt.ArrayLike, unit: str = "tanh") -> Network:
    """The network with the parameters ``theta``: a hidden layer of units, an affine output.

    Parameters
    ----------
    theta : (3 m + 1,) float
    unit : {"tanh", "logistic"}
    """
    from chainrule.networks import Network
    from chainrule.nn import Activation, Linear

    if unit not in LAYERS:
        raise unknown_name("unit", unit, LAYERS)
    parameters = np.asarray(theta, dtype=np.float64)
    m = _hidden(parameters.size)
    layers = [Linear(1, m, name="hidden"), Activation(LAYERS[unit]), Linear(m, 1, name="output")]
    model = Network(layers, dtype="float64")
    w, v, b = np.split(parameters[1:], 3)
    model["hidden"].W, model["hidden"].b = v[None, :], b
    model["output"].W, model["output"].b = w[:, None], parameters[:1]
    return model


def symmetric_copies(theta: npt.ArrayLike) -> Iterator[Floats]:
    """The m! 2^m parameters of one function of tanh units: in any order, each with either sign.

    Examples
    --------
    >>> sum(1 for _ in symmetric_copies(np.arange(10.0)))
    48
    """
    parameters = np.asarray(theta, dtype=np.float64)
    m = _hidden(parameters.size)
    parts = np.split(parameters[1:], 3)
    for order, signs in product(permutations(range(m)), product((1, -1), repeat=m)):
        moved = [np.array(signs) * part[list(order)] for part in parts]
        yield np.concatenate([parameters[:1], *moved])


def _hidden(size: int) -> int:
    """The units of a vector of parameters."""
    if size % 3 != 1:
        raise ShapeError(f"a sum of m units has 3 m + 1 parameters, and these are {size}")
    return size // 3
