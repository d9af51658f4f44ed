"""Planes through the space of more than two features: slices, and principal axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.errors import ParameterError, ShapeError
from chainrule.explain.fields import Floats

PRINCIPAL = "PCA"


@dataclass(frozen=True)
class PlaneThrough:
    """A plane in the space of d features.

    Attributes
    ----------
    origin : (d,) float64
    axes : (2, d) float64
        Orthonormal.
    names : (str, str)
        Of the coordinates.
    said : str
        Which plane it is.
    """

    origin: Floats
    axes: Floats
    names: tuple[str, str]
    said: str

    def inside(self, xy: Floats) -> Floats:
        """The points (n, d) of coordinates (n, 2)."""
        return self.origin + xy @ self.axes

    def coordinates(self, rows: Floats) -> Floats:
        """The coordinates (n, 2) of the points of the plane next to rows (n, d)."""
        return (rows - self.origin) @ self.axes.T


def plane_through(rows: Floats, features: tuple[int, int] | str | None) -> PlaneThrough:
    """The plane of two features at the means of the others, or of the two principal axes.

    Raises
    ------
    ShapeError
        If no plane is chosen, or rows are not (n, d) with at least two features.
    ParameterError
        If it is no pair of different features.

    Examples
    --------
    >>> plane = plane_through(np.array([[0.0, 1.0, 5.0], [2.0, 3.0, 7.0]]), (0, 1))
    >>> plane.inside(np.array([[1.0, 1.0]]))
    array([[1., 1., 6.]])
    """
    if rows.ndim != 2 or rows.shape[1] < 2 or features is None:
        raise ShapeError(
            f"a boundary is drawn over two features, and the points have the shape {rows.shape};"
            " choose a slice with features=(0, 1), or the principal axes with features='PCA'"
        )
    mean, size = rows.mean(axis=0), rows.shape[1]
    if features == PRINCIPAL:
        _, _, axes = np.linalg.svd(rows - mean, full_matrices=True)
        names = ("first principal axis", "second principal axis")
        return PlaneThrough(mean, axes[:2], names, "the plane of the two principal axes")
    if (
        isinstance(features, str)
        or len(set(features)) != 2
        or not set(features) <= set(range(size))
    ):
        raise ParameterError(
            f"features={features!r} is no pair of different features from 0 to {size - 1}, and not"
            " 'PCA'; write features=(0, 1), for example"
        )
    axes, chosen = np.eye(size)[list(features)], list(features)
    names = (f"feature {features[0]}", f"feature {features[1]}")
    origin = mean * ~np.isin(np.arange(size), chosen)
    return PlaneThrough(origin, axes, names, "Slice: the other features at their means")
