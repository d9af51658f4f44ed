"""What a classifier of two classes says about the plane, and how far its members disagree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError, ParameterError, ShapeError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import AXIS_NAMES, Mark, Panel, Surface, class_points
from chainrule.explain.subjects import titled
from chainrule.explain.svg import format_number

if TYPE_CHECKING:
    from chainrule.networks import Network

Floats = npt.NDArray[np.float64]
MOST_MAPS = 30  # as many as can be told from each other


def logits(model: Network, X: npt.ArrayLike) -> Floats:
    """What the last sigmoid of each member is given: finite where probabilities are 0 or 1.

    Parameters
    ----------
    model : Network
        Ends in a sigmoid of one unit; a single network counts as one member.
    X : (n, features)

    Returns
    -------
    (members, n) float64

    Raises
    ------
    ParameterError
        If the network ends otherwise.
    """
    from chainrule.nn import Activation, Sigmoid

    last = model.layers[-1]
    if not (isinstance(last, Activation) and isinstance(last.function, Sigmoid)):
        raise ParameterError(
            f"logits come from a network that ends in a sigmoid, and this one ends in {last.label}"
        )
    found = []
    for index in range(model.members or 1):
        member = model.member(index)
        output = member.forward(X)
        if output.shape[1:] != (1,):
            raise ParameterError(f"logits come from one output unit, not {output.shape[1]}")
        found.append(np.asarray(member.layers[-1].input, dtype=np.float64)[:, 0])
    return np.stack(found)


@dataclass(frozen=True)
class Uncertainty:
    """Members' logits on a grid over labelled points.

    Attributes
    ----------
    fields : (members, rows, columns) float64
    extent : (x_low, x_high, y_low, y_high)
    points, labels : (n, 2) and (n,)
    """

    fields: Floats
    extent: tuple[float, float, float, float]
    points: Floats
    labels: npt.NDArray[np.int64] = field(repr=False)

    @property
    def probability(self) -> Floats:
        """(rows, columns): the mean of the members' probabilities."""
        mean: Floats = (1 / (1 + np.exp(-np.clip(self.fields, -500, 500)))).mean(axis=0)
        return mean

    @property
    def spread(self) -> Floats:
        """(rows, columns): the standard deviation of the members' logits."""
        spread: Floats = self.fields.std(axis=0)
        return spread

    @property
    def distances(self) -> Floats:
        """(rows, columns): how far it is to the nearest point."""
        x_low, x_high, y_low, y_high = self.extent
        rows, columns = self.fields.shape[1:]
        places = np.meshgrid(np.linspace(x_low, x_high, columns), np.linspace(y_low, y_high, rows))
        apart = np.stack(places, axis=-1)[:, :, None, :] - self.points
        distances: Floats = np.sqrt((apart**2).sum(axis=-1).min(axis=2))
        return distances

    def spread_between(self, least: float, most: float) -> float:
        """The mean spread at distances from the points between ``least`` and ``most``."""
        there = (self.distances >= least) & (self.distances <= most)
        return float(self.spread[there].mean())

    def figure(self, title: str = "Far from the data, members disagree") -> Chart:
        """Three views: probability, spread of the logit, each member's own boundary."""
        points = class_points(self.points, self.labels, size=4.0)
        named = class_points(self.points, self.labels, size=4.0, named="class")
        across, up = AXIS_NAMES
        threads: list[Mark] = [
            Surface(each, self.extent, (0.0,), colours="none") for each in self.fields
        ]
        return Chart(
            Panel(
                Surface(self.probability, self.extent, (0.5, 0.25, 0.75), thick=True), *points,
                title="probability, mean of members", x=across, y=up, equal=True,
            ),
            Panel(
                Surface(self.spread, self.extent, colours="amount"), *points,
                title=f"spread of the logit, up to {format_number(float(self.spread.max()))}",
                x=across, equal=True,
            ),
            Panel(
                *threads, *named, title=f"boundary of each of {len(self.fields)}", x=across,
                equal=True,
            ),
            title=title, size=(330.0, 300.0),
        )  # fmt: skip


