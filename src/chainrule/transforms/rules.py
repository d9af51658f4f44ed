"""What simplification rules are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from chainrule.graph.node import SHARED_CONSTANT_SIZE, Node
from chainrule.graph.op import Kind
from chainrule.ops.movement import broadcast_to

Replacement: TypeAlias = Any  # a Node of the same type, or None where the rule does not apply
Rule: TypeAlias = "Callable[[Node], Replacement]"
RuleTable: TypeAlias = "dict[str, list[Rule]]"


def is_op(node: Node, name: str) -> bool:
    """Whether ``node`` applies the operation called ``name``."""
    return node.op.name == name


def number(node: Node) -> Any:
    """The number that ``node`` is everywhere, or None: a small constant, perhaps repeated."""
    if node.op.name == "broadcast_to":
        node = node.operands[0]
    payload = node.payload
    if payload is None or not 0 < payload.size <= SHARED_CONSTANT_SIZE:
        return None
    first = payload.flat[0]
    same = payload.tobytes() == first.tobytes() * payload.size
    return first.item() if same else None


def is_number(node: Node, value: float) -> bool:
    """Whether ``node`` is ``value`` everywhere; 0 does not match -0.0."""
    found = number(node)
    return found is not None and found == value and not (value == 0 and np.signbit(found))


def fitted(replacement: Node, node: Node) -> Node | None:
    """``replacement`` in the shape of ``node``; None if its element type differs."""
    if replacement.dtype != node.dtype:
        return None
    result: Node = broadcast_to(replacement, node.shape)
    return result


def either_order(node: Node, name: str) -> list[tuple[Node, Node]]:
    """The operands of a binary node as (matching, other), for each that applies ``name``."""
    a, b = node.operands
    pairs = [(a, b), (b, a)] if a is not b else [(a, b)]
    return [(x, y) for x, y in pairs if is_op(x, name)]


def is_elementwise(node: Node) -> bool:
    """Whether ``node`` applies an elementwise operation."""
    return node.op.kind is Kind.ELEMENTWISE
