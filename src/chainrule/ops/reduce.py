"""Reductions and scans: operations that combine elements along axes.

A reduction has two attributes, ``axes`` (sorted, counted from the front) and ``keepdims``. The
public functions take the array API's ``axis``. Ties of max and min share the derivative equally.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.op import REALS, Algebra, Interval, Kind, Op, register
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply, cast, dtype_of, shape_of
from chainrule.ops.movement import (
    broadcast_to,
    concat,
    flip,
    ones_like,
    reshape,
    slice_along,
    squeeze,
)
from chainrule.shapes import (
    BOOL,
    INT64,
    Array,
    Dtype,
    Shape,
    TensorType,
    as_float,
    normalize_axes,
    normalize_axis,
)

Axes: TypeAlias = "int | Sequence[int] | None"


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape that is left when ``axes`` are combined."""
    if keepdims:
        return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    return tuple(extent for axis, extent in enumerate(shape) if axis not in axes)


def restore_axes(x: Any, like: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The result of a reduction, with its axes of size 1 back in place."""
    return x if keepdims else reshape(x, reduced_shape(shape_of(like), axes, True))


def _reduction(
    name: str,
    numpy: Callable[..., Any],
    doc: str,
    vjp: Callable[..., Any] | None = None,
    *,
    gives: Dtype | None = None,
    coerce: Callable[[Dtype], Dtype] = lambda dtype: dtype,
    empty: bool = True,
    writes: bool = True,
    domain: Interval = REALS,
    flags: Algebra = Algebra.NONE,
    symbol: str = "",
) -> Op:
    """Register a reduction; one that ``writes`` takes an output array in its second place."""

    def infer(x: TensorType, axes: tuple[int, ...], keepdims: bool) -> TensorType:
        if axes != normalize_axes(axes, len(x.shape)):
            raise ShapeError(f"axes are sorted and counted from the front, got {axes}")
        if not empty and builtins.any(x.shape[axis] == 0 for axis in axes):
            raise ShapeError(f"{name} of no elements is not defined")
        return TensorType(gives or x.dtype, reduced_shape(x.shape, axes, keepdims))

    def rule(g: Any, y: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> tuple[Any, ...]:
        if vjp is None:
            return (None,)
        g, y = restore_axes(g, x, axes, keepdims), restore_axes(y, x, axes, keepdims)
        return (vjp(g, y, x, axes),)

    return register(
        Op(name, Kind.REDUCTION, infer, numpy, vjp=rule, coerce=lambda dtype: (coerce(dtype),),
           into=numpy if writes else None, domain=(domain,), algebra=flags,
           symbol=symbol or name, summary=doc)
    )  # fmt: skip


_SHORT = 32  # elements of a row


def _wide(dtype: Dtype) -> Dtype:
    """Sums of small integers and of truth values are counted in 64 bits, as NumPy does."""
    if dtype.kind == "u":
        return np.dtype(np.uint64)
    return INT64 if dtype.kind in "bi" else dtype


def _ties(g: Any, y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    winners = cast(ew.equal(x, y), dtype_of(x))
    return winners * (g / sum(winners, axis=axes, keepdims=True))


def _largest(x: Array, axes: tuple[int, ...]) -> Any:
    """The largest along axes, which are kept.

    NumPy takes short rows one by one: for 64 of 10 numbers 7 to 13 us, columns 3 us.
    """
    if x.ndim == 2 and axes == (1,) and x.shape[1] < _SHORT:
        return np.maximum.reduce(x.T.copy(), axis=0)[:, None]
    return np.maximum.reduce(x, axis=axes, keepdims=True)


def _numpy_logsumexp(
    x: Array, out: Array | None = None, *, axes: tuple[int, ...], keepdims: bool
) -> Array:
    top = _largest(x, axes)
    total = np.log(np.add.reduce(np.exp(x - top), axis=axes, keepdims=True)) + top
    # where the largest is infinite, infinity less infinity made the total NaN; fmax prefers the top
    kept = None if out is None else out.reshape(total.shape)
    total = np.asarray(np.fmax(total, top, out=kept))
    return total if keepdims else np.squeeze(total, axis=axes)


def _numpy_softmax(x: Array, out: Array | None = None, *, axis: int) -> Array:
    if not x.shape[axis]:
        return x
    raised = np.exp(np.subtract(x, _largest(x, (axis,)), out=out), out=out)
    total = np.add.reduce(raised, axis=axis, keepdims=True)
    return np.asarray(np.divide(raised, total, out=out))


def _combining(ufunc: np.ufunc) -> Callable[..., Any]:
    """The reduction by ``ufunc``, in the elements' own type."""

    def numpy(x: Array, out: Any = None, *, axes: tuple[int, ...], keepdims: bool) -> Any:
        return ufunc.reduce(x, axis=axes, dtype=x.dtype, out=out, keepdims=keepdims)

    return numpy


SUM = _reduction(
    "sum", _combining(np.add), "The sum over axes.",
    lambda g, y, x, axes: broadcast_to(g, shape_of(x)), coerce=_wide,
    flags=Algebra.LINEAR, symbol="Σ",
)  # fmt: skip
PROD = _reduction(
    "prod", _combining(np.multiply), "The product over axes.",
    lambda g, y, x, axes: g * _product_of_others(x, axes), coerce=_wide, symbol="Π",
)  # fmt: skip
MAX = _reduction(
    "max", _combining(np.maximum),
    "The largest over axes; NaN wins; ties share the derivative equally.", _ties, empty=False,
)  # fmt: skip
MIN = _reduction(
    "min", _combining(np.minimum),
    "The smallest over axes; NaN wins; ties share the derivative equally.", _ties, empty=False,
)  # fmt: skip
LOGSUMEXP = _reduction(
    "logsumexp", _numpy_logsumexp,
    "log of the sum of exp over axes, by its largest element, so that nothing overflows.",
    lambda g, y, x, axes: g * ew.exp(x - y), coerce=as_float, empty=False,
)  # fmt: skip
ALL = _reduction("all", _combining(np.logical_and),
                 "Whether all hold.", gives=BOOL, coerce=lambda _: BOOL)  # fmt: skip
ANY = _reduction("any", _combining(np.logical_or),
                 "Whether any holds.", gives=BOOL, coerce=lambda _: BOOL)  # fmt: skip


def _first(function: Callable[..., Any]) -> Callable[..., Array]:
    def numpy(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        return np.asarray(function(x, axis=axes[0], keepdims=keepdims), dtype=np.int64)

    return numpy


ARGMAX = _reduction("argmax", _first(np.argmax), "Where the largest is; the first of equals.",
                    gives=INT64, empty=False, writes=False)  # fmt: skip
ARGMIN = _reduction("argmin", _first(np.argmin), "Where the smallest is; the first of equals.",
                    gives=INT64, empty=False, writes=False)  # fmt: skip


def _reduce(op: Op, x: Any, axis: Axes, keepdims: bool) -> Any:
    return apply(op, x, axes=normalize_axes(axis, len(shape_of(x))), keepdims=bool(keepdims))


def sum(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The sum over ``axis`` (all axes if None); small integers and truth values count in 64 bits.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.sum([[1.0, 2.0], [3.0, 4.0]], axis=1, keepdims=True)
    array([[3.],
           [7.]])
    """
    return _reduce(SUM, x, axis, keepdims)


def prod(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The product over ``axis`` (all axes if None), one axis after the other.

    Examples
    --------
    >>> import chainrule as cr
    >>> print(cr.prod([2.0, 3.0, 4.0]))
    24.0
    """
    axes = normalize_axes(axis, len(shape_of(x)))
    result = apply(PROD, x, axes=axes[:0], keepdims=True) if not axes else x
    for position in axes:
        result = apply(PROD, result, axes=(position,), keepdims=True)
    return result if keepdims else squeeze(result, axes)


def max(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest over ``axis``; NaN wins; ties share the derivative equally, as PyTorch's amax.

    Raises
    ------
    ShapeError
        Of no elements.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.max([[1.0, 5.0], [7.0, 2.0]], axis=0)
    array([7., 5.])
    """
    return _reduce(MAX, x, axis, keepdims)


def min(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The smallest over ``axis``; NaN wins; ties share the derivative equally.

    Raises
    ------
    ShapeError
        Of no elements.

    Examples
    --------
    >>> import chainrule as cr
    >>> print(cr.min([[1.0, 5.0], [7.0, 2.0]]))
    1.0
    """
    return _reduce(MIN, x, axis, keepdims)


def logsumexp(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over ``axis``, finite for every finite x.

    Examples
    --------
    >>> import chainrule as cr
    >>> float(cr.logsumexp([1e4, 1e4]))  # 10000 + log 2
    10000.69314718056
    """
    return _reduce(LOGSUMEXP, x, axis, keepdims)


def all(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Whether all elements along ``axis`` hold; of no elements, they do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.all([[True, False], [True, True]], axis=1)
    array([False,  True])
    """
    return _reduce(ALL, x, axis, keepdims)


def any(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Whether any element along ``axis`` holds; of no elements, none does.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.any([[True, False], [False, False]], axis=1)
    array([ True, False])
    """
    return _reduce(ANY, x, axis, keepdims)


def _locate(op: Op, x: Any, axis: int | None, keepdims: bool) -> Any:
    rank = len(shape_of(x))
    if axis is None:
        flat = apply(op, reshape(x, (-1,)), axes=(0,), keepdims=False)
        return reshape(flat, (1,) * rank) if keepdims else flat
    return apply(op, x, axes=(normalize_axis(axis, rank),), keepdims=bool(keepdims))


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest along ``axis``, of all elements if None; the first of equals.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.argmax([[1.0, 5.0], [7.0, 7.0]], axis=1)
    array([1, 0])
    """
    return _locate(ARGMAX, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the smallest along ``axis``, of all elements if None; the first of equals.

    Examples
    --------
    >>> import chainrule as cr
    >>> print(cr.argmin([4.0, 1.0, 1.0]))
    1
    """
    return _locate(ARGMIN, x, axis, keepdims)


# Scans: the shape stays


def _scan(name: str, numpy: Callable[..., Any], doc: str, vjp: Callable[..., Any] | None,
          coerce: Callable[[Dtype], Dtype], domain: Interval = REALS,
          flags: Algebra = Algebra.NONE, gives: Dtype | None = None,
          writes: bool = True) -> Op:  # fmt: skip
    def infer(x: TensorType, axis: int) -> TensorType:
        normalize_axis(axis, len(x.shape))
        return TensorType(gives or x.dtype, x.shape)

    return register(
        Op(name, Kind.SCAN, infer, numpy, vjp=vjp, coerce=lambda dtype: (coerce(dtype),),
           into=numpy if writes else None, domain=(domain,), algebra=flags, symbol=name,
           summary=doc)
    )  # fmt: skip


def _numpy_cumulative_sum(x: Array, out: Array | None = None, *, axis: int) -> Array:
    return np.add.accumulate(x, axis=axis, dtype=x.dtype, out=out)


def _numpy_argsort(x: Array, axis: int) -> Array:
    """The stable order; of small whole numbers by sorting them together with their places.

    NumPy sorts 64-bit numbers five times as fast as it finds the stable order of 32-bit ones.
    """
    if x.dtype.kind != "u" or x.dtype.itemsize > 4 or x.shape[axis] >= 2**32:
        return np.argsort(x, axis=axis, kind="stable")
    places = np.arange(x.shape[axis], dtype=np.uint64)
    tagged = np.moveaxis(x, axis, -1).astype(np.uint64) << np.uint64(32) | places
    tagged.sort(axis=-1)
    return np.moveaxis((tagged & np.uint64(2**32 - 1)).astype(np.int64), -1, axis)


CUMULATIVE_SUM = _scan(
    "cumulative_sum", _numpy_cumulative_sum,
    "The sum of all elements up to each one.",
    lambda g, y, x, axis: (flip(cumulative_sum(flip(g, axis=axis), axis=axis), axis=axis),),
    _wide, flags=Algebra.LINEAR,
)  # fmt: skip
SOFTMAX = _scan(
    "softmax", _numpy_softmax, "exp(x) divided by its sum along an axis.",
    lambda g, y, x, axis: (y * (g - sum(g * y, axis=axis, keepdims=True)),), as_float,
)  # fmt: skip
ARGSORT = _scan(
    "argsort", _numpy_argsort,
    "The order that sorts along an axis; equals keep their order.", None,
    lambda dtype: dtype, gives=INT64, writes=False,
)  # fmt: skip


def cumulative_sum(x: Any, axis: int = -1) -> Any:
    """The sum of all elements up to each one along ``axis``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.cumulative_sum([1.0, 2.0, 4.0])
    array([1., 3., 7.])
    """
    return apply(CUMULATIVE_SUM, x, axis=normalize_axis(axis, len(shape_of(x))))


def cumulative_prod(x: Any, axis: int = -1) -> Any:
    """The product of all elements up to each one along ``axis``.

    Computed by doubling (Hillis and Steele 1986): log2(n) products of shifted arrays, so that
    derivatives of every order exist even where elements are 0.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.cumulative_prod([1.0, 2.0, 4.0])
    array([1., 2., 8.])
    """
    axis = normalize_axis(axis, len(shape_of(x)))
    result, step = x, 1
    while step < _fixed_extent(x, axis):
        result = ew.multiply(result, _shifted(result, step, axis))
        step *= 2
    return result


def _shifted(x: Any, step: int, axis: int) -> Any:
    """``x`` moved by ``step`` along ``axis``, ones moving in."""
    kept = slice_along(x, axis, 0, _fixed_extent(x, axis) - step)
    return concat([ones_like(slice_along(x, axis, 0, step)), kept], axis=axis)


def _fixed_extent(x: Any, axis: int) -> int:
    extent = shape_of(x)[axis]
    if not isinstance(extent, int):
        raise ShapeError(
            "products along the rows of a batch are not supported; the number of rows must be fixed"
        )
    return extent


def argsort(x: Any, axis: int = -1) -> Any:
    """The order that sorts ``x`` along ``axis``; equals keep their order.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.argsort([3.0, 1.0, 2.0, 1.0])
    array([1, 3, 2, 0])
    """
    return apply(ARGSORT, x, axis=normalize_axis(axis, len(shape_of(x))))


def softmax(z: Any, axis: int = -1, temperature: float = 1.0) -> Any:
    """exp(z / temperature) divided by its sum along ``axis``: probabilities that sum to 1.

    The largest element is subtracted first, which changes nothing but keeps every exp at most 1.

    Parameters
    ----------
    z : array_like or Node
        Scores (logits), any real numbers.
    axis : int
    temperature : float > 0
        Small temperatures sharpen, large ones flatten.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.softmax([2.0, 1.0, 0.1, 0.0, -2.0]).round(3)
    array([0.598, 0.22 , 0.09 , 0.081, 0.011])
    """
    scaled = (
        z
        if isinstance(temperature, (int, float)) and temperature == 1
        else ew.divide(z, temperature)
    )
    return apply(SOFTMAX, scaled, axis=normalize_axis(axis, len(shape_of(z))))


def _product_of_others(x: Any, axes: tuple[int, ...]) -> Any:
    """For each element the product of all others along one axis, without dividing (x may be 0)."""
    if not axes:
        return ones_like(x)
    (axis,) = axes
    if _fixed_extent(x, axis) == 0:
        return x
    before = _shifted(cumulative_prod(x, axis), 1, axis)
    after = flip(_shifted(cumulative_prod(flip(x, axis), axis), 1, axis), axis)
    return before * after
