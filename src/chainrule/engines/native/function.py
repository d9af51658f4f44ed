"""One graph as one compiled function: ``void name(ptr table, i64 rows, ptr status)``.

The table holds addresses: of the inputs, the larger constants, the outputs, the two parts of the
arena, scratch memory for products, its size for one thread, the control block of the threads, and
memory for panels that these have in common.
Groups that threads share are functions of their own. The first status word becomes 1 if a computed
index was outside its axis.

The step of a program writes its carried values where those lie that they follow: the address of an
output is that of its input. If its loss is not finite it ends there and then; the third status word
becomes 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from chainrule.engines.native import memory
from chainrule.engines.native.access import Access
from chainrule.engines.native.calling import ROW_STEP
from chainrule.engines.native.carrying import loss_group, waiting
from chainrule.engines.native.dividing import divided
from chainrule.engines.native.emitter import Emitter, Vector, copy, function
from chainrule.engines.native.epilogues import (
    row_sum_bytes,
    write_common_panels,
    write_product_group,
    write_row_sums,
)
from chainrule.engines.native.interleaved import write_interleaved_product
from chainrule.engines.native.interleaving import PRODUCT
from chainrule.engines.native.loops import LoopWriter
from chainrule.engines.native.parallel import BODY, emit_parallel, emit_threads
from chainrule.engines.native.parts import parts_of
from chainrule.engines.native.repeats import FEWEST, Pattern, through_views
from chainrule.engines.native.routines import ROUTINES, check_labels
from chainrule.engines.native.schedule import (
    Group,
    GroupKind,
    Labels,
    Scheduler,
    legalize,
    row_sums,
    stored_nodes,
)
from chainrule.engines.native.sharing import (
    COMMON,
    CONTEXT_WORDS,
    COUNT,
    ROW_COUNT,
    SPACE,
    SPACE_SIZE,
    STATUS,
    USUAL_ROWS,
    Share,
    shared_from,
)
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import ProductSpec
from chainrule.engines.native.values import Scope, is_immediate
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.records import dataclass
from chainrule.shapes import Array

GIVEN = "i64 %rows", "ptr %scratch", "ptr %status"  # what a repeated group gets beside arrays


@dataclass(frozen=True)
class Lowered:
    """The text of a function, with those that it calls, and what its table must hold.

    Attributes
    ----------
    graph : Graph
        Legalized; its outputs are distinct arrays.
    functions : list of str
    declarations : dict
    constants : list of arrays
    fixed_bytes, row_bytes : int
        Sizes of the arena's two parts: fixed, and for each row (rounded up to ROW_STEP).
    products : list of ProductSpec
        The matrix products, which share scratch memory.
    groups : list of Group
    shared_from : int or None
        From how many rows on some group is shared by threads; None if none ever is.
    """

    graph: Graph
    functions: list[str]
    declarations: dict[str, str]
    constants: list[Array]
    fixed_bytes: int
    row_bytes: int
    products: list[ProductSpec]
    groups: list[Group]
    shared_from: int | None

    @property
    def plan(self) -> str:
        """The groups in words."""
        return "\n".join(f"{number:>3} {group}" for number, group in enumerate(self.groups))


def lower(
    graph: Graph,
    target: Target,
    name: str,
    carried: int | None = None,
    rows: int | None = None,
) -> Lowered:
    """The function that computes a simplified graph.

    Parameters
    ----------
    graph : Graph
    target : Target
    name : str
    carried : int, optional
        For a program's step: how many outputs are the next values of the first inputs. The loss
        is the output behind them.
    rows : int, optional
        Of a batch, where it is known.
    """
    legal, labels = legalize(graph)
    writer = _Writer(legal, labels, target, carried, rows)
    body = writer.write()
    step = divided(name, "ptr %table, i64 %rows, ptr %status", body, writer.places_in_text)
    return Lowered(
        legal,
        [*writer.functions, *step],
        body.declarations,
        [node.payload for node in writer.constants if node.payload is not None],
        writer.memory.fixed,
        writer.memory.rows,
        writer.products,
        writer.groups,
        min(writer.shared.values(), default=None),
    )


class _Writer:
    """Writes one function, and those that its threads share."""

    def __init__(
        self,
        graph: Graph,
        labels: Sequence[Labels],
        target: Target,
        carried: int | None,
        rows: int | None,
    ) -> None:
        self.graph, self.labels, self.carried = graph, labels, carried
        loss = () if carried is None else graph.outputs[carried : carried + 1]
        scheduler = Scheduler(graph, loss)
        self.groups, self.home = scheduler.run(), scheduler.home
        self.stored = self._in_memory()
        found = () if carried is None else waiting(graph, self.groups, self.home, carried)
        self.waiting = dict.fromkeys(found)
        at_once = [node for node in graph.outputs if node not in self.waiting]
        more = {
            node: row_sum_bytes(group, target)
            for group in self.groups
            if group.kind is GroupKind.PRODUCT
            for node in row_sums(group)
        }
        self.memory = memory.assign(
            self.groups, self.stored, at_once, self.waiting, more, self.home
        )
        self.constants = self._constants()
        self.places = {
            node: place
            for place, node in enumerate([*graph.inputs, *self.constants, *graph.outputs])
        }
        starts = {number: shared_from(group, rows) for number, group in enumerate(self.groups)}
        self.shared = {number: start for number, start in starts.items() if start is not None}
        self.batch, self.rows = rows, rows or USUAL_ROWS
        self.products: list[ProductSpec] = []
        self.functions: list[str] = []
        self.names: dict[Hashable, str] = {}  # of functions of groups, by pattern
        self.emit = Emitter(target)
        self.places_in_text: list[int] = []  # of the labels with which groups begin

    def _in_memory(self) -> dict[Node, bool]:
        """The nodes whose values are stored."""
        stored = stored_nodes(self.graph, self.groups, self.home)
        for group in self.groups:
            if group.kind is GroupKind.ROUTINE:
                stored[group.nodes[0]] = True
            stored |= {node: True for node in group.nodes if node.op.kind is Kind.REDUCTION}
        computed = dict.fromkeys(node for group in self.groups for node in group.nodes)
        checked = [self.home(each.node) for each in self.labels]
        return stored | {node: True for node in checked if node in computed}

    def _constants(self) -> list[Node]:
        """Those that the function reads from memory."""
        read = [
            x
            for group in self.groups
            if group.kind is not GroupKind.LOOP
            for x in group.nodes[0].operands
        ]
        read_from = dict.fromkeys(self.home(x) for x in read)
        return [
            node
            for node in self.graph.nodes
            if node.payload is not None and (node in read_from or not is_immediate(node))
        ]

    def write(self) -> Emitter:
        """The body of the function."""
        frame = _Frame(self, self.emit)
        if self.shared:
            self._write_context(frame)
        frame.begin()
        self._check_labels(frame, [*self.graph.inputs, *self.constants])
        known = -1
        if self.carried is not None:
            known = loss_group(self.graph, self.groups, self.carried)
        patterns = [Pattern(group, self.stored, self.home) for group in self.groups]
        counts = Counter(pattern.key for pattern in patterns)
        for number, (group, pattern) in enumerate(zip(self.groups, patterns, strict=True)):
            frame.begin()
            if number in self.shared:
                self._write_shared(frame, number, pattern)
            elif counts[pattern.key] >= FEWEST:
                self._write_repeated(frame, group, pattern)
            else:
                self._write_group(frame.scope, group)
            if group.kind is GroupKind.PRODUCT:
                write_row_sums(frame.scope, group)
            self._check_labels(frame, group.nodes)
            if number == known:
                self._leave_if_not_finite(frame)
        frame.begin()
        for node in self.waiting:
            size = shape_size(node.shape).number * node.dtype.itemsize
            copy(self.emit, frame.entry(self.places[node]), frame.access(node).pointer, str(size))
        self.emit.do("ret void")
        return self.emit

    def _write_group(self, scope: Scope, group: Group) -> None:
        if group.kind is GroupKind.LOOP:
            LoopWriter(scope, group, self.stored).write()
        elif group.kind is GroupKind.ROUTINE:
            ROUTINES[group.nodes[0].op.name](scope, group.nodes[0])
        elif group.nodes[0].op is PRODUCT:
            write_interleaved_product(scope, group, self.stored)
        else:
            write_product_group(scope, group, self.stored)

    def _check_labels(self, frame: _Frame, known: Sequence[Node]) -> None:
        """Check the labels that lie in one of these arrays, while they are there."""
        for each in self.labels:
            if self.home(each.node) in known:
                check_labels(frame.scope, each.node, each.classes)

    def _leave_if_not_finite(self, frame: _Frame) -> None:
        """Return if the loss of no member is finite."""
        emit, loss = self.emit, next(iter(self.graph.outputs[self.carried :]))
        type_ = Vector.of(loss.dtype, 1)
        count = shape_size(loss.shape).emit(emit)
        with emit.loop("0", count, carried=[(Vector("i1", 1), "false")]) as member:
            place = emit.pointer(frame.access(loss).pointer, member.index, type_.element)
            size = emit.intrinsic("llvm.fabs", type_, emit.load(type_, place))
            finite = emit.let(f"fcmp olt {type_} {size}, {type_.constant(float('inf'))}")
            member.following = [emit.let(f"or i1 {member.values[0]}, {finite}")]
        with emit.when(emit.let(f"xor i1 {member.values[0]}, true")):
            emit.store(Vector("i64", 1), "1", emit.pointer("%status", "2", "i64"))
            emit.do("ret void")

    # Groups with functions of their own

    def _write_repeated(self, frame: _Frame, group: Group, pattern: Pattern) -> None:
        """The call of a group that occurs often, by the addresses of its arrays."""
        bases = pattern.arrays(frame.known)
        name = self.names.get((pattern.key, False))
        if name is None:
            name = self._name(pattern, shared=False)
            pointers = {node: f"%base{number}" for number, node in enumerate(bases)}
            emit = self._begin()
            self._write_group(self._scope(emit, pointers), group)
            self._end(name, [*(f"ptr {x}" for x in pointers.values()), *GIVEN], emit)
        given = [f"ptr {frame.access(node).pointer}" for node in bases]
        self.emit.do(f"call void @{name}({', '.join([*given, *GIVEN])})")

    def _write_context(self, frame: _Frame) -> None:
        """What all functions of shared groups get."""
        emit = self.emit
        most = CONTEXT_WORDS + len(self.places) + len(self.memory.slots)
        emit.do(f"%context = alloca [{most} x i64]")
        emit.do(f"%control = load ptr, ptr {frame.entry_place(CONTROL)}")
        self.threads = emit_threads(emit, "%control")
        size = emit.let(f"load i64, ptr {frame.entry_place(SCRATCH_SIZE)}")
        words = {ROW_COUNT: "i64 %rows", STATUS: "ptr %status"}
        words |= {SPACE: "ptr %scratch", SPACE_SIZE: f"i64 {size}"}
        words[COMMON] = f"ptr {frame.entry(frame.place(COMMON_PANELS))}"
        for word, value in words.items():
            self._into_context(word, value)

    def _into_context(self, word: int, value: str) -> None:
        self.emit.do(f"store {value}, ptr {self.emit.pointer('%context', str(word), 'i64')}")

    def _write_shared(self, frame: _Frame, number: int, pattern: Pattern) -> None:
        """A group as a function of its own, and the call that shares it."""
        emit, bases = self.emit, pattern.arrays(frame.known)
        group, start = self.groups[number], self.shared[number]
        parts = parts_of(group, emit.target, self.batch, self.rows)
        name = self.names.get((pattern.key, True))
        if name is None:
            name = self._name(pattern, shared=True)
            self._define_shared(name, group, bases, self._write_group)
            if parts and parts.spec.common:
                self._define_shared(f"{name}_common", group, bases, write_common_panels)
        for place, node in enumerate(bases, CONTEXT_WORDS):
            self._into_context(place, f"ptr {frame.access(node).pointer}")
        if parts and parts.spec.common:
            self._run_shared(f"{name}_common", parts.common_count(emit, self.threads), start)
        self._run_shared(name, parts.count(emit, self.threads) if parts else self.threads, start)

    def _run_shared(self, name: str, count: str, start: int) -> None:
        """Call a shared function in so many parts; in one where rows are fewer than ``start``."""
        emit = self.emit
        if start:
            many = emit.let(f"icmp sge i64 %rows, {start}")
            count = emit.let(f"select i1 {many}, i64 {count}, i64 1")
        self._into_context(COUNT, f"i64 {count}")
        emit_parallel(emit, "%control", count, name, "%context")

    def _define_shared(
        self,
        name: str,
        group: Group,
        bases: Sequence[Node],
        write: Callable[[Scope, Group], None],
    ) -> None:
        """A function of a group that threads share: each computes a part."""
        emit = self._begin()

        def read(word: int, kind: str) -> str:
            return f"load {kind}, ptr {emit.pointer('%context', str(word), 'i64')}"

        emit.do(f"%rows = {read(ROW_COUNT, 'i64')}")
        emit.do(f"%status = {read(STATUS, 'ptr')}")
        emit.do(f"%count = {read(COUNT, 'i64')}")
        emit.do(f"%common = {read(COMMON, 'ptr')}")
        space, size = emit.let(read(SPACE, "ptr")), emit.let(read(SPACE_SIZE, "i64"))
        offset = emit.integer("mul", size, "%thread")
        emit.do(f"%scratch = getelementptr i8, ptr {space}, i64 {offset}")
        places = enumerate(bases, CONTEXT_WORDS)
        pointers = {node: emit.let(read(place, "ptr"), "a") for place, node in places}
        write(self._scope(emit, pointers, Share("%chunk", "%count", self.rows)), group)
        self._end(name, [BODY], emit)

    def _name(self, pattern: Pattern, *, shared: bool) -> str:
        """A name for the code of groups like this one."""
        name = f"group_{len(self.names)}"
        self.names[pattern.key, shared] = name
        return name

    def _begin(self) -> Emitter:
        emit = Emitter(self.emit.target)
        emit.declarations = self.emit.declarations
        return emit

    def _scope(self, emit: Emitter, pointers: dict[Node, str], share: Share | None = None) -> Scope:
        """The scope of a group's own function, from where its arrays lie."""
        accesses = {node: Access.contiguous(name, node) for node, name in pointers.items()}
        return Scope(
            emit, lambda node: through_views(node, accesses), self.products, self.batch, share
        )

    def _end(self, name: str, parameters: Sequence[str], emit: Emitter) -> None:
        emit.do("ret void")
        text = function(name, ", ".join(parameters), emit, linkage="internal")
        self.functions.append(text)


