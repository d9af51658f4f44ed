"""Where computed values lie: in outputs, or in an arena that values share over time.

The arena has two parts, one of fixed size and one that grows with the rows of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import NamedTuple

from chainrule.engines.native.schedule import Group
from chainrule.engines.native.sizes import shape_size
from chainrule.graph.node import Node
from chainrule.records import dataclass

ALIGNMENT = 64  # a cache line, and the widest vector


class Slot(NamedTuple):
    """A place in the arena: bytes from its start, or bytes a row."""

    offset: int
    size: int
    of_rows: bool


@dataclass()
class Arena:
    """Slots of one kind, handed out and taken back in the order of the groups."""

    of_rows: bool
    free: list[Slot] = field(default_factory=list)
    size: int = 0

    def take(self, size: int) -> Slot:
        """The smallest free slot that is large enough, or a new one at the end."""
        fitting = sorted(
            (slot.size, place) for place, slot in enumerate(self.free) if slot.size >= size
        )
        if fitting:
            return self.free.pop(fitting[0][1])
        slot = Slot(self.size, size, self.of_rows)
        self.size += size
        return slot


@dataclass()
class Memory:
    """The slots of one function.

    Attributes
    ----------
    slots : dict of Node to Slot
    fixed, rows : int
        Bytes of the fixed part, and bytes a row of the other.
    """

    slots: dict[Node, Slot]
    fixed: int
    rows: int


def assign(
    groups: Sequence[Group],
    stored: dict[Node, bool],
    outputs: Sequence[Node],
    lasting: Mapping[Node, object],
    more: Mapping[Node, int],
    home: Callable[[Node], Node],
    ends: Sequence[int],
) -> Memory:
    """Slots for all stored values but the outputs.

    Those of ``lasting`` values are not reused; ``more`` bytes follow what some values take. Until
    the group ``ends[i]`` has ended, others may still be about what group i needs.
    """
    used = {node: ends[index] for node, index in _last_uses(groups, home).items()}
    last = used | dict.fromkeys(lasting, len(groups))
    kept = dict.fromkeys(outputs)
    arenas = {False: Arena(False), True: Arena(True)}
    slots: dict[Node, Slot] = {}
    for index, group in enumerate(groups):
        for node in group.nodes:
            if node in stored and node not in kept:
                size = shape_size(node.shape)
                slots[node] = arenas[size.of_rows].take(
                    _rounded(size.number * node.dtype.itemsize, size.of_rows) + more.get(node, 0)
                )
        for node, slot in slots.items():
            if last.get(node, index) == index and slot not in arenas[slot.of_rows].free:
                arenas[slot.of_rows].free.append(slot)
    return Memory(slots, arenas[False].size, arenas[True].size)


def _rounded(size: int, of_rows: bool) -> int:
    """Whole cache lines; a part that grows with the rows is rounded where it is addressed."""
    return max(1, size) if of_rows else -(-max(1, size) // ALIGNMENT) * ALIGNMENT


def _last_uses(groups: Sequence[Group], home: Callable[[Node], Node]) -> dict[Node, int]:
    found: dict[Node, int] = {}
    for index, group in enumerate(groups):
        for node in group.nodes:
            found[node] = max(found.get(node, 0), index)
            for operand in node.operands:
                found[home(operand)] = index
    return found
