"""What a layer sees: the data in its units' coordinates, and whether a plane separates it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chainrule.errors import unknown_name
from chainrule.explain.chart import Chart
from chainrule.explain.marks import AXIS_NAMES, Line, Mark, Panel, class_points
from chainrule.explain.separability import Plane, separating_plane
from chainrule.explain.subjects import titled

if TYPE_CHECKING:
    from chainrule.networks import Network

Floats = npt.NDArray[np.float64]
ROOM = 0.25  # of the points' extent, around them


def hidden_outputs(model: Network, X: npt.ArrayLike, layer: str | None = None) -> Floats:
    """What reaches a layer: by default the last one with weights, so the last hidden outputs.

    Parameters
    ----------
    model : Network
    X : (n, d) float
    layer : str, optional
        The name of the layer whose input is wanted.

    Returns
    -------
    (n, k) array

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    """
    model.forward(X)
    names = [str(each.name) for each in model.layers]
    if layer is None:
        layer = [str(each.name) for each in model.layers if each.parameters()][-1]
    elif layer not in names:
        raise unknown_name("layer", layer, names)
    return np.asarray(model[layer].input, dtype=np.float64)


def hidden_space(
    model: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    layer: str | None = None,
    title: str = "The hidden layer recodes the input",
) -> Chart:
    """Two classes as they come in, and as a layer sees them, with a line that separates them.

    More than two coordinates are shown by their two principal ones, and the panel says so.

    Parameters
    ----------
    model : Network
    X : (n, d) float
    y : (n,) of 0 and 1
    layer : str, optional
        As for ``hidden_outputs``.
    title : str
    """
    inner = hidden_outputs(model, X, layer)
    panels = [
        plane_panel(X, y, title="input"),
        plane_panel(
            inner, y, title=f"input of {layer!r}" if layer else "last hidden outputs", named="class"
        ),
    ]
    return Chart(*panels, title=titled(title, model))


def plane_panel(
    points: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    title: str,
    names: tuple[str, str] = ("", ""),
    named: str = "",
) -> Panel:
    """Two classes in a plane, with the line between them where there is one.

    Of more than two coordinates the two principal ones are drawn; whether a plane separates the
    classes is decided, exactly, with all of them. ``named`` as for ``class_points``.
    """
    xy = np.asarray(points, np.float64)
    plane = separating_plane(xy, labels)
    verdict, default = "separable" if plane else "not separable", AXIS_NAMES
    if xy.shape[1] > 2:
        _, _, axes = np.linalg.svd(xy - xy.mean(axis=0), full_matrices=False)
        xy, plane = (xy - xy.mean(axis=0)) @ axes[:2].T, None
        default = "first principal axis", "second principal axis"
    across, up = (given or own for given, own in zip(names, default, strict=True))
    low, high = xy.min(axis=0), xy.max(axis=0)
    room = ROOM * np.maximum(high - low, np.finfo(np.float32).eps)
    ranges = [(float(a), float(b)) for a, b in zip(low - room, high + room, strict=True)]
    marks: list[Mark] = [*class_points(xy, labels, size=10.0, named=named)]
    if plane is not None:
        marks.insert(0, _separating(plane, ranges))
    return Panel(
        *marks, title=f"{title}: {verdict}", x=across, y=up, x_range=ranges[0], y_range=ranges[1]
    )


def _separating(plane: Plane, ranges: list[tuple[float, float]]) -> Line:
    """The line where w'x + b is 0, across a box."""
    along = 0 if abs(plane.w[1]) >= abs(plane.w[0]) else 1
    given = np.array(ranges[along])
    other = -(plane.w[along] * given + plane.b) / plane.w[1 - along]
    course = (given, other) if along == 0 else (other, given)
    return Line(*course, ink="ink", dash="solid")
