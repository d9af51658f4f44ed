"""The decision boundary of a classifier as one picture: as SVG, and as terminal blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError, ShapeError
from chainrule.explain.blocks import boundary_blocks
from chainrule.explain.boundary import boundary_svg
from chainrule.explain.fields import Extent, Floats
from chainrule.explain.figure import Figure, plain
from chainrule.explain.marks import AXIS_NAMES, counted_points
from chainrule.explain.planes import plane_through
from chainrule.explain.subjects import require_finite, require_function, titled
from chainrule.explain.svg import format_number
from chainrule.explain.terminal import Colour

GRID = 160  # samples along each coordinate
MARGIN = 0.12  # of the data's extent, around it
WORDS = "OSUT"  # NumPy's kinds of arrays of labels that are words
NAMELESS = "A decision boundary"  # in words, where there is no title
BLOCKS = (64, 22)  # columns and rows of a terminal


@dataclass(frozen=True)
class BoundaryPicture(Figure):
    """What a classifier says about every place in the plane, and the points it learned from.

    Parameters
    ----------
    probabilities : (rows, columns) or (rows, columns, classes) float64
    extent : (x_low, x_high, y_low, y_high)
    points : (n, 2) float64
    labels : (n,) int
    title : str
    axis_names : (str, str)
        What the two coordinates are.
    class_names : tuple of str
        "class 0" and so on by default.
    """

    probabilities: Floats
    extent: Extent
    points: Floats
    labels: npt.NDArray[np.int64]
    title: str = ""
    axis_names: tuple[str, str] = ("", "")
    class_names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        classifier: Callable[[Floats], npt.ArrayLike],
        points: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        title: str = "",
        axis_names: tuple[str, str] = AXIS_NAMES,
        features: tuple[int, int] | str | None = None,
    ) -> BoundaryPicture:
        """Ask a classifier about a grid around the points.

        Parameters
        ----------
        classifier : callable
            From points (m, 2) to the probability of class 1, (m,) or (m, 1), or to those of all
            classes (m, k).
        points, labels : (n, 2) and (n,)
            With more features, (n, d), a plane through them has to be chosen. Labels are 0, 1, ...
            or words, in alphabetical order.
        title : str
            It also says if the classifier is a method of a network that was not trained.
        axis_names : (str, str)
        features : (int, int) or "PCA", optional
            The plane of two features, where the others are held at their means; or the plane of
            the two principal axes. The title says which.

        Raises
        ------
        ParameterError
            If the classifier is no function.
        ShapeError
            If there are not two features, and no plane is chosen, or not one label a point.
        DataError
            If a coordinate is not finite, or there are no points.

        Examples
        --------
        >>> X = np.random.default_rng(0).normal(size=(20, 5))
        >>> y = (X[:, 0] > 0).astype(int)
        >>> picture = BoundaryPicture.of(
        ...     lambda x: 1 / (1 + np.exp(-x[:, 0])), X, y, features=(0, 3)
        ... )
        >>> picture.title, picture.axis_names
        ('Slice: the other features at their means', ('feature 0', 'feature 3'))
        """
        require_function(classifier, "a classifier")
        rows, kinds = np.asarray(points, dtype=np.float64), np.asarray(labels)
        require_finite(rows, "the points")
        if not rows.size:
            raise DataError("there are no points to draw a boundary around")
        if kinds.shape != rows.shape[:1]:
            raise ShapeError(
                f"every point has one label, and of shape {rows.shape} and {kinds.shape} are"
                " points and labels"
            )
        if features is not None or rows.ndim != 2 or rows.shape[1] != 2:
            plane = plane_through(rows, features)
            return cls.of(
                lambda xy: classifier(plane.inside(xy)), plane.coordinates(rows), labels,
                title=titled(" · ".join(filter(None, (title, plane.said))), classifier),
                axis_names=plane.names,
            )  # fmt: skip
        xy = rows
        low, high = xy.min(axis=0), xy.max(axis=0)
        room = np.where(high > low, MARGIN * (high - low), 1.0)
        (x_low, y_low), (x_high, y_high) = (low - room).tolist(), (high + room).tolist()
        across, up = np.linspace(x_low, x_high, GRID), np.linspace(y_low, y_high, GRID)
        grid = np.stack(np.meshgrid(across, up), axis=-1)
        found = np.asarray(classifier(grid.reshape(-1, 2)), dtype=np.float64)
        classes = found.shape[1:] if found.shape[1:] != (1,) else ()
        probabilities = found.reshape(GRID, GRID, *classes)
        extent = x_low, x_high, y_low, y_high
        words: tuple[str, ...] = ()
        if kinds.dtype.kind in WORDS:
            found_words, kinds = np.unique(kinds, return_inverse=True)
            words = tuple(map(str, found_words))
        return cls(probabilities, extent, xy, kinds, titled(title, classifier), axis_names, words)

    @property
    def data(self) -> dict[str, Any]:
        """The probabilities, where they were taken, and the points."""
        found: dict[str, Any] = plain(asdict(self))
        return found

    def describe(self) -> str:
        """What there is to see, in words."""
        x_low, x_high, y_low, y_high = map(format_number, self.extent)
        ahead = (self.probabilities > 1 / 2).mean()
        return (
            f"{self.title or NAMELESS}: {', '.join(self._counts())} between ({x_low}, {y_low}) and"
            f" ({x_high}, {y_high})."
            + (
                f" Class 1 is the likelier one on {ahead:.0%} of the plane."
                if self.probabilities.ndim == 2
                else ""
            )
        )

    def _counts(self) -> Iterator[str]:
        """How many points there are of every class."""
        for kind, count in zip(*np.unique(self.labels, return_counts=True), strict=True):
            name = self.class_names[kind] if self.class_names else f"class {kind}"
            yield f"{counted_points(count)} of {name}"

    def svg(self) -> str:
        """A complete SVG document; see ``boundary_svg``."""
        return boundary_svg(
            self.probabilities,
            self.extent,
            self.points,
            self.labels,
            title=self.title,
            axis_names=self.axis_names,
            class_names=self.class_names,
        )

    def text(self, colour: Colour = "none") -> str:
        """Lines for a terminal; see ``boundary_blocks``."""
        columns, rows = BLOCKS
        return boundary_blocks(
            self.probabilities,
            self.extent,
            self.points,
            self.labels,
            columns=columns,
            rows=rows,
            colour=colour,
        )
