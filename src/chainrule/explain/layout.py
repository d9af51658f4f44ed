"""A layered layout for small graphs, left to right, with room for two labels on every edge.

The plane is cut into columns, one per rank, with free channels between them. In a column each
node owns a cell: the labels of its incoming edges on the left, its box on the right. A wire is
level inside a column and bends only in a channel, and a wire that passes a column without
stopping owns a cell there too. Cells of a column do not overlap and columns do not overlap, so
that no label ever meets another label, a node, or a wire that is not its own.

Steps: longest-path ranks; one chain of bends per source, shared by its wires; barycentre
ordering with ports (Sugiyama, Tagawa and Toda 1981), started from a walk in operand order;
heights by weighted isotonic regression, which is the exact least-squares answer for one column
given its neighbours (Barlow et al. 1972; weights after Gansner et al. 1993, section 4). No
step recurses, none draws a random number.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import ceil, floor

from chainrule.errors import GraphError
from chainrule.explain.advances import text_width
from chainrule.explain.palette import SIZES

GRID = 4.0  # heights are whole multiples of it, so that wires that could be level are
GAP = 8.0
LABEL_HEIGHT = 16.0
LABEL_OFFSET = 3.0  # from the wire to the nearest edge of a label's box
LABEL_MARGIN = 10.0
LABELLED_PORTS = 48.0  # distance of two ports whose wires carry labels: two lines and a gap
BARE_PORTS = 16.0
PORT_MARGIN = 8.0  # from the last port to the corner of the box
LONGEST_REACH = 3  # columns that the wire of a source at the far left passes
CHANNEL_WIDTHS = (32.0, 112.0)
CHANNEL_SLOPE = 0.8  # width of a channel per height of its steepest wire

STRAIGHTNESS = (1.0, 64.0, 256.0)  # weight of a link by how many of its ends are passages
AT_REST = 1e-3  # weight of staying where a cell without neighbours on that side is
ORDERING_SWEEPS = 8
PLACEMENT_SWEEPS = 32


@dataclass(frozen=True)
class Node:
    """A box of at least ``width`` x ``height``, with room for captions above and below it.

    ``floating`` sources stand directly before their first reader instead of at the far left, and
    so do those whose first reader is too far away to follow the wire with the eye.
    """

    id: str
    width: float
    height: float
    caption_width: float = 0.0
    caption_height: float = 0.0
    floating: bool = False


@dataclass(frozen=True)
class Edge:
    """A wire from ``source`` into port ``operand`` (0 on top) of ``target``, with its labels."""

    source: str
    target: str
    operand: int
    above: str = ""
    below: str = ""


@dataclass(frozen=True)
class Box:
    """A rectangle by its left upper corner; y grows downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle point."""
        return self.x + self.width / 2, self.y + self.height / 2

    def meets(self, other: Box) -> bool:
        """Whether the interiors of the two boxes intersect.

        >>> Box(0, 0, 2, 2).meets(Box(1, 1, 2, 2)), Box(0, 0, 2, 2).meets(Box(2, 0, 2, 2))
        (True, False)
        """
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


@dataclass(frozen=True)
class Wire:
    """The course of an edge and the boxes of its labels; an empty label has no width.

    ``knots`` alternate: a level stretch from each even one to the next, a bend from each odd one.
    """

    edge: Edge
    knots: tuple[tuple[float, float], ...]
    above: Box
    below: Box


@dataclass(frozen=True)
class Layout:
    """The rectangle of every node and the course of every wire, inside ``width`` x ``height``."""

    width: float
    height: float
    boxes: dict[str, Box]
    wires: tuple[Wire, ...]


@dataclass(eq=False)
class _Cell:
    """A slot of a column: a node, or the passage of a source's wires where ``node`` is None."""

    rank: int
    height: float = 2 * GRID
    node: Node | None = None
    box_height: float = 0.0
    ports: tuple[float, ...] = ()
    index: int = 0
    y: float = 0.0
    inputs: list[_Link] = field(default_factory=list)
    outputs: list[_Link] = field(default_factory=list)

    @property
    def input_order(self) -> float:
        return _mean(link.left.index for link in self.inputs)

    @property
    def output_order(self) -> float:
        return _mean(link.right_order for link in self.outputs)


