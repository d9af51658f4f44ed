"""What a step computes only where one condition holds: an optimizer's update that is not due yet.

In a graph ``where`` computes both of its sides. An engine that can branch computes what only the
chosen side needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.walk import depends_on
from chainrule.shapes import ROWS


class Choice(NamedTuple):
    """The nodes of a graph, by when they are computed.

    Attributes
    ----------
    before : list of Node
        First; the condition is among them.
    inner : list of Node
        Then, where the condition holds.
    results : list of Node
        Each is ``where(condition, new, old)``: a new value, from ``inner``, or an old one.
    after : list of Node
        What depends on results.
    """

    before: list[Node]
    inner: list[Node]
    results: list[Node]
    after: list[Node]

    @property
    def condition(self) -> Node:
        """A scalar of type bool; the first operand of each result."""
        return self.results[0].operands[0]


def users_of(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """Which of the nodes take each of them as an operand."""
    users: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in users:
        for operand in dict.fromkeys(node.operands):
            users.setdefault(operand, []).append(node)
    return users


def summed_squares(graph: Graph) -> dict[Node, Node]:
    """Sums of squares that other nodes take, too, and what is squared.

    An engine that computes these squares anew adds them as they are made.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.graph.graph import close
    >>> x, y = ops.input((3,), "float64", "x"), ops.input((3,), "float64", "y")
    >>> found = summed_squares(close([ops.sum(x * x), ops.sqrt(x * x), ops.sum(y * y)]))
    >>> [node.name for node in found.values()]
    ['x']
    """
    users = users_of(graph.nodes)
    shared = [x for x in graph.nodes if x.op.name == "multiply" and len(users[x]) > 1]
    squares = [x for x in shared if x.operands[0] is x.operands[1]]
    return {user: x.operands[0] for x in squares for user in users[x] if user.op.name == "sum"}


def choice_of(graph: Graph) -> Choice:
    """What of a graph depends on one condition; nothing where there is no array to choose.

    Of several conditions it is the one that chooses most often.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.graph.graph import close
    >>> due, x = ops.input((), "bool", "due"), ops.input((3,), "float64", "x")
    >>> found = choice_of(close([ops.where(due, ops.exp(x) + x, x)]))
    >>> [node.op.name for node in found.inner]
    ['exp', 'add']
    """
    nodes = graph.nodes
    results = _results(nodes)
    chosen = dict.fromkeys(results)
    inner = _inner(graph, nodes, chosen)
    later = depends_on(nodes, results)
    needed = [operand for node in [*inner, *results] for operand in node.operands]
    if not inner or any(later[node] for node in needed):
        return Choice(nodes, [], [], [])
    return Choice(
        [node for node in nodes if node not in inner and not later[node]],
        list(inner),
        results,
        [node for node in nodes if later[node] and node not in chosen],
    )


def _results(nodes: Sequence[Node]) -> list[Node]:
    """Those that the same condition chooses, where one of them is an array."""
    groups: dict[Node, list[Node]] = {}
    for node in nodes:
        if node.op.name == "where" and not node.operands[0].shape and ROWS not in node.shape:
            groups.setdefault(node.operands[0], []).append(node)
    arrays = [group for group in groups.values() if any(node.shape for node in group)]
    return max(arrays, key=len, default=[])


def _inner(graph: Graph, nodes: Sequence[Node], chosen: dict[Node, None]) -> dict[Node, None]:
    """What nothing needs but the new values of those that are chosen, operands first."""
    users, found = users_of(nodes), dict[Node, None]()
    outside = dict.fromkeys([*graph.inputs, *graph.outputs])
    for node in reversed(nodes):
        if (
            node.operands
            and node not in outside
            and all(
                user in found or (user in chosen and _is_new(node, user)) for user in users[node]
            )
        ):
            found[node] = None
    return dict.fromkeys(reversed(found))


def _is_new(node: Node, result: Node) -> bool:
    """Whether it is taken as the new value, and as nothing else."""
    return [operand is node for operand in result.operands] == [False, True, False]
