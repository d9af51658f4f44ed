"""The circuit of a computation, as on the CS231n slides: values above its wires, gradients below.

Sources are names or plain numbers, operations are small gates with their symbol, and what
nothing reads ends in a stub that carries its own value and gradient. Where several wires leave
one node, the sum of the gradients that they bring back stands below that node.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from chainrule.explain.advances import text_width
from chainrule.explain.layout import layout
from chainrule.explain.layout_parts import Box, Edge, Layout, Node, Wire
from chainrule.explain.palette import SIZES
from chainrule.explain.svg import MINUS, SUPERSCRIPTS, document, element, number, text

MARGIN = 24.0
WIDEST = 1080.0  # of a drawing: its labels are still read where a notebook shows it 700 wide
BASELINE = 0.35  # of the size of a text: from its middle down to its baseline
GATE = 32.0
SYMBOL_PADDING = 16.0
LEAF_PADDING = 8.0
CAPTION_HEIGHT = 24.0
ROUNDING = 6.0  # of the corners of wires that run back to another row
LONGEST_CLAIM = 90
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
WHOLE_EXPONENT = re.compile(r"\^([0-9]+)$")
INDEXED_LETTER = re.compile("[A-Za-zα-ω][0-9]+")
SPELLED_SUM = 3  # contributions of a fan-out that are written one by one


@dataclass(frozen=True)
class NodeMark:
    """A node as it is drawn. A node that reads nothing is a leaf, drawn by its name or value.

    All fields are finished text; an empty one is not drawn.
    """

    id: str
    symbol: str = ""
    name: str = ""
    value: str = ""
    gradient: str = ""
    formula: str = ""


@dataclass(frozen=True)
class EdgeMark:
    """One use of ``source`` as operand number ``operand`` of ``target``, with what flows there."""

    source: str
    target: str
    operand: int
    value: str = ""
    gradient: str = ""


def draw_graph(
    nodes: Sequence[NodeMark], edges: Sequence[EdgeMark], *, title: str, description: str
) -> str:
    """The SVG picture of a computation graph.

    Parameters
    ----------
    nodes : sequence of NodeMark
        Unique ids, any order; among equal choices an earlier node is drawn higher.
    edges : sequence of EdgeMark
        Every operand of every node; the same source may appear twice (``x × x``).
    title : str
        One line, drawn on top; empty for none.
    description : str
        One sentence for those who do not see the picture.

    Returns
    -------
    str
        A complete SVG document. Nodes carry ``data-node``, wires ``data-source``,
        ``data-target`` and ``data-operand``; labels have the classes ``forward``, ``gradient``.

    Raises
    ------
    GraphError
        The edges do not form a directed acyclic graph over the nodes.

    Examples
    --------
    >>> picture = draw_graph(
    ...     [NodeMark("x", name="x"), NodeMark("y", "exp", value="1", gradient="1")],
    ...     [EdgeMark("x", "y", 0, value="0", gradient="1")],
    ...     title="y = exp(x)",
    ...     description="One exponential.",
    ... )
    >>> picture.count('class="gate"'), picture.count("∂ 1")
    (1, 2)
    """
    scene = _Scene(nodes, edges)
    plan = scene.plan
    top = MARGIN + (SIZES["claim"] + MARGIN if title else 0.0)
    claim = title if len(title) <= LONGEST_CLAIM else title[: LONGEST_CLAIM - 1] + "…"
    width = max(plan.width, _text_width("claim", claim)) + 2 * MARGIN
    key = _key(title, nodes, edges)
    left = (width - plan.width) / 2 if not title else MARGIN
    shift = f"translate({number(left)} {number(top)})"
    body = [
        *([_claim(claim)] if title else []),
        element("g", *scene.wires(), *scene.nodes(), transform=shift),
    ]
    return document(
        width, plan.height + top + MARGIN, body, title=title, description=description, key=key
    )


def _claim(claim: str) -> str:
    return element("text", text(claim), class_="claim", x=MARGIN, y=MARGIN + SIZES["claim"] - 4)


def _key(title: str, nodes: Sequence[NodeMark], edges: Sequence[EdgeMark]) -> str:
    """A prefix for ids that depends on the structure only, so that it survives new values."""
    structure = (
        title,
        [(node.id, node.symbol, node.name) for node in nodes],
        [(edge.source, edge.target, edge.operand) for edge in edges],
    )
    return "graph-" + sha256(repr(structure).encode("utf-8", "replace")).hexdigest()[:8]


def _text_width(style: str, content: str) -> float:
    return text_width(content, SIZES[style])


def _with_sign(gradient: str) -> str:
    return f"∂ {gradient}" if gradient else ""


class _Scene:
    """The marks of one picture, and where they go."""

    def __init__(self, nodes: Sequence[NodeMark], edges: Sequence[EdgeMark]) -> None:
        self.marks = {node.id: node for node in nodes}
        # Prefix of the ids of the ends of stubs, longer than any id and so the beginning of none.
        self.stub = "\0" * (1 + max(map(len, self.marks), default=0))
        self.leaves = self.marks.keys() - {edge.target for edge in edges}
        self.uses: defaultdict[str, list[EdgeMark]] = defaultdict(list)
        for edge in edges:
            self.uses[edge.source].append(edge)
        stubs = [node for node in nodes if node.id not in self.uses]
        self.plan: Layout = layout(
            [*map(self._box, nodes), *map(self._stub_end, stubs)],
            [*map(self._edge, edges), *map(self._stub, stubs)],
            WIDEST - 2 * MARGIN,
        )

    def _box(self, mark: NodeMark) -> Node:
        caption_width = max(
            _text_width("gradient", self._sum(mark)), _text_width("name", self._gate_name(mark))
        )
        caption_height = CAPTION_HEIGHT if caption_width else 0.0
        if mark.id in self.leaves:
            width, height = _leaf_width(mark), GATE - 8
        else:
            width = max(GATE, _text_width(_symbol_style(mark), _raised(mark)) + SYMBOL_PADDING)
            height = GATE
        floating = not mark.name
        return Node(mark.id, width, height, caption_width, caption_height, floating)

    def _gate_name(self, mark: NodeMark) -> str:
        """The name above a gate; a leaf shows its name itself, an output at its stub."""
        inner = mark.id in self.uses and mark.id not in self.leaves
        return _subscripted(mark.name) if inner else ""

    def _stub_name(self, mark: NodeMark) -> str:
        return "" if mark.id in self.leaves else _subscripted(mark.name)

    def _stub_end(self, mark: NodeMark) -> Node:
        name = self._stub_name(mark)
        width = _text_width("name", name) + LEAF_PADDING if name else 0.0
        return Node(self.stub + mark.id, width, GATE / 2)

    def _stub(self, mark: NodeMark) -> Edge:
        return Edge(mark.id, self.stub + mark.id, 0, mark.value, _with_sign(mark.gradient))

    def _edge(self, mark: EdgeMark) -> Edge:
        """Labels of a wire; a plain number needs no value on its wire, for it is the value."""
        source = self.marks[mark.source] if mark.source in self.marks else NodeMark(mark.source)
        plain = source.id in self.leaves and not source.name
        above = "" if plain else mark.value
        return Edge(mark.source, mark.target, mark.operand, above, _with_sign(mark.gradient))

    def _sum(self, mark: NodeMark) -> str:
        """The gradients that several wires bring back, and their sum."""
        parts = [use.gradient for use in self.uses.get(mark.id, ())]
        return _with_sign(summed(parts, mark.gradient))

    def wires(self) -> Iterator[str]:
        """Every wire with its two labels."""
        for wire in self.plan.wires:
            edge = wire.edge
            target = "" if edge.target.startswith(self.stub) else edge.target
            yield element(
                "g",
                element("path", class_="wire", d=_path(wire)),
                *_written("forward", edge.above, wire.above.centre),
                *_written("gradient", edge.below, wire.below.centre),
                class_="edge",
                data_source=edge.source,
                data_target=target,
                data_operand=edge.operand,
            )

    def nodes(self) -> Iterator[str]:
        """Every node with its captions, and the names of the outputs at the ends of their stubs."""
        for name, box in self.plan.boxes.items():
            if name.startswith(self.stub):
                end = self.marks[name.removeprefix(self.stub)]
                yield from _written("name", self._stub_name(end), box.centre)
            else:
                yield self._node(self.marks[name], box)

    def _node(self, mark: NodeMark, box: Box) -> str:
        x, half = box.centre[0], CAPTION_HEIGHT / 2
        return element(
            "g",
            *_tooltip(mark),
            *(_leaf(mark, box) if mark.id in self.leaves else _gate(mark, box)),
            *_written("name", self._gate_name(mark), (x, box.y - half)),
            *_written("gradient", self._sum(mark), (x, box.y + box.height + half)),
            class_="node",
            data_node=mark.id,
        )


def summed(parts: Sequence[str], total: str) -> str:
    """Several gradients and their sum; empty where there are not several, or one is unknown.

    >>> summed(["3", "3"], "6"), summed(["1"] * 4, "4"), summed(["6"], "6")
    ('3 + 3 = 6', 'sum of 4 = 4', '')
    """
    if len(parts) < 2 or not total or not all(parts):
        return ""
    return f"{_added(parts) if len(parts) <= SPELLED_SUM else f'sum of {len(parts)}'} = {total}"


def _added(parts: Iterable[str]) -> str:
    """Numbers as a sum: a minus sign inside it is an operator.

    >>> _added(["3", "−4"])
    '3 − 4'
    """
    return " + ".join(parts).replace(f"+ {MINUS}", f"{MINUS} ")


def _subscripted(name: str) -> str:
    """A letter and digits as an indexed letter.

    >>> _subscripted("w10"), _subscripted("relu1")
    ('w₁₀', 'relu1')
    """
    return name.translate(SUBSCRIPTS) if INDEXED_LETTER.fullmatch(name) else name


def _tooltip(mark: NodeMark) -> Iterator[str]:
    facts = [mark.formula or mark.name or mark.symbol]
    facts += [f"value {mark.value}"] if mark.value else []
    facts += [f"gradient {mark.gradient}"] if mark.gradient else []
    yield element("title", text(", ".join(facts)))


def _leaf_text(mark: NodeMark) -> tuple[str, str]:
    """Class and content of a leaf: a name in serifs, or a plain number in the ink of values."""
    if mark.name:
        return "name", _subscripted(mark.name)
    return "forward", mark.value or mark.symbol


def _leaf_width(mark: NodeMark) -> float:
    style, content = _leaf_text(mark)
    return _text_width(style, content) + LEAF_PADDING


def _leaf(mark: NodeMark, box: Box) -> Iterator[str]:
    style, content = _leaf_text(mark)
    x, y = box.centre
    yield from _written(style, content, (x - LEAF_PADDING / 4, y))


def _raised(mark: NodeMark) -> str:
    """The symbol of a gate with whole exponents raised: x² for x^2."""
    return WHOLE_EXPONENT.sub(lambda found: found[1].translate(SUPERSCRIPTS), mark.symbol)


def _symbol_style(mark: NodeMark) -> str:
    return "sign" if len(mark.symbol) == 1 else "symbol"


def _gate(mark: NodeMark, box: Box) -> Iterator[str]:
    yield element("rect", class_="gate", x=box.x, y=box.y, width=box.width, height=box.height, rx=2)
    yield from _written(_symbol_style(mark), _raised(mark), box.centre)


def _written(style: str, content: str, centre: tuple[float, float]) -> Iterator[str]:
    """A text around ``centre``, if there is any."""
    if content:
        x, y = centre
        yield element("text", text(content), class_=style, x=x, y=y + BASELINE * SIZES[style])


def _path(wire: Wire) -> str:
    """Level stretches and bends in turn, as SVG path data; turns to another row are round."""
    (x, y), *rest = wire.knots
    data, side = [f"M{number(x)} {number(y)}"], ROUNDING
    for index, (next_x, next_y) in enumerate(rest):
        if index % 2 == 0 or next_y == y:
            turns = [knot[0] for knot in rest[index + 1 : index + 2]] == [next_x]
            data.append(f"H{number(next_x - side * turns)}")
        elif next_x == x:
            data.append(_turn(x, y, next_y, side))
            side = -side
        else:
            middle, end = number((x + next_x) / 2), f"{number(next_x)} {number(next_y)}"
            data.append(f"C{middle} {number(y)} {middle} {number(next_y)} {end}")
        x, y = next_x, next_y
    return "".join(data)


def _turn(x: float, y: float, end: float, side: float) -> str:
    """Round the corner from a level stretch, straight down, and back round another corner."""
    before = number(x - side)
    return (
        f"Q{number(x)} {number(y)} {number(x)} {number(y + ROUNDING)}V{number(end - ROUNDING)}"
        f"Q{number(x)} {number(end)} {before} {number(end)}"
    )
