"""The circuits of CS231n's lecture 4, with the numbers of its slides, and how to read pictures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

from chainrule.explain import Chart, GraphPicture, Record
from chainrule.explain.canvas import settings
from chainrule.explain.chart_drawing import drawn
from chainrule.explain.palette import LIGHT

SVG = "{http://www.w3.org/2000/svg}"
TOLERANCE = 1.0  # pixels by which boxes of text may touch: they hold the room of descenders
APART = 3.0  # pixels between words side by side, at least: nearer they read as one
LEAST_PANEL = 40.0  # pixels of a panel's sides


def leaf(name: str, value: str, gradient: str) -> Record:
    return Record(name, name=name, value=value, gradient=gradient)


PRODUCT_OF_SUM = GraphPicture(
    (
        leaf("x", "−2", "−4"),
        leaf("y", "5", "−4"),
        leaf("z", "−4", "3"),
        Record("q", "+", "q", ("x", "y"), "3", "−4"),
        Record("f", "×", "f", ("q", "z"), "−12", "1"),
    ),
    "f = (x + y) × z",
)
NEURON = GraphPicture(
    (
        leaf("w0", "2", "−0.197"),
        leaf("x0", "−1", "0.393"),
        leaf("w1", "−3", "−0.393"),
        leaf("x1", "−2", "−0.590"),
        leaf("w2", "−3", "0.197"),
        Record("a", "×", "", ("w0", "x0"), "−2", "0.197"),
        Record("b", "×", "", ("w1", "x1"), "6", "0.197"),
        Record("c", "+", "", ("a", "b"), "4", "0.197"),
        Record("d", "+", "", ("c", "w2"), "1", "0.197"),
        Record("e", "×−1", "", ("d",), "−1", "−0.197"),
        Record("g", "exp", "", ("e",), "0.368", "−0.534"),
        Record("h", "+1", "", ("g",), "1.37", "−0.534"),
        Record("f", "1/x", "f", ("h",), "0.731", "1"),
    )
)
GATES = GraphPicture(
    (
        leaf("x", "3", "−8"),
        leaf("y", "−4", "6"),
        leaf("z", "2", "2"),
        leaf("w", "−1", "0"),
        Record("two", value="2"),
        Record("xy", "×", "", ("x", "y"), "−12", "2"),
        Record("m", "max", "", ("z", "w"), "2", "2"),
        Record("s", "+", "", ("xy", "m"), "−10", "2"),
        Record("f", "×", "f", ("two", "s"), "−20", "1"),
    )
)
SQUARE = GraphPicture(
    (leaf("x", "3", "6"), Record("y", "×", "y", ("x", "x"), "9", "1", ("3", "3"))), "y = x × x"
)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [found for found in root.iter() if name in found.get("class", "").split()]


def texts(root: ElementTree.Element, name: str) -> list[str]:
    return [found.text or "" for found in of_class(root, name)]


def misplaced(chart: Chart) -> Iterator[str]:
    """Texts that overlap others, or the edge of the picture, and panels without room."""
    from matplotlib.text import Text

    with settings():
        canvas = drawn(chart, LIGHT)
        hidden = set(unseen(canvas))
        texts = [text for text in canvas.findobj(Text) if text.get_visible() and text.get_text()]
        found = [(text.get_text(), box_of(text)) for text in texts if id(text) not in hidden]
        panels = [axes.get_window_extent() for axes in canvas.axes]
    for panel in panels:
        if min(panel.width, panel.height) < LEAST_PANEL:
            yield f"a panel of {panel.width:.0f} by {panel.height:.0f} pixels"
    width, height = canvas.get_size_inches() * canvas.dpi
    for text, (x0, y0, x1, y1) in found:
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            yield f"{text!r} leaves the picture"
    for (first, a), (second, b) in combinations(found, 2):
        across, down = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
        if across > -APART and down > TOLERANCE:
            yield f"{first!r} overlaps {second!r}"


def box_of(text: Any) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a text, without the empty lines at its top."""
    box, lines = text.get_window_extent(), text.get_text().split("\n")
    written = len(lines) - lines.count("")
    return box.x0, box.y0, box.x1, box.y0 + box.height * written / len(lines)


def unseen(canvas: Any) -> Iterator[int]:
    """The ids of labels of ticks that matplotlib keeps, and does not draw: out of their axis."""
    for axes in canvas.axes:
        for axis in (axes.xaxis, axes.yaxis):
            scaled = axis.get_transform().transform
            low, high = sorted(scaled(axis.get_view_interval()))
            room, places = 1e-6 * (high - low), scaled(axis.get_majorticklocs())
            for tick, place in zip(axis.get_major_ticks(), places, strict=True):
                if not low - room <= place <= high + room:
                    yield id(tick.label1)
