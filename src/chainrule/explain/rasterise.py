"""Our own SVG pictures in pixels, drawn by matplotlib (extra ``plots``).

Only what our pictures are made of is understood: groups that are moved, pictures in pictures,
paths of absolute commands, rectangles, circles, one-line texts, some of them in several inks, and
images, with the classes of ``svg.STYLES``.
"""

from __future__ import annotations

import io
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from chainrule.errors import GraphError
from chainrule.explain.canvas import DPI, POINT, SHARPNESS, installed, settings
from chainrule.explain.palette import TOKENS, Theme
from chainrule.explain.svg import STYLES

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

Place = tuple[float, float]
COMMAND = re.compile(r"([MLHVCQZ])([^MLHVCQZ]*)")
NUMBER = re.compile(r"-?\d*\.?\d+(?:e-?\d+)?")
FONT = re.compile(r"(?P<slant>italic )?(?P<size>[\d.]+)px (?P<family>.*)")
OWN_STYLE = re.compile(r"font-size:(?P<size>[\d.]+)px;text-anchor:(?P<anchor>\w+)")
WINDOW = ("x", "y", "width", "height")
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
        for order, (element, frame) in enumerate(_marks(root, _Frame())):
            shape = _Shape(element, frame, theme, order)
            DRAWING[shape.tag](axes, shape)
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", dpi=SHARPNESS * DPI)
    return buffer.getvalue()


def _numbers(text: str) -> list[float]:
    return [float(found) for found in NUMBER.findall(text)]


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


@dataclass(frozen=True)
class _Frame:
    """Where the coordinates of a group lie on the picture, and what is seen of them."""

    moved: Place = (0.0, 0.0)
    scale: float = 1.0
    window: tuple[float, float, float, float] | None = None  # left, top, width, height

    def at(self, x: float, y: float) -> Place:
        """A place of the group on the picture."""
        return self.moved[0] + self.scale * x, self.moved[1] + self.scale * y

    def inside(self, element: ElementTree.Element) -> _Frame:
        """The frame of what an element holds."""
        if _tag(element) == "g":
            x, y = _numbers(element.get("transform", "")) or (0.0, 0.0)
            return replace(self, moved=self.at(x, y))
        x, y, width, height = (float(element.get(name, 0.0)) for name in WINDOW)
        left, top, across, _ = _numbers(element.get("viewBox", ""))
        scale = self.scale * width / across
        corner = self.at(x, y)
        window = (*corner, self.scale * width, self.scale * height)
        return _Frame((corner[0] - scale * left, corner[1] - scale * top), scale, window)


def _marks(element: ElementTree.Element, frame: _Frame) -> Iterator[tuple[Any, _Frame]]:
    """Everything that leaves a mark, in order, and the frame that it stands in."""
    for child in element:
        holds_image = any(_tag(each) == "image" for each in child)
        if _tag(child) == "g" or (_tag(child) == "svg" and not holds_image):
            yield from _marks(child, frame.inside(child))
        elif _tag(child) in DRAWING:
            yield child, frame


@dataclass(frozen=True)
class _Shape:
    """An element, its frame, the theme, and its place in the order of drawing."""

    element: ElementTree.Element
    frame: _Frame
    theme: Theme
    order: int

    @property
    def tag(self) -> str:
        return _tag(self.element)

    def get(self, *names: str) -> list[float]:
        """Attributes as lengths on the picture."""
        return [self.frame.scale * float(self.element.get(name, 0.0)) for name in names]

    def at(self, x: str, y: str) -> Place:
        """The place that two attributes give."""
        return self.frame.at(*(float(self.element.get(name, 0.0)) for name in (x, y)))

    def seen(self, axes: Axes, artist: Artist) -> None:
        """Cut an artist off at the edges of the frame's window."""
        if self.frame.window is not None:
            from matplotlib.patches import Rectangle

            left, top, width, height = self.frame.window
            window = Rectangle((left, top), width, height, transform=axes.transData)
            artist.set_clip_path(window)

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
            "linewidth": float(self.rule("stroke-width", "1")) * POINT * self.frame.scale,
            "alpha": float(self.rule("stroke-opacity", "1")),
            "zorder": self.order,
        }


def _rectangle(axes: Axes, shape: _Shape) -> None:
    from matplotlib.patches import Rectangle

    patch = Rectangle(shape.at("x", "y"), *shape.get("width", "height"), **shape.paint)
    shape.seen(axes, axes.add_patch(patch))


def _circle(axes: Axes, shape: _Shape) -> None:
    from matplotlib.patches import Circle

    shape.seen(axes, axes.add_patch(Circle(shape.at("cx", "cy"), *shape.get("r"), **shape.paint)))


def _path(axes: Axes, shape: _Shape) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    codes, corners = zip(*_corners(shape.element.get("d", "")), strict=True)
    moved = [shape.frame.at(x, y) for x, y in corners]
    shape.seen(axes, axes.add_patch(PathPatch(Path(moved, codes), **shape.paint)))


def _corners(course: str) -> Iterator[tuple[int, Place]]:
    """Matplotlib's codes and places of a path; a command goes on from where the last one ended."""
    from matplotlib.path import Path

    codes = {"M": Path.MOVETO, "C": Path.CURVE4, "Q": Path.CURVE3, "Z": Path.CLOSEPOLY}
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
    """One line; parts of it in inks of their own follow each other."""
    x, y = shape.at("x", "y")
    for part, content in _parts(shape):
        drawn = _written(axes, part, content, (x, y))
        if len(shape.element):
            x += _advance(drawn, content)


def _parts(shape: _Shape) -> Iterator[tuple[_Shape, str]]:
    yield shape, shape.element.text or ""
    for child in shape.element:
        yield replace(shape, element=child), child.text or ""
        yield shape, child.tail or ""


def _written(axes: Axes, shape: _Shape, content: str, at: Place) -> Text:
    font = FONT.fullmatch(shape.rule("font"))
    own = OWN_STYLE.fullmatch(shape.element.get("style", ""))
    if font is None:
        raise GraphError(f"a text of class {shape.element.get('class')!r} has no font to be set in")
    size, anchor = (own["size"], own["anchor"]) if own else (font["size"], None)
    drawn = axes.text(
        *at,
        content,
        color=shape.rule("fill"),
        ha=ALIGNED[anchor or shape.rule("text-anchor", "start")],
        va="baseline",
        parse_math=False,
        fontsize=float(size) * POINT * shape.frame.scale,
        fontfamily=installed(font["family"]),
        fontstyle="italic" if font["slant"] else "normal",
        zorder=shape.order,
        clip_on=shape.frame.window is not None,
    )
    shape.seen(axes, drawn)
    return drawn


def _advance(drawn: Text, content: str) -> float:
    """How far a text moves what follows it, spaces at its ends included."""
    widths = []
    for probe in (f"|{content}|", "||"):
        drawn.set_text(probe)
        widths.append(drawn.get_window_extent().width)
    drawn.set_text(content)
    return float(widths[0] - widths[1])


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
