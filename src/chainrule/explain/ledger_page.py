"""The ledger as one HTML page that fetches nothing.

Everything that is said stands in the page as written by Python, also for readers without scripts
and for print; the script only hides what is not yet computed. Numbers are ``<data>`` elements:
what is shown has three digits, what counts stands in full in ``value``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.resources import files

from chainrule.explain.folding import FoldedPicture
from chainrule.explain.graph_picture import GraphPicture, Record
from chainrule.explain.ledger_equations import Equation, Quantity
from chainrule.explain.ledger_script import BACKWARD, FORWARD, Script, Step
from chainrule.explain.palette import SANS, SERIF
from chainrule.explain.svg import element, text
from chainrule.graph.node import Node

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
BUTTONS = {  # what each does, its label, and the key that does the same
    "first": ("start", "Home"),
    "back": ("back", "←"),
    "next": ("step", "→"),
    "last": ("end", "End"),
}

SMALLEST_SCALE = 0.75  # of the picture


def page_of(script: Script) -> str:
    """The page of a ledger, as text."""
    title = script.picture.title or list(script.picture.formulas.values() or ["a number"])[-1]
    places = {(step.direction, step.id): place for place, step in enumerate(script.steps)}
    entries = "\n".join(_entry(script, key, node, places) for key, node in script.nodes.items())
    steps = (_step(step) for step in script.steps)
    return _page(title, _explanation(), script.picture, entries, steps)


def folded_page(picture: FoldedPicture) -> str:
    """The page of a graph that has too many nodes: its blocks, and how each is opened."""
    title = picture.title or "A large graph"
    entries = "\n".join(_block(picture, record) for record in picture.records)
    steps = [*picture.records, *reversed(picture.records)]
    items = (element("li", element("a", text(r.name), href=f"#{_key(r)}"), data_node=_key(r))
             for r in steps)  # fmt: skip
    marks = tuple(
        replace(record, id=_key(record), operands=tuple(map(_slug, record.operands)))
        for record in picture.records
    )
    return _page(title, picture.describe(), GraphPicture(marks), entries, items)


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _key(record: Record) -> str:
    return _slug(record.id)


def _block(picture: FoldedPicture, record: Record) -> str:
    """What goes into a block, what comes out, and how to open it."""
    place, count = picture.records.index(record), len(picture.records)
    told = [f"{len(picture.blocks[record.name]):,} nodes, {record.symbol}"]
    told += [f"reads {', '.join(record.operands)}"] if record.operands else []
    told += [f"gives {record.value}, where the gradient {record.gradient} arrives"] * bool(
        record.value
    )
    told.append(f"open it in Python: ledger(...).opened({record.name!r}).save('inside.html')")
    return element(
        "section", element("h2", text(record.name)), *(element("p", text(line)) for line in told),
        id=_key(record), class_="entry", tabindex=-1, data_forward=place,
        data_backward=2 * count - 1 - place,
    )  # fmt: skip


def _page(
    title: str, explanation: str, picture: GraphPicture, entries: str, steps: Iterable[str]
) -> str:
    """A document that fetches nothing."""
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        element("title", text(f"{title}: the chain-rule ledger")),
        element("style", f":root{{--serif:{SERIF};--sans:{SANS}}}\n{_file('ledger.css')}"),
    ]
    body = [
        element("header", element("h1", text(title)), element("p", text(explanation))),
        _graph(picture),
        element("main", element("div", "\n", entries, "\n", class_="entries"),
                element("ol", *steps, class_="steps", start=0)),
        element("nav", *_buttons(), '<output class="said" aria-live="polite"></output>',
                '<button type="button" data-do="digits" aria-pressed="false">all digits</button>',
                aria_label="steps"),
        element("script", _file("ledger.js")),
    ]  # fmt: skip
    return (
        '<!DOCTYPE html>\n<html lang="en"><head>\n' + "\n".join(head) + "\n</head>\n"
        '<body class="chainrule">\n' + "\n".join(body) + "\n</body></html>\n"
    )


def _graph(picture: GraphPicture) -> str:
    """The picture, made narrower where the window is, as far as it can be read."""
    drawing = replace(picture, title="")
    narrowest = f"--narrowest:{SMALLEST_SCALE * drawing.width:.0f}px"
    return element("div", drawing.svg(), class_="graph", style=narrowest)


def _file(name: str) -> str:
    return files("chainrule.explain").joinpath(name).read_text(encoding="utf-8")


def _explanation() -> str:
    return (
        "Values go forwards, gradients come back. Choose a node, or step with the arrow keys;"
        " a cell of a matrix opens as a scalar. Products are rounded once, sums are exact before"
        " they are rounded, all in float64."
    )


def _buttons() -> Iterator[str]:
    for action, (label, key) in BUTTONS.items():
        yield element(
            "button", text(f"{label} "), element("kbd", text(key)), type="button", data_do=action
        )


def _step(step: Step) -> str:
    said = text(f"{step.direction}: " * bool(step.id) + step.heading)
    return element("li", element("a", said, href=f"#{step.id}") if step.id else said,
                   data_node=step.id, data_direction=step.direction)  # fmt: skip


def _entry(script: Script, key: str, node: Node, places: dict[tuple[str, str], int]) -> str:
    """All that is known about a node."""
    heading = script.picture.formulas.get(key) or script.picture.names[key]
    told = _matrices(script, key, node) if node.shape else _scalar(script, node, 0)
    return element(
        "section",
        element("h2", text(heading)),
        *told,
        id=key,
        class_="entry",
        tabindex=-1,
        data_forward=places.get((FORWARD, key), 0),
        data_backward=places.get((BACKWARD, key), len(places)),
    )


def _scalar(script: Script, node: Node, place: int) -> Iterator[str]:
    """The arithmetic of one scalar, forwards and backwards."""
    yield _part("forward", map(_equation, script.equations.forward(node, place)))
    if script.has_gradient(node):
        yield _part("backward", map(_equation, script.equations.backward(node, place)))


def _part(direction: str, content: Iterable[str]) -> str:
    return element("div", element("h3", direction), *content, class_=f"{direction}-part")


def _equation(equation: Equation) -> str:
    content = [_quantity(p) if isinstance(p, Quantity) else text(p) for p in equation.parts]
    rule = {"data-rule": equation.rule} if equation.rule else {}
    return element("p", *content, class_="equation", **rule)


def _quantity(quantity: Quantity) -> str:
    shown = element("data", text(quantity), class_=quantity.ink, value=repr(quantity.value))
    return element("a", shown, href=f"#{quantity.of}") if quantity.of else shown


def _matrices(script: Script, key: str, node: Node) -> Iterator[str]:
    """Value and gradient as tables, and every element as a scalar of its own."""
    size = script.equations.found.values[node].size
    values = [script.equations.value(node, place) for place in range(size)]
    width = script.equations.found.values[node].shape[-1]
    yield _part("forward", [_table(values, width)])
    if script.has_gradient(node):
        slopes = [script.equations.gradient(node, place) for place in range(size)]
        yield _part("backward", [_table(slopes, width)])
    for place in range(size):
        summary = element("summary", text(script.equations.label(node, place)))
        yield element("details", summary, *_scalar(script, node, place), id=f"{key}.{place}")


def _table(quantities: list[Quantity], width: int) -> str:
    """Rows of ``width``, that of the last axis."""
    rows = [quantities[start : start + width] for start in range(0, len(quantities), width)]
    body = [element("tr", *(element("td", _quantity(each)) for each in row)) for row in rows]
    return element("div", element("table", *body), class_="matrix")
