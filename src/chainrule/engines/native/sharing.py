"""Work that threads share: which groups are worth it, and which part of one is whose.

Outputs are split, never sums: every element is computed by one thread in the order in which one
thread alone would, so that a result does not depend on how many there are. `partial` sums are
outputs, too: each of an array of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.interleaving import PRODUCT, interleaved_operations
from chainrule.engines.native.mathematics import FUNCTIONS
from chainrule.engines.native.schedule import Group, GroupKind
from chainrule.graph.cost import node_operations
from chainrule.graph.op import Kind
from chainrule.records import dataclass
from chainrule.shapes import ROWS

WORTH = 2_800_000  # operations, some 15 microseconds: what moves between caches costs several
LOOP_FACTOR = 4  # an operation of a loop over this many of a product
SLOW_FACTOR = 32  # and one that the processor takes many cycles for
SLOW = {"divide", "sqrt", *FUNCTIONS}
USUAL_ROWS = 1024  # taken for the number of rows where no batch is known

# words of the context that a shared group's code gets; addresses of its arrays follow
ROW_COUNT, STATUS, COUNT, SPACE, SPACE_SIZE, COMMON = range(6)
CONTEXT_WORDS = 6


class Own(NamedTuple):
    """A part of an axis: [begin, end); i64 operands."""

    axis: int
    bounds: tuple[str, str]


@dataclass(frozen=True)
class Share:
    """One of the parts of a group's work.

    Attributes
    ----------
    index, count : str
        Which part, of how many; i64 operands.
    rows : int
        Of a usual batch.
    own : Own, optional
        What is this part's of one of several groups that are cut alike.
    """

    index: str
    count: str
    rows: int
    own: Own | None = None

    def part(self, emit: Emitter, extent: str, step: int = 1) -> tuple[str, str]:
        """Where this part of [0, extent) begins and ends, in whole steps."""
        steps = emit.integer("sdiv", emit.integer("add", extent, str(step - 1)), str(step))
        following = emit.integer("add", self.index, "1")
        begin, end = (
            emit.integer("mul", self._cut(emit, steps, at), str(step))
            for at in (self.index, following)
        )
        return begin, emit.integer("smin", end, extent)

    def _cut(self, emit: Emitter, steps: str, at: str) -> str:
        return emit.integer("sdiv", emit.integer("mul", steps, at), self.count)


def work(group: Group, rows: int) -> int:
    """Operations of a group, weighted by how long they take."""
    found = 0
    for node in group.nodes:
        factor = SLOW_FACTOR if node.op.name in SLOW else LOOP_FACTOR
        if node.op.kind is Kind.CONTRACTION:
            factor = 1
        count = interleaved_operations if node.op is PRODUCT else node_operations
        found += factor * count(node, rows)
    return found


def shared_from(group: Group, rows: int | None) -> int | None:
    """From how many rows on a group is shared; None if it is not.

    Parameters
    ----------
    group : Group
    rows : int or None
        Of a batch; None if not known.
    """
    if not _divides(group) or work(group, rows or USUAL_ROWS) < WORTH:
        return None
    return -(-WORTH // max(1, work(group, 1))) if grows(group) else 0


def grows(group: Group) -> bool:
    """Whether its work grows with the rows of a batch."""
    return any(ROWS in x.shape for node in group.nodes for x in (node, *node.operands))


def _divides(group: Group) -> bool:
    """Whether a group's results can be computed in parts."""
    if group.kind is GroupKind.PRODUCT:
        return group.nodes[0].dtype.kind == "f"
    return group.kind is GroupKind.LOOP and shared_axis(group) is not None


def shared_axis(group: Group, share: Share | None = None) -> int | None:
    """The axis of a loop that threads share: that of a phase, or the first that suits it.

    That is the first one that is not reduced, if it is not the innermost one.
    """
    if share is not None and share.own is not None:
        return share.own.axis
    before_last = [axis for axis, extent in enumerate(group.space) if extent != 1][:-1]
    kept = [axis for axis in before_last if axis not in (group.axes or ())]
    return kept[0] if kept else None
