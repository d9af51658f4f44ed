"""The ledger of a graph as written: values, gradients and shares against finite differences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import MissingInputError, ShapeError
from chainrule.explain import GraphPicture, circuit, ledger
from chainrule.expressions.formula import formula

FORMULAS: tuple[tuple[str, Mapping[str, float]], ...] = (
    ("(x + y) * z", {"x": -2, "y": 5, "z": -4}),
    ("x * x", {"x": 3}),
    ("2 * (x * y + max(z, w))", {"x": 3, "y": -4, "z": 2, "w": -1}),
    ("1 / (1 + exp(-(w0 * x0 + w1 * x1 + w2)))", {"w0": 2, "x0": -1, "w1": -3, "x1": -2, "w2": -3}),
    ("x ** y - log(x) / y + sin(x * y)", {"x": 1.3, "y": 2.1}),
    ("q = x + y; q * q - q / x", {"x": 1.5, "y": 0.5}),
    ("hypot(x, y) * softplus(x - 3) + tanh(2 ** y)", {"x": 1.5, "y": 0.5}),
)


@pytest.mark.parametrize(("text", "values"), FORMULAS)
def test_gradients_are_finite_differences(text: str, values: Mapping[str, float]) -> None:
    book = ledger(formula(text, values))
    by_name = {node.name: node for node in book.order if node.name in values}
    for name, value in values.items():
        step = 1e-6
        high, low = (formula(text, {**values, name: value + s}).value for s in (step, -step))
        slope = (high - low) / (2 * step)
        np.testing.assert_allclose(book.gradients[by_name[name]], slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("text", "values"), FORMULAS)
def test_a_gradient_is_the_sum_of_the_shares_that_arrive(
    text: str, values: Mapping[str, float]
) -> None:
    book = ledger(formula(text, values))
    for node in book.order[:-1]:
        shares = [
            share
            for user in book.order
            for operand, share in zip(user.operands, book.shares.get(user, ()), strict=False)
            if operand is node and share is not None
        ]
        assert sum(shares) == pytest.approx(float(book.gradients[node]))


def lines(picture: GraphPicture) -> list[str]:
    return [" ".join(line.split()) for line in picture.text().splitlines()[1:]]


def test_a_value_that_is_used_twice_shows_both_contributions() -> None:
    x = cr.variable(3.0, name="x")
    assert lines(circuit(x * x)) == ["x 3 3 + 3 = 6", "t1 t1 = x × x 9 1"]


def test_plain_numbers_stand_in_the_gates() -> None:
    x = cr.variable(2.0, name="x")
    f = ((3 - x) * -1 + 1) / 4 - 5 + 1 / x + 2**x + x**2
    table = circuit(f).text()
    for written in ("= 3−x", "× −1", "+ 1", "/ 4", "− 5", "= 1/x", "= 2^x", "= x^2"):
        assert written in table.replace("t1 =", "=")
    assert all(record.name or record.operands for record in circuit(f).records)


def test_the_graph_is_shown_as_written_even_where_the_simple_form_is_finite() -> None:
    x = cr.variable(1000.0, name="x")
    table = circuit(cr.log(1 + cr.exp(x))).text()
    assert "∞" in table and "softplus" not in table


def test_arrays_show_their_elements_or_their_shape() -> None:
    W = cr.variable(np.zeros((3, 2)), name="W")
    x = cr.variable([1.0, 2.0, 3.0], name="x")
    table = circuit(cr.sum(cr.tanh(x @ W))).text()
    assert "3 × 2" in table and "(0, 0)" in table and "(1, 2, 3)" in table


def test_a_path_without_a_derivative_stays_empty() -> None:
    x = cr.variable(2.0, name="x")
    rows = lines(circuit(cr.stop_gradient(x) * 1.0))
    assert rows[0] == "x 2"


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ShapeError, match="scalar"):
        circuit(cr.variable([1.0, 2.0]) * 2)
    with pytest.raises(MissingInputError, match="no value"):
        circuit(cr.input(()) * 2)


def test_a_long_chain_is_walked_without_recursion() -> None:
    x = cr.variable(1.0)
    f = x
    for _ in range(3000):
        f = cr.sin(f)
    book = ledger(f)
    assert np.isfinite(book.gradients[x])


def test_elements_of_small_arrays_are_written_out_however_deep_the_graph() -> None:
    f = cr.variable([0.25, -0.5, 0.125], name="x")
    for _ in range(12):
        f = cr.tanh(f)
    assert "(0.25, −0.5, 0.125)" in cr.explain.circuit(cr.sum(f)).text()
    large = cr.variable([0.25] * 5, name="x")
    assert "0.25" not in cr.explain.circuit(cr.sum(large)).text()
