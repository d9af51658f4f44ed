"""One graph as one compiled function: ``void name(ptr table, i64 rows, ptr status)``.

The table holds addresses: of the inputs, the larger constants, the outputs, the two parts of the
arena, scratch memory for products, its size for one thread, the control block of the threads, and
memory for panels that these have in common. What threads share, a group or a phase of several, is a
function of its own. The first status word becomes 1 if a computed index was outside its axis.

The step of a program writes its carried values where those lie that they follow: the address of an
output is that of its input. If its loss is not finite it ends there and then; the third status word
becomes 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from itertools import accumulate

from chainrule.engines.native import memory
from chainrule.engines.native.access import Access
from chainrule.engines.native.arranging import Arranger
from chainrule.engines.native.cuts import ROW, cut_unit
from chainrule.engines.native.dividing import divided
from chainrule.engines.native.emitter import Emitter, Vector, copy, function, prefetch
from chainrule.engines.native.epilogues import (
    row_sum_bytes,
    write_common_panels,
    write_product_group,
    write_row_sums,
)
from chainrule.engines.native.frame import COMMON_PANELS, CONTROL, SCRATCH_SIZE, Frame
from chainrule.engines.native.interleaved import write_interleaved_product
from chainrule.engines.native.interleaving import PRODUCT
from chainrule.engines.native.loops import LoopWriter
from chainrule.engines.native.parallel import BODY, emit_parallel, emit_threads
from chainrule.engines.native.partial import PARTIAL, PARTS, partial_sums
from chainrule.engines.native.parts import parts_of
from chainrule.engines.native.phases import Phase
from chainrule.engines.native.repeats import FEWEST, Pattern, through_views
from chainrule.engines.native.routines import ROUTINES, check_labels
from chainrule.engines.native.schedule import (
    Group,
    GroupKind,
    Labels,
    legalize,
    row_sums,
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
    Own,
    Share,
)
from chainrule.engines.native.sizes import shape_size
from chainrule.engines.native.target import Target
from chainrule.engines.native.tiling import ProductSpec
from chainrule.engines.native.values import Scope, is_immediate
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.records import dataclass
from chainrule.shapes import ROWS, Array

GIVEN = "i64 %rows", "ptr %scratch", "ptr %status"  # what a repeated group gets beside arrays
OWN = "%begin", "%end"  # and these, if it is cut


@dataclass(frozen=True)
class Lowered:
    """The text of a function, with those that it calls, and what its table must hold.

    Attributes
    ----------
    graph : Graph
        Legalized and arranged; its outputs are distinct arrays.
    functions : list of str
    declarations : dict
    constants : list of arrays
    fixed_bytes, row_bytes : int
        Sizes of the arena's two parts: fixed, and for each row (rounded up to ROW_STEP).
    products : list of ProductSpec
        The matrix products, which share scratch memory.
    phases : list of Phase
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
    phases: list[Phase]
    shared_from: int | None

    @property
    def groups(self) -> list[Group]:
        """Of all phases."""
        return [group for phase in self.phases for group in phase.groups]


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
    step = divided(name, "ptr %table, i64 %rows, ptr %status", body, writer.begun)
    return Lowered(
        writer.graph,
        [*writer.functions, *step],
        body.declarations,
        [node.payload for node in writer.constants if node.payload is not None],
        writer.memory.fixed,
        writer.memory.rows,
        writer.products,
        writer.plan.phases,
        min(writer.starts, default=None),
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
        found = self.plan = Arranger(graph, labels, target, carried, rows).run()
        graph, self.labels, self.carried = found.graph, found.labels, carried
        self.graph, self.groups = graph, found.groups
        self.home, self.stored = found.home, found.stored
        at_once = [node for node in graph.outputs if node not in found.waiting]
        more = {
            node: row_sum_bytes(group, target)
            for group in self.groups
            if group.kind is GroupKind.PRODUCT
            for node in row_sums(group)
        }
        lengths = [len(phase.groups) for phase in found.phases]
        stretches = zip(accumulate(lengths), lengths, strict=True)
        ends = [end - 1 for end, length in stretches for _ in range(length)]
        self.memory = memory.assign(
            self.groups, self.stored, at_once, found.waiting, more, self.home, ends
        )
        self.constants = self._constants()
        self.places = {
            node: place
            for place, node in enumerate([*graph.inputs, *self.constants, *graph.outputs])
        }
        self.starts = [phase.start for phase in found.phases if phase.start is not None]
        self.batch, self.rows = rows, rows or USUAL_ROWS
        self.products: list[ProductSpec] = []
        self.functions: list[str] = []
        self.names: dict[Hashable, str] = {}  # of functions of groups, by pattern
        self.emit = Emitter(target)

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
        frame = Frame(self.emit, self.places, self.memory.slots, self.products, self.batch)
        self.begun, self.known = frame.begun, frame.known
        self.counts = Counter(self._pattern([group]).key for group in self.groups)
        if self.starts:
            self._write_context(frame)
        frame.begin()
        self._check_labels(frame, [*self.graph.inputs, *self.constants])
        for phase in self.plan.phases:
            frame.begin()
            if phase.start is not None:
                self._write_shared(frame, phase)
            else:
                self._write_one(frame.scope, phase.groups[0])
            self._complete(frame, phase)
        frame.begin()
        for node in self.plan.waiting:
            size = shape_size(node.shape).number * node.dtype.itemsize
            copy(self.emit, frame.entry(self.places[node]), frame.access(node).pointer, str(size))
        self.emit.do("ret void")
        return self.emit

    def _complete(self, frame: Frame, phase: Phase) -> None:
        """What follows when all parts of a phase are there."""
        for group in phase.groups:
            if group.kind is GroupKind.PRODUCT and row_sums(group):
                frame.begin()
                write_row_sums(frame.scope, group)
            self._check_labels(frame, group.nodes)
            if group is self.plan.loss:
                self._leave_if_not_finite(frame)

    def _write_group(self, scope: Scope, group: Group) -> None:
        _write_group(scope, group, self.stored)

    def _check_labels(self, frame: Frame, known: Sequence[Node]) -> None:
        """Check the labels that lie in one of these arrays, while they are there."""
        for each in self.labels:
            if self.home(each.node) in known:
                check_labels(frame.scope, each.node, each.classes)

    def _leave_if_not_finite(self, frame: Frame) -> None:
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

    def _write_one(self, scope: Scope, group: Group) -> None:
        """A group, or the call of one that occurs often, by the addresses of its arrays."""
        if partial_sums(group.nodes):
            self._write_partial(scope, group)
            return
        if self.counts[self._pattern([group]).key] < FEWEST:
            self._write_group(scope, group)
            return
        share, given = scope.share, [*GIVEN]
        if share and share.own:
            given += [f"i64 {bound}" for bound in share.own.bounds]
            share = replace(share, own=share.own._replace(bounds=OWN))
        pattern = self._pattern([group], share and share.own)
        bases = pattern.arrays(self.known)
        name = self.names.get((pattern.key, False))
        if name is None:
            name = self._name(pattern, shared=False)
            pointers = {node: f"%base{number}" for number, node in enumerate(bases)}
            emit = self._begin()
            self._write_group(self._scope(emit, _reader(pointers), share), group)
            parameters = [*GIVEN, *(f"i64 {bound}" for bound in OWN)][: len(given)]
            self._end(name, [*(f"ptr {x}" for x in pointers.values()), *parameters], emit)
        arrays = [f"ptr {scope.access(node).pointer}" for node in bases]
        scope.emit.do(f"call void @{name}({', '.join([*arrays, *given])})")

    def _write_partial(self, scope: Scope, group: Group) -> None:
        """The sums over this part of the rows; over one part after the other, if it is not cut."""
        share = scope.share
        if share is not None and share.own is not None:
            self._call_partial(scope, group, share.index, share.own.bounds)
            return
        unit = cut_unit(group, ROW, scope.emit.target, self.batch)
        for index in map(str, range(PARTS)):
            bounds = Share(index, str(PARTS), self.rows).part(scope.emit, "%rows", unit)
            self._call_partial(scope, group, index, bounds)

    def _call_partial(
        self, scope: Scope, group: Group, index: str, bounds: tuple[str, str]
    ) -> None:
        """The group as a function for which there are no rows but those of a part."""
        emit, sums, (begin, end) = scope.emit, partial_sums(group.nodes), bounds
        whole = Group(group.kind, group.space, list(sums), group.axes)
        stored = self.stored | dict.fromkeys(sums, True)
        pattern = Pattern([whole], stored, self.home, PARTIAL.name)
        bases = pattern.arrays({*self.known, *sums})
        name = self.names.get((pattern.key, False))
        if name is None:
            name = self._name(pattern, shared=False)
            pointers = {node: f"%base{number}" for number, node in enumerate(bases)}
            inner = self._begin()
            _write_group(self._scope(inner, _reader(pointers)), whole, stored)
            self._end(name, [*(f"ptr {x}" for x in pointers.values()), *GIVEN], inner)

        def place(node: Node) -> str:
            base = scope.access(sums.get(node, node)).pointer
            number = index if node in sums else begin if ROWS in node.shape else "0"
            return emit.pointer(base, emit.integer("mul", number, str(_bytes(node))), "i8")

        arrays = [f"ptr {place(node)}" for node in bases]
        given = [f"i64 {emit.integer('sub', end, begin)}", *GIVEN[1:]]
        emit.do(f"call void @{name}({', '.join([*arrays, *given])})")

    def _pattern(self, groups: Sequence[Group], cut: Hashable = None) -> Pattern:
        return Pattern(groups, self.stored, self.home, cut)

    def _write_context(self, frame: Frame) -> None:
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

    def _write_shared(self, frame: Frame, phase: Phase) -> None:
        """A phase as a function of its own, and the call that shares it."""
        pattern = self._pattern(phase.groups, phase.cuts)
        emit, bases, start = self.emit, pattern.arrays(self.known), phase.start
        assert start is not None
        group = phase.groups[0]
        parts = None if phase.cuts else parts_of(group, emit.target, self.batch, self.rows)
        name = self.names.get((pattern.key, True))
        if name is None:
            name = self._name(pattern, shared=True)
            one = self._write_one if phase.cuts else self._write_group
            self._define_shared(name, phase, bases, one)
            if parts and parts.spec.common:
                self._define_shared(f"{name}_common", phase, bases, write_common_panels)
        for place, node in enumerate(bases, CONTEXT_WORDS):
            self._into_context(place, f"ptr {frame.access(node).pointer}")
        if parts and parts.spec.common:
            self._run_shared(f"{name}_common", parts.common_count(emit, self.threads), start)
        count = parts.count(emit, self.threads) if parts else phase.count(emit, self.threads)
        self._run_shared(name, count, start)

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
        phase: Phase,
        bases: Sequence[Node],
        write: Callable[[Scope, Group], None],
    ) -> None:
        """A function of what threads share: each computes a part."""
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
        share, access = Share("%chunk", "%count", self.rows), _reader(pointers)

        def write_one(group: Group, share: Share | None) -> None:
            if share and share.own:
                taken = [node for node in group.nodes if node in self.plan.contested]
                _claim(emit, [access(node) for node in taken], share.own)
            write(self._scope(emit, access, share), group)

        if phase.cuts:
            phase.write_part(emit, share, write_one)
        else:
            write_one(phase.groups[0], share)
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

    def _scope(
        self, emit: Emitter, access: Callable[[Node], Access], share: Share | None = None
    ) -> Scope:
        """The scope of a group's own function."""
        return Scope(emit, access, self.products, self.batch, share)

    def _end(self, name: str, parameters: Sequence[str], emit: Emitter) -> None:
        emit.do("ret void")
        text = function(name, ", ".join(parameters), emit, linkage="internal")
        self.functions.append(text)


