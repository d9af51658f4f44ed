"""Marks on panels, as plain data: what a statistical chart is made of.

A mark without an ink of its own gets the next of SERIES, so that series are
told apart by colour and by dash or shape. The inks ``forward`` and ``gradient`` are kept for
values and derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from chainrule.errors import ParameterError, ShapeError
from chainrule.explain.palette import MARKERS
from chainrule.explain.svg import format_number

SERIES = (  # ink and dash, in turn
    ("class0", "solid"),
    ("class1", "dashed"),
    ("class2", "dotted"),
    ("ink", "solid"),
    ("note", "dashdot"),
    ("class0", "dashed"),
    ("class1", "solid"),
    ("class2", "solid"),
)
SCALES = ("linear", "log")
AXIS_NAMES = ("x₁", "x₂")  # of a plane of two features


@dataclass(frozen=True)
class Mark:
    """Something on a panel.

    Parameters
    ----------
    label : str
        Written beside the mark; nothing without one.
    ink : str
        A colour of the palette; by default the next of SERIES.
    """

    label: str = field(default="", kw_only=True)
    ink: str = field(default="", kw_only=True)
    needs_ink: ClassVar[bool] = True  # whether it takes its turn in SERIES

    @property
    def numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        """Its arrays by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def words(self) -> str:
        """What it shows, without a full stop."""
        return f"{self.label}" if self.label else ""


def _arrays(mark: Mark, *names: str) -> None:
    """Make fields arrays of float64, broadcast to each other."""
    given = np.broadcast_arrays(*(np.asarray(getattr(mark, n), dtype=np.float64) for n in names))
    for name, array in zip(names, given, strict=True):
        object.__setattr__(mark, name, array)


@dataclass(frozen=True)
class Line(Mark):
    """A line through points.

    Parameters
    ----------
    x, y : (n,) float
        Points that are not finite interrupt it.
    dash : {"solid", "dashed", "dotted", "dashdot"}, optional
    width : float
        In CSS pixels.
    """

    x: Any
    y: Any
    dash: str = field(default="", kw_only=True)
    width: float = field(default=2.0, kw_only=True)

    def __post_init__(self) -> None:
        _arrays(self, "x", "y")

    def words(self) -> str:
        finite = self.y[np.isfinite(self.y)]
        ends = [format_number(float(value)) for value in finite[[0, -1]]] if finite.size else []
        return f"{self.label or 'a line'} from {' to '.join(ends)}" if ends else self.label


@dataclass(frozen=True)
class Threads(Mark):
    """Many thin lines over the same abscissas: (n,) and (lines, n)."""

    x: Any
    ys: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", np.asarray(self.x, dtype=np.float64))
        object.__setattr__(self, "ys", np.atleast_2d(np.asarray(self.ys, dtype=np.float64)))

    def words(self) -> str:
        return f"{len(self.ys)} thin lines" + (f", {self.label}" if self.label else "")


@dataclass(frozen=True)
class Points(Mark):
    """Points of one shape: ``circle``, ``square``, ``triangle`` or ``cross``; size in pixels.

    ``of`` says in words what they are where no label stands beside them.
    """

    x: Any
    y: Any
    marker: str = field(default="", kw_only=True)
    size: float = field(default=7.0, kw_only=True)
    of: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        _arrays(self, "x", "y")

    def words(self) -> str:
        return " ".join(filter(None, (counted_points(self.x.size), self.of or self.label)))


@dataclass(frozen=True)
class Band(Mark):
    """The area between two lines: (n,), (n,) and (n,)."""

    x: Any
    low: Any
    high: Any

    def __post_init__(self) -> None:
        _arrays(self, "x", "low", "high")

    def words(self) -> str:
        return f"a band {self.label}".rstrip()


@dataclass(frozen=True)
class Intervals(Mark):
    """Vertical strokes from low to high at x: (n,), (n,) and (n,)."""

    x: Any
    low: Any
    high: Any

    def __post_init__(self) -> None:
        _arrays(self, "x", "low", "high")

    def words(self) -> str:
        return f"{self.x.size} intervals {self.label}".rstrip()


@dataclass(frozen=True)
class Bars(Mark):
    """Upright bars at x from base to base + height; (n,), and widths in units of x.

    ``numbers_on`` writes each height above its bar.
    """

    x: Any
    height: Any
    base: Any = 0.0
    width: float = field(default=0.7, kw_only=True)
    numbers_on: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _arrays(self, "x", "height", "base")

    def words(self) -> str:
        heights = ", ".join(format_number(float(height)) for height in self.height[:8])
        return f"bars {self.label} of {heights}".replace("  ", " ")


