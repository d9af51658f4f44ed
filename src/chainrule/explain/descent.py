"""Optimizers on surfaces: the paths they take, and the surfaces that tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import ShapeError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Line, Mark, Panel, Points, Surface
from chainrule.explain.subjects import require_finite
from chainrule.expressions import compile as compiled
from chainrule.expressions import grad

if TYPE_CHECKING:
    from chainrule.optim import Optimizer

Floats = npt.NDArray[np.float64]
HEIGHTS = 12  # level lines of a surface


@dataclass(frozen=True)
class Terrain:
    """A function of the plane, and where to look at it.

    Attributes
    ----------
    function : callable
        Of a point (2,), array or node.
    start : (x, y)
    extent : (x_low, x_high, y_low, y_high)
    """

    function: Callable[[Any], Any]
    start: tuple[float, float]
    extent: tuple[float, float, float, float]


TERRAINS: dict[str, Terrain] = {
    "bowl": Terrain(lambda w: w[0] ** 2 + w[1] ** 2, (-1.5, 1.0), (-2, 2, -1.6, 1.6)),
    "ravine": Terrain(lambda w: (w[0] ** 2 + 25 * w[1] ** 2) / 2, (-1.8, 0.8), (-2, 2, -1.2, 1.2)),
    "Rosenbrock": Terrain(
        lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2,
        (-1.2, 1.0),
        (-1.6, 1.6, -0.6, 2.0),
    ),
    "saddle": Terrain(lambda w: w[0] ** 2 - w[1] ** 2, (-1.5, 0.01), (-2, 2, -1.6, 1.6)),
}


def trajectory(
    fn: Callable[[Any], Any],
    optimizer: Optimizer,
    start: npt.ArrayLike,
    steps: int,
    *,
    clip_norm: float | None = None,
) -> Floats:
    """The points that an optimizer visits, from the start.

    Parameters
    ----------
    fn : callable
        From a vector (d,), as array or node, to a scalar.
    optimizer : Optimizer
    start : (d,) float
    steps : int >= 0
    clip_norm : float > 0, optional
        Gradients that are longer are shortened to it.

    Returns
    -------
    (steps + 1, d) float64
        Fewer where the search overflows; the point that is not finite is the last.

    Examples
    --------
    >>> from chainrule.optim import SGD
    >>> trajectory(lambda w: w[0] ** 2, SGD(0.25), [1.0], 2)
    array([[1.  ],
           [0.5 ],
           [0.25]])
    """
    from chainrule.optim.clipping import clip_by_global_norm

    point = np.array(start, dtype=np.float64)
    if point.ndim != 1:
        raise ShapeError(f"a path starts from a vector, not from the shape {point.shape}")
    slope, state, visited = compiled(grad(fn)), optimizer.init(point), [point]
    while len(visited) <= steps and np.isfinite(point).all():
        gradient = slope(point)
        if clip_norm is not None:
            gradient = clip_by_global_norm(gradient, clip_norm)
        with np.errstate(over="ignore", invalid="ignore"):
            point, state = optimizer.update(point, gradient, state)
        visited.append(point)
    return np.stack(visited)


def path_panel(
    fn: Callable[[Any], Any],
    paths: Mapping[str, npt.ArrayLike],
    extent: Sequence[float],
    *,
    title: str = "",
    labels: bool = True,
) -> Panel:
    """Paths over the level lines of a function of the plane; the lines are close where it is low.

    Parameters
    ----------
    fn : callable
        From a point (2,) to a number.
    paths : dict of str to (n, 2) float
        None, for the ground alone.
    extent : (x_low, x_high, y_low, y_high)
    title : str
    labels : bool
        Whether names stand beside the ends.
    """
    field = Surface.of(lambda xy: fn(xy.T), extent)
    levels = np.quantile(field.values, np.linspace(0, 1, HEIGHTS + 2)[1:-1] ** 1.5)
    ground = Surface(field.values, extent, levels.tolist(), colours="none")
    lines: list[Mark] = []
    for name, path in paths.items():
        x, y = np.asarray(path, dtype=np.float64).T
        lines.append(Line(x, y, label=name if labels else "", width=1.75))
    starts = [np.asarray(path, dtype=np.float64)[:1] for path in paths.values()]
    begins = [Points(*start.T, ink="ink", size=6.0) for start in np.unique(starts, axis=0)]
    x_low, x_high, y_low, y_high = extent
    return Panel(
        ground, *lines, *begins, title=title, x="x", y="y", x_range=(x_low, x_high),
        y_range=(y_low, y_high),
    )  # fmt: skip


def optimizer_paths(
    fn: Callable[[Any], Any],
    optimizers: Mapping[str, Optimizer],
    start: npt.ArrayLike,
    extent: Sequence[float],
    *,
    steps: int = 100,
) -> Chart:
    """Optimizers side by side on one surface.

    Parameters
    ----------
    fn : callable
        From a point (2,) to a number, on arrays and nodes.
    optimizers : dict of str to Optimizer
    start : (x, y)
    extent : (x_low, x_high, y_low, y_high)
    steps : int

    Raises
    ------
    ShapeError
        If the start is no point of the plane, or there is no optimizer.
    DataError
        If the start is not finite.

    Examples
    --------
    >>> from chainrule.optim import SGD, Adam
    >>> bowl = TERRAINS["bowl"]
    >>> rules = {"SGD": SGD(0.1), "Adam": Adam(0.1)}
    >>> print(optimizer_paths(bowl.function, rules, bowl.start, bowl.extent).text())
    SGD and Adam after 100 steps: lowest SGD
    """
    require_finite(start, "the coordinates of the start", "start somewhere else")
    if np.shape(start) != (2,) or not optimizers:
        raise ShapeError(
            f"paths in the plane start from (x, y) by at least one optimizer, not from the shape"
            f" {np.shape(start)} by {len(optimizers)}"
        )
    paths = {name: trajectory(fn, rule, start, steps) for name, rule in optimizers.items()}
    ends = {name: float(fn(path[-1])) for name, path in paths.items()}
    lowest = min(ends, key=lambda name: ends[name])
    panel = path_panel(fn, paths, extent)
    return Chart(panel, title=f"{' and '.join(paths)} after {steps} steps: lowest {lowest}")
