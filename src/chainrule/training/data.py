"""Checks of what people pass to ``fit`` and ``predict``: clear errors before anything changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError, ParameterError, ShapeError
from chainrule.optim.settings import FROM_ZERO, check
from chainrule.shapes import Array, Dtype, as_array

PART = 2**17  # numbers that are looked at together
SMALL = 4096  # numbers that no BLAS splits among threads


def as_features(
    X: npt.ArrayLike,
    dtype: Dtype,
    row_shape: tuple[int, ...] | None,
    what: str = "X",
    fewest: int = 1,
    finite: bool = False,
) -> Array:
    """``X`` as an array of rows of the network's element type; read in place where it has it.

    Whoever knows that all numbers are ``finite`` spares the time of looking at them.

    Raises
    ------
    ShapeError
        If it has no axis of rows, or rows of another shape than the network takes.
    DataError
        If there are fewer rows than ``fewest``, or a value is NaN or infinite; it says where.
    """
    array = as_array(X)
    if array.ndim < 2:
        raise ShapeError(
            f"{what} needs an axis of rows and one of features, got shape {array.shape};"
            " for one row write x[None]"
        )
    if row_shape is not None and array.shape[1:] != row_shape:
        wanted = " x ".join(map(str, row_shape))
        raise ShapeError(
            f"the network takes rows of {wanted} features, and {what} has shape {array.shape}"
        )
    if len(array) < fewest:
        raise DataError(f"{what} has no rows")
    if not finite:
        check_finite(array, what)
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array, dtype)
    if found is not array and not all_finite(found):
        place = _first_non_finite(found)
        raise DataError(
            f"{what} has {array[place]} in {_called(place)}, more than {dtype.name} holds; scale"
            ' the feature, or make the network with dtype="float64"'
        )
    return found


def check_finite(array: Array, what: str) -> None:
    """Refuse NaN and infinities, naming the first.

    Raises
    ------
    DataError
        With its row and column.
    """
    if array.dtype.kind != "f" or all_finite(array):
        return
    place = _first_non_finite(array)
    raise DataError(
        f"{what} has {array[place]} in {_called(place)}; fill in or leave out what is missing"
    )


def all_finite(array: Array) -> bool:
    """Whether no element is NaN or infinite.

    The squares of a few numbers are added in a quarter of the time that it takes to look at them;
    where the sum is finite, so are they. Many are looked at in parts that stay in the caches.
    """
    if array.size <= SMALL and math.isfinite(np.vdot(array, array)):
        return True
    if array.size <= PART:
        return bool(np.isfinite(array).all())
    rows = max(1, PART * len(array) // array.size)
    return all(np.isfinite(array[low : low + rows]).all() for low in range(0, len(array), rows))


def _first_non_finite(array: Array) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])


def _called(place: tuple[int, ...]) -> str:
    row, *columns = place
    return f"row {row}" + (f", column {', '.join(map(str, columns))}" if columns else "")


def as_weights(sample_weight: npt.ArrayLike, rows: int, dtype: Dtype) -> Array:
    """The weight of each row, in the network's element type.

    Raises
    ------
    ShapeError, DataError
        If there is not one weight a row, one is negative or not finite, or all are 0, if only as
        that type holds them.
    """
    weights = as_array(sample_weight)
    if weights.shape != (rows,):
        raise ShapeError(
            f"sample_weight needs one number for each of {rows} rows, got shape {weights.shape}"
        )
    check_finite(weights, "sample_weight")
    if (weights < 0).any():
        place = int(np.argmax(weights < 0))
        raise DataError(
            f"sample weights must be >= 0, and sample_weight[{place}] is {weights[place]}"
        )
    if not weights.any():
        raise DataError("sample weights must not all be 0")
    with np.errstate(over="ignore"):
        found: Array = weights.astype(dtype)
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise DataError(
            f"sample_weight[{row}] is {weights[row]}, more than {dtype.name} holds; divide"
            " all weights by one number"
        )
    if not found.any():
        raise DataError(
            f"sample weights are too small, the largest is {weights.max()} and {dtype.name} holds"
            " it as 0; multiply all of them by one number"
        )
    return found


def weights_of_classes(class_weight: Mapping[Any, float] | str, y: Array) -> Array:
    """The weight of each row from that of its class; ``"balanced"`` gives all classes equal sums.

    Raises
    ------
    ParameterError
        If a class has no weight, or the targets are no class labels.
    """
    labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    classes, places = np.unique(labels, return_inverse=True)
    if not isinstance(class_weight, Mapping) and class_weight != "balanced":
        raise ParameterError(
            f"class_weight must be 'balanced' or a dict of class to weight, got {class_weight!r}"
        )
    if isinstance(class_weight, str):
        counts = np.bincount(places)
        balanced: Array = (len(labels) / (len(classes) * counts))[places]
        return balanced
    missing = [each.item() for each in classes if each.item() not in class_weight]
    if missing:
        raise ParameterError(f"class_weight has no weight for class {missing[0]!r}")
    weights = [
        check("class_weight", f"that of class {label!r}", FROM_ZERO, class_weight[label])
        for label in (each.item() for each in classes)
    ]
    return np.array(weights)[places]
