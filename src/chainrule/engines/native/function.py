"""One graph as one compiled function: ``void name(ptr table, i64 rows, ptr status)``.

The table holds addresses: of the inputs, the larger constants, the outputs, the two parts of the
arena, and scratch memory for products. The first status word becomes 1 if a computed index was
outside its axis.

The step of a program writes its carried values where those lie that they follow: the address of an
output is that of its input. If its loss is not finite it ends there and then; the third status word
becomes 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.engines.native import memory
from chainrule.engines.native.access import Access, view
from chainrule.engines.native.carrying import loss_group, waiting
from chainrule.engines.native.emitter import Emitter, Vector, copy, function
from chainrule.engines.native.epilogues import write_product_group
from chainrule.engines.native.loops import LoopWriter
from chainrule.engines.native.routines import ROUTINES, check_labels
from chainrule.engines.native.schedule import (
    Group,
    GroupKind,
    Labels,
    Scheduler,
    legalize,
    stored_nodes,
)
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import ProductSpec
from chainrule.engines.native.values import Scope, is_immediate
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.shapes import Array

ROW_ALIGNMENT = 64  # rows are counted in steps of this many when the growing part is laid out


@dataclass(frozen=True)
class Lowered:
    """The text of a function, and what its table must hold.

    Attributes
    ----------
    graph : Graph
        Legalized; its outputs are distinct arrays.
    text : str
    declarations : dict
    constants : list of arrays
    fixed_bytes, row_bytes : int
        Sizes of the arena's two parts: fixed, and for each row (rounded up to ROW_ALIGNMENT).
    products : list of ProductSpec
        The matrix products, which share scratch memory.
    groups : list of Group
    """

    graph: Graph
    text: str
    declarations: dict[str, str]
    constants: list[Array]
    fixed_bytes: int
    row_bytes: int
    products: list[ProductSpec]
    groups: list[Group]

    @property
    def plan(self) -> str:
        """The groups in words."""
        return "\n".join(f"{number:>3} {group}" for number, group in enumerate(self.groups))


def lower(graph: Graph, target: Target, name: str, carried: int | None = None) -> Lowered:
    """The function that computes a simplified graph.

    Parameters
    ----------
    graph : Graph
    target : Target
    name : str
    carried : int, optional
        For a program's step: how many outputs are the next values of the first inputs. The loss
        is the output behind them.
    """
    legal, labels = legalize(graph)
    writer = _Writer(legal, labels, target, carried)
    body = writer.write()
    text = function(name, "ptr %table, i64 %rows, ptr %status", body)
    return Lowered(
        legal,
        text,
        body.declarations,
        [node.payload for node in writer.constants if node.payload is not None],
        writer.memory.fixed,
        writer.memory.rows,
        writer.scope.products,
        writer.groups,
    )


class _Writer:
    """Writes one function."""

    def __init__(
        self, graph: Graph, labels: Sequence[Labels], target: Target, carried: int | None
    ) -> None:
        self.carried = carried
        self.graph, self.labels, self.emit = graph, labels, Emitter(target)
        scheduler = Scheduler(graph)
        self.groups, self.home = scheduler.run(), scheduler.home
        self.stored = stored_nodes(graph, self.groups, self.home)
        for group in self.groups:
            if group.kind is GroupKind.ROUTINE:
                self.stored[group.nodes[0]] = True
            self.stored |= {node: True for node in group.nodes if node.op.kind is Kind.REDUCTION}
        places = dict.fromkeys(node for group in self.groups for node in group.nodes)
        checked = [self.home(each.node) for each in labels]
        self.stored |= {node: True for node in checked if node in places}
        found = () if carried is None else waiting(graph, self.groups, self.home, carried)
        self.waiting = dict.fromkeys(found)
        at_once = [node for node in graph.outputs if node not in self.waiting]
        self.memory = memory.assign(self.groups, self.stored, at_once, self.waiting, self.home)
        read = [
            x
            for group in self.groups
            if group.kind is not GroupKind.LOOP
            for x in group.nodes[0].operands
        ]
        in_memory = dict.fromkeys(self.home(x) for x in read)
        self.constants = [
            node
            for node in graph.nodes
            if node.payload is not None and (node in in_memory or not is_immediate(node))
        ]
        self.accesses: dict[Node, Access] = {}
        self.scope = Scope(self.emit, self.access)

    def access(self, node: Node) -> Access:
        """Where the elements of a node lie, through views."""
        chain = [node]
        while chain[-1] not in self.accesses:
            chain.append(chain[-1].operands[0])
        for each in reversed(chain[:-1]):
            found = view(each, self.accesses[each.operands[0]])
            assert found is not None, "legalize copies what no view can show"
            self.accesses[each] = found
        return self.accesses[node]

    def write(self) -> Emitter:
        """The body of the function."""
        self._read_table()
        known = -1
        if self.carried is not None:
            known = loss_group(self.graph, self.groups, self.carried)
        for number, group in enumerate(self.groups):
            self._write_group(group)
            if number == known:
                self._leave_if_not_finite(self.graph.outputs[self.carried])
        for each in self.labels:
            check_labels(self.scope, each.node, each.classes)
        for node in self.waiting:
            size = shape_size(node.shape).number * node.dtype.itemsize
            copy(self.emit, self.place[node], self.access(node).pointer, str(size))
        self.emit.do("ret void")
        return self.emit

    def _write_group(self, group: Group) -> None:
        if group.kind is GroupKind.LOOP:
            LoopWriter(self.scope, group, self.stored).write()
        elif group.kind is GroupKind.ROUTINE:
            ROUTINES[group.nodes[0].op.name](self.scope, group.nodes[0])
        else:
            write_product_group(self.scope, group, self.stored)

    def _leave_if_not_finite(self, loss: Node) -> None:
        """Return if the loss of no member is finite."""
        emit, type_ = self.emit, Vector.of(loss.dtype, 1)
        count = shape_size(loss.shape).emit(emit)
        with emit.loop("0", count, carried=[(Vector("i1", 1), "false")]) as member:
            place = emit.pointer(self.access(loss).pointer, member.index, type_.element)
            size = emit.intrinsic("llvm.fabs", type_, emit.load(type_, place))
            finite = emit.let(f"fcmp olt {type_} {size}, {type_.constant(float('inf'))}")
            member.following = [emit.let(f"or i1 {member.values[0]}, {finite}")]
        with emit.when(emit.let(f"xor i1 {member.values[0]}, true")):
            emit.store(Vector("i64", 1), "1", emit.pointer("%status", "2", "i64"))
            emit.do("ret void")

    def _read_table(self) -> None:
        emit = self.emit
        nodes = [*self.graph.inputs, *self.constants, *self.graph.outputs]
        self.place = {node: self._entry(place) for place, node in enumerate(nodes)}
        for node, place in self.place.items():
            self.accesses[node] = Access.contiguous(place, node)
        fixed, growing = self._entry(len(nodes)), self._entry(len(nodes) + 1)
        emit.do(f"%scratch = load ptr, ptr {emit.pointer('%table', str(len(nodes) + 2), 'ptr')}")
        up = emit.let(f"add i64 %rows, {ROW_ALIGNMENT - 1}")
        rows = emit.let(f"and i64 {up}, {-ROW_ALIGNMENT}")
        for node, slot in self.memory.slots.items():
            offset = (
                emit.let(f"mul i64 {rows}, {slot.offset}") if slot.of_rows else str(slot.offset)
            )
            pointer = emit.pointer(growing if slot.of_rows else fixed, offset, "i8")
            self.accesses[node] = Access.contiguous(pointer, node)

    def _entry(self, place: int) -> str:
        return self.emit.let(f"load ptr, ptr {self.emit.pointer('%table', str(place), 'ptr')}", "a")
