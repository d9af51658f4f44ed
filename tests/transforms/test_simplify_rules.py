"""Every simplification rule by graph equality: what it rewrites, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.graph.node import Node
from chainrule.graph.op import Algebra, registered
from chainrule.graph.walk import topological_order
from chainrule.ops.build import row_count
from chainrule.ops.contraction import product
from chainrule.transforms import algebra, stability, structure
from chainrule.transforms.rules import Rule
from chainrule.transforms.simplify import simplify

X, Y, Z = (cr.input((3, 4), name=name) for name in "xyz")
S, T = cr.input((), name="s"), cr.input((), name="t")
V, W = cr.input((4,), name="v"), cr.input((4,), name="w")
B = cr.input((3, 4), bool, name="b")
I = cr.input((3, 4), np.int64, name="i")  # noqa: E741
F = cr.input((3, 4), np.float32, name="f")
R = cr.input((cr.ROWS, 4), name="r")
E = cr.input((0, 4), name="e")
LABELS = cr.input((3,), np.int64, name="labels")
C, D = cr.constant(3.0), cr.constant(5.0)
P = cr.sigmoid(X)


def everywhere(value: float, like: Node) -> Node:
    return cr.full_like(like, value)


TURNS: dict[Rule, list[tuple[Any, Any]]] = {
    algebra.add_zero: [(X + 0, X), (0.0 + X, X), (X + everywhere(0, X), X), (I + 0, I)],
    algebra.subtract_zero: [
        (X - 0, X),
        (0 - X, -X),
        (S - everywhere(0, X), cr.broadcast_to(S, (3, 4))),
    ],
    algebra.multiply_one: [
        (X * 1, X),
        (1.0 * X, X),
        (X * -1, -X),
        (S * everywhere(1, X), cr.broadcast_to(S, (3, 4))),
    ],
    algebra.divide_one: [(X / 1, X), (X / -1, -X)],
    algebra.double_negative: [(cr.negative(-X), X), (-(X - Y), Y - X)],
    algebra.add_negative: [(X + (-Y), X - Y), ((-X) + Y, Y - X)],
    algebra.subtract_negative: [(X - (-Y), X + Y), ((-X) - Y, -(X + Y))],
    algebra.sign_outwards: [((-X) * Y, -(X * Y)), (X / (-Y), -(X / Y)), ((-X) * 3.0, X * -3.0)],
    algebra.double: [(X + X, X * 2.0), (I + I, I * 2)],
    algebra.gather_scalars: [
        ((X * C) * D, X * 15.0),
        ((X * 1e-30) * 0.0, X * 0.0),
        (D * (C * X), X * 15.0),
        ((X * S) * T, X * (S * T)),
        (2 * ((X - Y) * (1 / S)), (X - Y) * (2.0 / S)),
    ],
    algebra.multiply_reciprocal: [(X * (1 / Y), X / Y), ((1 / Y) * S, S / Y)],
    algebra.multiply_indicator: [(X * cr.astype(B, np.float64), cr.where(B, X, 0.0))],
    algebra.common_factor: [
        (X * Z + Y * Z, (X + Y) * Z),
        (Z * X - Y * Z, (X - Y) * Z),
        (X / S + Y / S, (X + Y) / S),
    ],
    algebra.small_powers: [
        (X**1, X),
        (X**2, X * X),
        (X**3, X * X * X),
        (X**-1, 1 / X),
        (X**0.5, cr.sqrt(X)),
        (X**0, cr.ones_like(X)),
    ],
    algebra.known_choice: [
        (cr.where(True, X, Y), X),
        (cr.where(False, X, Y), Y),
        (cr.where(B, X, X), X),
        (cr.where(True, S, Y), cr.broadcast_to(S, (3, 4))),
    ],
    algebra.factor_out_of_sum: [
        (cr.sum(X * S), cr.sum(X) * S),
        (cr.sum(X / S, axis=1), cr.sum(X, axis=1) / S),
    ],
    algebra.sign_out_of_sum: [(cr.sum(-X), -cr.sum(X))],
    algebra.sign_out_of_movement: [(cr.reshape(-X, (12,)), -cr.reshape(X, (12,)))],
    algebra.even: [(cr.cos(-X), cr.cos(X)), (abs(-X), abs(X)), (cr.cosh(-X), cr.cosh(X))],
    stability.log_of_exp: [(cr.log(cr.exp(X)), X)],
    stability.log_of_softmax: [(cr.log(cr.softmax(X)), cr.log_softmax(X))],
    stability.log_of_sigmoid: [(cr.log(cr.sigmoid(X)), -cr.softplus(-X))],
    stability.log_of_sum_of_exp: [
        (cr.log(cr.sum(cr.exp(X), axis=1)), cr.logsumexp(X, axis=1)),
        (cr.log(cr.sum(cr.exp(R), axis=0, keepdims=True)), cr.logsumexp(R, axis=0, keepdims=True)),
    ],
    stability.log_of_one_plus: [
        (cr.log(1 + X), cr.log1p(X)),
        (cr.log(X + 1), cr.log1p(X)),
        (cr.log(1 - X), cr.log1p(-X)),
    ],
    stability.log1p_of_exp: [
        (cr.log1p(cr.exp(X)), cr.softplus(X)),
        (cr.log(1 + cr.exp(X)), cr.softplus(X)),
    ],
    stability.log1p_of_minus_sigmoid: [
        (cr.log1p(-P), -cr.softplus(X)),
        (cr.log(1 - P), -cr.softplus(X)),
    ],
    stability.exp_minus_one: [(cr.exp(X) - 1, cr.expm1(X))],
    stability.exp_of_log_softmax: [
        (cr.exp(cr.log_softmax(X)), cr.softmax(X)),
        (cr.exp(cr.log_softmax(X, axis=0)), cr.softmax(X, axis=0)),
        (cr.exp(V - cr.logsumexp(V)), cr.softmax(V)),
    ],
    stability.softmax_by_hand: [
        (cr.exp(X) / cr.sum(cr.exp(X), axis=1, keepdims=True), cr.softmax(X)),
        (cr.exp(X) / cr.sum(cr.exp(X), axis=0), cr.softmax(X, axis=0)),
        (cr.exp(X) / cr.sum(cr.exp(X), axis=0, keepdims=True), cr.softmax(X, axis=0)),
        (cr.exp(V) / cr.sum(cr.exp(V)), cr.softmax(V)),
    ],
    stability.softmax_of_shifted: [
        (cr.softmax(X - cr.max(X, axis=1, keepdims=True)), cr.softmax(X)),
        (cr.softmax(X - S), cr.softmax(X)),
        (cr.softmax(X - V, axis=0), cr.softmax(X, axis=0)),
    ],
    stability.sigmoid_by_hand: [
        (1 / (1 + cr.exp(-X)), cr.sigmoid(X)),
        (1 / (cr.exp(X) + 1), cr.sigmoid(-X)),
        (cr.exp(X) / (1 + cr.exp(X)), cr.sigmoid(X)),
    ],
    stability.logistic_loss: [
        (Y * cr.softplus(-X) + (1 - Y) * cr.softplus(X), cr.softplus(X) - Y * X),
        (-(Y * cr.log(P) + (1 - Y) * cr.log(1 - P)), cr.softplus(X) - Y * X),
    ],
    structure.fold_constants: [
        (C * D + 1, cr.constant(16.0)),
        (cr.sum(cr.constant([1.0, 2.0])), C),
    ],
    structure.drop_identity_movement: [
        (cr.permute_dims(X, (0, 1)), X),
        (X[:, 0:4], X),
        (cr.pad(X, [(0, 0), (0, 0)]), X),
    ],
    structure.merge_movements: [
        (cr.reshape(cr.reshape(X, (12,)), (4, 3)), cr.reshape(X, (4, 3))),
        (X.T.T, X),
        (cr.broadcast_to(cr.broadcast_to(V, (3, 4)), (2, 3, 4)), cr.broadcast_to(V, (2, 3, 4))),
    ],
    structure.double_flip: [(cr.flip(cr.flip(X, 0), 0), X)],
    structure.reshape_of_number: [
        (cr.reshape(cr.broadcast_to(S, (3, 4)), (12,)), cr.broadcast_to(S, (12,)))
    ],
    structure.keep_reduced_axes: [
        (cr.reshape(cr.sum(X, axis=1), (3, 1)), cr.sum(X, axis=1, keepdims=True)),
        (cr.reshape(cr.argmax(X, axis=0), (1, 4)), cr.argmax(X, axis=0, keepdims=True)),
    ],
    structure.movement_of_number: [
        (cr.permute_dims(everywhere(2, X), (1, 0)), everywhere(2, cr.input((4, 3)))),
        (everywhere(2, X)[1:], everywhere(2, cr.input((2, 4)))),
        (cr.flip(everywhere(2, X)), everywhere(2, X)),
    ],
    structure.drop_conversion: [
        (cr.astype(cr.astype(B, np.int64), np.float64), cr.astype(B, np.float64)),
    ],
    structure.drop_broadcast_operand: [
        (X + cr.broadcast_to(V, (3, 4)), X + V),
        (X * cr.broadcast_to(S, (3, 4)), X * S),
        (X * cr.reshape(S, (1, 1)), X * S),
    ],
    structure.broadcast_after: [
        (cr.exp(cr.broadcast_to(S, (3, 4))), cr.broadcast_to(cr.exp(S), (3, 4)))
    ],
    structure.drop_empty_reduction: [
        (cr.sum(X, axis=()), X),
        (cr.max(cr.reshape(V, (4, 1)), axis=1), V),
        (cr.sum(cr.reshape(V, (1, 4)), axis=0), V),
    ],
    structure.merge_sums: [
        (cr.sum(cr.sum(X, axis=1)), cr.sum(X)),
        (cr.sum(cr.sum(X, axis=0), axis=0), cr.sum(X)),
    ],
    structure.sum_of_broadcast: [
        (cr.sum(cr.broadcast_to(S, (3, 4))), S * 12.0),
        (cr.sum(cr.broadcast_to(S, (cr.ROWS,))), S * cr.astype(row_count(), np.float64)),
    ],
    structure.sum_of_one_hot: [
        (cr.sum(cr.one_hot(LABELS, 4), axis=1), cr.ones_like(cr.input((3,))))
    ],
    structure.transpose_into_product: [
        (X.T @ Y, product(X, Y, transpose_a=True)),
        (X @ Y.T, product(X, Y, transpose_b=True)),
        (product(X.T, Y.T, False, True), product(X, Y, transpose_a=True)),
    ],
    structure.transposed_product: [((X @ Y.T).T, product(Y, X, transpose_b=True))],
}

LEAVES_ALONE: dict[Rule, list[Node]] = {
    algebra.add_zero: [X + -0.0, X + cr.constant(np.array([0.0, -0.0, 0.0, 0.0])), X + 1],
    algebra.subtract_zero: [X - 1, X - -0.0],
    algebra.multiply_one: [X * 2, X * 0],
    algebra.divide_one: [X / 2, 1 / X],
    algebra.double: [X + Y],
    algebra.gather_scalars: [
        (S * T) * S,
        (X * V) * C,
        (X * C) * V,
        (F * 1e-30) * 1e-30,  # float32 does not hold their product
        (F * 1e30) * 1e30,
    ],
    algebra.multiply_reciprocal: [X * (1 / S), X * (2 / Y)],
    algebra.multiply_indicator: [I * cr.astype(B, np.int64), X * cr.astype(I, np.float64)],
    algebra.common_factor: [X * V + Y * W, X * S + Y * T, X / S + S / X, X * V + V * V],
    algebra.small_powers: [X**4, X**Y, I**2, 2**X],
    algebra.known_choice: [cr.where(B, X, Y)],
    algebra.factor_out_of_sum: [
        cr.sum(X * Y),
        cr.sum(X * V),
        cr.sum(E * S),
        cr.sum(S / X),
        cr.sum(I * I[0, 0]),
    ],
    stability.log_of_softmax: [cr.log(cr.softmax(cr.input((3, 0))))],
    stability.log_of_sum_of_exp: [cr.log(cr.sum(X)), cr.log(cr.sum(cr.exp(E), axis=0))],
    stability.log_of_one_plus: [cr.log(2 + X), cr.log(X - 1), cr.log(everywhere(1, X) + S)],
    stability.exp_minus_one: [cr.exp(X) - 2, cr.exp(S) - everywhere(1, X)],
    stability.exp_of_log_softmax: [
        cr.exp(X - cr.logsumexp(Y, axis=1, keepdims=True)),
        cr.exp(X - cr.logsumexp(X)),
        cr.exp(cr.input((3, 3)) - cr.logsumexp(cr.input((3, 3)), axis=1)),
    ],
    stability.softmax_by_hand: [
        cr.exp(X) / cr.sum(cr.exp(X)),
        cr.exp(X) / cr.sum(cr.exp(Y), axis=1, keepdims=True),
        cr.exp(V) / cr.reshape(cr.sum(cr.exp(V)), (1, 1)),
    ],
    stability.softmax_of_shifted: [cr.softmax(X - V), cr.softmax(V - X), cr.softmax(S - X)],
    stability.sigmoid_by_hand: [
        1 / (2 + cr.exp(X)),
        2 / (1 + cr.exp(X)),
        1 / (cr.exp(S) + everywhere(1, X)),
    ],
    stability.logistic_loss: [
        Y * cr.softplus(-X) + (1 - Z) * cr.softplus(X),
        Y * cr.softplus(X) + (1 - Y) * cr.softplus(X),
    ],
    structure.fold_constants: [
        X + 1,
        cr.broadcast_to(C, (3,)),
        cr.constant(np.ones((9, 1))) * cr.constant(np.ones(9)),
        cr.random.random_bits(cr.constant(np.zeros(2, np.uint32)), (2,)),
    ],
    structure.drop_identity_movement: [
        cr.permute_dims(cr.input((3, 3)), (1, 0)),
        X[1:],
        cr.pad(cr.input((0,)), [(0, 0)], interior=[1]),
    ],
    structure.double_flip: [cr.flip(cr.flip(X, 0), 1)],
    structure.keep_reduced_axes: [cr.reshape(cr.sum(cr.input((3, 3)), axis=1), (1, 3))],
    structure.movement_of_number: [
        cr.permute_dims(cr.broadcast_to(S, (3, 4)), (1, 0)),
        everywhere(1, X)[3:],
    ],
    structure.drop_conversion: [
        cr.astype(cr.astype(X, np.int64), np.float64),
        cr.astype(cr.astype(X, bool), np.float64),
        cr.astype(cr.astype(X, np.float32), np.float64),
    ],
    structure.drop_broadcast_operand: [cr.broadcast_to(V, (3, 4)) + V],
    structure.broadcast_after: [
        X + cr.broadcast_to(V, (3, 4)),
        cr.broadcast_to(V, (3, 4)) + cr.input((3, 1)),
    ],
    structure.drop_empty_reduction: [cr.sum(R, axis=0), cr.sum(X, axis=0)],
    structure.merge_sums: [cr.sum(cr.sum(X, axis=1, keepdims=True)), cr.sum(cr.max(X, axis=0))],
    structure.sum_of_broadcast: [
        cr.sum(cr.broadcast_to(V, (3, 4))),
        cr.sum(cr.broadcast_to(I[0, 0], (3,))),
    ],
    structure.sum_of_one_hot: [
        cr.sum(cr.one_hot(LABELS, 4), axis=0),
        cr.sum(cr.one_hot(LABELS, 4)),
    ],
    structure.transpose_into_product: [
        cr.permute_dims(cr.input((2, 4, 3)), (1, 2, 0)) @ cr.input((4, 2, 5))
    ],
    structure.transposed_product: [
        cr.permute_dims(cr.input((2, 3, 4)) @ cr.input((4, 5)), (1, 0, 2))
    ],
}


def all_rules() -> dict[Rule, str]:
    tables = (structure.RULES, stability.RULES, algebra.RULES)
    return {rule: rule.__name__ for table in tables for rules in table.values() for rule in rules}


def cases(table: dict[Rule, list[Any]]) -> list[Any]:
    return [
        pytest.param(rule, case, id=f"{rule.__name__}-{place}")
        for rule, found in table.items()
        for place, case in enumerate(found)
    ]


def test_every_rule_has_examples() -> None:
    missing = [name for rule, name in all_rules().items() if rule not in TURNS]
    assert missing == []


@pytest.mark.parametrize("name", all_rules().values())
def test_every_rule_states_its_algebra(name: str) -> None:
    rule = next(rule for rule, known in all_rules().items() if known == name)
    assert rule.__doc__


@pytest.mark.parametrize(("rule", "case"), cases(TURNS))
def test_a_rule_gives_this_graph(rule: Rule, case: Any) -> None:
    written, expected = case
    assert simplify([written])[0] is expected


@pytest.mark.parametrize(("rule", "node"), cases(LEAVES_ALONE))
def test_a_rule_leaves_this_alone(rule: Rule, node: Node) -> None:
    assert rule(node) is None


def test_results_written_in_another_order_are_shared() -> None:
    first, second = simplify([X * Y, Y * X])
    assert first is second
    assert simplify([X - Y])[0] is not simplify([Y - X])[0]


def test_a_rule_for_even_functions_exists_for_each() -> None:
    even = [op.name for op in registered().values() if Algebra.EVEN in op.algebra]
    assert even
    assert all(algebra.even in algebra.RULES[name] for name in even)


def test_a_softmax_beside_its_logarithm_takes_no_second_sum() -> None:
    logarithm = cr.log_softmax(X)
    assert simplify([logarithm, cr.softmax(X)]) == [logarithm, cr.exp(logarithm)]
    assert simplify([cr.softmax(X)]) == [cr.softmax(X)]
    other_axis = simplify([logarithm, cr.softmax(X, axis=0)])
    assert other_axis == [logarithm, cr.softmax(X, axis=0)]
    inner = cr.softmax(X)
    nested = simplify([logarithm, cr.softmax(inner), cr.log_softmax(inner)])
    assert "softmax" not in [node.op.name for node in topological_order(nested)]
    assert simplify(nested) == nested
