"""Reading by computed index, and its derivative, adding by computed index.

Computed indices are clamped to the axis, so that no engine reads outside an array; engines that
can, report the first index that was outside. Negative indices count from the end.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, ShapeError
from chainrule.graph.node import Node
from chainrule.graph.op import REALS, Algebra, Kind, Op, register
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply, dtype_of, shape_of
from chainrule.ops.movement import expand_dims, flip, moveaxis, reshape, slice_along, squeeze
from chainrule.ops.reduce import sum as reduce_sum
from chainrule.ops.special import zeros
from chainrule.shapes import (
    BOOL,
    INT64,
    Array,
    Dtype,
    Extent,
    TensorType,
    as_array,
    as_dtype,
    normalize_axis,
    size_of,
)


def _indices(first: Dtype, second: Dtype) -> tuple[Dtype, Dtype]:
    if second.kind not in "iu":
        raise DtypeError(
            f"indices must be integers, got {second.name}; use cr.where to choose by truth values"
        )
    return first, INT64


def _take_type(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    normalize_axis(axis, len(x.shape))
    return TensorType(x.dtype, x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def _check_range(indices: Array, low: int, extent: int) -> None:
    """Raise an IndexError for the first index outside the axis."""
    smallest, largest = np.minimum.reduce, np.maximum.reduce
    if indices.size and (
        smallest(indices, axis=None) < low or largest(indices, axis=None) >= extent
    ):
        outside = (indices < low) | (indices >= extent)
        raise IndexError(
            f"index {np.asarray(indices)[outside].flat[0]} is outside an axis of {extent}"
        )


def _numpy_take(x: Array, indices: Array, out: Array | None = None, *, axis: int) -> Array:
    _check_range(indices, -x.shape[axis], x.shape[axis])
    return np.asarray(np.take(x, indices, axis=axis, out=out, mode="wrap"))


def _scatter_type(x: TensorType, indices: TensorType, axis: int, size: Extent) -> TensorType:
    rank = len(indices.shape)
    if x.shape[axis : axis + rank] != indices.shape:
        raise ShapeError(f"indices of shape {indices.shape} do not fit {x.shape} at axis {axis}")
    return TensorType(x.dtype, (*x.shape[:axis], size, *x.shape[axis + rank :]))


def _numpy_scatter_add(
    x: Array, indices: Array, out: Array | None = None, *, axis: int, size: int
) -> Array:
    _check_range(indices, -size, size)
    before, after = x.shape[:axis], x.shape[axis + indices.ndim :]
    rows = np.moveaxis(x.reshape(*before, indices.size, *after), axis, 0)
    result = zeros((*before, size, *after), x.dtype, out)
    np.add.at(np.moveaxis(result, axis, 0), indices.reshape(-1), rows)
    return result


TAKE = register(
    Op("take", Kind.INDEXING, _take_type, _numpy_take, into=_numpy_take, coerce=_indices,
       algebra=Algebra.LINEAR,
       vjp=lambda g, y, x, indices, axis: (scatter_add(g, indices, axis, shape_of(x)[axis]), None),
       domain=(REALS,), symbol="take", summary="Elements at computed places along an axis.")
)  # fmt: skip
SCATTER_ADD = register(
    Op("scatter_add", Kind.INDEXING, _scatter_type, _numpy_scatter_add, into=_numpy_scatter_add,
       coerce=_indices,
       vjp=lambda g, y, x, indices, axis, size: (take(g, indices, axis), None),
       algebra=Algebra.LINEAR, domain=(REALS,), symbol="scatter",
       summary="Elements added up at computed places along an axis.")
)  # fmt: skip


def take(x: Any, indices: Any, axis: int = 0) -> Any:
    """The elements of ``x`` at ``indices`` along ``axis``.

    Parameters
    ----------
    x : array_like or Node
    indices : integers of any shape, which takes the place of ``axis``
    axis : int

    Raises
    ------
    IndexError
        When run, for an index outside the axis.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.take([10.0, 20.0, 30.0], [2, 0, -1])
    array([30., 10., 30.])
    """
    return apply(TAKE, x, indices, axis=normalize_axis(axis, len(shape_of(x))))


def scatter_add(x: Any, indices: Any, axis: int, size: Extent) -> Any:
    """Zeros with ``size`` places along ``axis``, to which ``x`` is added at ``indices``.

    The transpose of :func:`take`: an index that occurs twice receives both.

    Raises
    ------
    IndexError
        When run, for an index outside the axis.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.scatter_add([1.0, 2.0, 4.0], [0, 2, 0], axis=0, size=3)
    array([5., 0., 2.])
    """
    rank = len(shape_of(x)) - len(shape_of(indices)) + 1
    return apply(SCATTER_ADD, x, indices, axis=normalize_axis(axis, rank), size=size)


def one_hot(labels: Any, classes: int, dtype: Any = np.float64) -> Any:
    """A row of ``classes`` numbers for each label: 1 at the label, 0 elsewhere.

    Raises
    ------
    DtypeError
        If the labels are no integers.
    IndexError
        When run, for a label that is negative, or not below ``classes``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    if dtype_of(labels).kind not in "iu":
        raise DtypeError(f"labels must be integers, got {dtype_of(labels).name}")
    return apply(ONE_HOT, labels, classes=int(classes), dtype=as_dtype(dtype))


def _numpy_one_hot(labels: Array, out: Array | None = None, *, classes: int, dtype: Dtype) -> Array:
    _check_range(labels, 0, classes)
    result = zeros((*labels.shape, classes), dtype, out)
    rows = np.arange(0, result.size, max(1, classes))
    result.reshape(-1)[rows + labels.astype(np.intp, copy=False).reshape(-1)] = 1
    return result