@dataclass(eq=False)
class _Link:
    """A piece of wire between neighbouring columns, ending ``offset`` below the right centre."""

    left: _Cell
    right: _Cell
    offset: float = 0.0

    @property
    def right_order(self) -> float:
        return self.right.index + self.offset / (self.right.height + 1)

    @property
    def weight(self) -> float:
        """Long wires are kept straighter than short ones."""
        return STRAIGHTNESS[(self.left.node is None) + (self.right.node is None)]

    @property
    def climb(self) -> float:
        return abs(self.left.y - self.right.y - self.offset)


def layout(nodes: Sequence[Node], edges: Sequence[Edge]) -> Layout:
    """Place a directed acyclic graph.

    Parameters
    ----------
    nodes : sequence of Node
        Unique ids. The order decides between equal choices.
    edges : sequence of Edge
        Each operand of a target is given once. A source may feed several operands of a target.

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
    incoming = _incoming(nodes, edges)
    ranks = _ranks(nodes, edges)
    cells = {node.id: _node_cell(node, ranks[node.id], incoming[node.id]) for node in nodes}
    chains = _chains(cells, incoming)
    columns = _columns(list(cells.values()))
    _order(columns)
    _place(columns)
    return _drawn(columns, cells, chains, incoming)


def _mean(numbers: Iterable[float]) -> float:
    values = list(numbers)
    return sum(values) / len(values)


def _up(length: float, unit: float = 2 * GRID) -> float:
    return ceil(length / unit) * unit


# ------------------------------------------------------------------------------- ranks


def _incoming(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[str, list[Edge]]:
    """The edges into every node, by operand."""
    incoming: dict[str, list[Edge]] = {node.id: [] for node in nodes}
    if len(incoming) < len(nodes):
        raise GraphError("two nodes of a picture have the same id; give each its own")
    for edge in sorted(edges, key=lambda edge: edge.operand):
        for end in (edge.source, edge.target):
            if end not in incoming:
                raise GraphError(f"an edge names {end!r}, which is not among the picture's nodes")
        before = incoming[edge.target]
        if before and before[-1].operand == edge.operand:
            raise GraphError(f"operand {edge.operand} of node {edge.target!r} is given twice")
        before.append(edge)
    return incoming


def _ranks(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[str, int]:
    """Longest path from a source; floating and far sources stand just before their first reader."""
    readers = defaultdict(list)
    missing = {node.id: 0 for node in nodes}
    for edge in edges:
        readers[edge.source].append(edge.target)
        missing[edge.target] += 1
    floating = {node.id for node in nodes if node.floating}
    sources = [name for name, count in missing.items() if not count]
    ranks = dict.fromkeys(sources, 0)
    ready = list(sources)
    for name in ready:  # grows while it is read
        for reader in readers[name]:
            ranks[reader] = max(ranks.get(reader, 0), ranks[name] + 1)
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    if len(ready) < len(nodes):
        stuck = next(name for name, count in missing.items() if count)
        raise GraphError(f"node {stuck!r} depends on itself; draw a graph without cycles")
    for name in sources:
        before = min((ranks[reader] for reader in readers[name]), default=1) - 1
        if name in floating or before > LONGEST_REACH:
            ranks[name] = before
    return ranks


# ------------------------------------------------------------------------------- cells


def _node_cell(node: Node, rank: int, incoming: Sequence[Edge]) -> _Cell:
    labelled = any(edge.above or edge.below for edge in incoming)
    port_gap = LABELLED_PORTS if labelled else BARE_PORTS
    spread = port_gap * max(len(incoming) - 1, 0)
    box_height = _up(max(node.height, spread + 2 * PORT_MARGIN))
    height = _up(max(box_height + 2 * node.caption_height, port_gap * len(incoming)))
    ports = tuple(port_gap * place - spread / 2 for place in range(len(incoming)))
    return _Cell(rank, height, node, box_height, ports)


def _chains(cells: dict[str, _Cell], incoming: dict[str, list[Edge]]) -> dict[str, list[_Cell]]:
    """For every source the cells that its wires run through; links every cell to its neighbours."""
    chains = {name: [cell] for name, cell in cells.items()}
    for name, edges in incoming.items():
        for edge, offset in zip(edges, cells[name].ports, strict=True):
            chain = chains[edge.source]
            span = cells[name].rank - chain[0].rank
            while len(chain) < span:
                chain.append(_Cell(chain[-1].rank + 1))
                _connect(_Link(chain[-2], chain[-1]))
            _connect(_Link(chain[span - 1], cells[name], offset))
    return chains


def _connect(link: _Link) -> None:
    link.left.outputs.append(link)
    link.right.inputs.append(link)


def _columns(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    """All cells by rank, in the order of a walk from the outputs through operands in order."""
    columns: list[list[_Cell]] = [[] for _ in range(1 + max((c.rank for c in cells), default=-1))]
    pending = [cell for cell in reversed(cells) if not cell.outputs]
    seen = set()
    while pending:
        cell = pending.pop()
        if cell not in seen:
            seen.add(cell)
            columns[cell.rank].append(cell)
            pending += [link.left for link in reversed(cell.inputs)]
    _number(columns)
    return columns


def _number(columns: Iterable[list[_Cell]]) -> None:
    for column in columns:
        for index, cell in enumerate(column):
            cell.index = index


# ------------------------------------------------------------------------------- order


def _order(columns: list[list[_Cell]]) -> None:
    """Sort every column by the barycentres of its neighbours; keep the order that crosses least."""
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for sweep in range(ORDERING_SWEEPS):
        if not fewest:
            break
        (_sort_forwards if sweep % 2 else _sort_backwards)(columns)
        count = _crossings(columns)
        if count < fewest:
            best, fewest = [list(column) for column in columns], count
    columns[:] = best
    _number(columns)


def _sort_forwards(columns: list[list[_Cell]]) -> None:
    for column in columns:
        _sort(column, [cell for cell in column if cell.inputs], lambda cell: cell.input_order)


def _sort_backwards(columns: list[list[_Cell]]) -> None:
    for column in reversed(columns):
        _sort(column, [cell for cell in column if cell.outputs], lambda cell: cell.output_order)


def _sort(column: list[_Cell], movable: list[_Cell], key: Callable[[_Cell], float]) -> None:
    """Sort the movable cells among their own places; the others stay where they are."""
    places = [cell.index for cell in movable]
    for place, cell in zip(places, sorted(movable, key=key), strict=True):
        column[place] = cell
    _number([column])


def _crossings(columns: Iterable[list[_Cell]]) -> int:
    """Pairs of links that cross: inversions of the right ends, taken in order of the left ends."""
    count = 0
    for column in columns:
        seen: list[float] = []
        for cell in column:
            for end in sorted(link.right_order for link in cell.outputs):
                count += len(seen) - bisect_right(seen, end)
                insort(seen, end)
    return count


# ------------------------------------------------------------------------------- heights


def _place(columns: list[list[_Cell]]) -> None:
    """Pull every cell to where its wires are level, as far as its neighbours give way.

    First from side to side, then from both sides at once. The last sweep, rightwards alone,
    makes chains of operations level; then sources follow their readers, and all keep the grid.
    """
    for column in columns:
        _settle(column, [(AT_REST, 0.0) for _ in column])
    for sweep in range(PLACEMENT_SWEEPS):
        forwards = sweep % 2 == 1
        both = PLACEMENT_SWEEPS / 2 <= sweep < PLACEMENT_SWEEPS - 1
        for column in columns if forwards else reversed(columns):
            pulls = [_pull(cell, both or forwards, both or not forwards) for cell in column]
            _settle(column, pulls)
    for column in reversed(columns):
        pulls = [(1.0, c.y) if c.inputs else _pull(c, False, True) for c in column]
        _settle(column, pulls, unit=GRID)


def _pull(cell: _Cell, to_inputs: bool, to_outputs: bool) -> tuple[float, float]:
    """Weight and height at which the wires on the sides asked for are level on average."""
    weight = total = 0.0
    if to_inputs:
        for link in cell.inputs:
            weight += link.weight
            total += link.weight * (link.left.y - link.offset)
    if to_outputs:
        for link in cell.outputs:
            weight += link.weight
            total += link.weight * (link.right.y + link.offset)
    return (weight, total / weight) if weight else (AT_REST, cell.y)


def _settle(
    column: Sequence[_Cell], pulls: Sequence[tuple[float, float]], unit: float = 1e-6
) -> None:
    """Heights nearest to the pulls that keep order and distance: pool adjacent violators."""
    depths = list(accumulate((_distance(*pair) for pair in pairwise(column)), initial=0.0))
    blocks: list[tuple[float, float, int]] = []  # weight, mean, number of cells
    for (pull, y), depth in zip(pulls, depths, strict=False):
        weight, mean, count = pull, y - depth, 1
        while blocks and blocks[-1][1] > mean:
            above, its_mean, its_count = blocks.pop()
            mean = (above * its_mean + weight * mean) / (above + weight)
            weight, count = above + weight, its_count + count
        blocks.append((weight, mean, count))
    means = (mean for _, mean, count in blocks for _ in range(count))
    for cell, mean, depth in zip(column, means, depths, strict=False):
        cell.y = floor(mean / unit + 0.5) * unit + depth


def _distance(upper: _Cell, lower: _Cell) -> float:
    return (upper.height + lower.height) / 2 + GAP


# ------------------------------------------------------------------------------- drawing


@dataclass(frozen=True)
class _Column:
    """Where the labels of a column begin, where its boxes do, and where it ends."""

    left: float
    boxes: float
    right: float


def _drawn(
    columns: list[list[_Cell]],
    cells: dict[str, _Cell],
    chains: dict[str, list[_Cell]],
    incoming: dict[str, list[Edge]],
) -> Layout:
    """Coordinates of everything, with the left upper corner at 0, 0."""
    everything = [cell for column in columns for cell in column]
    top = min((cell.y - cell.height / 2 for cell in everything), default=0.0)
    for cell in everything:
        cell.y -= top
    abscissae = list(_abscissae(columns, incoming))
    boxes = {name: _box(cell, abscissae[cell.rank]) for name, cell in cells.items()}
    wires = tuple(
        _wire(edge, boxes, chains[edge.source], cells[name], port, abscissae)
        for name, edges in incoming.items()
        for edge, port in zip(edges, cells[name].ports, strict=True)
    )
    height = max((cell.y + cell.height / 2 for cell in everything), default=0.0)
    return Layout(abscissae[-1].right if abscissae else 0.0, height, boxes, wires)


def _abscissae(columns: list[list[_Cell]], incoming: dict[str, list[Edge]]) -> Iterator[_Column]:
    right = 0.0
    for rank, column in enumerate(columns):
        nodes = [cell.node for cell in column if cell.node]
        edges = [edge for node in nodes for edge in incoming[node.id]]
        left = right + (_channel(column) if rank else 0.0)
        boxes = left + _up(max(map(_label_room, edges), default=0.0))
        right = boxes + _up(max((max(node.width, node.caption_width) for node in nodes), default=0))
        yield _Column(left, boxes, right)


def _channel(column: Iterable[_Cell]) -> float:
    narrow, wide = CHANNEL_WIDTHS
    climb = max((link.climb for cell in column for link in cell.inputs), default=0.0)
    return _up(min(max(CHANNEL_SLOPE * climb, narrow), wide))


def _label_room(edge: Edge) -> float:
    widest = max(text_width(text, SIZES["label"]) for text in (edge.above, edge.below))
    return widest + 2 * LABEL_MARGIN


def _box(cell: _Cell, column: _Column) -> Box:
    """Boxes stand in the middle of their column, sources at its right end beside their wires."""
    assert cell.node
    middle = (column.boxes + column.right) / 2
    if not cell.inputs:
        middle = column.right - max(cell.node.width, cell.node.caption_width) / 2
    corner = middle - cell.node.width / 2, cell.y - cell.box_height / 2
    return Box(*corner, cell.node.width, cell.box_height)


def _wire(
    edge: Edge,
    boxes: dict[str, Box],
    chain: list[_Cell],
    target: _Cell,
    port: float,
    columns: Sequence[_Column],
) -> Wire:
    source, end = boxes[edge.source], target.y + port
    knots = [(source.x + source.width, chain[0].y)]
    for cell in chain[: target.rank - chain[0].rank]:
        if cell.node is None:
            knots.append((columns[cell.rank].left, cell.y))
        knots.append((columns[cell.rank].right, cell.y))
    last = columns[target.rank]
    knots += [(last.left, end), (boxes[edge.target].x, end)]
    above = _label(edge.above, last, end - LABEL_OFFSET - LABEL_HEIGHT)
    return Wire(edge, tuple(knots), above, _label(edge.below, last, end + LABEL_OFFSET))


def _label(text: str, column: _Column, y: float) -> Box:
    width = text_width(text, SIZES["label"])
    return Box((column.left + column.boxes - width) / 2, y, width, LABEL_HEIGHT)