@dataclass(frozen=True)
class Surface(Mark):
    """A field of numbers over a rectangle, drawn as colour and as level lines.

    Parameters
    ----------
    values : (rows, columns) float
        The first row lies at the lower end of y.
    extent : (x_low, x_high, y_low, y_high)
    levels : sequence of float
        Where lines are drawn; the first is a thick one if ``thick``.
    colours : {"classes", "amount", "none"}
        From class 0 (at 0) over paper (at 1/2) to class 1 (at 1); from paper (least) to note
        (most); or lines alone.
    """

    values: Any
    extent: Sequence[float]
    levels: Sequence[float] = ()
    colours: str = field(default="classes", kw_only=True)
    thick: bool = field(default=False, kw_only=True)
    needs_ink: ClassVar[bool] = False

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.ndim != 2 or min(values.shape) < 2:
            raise ShapeError(f"a surface has the shape (rows, columns), not {values.shape}")
        object.__setattr__(self, "values", values)

    @classmethod
    def of(
        cls,
        function: Callable[[npt.NDArray[np.float64]], Any],
        extent: Sequence[float],
        levels: Sequence[float] = (),
        *,
        samples: int = 101,
        **settings: Any,
    ) -> Surface:
        """The field of a function from points (n, 2) to numbers (n,) or (n, 1)."""
        if len(extent) != 4:
            raise ShapeError(
                f"the extent of a field is (x_low, x_high, y_low, y_high), not {tuple(extent)}"
            )
        x_low, x_high, y_low, y_high = extent
        places = np.meshgrid(
            np.linspace(x_low, x_high, samples), np.linspace(y_low, y_high, samples)
        )
        values = np.asarray(function(np.stack(places, axis=-1).reshape(-1, 2)), dtype=np.float64)
        return cls(values.reshape(samples, samples), extent, levels, **settings)

    def words(self) -> str:
        low, high = np.nanmin(self.values), np.nanmax(self.values)
        return f"a field {self.label} from {format_number(low)} to {format_number(high)}"


@dataclass(frozen=True)
class Rule(Mark):
    """A straight line across the whole panel at ``y`` or ``x``: thin and dashed."""

    y: float | None = None
    x: float | None = None
    needs_ink: ClassVar[bool] = False

    def words(self) -> str:
        name, value = ("x", self.x) if self.y is None else ("y", self.y)
        return f"a rule at {name} = {format_number(float(value or 0.0))} {self.label}".rstrip()


@dataclass(frozen=True)
class Note(Mark):
    """Words at a place: ``text`` above (x, y), or as ``anchor`` says: left, right, above."""

    x: float
    y: float
    text: str
    anchor: str = field(default="above", kw_only=True)
    needs_ink: ClassVar[bool] = False

    def words(self) -> str:
        return f"the words “{self.text}”"


def counted_points(count: int) -> str:
    """How many points, in words.

    >>> counted_points(1), counted_points(2)
    ('1 point', '2 points')
    """
    return "1 point" if count == 1 else f"{count} points"


def class_points(
    points: npt.ArrayLike, labels: npt.ArrayLike, *, named: str = "", **settings: Any
) -> list[Points]:
    """Points (n, 2) in a colour and a shape for each class (n,) of 0, 1 and 2.

    ``named``, a word such as "class", has each class written beside the panel as "class 0".
    """
    xy, classes = np.asarray(points, dtype=np.float64), np.asarray(labels)
    return [
        Points(
            *xy[classes == kind].T, ink=f"class{kind}", marker=MARKERS[kind],
            label=f"{named} {kind}" if named else "", of=f"of class {kind}", **settings,
        )
        for kind in np.unique(classes).astype(int).tolist()
    ]  # fmt: skip


@dataclass(frozen=True, init=False)
class Panel:
    """Marks over two axes.

    Parameters
    ----------
    *marks : Mark
        Drawn in order.
    title, x, y : str
        Above the panel, and on its axes.
    x_scale, y_scale : {"linear", "log"}
    x_range, y_range : (low, high), optional
    x_names, y_names : dict of float to str, optional
        What stands at the ticks; no tick elsewhere. An empty dict takes them all away.
    equal : bool
        Whether a unit is as long on both axes.
    """

    marks: tuple[Mark, ...]
    title: str
    x: str
    y: str
    x_scale: str
    y_scale: str
    x_range: tuple[float, float] | None
    y_range: tuple[float, float] | None
    x_names: Mapping[Any, str] | None
    y_names: Mapping[Any, str] | None
    equal: bool

    def __init__(
        self,
        *marks: Mark,
        title: str = "",
        x: str = "",
        y: str = "",
        x_scale: str = "linear",
        y_scale: str = "linear",
        x_range: tuple[float, float] | None = None,
        y_range: tuple[float, float] | None = None,
        x_names: Mapping[Any, str] | None = None,
        y_names: Mapping[Any, str] | None = None,
        equal: bool = False,
    ) -> None:
        if not {x_scale, y_scale} <= set(SCALES):
            raise ParameterError(f"a scale is one of {SCALES}, not {x_scale!r} and {y_scale!r}")
        given = {name: value for name, value in locals().items() if name != "self"}
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def describe(self) -> str:
        """One sentence: the axes, and every mark."""
        axes = f"{self.y or 'height'} over {self.x}" if self.x or self.y else ""
        head = f"{self.title} ({axes})" if self.title and axes else self.title or axes or "Panel"
        return f"{head}: {'; '.join(filter(None, (mark.words() for mark in self.marks)))}."


@dataclass(frozen=True)
class Sheet:
    """Panels under a claim; see :class:`~chainrule.explain.Chart`."""

    panels: tuple[Panel, ...]
    title: str
    columns: int
    size: tuple[float, float]
    share: bool
