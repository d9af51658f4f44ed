"""Powers of which one operand is known: within 2 units in the last place, C's pow at the ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.native import powers
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.target import TARGETS, Target, host
from chainrule.graph.graph import Graph
from chainrule.shapes import FLOAT32, FLOAT64, Array, Dtype
from tests.engines.native.test_laws import runs_here

FLOATS = [FLOAT32, FLOAT64]
RUNNABLE = [target for target in TARGETS.values() if runs_here(target)] or [host()]
BASES = [0.9, 0.999, 0.5, 1e-3, 1.5, 1e30, 1 - 2.0**-20]
ENDS = [np.inf, -np.inf, np.nan, 0.0, -0.0]
MOST_UNITS = 2.0


def ours(target: Target, dtype: Dtype, values: Array, formula: Callable[[Any], Any]) -> Array:
    x = cr.input((cr.ROWS,), dtype.name)
    return np.asarray(NativeEngine(target).compile(Graph((x,), (formula(x),)))([values])[0])


def exponents(dtype: Dtype) -> Array:
    random = np.random.default_rng(0)
    parts = [np.arange(3000), random.normal(size=3000) * 100, random.normal(size=999) * 1e4, ENDS]
    return np.concatenate(parts).astype(dtype)


def assert_close(found: Array, base: Any, exponent: Any) -> None:
    """To powers in long double, rounded."""
    with np.errstate(all="ignore"):
        exact = np.power(base, exponent)
        wanted = exact.astype(found.dtype)
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~finite], wanted[~finite])
    unit = np.spacing(np.maximum(np.abs(wanted[finite]), np.finfo(found.dtype).tiny))
    assert np.max(np.abs(found[finite] - exact[finite]) / unit) <= MOST_UNITS


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("target", RUNNABLE, ids=lambda target: target.name)
def test_powers_of_a_number(target: Target, dtype: Dtype) -> None:
    x = exponents(dtype)
    for base in BASES:
        found = ours(target, dtype, x, lambda node, base=base: dtype.type(base) ** node)
        assert_close(found, np.longdouble(dtype.type(base)), x.astype(np.longdouble))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("target", RUNNABLE, ids=lambda target: target.name)
def test_inverse_roots(target: Target, dtype: Dtype) -> None:
    x = np.concatenate([np.random.default_rng(1).uniform(0, 9, 999), ENDS, [-1.0]]).astype(dtype)
    found = ours(target, dtype, x, lambda node: node ** dtype.type(-0.5))
    assert_close(found, x.astype(np.longdouble), np.longdouble(-0.5))


def test_other_powers_are_the_library_s() -> None:
    x = np.array([-2.0, -0.5, 0.0, 3.0, np.inf])
    for base in (1.0, 0.0, -2.0, np.inf):
        with np.errstate(all="ignore"):
            wanted = np.power(base, x)
        found = ours(host(), FLOAT64, x, lambda node, base=base: np.float64(base) ** node)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.skipif(not host().fma, reason="only processors with multiply-add take the short way")
@pytest.mark.usefixtures("no_old_code")
def test_a_logarithm_of_one_number_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    logarithm = powers._logarithm
    monkeypatch.setattr(powers, "_logarithm", lambda x, kind: (logarithm(x, kind)[0], 0.0))
    with pytest.raises(AssertionError):
        test_powers_of_a_number(host(), FLOAT32)
