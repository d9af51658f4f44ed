"""A function of one variable, its fit, and the outputs of the hidden units that make it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chainrule.errors import ShapeError
from chainrule.explain.chart import Chart
from chainrule.explain.hidden_space import hidden_outputs
from chainrule.explain.marks import Line, Panel, Points
from chainrule.explain.subjects import titled

if TYPE_CHECKING:
    from chainrule.networks import Network

GRID = 401
MOST_UNITS = 8  # hidden outputs that are drawn


def function_panel(model: Network, x: npt.ArrayLike, y: npt.ArrayLike, *, title: str = "") -> Panel:
    """Points, the fit as a solid line, and each hidden output dashed (Bishop 2006, figure 5.3).

    Parameters
    ----------
    model : Network
        Of one input and one output.
    x, y : (n,) float
    title : str

    Raises
    ------
    ShapeError
        If x and y are not of one shape (n,).
    """
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if across.ndim != 1 or up.shape != across.shape:
        raise ShapeError(
            f"x and y have one shape (n,), not {across.shape} and {up.shape}; give the columns"
        )
    grid = np.linspace(across.min(), across.max(), GRID)
    hidden = hidden_outputs(model, grid[:, None])[:, :MOST_UNITS]
    units = [Line(grid, unit, ink="note", dash="dashed", width=1.4) for unit in hidden.T]
    fit = Line(grid, model.predict(grid[:, None])[:, 0], ink="class1", dash="solid")
    return Panel(Points(across, up, ink="class0", size=5.0), *units, fit, title=title, x="x")


def function_fit(model: Network, x: npt.ArrayLike, y: npt.ArrayLike, *, title: str = "") -> Chart:
    """The panel of :func:`function_panel` as a picture of its own."""
    return Chart(
        function_panel(model, x, y), title=titled(title or "The fit, and its hidden outputs", model)
    )