def _write_group(scope: Scope, group: Group, stored: dict[Node, bool]) -> None:
    if group.kind is GroupKind.LOOP:
        LoopWriter(scope, group, stored).write()
    elif group.kind is GroupKind.ROUTINE:
        ROUTINES[group.nodes[0].op.name](scope, group.nodes[0])
    elif group.nodes[0].op is PRODUCT:
        write_interleaved_product(scope, group, stored)
    else:
        write_product_group(scope, group, stored)


def _claim(emit: Emitter, arrays: Sequence[Access], own: Own) -> None:
    """Ask for what others have read, before it is written: all lines of a part at once."""
    for array in arrays if own.axis == ROW else ():
        row = shape_size(array.shape[1:]).number * array.dtype.itemsize
        begin, end = (emit.integer("mul", bound, str(row)) for bound in own.bounds)
        with emit.loop(begin, end, memory.ALIGNMENT) as line:
            prefetch(emit, emit.pointer(array.pointer, line.index, "i8"), write=True)


def _bytes(node: Node) -> int:
    """Of an array, or of one of its rows where these are not known."""
    return shape_size(node.shape).number * node.dtype.itemsize


def _reader(pointers: dict[Node, str]) -> Callable[[Node], Access]:
    """Where nodes lie, through views, from where arrays lie."""
    accesses = {node: Access.contiguous(name, node) for node, name in pointers.items()}
    return lambda node: through_views(node, accesses)
