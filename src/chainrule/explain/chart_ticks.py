"""Ticks of a chart: where they stand, what is written at them, and how crowded names get room.

Names that do not fit side by side stand in up to three rows, like the teeth of a saw; numbers, and
names that are too many even for that, are written at every second tick, or every third, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.explain.advances import text_width
from chainrule.explain.canvas import DPI
from chainrule.explain.palette import SIZES
from chainrule.explain.svg import SUPERSCRIPTS, format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 3  # of names below a panel
BETWEEN = 6.0  # pixels from one name to the next, at least
NAME_HEIGHT = 14.0
OVERHANG = 5.0  # pixels of a name of the first row left of its panel: numbers stand there
STEPS = [1, 2, 2.5, 5, 10]


def set_ticks(
    axes: Axes, x_names: Mapping[Any, str] | None, y_names: Mapping[Any, str] | None
) -> None:
    """Ticks at round numbers, or at names; the panel's ranges are known already."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    for axis, names in ((axes.xaxis, x_names), (axes.yaxis, y_names)):
        axis.set_minor_locator(NullLocator())
        if names is None:
            axis.set_major_locator(_round_numbers(axis.get_scale(), *axis.get_view_interval()))
            axis.set_major_formatter(FuncFormatter(tick_text))
        else:
            axis.set_major_locator(FixedLocator(list(names)))
            _write(axis, names)
            axis.set_tick_params(length=0)


def _round_numbers(scale: str, low: float, high: float) -> Any:
    """Powers of ten over many of them; over a few, numbers between them too."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    decades = abs(log10(high / low)) if scale == "log" and min(low, high) > 0 else 0.0
    if decades > 2:
        return LogLocator()
    return LogLocator(subs=(1, 2, 5)) if decades > 1 else MaxNLocator(5, steps=STEPS)


def tick_text(value: float, _: object = None) -> str:
    """A number at a tick: powers of ten as such where they are long.

    >>> tick_text(0.5), tick_text(1e-6), tick_text(20_000.0)
    ('0.5', '10⁻⁶', '2×10⁴')
    """
    if value > 0 and not 1e-2 <= value < 1e4:
        power = log10(value)
        if abs(power - round(power)) < 1e-9:
            return f"10{str(round(power)).translate(SUPERSCRIPTS)}"
    return format_number(float(f"{value:.9g}") if abs(value) > 1e-12 else 0.0)


def make_room(
    axes: Axes, x_names: Mapping[Any, str] | None, y_names: Mapping[Any, str] | None
) -> bool:
    """Move names apart that would touch, once the panel has its size; whether any took a row."""
    lower = False
    window, dots = axes.get_window_extent(), axes.figure.dpi / DPI
    for axis, names, length in (
        (axes.xaxis, x_names, window.width / dots), (axes.yaxis, y_names, window.height / dots),
    ):  # fmt: skip
        if names:
            rows = _rows(axis, names, length)
            _write(axis, {at: "\n" * row + names[at] for at, row in rows.items()})
            lower = lower or any(rows.values())
    return lower


def _write(axis: Any, names: Mapping[Any, str]) -> None:
    """Names at their ticks; nothing at those that have none."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda at, _: names.get(at, "")))


def _rows(axis: Any, names: Mapping[Any, str], length: float) -> dict[Any, int]:
    """The row of every name for which there is room on an axis of this many pixels."""
    across = axis.axis_name == "x"
    saw = across and not all(name.isdecimal() for name in names.values())
    sizes = [text_width(name, SIZES["note"]) if across else NAME_HEIGHT for name in names.values()]
    found = rows_of(_places(axis, list(names), length), sizes, ROWS if saw else 1)
    return {at: row for at, row in zip(names, found, strict=True) if row is not None}


def _places(axis: Any, values: Sequence[float], length: float) -> list[float]:
    """Where on an axis of this many pixels each value stands."""
    low, high = axis.get_transform().transform(np.asarray(axis.get_view_interval()))
    at = axis.get_transform().transform(np.asarray(values, dtype=np.float64))
    return list((at - low) / (high - low) * length)


def rows_of(places: Sequence[float], sizes: Sequence[float], most: int = ROWS) -> list[int | None]:
    """The row of each name, so that none touches another; None is left out.

    Parameters
    ----------
    places, sizes : sequence of float
        The middle and the width of each name.
    most : int
        Rows.

    Examples
    --------
    >>> rows_of([10.0, 20.0, 30.0, 110.0], [20.0, 20.0, 20.0, 20.0])
    [0, 1, 2, 0]
    >>> rows_of([0.0, 10.0, 20.0, 30.0], [8.0, 8.0, 8.0, 8.0], 1)
    [0, None, 0, None]
    """
    for every in range(1, len(places) + 1):
        ends = [-BETWEEN - OVERHANG if most > 1 else -np.inf, *[-np.inf] * (most - 1)]
        rows: list[int | None] = [None] * len(places)
        for k in sorted(range(0, len(places), every), key=lambda k: places[k]):
            left = places[k] - sizes[k] / 2
            free = [row for row in range(most) if ends[row] + BETWEEN <= left]
            if not free:
                break
            rows[k], ends[free[0]] = free[0], places[k] + sizes[k] / 2
        else:
            return rows
    return rows
