"""The columns of a layered layout: which nodes stand in each, in what order, at what height.

Steps: longest-path ranks; one chain of bends per source, shared by its wires; barycentre
ordering with ports (Sugiyama, Tagawa and Toda 1981), started from a walk in operand order;
heights by weighted isotonic regression, which is the exact least-squares answer for one column
given its neighbours (Barlow et al. 1972; weights after Gansner et al. 1993, section 4). No
step recurses, none draws a random number.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import ceil, floor

from chainrule.errors import GraphError
from chainrule.explain.layout_parts import Edge, Node

GRID = 4.0  # heights are whole multiples of it, so that wires that could be level are
GAP = 8.0
LABELLED_PORTS = 48.0  # distance of two ports whose wires carry labels: two lines and a gap
BARE_PORTS = 16.0
PORT_MARGIN = 8.0  # from the last port to the corner of the box
LONGEST_REACH = 3  # columns that the wire of a source at the far left passes

STRAIGHTNESS = (1.0, 64.0, 256.0)  # weight of a link by how many of its ends are passages
AT_REST = 1e-3  # weight of staying where a cell without neighbours on that side is
ORDERING_SWEEPS = 8
PLACEMENT_SWEEPS = 32

Incoming = dict[str, list[Edge]]  # of every node, by operand


@dataclass(eq=False)
class Cell:
    """A slot of a column: a node, or the passage of a source's wires where ``node`` is None.

    A passage that ``enters`` is the first of a row: its wires come back from the row above.
    """

    rank: int
    height: float = 2 * GRID
    node: Node | None = None
    enters: bool = False
    box_height: float = 0.0
    ports: tuple[float, ...] = ()
    index: int = 0
    y: float = 0.0
    inputs: list[Link] = field(default_factory=list)
    outputs: list[Link] = field(default_factory=list)

    @property
    def begins(self) -> bool:
        """Whether nothing of its row stands before it."""
        return self.enters or not self.inputs

    @property
    def input_order(self) -> float:
        """Where its neighbours on the left stand, on average."""
        return _mean(link.left.index for link in self.inputs)

    @property
    def output_order(self) -> float:
        """Where its neighbours on the right stand, on average."""
        return _mean(link.right_order for link in self.outputs)


@dataclass(eq=False)
class Link:
    """A piece of wire between neighbouring columns, ending ``offset`` below the right centre."""

    left: Cell
    right: Cell
    offset: float = 0.0

    @property
    def right_order(self) -> float:
        """Its place among all ends in the right column."""
        return self.right.index + self.offset / (self.right.height + 1)

    @property
    def weight(self) -> float:
        """Long wires are kept straighter than short ones; rows do not pull at each other."""
        if self.right.enters:
            return 0.0
        return STRAIGHTNESS[(self.left.node is None) + (self.right.node is None)]

    @property
    def climb(self) -> float:
        """How far it rises or falls."""
        return abs(self.left.y - self.right.y - self.offset)


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Cells in columns by rank, in order and at their heights.

    Attributes
    ----------
    cells : dict of str to Cell
        That of every node.
    chains : dict of str to list of Cell
        For every source the cells that its wires run through, one a column.
    columns : list of list of Cell
    entries : sequence of int
        The ranks of the columns with which rows begin, but for the first row.
    """

    cells: Mapping[str, Cell]
    chains: Mapping[str, list[Cell]]
    columns: list[list[Cell]]
    entries: Sequence[int]


def arranged(
    nodes: Sequence[Node],
    incoming: Incoming,
    ranks: Mapping[str, int],
    entries: Sequence[int] = (),
) -> Arrangement:
    """The columns of nodes whose ranks are known; rows but the first begin at ``entries``."""
    cells = {node.id: _node_cell(node, ranks[node.id], incoming[node.id]) for node in nodes}
    chains = _chained(cells, incoming, entries)
    columns = _in_columns(list(cells.values()))
    _order(columns)
    _place(columns)
    return Arrangement(cells, chains, columns, entries)


