"""A layered layout for small graphs, left to right, with room for two labels on every edge.

The plane is cut into columns, one per rank, with free channels between them. In a column each
node owns a cell: the labels of its incoming edges on the left, its box on the right. A wire is
level inside a column and bends only in a channel, and a wire that passes a column without
stopping owns a cell there too. Cells of a column do not overlap and columns do not overlap, so
that no label ever meets another label, a node, or a wire that is not its own.

What is too wide to be read goes on in a row below. Every wire that runs on has a track of its own
between the two rows, back to a column where nothing else stands than such wires and what is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from chainrule.explain.advances import text_width
from chainrule.explain.layout_columns import (
    Arrangement,
    Cell,
    Incoming,
    arranged,
    incoming_edges,
    longest_paths,
    up,
)
from chainrule.explain.layout_parts import Box, Edge, Layout, Node, Wire
from chainrule.explain.layout_rows import TRACK, in_rows
from chainrule.explain.palette import SIZES

LABEL_HEIGHT = 16.0
LABEL_OFFSET = 3.0  # from the wire to the nearest edge of a label's box
LABEL_MARGIN = 10.0
CHANNEL_WIDTHS = (32.0, 112.0)
CHANNEL_SLOPE = 0.8  # width of a channel per height of its steepest wire
ROOM = 0.9  # for rows, of what there is: how wide they are is known once they are laid out


def layout(nodes: Sequence[Node], edges: Sequence[Edge], widest: float = inf) -> Layout:
    """Place a directed acyclic graph.

    Parameters
    ----------
    nodes : sequence of Node
        Unique ids. The order decides between equal choices.
    edges : sequence of Edge
        Each operand of a target is given once. A source may feed several operands of a target.
    widest : float
        What is wider is broken into rows.

    Returns
    -------
    Layout

    Raises
    ------
    GraphError
        An edge names an unknown node, an operand is given twice, or there is a cycle.

    Examples
    --------
    >>> square = [Edge("x", "y", 0, above="3"), Edge("x", "y", 1, above="3")]
    >>> plan = layout([Node("x", 16, 16), Node("y", 32, 32)], square)
    >>> plan.boxes["x"].x < plan.boxes["y"].x, plan.wires[0].above.meets(plan.wires[1].above)
    (True, False)
    """
    incoming = incoming_edges(nodes, edges)
    ranks = longest_paths(nodes, edges)
    single = _Drawing(arranged(nodes, incoming, ranks), incoming)
    if single.width <= widest:
        return single.layout()
    rows = in_rows(ranks, edges, single.sides, ROOM * widest)
    return _Drawing(arranged(nodes, incoming, *rows), incoming).layout()


@dataclass(frozen=True)
class _Column:
    """Where the labels of a column begin, where its boxes do, and where it ends."""

    left: float
    boxes: float
    right: float


@dataclass(frozen=True)
class _Turn:
    """The way of a wire from the end of a row, down to its track, back, and down again."""

    right: float
    track: float
    left: float


class _Drawing:
    """Coordinates of everything, with the left upper corner at 0, 0."""

    def __init__(self, found: Arrangement, incoming: Incoming) -> None:
        self.found, self.incoming = found, incoming
        self.columns: list[_Column] = []
        self.turns: dict[Cell, _Turn] = {}
        self.width = self.height = 0.0
        for start, end in pairwise([0, *found.entries, len(found.columns)]):
            self._add_row(found.columns[start:end])
            if end < len(found.columns):
                self._add_tracks([cell for cell in found.columns[end] if cell.enters])

    def _add_row(self, row: Sequence[Sequence[Cell]]) -> None:
        """Columns side by side, below the rows that there are."""
        cells = [cell for column in row for cell in column]
        top = min((cell.y - cell.height / 2 for cell in cells), default=0.0)
        for cell in cells:
            cell.y += self.height - top
        self.columns += _abscissae(row, self.incoming)
        self.width = max([self.width, *(column.right for column in self.columns)])
        self.height = max((cell.y + cell.height / 2 for cell in cells), default=0.0)

    def _add_tracks(self, entering: Sequence[Cell]) -> None:
        """Tracks below the last row, nested so that wires in the same order do not cross."""
        ways = [TRACK * place for place in range(len(entering), 0, -1)]
        lefts = dict(zip(entering, ways, strict=True))
        leaving = sorted(entering, key=lambda cell: cell.inputs[0].left.index)
        right = self.columns[-1].right
        for cell, way in zip(leaving, ways, strict=True):
            self.turns[cell] = _Turn(right + way, self.height + way, lefts[cell] - TRACK)
        self.width = max(self.width, right + max(ways, default=0.0))
        self.height += TRACK * (len(entering) + 2)

    @property
    def sides(self) -> list[tuple[float, float]]:
        """Where every column begins and ends."""
        return [(column.left, column.right) for column in self.columns]

    def layout(self) -> Layout:
        """All boxes and wires."""
        cells = self.found.cells
        boxes = {name: _box(cell, self.columns[cell.rank]) for name, cell in cells.items()}
        wires = tuple(
            self._wire(edge, boxes, port)
            for name, edges in self.incoming.items()
            for edge, port in zip(edges, cells[name].ports, strict=True)
        )
        return Layout(self.width, self.height, boxes, wires)

    def _wire(self, edge: Edge, boxes: dict[str, Box], port: float) -> Wire:
        source, target = boxes[edge.source], self.found.cells[edge.target]
        chain, last = self.found.chains[edge.source], self.columns[target.rank]
        knots = [(source.x + source.width, chain[0].y)]
        for cell in chain[: target.rank - chain[0].rank]:
            column, turn = self.columns[cell.rank], self.turns.get(cell)
            if turn:
                knots[-1] = turn.right, knots[-1][1]
                knots += [(turn.right, turn.track), (turn.left, turn.track), (turn.left, cell.y)]
            elif cell.node is None:
                knots.append((column.left, cell.y))
            knots.append((column.right, cell.y))
        end = target.y + port
        knots += [(last.left, end), (boxes[edge.target].x, end)]
        above = _label(edge.above, last, end - LABEL_OFFSET - LABEL_HEIGHT)
        return Wire(edge, tuple(knots), above, _label(edge.below, last, end + LABEL_OFFSET))


def _abscissae(columns: Iterable[Sequence[Cell]], incoming: Incoming) -> Iterator[_Column]:
    """The columns of a row, from its left end on."""
    right = 0.0
    for rank, column in enumerate(columns):
        nodes = [cell.node for cell in column if cell.node]
        edges = [edge for node in nodes for edge in incoming[node.id]]
        left = right + (_channel(column) if rank else 0.0)
        entering = TRACK * sum(cell.enters for cell in column)
        boxes = left + up(max(map(_label_room, edges), default=entering))
        right = boxes + up(max((max(node.width, node.caption_width) for node in nodes), default=0))
        yield _Column(left, boxes, right)


def _channel(column: Iterable[Cell]) -> float:
    narrow, wide = CHANNEL_WIDTHS
    climb = max((link.climb for cell in column for link in cell.inputs), default=0.0)
    return up(min(max(CHANNEL_SLOPE * climb, narrow), wide))


def _label_room(edge: Edge) -> float:
    widest = max(text_width(text, SIZES["label"]) for text in (edge.above, edge.below))
    return widest + 2 * LABEL_MARGIN


def _box(cell: Cell, column: _Column) -> Box:
    """Boxes stand in the middle of their column, sources at its right end beside their wires."""
    assert cell.node
    middle = (column.boxes + column.right) / 2
    if not cell.inputs:
        middle = column.right - max(cell.node.width, cell.node.caption_width) / 2
    corner = middle - cell.node.width / 2, cell.y - cell.box_height / 2
    return Box(*corner, cell.node.width, cell.box_height)


def _label(text: str, column: _Column, y: float) -> Box:
    width = text_width(text, SIZES["label"])
    return Box((column.left + column.boxes - width) / 2, y, width, LABEL_HEIGHT)
