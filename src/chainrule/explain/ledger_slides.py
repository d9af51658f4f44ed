"""The steps of a ledger as slides: one 16:9 picture each, growing number by number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from xml.dom import minidom

from chainrule.explain.advances import text_width
from chainrule.explain.figure import Figure
from chainrule.explain.ledger_equations import Equation, Quantity
from chainrule.explain.ledger_script import BACKWARD, FORWARD, Script
from chainrule.explain.svg import document, element, text

WIDTH, HEIGHT = 1280.0, 720.0
MARGIN = 64.0
CLAIM_SIZE, NOTE_SIZE = 30.0, 18.0
EQUATION_SIZES = (24.0, 14.0)  # as they are set, and the smallest that long ones shrink to
LISTED = 4  # equations of a step that are written out
GRAPH_TOP, GRAPH_BOTTOM = 104.0, 472.0
SCALES = (1.0, 2.0)  # of the graph; what does not fit then is cut off, far from the step's node
DIRECTIONS = {"forward": FORWARD, "gradient": BACKWARD}  # of a label, by its class


@dataclass(frozen=True)
class Slide(Figure):
    """One step: the picture as far as it is computed, and the equations of the step.

    Parameters
    ----------
    title : str
    heading : str
        Which step it is, and what it computes.
    equations : tuple of Equation
    picture : str
        The SVG document of the graph.
    focus : (float, float)
        Where on that picture the step happens.
    """

    title: str
    heading: str
    equations: tuple[Equation, ...]
    picture: str
    focus: tuple[float, float] = (0.0, 0.0)

    @property
    def data(self) -> dict[str, Any]:
        """The numbers of each equation."""
        return {
            "equations": [
                {"text": str(each), "numbers": [q.value for q in each.quantities]}
                for each in self.equations
            ]
        }

    def describe(self) -> str:
        """The step in words and equations."""
        return "; ".join([self.heading, *map(str, self.equations)])

    def svg(self) -> str:
        """1280 by 720 CSS pixels."""
        title = self.title or self.heading
        body = [
            _set(title, "claim", MARGIN, MARGIN + 8, CLAIM_SIZE),
            self._graph(),
            *self._told(),
            _set(self.heading, "note", MARGIN, HEIGHT - 32, NOTE_SIZE),
        ]
        return document(WIDTH, HEIGHT, body, title=title, description=self.describe(), key="slide")

    def _graph(self) -> str:
        """The graph, as large as fits; of a large one the part around ``focus``."""
        root = minidom.parseString(self.picture).getElementsByTagName("svg")[0]
        size = [float(root.getAttribute(side)) for side in ("width", "height")]
        room = WIDTH - 2 * MARGIN, GRAPH_BOTTOM - GRAPH_TOP
        fitting = min(space / length for space, length in zip(room, size, strict=True))
        scale = min(max(fitting, SCALES[0]), SCALES[1])
        shown = [min(length, space / scale) for length, space in zip(size, room, strict=True)]
        starts = [
            min(max(centre - part / 2, 0.0), length - part)
            for centre, part, length in zip(self.focus, shown, size, strict=True)
        ]
        width, height = (scale * part for part in shown)
        place = {
            "viewBox": " ".join(f"{length:.2f}" for length in (*starts, *shown)),
            "x": f"{(WIDTH - width) / 2:.2f}",
            "y": f"{GRAPH_TOP + (room[1] - height) / 2:.2f}",
            "width": f"{width:.2f}",
            "height": f"{height:.2f}",
        }
        for name, length in place.items():
            root.setAttribute(name, length)
        return str(root.toxml())

    def _told(self) -> Iterator[str]:
        """The equations under the graph; of many, the first and how many follow."""
        listed = self.equations if len(self.equations) <= LISTED else self.equations[: LISTED - 1]
        largest, smallest = EQUATION_SIZES
        for row, equation in enumerate(listed):
            wanted = text_width(str(equation), largest) / (WIDTH - 2 * MARGIN)
            size = max(largest / max(wanted, 1.0), smallest)
            yield _equation(equation, GRAPH_BOTTOM + 48 + 40 * row, size)
        if len(listed) < len(self.equations):
            more = f"and {len(self.equations) - len(listed)} more equations of this kind"
            yield _set(more, "note", MARGIN, GRAPH_BOTTOM + 48 + 40 * len(listed), NOTE_SIZE)


def _set(content: str, style: str, x: float, y: float, size: float) -> str:
    fitting = min(size, size * (WIDTH - 2 * MARGIN) / max(text_width(content, size), 1.0))
    return element("text", text(content), class_=style, x=x, y=y, style=_font(fitting))


def _font(size: float) -> str:
    return f"font-size:{size:.1f}px;text-anchor:start"


def _equation(equation: Equation, y: float, size: float) -> str:
    parts = [
        element("tspan", text(part), class_=part.ink, style=_font(size))
        if isinstance(part, Quantity) and part.ink != "ink"
        else text(part)
        for part in equation.parts
    ]
    return element(
        "text", *parts, class_="symbol", x=MARGIN, y=y, style=_font(size), xml_space="preserve"
    )


def slides_of(script: Script) -> list[Slide]:
    """A slide for every step."""
    places = {(step.direction, step.id): place for place, step in enumerate(script.steps)}
    title, drawing = script.picture.title, replace(script.picture, title="").svg()
    found = []
    for place, step in enumerate(script.steps):
        heading = f"step {place} of {len(places) - 1} · {step.direction} · {step.heading}"
        heading = heading.replace("given · given: ", "given: ")
        parsed = _until(drawing, place, places)
        told, picture = tuple(script.told(step)), parsed.getElementsByTagName("svg")[0].toxml()
        found.append(Slide(title, heading, told, picture, _centre(parsed, step.id)))
    return found


def _until(drawing: str, now: int, places: dict[tuple[str, str], int]) -> minidom.Document:
    """The drawing without the labels that are computed after a step."""
    parsed = minidom.parseString(drawing)
    for group in parsed.getElementsByTagName("g"):
        key = group.getAttribute("data-source") or group.getAttribute("data-node")
        for label in _elements(group):
            style = label.getAttribute("class")
            if key and style in DIRECTIONS and _computed(DIRECTIONS[style], key, places) > now:
                group.removeChild(label)
    return parsed


def _elements(group: minidom.Element) -> list[minidom.Element]:
    return [each for each in group.childNodes if isinstance(each, minidom.Element)]


def _computed(direction: str, key: str, places: dict[tuple[str, str], int]) -> int:
    """The step of a label: leaves are given, and the gradients of plain numbers never come."""
    return places.get((direction, key), 0 if direction == FORWARD else len(places))


def _centre(drawing: minidom.Document, key: str) -> tuple[float, float]:
    """The place of a node on a drawing, about; the left upper corner for none."""
    outer, *groups = drawing.getElementsByTagName("g")
    shift = outer.getAttribute("transform").removeprefix("translate(").removesuffix(")")
    left, top = map(float, shift.split())
    for group in groups:
        if key and group.getAttribute("data-node") == key:
            mark = next(each for each in _elements(group) if each.hasAttribute("x"))
            x, y = (float(mark.getAttribute(axis)) for axis in "xy")
            return left + x, top + y
    return 0.0, 0.0
