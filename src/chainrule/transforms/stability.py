"""Rules that find the stable form of what was written: nothing overflows that need not.

They pair losses with output activations, too: the logarithm of a softmax or a sigmoid never
computes the probability it would take the logarithm of.
"""

from __future__ import annotations

from typing import Any

from chainrule.graph.node import Node
from chainrule.graph.walk import rewrite, topological_order
from chainrule.ops import elementwise as ew
from chainrule.ops.build import apply
from chainrule.ops.reduce import LOGSUMEXP, SOFTMAX, logsumexp
from chainrule.transforms.rules import Replacement, RuleTable, either_order, is_number, is_op


def log_of_exp(node: Node) -> Replacement:
    """log(exp(x)) = x."""
    (x,) = node.operands
    return x.operands[0] if is_op(x, "exp") else None


def log_of_softmax(node: Node) -> Replacement:
    """log(softmax(z)) = z - logsumexp(z)."""
    (p,) = node.operands
    if not is_op(p, "softmax"):
        return None
    (z,) = p.operands
    if z.shape[p.attributes["axis"]] == 0:
        return None
    return ew.subtract(z, logsumexp(z, axis=p.attributes["axis"], keepdims=True))


def log_of_sigmoid(node: Node) -> Replacement:
    """log(sigmoid(x)) = -softplus(-x)."""
    (p,) = node.operands
    return ew.negative(ew.softplus(ew.negative(p.operands[0]))) if is_op(p, "sigmoid") else None


def log_of_sum_of_exp(node: Node) -> Replacement:
    """log(sum(exp(z))) = logsumexp(z)."""
    (total,) = node.operands
    if not is_op(total, "sum") or not is_op(total.operands[0], "exp"):
        return None
    z = total.operands[0].operands[0]
    if any(z.shape[axis] == 0 for axis in total.attributes["axes"]):
        return None
    return apply(LOGSUMEXP, z, **total.attributes)


def log_of_one_plus(node: Node) -> Replacement:
    """log(1 + x) = log1p(x); log(1 - x) = log1p(-x)."""
    (x,) = node.operands
    if is_op(x, "add"):
        for one, other in (x.operands, x.operands[::-1]):
            if is_number(one, 1) and other.shape == node.shape:
                return ew.log1p(other)
    if is_op(x, "subtract") and is_number(x.operands[0], 1) and x.operands[1].shape == node.shape:
        return ew.log1p(ew.negative(x.operands[1]))
    return None


def log1p_of_exp(node: Node) -> Replacement:
    """log1p(exp(x)) = softplus(x)."""
    (x,) = node.operands
    return ew.softplus(x.operands[0]) if is_op(x, "exp") else None


def log1p_of_minus_sigmoid(node: Node) -> Replacement:
    """log(1 - sigmoid(x)) = -softplus(x)."""
    (x,) = node.operands
    if is_op(x, "negative") and is_op(x.operands[0], "sigmoid"):
        return ew.negative(ew.softplus(x.operands[0].operands[0]))
    return None


def exp_minus_one(node: Node) -> Replacement:
    """exp(x) - 1 = expm1(x)."""
    a, b = node.operands
    matches = is_op(a, "exp") and is_number(b, 1) and a.shape == node.shape
    return ew.expm1(a.operands[0]) if matches else None


def exp_of_log_softmax(node: Node) -> Replacement:
    """exp(z - logsumexp(z)) = softmax(z)."""
    (x,) = node.operands
    if not is_op(x, "subtract"):
        return None
    z, total = x.operands
    axis = _reduced_axis(total, "logsumexp", z)
    return None if axis is None else apply(SOFTMAX, z, axis=axis)


def _reduced_axis(total: Node, name: str, x: Node) -> int | None:
    """The axis, if ``total`` is a reduction of ``x`` over it that broadcasts along it again."""
    kept = total.operands[0] if is_op(total, "reshape") else total
    if not is_op(kept, name) or kept.operands[0] is not x or len(kept.attributes["axes"]) != 1:
        return None
    (axis,) = kept.attributes["axes"]
    aligned = (*(1,) * (x.ndim - total.ndim), *total.shape)
    return axis if aligned == (*x.shape[:axis], 1, *x.shape[axis + 1 :]) else None


