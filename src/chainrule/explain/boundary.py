"""The decision boundary of a classifier in the plane, as an SVG picture.

Colour tells the winning class and fades to paper where the classes are equally likely; the
boundary is a line in ink, and points have a shape of their own per class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, floor, log10, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike

from chainrule.explain.advances import text_width
from chainrule.explain.contours import Point, contours
from chainrule.explain.fields import Extent, Field, Points, checked_extent, field, points_of
from chainrule.explain.palette import LIGHT, MARKERS, SIZES, rgb
from chainrule.explain.raster import data_uri
from chainrule.explain.svg import document, element, format_number, number, text

MARGIN = 32.0
AXIS_ROOM = 40.0
LONGER_SIDE = 420.0
SHORTER_SIDE = 240.0  # at least, however long and thin the extent
FIELD_OPACITY = 0.6  # where a class is certain: points of the same colour stay visible
MARKER_RADIUS = 4.5
KEY_ROOM = 28.0  # from the field to the name of a class: a shape stands between them
KEY_LINE = 20.0
TICKS = 4  # intervals of an axis, about
TICK_STEPS = (1, 2, 5, 10)
CERTAINTY_LEVELS = (-0.5, 0.5)  # of p - (1 - p): probabilities 1/4 and 3/4


@dataclass(frozen=True)
class Frame:
    """Where the data's rectangle lies on the picture."""

    extent: Extent
    left: float
    top: float
    width: float
    height: float

    def x(self, value: float) -> float:
        """Abscissa of the first coordinate."""
        low, high = self.extent[:2]
        return self.left + (value - low) / (high - low) * self.width

    def y(self, value: float) -> float:
        """Ordinate of the second coordinate, which grows upwards."""
        low, high = self.extent[2:]
        return self.top + (high - value) / (high - low) * self.height


def boundary_svg(
    grid_probabilities: ArrayLike,
    extent: Sequence[float],
    points: ArrayLike,
    labels: ArrayLike,
    *,
    title: str,
    description: str = "",
    axis_names: tuple[str, str] = ("", ""),
    class_names: Sequence[str] = (),
) -> str:
    """A picture of what a classifier says about every place in the plane.

    Parameters
    ----------
    grid_probabilities : (rows, columns) or (rows, columns, classes) float
        Of class 1, or of each of at most three classes, at
        ``meshgrid(linspace(x_low, x_high, columns), linspace(y_low, y_high, rows))``.
    extent : (x_low, x_high, y_low, y_high)
    points : (n, 2) float
        Those outside the extent are not drawn.
    labels : (n,) int
        Class of each point, from 0.
    title : str
        The claim that the picture makes, in one line on top.
    description : str
        One sentence for those who do not see it; counted from the data where empty.
    axis_names : (str, str)
    class_names : sequence of str
        Written beside the shapes; "class 0" and so on by default.

    Returns
    -------
    str
        A complete SVG document.

    Raises
    ------
    ShapeError, ParameterError, DataError
        As ``field``, ``points_of`` and ``checked_extent`` say.

    Examples
    --------
    >>> picture = boundary_svg([[0.1, 0.9], [0.2, 0.8]], (0, 1, 0, 1), [[0.5, 0.5]], [1], title="A")
    >>> 'class="contour"' in picture, 'class="point class1"' in picture
    (True, True)
    """
    shown = field(grid_probabilities)
    data = points_of(points, labels, shown.classes)
    names = class_names or [f"class {label}" for label in range(shown.classes)]
    frame = _frame(checked_extent(extent), named=bool(axis_names[1]))
    body = [
        element("text", text(title), class_="claim", x=frame.left, y=MARGIN + SIZES["claim"] / 2),
        _image(shown, frame),
        *_levels(shown, frame),
        *_axes(frame, axis_names),
        *_markers(data, frame),
        *_key(names, frame),
    ]
    beside = KEY_ROOM + max(text_width(name, SIZES["note"]) for name in names)
    identity = repr((title, frame.extent)).encode("utf-8", "replace")
    key = f"boundary-{sha256(identity).hexdigest()[:8]}"
    return document(
        frame.left + max(frame.width + beside, text_width(title, SIZES["claim"])) + MARGIN,
        frame.top + frame.height + AXIS_ROOM + MARGIN / 2,
        body,
        title=title,
        description=description or _in_words(shown, data),
        key=key,
    )


def _frame(extent: Extent, *, named: bool) -> Frame:
    """Both coordinates on one scale, as far as the picture does not become a strip.

    The name of the second one stands above the field, where nothing is drawn.
    """
    x_low, x_high, y_low, y_high = extent
    scale = LONGER_SIDE / max(x_high - x_low, y_high - y_low)
    width = max(scale * (x_high - x_low), SHORTER_SIDE)
    height = max(scale * (y_high - y_low), SHORTER_SIDE)
    top = MARGIN + SIZES["claim"] + MARGIN / 2 + 1.5 * SIZES["note"] * named
    return Frame(extent, MARGIN + AXIS_ROOM, top, width, height)


