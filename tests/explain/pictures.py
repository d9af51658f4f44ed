"""The circuits of CS231n's lecture 4, with the numbers of its slides, and how to read an SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from chainrule.explain import GraphPicture, Record

SVG = "{http://www.w3.org/2000/svg}"


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
