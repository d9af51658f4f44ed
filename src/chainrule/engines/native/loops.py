"""Loop groups as code: an index space visited once, in vectors along its last axis.

Neighbouring axes along which every array runs on without a gap are laid together first. The last
axis is then cut into pieces: full vectors, and what is left over in vectors of half the lanes, a
quarter, ... Reductions keep one accumulator for each piece, in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chainrule.engines.native.access import Access
from chainrule.engines.native.axes import (
    Axis,
    Piece,
    axes_of,
    is_last,
    lanes_of,
    own_part,
    pieces,
)
from chainrule.engines.native.emitter import Vector
from chainrule.engines.native.lowering import lower, register_type
from chainrule.engines.native.schedule import Group
from chainrule.engines.native.sharing import shared_axis
from chainrule.engines.native.sizes import ONE, ZERO, Size
from chainrule.engines.native.values import (
    Scope,
    combine,
    from_memory,
    horizontal,
    identity,
    immediate,
    is_immediate,
    to_memory,
)
from chainrule.graph.node import Node
from chainrule.graph.op import Kind

CHAINS = 4  # sums at a time down an axis: an addition takes four cycles, two begin in each
CHAIN_NODES = 4  # what else may be computed beside them, before the code grows long


class LoopWriter:
    """Writes one loop group.

    Parameters
    ----------
    scope : Scope
    group : Group
    stored : mapping of Node to bool
        The nodes whose values go to memory.
    """

    def __init__(self, scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
        self.scope, self.emit, self.group = scope, scope.emit, group
        self.reductions = [node for node in group.nodes if node.op.kind is Kind.REDUCTION]
        self.elementwise = [node for node in group.nodes if node.op.kind is not Kind.REDUCTION]
        self.inside = dict.fromkeys(self.elementwise)
        self.stored = [node for node in self.elementwise if node in stored]
        self.accesses: dict[Node, Access] = {}
        for node in group.nodes:
            for operand in node.operands:
                if not self._in_registers(operand) and not is_immediate(operand):
                    self.accesses[operand] = scope.access(operand)
        for node in self.stored:
            self.accesses[node] = scope.access(node)

    def _in_registers(self, operand: Node) -> bool:
        return operand in self.inside and operand.shape == self.group.space

    # Code

    def write(self) -> None:
        """Write the loops."""
        share = self.scope.share
        shared = shared_axis(self.group, share) if share else None
        *outer, last = axes_of(self.group, self.accesses, apart=shared)
        lanes = lanes_of(self.group, self.accesses, last, self.emit)
        parts = pieces(self.emit, last.extent, lanes)
        self.cut_last = shared is not None and is_last(self.group.space, shared)
        if share and share.own and self.cut_last:
            parts = [own_part(self.emit, piece, share.own.bounds) for piece in parts]
        if not self.reductions:
            self._outermost(outer, lambda indices: self._along_last(outer, indices, last, parts))
        elif last.reduced:
            kept = [axis for axis in outer if not axis.reduced]
            self._outermost(
                kept, lambda indices: self._reduce_last(outer, kept, indices, last, parts)
            )
        else:
            kept = [axis for axis in outer if not axis.reduced]
            self._outermost(
                kept, lambda indices: self._reduce_leading(outer, kept, indices, last, parts)
            )

    def _outermost(self, axes: Sequence[Axis], body: Callable[[list[str]], None]) -> None:
        """Loops over ``axes``, as far as they are this thread's."""
        share = self.scope.share
        if share is None or self.cut_last:
            self._nest(axes, [], body)
            return
        whole = axes[0].extent.emit(self.emit)
        bounds = share.own.bounds if share.own else share.part(self.emit, whole)
        with self.emit.loop(*bounds) as loop:
            self._nest(axes[1:], [loop.index], body)

    def _nest(
        self, axes: Sequence[Axis], indices: list[str], body: Callable[[list[str]], None]
    ) -> None:
        """Loops over ``axes``, and ``body`` inside them."""
        if not axes:
            body(indices)
            return
        with self.emit.loop("0", axes[0].extent.emit(self.emit)) as loop:
            self._nest(axes[1:], [*indices, loop.index], body)

    def _addresses(
        self, axes: Sequence[Axis], indices: Sequence[str], nodes: Sequence[Node]
    ) -> dict[Node, str]:
        """For each array the address of its element at these outer indices."""
        return {
            node: self.accesses[node].address(
                self.emit,
                [(index, axis.strides[node]) for axis, index in zip(axes, indices, strict=True)],
            )
            for node in nodes
        }

    def _along_last(
        self, outer: list[Axis], indices: list[str], last: Axis, parts: Sequence[Piece]
    ) -> None:
        bases = self._addresses(outer, indices, list(self.accesses))
        repeated = self._repeated(bases, last)
        for piece in parts:
            self._each(
                piece,
                lambda index, lanes: self._store(
                    self._values(bases, repeated, last, index, lanes), bases, index, lanes
                ),
            )

    def _each(self, piece: Piece, body: Callable[[str, int], None]) -> None:
        if piece.single:
            body(piece.start, piece.lanes)
            return
        with self.emit.loop(piece.start, piece.stop, piece.lanes) as loop:
            body(loop.index, piece.lanes)

    def _repeated(self, bases: dict[Node, str], last: Axis) -> dict[Node, str]:
        """Scalars that are the same all along the last axis, loaded once."""
        return {
            node: from_memory(self.emit, Vector.of(node.dtype, 1), bases[node], node)
            for node in self.accesses
            if last.strides[node] == ZERO and node not in self.inside
        }

    def _values(
        self, bases: dict[Node, str], repeated: dict[Node, str], last: Axis, index: str, lanes: int
    ) -> dict[Node, str]:
        """The value of every elementwise node for one vector of indices."""
        values: dict[Node, str] = {}

        def operand_value(operand: Node) -> str:
            if operand not in values:
                values[operand] = self._load(operand, bases, repeated, last, index, lanes)
            return values[operand]

        self.operand_value = operand_value
        for node in self.elementwise:
            values[node] = lower(self.emit, node, [operand_value(x) for x in node.operands], lanes)
        return values

    def _load(
        self,
        operand: Node,
        bases: dict[Node, str],
        repeated: dict[Node, str],
        last: Axis,
        index: str,
        lanes: int,
    ) -> str:
        type_ = register_type(operand.dtype, lanes)
        if is_immediate(operand):
            return immediate(self.emit, operand, lanes)
        if operand in repeated:
            return self.emit.splat(type_, repeated[operand])
        stride = last.strides[operand]
        step = (
            index if stride == ONE else self.emit.let(f"mul i64 {index}, {stride.emit(self.emit)}")
        )
        memory = Vector.of(operand.dtype, lanes)
        return from_memory(
            self.emit, memory, self.emit.pointer(bases[operand], step, memory.element), operand
        )

    def _store(
        self, values: dict[Node, str], bases: dict[Node, str], index: str, lanes: int
    ) -> None:
        for node in self.stored:
            to_memory(
                self.emit,
                node,
                values[node],
                self.emit.pointer(bases[node], index, Vector.of(node.dtype, 1).element),
                lanes,
            )

    # Reductions

    def _accumulated(self, node: Node, total: str, values: dict[Node, str], lanes: int) -> str:
        value = values.get(node.operands[0]) or self.operand_value(node.operands[0])
        return combine(self.emit, node, total, value, lanes)

    def _reduced_nest(
        self,
        axes: list[Axis],
        totals: list[str],
        types: list[Vector],
        body: Callable[[list[str], list[str]], list[str]],
        indices: list[str],
    ) -> list[str]:
        """Loops over reduced axes that carry ``totals``; the totals after them."""
        if not axes:
            return body(indices, totals)
        carried = list(zip(types, totals, strict=True))
        with self.emit.loop("0", axes[0].extent.emit(self.emit), carried=carried) as loop:
            loop.following = self._reduced_nest(
                axes[1:], loop.values, types, body, [*indices, loop.index]
            )
        return loop.values

    def _abreast(
        self,
        axis: Axis,
        starts: list[str],
        lanes: int,
        body: Callable[[list[str], list[str]], list[str]],
    ) -> list[str]:
        """One reduced axis in several chains, none of which waits for another's last addition."""
        emit, count, rows = self.emit, len(starts), axis.extent.emit(self.emit)
        types = [register_type(node.dtype, lanes) for node in self.reductions]
        whole = emit.integer("mul", emit.integer("sdiv", rows, str(CHAINS)), str(CHAINS))
        carried = list(zip(types * CHAINS, starts * CHAINS, strict=True))
        with emit.loop("0", whole, CHAINS, carried) as loop:
            loop.following = [
                total
                for chain in range(CHAINS)
                for total in body(
                    [emit.integer("add", loop.index, str(chain))],
                    loop.values[chain * count : (chain + 1) * count],
                )
            ]
        totals = loop.values
        while len(totals) > count:
            half, nodes = len(totals) // 2, self.reductions * CHAINS
            pairs = zip(nodes, totals[:half], totals[half:], strict=False)
            totals = [combine(emit, node, a, b, lanes) for node, a, b in pairs]
        with emit.loop(whole, rows, carried=list(zip(types, totals, strict=True))) as loop:
            loop.following = body([loop.index], loop.values)
        return loop.values

    def _reduce_last(
        self,
        outer: list[Axis],
        kept: list[Axis],
        indices: list[str],
        last: Axis,
        parts: Sequence[Piece],
    ) -> None:
        """Accumulators run along the last axis; their lanes are combined at the end."""
        reduced = [axis for axis in outer if axis.reduced]
        starts = [
            (register_type(node.dtype, piece.lanes), identity(node, piece.lanes))
            for piece in parts
            for node in self.reductions
        ]

        def turn(inner: list[str], totals: list[str]) -> list[str]:
            names = _all_indices(outer, indices, inner)
            bases = self._addresses(outer, names, list(self.accesses))
            repeated = self._repeated(bases, last)
            return self._along_pieces(bases, repeated, last, parts, totals)

        totals = self._reduced_nest(
            reduced, [x for _, x in starts], [t for t, _ in starts], turn, []
        )
        count = len(self.reductions)
        for place, node in enumerate(self.reductions):
            found = [
                horizontal(self.emit, node, totals[number * count + place], piece.lanes)
                for number, piece in enumerate(parts)
            ]
            total = found[0] if found else identity(node, 1)
            for other in found[1:]:
                total = combine(self.emit, node, total, other, 1)
            self._store_reduced(node, kept, indices, total, 1, "0")

    def _along_pieces(
        self,
        bases: dict[Node, str],
        repeated: dict[Node, str],
        last: Axis,
        parts: Sequence[Piece],
        totals: list[str],
    ) -> list[str]:
        count, after = len(self.reductions), list(totals)
        for number, piece in enumerate(parts):
            mine = slice(number * count, number * count + count)
            types = [register_type(node.dtype, piece.lanes) for node in self.reductions]

            def turn(index: str, lanes: int, before: list[str]) -> list[str]:
                values = self._values(bases, repeated, last, index, lanes)
                self._store(values, bases, index, lanes)
                return [
                    self._accumulated(node, old, values, lanes)
                    for node, old in zip(self.reductions, before, strict=True)
                ]

            if piece.single:
                after[mine] = turn(piece.start, piece.lanes, after[mine])
                continue
            carried = list(zip(types, after[mine], strict=True))
            with self.emit.loop(piece.start, piece.stop, piece.lanes, carried) as loop:
                loop.following = turn(loop.index, piece.lanes, loop.values)
            after[mine] = loop.values
        return after

    def _reduce_leading(
        self,
        outer: list[Axis],
        kept: list[Axis],
        indices: list[str],
        last: Axis,
        parts: Sequence[Piece],
    ) -> None:
        """One vector of accumulators at a time, down along the reduced axes."""
        reduced = [axis for axis in outer if axis.reduced]
        for piece in parts:
            self._each(
                piece,
                lambda index, lanes: self._column(
                    outer, kept, reduced, indices, last, index, lanes
                ),
            )

    def _column(
        self,
        outer: list[Axis],
        kept: list[Axis],
        reduced: list[Axis],
        indices: list[str],
        last: Axis,
        index: str,
        lanes: int,
    ) -> None:
        types = [register_type(node.dtype, lanes) for node in self.reductions]

        def turn(inner: list[str], totals: list[str]) -> list[str]:
            names = _all_indices(outer, indices, inner)
            bases = self._addresses(outer, names, list(self.accesses))
            values = self._values(bases, self._repeated(bases, last), last, index, lanes)
            self._store(values, bases, index, lanes)
            return [
                self._accumulated(node, old, values, lanes)
                for node, old in zip(self.reductions, totals, strict=True)
            ]

        starts = [identity(node, lanes) for node in self.reductions]
        if len(reduced) == 1 and len(self.elementwise) <= CHAIN_NODES:
            totals = self._abreast(reduced[0], starts, lanes, turn)
        else:
            totals = self._reduced_nest(reduced, starts, types, turn, [])
        for node, total in zip(self.reductions, totals, strict=True):
            self._store_reduced(node, [*kept, last], [*indices, index], total, lanes, index)

    def _store_reduced(
        self, node: Node, kept: list[Axis], indices: list[str], value: str, lanes: int, last: str
    ) -> None:
        """The result at the kept indices: it lies contiguous, in their order."""
        shape = [axis.extent for axis in kept]
        strides: list[Size] = []
        step = ONE
        for extent in reversed(shape):
            strides.append(step)
            step = step.times(extent)
        terms = list(zip(indices, reversed(strides), strict=True))
        pointer = self.scope.access(node).address(self.emit, terms)
        to_memory(self.emit, node, value, pointer, lanes)


def _all_indices(outer: list[Axis], kept: list[str], reduced: list[str]) -> list[str]:
    """Indices of kept and of reduced axes, in the order of the axes."""
    left, right = iter(kept), iter(reduced)
    return [next(right) if axis.reduced else next(left) for axis in outer]
