"""Which units dropout leaves out, pass by pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chainrule.explain.chart import Chart
from chainrule.explain.marks import Panel, Points
from chainrule.ops import random


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
    """
    kept = masks(rate, units, passes, seed)
    row, unit = np.nonzero(kept)
    absent_row, absent = np.nonzero(~kept)
    panel = Panel(
        Points(unit + 1, row + 1, ink="class0", marker="circle", size=9.0),
        Points(absent + 1, absent_row + 1, ink="note", marker="cross", size=7.0),
        x="unit", y="pass", x_range=(0.0, units + 1.0), y_range=(passes + 1.0, 0.0),
        x_names={float(k): str(k) for k in range(1, units + 1)},
        y_names={float(k): str(k) for k in range(1, passes + 1)},
    )  # fmt: skip
    claim = title or f"Every pass trains another thinned network: {kept.mean():.0%} are kept"
    return Chart(panel, title=claim, size=(560.0, 360.0))
