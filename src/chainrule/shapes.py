"""Element types and shapes: promotion, broadcasting, and the one symbolic extent.

A shape is a tuple of extents. An extent is an ``int``, or :data:`ROWS`, the number of rows of
whatever batch comes along. Promotion and broadcasting are those of NumPy 2 and of the Python
array API standard: Python scalars are weak, arrays and NumPy scalars are strong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from chainrule.errors import DtypeError, ParameterError, ShapeError

Array: TypeAlias = npt.NDArray[Any]
Dtype: TypeAlias = np.dtype[Any]


class Rows:
    """The symbolic extent: as many rows as the batch at hand has. There is one, :data:`ROWS`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ROWS"

    def __copy__(self) -> Rows:
        return self

    def __deepcopy__(self, memo: object) -> Rows:
        return self

    def __reduce__(self) -> str:
        return "ROWS"


ROWS: Final = Rows()

Extent: TypeAlias = "int | Rows"
Shape: TypeAlias = tuple[Extent, ...]


class TensorType(NamedTuple):
    """What is known of a value before it exists: element type and shape.

    >>> print(TensorType(np.dtype("float32"), (ROWS, 10)))
    float32[ROWS,10]
    """

    dtype: Dtype
    shape: Shape

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


BOOL: Final[Dtype] = np.dtype(np.bool_)
INT64: Final[Dtype] = np.dtype(np.int64)
UINT32: Final[Dtype] = np.dtype(np.uint32)
FLOAT32: Final[Dtype] = np.dtype(np.float32)
FLOAT64: Final[Dtype] = np.dtype(np.float64)

DTYPES: Final[dict[str, Dtype]] = {
    name: np.dtype(name)
    for name in ("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split())
}

_NATIVE: Final[dict[Dtype, Dtype]] = {dtype: dtype for dtype in DTYPES.values()}


def as_dtype(dtype: npt.DTypeLike) -> Dtype:
    """One of the language's element types, from anything NumPy takes as a dtype.

    Raises
    ------
    DtypeError
        If it is not bool, an integer type, float32 or float64.
    """
    try:
        found = np.dtype(dtype)
    except TypeError as reason:
        raise DtypeError(
            f"{dtype!r} is not an element type; use one of {', '.join(DTYPES)}"
        ) from reason
    known = _NATIVE.get(found) or DTYPES.get(found.name)
    if known is None:
        hint = "; classes in words are numbered by np.unique(words, return_inverse=True)[1]"
        raise DtypeError(
            f"element type {found.name!r} is not supported; use one of {', '.join(DTYPES)}"
            f"{hint if found.kind in 'US' else ''}"
        )
    return known


def is_float(dtype: Dtype) -> bool:
    """Whether derivatives can pass through values of this type."""
    return dtype.kind == "f"


def as_float(dtype: Dtype) -> Dtype:
    """The type that ``exp`` or ``divide`` of this type gives: itself, or float64 for integers."""
    return dtype if dtype.kind == "f" else FLOAT64


def promote(*dtypes: Dtype) -> Dtype:
    """The common type of strong operands, by NumPy's table."""
    first = dtypes[0]
    for dtype in dtypes:
        if dtype is not first:
            return as_dtype(np.result_type(*dtypes))
    return first


def as_array(value: Any, dtype: npt.DTypeLike | None = None) -> Array:
    """``value`` as an array of a supported element type; Python floats become float64.

    Raises
    ------
    DtypeError
        For text, objects, complex numbers, or nested lists of unequal lengths.
    """
    try:
        array = np.asarray(value, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as reason:
        raise DtypeError(
            f"cannot make an array of numbers from {type(value).__name__}: {reason}"
        ) from reason
    return array.astype(as_dtype(array.dtype), copy=False)  # bytes in this machine's order


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that operands of these shapes have together.

    ``ROWS`` goes with itself and with 1.

    >>> broadcast_shapes((ROWS, 1), (10,))
    (ROWS, 10)
    """
    shape = shapes[0]
    for other in shapes:  # most are equal, or scalars
        if other and other != shape:
            if shape:
                break
            shape = other
    else:
        return shape
    rank = max(len(shape) for shape in shapes)
    aligned = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_common_extent(extents, shapes) for extents in zip(*aligned, strict=True))


def _common_extent(extents: Sequence[Extent], shapes: Sequence[Shape]) -> Extent:
    found: Extent = 1
    for extent in extents:
        if extent == 1 or extent is found or extent == found:
            continue
        if found != 1:
            listed = " and ".join(map(str, shapes))
            raise ShapeError(
                f"shapes {listed} do not broadcast: sizes {found} and {extent} meet on one axis"
            )
        found = extent
    return found


def size_of(shape: Shape) -> int:
    """The number of elements of a shape without ROWS."""
    return math.prod(fixed_shape(shape))


def fixed_shape(shape: Shape) -> tuple[int, ...]:
    """``shape`` itself.

    Raises
    ------
    ShapeError
        If ROWS is in it.
    """
    if ROWS in shape:
        raise ShapeError(
            f"shape {shape} has as many elements as the batch at hand; a fixed size is needed"
        )
    return cast("tuple[int, ...]", shape)


def as_shape(shape: object) -> Shape:
    """A tuple of extents from an int or a sequence of ints.

    Raises
    ------
    ShapeError
        For negative or fractional sizes.
    """
    items: Sequence[Any] = (
        [shape] if isinstance(shape, (int, np.integer, Rows)) else list(cast(Any, shape))
    )
    return tuple(_as_extent(item) for item in items)


def _as_extent(item: Any) -> Extent:
    if isinstance(item, Rows):
        return item
    if isinstance(item, (bool, np.bool_)) or not isinstance(item, (int, np.integer)) or item < 0:
        raise ShapeError(f"a size must be an integer >= 0, got {item!r}")
    return int(item)


def normalize_axis(axis: int, rank: int) -> int:
    """``axis`` counted from the front.

    Raises
    ------
    ShapeError
        If there is no such axis.
    """
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise ParameterError(f"axis must be an integer, got {axis!r}")
    if not -rank <= axis < rank:
        raise ShapeError(f"there is no axis {axis} in an array of {rank} dimensions")
    return int(axis) % rank


def normalize_axes(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Sorted, distinct axes counted from the front; ``None`` stands for all of them."""
    if axes is None:
        return tuple(range(rank))
    given = [axes] if isinstance(axes, (int, np.integer)) else list(axes)
    found = sorted(normalize_axis(axis, rank) for axis in given)
    if len(set(found)) < len(found):
        raise ShapeError(f"axes {tuple(given)} name one axis twice")
    return tuple(found)


T = TypeVar("T")


def bind_rows(value: T, rows: int | None) -> T:
    """``value`` with ROWS replaced by a number, inside tuples too."""
    if value is ROWS:
        if rows is None:
            raise ShapeError("the number of rows is not known: no input with a ROWS axis was given")
        return cast(T, rows)
    if isinstance(value, tuple):
        return cast(T, tuple(bind_rows(item, rows) for item in value))
    return value
