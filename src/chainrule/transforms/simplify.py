"""Simplification: a graph that computes the same with less work and without overflow.

The rules are a table, grouped by what they are for, each with its algebra in a comment; they live
in ``algebra.py``, ``stability.py`` and ``structure.py`` beside this file. The walk here applies
them, operands first, until none fires. Equal results share one node by interning, and products
written in another order are found by :class:`_Commuted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Algebra, Kind, Op
from chainrule.graph.walk import rebuild, topological_order
from chainrule.transforms import algebra, stability, structure
from chainrule.transforms.passes import graph_pass
from chainrule.transforms.rules import Rule

RULES: dict[str, list[Rule]] = {}
for _module in (structure, stability, algebra):
    for _name, _rules in _module.RULES.items():
        RULES.setdefault(_name, []).extend(_rules)
_FOR_ALL = RULES.pop("*", [])
REWRITES_PER_NODE = 20  # far above what any graph needs; reached only if rules feed each other


@graph_pass
def simplify(outputs: Sequence[Node]) -> list[Node]:
    """``outputs`` simplified, each of the same type as before.

    Examples
    --------
    >>> import chainrule as cr
    >>> z = cr.input((3,), name="z")
    >>> cr.transforms.simplify([cr.log(cr.sum(cr.exp(z)))])[0].op.name
    'logsumexp'
    """
    rewrites = REWRITES_PER_NODE * (len(topological_order(outputs)) + 5)
    return stability.share_log_softmax(_Simplifier(rewrites).run(outputs))


def simplify_graph(graph: Graph) -> Graph:
    """The graph with simplified outputs and the same inputs."""
    return Graph(graph.inputs, tuple(simplify(graph.outputs)))


class _Simplifier:
    """One run: what each node became, and which products were seen in which order."""

    def __init__(self, rewrites: int) -> None:
        self.done: dict[Node, Node] = {}
        self.becoming: dict[Node, Node] = {}  # a rule's result that is itself to be simplified
        self.rewrites_left = rewrites
        self.commuted: dict[tuple[str, Node, Node], Node] = {}

    def run(self, outputs: Sequence[Node]) -> list[Node]:
        stack = list(reversed(outputs))
        while stack:
            node = stack[-1]
            if node in self.done:
                stack.pop()
            elif node in self.becoming:
                self._finish(node)
            elif pending := [operand for operand in node.operands if operand not in self.done]:
                stack.extend(reversed(pending))
            else:
                self._visit(node)
                stack.append(self.becoming.get(node, node))
        return [self.done[output] for output in outputs]

    def _finish(self, node: Node) -> None:
        target = self.becoming[node]
        if target not in self.done:  # it was met again while what it became was worked on
            raise GraphError(
                f"simplification does not end: {node.op.name!r} turns into itself; please report it"
            )
        self.done[node] = self.done[target]

    def _visit(self, node: Node) -> None:
        """Rebuild ``node`` from simplified operands and try the rules on it."""
        built = self._shared(
            rebuild(node, tuple([self.done[operand] for operand in node.operands]))
        )
        if built is not node and built in self.done:
            self.done[node] = self.done[built]
            return
        for rule in (*RULES.get(built.op.name, ()), *_FOR_ALL):
            replacement = rule(built)
            if replacement is not None and replacement is not built:
                _check_type(rule, built, replacement)
                self._count(rule)
                self.becoming[node] = replacement
                return
        self.done[node] = self.done[built] = built

    def _count(self, rule: Rule) -> None:
        self.rewrites_left -= 1
        if self.rewrites_left < 0:
            raise GraphError(
                f"simplification does not end: rule {rule.__name__} keeps firing; please report it"
            )

    def _shared(self, node: Node) -> Node:
        """The node seen first among those that differ only in the order of two operands."""
        if not _commutes(node.op):
            return node
        a, b = node.operands
        turned = self.commuted.get((node.op.name, b, a))
        return (
            turned if turned is not None else self.commuted.setdefault((node.op.name, a, b), node)
        )


@cache
def _commutes(op: Op) -> bool:
    return op.kind is Kind.ELEMENTWISE and Algebra.COMMUTATIVE in op.algebra


def _check_type(rule: Rule, node: Node, replacement: Node) -> None:
    if replacement.type != node.type:
        raise GraphError(
            f"simplification rule {rule.__name__} turned {node.type} into {replacement.type};"
            " please report it"
        )