def uncertainty(
    model: Network, X: npt.ArrayLike, y: npt.ArrayLike, *, margin: float = 0.5, samples: int = 80
) -> Uncertainty:
    """How sure the members of a model are, on and around the points it learned from.

    Parameters
    ----------
    model : Network
        Of two features, ending in a sigmoid of one unit; trained with ``members``.
    X, y : (n, 2) float and (n,) of 0 and 1
    margin : float >= 0
        How far the picture reaches beyond the points, in units of X.
    samples : int >= 2
        Of the grid, along each side.

    Raises
    ------
    ShapeError
        If there are not two features: choose two of them, or project on two (``nn.PCA(2)``).
    DataError
        If the model gives values that are not finite.
    ParameterError
        If the network does not end in a sigmoid of one unit, or has no members.
    """
    points, labels = np.asarray(X, dtype=np.float64), np.asarray(y)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(
            f"a boundary is drawn over two features, and X has the shape {points.shape}; train on"
            " two of them, or on two principal components (nn.PCA(2))"
        )
    (x_low, y_low), (x_high, y_high) = points.min(axis=0) - margin, points.max(axis=0) + margin
    extent = (float(x_low), float(x_high), float(y_low), float(y_high))
    places = np.meshgrid(np.linspace(*extent[:2], samples), np.linspace(*extent[2:], samples))
    if (model.members or 1) < 2:
        raise ParameterError(
            "one network alone has no spread; train several side by side: fit(..., members=10)"
        )
    found = logits(model, np.stack(places, axis=-1).reshape(-1, 2))
    if not np.isfinite(found).all():
        raise DataError("the model gives values that are not finite; train it anew")
    return Uncertainty(found.reshape(-1, samples, samples), extent, points, labels)


def unit_maps(
    model: Network, X: npt.ArrayLike, y: npt.ArrayLike, layer: str, *, columns: int = 5
) -> Chart:
    """What every unit of a layer says about the plane: its output, and where it begins.

    Of a wide layer the 30 units whose output varies most are drawn, and the title says so.

    Parameters
    ----------
    model : Network
        A single network of two features.
    X, y : (n, 2) float and (n,) of 0, 1 and 2
        What is drawn over the maps.
    layer : str
        Its name; usually an activation.
    columns : int
        Maps in a row.

    Raises
    ------
    ShapeError
        If there are not two features.
    UnknownNameError
        If there is no such layer.
    """
    points, labels = np.asarray(X, dtype=np.float64), np.asarray(y)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(f"unit maps are drawn over two features, not over X of {points.shape}")
    room = 0.12 * np.ptp(points, axis=0)
    low, high = points.min(axis=0) - room, points.max(axis=0) + room
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    maps = _outputs(model, extent, layer)
    dots = class_points(points[::3], labels[::3], size=2.5)
    order = np.argsort(-np.ptp(maps, axis=(1, 2)), kind="stable")[:MOST_MAPS]
    of = f": {len(order)} of {len(maps)} units" if len(order) < len(maps) else ""
    panels = [
        Panel(
            Surface(each, extent, (0.03 * float(each.max()),), colours="amount"), *dots,
            title=f"unit {k + 1}" if np.ptp(each) else f"unit {k + 1}: silent",
            equal=True, x_names={}, y_names={},
        )
        for k, each in ((int(k), maps[k]) for k in np.sort(order))
    ]  # fmt: skip
    high, wide = float(np.ptp(extent[2:])), float(np.ptp(extent[:2]))
    size = (165.0, 45.0 + 145.0 * float(np.clip(high / wide, 0.4, 1.0)))
    title = titled(f"What the units of {layer} look for{of}", model)
    return Chart(*panels, columns=columns, size=size, title=title)


def _outputs(model: Network, extent: tuple[float, float, float, float], layer: str) -> Floats:
    """(units, rows, columns): the outputs of a layer on a grid."""
    samples = 81
    place = list(model.layers).index(model[layer])
    grid = np.meshgrid(np.linspace(*extent[:2], samples), np.linspace(*extent[2:], samples))
    output = model.forward(np.stack(grid, axis=-1).reshape(-1, 2))
    after = model.layers[place + 1].input if place + 1 < len(model.layers) else output
    found: Floats = np.asarray(after, dtype=np.float64).T.reshape(-1, samples, samples)
    return found
