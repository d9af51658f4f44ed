"""Panels that come up again and again: named curves, bent planes, ensembles, probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ShapeError
from chainrule.explain.leaves import elementwise_derivative
from chainrule.explain.marks import (
    AXIS_NAMES,
    Band,
    Bars,
    Line,
    Mark,
    Panel,
    Points,
    Surface,
    Threads,
    class_points,
)
from chainrule.explain.palette import MARKERS

Floats = npt.NDArray[np.float64]
GRID_LINES, GRID_SAMPLES = 9, 41  # of a plane, in each direction; points along a line
MOST_THREADS = 40  # members that are drawn one by one


def line_panel(
    curves: Mapping[str, npt.ArrayLike],
    *marks: Mark,
    across: npt.ArrayLike | None = None,
    **settings: Any,
) -> Panel:
    """A line for every name, told apart by colour and dash, with the names at their ends.

    Parameters
    ----------
    curves : dict of str to (n,) float
    *marks : Mark
        Drawn over them.
    across : (n,) float, optional
        The abscissas; 1, 2, ..., n by default, as steps are counted.
    **settings
        Of the :class:`Panel`.

    Examples
    --------
    >>> print(line_panel({"small": [4, 2, 1], "large": [4, 8]}, x="step", y="loss").describe())
    loss over step: small from 4 to 1; large from 4 to 8.
    """
    lines = []
    for name, curve in curves.items():
        up = np.asarray(curve, dtype=np.float64)
        lines.append(Line(np.arange(1, len(up) + 1) if across is None else across, up, label=name))
    return Panel(*lines, *marks, **settings)


def derivative_panel(
    f: Callable[[Any], Any], across: npt.ArrayLike, *, labels: bool = True, **settings: Any
) -> Panel:
    """A function of one variable in the ink of values, its derivative in that of gradients.

    Parameters
    ----------
    f : callable
        Element by element, on arrays and nodes.
    across : (n,) float
    labels : bool
        Whether f and f ′ are written at the ends of the lines.
    **settings
        Of the :class:`Panel`.
    """
    x = np.asarray(across, dtype=np.float64)
    return Panel(
        Line(x, f(x), ink="forward", label="f" * labels),
        Line(x, elementwise_derivative(f)(x), ink="gradient", dash="dashed", label="f ′" * labels),
        **settings,
    )


def warped_grid(
    f: Callable[[Floats], npt.ArrayLike], *, half: float = 1.0, title: str = ""
) -> Panel:
    """Where a map of the plane takes the lines of a square grid.

    Parameters
    ----------
    f : callable
        From points (n, 2) to points (n, 2).
    half : float > 0
        Half of the side of the square around 0.
    title : str

    Raises
    ------
    ShapeError
        If f does not give points of the plane.
    """
    ticks = np.linspace(-half, half, GRID_LINES)
    fine = np.linspace(-half, half, GRID_SAMPLES)
    lines = []
    for tick in ticks:
        upright = np.stack([np.full(GRID_SAMPLES, tick), fine], axis=1)
        for points, dash in ((upright[:, ::-1], "solid"), (upright, "dashed")):
            moved = np.asarray(f(points), dtype=np.float64)
            if moved.shape != points.shape:
                raise ShapeError(
                    f"a warped grid needs points (n, 2), and the function gives {moved.shape} for"
                    f" {points.shape}; choose two outputs"
                )
            ink = "class0" if dash == "solid" else "class1"
            lines.append(Line(*moved.T, ink=ink, dash=dash, width=1.2))
    return Panel(*lines, title=title, x="first coordinate", y="second coordinate")


def ensemble_panel(
    across: npt.ArrayLike, members: npt.ArrayLike, *marks: Mark, **settings: Any
) -> Panel:
    """The curves of many members as threads, their mean, and a band of two standard deviations.

    Parameters
    ----------
    across : (n,) float
    members : (members, n) float
    *marks : Mark
        Drawn over them, for example the points that were fitted.
    **settings
        Of the :class:`Panel`.
    """
    curves = np.asarray(members, dtype=np.float64)
    mean, spread = curves.mean(axis=0), curves.std(axis=0)
    return Panel(
        Threads(across, curves[:MOST_THREADS], ink="note"),
        Band(across, mean - 2 * spread, mean + 2 * spread, ink="class0", label="2 deviations"),
        Line(across, mean, ink="class1", dash="solid", label="mean"),
        *marks,
        **settings,
    )


def class_bars(
    probabilities: npt.ArrayLike, names: Sequence[str], true: int, *, label: str = "", title: str
) -> Panel:
    """The probabilities of one row as bars, with a mark on that of the true class.

    Parameters
    ----------
    probabilities : (classes,) float in [0, 1]
    names : sequence of str
        Of the classes.
    true : int
        The place of the true class.
    label : str
        Written beside the mark.
    title : str
    """
    p = np.asarray(probabilities, dtype=np.float64)
    mark = Points([true], [p[true]], ink="class1", size=10.0, marker="square", label=label)
    bars = Bars(np.arange(len(p)), p, ink="class0")
    return Panel(bars, mark, title=title, y="p", y_range=(0, 1), x_names=dict(enumerate(names)))


def class_panel(
    classifier: Callable[[Floats], Any],
    points: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    room: float = 0.15,
    **settings: Any,
) -> Panel:
    """What a classifier of two classes says about the plane around some points.

    Parameters
    ----------
    classifier : callable
        From points (n, 2) to the probability of class 1, (n,) or (n, 1).
    points, labels : (n, 2) float and (n,) of 0 and 1
    room : float
        Around the points, as a part of their extent.
    **settings
        Of the :class:`Panel`.
    """
    xy = np.asarray(points, dtype=np.float64)
    low, high = xy.min(axis=0), xy.max(axis=0)
    (x_low, y_low), (x_high, y_high) = low - room * (high - low), high + room * (high - low)
    field = Surface.of(classifier, (x_low, x_high, y_low, y_high), (0.5,), thick=True)
    named = dict(zip("xy", AXIS_NAMES, strict=True)) | settings
    return Panel(field, *class_points(xy, labels, size=4.0), equal=True, **named)


def agreement_panel(
    pairs: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], **settings: Any
) -> Panel:
    """Two ways to the same numbers: where they agree, points lie on the diagonal.

    Parameters
    ----------
    pairs : dict of str to (first, second)
        Arrays of one shape; three names at most differ by their shape on the panel.
    **settings
        Of the :class:`Panel`.
    """
    flat = {name: [np.ravel(each) for each in pair] for name, pair in pairs.items()}
    reach = max(float(np.abs(first).max()) for first, _ in flat.values())
    diagonal = Line([-reach, reach], [-reach, reach], ink="note", width=1.0, dash="solid")
    dots = [
        Points(*pair, label=name, marker=marker)
        for (name, pair), marker in zip(flat.items(), cycle(MARKERS), strict=False)
    ]
    return Panel(diagonal, *dots, equal=True, **settings)
