"""Where a long layout is broken into rows, as a long sentence is broken into lines.

Wires that run on leave a row at its right end and come back at the left end of the next, where a
column of its own is kept for them. A row begins where few wires run on; among such choices rows
are about as long as each other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from chainrule.explain.layout_parts import Edge

TRACK = 12.0  # distance of wires that run back from the end of a row to the next
ENTRY = 96.0  # from the wires that come back to the first column of a row, about
ROW_COST = 3.0  # of another row, in wires that run back
EMPTY_COST = 3.0  # of a row that is almost empty

Span = tuple[int, int]


def in_rows(
    ranks: Mapping[str, int],
    edges: Sequence[Edge],
    sides: Sequence[tuple[float, float]],
    widest: float,
) -> tuple[dict[str, int], list[int]]:
    """Ranks with room for the columns in which rows begin, and the ranks of those columns.

    Parameters
    ----------
    ranks : dict of str to int
    edges : sequence of Edge
    sides : sequence of (float, float)
        Where every column begins and ends, if all stand in one row.
    widest : float
        Of a row, unless it is a single column.

    Examples
    --------
    >>> chain = [Edge("x", "y", 0), Edge("y", "z", 0)]
    >>> in_rows({"x": 0, "y": 1, "z": 2}, chain, [(0, 90), (100, 190), (200, 290)], 260.0)
    ({'x': 0, 'y': 1, 'z': 3}, [2])
    """
    given, spans = ranks.keys() - {edge.target for edge in edges}, _spans(ranks, edges)
    cuts = _cuts(sides, _running(spans.values(), len(sides)), widest)
    entries = [cut + row for row, cut in enumerate(cuts)]
    moved = {name: rank + bisect_right(cuts, rank) for name, rank in ranks.items()}
    for name in given:  # in the row of its first reader
        row = bisect_right(cuts, spans[name][0])
        moved[name] = max([moved[name], *entries[:row]])
    return moved, entries


def _spans(ranks: Mapping[str, int], edges: Sequence[Edge]) -> dict[str, Span]:
    """Between which ranks the wires of every node run; those of a given one from its first reader.

    For what is given can stand at the beginning of that reader's row.
    """
    readers = defaultdict(list)
    for edge in edges:
        readers[edge.source].append(ranks[edge.target])
    computed = {edge.target for edge in edges}
    return {
        name: (rank if name in computed else min(readers[name], default=rank),
               max(readers[name], default=rank))
        for name, rank in ranks.items()
    }  # fmt: skip


def _running(spans: Iterable[Span], columns: int) -> list[int]:
    """How many wires run back if a row begins at each rank."""
    known = list(spans)
    return [sum(start < rank <= last for start, last in known) for rank in range(columns + 1)]


def _cuts(sides: Sequence[tuple[float, float]], running: Sequence[int], widest: float) -> list[int]:
    """The ranks at which rows but the first begin, at the least cost: dynamic programming."""
    best: list[tuple[float, list[int]]] = [(0.0, [])]  # of the columns before each rank
    for end, (_, right) in enumerate(sides, start=1):
        options = []
        for start, (left, _) in enumerate(sides[:end]):
            entry = ENTRY + TRACK * running[start] if start else 0.0
            width = right - left + entry + TRACK * running[end]
            if width <= widest or start == end - 1:
                cost, cuts = best[start]
                cost += ROW_COST + running[start] + EMPTY_COST * max(1 - width / widest, 0) ** 2
                options.append((cost, [*cuts, start] if start else cuts))
        best.append(min(options))
    return best[-1][1]
