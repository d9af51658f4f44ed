"""Groups that are equal but for addresses: their code stands once, and is called with addresses.

A deep network has many layers of one shape. Groups that occur seldom stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Sequence

from chainrule.engines.native.access import Access, view
from chainrule.engines.native.schedule import Group
from chainrule.engines.native.values import is_immediate
from chainrule.graph.node import Node

FEWEST = 3  # groups that share code: shallow networks, whose steps are short, make no calls


def through_views(node: Node, accesses: dict[Node, Access]) -> Access:
    """Where the elements of a node lie, from where the arrays lie that views look at."""
    chain = [node]
    while chain[-1] not in accesses:
        chain.append(chain[-1].operands[0])
    for each in reversed(chain[:-1]):
        found = view(each, accesses[each.operands[0]])
        assert found is not None, "legalize copies what no view can show"
        accesses[each] = found
    return accesses[node]


class Pattern:
    """Groups without their addresses.

    Attributes
    ----------
    bases : dict of Node to int
        The arrays that it may read or write, numbered in order of appearance.
    key : hashable
        Equal for groups of equal code.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        stored: dict[Node, bool],
        home: Callable[[Node], Node],
        cut: Hashable = None,
    ) -> None:
        self.home = home
        self.bases: dict[Node, int] = {}
        self.key: Hashable = cut, *[self._group_key(group, stored) for group in groups]

    def _group_key(self, group: Group, stored: dict[Node, bool]) -> Hashable:
        nodes = [self._node_key(node) for node in group.nodes]
        written = [self._number(node) for node in group.nodes if node in stored]
        return group.kind, group.space, group.axes, tuple(nodes), tuple(written)

    def arrays(self, known: Container[Node]) -> list[Node]:
        """Those of its nodes that lie in memory."""
        return [node for node in self.bases if node in known]

    def _node_key(self, node: Node) -> Hashable:
        """Operands by number: those that the group computes have been numbered before."""
        operands = tuple([self._operand_key(x) for x in node.operands])
        made = self._number(node)
        return made, node.op.name, node.type, tuple(node.attributes.items()), operands

    def _operand_key(self, x: Node) -> Hashable:
        """What is read, and through which views; numbers are part of the code."""
        views, base = [], x
        while base is not self.home(x):
            views.append((base.op.name, base.type, tuple(base.attributes.items())))
            base = base.operands[0]
        return self._number(base), base.type, tuple(views), _immediate_key(x)

    def _number(self, node: Node) -> int:
        return self.bases.setdefault(node, len(self.bases))


def _immediate_key(x: Node) -> Hashable:
    """What of a value is written into the code; None for one that is read from memory."""
    if not is_immediate(x):
        return None
    base = x.operands[0] if x.op.name == "broadcast_to" else x
    return base.op.name, None if base.payload is None else base.payload.tobytes()
