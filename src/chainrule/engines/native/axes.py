"""The axes of loops: neighbours laid together, the last one cut into vectors."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.engines.native.access import Access
from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.schedule import Group
from chainrule.engines.native.sizes import ONE, ZERO, Size, extent_size
from chainrule.graph.node import Node
from chainrule.records import dataclass
from chainrule.shapes import Shape


@dataclass(frozen=True)
class Piece:
    """A part of the last axis.

    Attributes
    ----------
    start, stop : str
        i64 operands.
    lanes : int
    single : bool
        Whether it is exactly one vector.
    """

    start: str
    stop: str
    lanes: int
    single: bool


@dataclass()
class Axis:
    """One axis of the loops, after neighbours were laid together."""

    extent: Size
    reduced: bool
    strides: dict[Node, Size]


def pieces(emit: Emitter, extent: Size, lanes: int) -> list[Piece]:
    """The last axis in vectors: full ones, then halves; single elements where the size varies."""
    if extent.of_rows:
        size = extent.emit(emit)
        if lanes == 1:
            return [Piece("0", size, 1, False)]
        full = emit.let(f"and i64 {size}, {-lanes}")
        return [Piece("0", full, lanes, False), Piece(full, size, 1, False)]
    found, start = [], 0
    while start < extent.number:
        while lanes > extent.number - start:
            lanes //= 2
        stop = start + (extent.number - start) // lanes * lanes
        found.append(Piece(str(start), str(stop), lanes, stop - start == lanes))
        start = stop
    return found


def own_part(emit: Emitter, piece: Piece, bounds: tuple[str, str]) -> Piece:
    """As much of a piece as lies within bounds, which cut no vector."""
    begin = emit.integer("smax", piece.start, bounds[0])
    return Piece(begin, emit.integer("smin", piece.stop, bounds[1]), piece.lanes, single=False)


def axes_of(group: Group, accesses: Mapping[Node, Access], apart: int | None = None) -> list[Axis]:
    """The axes of a group's loops, outermost first; those of size 1 are left out.

    Parameters
    ----------
    group : Group
    accesses : mapping of Node to Access
    apart : int, optional
        An axis that is laid together with no other one, because threads share it.
    """
    reduced = group.axes or ()
    strides = {node: access.broadcast(group.space) for node, access in accesses.items()}
    found: list[Axis] = []
    before = -1  # the place of the last one found
    for place, extent in enumerate(group.space):
        mine = {node: each[place] for node, each in strides.items()}
        axis = Axis(extent_size(extent), place in reduced, mine)
        if axis.extent == ONE:
            continue
        if found and apart not in (before, place) and _runs_on(found[-1], axis):
            found[-1] = Axis(found[-1].extent.times(axis.extent), axis.reduced, axis.strides)
        else:
            found.append(axis)
        before = place
    return found or [Axis(ONE, bool(reduced), dict.fromkeys(accesses, ZERO))]


def is_last(space: Shape, axis: int) -> bool:
    """Whether there is nothing behind an axis."""
    return all(extent == 1 for extent in space[axis + 1 :])


def lanes_of(group: Group, accesses: Mapping[Node, Access], last: Axis, emit: Emitter) -> int:
    """Lanes of a full vector; 1 where an array is not read along the last axis in order."""
    if any(stride not in (ZERO, ONE) for stride in last.strides.values()):
        return 1
    dtypes = [node.dtype for node in (*group.nodes, *accesses) if node.dtype.kind != "b"]
    return min([emit.target.lanes(dtype) for dtype in dtypes], default=1)


def _runs_on(first: Axis, second: Axis) -> bool:
    """Whether two neighbouring axes are one, for every array."""
    if first.reduced != second.reduced or (first.extent.of_rows and second.extent.of_rows):
        return False
    return all(
        _continues(stride, second.strides[node], second.extent)
        for node, stride in first.strides.items()
    )


def _continues(stride: Size, inner: Size, extent: Size) -> bool:
    if inner.number and inner.of_rows and extent.of_rows:
        return False
    return stride == inner.times(extent)
