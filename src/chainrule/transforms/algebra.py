"""Rules of arithmetic: neutral elements, signs, powers, common factors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.graph.node import Node
from chainrule.graph.op import Algebra, registered
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply
from chainrule.ops.movement import ones_like
from chainrule.transforms.rules import (
    Replacement,
    RuleTable,
    either_order,
    fitted,
    is_number,
    is_op,
    number,
)


def add_zero(node: Node) -> Replacement:
    """x + 0 = x."""
    a, b = node.operands
    return fitted(a, node) if is_number(b, 0) else fitted(b, node) if is_number(a, 0) else None


def subtract_zero(node: Node) -> Replacement:
    """x - 0 = x; 0 - x = -x."""
    a, b = node.operands
    if is_number(b, 0):
        return fitted(a, node)
    return fitted(ew.negative(b), node) if is_number(a, 0) else None


def multiply_one(node: Node) -> Replacement:
    """x * 1 = x; x * -1 = -x."""
    for x, other in (node.operands, node.operands[::-1]):
        if is_number(other, 1):
            return fitted(x, node)
        if is_number(other, -1):
            return fitted(ew.negative(x), node)
    return None


def divide_one(node: Node) -> Replacement:
    """x / 1 = x; x / -1 = -x."""
    a, b = node.operands
    if is_number(b, 1):
        return fitted(a, node)
    return fitted(ew.negative(a), node) if is_number(b, -1) else None


def double_negative(node: Node) -> Replacement:
    """-(-x) = x; -(a - b) = b - a."""
    (x,) = node.operands
    if is_op(x, "negative"):
        return x.operands[0]
    return ew.subtract(x.operands[1], x.operands[0]) if is_op(x, "subtract") else None


def add_negative(node: Node) -> Replacement:
    """a + (-b) = a - b."""
    for negated, other in either_order(node, "negative"):
        return ew.subtract(other, negated.operands[0])
    return None


def subtract_negative(node: Node) -> Replacement:
    """a - (-b) = a + b; (-a) - b = -(a + b)."""
    a, b = node.operands
    if is_op(b, "negative"):
        return ew.add(a, b.operands[0])
    return ew.negative(ew.add(a.operands[0], b)) if is_op(a, "negative") else None


def sign_outwards(node: Node) -> Replacement:
    """(-a) * b = -(a * b), (-a) / b = -(a / b); into a constant: (-a) * c = a * (-c)."""
    a, b = node.operands
    for position, x, other in ((0, a, b), (1, b, a)):
        if is_op(x, "negative"):
            inner = x.operands[0]
            if other.payload is not None and is_op(node, "multiply"):
                return ew.multiply(inner, ew.negative(other))
            pair = (inner, other) if position == 0 else (other, inner)
            return ew.negative(rebuilt(node, *pair))
    return None


def rebuilt(node: Node, *operands: Node) -> Node:
    """The operation of ``node`` applied to other operands."""
    result: Node = apply(node.op, *operands, **node.attributes)
    return result


def double(node: Node) -> Replacement:
    """x + x = 2 x: a factor can meet others."""
    a, b = node.operands
    return ew.multiply(a, 2) if a is b else None


def gather_scalars(node: Node) -> Replacement:
    """(x * s) * t = x * (s * t), where s and t are scalars, and constants if x is one, too."""
    for inner, t in either_order(node, "multiply"):
        for x, s in (inner.operands, inner.operands[::-1]):
            fixed = s.payload is not None and t.payload is not None
            if s.shape == t.shape == () and (_is_held(s, t) if fixed else x.shape != ()):
                return ew.multiply(x, ew.multiply(s, t))
    return None


def _is_held(s: Node, t: Node) -> bool:
    """Whether the element type holds the product of two constants: 1e-30 twice is 0 in float32."""
    size, dtype = abs(float(number(s) * number(t))), s.dtype
    if dtype.kind != "f" or is_number(s, 0) or is_number(t, 0):
        return True
    return float(np.finfo(dtype).tiny) <= size <= float(np.finfo(dtype).max)


def multiply_reciprocal(node: Node) -> Replacement:
    """x * (1 / y) = x / y, unless 1 / y is computed once for many x."""
    for inner, x in either_order(node, "divide"):
        if is_number(inner.operands[0], 1) and inner.shape == node.shape:
            return ew.divide(x, inner.operands[1])
    return None


def multiply_indicator(node: Node) -> Replacement:
    """x * astype(condition) = where(condition, x, 0)."""
    for indicator, x in either_order(node, "astype"):
        condition = indicator.operands[0]
        if condition.dtype.kind == "b" and x.dtype.kind == "f" and x.payload is None:
            return ew.where(condition, x, 0)
    return None


def common_factor(node: Node) -> Replacement:
    """a * s + b * s = (a + b) * s, and the same with minus and with division by s."""
    a, b = node.operands
    if a.op is not b.op or a.op.name not in ("multiply", "divide") or a.type != b.type or a is b:
        return None
    if is_op(a, "divide"):
        (x, s), (y, t) = a.operands, b.operands
        return ew.divide(rebuilt(node, x, y), s) if s is t else None
    for x, s in (a.operands, a.operands[::-1]):
        for y, t in (b.operands, b.operands[::-1]):
            if s is t and x.shape == y.shape == node.shape:
                return ew.multiply(rebuilt(node, x, y), s)
    return None


def small_powers(node: Node) -> Replacement:
    """x^0 = 1, x^1 = x, x^2 = x x, x^3 = x x x, x^-1 = 1 / x, x^(1/2) = sqrt(x)."""
    x, exponent = node.operands
    value = number(exponent)
    if value is None or node.dtype.kind != "f" or value not in _POWERS:
        return None
    return fitted(_POWERS[value](x), node)


_POWERS: dict[float, Callable[[Node], Node]] = {
    0: ones_like,
    1: lambda x: x,
    2: lambda x: ew.multiply(x, x),
    3: lambda x: ew.multiply(ew.multiply(x, x), x),
    -1: lambda x: ew.divide(1, x),
    0.5: ew.sqrt,
}


def known_choice(node: Node) -> Replacement:
    """where(true, a, b) = a; where(c, a, a) = a."""
    condition, a, b = node.operands
    value = number(condition)
    if a is b:
        return fitted(a, node)
    return None if value is None else fitted(a if value else b, node)


def factor_out_of_sum(node: Node) -> Replacement:
    """sum(x * s) = sum(x) * s and sum(x / s) = sum(x) / s, where s is the same along the axes."""
    (x,) = node.operands
    if x.op.name not in ("multiply", "divide") or x.dtype.kind != "f" or 0 in x.shape:
        return None
    a, b = x.operands
    for each, s in ((a, b), (b, a)) if is_op(x, "multiply") else ((a, b),):
        if s.shape == () and each.shape == x.shape:
            return rebuilt(x, rebuilt(node, each), s)
    return None


def sign_out_of_sum(node: Node) -> Replacement:
    """sum(-x) = -sum(x)."""
    (x,) = node.operands
    return ew.negative(rebuilt(node, x.operands[0])) if is_op(x, "negative") else None


def sign_out_of_movement(node: Node) -> Replacement:
    """reshape(-x) = -reshape(x): so that the sign can meet others."""
    (x,) = node.operands
    return ew.negative(rebuilt(node, x.operands[0])) if is_op(x, "negative") else None


def even(node: Node) -> Replacement:
    """f(-x) = f(x) for even f."""
    (x,) = node.operands
    return rebuilt(node, x.operands[0]) if is_op(x, "negative") else None


RULES: RuleTable = {
    "add": [add_zero, double, add_negative, common_factor],
    "subtract": [subtract_zero, subtract_negative, common_factor],
    "multiply": [
        multiply_one,
        sign_outwards,
        gather_scalars,
        multiply_reciprocal,
        multiply_indicator,
    ],
    "divide": [divide_one, sign_outwards],
    "negative": [double_negative],
    "power": [small_powers],
    "where": [known_choice],
    "sum": [factor_out_of_sum, sign_out_of_sum],
    "reshape": [sign_out_of_movement],
    **{op.name: [even] for op in registered().values() if Algebra.EVEN in op.algebra},
}