# entries behind the outputs
ARENA, ROWS_ARENA, SCRATCH, SCRATCH_SIZE, CONTROL, COMMON_PANELS = range(6)


class _Frame:
    """What one function knows of the table: addresses.

    A group reads those that it needs before it begins: all of them together are more than there are
    registers, and would be moved to memory again.

    Attributes
    ----------
    known : set of Node
        What lies in memory.
    """

    def __init__(self, writer: _Writer, emit: Emitter) -> None:
        self.writer, self.emit = writer, emit
        self.slots = writer.memory.slots
        self.known = {*writer.places, *self.slots}
        self.fixed, self.growing = (
            emit.let(f"load ptr, ptr {self.entry_place(entry)}") for entry in (ARENA, ROWS_ARENA)
        )
        up = emit.let(f"add i64 %rows, {ROW_STEP - 1}")
        self.rows = emit.let(f"and i64 {up}, {-ROW_STEP}")
        emit.do(f"%scratch = load ptr, ptr {self.entry_place(SCRATCH)}")
        self.scope = Scope(emit, self.access, writer.products, writer.batch)

    def begin(self) -> None:
        """Addresses that are asked for from now on are read here, in a block of its own."""
        label = self.emit.label("group")
        self.emit.do(f"br label %{label}")
        self.writer.places_in_text.append(len(self.emit.lines))
        self.emit.start(label)
        self.accesses: dict[Node, Access] = {}
        self.reading = len(self.emit.lines)
        self.emit.lines.append("")

    def entry(self, place: int) -> str:
        """An address in the table."""
        return self.emit.let(f"load ptr, ptr {self.emit.pointer('%table', str(place), 'ptr')}", "a")

    def place(self, entry: int) -> int:
        """The number of one of the entries behind the outputs."""
        nodes = len(self.writer.constants) + len(self.writer.graph.inputs)
        return nodes + len(self.writer.graph.outputs) + entry

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
            return self.entry(self.writer.places[node])
        emit, slot = self.emit, self.slots[node]
        if not slot.of_rows:
            return emit.pointer(self.fixed, str(slot.offset), "i8")
        return emit.pointer(self.growing, emit.integer("mul", self.rows, str(slot.offset)), "i8")
