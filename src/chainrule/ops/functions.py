"""Functions composed of operations: statistics, activations, comparisons of distributions.

Nothing here has a derivative rule of its own: each is a few operations, and the chain rule does
the rest.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import ParameterError
from chainrule.ops import elementwise as ew
from chainrule.ops.build import cast, dtype_of, row_count, shape_of
from chainrule.ops.reduce import Axes, logsumexp
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.shapes import ROWS, as_float, normalize_axes


def count(x: Any, axis: Axes = None) -> Any:
    """How many elements a reduction over ``axis`` combines: a number, or a node if rows are among them."""
    shape = shape_of(x)
    extents = [shape[position] for position in normalize_axes(axis, len(shape))]
    fixed = math.prod(extent for extent in extents if isinstance(extent, int))
    return cast(row_count(), as_float(dtype_of(x))) * fixed if ROWS in extents else fixed


def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The mean over ``axis`` (all axes if None)."""
    total = reduce_sum(x, axis=axis, keepdims=keepdims)
    return total / count(x, axis)


def var(x: Any, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The variance over ``axis``: squared deviations, divided by their number less ``correction``."""
    deviation = x - mean(x, axis=axis, keepdims=True)
    squares = reduce_sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return squares / (count(x, axis) - correction)


def std(x: Any, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation: the square root of :func:`var`."""
    return ew.sqrt(var(x, axis, correction, keepdims))


def square(x: Any) -> Any:
    """x * x"""
    return ew.multiply(x, x)


def reciprocal(x: Any) -> Any:
    """1 / x"""
    return ew.divide(1, x)


def log_softmax(z: Any, axis: int = -1) -> Any:
    """The logarithm of softmax, z - logsumexp(z), finite where softmax underflows."""
    return ew.subtract(z, logsumexp(z, axis=axis, keepdims=True))


def log_sigmoid(x: Any) -> Any:
    """The logarithm of the sigmoid, -softplus(-x)."""
    return -ew.softplus(ew.negative(x))


# Activations


def identity(x: Any) -> Any:
    """x"""
    return x


def hard_tanh(x: Any) -> Any:
    """x between -1 and 1, beyond them the bound."""
    return ew.clip(x, -1.0, 1.0)


def hard_sigmoid(x: Any) -> Any:
    """x / 6 + 1/2 between -3 and 3, beyond them 0 or 1; derivative 0 at both bounds."""
    inside = ew.logical_and(ew.greater(x, -3.0), ew.less(x, 3.0))
    return ew.where(inside, ew.divide(x, 6.0) + 0.5, cast(ew.greater(x, 0), as_float(dtype_of(x))))


def leaky_relu(x: Any, slope: Any = 0.01) -> Any:
    """x where positive, else slope * x; a learned slope makes it PReLU (He et al. 2015)."""
    return ew.where(ew.greater(x, 0), x, ew.multiply(x, slope))


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha * (exp(x) - 1) (Clevert, Unterthiner and Hochreiter 2016)."""
    return ew.where(ew.greater(x, 0), x, alpha * ew.expm1(_negative_part(x)))


def _negative_part(x: Any) -> Any:
    """x where not positive, else 0: keeps exp from overflowing, with derivative 1 at 0."""
    return ew.where(ew.greater(x, 0), 0, x)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def selu(x: Any) -> Any:
    """The self-normalising ELU (Klambauer et al. 2017)."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """max(x, 0) + min(0, alpha (exp(x / alpha) - 1)) (Barron 2017)."""
    if alpha == 0:
        raise ParameterError("celu: alpha must not be 0")
    return ew.where(ew.greater(x, 0), x, alpha * ew.expm1(_negative_part(x) / alpha))


def softsign(x: Any) -> Any:
    """x / (1 + |x|)"""
    return ew.divide(x, 1 + ew.abs(x))


def gelu(x: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function at x (Hendrycks and Gimpel 2016).

    Parameters
    ----------
    approximate : {"none", "tanh"}
        The exact form by erf, or the paper's tanh formula.
    """
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * ew.multiply(ew.multiply(x, x), x))
        return ew.multiply(0.5, x) * (1 + ew.tanh(inner))
    if approximate != "none":
        raise ParameterError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return ew.multiply(0.5, x) * (1 + ew.erf(ew.multiply(x, 1 / math.sqrt(2))))


def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2018)."""
    return ew.multiply(x, ew.sigmoid(x))


def mish(x: Any) -> Any:
    """x * tanh(softplus(x)) (Misra 2019)."""
    return ew.multiply(x, ew.tanh(ew.softplus(x)))
