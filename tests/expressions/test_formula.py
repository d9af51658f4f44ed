"""Typed formulas: their meaning is NumPy's, and nothing but a formula gets through."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ChainruleError, FormulaError, UnknownNameError
from chainrule.expressions.formula import FUNCTIONS, formula

NUMPY = {"exp": np.exp, "max": np.maximum, "min": np.minimum, "sqrt": np.sqrt, "abs": np.abs,
         "log": np.log, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
         "relu": lambda x: np.maximum(x, 0), "softplus": lambda x: np.log1p(np.exp(x)),
         "sin": np.sin, "cos": np.cos, "pi": np.pi}  # fmt: skip

LEAVES = st.sampled_from(["x", "y", "1", "2.5", "pi", "3"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map("-{}".format),
        st.tuples(
            st.sampled_from(["tanh", "sigmoid", "relu", "sin", "abs", "softplus"]), inner
        ).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        ),
    )


@given(st.recursive(LEAVES, _larger, max_leaves=12), st.floats(-3, 3), st.floats(-3, 3))
def test_a_formula_means_what_numpy_says(text: str, x: float, y: float) -> None:
    using_both = f"{text} + 0 * x + 0 * y"
    with np.errstate(all="ignore"):
        wanted = eval(using_both, {"x": np.float64(x), "y": np.float64(y), **NUMPY})
    found = formula(using_both, {"x": x, "y": y}).value
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_powers_bind_as_in_python() -> None:
    assert formula("-x**2", {"x": 3}).value == -9
    assert formula("2**3**2", {}).value == 512
    assert formula("+x - -x", {"x": 3}).value == 6


def test_results_may_be_named_on_the_way() -> None:
    f = formula("q = x + y; f = q * q", {"x": 1, "y": 2})
    assert (f.name, f.operands[0].name, float(f.value)) == ("f", "q", 9.0)


def test_an_unnamed_result_is_called_f_unless_a_variable_is() -> None:
    assert formula("x + 1", {"x": 1}).name == "f"
    assert formula("f + 1", {"f": 1}).name is None


def test_equal_results_are_one_node_that_keeps_its_first_name() -> None:
    f = formula("a = x + y; b = x + y; f = a * b", {"x": 1, "y": 2})
    assert (f.name, [each.name for each in f.operands], float(f.value)) == ("f", ["a", "a"], 9.0)
    assert formula("a = x + y; x + y", {"x": 1, "y": 2}).name == "a"
    assert formula("a = x; f = a * a", {"x": 3}).operands[0].name == "x"


def test_pi_is_known_and_may_be_given_another_value() -> None:
    assert float(formula("2 * pi", {}).value) == 2 * math.pi
    assert float(formula("2 * pi", {"pi": 3}).value) == 6


def test_python_warns_of_no_style() -> None:
    with pytest.raises(FormulaError, match="may not hold"):
        formula(r"'\d' + x", {"x": 1})


def test_long_sums_are_not_deep() -> None:
    assert formula("x" + "+x" * 900, {"x": 1}).value == 901


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_builds_and_has_a_value(name: str) -> None:
    count, _ = FUNCTIONS[name]
    arguments = ", ".join(["0.4", "0.7"][:count]) if name != "acosh" else "1.4"
    assert np.isfinite(formula(f"{name}({arguments})", {}).value)


HOSTILE = (
    "__import__('os').system('true')", "x.__class__", "(lambda: 1)()", "[x for x in (1,)]",
    "import os", "open('f')", "x if 1 else 2", "x and y", "x < y", "(x := 2)", "f'{x}'", "'a' * 9",
    "x[0]", "{1: 2}", "exp(*x)", "exp(x, out=y)", "exp(x)(y)", "True + 1", "1j", "x @ y", "x // y",
    "x % y", "~x", "not x", "await x", "yield x", "x = y = 1", "x, y = 1, 2", "x; y", "del x",
    "assert x", "while x: pass", "a.b = 1; x", "", "   ", "x +", "(((", "\x1b[31m", "x\x00", "# x",
    "x" + ".a" * 900, "x = x.a = 1",
    "(" * 500 + "x" + ")" * 500, "x" * 3000, "None", "...", "b'a'", "@x", "print(x)\nx",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_formula_is_refused_in_one_printable_sentence(text: str) -> None:
    with pytest.raises((FormulaError, UnknownNameError)) as caught:
        formula(text, {"x": 1, "y": 2})
    message = str(caught.value)
    assert message.isprintable() and len(message) < 500


@given(st.text(max_size=60))
def test_any_text_gives_a_formula_or_a_clear_error(text: str) -> None:
    try:
        result: Any = formula(text, {"x": 1.0})
    except ChainruleError as error:
        assert str(error).isprintable()
    else:
        assert result.shape == ()


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("x + yy", {"x": 1, "y": 2}, "unknown variable 'y'; did you mean 'yy'"),
        ("x + y", {"x": 1}, "needs a value for 'y'"),
        ("expp(x)", {"x": 1}, "unknown function 'expp'; did you mean 'exp'"),
        ("max(x)", {"x": 1}, "max takes 2 arguments, not 1"),
        ("exp(x, x)", {"x": 1}, "exp takes one argument, not 2"),
        ("q = 1; q = 2; q", {}, "'q' has a value already"),
        ("x" + ".a" * 900, {}, "may not hold 'x" + ".a" * 19 + r".\.\.\.' (Attribute\)"),
        ("x^2", {"x": 3}, r"may not hold 'x\^2' (BinOp\); a power is written x\*\*2;"),
        ("9" * 400, {}, "greater than any float64"),
        ("+".join("x" * 2000), {"x": 1}, "at most 2000 characters"),
    ],
)
def test_messages_say_what_to_do(text: str, values: dict[str, float], message: str) -> None:
    with pytest.raises(ChainruleError, match=message.replace("(", r"\(")):
        formula(text, values)
