"""Level lines of a sampled field: marching squares (Maple 2003), joined into polylines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Side = tuple[int, int, int]  # of a cell: row, column, and 0 along the row or 1 across it


def contours(field: NDArray[np.float64], level: float) -> list[list[Point]]:
    """Polylines along which the linearly interpolated ``field`` equals ``level``.

    Parameters
    ----------
    field : (rows, columns) float64
        Finite samples.
    level : float

    Returns
    -------
    list of list of (float, float)
        Points as (column, row) in units of samples; closed lines end where they began.

    Notes
    -----
    A saddle is cut so that its centre, the mean of the corners, lies on the right side. Samples
    that equal the level count as above it.

    Examples
    --------
    >>> contours(np.array([[0.0, 1.0], [0.0, 1.0]]), 0.25)
    [[(0.25, 0.0), (0.25, 1.0)]]
    """
    above = field >= level
    neighbours: defaultdict[Side, list[Side]] = defaultdict(list)
    corners = above[:-1, :-1] + 2 * above[:-1, 1:] + 4 * above[1:, 1:] + 8 * above[1:, :-1]
    for row, column in np.argwhere((corners > 0) & (corners < 15)).tolist():
        for first, second in _cuts(field, above, level, row, column):
            neighbours[first].append(second)
            neighbours[second].append(first)
    return [[_crossing(field, level, side) for side in line] for line in _lines(neighbours)]


def _cuts(
    field: NDArray[np.float64], above: NDArray[np.bool_], level: float, row: int, column: int
) -> Iterator[tuple[Side, Side]]:
    """The pairs of sides that the level line joins inside one cell."""
    corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
    sides = [(row, column, 0), (row, column + 1, 1), (row + 1, column, 0), (row, column, 1)]
    signs = [bool(above[corner]) for corner in corners]
    crossed = [side for k, side in enumerate(sides) if signs[k] != signs[(k + 1) % 4]]
    if len(crossed) == 4:
        centre_above = bool(np.mean([field[corner] for corner in corners]) >= level)
        if centre_above == signs[0]:  # corners 0 and 2 hang together: cut off 1 and 3
            yield sides[0], sides[1]
            yield sides[2], sides[3]
        else:
            yield sides[3], sides[0]
            yield sides[1], sides[2]
    else:
        yield crossed[0], crossed[1]


def _lines(neighbours: dict[Side, list[Side]]) -> Iterator[list[Side]]:
    """Follow the cuts, open lines from their ends first, then closed ones."""
    seen: set[Side] = set()
    ends = [side for side, others in neighbours.items() if len(others) == 1]
    for start in [*ends, *neighbours]:
        if start in seen:
            continue
        line, ahead = [], [start]
        while ahead:
            line.append(ahead[0])
            seen.add(ahead[0])
            ahead = [side for side in neighbours[ahead[0]] if side not in seen]
        closed = len(neighbours[start]) == 2
        yield [*line, start] if closed else line


def _crossing(field: NDArray[np.float64], level: float, side: Side) -> Point:
    row, column, across = side
    near = float(field[row, column])
    far = float(field[row + across, column + 1 - across])
    part = (level - near) / (far - near)
    return (float(column), row + part) if across else (column + part, float(row))