def share_log_softmax(outputs: list[Node]) -> list[Node]:
    """softmax(z) = exp(z - logsumexp(z)) where that difference is computed anyway, as in a loss.

    The one rule that looks at more than a node and its operands: it saves the second of two sums
    of the same exponentials, and would cost work where the difference has no other user.
    """
    order = topological_order(outputs)
    if not [node for node in order if is_op(node, "softmax")]:
        return outputs
    differences: dict[Any, Node] = {}
    for node in order:
        if is_op(node, "subtract"):
            z, total = node.operands
            differences[z, _reduced_axis(total, "logsumexp", z)] = node

    def exponential(node: Node) -> Node | None:
        if not is_op(node, "softmax"):
            return None
        difference = differences.get((node.operands[0], node.attributes["axis"]))
        return None if difference is None else ew.exp(difference)

    shared = rewrite(outputs, exponential)
    return shared if shared == outputs else share_log_softmax(shared)


def softmax_by_hand(node: Node) -> Replacement:
    """exp(z) / sum(exp(z)) = softmax(z)."""
    a, total = node.operands
    axis = _reduced_axis(total, "sum", a) if is_op(a, "exp") else None
    return None if axis is None else apply(SOFTMAX, a.operands[0], axis=axis)


def softmax_of_shifted(node: Node) -> Replacement:
    """softmax(z - m) = softmax(z) where m is the same for all classes."""
    (x,) = node.operands
    if not is_op(x, "subtract"):
        return None
    z, m = x.operands
    axis = node.attributes["axis"] - node.ndim
    same = m.shape == () or (-axis > m.ndim) or m.shape[axis] == 1
    return apply(SOFTMAX, z, **node.attributes) if same and z.shape == node.shape else None


def sigmoid_by_hand(node: Node) -> Replacement:
    """1 / (1 + exp(-x)) = sigmoid(x); exp(x) / (1 + exp(x)) = sigmoid(x)."""
    a, b = node.operands
    for raised, one in either_order(b, "exp") if is_op(b, "add") else []:
        if not is_number(one, 1) or raised.shape != node.shape:
            continue
        if is_number(a, 1):
            return ew.sigmoid(ew.negative(raised.operands[0]))
        if a is raised:
            return ew.sigmoid(raised.operands[0])
    return None


def logistic_loss(node: Node) -> Replacement:
    """y softplus(-z) + (1 - y) softplus(z) = softplus(z) - y z."""
    for y_term, other_term in (node.operands, node.operands[::-1]):
        matched = _weighted_softplus(y_term), _weighted_softplus(other_term)
        for y, minus_z in matched[0]:
            for rest, z in matched[1]:
                opposite = is_op(minus_z, "negative") and minus_z.operands[0] is z
                if opposite and _is_complement(rest, y):
                    return ew.subtract(ew.softplus(z), ew.multiply(y, z))
    return None


def _weighted_softplus(node: Node) -> list[tuple[Node, Node]]:
    if not is_op(node, "multiply"):
        return []
    return [(weight, inner.operands[0]) for inner, weight in either_order(node, "softplus")]


def _is_complement(rest: Node, y: Node) -> bool:
    return is_op(rest, "subtract") and is_number(rest.operands[0], 1) and rest.operands[1] is y


RULES: RuleTable = {
    "log": [log_of_exp, log_of_softmax, log_of_sigmoid, log_of_sum_of_exp, log_of_one_plus],
    "log1p": [log1p_of_exp, log1p_of_minus_sigmoid],
    "subtract": [exp_minus_one],
    "exp": [exp_of_log_softmax],
    "divide": [softmax_by_hand, sigmoid_by_hand],
    "softmax": [softmax_of_shifted],
    "add": [logistic_loss],
}
