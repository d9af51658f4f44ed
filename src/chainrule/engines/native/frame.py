"""What a function knows of the table: where inputs, constants, outputs and work space lie."""

from __future__ import annotations

from chainrule.engines.native.access import Access
from chainrule.engines.native.calling import ROW_STEP
from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.memory import Slot
from chainrule.engines.native.repeats import through_views
from chainrule.engines.native.tiling import ProductSpec
from chainrule.engines.native.values import Scope
from chainrule.graph.node import Node

# entries behind the outputs
ARENA, ROWS_ARENA, SCRATCH, SCRATCH_SIZE, CONTROL, COMMON_PANELS = range(6)


class Frame:
    """What one function knows of the table: addresses.

    A group reads those that it needs before it begins: all of them together are more than there are
    registers, and would be moved to memory again.

    Attributes
    ----------
    known : set of Node
        What lies in memory.
    begun : list of int
        The lines with the labels at which groups begin.
    """

    def __init__(
        self,
        emit: Emitter,
        places: dict[Node, int],
        slots: dict[Node, Slot],
        products: list[ProductSpec],
        batch: int | None,
    ) -> None:
        self.emit, self.places, self.slots = emit, places, slots
        self.begun: list[int] = []
        self.known = {*places, *slots}
        self.fixed, self.growing = (
            emit.let(f"load ptr, ptr {self.entry_place(entry)}") for entry in (ARENA, ROWS_ARENA)
        )
        up = emit.let(f"add i64 %rows, {ROW_STEP - 1}")
        self.rows = emit.let(f"and i64 {up}, {-ROW_STEP}")
        emit.do(f"%scratch = load ptr, ptr {self.entry_place(SCRATCH)}")
        self.scope = Scope(emit, self.access, products, batch)

    def begin(self) -> None:
        """Addresses that are asked for from now on are read here, in a block of its own."""
        label = self.emit.label("group")
        self.emit.do(f"br label %{label}")
        self.begun.append(len(self.emit.lines))
        self.emit.start(label)
        self.accesses: dict[Node, Access] = {}
        self.reading = len(self.emit.lines)
        self.emit.lines.append("")

    def entry(self, place: int) -> str:
        """An address in the table."""
        return self.emit.let(f"load ptr, ptr {self.emit.pointer('%table', str(place), 'ptr')}", "a")

    def place(self, entry: int) -> int:
        """The number of one of the entries behind the outputs."""
        return len(self.places) + entry

    def entry_place(self, entry: int) -> str:
        """Where it is."""
        return self.emit.pointer("%table", str(self.place(entry)), "ptr")

    def access(self, node: Node) -> Access:
        """Where the elements of a node lie, through views."""
        base = node
        while base not in self.known:
            base = base.operands[0]
        if base not in self.accesses:
            with self.emit.at(self.reading):  # what asks for it may be inside a loop
                self.accesses[base] = Access.contiguous(self._pointer(base), base)
        return through_views(node, self.accesses)

    def _pointer(self, node: Node) -> str:
        if node not in self.slots:
            return self.entry(self.places[node])
        emit, slot = self.emit, self.slots[node]
        if not slot.of_rows:
            return emit.pointer(self.fixed, str(slot.offset), "i8")
        return emit.pointer(self.growing, emit.integer("mul", self.rows, str(slot.offset)), "i8")
