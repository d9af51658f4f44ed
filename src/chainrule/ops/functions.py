"""Functions composed of operations: statistics, activations, comparisons of distributions.

Nothing here has a derivative rule of its own: each is a few operations, and the chain rule does
the rest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import ParameterError
from chainrule.ops import elementwise as ew
from chainrule.ops.build import cast, dtype_of, row_count, shape_of
from chainrule.ops.reduce import Axes, logsumexp
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.shapes import ROWS, as_float, normalize_axes


def count(x: Any, axis: Axes = None) -> Any:
    """How many elements a reduction over ``axis`` combines; a node if rows are among them.

    Examples
    --------
    >>> count([[1.0, 2.0, 3.0]], axis=1)
    3
    """
    shape = shape_of(x)
    extents = [shape[position] for position in normalize_axes(axis, len(shape))]
    fixed = math.prod(extent for extent in extents if isinstance(extent, int))
    return cast(row_count(), as_float(dtype_of(x))) * fixed if ROWS in extents else fixed


def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The mean over ``axis`` (all axes if None); NaN of no elements.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([2., 3.])
    """
    return ew.divide(reduce_sum(x, axis=axis, keepdims=keepdims), count(x, axis))


def var(x: Any, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The variance over ``axis``: squared deviations, divided by their number less ``correction``.

    Examples
    --------
    >>> import chainrule as cr
    >>> print(cr.var([1.0, 2.0, 3.0]), cr.var([1.0, 2.0, 3.0], correction=1))
    0.6666666666666666 1.0
    """
    deviation = ew.subtract(x, mean(x, axis=axis, keepdims=True))
    squares = reduce_sum(square(deviation), axis=axis, keepdims=keepdims)
    return ew.divide(squares, count(x, axis) - correction)


def std(x: Any, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation: the square root of :func:`var`.

    Examples
    --------
    >>> import chainrule as cr
    >>> print(cr.std([1.0, 3.0]))
    1.0
    """
    return ew.sqrt(var(x, axis, correction, keepdims))


def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """``x``, but at least ``min`` and at most ``max``; None is no bound.

    The derivative passes at both bounds.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.clip([-2.0, 0.5, 7.0], 0.0, 1.0)
    array([0. , 0.5, 1. ])
    >>> cr.clip([-2, 5], max=3)
    array([-2,  3])
    """
    low, high = _extremes(x)
    return ew.clip(x, low if min is None else min, high if max is None else max)


def _extremes(x: Any) -> tuple[Any, Any]:
    """Bounds that nothing of the type of ``x`` lies beyond, as weak scalars."""
    dtype = dtype_of(x)
    if dtype.kind not in "iu":
        return -math.inf, math.inf
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def square(x: Any) -> Any:
    """The product of x with itself.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.square([-2.0, 3.0])
    array([4., 9.])
    """
    return ew.multiply(x, x)


def reciprocal(x: Any) -> Any:
    """1 divided by x.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.reciprocal([2.0, -4.0])
    array([ 0.5 , -0.25])
    """
    return ew.divide(1, x)


def log_softmax(z: Any, axis: int = -1) -> Any:
    """The logarithm of softmax, z - logsumexp(z), finite where softmax underflows.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.log_softmax([0.0, 1e4])
    array([-10000.,      0.])
    """
    return ew.subtract(z, logsumexp(z, axis=axis, keepdims=True))


def log_sigmoid(x: Any) -> Any:
    """The logarithm of the sigmoid, -softplus(-x), finite where the sigmoid underflows.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.log_sigmoid([-1e4, 0.0]).round(4)
    array([-1.000e+04, -6.931e-01])
    """
    return ew.negative(ew.softplus(ew.negative(x)))


# Activations


def identity(x: Any) -> Any:
    """What comes in.

    Examples
    --------
    >>> identity(3.0)
    3.0
    """
    return x


def hard_tanh(x: Any) -> Any:
    """x between -1 and 1, beyond them the bound; derivative 0 at both bounds.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hard_tanh([-3.0, 0.5, 3.0])
    array([-1. ,  0.5,  1. ])
    """
    inside = ew.logical_and(ew.greater(x, -1.0), ew.less(x, 1.0))
    return ew.where(inside, x, ew.sign(x))


def hard_sigmoid(x: Any) -> Any:
    """x / 6 + 1/2 between -3 and 3, beyond them 0 or 1; derivative 0 at both bounds.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.hard_sigmoid([-4.0, 0.0, 1.5, 4.0])
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    inside = ew.logical_and(ew.greater(x, -3.0), ew.less(x, 3.0))
    line = ew.add(ew.divide(x, 6.0), 0.5)
    beyond = ew.divide(ew.add(ew.sign(x), 1), 2.0)
    return ew.where(inside, line, beyond)


def leaky_relu(x: Any, slope: Any = 0.01) -> Any:
    """x where positive, else slope * x; a learned slope makes it PReLU (He et al. 2015).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.leaky_relu([-2.0, 2.0], slope=0.1)
    array([-0.2,  2. ])
    """
    return ew.where(ew.greater(x, 0), x, ew.multiply(x, slope))


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha * (exp(x) - 1) (Clevert, Unterthiner and Hochreiter 2016).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.elu([-1e4, 2.0])
    array([-1.,  2.])
    """
    return ew.where(ew.greater(x, 0), x, ew.multiply(alpha, ew.expm1(_negative_part(x))))


def _negative_part(x: Any) -> Any:
    """x where not positive, else 0: keeps exp from overflowing, with derivative 1 at 0."""
    return ew.where(ew.greater(x, 0), 0, x)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def selu(x: Any) -> Any:
    """The self-normalising ELU, whose two constants keep mean 0 and variance 1 (Klambauer 2017).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.selu([-1e4, 1.0]).round(4)
    array([-1.7581,  1.0507])
    """
    return ew.multiply(SELU_SCALE, elu(x, SELU_ALPHA))


def celu(x: Any, alpha: float = 1.0) -> Any:
    """max(x, 0) + min(0, alpha (exp(x / alpha) - 1)), smooth at 0 for every alpha (Barron 2017).

    Raises
    ------
    ParameterError
        If ``alpha`` is 0.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.celu([-1e4, 2.0], alpha=0.5)
    array([-0.5,  2. ])
    """
    if alpha == 0:
        raise ParameterError("celu needs an alpha other than 0; relu is its limit")
    tail = ew.multiply(alpha, ew.expm1(ew.divide(_negative_part(x), alpha)))
    return ew.where(ew.greater(x, 0), x, tail)


def softsign(x: Any) -> Any:
    """x / (1 + abs(x)).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.softsign([-3.0, 1.0])
    array([-0.75,  0.5 ])
    """
    return ew.divide(x, ew.add(1, ew.abs(x)))


def gelu(x: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function at x (Hendrycks and Gimpel 2016).

    Parameters
    ----------
    x : array_like or Node
    approximate : {"none", "tanh"}
        The exact form by erf, or the paper's tanh formula.

    Raises
    ------
    ParameterError
        For another ``approximate``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.gelu([-1.0, 0.0, 1.0]).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    if approximate == "tanh":
        cube = ew.multiply(square(x), x)
        inner = ew.multiply(math.sqrt(2 / math.pi), ew.add(x, ew.multiply(0.044715, cube)))
        return ew.multiply(ew.multiply(0.5, x), ew.add(1, ew.tanh(inner)))
    if approximate != "none":
        raise ParameterError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    above = ew.add(1, ew.erf(ew.multiply(x, 1 / math.sqrt(2))))
    return ew.multiply(ew.multiply(0.5, x), above)


def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2018).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.silu([0.0, 1.0]).round(4)
    array([0.    , 0.7311])
    """
    return ew.multiply(x, ew.sigmoid(x))


def mish(x: Any) -> Any:
    """x * tanh(softplus(x)) (Misra 2019).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.mish([0.0, 1.0]).round(4)
    array([0.    , 0.8651])
    """
    return ew.multiply(x, ew.tanh(ew.softplus(x)))
