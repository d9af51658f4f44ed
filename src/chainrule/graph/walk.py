"""Walks over graphs. None of them recurses: a chain of 100,000 nodes is walked like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from chainrule.graph.node import Node, intern

T = TypeVar("T")


def topological_order(
    outputs: Iterable[Node], stop: Mapping[Node, object] | None = None
) -> list[Node]:
    """Every node that ``outputs`` depend on, operands before users, each once.

    The order is that of a depth-first walk from the first output, first operand first: it depends
    on the graph alone. Nodes in ``stop`` are listed but not looked behind.
    """
    order: list[Node] = []
    done: dict[Node, bool] = {}  # False: its operands are on the stack; True: listed
    stack = [*reversed(list(outputs))]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            if not done[node]:
                done[node] = True
                order.append(node)
        else:
            done[node] = False
            if stop is None or node not in stop:
                for operand in reversed(node.operands):
                    if operand not in done:
                        stack.append(operand)
    return order


def depends_on(order: Sequence[Node], inputs: Iterable[Node]) -> dict[Node, bool]:
    """For every node of ``order``: whether any of ``inputs`` is among its ancestors, or itself."""
    reached = dict.fromkeys(inputs, True)
    for node in order:
        if node not in reached:
            reached[node] = any(reached[operand] for operand in node.operands)
    return reached


def rebuild(node: Node, operands: tuple[Node, ...]) -> Node:
    """``node`` with other operands; the same node if they are its own."""
    if operands == node.operands:
        return node
    return intern(node.op, operands, node.attributes, note=node)


def rewrite(outputs: Sequence[Node], replace: Callable[[Node], Node | None]) -> list[Node]:
    """``outputs`` with every node for which ``replace`` gives another one exchanged for it."""
    mapped: dict[Node, Node] = {}
    for node in topological_order(outputs):
        replacement = replace(node)
        if replacement is None:
            replacement = rebuild(node, tuple([mapped[operand] for operand in node.operands]))
        mapped[node] = replacement
    return [mapped[output] for output in outputs]


def substitute(outputs: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """``outputs`` with the given nodes exchanged wherever they occur."""
    return rewrite(outputs, replacements.get)


def users(order: Iterable[Node]) -> dict[Node, list[Node]]:
    """For every node of ``order`` the nodes that use it, once per operand position."""
    found: dict[Node, list[Node]] = {}
    for node in order:
        found.setdefault(node, [])
        for operand in node.operands:
            found.setdefault(operand, []).append(node)
    return found
