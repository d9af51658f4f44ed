"""Operations that move elements without computing: reshape, transpose, slice, pad, join.

All are linear, so each derivative is the reverse movement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.node import Node
from chainrule.graph.op import Algebra, Kind, Op, register
from chainrule.ops.build import apply, constant, shape_of
from chainrule.ops.special import zeros
from chainrule.shapes import (
    ROWS,
    Array,
    Shape,
    TensorType,
    as_array,
    as_shape,
    broadcast_shapes,
    normalize_axes,
    normalize_axis,
    promote,
)


def _movement(name: str, infer: Callable[..., TensorType], numpy: Callable[..., Array],
              vjp: Callable[..., Any], doc: str, *, view: bool = True,
              into: Callable[..., Any] | None = None,
              coerce: Callable[..., Any] | None = None) -> Op:  # fmt: skip
    return register(
        Op(name, Kind.MOVEMENT, infer, numpy, vjp=vjp, view=view, coerce=coerce,
           into=into, algebra=Algebra.LINEAR, symbol=name, summary=doc)
    )  # fmt: skip


# reshape


def _extents(shape: Shape) -> tuple[int, int]:
    """How often ROWS occurs in a shape, and the product of its other extents."""
    fixed = [extent for extent in shape if isinstance(extent, int)]
    return len(shape) - len(fixed), math.prod(fixed)


def _reshape_type(x: TensorType, shape: Shape) -> TensorType:
    if _extents(x.shape) != _extents(shape) and 0 not in (_extents(x.shape)[1], _extents(shape)[1]):
        raise ShapeError(f"shape {x.shape} cannot become {shape}: the numbers of elements differ")
    if (0 in x.shape) != (0 in shape):
        raise ShapeError(f"shape {x.shape} cannot become {shape}: the numbers of elements differ")
    return TensorType(x.dtype, shape)


RESHAPE = _movement(
    "reshape", _reshape_type, lambda x, shape: np.asarray(x).reshape(shape),
    lambda g, y, x, shape: (reshape(g, shape_of(x)),), "The same elements in another shape.",
)  # fmt: skip


def reshape(x: Any, shape: Any) -> Any:
    """The same elements in another shape; one extent may be -1, and is worked out.

    Raises
    ------
    ShapeError
        If the numbers of elements differ.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.reshape([1, 2, 3, 4], (2, -1))
    array([[1, 2],
           [3, 4]])
    """
    old = shape_of(x)
    new = _complete(
        old, [shape] if isinstance(shape, (int, np.integer)) or shape is ROWS else list(shape)
    )
    return x if isinstance(x, Node) and new == old else apply(RESHAPE, x, shape=new)


def _complete(old: Shape, new: list[Any]) -> Shape:
    unknown = [
        position for position, extent in enumerate(new) if extent is not ROWS and extent == -1
    ]
    if len(unknown) > 1:
        raise ShapeError(
            f"only one size can be worked out, and {tuple(new)} leaves {len(unknown)} open"
        )
    if unknown:
        others = as_shape([extent for extent in new if extent is ROWS or extent != -1])
        new[unknown[0]] = _missing_extent(old, others)
    return as_shape(new)


def _missing_extent(old: Shape, others: Shape) -> Any:
    (old_rows, old_count), (new_rows, new_count) = _extents(old), _extents(others)
    if old_rows > new_rows and old_count == new_count:
        return ROWS
    if old_rows != new_rows or new_count == 0 or old_count % new_count:
        raise ShapeError(f"shape {old} cannot be divided into {others} and one more axis")
    return old_count // new_count


# permute_dims


def _permute_type(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(f"axes {axes} are not an order of the {len(x.shape)} axes of {x.shape}")
    return TensorType(x.dtype, tuple(x.shape[axis] for axis in axes))


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


PERMUTE_DIMS = _movement(
    "permute_dims", _permute_type, np.transpose,
    lambda g, y, x, axes: (permute_dims(g, _inverse(axes)),), "The axes in another order.",
)  # fmt: skip


def permute_dims(x: Any, axes: Sequence[int]) -> Any:
    """``x`` with its axes in the order ``axes``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.permute_dims([[1, 2, 3]], (1, 0)).shape
    (3, 1)
    """
    rank = len(shape_of(x))
    return apply(PERMUTE_DIMS, x, axes=tuple(normalize_axis(axis, rank) for axis in axes))


def matrix_transpose(x: Any) -> Any:
    """``x`` with its last two axes exchanged.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.matrix_transpose([[1, 2, 3]]).shape
    (3, 1)
    """
    rank = len(shape_of(x))
    if rank < 2:
        raise ShapeError(f"a matrix is needed, got shape {shape_of(x)}")
    return permute_dims(x, (*range(rank - 2), rank - 1, rank - 2))


def moveaxis(x: Any, source: int, destination: int) -> Any:
    """``x`` with one axis moved to another place.

    Examples
    --------
    >>> import numpy as np
    >>> moveaxis(np.zeros((2, 3, 5)), 0, -1).shape
    (3, 5, 2)
    """
    rank = len(shape_of(x))
    source, destination = normalize_axis(source, rank), normalize_axis(destination, rank)
    order = [axis for axis in range(rank) if axis != source]
    order.insert(destination, source)
    return x if order == list(range(rank)) else permute_dims(x, order)


# broadcast_to


def _broadcast_type(x: TensorType, shape: Shape) -> TensorType:
    if broadcast_shapes(x.shape, shape) != shape:
        raise ShapeError(f"shape {x.shape} does not broadcast to {shape}")
    return TensorType(x.dtype, shape)


BROADCAST_TO = _movement(
    "broadcast_to", _broadcast_type, np.broadcast_to,
    lambda g, y, x, shape: (g,),  # the walk sums over the new axes
    "Repeated along new axes and axes of size 1.",
)  # fmt: skip


def broadcast_to(x: Any, shape: Any) -> Any:
    """``x`` repeated along new leading axes and along axes of size 1.

    Raises
    ------
    ShapeError
        If another axis would change.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.broadcast_to([1, 2], (2, 2))
    array([[1, 2],
           [1, 2]])
    """
    new = as_shape(shape)
    return x if isinstance(x, Node) and x.shape == new else apply(BROADCAST_TO, x, shape=new)


def zeros_like(x: Any) -> Any:
    """Zeros of the shape and type of ``x``.

    Examples
    --------
    >>> zeros_like([1.5, 2.5])
    array([0., 0.])
    """
    return full_like(x, 0)


def ones_like(x: Any) -> Any:
    """Ones of the shape and type of ``x``.

    Examples
    --------
    >>> ones_like([1.5, 2.5])
    array([1., 1.])
    """
    return full_like(x, 1)


def full_like(x: Any, value: float) -> Any:
    """``value``, in the shape and type of ``x``.

    Examples
    --------
    >>> full_like([1.5, 2.5], 7)
    array([7., 7.])
    """
    if not isinstance(x, Node):
        return np.full_like(as_array(x), value)
    return broadcast_to(constant(value, x.dtype), x.shape)


# slice, flip and pad


def _slice_type(x: TensorType, starts: Shape, stops: Shape, steps: tuple[int, ...]) -> TensorType:
    extents = zip(x.shape, starts, stops, steps, strict=True)
    return TensorType(x.dtype, tuple(_slice_extent(*each) for each in extents))


def _slice_extent(extent: Any, start: Any, stop: Any, step: int) -> Any:
    if extent is ROWS:
        if (start, stop, step) != (0, ROWS, 1):
            raise ShapeError("the rows of a batch cannot be sliced: their number is not fixed")
        return ROWS
    if not 0 <= start <= extent or not 0 <= stop <= extent or step < 1:
        raise ShapeError(f"slice {start}:{stop}:{step} leaves an axis of {extent}")
    return len(range(start, stop, step))


def _slices(starts: Shape, stops: Shape, steps: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(*each) for each in zip(starts, stops, steps, strict=True))


def _slice_vjp(g: Any, y: Any, x: Any, starts: Shape, stops: Shape, steps: tuple[int, ...]) -> Any:
    edges = list(map(_cut_off, shape_of(x), starts, shape_of(g), steps))
    return (pad(g, edges, interior=[step - 1 for step in steps]),)


def _cut_off(extent: Any, start: Any, taken: Any, step: int) -> tuple[int, int]:
    """How many elements of an axis lie before the first one taken and after the last one."""
    return (0, 0) if extent is ROWS else (start, extent - start - _spread(taken, step))


def _spread(extent: int, step: int) -> int:
    """The length of ``extent`` elements with ``step - 1`` gaps between neighbours."""
    return max(0, (extent - 1) * step + 1) if extent else 0


SLICE = _movement(
    "slice", _slice_type, lambda x, starts, stops, steps: x[_slices(starts, stops, steps)],
    _slice_vjp, "A box of elements, every step-th along each axis.",
)  # fmt: skip


def slice_along(x: Any, axis: int, start: int, stop: int, step: int = 1) -> Any:
    """Elements ``start`` to ``stop`` (excluded) along one axis.

    Examples
    --------
    >>> slice_along([1, 2, 3, 4, 5], 0, 1, 5, step=2)
    array([2, 4])
    """
    shape = shape_of(x)
    starts, stops, steps = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return apply(SLICE, x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))


def _flip_type(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    normalize_axes(axes, len(x.shape))
    return x


FLIP = _movement(
    "flip", _flip_type, lambda x, axes: np.flip(x, axis=axes),
    lambda g, y, x, axes: (flip(g, axes),), "In reverse order along axes.",
)  # fmt: skip


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """``x`` in reverse order along ``axis`` (all axes if None).

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.flip([[1, 2], [3, 4]], axis=1)
    array([[2, 1],
           [4, 3]])
    """
    return apply(FLIP, x, axes=normalize_axes(axis, len(shape_of(x))))


Edges = tuple[tuple[int, int], ...]


def _padded_extent(extent: Any, edge: tuple[int, int], gap: int) -> Any:
    if extent is ROWS:
        if edge != (0, 0) or gap:
            raise ShapeError("the rows of a batch cannot be padded: their number is not fixed")
        return ROWS
    if min(*edge, gap) < 0:
        raise ShapeError(f"cannot pad by {edge} with gaps of {gap}: sizes must be >= 0")
    return edge[0] + _spread(extent, gap + 1) + edge[1]


def _pad_type(x: TensorType, edges: Edges, interior: tuple[int, ...]) -> TensorType:
    return TensorType(x.dtype, tuple(map(_padded_extent, x.shape, edges, interior)))


def _numpy_pad(
    x: Array, out: Array | None = None, *, edges: Edges, interior: tuple[int, ...]
) -> Array:
    result = zeros(tuple(map(_padded_extent, x.shape, edges, interior)), x.dtype, out)
    ends = zip(x.shape, edges, interior, strict=True)
    result[tuple(slice(low, low + _spread(n, gap + 1), gap + 1) for n, (low, _), gap in ends)] = x
    return result


def _pad_vjp(g: Any, y: Any, x: Any, edges: Edges, interior: tuple[int, ...]) -> Any:
    shape = shape_of(x)
    lows = tuple(low for low, _ in edges)
    stops = tuple(
        extent if extent is ROWS else low + _spread(extent, gap + 1)
        for extent, low, gap in zip(shape, lows, interior, strict=True)
    )
    return (apply(SLICE, g, starts=lows, stops=stops, steps=tuple(gap + 1 for gap in interior)),)


PAD = _movement(
    "pad",
    _pad_type,
    _numpy_pad,
    _pad_vjp,
    "Surrounded by zeros, and spread by gaps of zeros.",
    view=False,
    into=_numpy_pad,
)


def pad(x: Any, widths: Sequence[Sequence[int]], interior: Sequence[int] | None = None) -> Any:
    """``x`` surrounded by zeros.

    Parameters
    ----------
    x : array_like or Node
    widths : sequence of (before, after), one for each axis
    interior : sequence of int, optional
        Zeros between neighbours, one number for each axis.

    Raises
    ------
    ShapeError
        For a negative width, or widths that are not one pair for each axis.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.pad([1, 2], [(1, 0)], interior=[1])
    array([0, 1, 0, 2])
    """
    rank = len(shape_of(x))
    if len(widths) != rank or (interior is not None and len(interior) != rank):
        raise ShapeError(f"pad needs widths for each of {rank} axes, got {len(widths)}")
    edges = tuple((int(low), int(high)) for low, high in widths)
    return apply(
        PAD, x, edges=edges, interior=tuple(interior) if interior is not None else (0,) * rank
    )


# Joining and taking apart


def _concat_type(*types: TensorType, axis: int) -> TensorType:
    first = types[0].shape
    rest = [shape[:axis] + shape[axis + 1 :] for _, shape in types]
    if any(len(shape) != len(first) for _, shape in types) or any(
        shape != rest[0] for shape in rest
    ):
        raise ShapeError(
            f"shapes {' and '.join(str(t.shape) for t in types)} cannot be joined along axis {axis}"
        )
    extents = tuple(shape[axis] for _, shape in types)
    if ROWS in extents:
        raise ShapeError(
            "arrays cannot be joined along the rows of a batch: their number is not fixed"
        )
    total = sum(extent for extent in extents if isinstance(extent, int))
    return TensorType(types[0].dtype, (*first[:axis], total, *first[axis + 1 :]))


def _concat_vjp(g: Any, y: Any, *operands: Any, axis: int) -> Any:
    ends = np.cumsum([shape_of(operand)[axis] for operand in operands]).tolist()
    starts = [0, *ends[:-1]]
    return tuple(slice_along(g, axis, start, end) for start, end in zip(starts, ends, strict=True))


def _numpy_concat(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis=axis)


def _concat_into(*arrays: Array, axis: int) -> Array:
    *parts, out = arrays
    return np.concatenate(parts, axis=axis, out=out)


CONCAT = _movement(
    "concat", _concat_type, _numpy_concat, _concat_vjp,
    "Joined along an axis.", view=False, into=_concat_into,
    coerce=lambda *dtypes: (promote(*dtypes),) * len(dtypes),
)  # fmt: skip


def concat(arrays: Sequence[Any], axis: int = 0) -> Any:
    """``arrays`` joined along an existing axis.

    Raises
    ------
    ShapeError
        If they differ on another axis, or there are none.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.concat([[1, 2], [3]])
    array([1, 2, 3])
    """
    if not arrays:
        raise ShapeError("concat needs at least one array")
    return apply(CONCAT, *arrays, axis=normalize_axis(axis, len(shape_of(arrays[0]))))


def expand_dims(x: Any, axis: int = 0) -> Any:
    """``x`` with a new axis of size 1 at ``axis``.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.expand_dims([1, 2], axis=1).shape
    (2, 1)
    """
    shape = shape_of(x)
    axis = normalize_axis(axis, len(shape) + 1)
    return reshape(x, (*shape[:axis], 1, *shape[axis:]))


def squeeze(x: Any, axis: int | Sequence[int]) -> Any:
    """``x`` without the axes ``axis``, which must have size 1.

    Raises
    ------
    ShapeError
        If one of them has another size.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.squeeze([[1, 2]], axis=0)
    array([1, 2])
    """
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape))
    if any(shape[each] != 1 for each in axes):
        raise ShapeError(f"only axes of size 1 can be left out, got axes {axes} of {shape}")
    return reshape(
        x, tuple(extent for position, extent in enumerate(shape) if position not in axes)
    )


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """``arrays`` of one shape joined along a new axis.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.stack([[1, 2], [3, 4]], axis=1)
    array([[1, 3],
           [2, 4]])
    """
    if not arrays:
        raise ShapeError("stack needs at least one array")
    axis = normalize_axis(axis, len(shape_of(arrays[0])) + 1)
    return concat([expand_dims(array, axis) for array in arrays], axis)


def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """``x`` cut along ``axis``: into equal parts, or before each of the given positions.

    Raises
    ------
    ShapeError
        If the parts would not be equal, or the axis is the rows of a batch.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.split([1, 2, 3, 4], [1, 3])
    [array([1]), array([2, 3]), array([4])]
    """
    axis = normalize_axis(axis, len(shape_of(x)))
    extent = _fixed_extent(x, axis)
    if isinstance(sections, int):
        if sections < 1 or extent % sections:
            raise ShapeError(f"an axis of {extent} cannot be cut into {sections} equal parts")
        sections = list(range(extent // sections, extent, extent // sections))
    bounds = [0, *[_place(each, extent) for each in sections], extent]
    return [slice_along(x, axis, low, high) for low, high in pairwise(bounds)]


def _place(position: int, extent: int) -> int:
    """``position`` counted from the front, within the axis."""
    start, _, _ = slice(int(position), None).indices(extent)
    return start


def _fixed_extent(x: Any, axis: int) -> int:
    extent = shape_of(x)[axis]
    if not isinstance(extent, int):
        raise ShapeError("the rows of a batch cannot be cut: their number is not fixed")
    return extent


def roll(x: Any, shift: int, axis: int = 0) -> Any:
    """``x`` moved by ``shift`` along ``axis``, what leaves at one end entering at the other.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.roll([1, 2, 3], 1)
    array([3, 1, 2])
    """
    axis = normalize_axis(axis, len(shape_of(x)))
    extent = _fixed_extent(x, axis)
    start = -shift % extent if extent else 0
    return concat([slice_along(x, axis, start, extent), slice_along(x, axis, 0, start)], axis)