def _mean(numbers: Iterable[float]) -> float:
    values = list(numbers)
    return sum(values) / len(values)


def up(length: float, unit: float = 2 * GRID) -> float:
    """The next multiple of ``unit``.

    >>> up(9), up(16)
    (16.0, 16.0)
    """
    return ceil(length / unit) * unit


def incoming_edges(nodes: Sequence[Node], edges: Sequence[Edge]) -> Incoming:
    """The edges into every node, by operand."""
    incoming: Incoming = {node.id: [] for node in nodes}
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


def longest_paths(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[str, int]:
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


def _node_cell(node: Node, rank: int, incoming: Sequence[Edge]) -> Cell:
    labelled = any(edge.above or edge.below for edge in incoming)
    port_gap = LABELLED_PORTS if labelled else BARE_PORTS
    spread = port_gap * max(len(incoming) - 1, 0)
    box_height = up(max(node.height, spread + 2 * PORT_MARGIN))
    height = up(max(box_height + 2 * node.caption_height, port_gap * len(incoming)))
    ports = tuple(port_gap * place - spread / 2 for place in range(len(incoming)))
    return Cell(rank, height, node, box_height=box_height, ports=ports)


def _chained(
    cells: Mapping[str, Cell], incoming: Incoming, entries: Collection[int]
) -> dict[str, list[Cell]]:
    """For every source the cells that its wires run through; links every cell to its neighbours."""
    chains = {name: [cell] for name, cell in cells.items()}
    for name, edges in incoming.items():
        for edge, offset in zip(edges, cells[name].ports, strict=True):
            chain = chains[edge.source]
            span = cells[name].rank - chain[0].rank
            while len(chain) < span:
                rank = chain[-1].rank + 1
                chain.append(Cell(rank, enters=rank in entries))
                _connect(Link(chain[-2], chain[-1]))
            _connect(Link(chain[span - 1], cells[name], offset))
    return chains


def _connect(link: Link) -> None:
    link.left.outputs.append(link)
    link.right.inputs.append(link)


def _in_columns(cells: Sequence[Cell]) -> list[list[Cell]]:
    """All cells by rank, in the order of a walk from the outputs through operands in order."""
    columns: list[list[Cell]] = [[] for _ in range(1 + max((c.rank for c in cells), default=-1))]
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


def _number(columns: Iterable[list[Cell]]) -> None:
    for column in columns:
        for index, cell in enumerate(column):
            cell.index = index


# ------------------------------------------------------------------------------- order


def _order(columns: list[list[Cell]]) -> None:
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


def _sort_forwards(columns: list[list[Cell]]) -> None:
    for column in columns:
        _sort(column, [cell for cell in column if cell.inputs], lambda cell: cell.input_order)


def _sort_backwards(columns: list[list[Cell]]) -> None:
    for column in reversed(columns):
        _sort(column, [cell for cell in column if cell.outputs], lambda cell: cell.output_order)


def _sort(column: list[Cell], movable: list[Cell], key: Callable[[Cell], float]) -> None:
    """Sort the movable cells among their own places; the others stay where they are."""
    places = [cell.index for cell in movable]
    for place, cell in zip(places, sorted(movable, key=key), strict=True):
        column[place] = cell
    _number([column])


def _crossings(columns: Iterable[list[Cell]]) -> int:
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


def _place(columns: list[list[Cell]]) -> None:
    """Pull every cell to where its wires are level, as far as its neighbours give way.

    First from side to side, then from both sides at once. The last sweep, rightwards alone,
    makes chains of operations level; then what begins a row or a chain follows its readers, and
    all keep the grid.
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
        pulls = [_pull(c, False, True) if c.begins else (1.0, c.y) for c in column]
        _settle(column, pulls, unit=GRID)


def _pull(cell: Cell, to_inputs: bool, to_outputs: bool) -> tuple[float, float]:
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
    column: Sequence[Cell], pulls: Sequence[tuple[float, float]], unit: float = 1e-6
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


def _distance(upper: Cell, lower: Cell) -> float:
    return (upper.height + lower.height) / 2 + GAP
