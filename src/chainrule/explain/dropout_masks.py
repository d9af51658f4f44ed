"""Which units dropout leaves out, pass by pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from chainrule.errors import ParameterError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Panel, Points
from chainrule.ops import random

if TYPE_CHECKING:
    from chainrule.networks import Network


def masks(rate: float, units: int, passes: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Which of the units each pass keeps: (passes, units).

    Examples
    --------
    >>> kept = masks(0.25, 8, 10_000)
    >>> kept.shape, bool(abs(kept.mean() - 0.75) < 0.01)
    ((10000, 8), True)
    """
    from chainrule.nn import Dropout
    from chainrule.nn.base import Mode

    mode = Mode(training=True, key=random.key(seed))
    outputs, _ = Dropout(rate).forward(np.ones((passes, units)), {}, {}, mode)
    return np.asarray(outputs) > 0


def dropout_masks(
    rate: float = 0.5, units: int = 12, passes: int = 8, *, seed: int = 0, title: str = ""
) -> Chart:
    """A row for every pass, a circle for every unit that is kept, a cross for one left out.

    Parameters
    ----------
    rate : float in [0, 1)
    units, passes : int
    seed : int
    title : str

    Raises
    ------
    ParameterError
        If there are no units, no passes, or no such rate.
    """
    if units < 1 or passes < 1:
        raise ParameterError(f"masks have units and passes of at least 1, not {units} and {passes}")
    kept = masks(rate, units, passes, seed)
    row, unit = np.nonzero(kept)
    absent_row, absent = np.nonzero(~kept)
    panel = Panel(
        Points(unit + 1, row + 1, ink="class0", marker="circle", size=9.0, label="kept"),
        Points(absent + 1, absent_row + 1, ink="note", marker="cross", size=7.0,
               label="dropped"),
        x="unit", y="pass", x_range=(0.0, units + 1.0), y_range=(passes + 1.0, 0.0),
        x_names={float(k): str(k) for k in range(1, units + 1)},
        y_names={float(k): str(k) for k in range(1, passes + 1)},
    )  # fmt: skip
    claim = title or f"Every pass trains another thinned network: {kept.mean():.0%} are kept"
    return Chart(panel, title=claim, size=(560.0, 360.0))


def dropout_members(
    model: Network, X: npt.ArrayLike, members: int = 200, *, seed: int = 0
) -> npt.NDArray[np.float64]:
    """The outputs of networks that dropout thins: each keeps its units for all rows.

    Parameters
    ----------
    model : Network
        With Dropout layers in front of Linear ones; the others are evaluated as in ``predict``.
    X : (n, ...) float
    members : int
        How many masks are drawn.
    seed : int

    Returns
    -------
    (members, n, ...) float64

    Raises
    ------
    ParameterError
        If the network drops no units, or others than a Linear layer takes.

    Examples
    --------
    >>> from chainrule.nn import Dropout, Linear, Network
    >>> model = Network([Linear(1, 8), Dropout(0.5), Linear(8, 1)], seed=0)
    >>> dropout_members(model, [[0.0], [1.0], [2.0]], 5).shape
    (5, 3, 1)

    References
    ----------
    Y. Gal and Z. Ghahramani 2016, Dropout as a Bayesian approximation.
    """
    from chainrule.networks.thinning import thinned

    found = thinned(model, members, seed)
    if found is None:
        raise ParameterError("the network drops no units; put a Dropout layer in front of a Linear")
    return np.asarray(found.predict(X, members="all"), np.float64)
