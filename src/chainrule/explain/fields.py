"""Class probabilities on a grid and labelled points over it, checked once for every picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import DataError, ParameterError, ShapeError
from chainrule.explain.palette import MARKERS

Floats = NDArray[np.float64]
Extent = tuple[float, float, float, float]
ROUNDING = 1e-6  # by how much a probability may leave [0, 1]


@dataclass(frozen=True)
class Field:
    """Class probabilities on a grid.

    Attributes
    ----------
    probabilities : (rows, columns, classes) float64
        The first row lies at the lower end of the second coordinate.
    """

    probabilities: Floats

    @property
    def classes(self) -> int:
        """The number of classes, 2 or 3."""
        return int(self.probabilities.shape[2])

    @property
    def winners(self) -> NDArray[np.intp]:
        """(rows, columns): the likeliest class; of equal ones, the first."""
        winners: NDArray[np.intp] = self.probabilities.argmax(axis=2)
        return winners

    @property
    def certainty(self) -> Floats:
        """(rows, columns), 0 where all classes are equally likely and 1 where one is certain."""
        highest: Floats = self.probabilities.max(axis=2)
        return (highest * self.classes - 1) / (self.classes - 1)

    def margin(self, label: int) -> Floats:
        """(rows, columns): probability of ``label`` minus that of its strongest rival."""
        rivals: Floats = np.delete(self.probabilities, label, axis=2)
        margin: Floats = self.probabilities[:, :, label] - rivals.max(axis=2)
        return margin


def field(probabilities: ArrayLike) -> Field:
    """Check class probabilities on a grid.

    Parameters
    ----------
    probabilities : (rows, columns) or (rows, columns, classes) float
        Of class 1 of two, or of each of two or three classes; between 0 and 1.

    Raises
    ------
    ShapeError
        Fewer than 2 x 2 samples or another number of axes.
    ParameterError
        More than three classes: colours would no longer be told apart.
    DataError
        Numbers that are no probabilities.
    """
    grid = np.asarray(probabilities, dtype=np.float64)
    if grid.ndim == 2:
        grid = np.stack([1 - grid, grid], axis=2)
    if grid.ndim != 3 or min(grid.shape[:2]) < 2 or grid.shape[2] < 2:
        raise ShapeError(
            "a probability field has the shape (rows, columns) or (rows, columns, classes) with at"
            f" least 2 of each, not {np.shape(probabilities)}"
        )
    if grid.shape[2] > len(MARKERS):
        raise ParameterError(
            f"a boundary picture tells {len(MARKERS)} classes apart, not {grid.shape[2]};"
            " draw the probability of one class against the rest"
        )
    if not np.isfinite(grid).all():
        raise DataError("the model gives values that are not finite; train it anew, more carefully")
    if not (grid.min() >= -ROUNDING and grid.max() <= 1 + ROUNDING):
        raise DataError("probabilities lie between 0 and 1; apply a softmax or sigmoid first")
    return Field(np.clip(grid, 0.0, 1.0))


@dataclass(frozen=True)
class Points:
    """Labelled points in the plane: ``xy`` (n, 2) float64, ``labels`` (n,) intp."""

    xy: Floats
    labels: NDArray[np.intp]


def points_of(points: ArrayLike, labels: ArrayLike, classes: int) -> Points:
    """Check labelled points.

    Raises
    ------
    ShapeError
        Not n points of two coordinates with n labels.
    DataError
        A coordinate that is not finite, or a label other than 0, ..., classes - 1.
    """
    xy = np.asarray(points, dtype=np.float64)
    given = np.asarray(labels)
    if xy.ndim != 2 or xy.shape[1] != 2 or given.shape != xy.shape[:1]:
        raise ShapeError(
            f"points have the shape (n, 2) and labels (n,), not {xy.shape} and {given.shape}"
        )
    if not (np.isfinite(xy).all() and np.isin(given, range(classes)).all()):
        raise DataError(f"points need finite coordinates and labels from 0 to {classes - 1}")
    return Points(xy, given.astype(np.intp))


def checked_extent(extent: Sequence[float]) -> Extent:
    """``(x_low, x_high, y_low, y_high)`` as floats.

    Raises
    ------
    ParameterError
        An end that is not finite, or a low end that is not below its high end.
    """
    x_low, x_high, y_low, y_high = map(float, extent)
    if not (np.isfinite(extent).all() and x_low < x_high and y_low < y_high):
        raise ParameterError(
            f"an extent is (x_low, x_high, y_low, y_high) with low below high, not {tuple(extent)}"
        )
    return x_low, x_high, y_low, y_high