def _one_hot_type(labels: TensorType, classes: int, dtype: Dtype) -> TensorType:
    return TensorType(dtype, (*labels.shape, classes))


ONE_HOT = register(
    Op("one_hot", Kind.INDEXING, _one_hot_type, _numpy_one_hot, into=_numpy_one_hot,
       vjp=lambda g, y, labels, classes, dtype: (None,), symbol="one_hot",
       summary="1 at each label, 0 elsewhere.")
)  # fmt: skip


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    """For each position the element of ``x`` at that position's index along ``axis``.

    Parameters
    ----------
    x : array_like or Node
        The extent of ``axis`` must be fixed.
    indices : integers with as many axes as ``x``; the others broadcast
    axis : int

    Raises
    ------
    IndexError
        When run, for an index outside the axis.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [-2]])
    array([[2.],
           [3.]])
    """
    axis = normalize_axis(axis, len(shape_of(x)))
    extent = shape_of(x)[axis]
    if not isinstance(extent, int):
        raise ShapeError(
            "the rows of a batch cannot be indexed one by one: their number is not fixed"
        )
    places = moveaxis(indices, axis, -1)
    places = ew.where(ew.less(places, 0), ew.add(places, extent), places)
    chosen = one_hot(places, extent, BOOL)
    rows = expand_dims(moveaxis(x, axis, -1), -2)
    return moveaxis(reduce_sum(ew.where(chosen, rows, 0), axis=-1), -1, axis)


# x[key]


def getitem(x: Any, key: Any) -> Any:
    """``x[key]`` for integers, slices, ``...``, ``None`` and neighbouring integer arrays.

    Raises
    ------
    IndexError, ShapeError
        For a place outside, more indices than axes, or arrays that are not neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> getitem(np.arange(6).reshape(2, 3), (slice(None), -1))
    array([2, 5])
    """
    keys = _spelled_out(key if isinstance(key, tuple) else (key,), len(shape_of(x)))
    arrays = any(_is_array(each) for each in keys)
    groups = [
        (by_array, list(group))
        for by_array, group in groupby(keys, lambda k: arrays and _is_index(k))
    ]
    if sum(by_array for by_array, _ in groups) > 1:
        raise ShapeError("index arrays must stand next to each other; index in two steps instead")
    axis = 0
    for by_array, group in groups:
        for step in [group] if by_array else group:
            x, axis = _index_arrays(x, axis, step) if by_array else _index_simple(x, axis, step)
    return x


def _is_array(key: Any) -> bool:
    return isinstance(key, (Node, np.ndarray, list))


def _is_index(key: Any) -> bool:
    return _is_array(key) or isinstance(key, (int, np.integer))


def _spelled_out(keys: tuple[Any, ...], rank: int) -> list[Any]:
    """The keys with ``...`` replaced by full slices, one key for each axis."""
    used = sum(key is not None and key is not Ellipsis for key in keys)
    if used > rank:
        raise ShapeError(f"{used} indices for an array of {rank} axes")
    place = next((i for i, key in enumerate(keys) if key is Ellipsis), len(keys))
    return [*keys[:place], *[slice(None)] * (rank - used), *keys[place + 1 :]]


def _index_simple(x: Any, axis: int, key: Any) -> tuple[Any, int]:
    """One key that is no array: the result, and the next axis to index."""
    if key is None:
        return expand_dims(x, axis), axis + 1
    extent = shape_of(x)[axis]
    if isinstance(key, slice):
        return (x if key == slice(None) else _index_slice(x, axis, key, extent)), axis + 1
    if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
        raise DtypeError(
            f"{type(key).__name__} is no index; use integers, slices, ..., None or integer arrays"
        )
    if not isinstance(extent, int) or not -extent <= key < extent:
        raise IndexError(f"index {key} is outside axis {axis} of {extent}")
    place = int(key) % extent
    return squeeze(slice_along(x, axis, place, place + 1), axis), axis


def _index_slice(x: Any, axis: int, key: slice, extent: Any) -> Any:
    if not isinstance(extent, int):
        raise ShapeError("the rows of a batch cannot be sliced: their number is not fixed")
    start, stop, step = key.indices(extent)
    count = len(range(start, stop, step))
    if step > 0:
        return slice_along(x, axis, start, max(start, stop), step)
    last = start + (count - 1) * step
    return flip(
        slice_along(x, axis, last, start + 1, -step) if count else slice_along(x, axis, 0, 0), axis
    )


def _index_arrays(x: Any, axis: int, keys: list[Any]) -> tuple[Any, int]:
    """Neighbouring index arrays, as one index into their axes laid flat."""
    indices = [key if isinstance(key, Node) else as_array(key) for key in keys]
    extents = shape_of(x)[axis : axis + len(keys)]
    if len(keys) == 1:
        return take(x, indices[0], axis), axis + len(shape_of(indices[0]))
    size = size_of(extents)
    flat: Any = 0
    outside: Any = False
    for index, extent in zip(indices, extents, strict=True):
        beyond = ew.logical_or(ew.less(index, -extent), ew.greater_equal(index, extent))
        outside = ew.logical_or(outside, beyond)
        flat = flat * extent + ew.where(ew.less(index, 0), index + extent, index)
    flat = ew.where(outside, size, flat)  # size is outside, and is reported as such
    shape = shape_of(x)
    laid = reshape(x, (*shape[:axis], size, *shape[axis + len(keys) :]))
    return take(laid, flat, axis), axis + len(shape_of(flat))
