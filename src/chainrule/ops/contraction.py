"""Matrix products. One record covers all transpositions, so derivatives need no copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.op import REALS, Algebra, Kind, Op, register
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply, shape_of
from chainrule.ops.movement import expand_dims, permute_dims, reshape, squeeze
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.shapes import (
    INT64,
    ROWS,
    Array,
    Dtype,
    Extent,
    Shape,
    TensorType,
    broadcast_shapes,
    normalize_axis,
    promote,
    size_of,
)


def _swapped(shape: Shape, swap: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if swap else shape


def _matmul_type(a: TensorType, b: TensorType, transpose_a: bool, transpose_b: bool) -> TensorType:
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise ShapeError(f"matrices are needed, got shapes {a.shape} and {b.shape}")
    left, right = _swapped(a.shape, transpose_a), _swapped(b.shape, transpose_b)
    if left[-1] != right[-2]:
        raise ShapeError(f"inner sizes differ: {left} times {right} needs {left[-1]} = {right[-2]}")
    batch = broadcast_shapes(left[:-2], right[:-2])
    return TensorType(a.dtype, (*batch, left[-2], right[-1]))


def _numpy_matmul(
    a: Array, b: Array, out: Array | None = None, *, transpose_a: bool, transpose_b: bool
) -> Array:
    result: Array = np.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b, out=out)
    return result


def _matmul_vjp(
    g: Any, y: Any, a: Any, b: Any, transpose_a: bool, transpose_b: bool
) -> tuple[Any, Any]:
    """For Y = A B: dA = dY B', dB = A' dY; a transposed operand takes the transposed product."""
    da = product(b, g, transpose_b, True) if transpose_a else product(g, b, False, not transpose_b)
    db = product(g, a, True, transpose_a) if transpose_b else product(a, g, not transpose_a, False)
    return da, db


def _multipliable(*dtypes: Dtype) -> tuple[Dtype, ...]:
    found = promote(*dtypes)
    return (INT64 if found.kind == "b" else found,) * len(dtypes)


MATMUL = register(
    Op("matmul", Kind.CONTRACTION, _matmul_type, _numpy_matmul, vjp=_matmul_vjp, into=_numpy_matmul,
       coerce=_multipliable, algebra=Algebra.MULTILINEAR, domain=(REALS, REALS), symbol="@",
       summary="The matrix product over the last two axes; leading axes broadcast.")
)  # fmt: skip


def product(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """The product of two matrices, or stacks of them, either one transposed.

    Examples
    --------
    >>> import numpy as np
    >>> product(np.ones((5, 2)), np.ones((5, 3)), transpose_a=True).shape
    (2, 3)
    """
    return apply(MATMUL, a, b, transpose_a=transpose_a, transpose_b=transpose_b)


def matmul(a: Any, b: Any) -> Any:
    """The matrix product; a vector counts as a row on the left, as a column on the right.

    Parameters
    ----------
    a : (..., m, k) or (k,)
    b : (..., k, n) or (k,)
        Leading axes broadcast.

    Returns
    -------
    (..., m, n), without the axes that vectors lack

    Raises
    ------
    ShapeError
        If the inner sizes differ, or an operand is a scalar.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    array([3., 7.])
    """
    row, column = len(shape_of(a)) == 1, len(shape_of(b)) == 1
    result = product(expand_dims(a, 0) if row else a, expand_dims(b, 1) if column else b)
    if column:
        result = squeeze(result, -1)
    return squeeze(result, -1 if column else -2) if row else result


def vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    """The sum of products along one axis; the others broadcast.

    Examples
    --------
    >>> import chainrule as cr
    >>> print(cr.vecdot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    return reduce_sum(ew.multiply(a, b), axis=axis)


def tensordot(a: Any, b: Any, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Any:
    """The sum of products over pairs of axes.

    Parameters
    ----------
    a, b : array_like or Node
    axes : int or pair of sequences of int
        How many of the last axes of ``a`` go with the first ones of ``b``, or which with which.

    Raises
    ------
    ShapeError
        If paired axes differ in size.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.tensordot([[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0]], axes=([1], [1]))
    array([[3.],
           [7.]])
    """
    rank_a, rank_b = len(shape_of(a)), len(shape_of(b))
    if isinstance(axes, int):
        axes = (range(rank_a - axes, rank_a), range(axes))
    over_a = [normalize_axis(axis, rank_a) for axis in axes[0]]
    over_b = [normalize_axis(axis, rank_b) for axis in axes[1]]
    shared, other = _extents(a, over_a), _extents(b, over_b)
    if shared != other:
        raise ShapeError(f"tensordot: paired axes have sizes {shared} and {other}")
    free_a = [axis for axis in range(rank_a) if axis not in over_a]
    free_b = [axis for axis in range(rank_b) if axis not in over_b]
    rows, columns = _extents(a, free_a), _extents(b, free_b)
    left = reshape(permute_dims(a, free_a + over_a), (_merged(rows), _merged(shared)))
    right = reshape(permute_dims(b, over_b + free_b), (_merged(shared), _merged(columns)))
    return reshape(product(left, right), rows + columns)


def _extents(x: Any, axes: Sequence[int]) -> Shape:
    return tuple(shape_of(x)[axis] for axis in axes)


def _merged(extents: Shape) -> Extent:
    """The size of several axes laid flat; the rows of a batch stay an axis of their own."""
    if ROWS in extents and all(extent == 1 for extent in extents if extent is not ROWS):
        return ROWS
    return size_of(extents)


def outer(a: Any, b: Any) -> Any:
    """All products of an element of the vector ``a`` with one of the vector ``b``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.outer([1.0, 2.0], [3.0, 4.0])
    array([[3., 4.],
           [6., 8.]])
    """
    return ew.multiply(expand_dims(a, 1), expand_dims(b, 0))