def _image(shown: Field, frame: Frame) -> str:
    """The raster, every sample in the middle of its pixel, cut at the edges of the frame."""
    colours = np.array([rgb(colour) for colour in LIGHT.classes], dtype=np.uint8)
    opacity = np.rint(255 * FIELD_OPACITY * shown.certainty).astype(np.uint8)
    pixels = np.dstack([colours[shown.winners], opacity])[::-1]
    rows, columns = opacity.shape
    image = element(
        "image",
        href=data_uri(pixels),
        x=-0.5,
        y=-0.5,
        width=columns,
        height=rows,
        preserveAspectRatio="none",
    )
    return element(
        "svg",
        image,
        class_="field",
        x=frame.left,
        y=frame.top,
        width=frame.width,
        height=frame.height,
        viewBox=f"0 0 {columns - 1} {rows - 1}",
        preserveAspectRatio="none",
    )


def _levels(shown: Field, frame: Frame) -> Iterator[str]:
    """Where the winner changes, and for two classes the probabilities 1/4 and 3/4."""
    if shown.classes == 2:
        for level in CERTAINTY_LEVELS:
            yield from _lines("level", contours(shown.margin(1), level), shown, frame)
    for label in range(1, shown.classes):  # class 0 meets only these
        yield from _lines("contour", contours(shown.margin(label), 0.0), shown, frame)


def _lines(
    style: str, lines: Sequence[Sequence[Point]], shown: Field, frame: Frame
) -> Iterator[str]:
    rows, columns = shown.winners.shape
    across, down = frame.width / (columns - 1), frame.height / (rows - 1)
    for line in lines:
        course = "L".join(
            f"{number(frame.left + x * across)} {number(frame.top + frame.height - y * down)}"
            for x, y in line
        )
        yield element("path", class_=style, d=f"M{course}")


def _axes(frame: Frame, names: tuple[str, str]) -> Iterator[str]:
    """Two lines with few ticks, and the names of the coordinates at their ends."""
    left, bottom = frame.left, frame.top + frame.height
    right, line = left + frame.width, SIZES["note"]
    course = f"M{number(left)} {number(frame.top)}V{number(bottom)}H{number(right)}"
    yield element("path", class_="axis", d=course)
    for value in ticks(*frame.extent[:2]):
        yield _tick("middle", frame.x(value), bottom + 1.5 * line, value)
    for value in ticks(*frame.extent[2:]):
        yield _tick("end", left - line / 2, frame.y(value) + line / 3, value)
    yield _note("end", right, bottom + 2.75 * line, names[0])
    yield _note("start", left, frame.top - line / 2, names[1])


def _tick(anchor: str, x: float, y: float, value: float) -> str:
    return _note(anchor, x, y, format_number(value))


def _note(anchor: str, x: float, y: float, content: str) -> str:
    return element("text", text(content), class_="note", text_anchor=anchor, x=x, y=y)


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers from ``low`` to ``high``.

    >>> ticks(-1.3, 2.2)
    [-1.0, 0.0, 1.0, 2.0]
    """
    wanted = (high - low) / TICKS
    unit = 10.0 ** floor(log10(wanted))
    step = next(factor * unit for factor in TICK_STEPS if factor * unit >= wanted * (1 - 1e-9))
    places = range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)
    return [float(f"{place * step:.12g}") for place in places]


def _markers(data: Points, frame: Frame) -> Iterator[str]:
    x_low, x_high, y_low, y_high = frame.extent
    for (x, y), label in zip(data.xy.tolist(), data.labels.tolist(), strict=True):
        if x_low <= x <= x_high and y_low <= y <= y_high:
            yield _marker(label, frame.x(x), frame.y(y))


def _marker(label: int, x: float, y: float) -> str:
    """The shape of a class, of about equal area for all classes."""
    style = f"point class{label}"
    if MARKERS[label] == "circle":
        return element("circle", class_=style, cx=x, cy=y, r=MARKER_RADIUS)
    if MARKERS[label] == "square":
        side = MARKER_RADIUS * sqrt(pi)
        return element(
            "rect", class_=style, x=x - side / 2, y=y - side / 2, width=side, height=side
        )
    arm = MARKER_RADIUS * sqrt(4 * pi / sqrt(27))
    left, right, bottom = x - arm * sqrt(3) / 2, x + arm * sqrt(3) / 2, number(y + arm / 2)
    course = f"M{number(x)} {number(y - arm)}L{number(right)} {bottom}L{number(left)} {bottom}Z"
    return element("path", class_=style, d=course)


def _key(names: Sequence[str], frame: Frame) -> Iterator[str]:
    """The shape and the name of every class, beside the field."""
    x, line = frame.left + frame.width + KEY_ROOM, SIZES["note"]
    for label, name in enumerate(names):
        y = frame.top + KEY_LINE * (label + 1 / 2)
        yield _marker(label, x - KEY_ROOM / 2 + 2, y)
        yield _note("start", x, y + line / 3, name)


def _in_words(shown: Field, data: Points) -> str:
    shares = np.bincount(shown.winners.ravel(), minlength=shown.classes) / shown.winners.size
    won = ", ".join(f"class {label} {share:.0%}" for label, share in enumerate(shares))
    return f"Predicted classes over the plane, by area: {won}; with {len(data.labels)} points."
