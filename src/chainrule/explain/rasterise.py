"""Our own SVG pictures in pixels, drawn by matplotlib (extra ``plots``).

Only what our pictures are made of is understood: groups that are moved, paths of absolute
commands, rectangles, circles, one-line texts and images, with the classes of ``svg.STYLES``.
"""

from __future__ import annotations

import io
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from chainrule.explain.canvas import DPI, POINT, SHARPNESS, installed, settings
from chainrule.explain.palette import TOKENS, Theme
from chainrule.explain.svg import STYLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = tuple[float, float]
COMMAND = re.compile(r"([MLHVCZ])([^MLHVCZ]*)")
NUMBER = re.compile(r"-?\d*\.?\d+(?:e-?\d+)?")
FONT = re.compile(r"(?P<slant>italic )?(?P<size>[\d.]+)px (?P<family>.*)")
ALIGNED = {"start": "left", "middle": "center", "end": "right"}


def rasterised(svg: str, theme: Theme) -> bytes:
    """A PNG of an SVG document of ours, with two pixels for each of CSS.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    root = ElementTree.fromstring(svg)
    _, _, width, height = _numbers(root.get("viewBox", ""))
    with settings():
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas((width / DPI, height / DPI), dpi=DPI, facecolor=theme.paper)
        axes = canvas.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        for order, (element, moved) in enumerate(_marks(root, (0.0, 0.0))):
            shape = _Shape(element, moved, theme, order)
            DRAWING[shape.tag](axes, shape)
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", dpi=SHARPNESS * DPI)
    return buffer.getvalue()


def _numbers(text: str) -> list[float]:
    return [float(found) for found in NUMBER.findall(text)]


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _marks(element: ElementTree.Element, moved: Place) -> Iterator[tuple[Any, Place]]:
    """Everything that leaves a mark, in order, and how far its groups were moved."""
    for child in element:
        x, y = _numbers(child.get("transform", "")) or (0.0, 0.0)
        there = moved[0] + x, moved[1] + y
        if _tag(child) in DRAWING:
            yield child, there
        elif _tag(child) == "g":
            yield from _marks(child, there)


@dataclass(frozen=True)
class _Shape:
    """An element, how far it was moved, the theme, and its place in the order of drawing."""

    element: ElementTree.Element
    moved: Place
    theme: Theme
    order: int

    @property
    def tag(self) -> str:
        return _tag(self.element)

    def get(self, *names: str) -> list[float]:
        """Attributes as numbers."""
        return [float(self.element.get(name, 0.0)) for name in names]

    def at(self, x: str, y: str) -> Place:
        """The place that two attributes give."""
        across, down = self.get(x, y)
        return across + self.moved[0], down + self.moved[1]

    def rule(self, name: str, default: str = "none") -> str:
        """What the element or its classes say; colours are those of the theme."""
        classes = self.element.get("class", "").split()
        found = [STYLES[each][name] for each in classes if name in STYLES.get(each, {})]
        value = self.element.get(name, found[-1] if found else default)
        return str(getattr(self.theme, value)) if value in TOKENS else value

    @property
    def paint(self) -> dict[str, Any]:
        """The settings of a patch of matplotlib."""
        return {
            "facecolor": self.rule("fill"),
            "edgecolor": self.rule("stroke"),
            "linewidth": float(self.rule("stroke-width", "1")) * POINT,
            "alpha": float(self.rule("stroke-opacity", "1")),
            "zorder": self.order,
        }


def _rectangle(axes: Axes, shape: _Shape) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(shape.at("x", "y"), *shape.get("width", "height"), **shape.paint))


def _circle(axes: Axes, shape: _Shape) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle(shape.at("cx", "cy"), *shape.get("r"), **shape.paint))


def _path(axes: Axes, shape: _Shape) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    codes, corners = zip(*_corners(shape.element.get("d", "")), strict=True)
    moved = [(x + shape.moved[0], y + shape.moved[1]) for x, y in corners]
    axes.add_patch(PathPatch(Path(moved, codes), **shape.paint))


def _corners(course: str) -> Iterator[tuple[int, Place]]:
    """Matplotlib's codes and places of a path; a command goes on from where the last one ended."""
    from matplotlib.path import Path

    codes = {"M": Path.MOVETO, "C": Path.CURVE4, "Z": Path.CLOSEPOLY}
    end = (0.0, 0.0)
    for command, text in COMMAND.findall(course):
        for corner in _places(command, _numbers(text), *end):
            end = corner
            yield int(codes.get(command, Path.LINETO)), corner


def _places(command: str, values: Sequence[float], x: float, y: float) -> list[Place]:
    """The corners of one command, which starts at (x, y)."""
    if command == "Z":
        return [(x, y)]
    if command in "HV":
        return [(value, y) if command == "H" else (x, value) for value in values]
    return list(zip(values[::2], values[1::2], strict=True))


def _text(axes: Axes, shape: _Shape) -> None:
    font = FONT.fullmatch(shape.rule("font"))
    if font is None:
        return
    axes.text(
        *shape.at("x", "y"),
        shape.element.text or "",
        color=shape.rule("fill"),
        ha=ALIGNED[shape.rule("text-anchor", "start")],
        va="baseline",
        parse_math=False,
        fontsize=float(font["size"]) * POINT,
        fontfamily=installed(font["family"]),
        fontstyle="italic" if font["slant"] else "normal",
        zorder=shape.order,
    )


def _field(axes: Axes, shape: _Shape) -> None:
    """A raster in a frame of its own, half a sample wider than it on every side."""
    from matplotlib.image import imread
    from matplotlib.patches import Rectangle

    image = next(child for child in shape.element if _tag(child) == "image")
    pixels = imread(io.BytesIO(b64decode(image.get("href", "").partition(",")[2])))
    (left, top), (width, height) = shape.at("x", "y"), shape.get("width", "height")
    across, down = width / (pixels.shape[1] - 1) / 2, height / (pixels.shape[0] - 1) / 2
    drawn = axes.imshow(
        pixels,
        extent=(left - across, left + width + across, top + height + down, top - down),
        aspect="auto",
        zorder=shape.order,
    )
    drawn.set_clip_path(Rectangle((left, top), width, height, transform=axes.transData))
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())


DRAWING: dict[str, Callable[[Axes, _Shape], None]] = {
    "rect": _rectangle,
    "circle": _circle,
    "path": _path,
    "text": _text,
    "svg": _field,
}
