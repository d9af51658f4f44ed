"""Law 8: stable forms are found: naive formulas are finite, with their derivatives, at +-1e4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.registry import get_engine
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.transforms.simplify import RULES, simplify

LOGITS = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4], [88.0, 89.0, -104.0], [1e4, 1e4, 1e4]])
LABELS = np.eye(3)[[1, 2, 0, 0]]
Y = cr.constant(LABELS.astype(np.float32))


def _softmax(z: Any) -> Any:
    return cr.exp(z) / cr.sum(cr.exp(z), axis=1, keepdims=True)


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + cr.exp(-z))


NAIVE: dict[str, Callable[[Node], Any]] = {
    "softmax": lambda z: cr.sum(_softmax(z) * Y),
    "cross entropy": lambda z: -cr.sum(Y * cr.log(_softmax(z))),
    "cross entropy of softmax": lambda z: -cr.sum(Y * cr.log(cr.softmax(z))),
    "shifted softmax": lambda z: (
        -cr.sum(Y * cr.log(_softmax(z - cr.max(z, axis=1, keepdims=True))))
    ),
    "log of probability": lambda z: -cr.sum(cr.log(cr.sum(Y * cr.softmax(z), axis=1) + 1e-30)),
    "sigmoid": lambda z: cr.sum(_sigmoid(z)),
    "sigmoid of the other form": lambda z: cr.sum(cr.exp(z) / (1 + cr.exp(z))),
    "log of sigmoid": lambda z: cr.sum(cr.log(_sigmoid(z))),
    "logistic loss": lambda z: -cr.sum(Y * cr.log(_sigmoid(z)) + (1 - Y) * cr.log(1 - _sigmoid(z))),
    "softplus": lambda z: cr.sum(cr.log(1 + cr.exp(z))),
    "softplus by log1p": lambda z: cr.sum(cr.log1p(cr.exp(z))),
    "logsumexp": lambda z: cr.sum(cr.log(cr.sum(cr.exp(z), axis=1))),
    "log of exp": lambda z: cr.sum(cr.log(cr.exp(z))),
    "silu": lambda z: cr.sum(z * _sigmoid(z)),
    "mish": lambda z: cr.sum(z * cr.tanh(cr.log(1 + cr.exp(z)))),
    "elu": lambda z: cr.sum(cr.elu(z)),
    "gelu": lambda z: cr.sum(cr.gelu(z)),
    "tanh gelu": lambda z: cr.sum(cr.gelu(z, approximate="tanh")),
}


def computed(form: Callable[[Node], Any], logits: Any, dtype: Any, *, stable: bool) -> Any:
    """Value and derivative: of the simplified formula, or of the formula as written."""
    z = cr.input(logits.shape, dtype)
    value = form(z)
    outputs = simplify([value]) if stable else [value]
    outputs += cr.gradient(outputs[0], [z])
    outputs = simplify(outputs) if stable else outputs
    run = get_engine("reference").compile(Graph((z,), tuple(outputs)))
    return run([logits.astype(dtype)])


@pytest.mark.parametrize("name", NAIVE)
def test_naive_formulas_are_finite_at_large_logits(name: str) -> None:
    for array in computed(NAIVE[name], LOGITS, np.float32, stable=True):
        assert array.dtype == np.float32
        assert np.isfinite(array).all(), name


@pytest.mark.parametrize("name", NAIVE)
@pytest.mark.parametrize("scale", [1.0, 5.0, 1e4])
def test_simplified_and_raw_agree_wherever_raw_is_finite(name: str, scale: float) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3)) * scale
    stable = computed(NAIVE[name], logits, np.float64, stable=True)
    raw = computed(NAIVE[name], logits, np.float64, stable=False)
    for mine, theirs in zip(stable, raw, strict=True):
        finite = np.isfinite(theirs)
        # what is written loses digits near 1: log(1 - p), 1 + exp(z)
        np.testing.assert_allclose(mine[finite], theirs[finite], rtol=1e-6, atol=1e-12)


def test_some_of_these_formulas_do_overflow_as_written() -> None:
    overflowing = [
        name
        for name, form in NAIVE.items()
        if not all(np.isfinite(x).all() for x in computed(form, LOGITS, np.float32, stable=False))
    ]
    assert {"softmax", "cross entropy", "logistic loss", "softplus", "logsumexp"} <= set(
        overflowing
    )


def test_a_library_without_stability_rules_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("log", "log1p", "exp", "divide"):
        monkeypatch.setitem(RULES, name, [])
    with pytest.raises(AssertionError):
        test_naive_formulas_are_finite_at_large_logits("cross entropy")


def test_compiled_functions_and_gradients_use_the_stable_forms() -> None:
    form = NAIVE["cross entropy"]
    value, slope = cr.value_and_grad(form)(LOGITS.astype(np.float32))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert np.isfinite(cr.compile(form, engine="reference")(LOGITS.astype(np.float32)))
