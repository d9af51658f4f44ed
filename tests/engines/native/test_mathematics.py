"""Elementary functions of the native engine against wider arithmetic, for each runnable target."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import llvmlite.binding as llvm

from benchmarks.native_mathematics import Compiled
from chainrule.engines.native import elementary
from chainrule.engines.native.jit import to_object
from chainrule.engines.native.mathematics import FUNCTIONS, LIBRARY, VECTORISED
from chainrule.engines.native.target import TARGETS, Target, host

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
FLOATS = (FLOAT32, FLOAT64)
LARGEST_LANES = 64  # every number of points is a multiple
STEP, DENSE_STEP = 2579, 257  # primes: between the patterns of float32 that are tried
FLOAT64_POINTS = 20_000


def _runs_here(target: Target) -> bool:
    present = llvm.get_host_cpu_features()
    wanted = [flag[1:] for flag in target.features.split(",") if flag]
    same = target.triple.split("-")[0] == host().triple.split("-")[0]
    return same and all(present.get(flag, False) for flag in wanted)


RUNNABLE = [target for target in TARGETS.values() if _runs_here(target)] or [host()]


def _erf(x: Any) -> Any:
    """The series with positive terms only, Abramowitz and Stegun 1964, 7.1.6."""
    size = np.minimum(np.abs(x), x.dtype.type(6.5))
    term = total = size
    for n in range(1, 180):
        term = term * (2 * size * size / (2 * n + 1))
        total = total + term
    root = np.sqrt(np.longdouble("3.14159265358979323846264338327950288")).astype(x.dtype)
    return np.copysign(2 / root * np.exp(-size * size) * total, x)


REFERENCES: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "log2": np.log2,
    "log10": np.log10, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, x.dtype.type(0)), "erf": _erf,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "sqrt": np.sqrt,
    "sinh": np.sinh, "cosh": np.cosh, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
}  # fmt: skip
LIMITS = {name: {FLOAT32: 2.0, FLOAT64: 4.0} for name in REFERENCES}
LIMITS["tan"] = {FLOAT32: 4.0, FLOAT64: 4.0}
LIMITS["sqrt"] = {FLOAT32: 0.5 + 1e-8, FLOAT64: 0.5 + 1e-3}
LIBRARY_LIMIT = 4.0  # what C libraries keep to, by their manuals and by experience

PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "atan2": np.arctan2, "hypot": np.hypot, "power": np.power, "logaddexp": np.logaddexp
}  # fmt: skip


def _trimmed(points: Any) -> Any:
    return points[: points.size // LARGEST_LANES * LARGEST_LANES]


def _float32_points(step: int) -> Any:
    """Bit patterns at even distances: all exponents, infinities, NaN."""
    patterns = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    ends = np.array([0, -0.0, np.inf, -np.inf, np.nan], np.float32)
    return _trimmed(np.concatenate([ends, patterns]))


def _float64_points() -> Any:
    """Random bit patterns, and random numbers where functions bend, reach 1, 0 or infinity."""
    random, n = np.random.default_rng(3), FLOAT64_POINTS
    powers = 10.0 ** random.uniform(-20, 0, n)
    return _trimmed(
        np.concatenate(
            [
                np.array([0, -0.0, np.inf, -np.inf, np.nan]),
                random.integers(0, 2**64, n, dtype=np.uint64).view(np.float64),
                random.integers(0, 2**52, n // 8, dtype=np.uint64).view(np.float64),
                random.normal(size=n),
                random.normal(size=n) * 10,
                random.normal(size=n) * 300,
                random.normal(size=n) * powers,
                1 + random.normal(size=n) * powers,
                random.uniform(-750, -700, n // 8),
                random.uniform(700, 720, n // 8),
                np.arange(-40, 40) * (np.pi / 2),
            ]
        )
    )


class Truth:
    """The exact values of a function at points, and the units in the last place there.

    Infinity counts as the number after the largest, so that the step to it has a size.
    """

    def __init__(self, exact: Any, dtype: Any) -> None:
        self.limits, kind = np.finfo(dtype), exact.dtype.type
        self.end = kind(2) ** self.limits.maxexp
        self.nan = np.isnan(exact)
        self.exact = np.clip(np.where(self.nan, kind(0), exact), -self.end, self.end)
        exponents = np.frexp(self.exact)[1] - 1
        exponents = np.clip(exponents, self.limits.minexp, self.limits.maxexp - 1)
        self.units = np.ldexp(kind(1), self.limits.nmant - exponents)

    def worst(self, found: Any) -> tuple[float, int]:
        """The largest error in units in the last place, and where; infinite where NaN differs."""
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            wide = np.clip(found.astype(self.exact.dtype), -self.end, self.end)
        errors = np.abs(np.where(self.nan, 0, wide) - self.exact) * self.units
        errors = np.where(np.isnan(found) == self.nan, errors, np.inf)
        place = int(np.argmax(errors))
        return float(errors[place]), place


@cache
def _truth(name: str, dtype: Any, step: int = STEP) -> tuple[Any, Truth]:
    wide = np.float64 if dtype == FLOAT32 else np.longdouble
    if np.finfo(wide).nmant < np.finfo(dtype).nmant + 10:
        pytest.skip("this machine has no wider type to compare float64 with")
    slow = 16 if name in LIBRARY or name == "erf" else 1
    x = _float32_points(step * slow) if dtype == FLOAT32 else _float64_points()
    with np.errstate(all="ignore"):
        return x, Truth(REFERENCES[name](x.astype(wide)), dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", REFERENCES)
def test_errors_stay_within_limits_on_every_target(name: str, dtype: Any) -> None:
    x, truth = _truth(name, dtype)
    limit = LIBRARY_LIMIT if name in LIBRARY else LIMITS[name][dtype]
    for target in RUNNABLE[:1] if name in LIBRARY else RUNNABLE:
        error, place = truth.worst(Compiled(name, dtype, target)(x))
        print(f"{name:9} {dtype} {target.name:7} {error:6.3f} ulp at {x[place]!r}")
        assert error <= limit, (target.name, x[place])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [formula.__name__ for formula in VECTORISED if formula.__name__ in REFERENCES]
)
def test_a_denser_sweep_of_float32(name: str) -> None:
    x, truth = _truth.__wrapped__(name, FLOAT32, DENSE_STEP)
    for target in RUNNABLE:
        error, place = truth.worst(Compiled(name, FLOAT32, target)(x))
        print(f"{name:9} {target.name:7} {error:6.3f} ulp of {x.size:,} at {x[place]!r}")
        assert error <= LIMITS[name][FLOAT32], (target.name, x[place])


# operand, result; zeros keep their signs
ENDS: dict[str, list[tuple[float, float]]] = {
    "exp": [(-np.inf, 0), (np.inf, np.inf), (0, 1), (-0.0, 1), (1e30, np.inf), (-1e30, 0)],
    "expm1": [(-np.inf, -1), (np.inf, np.inf), (0, 0), (-0.0, -0.0), (-1e30, -1)],
    "log": [(0, -np.inf), (-0.0, -np.inf), (1, 0), (np.inf, np.inf), (-1, np.nan)],
    "log1p": [(-1, -np.inf), (-0.0, -0.0), (0, 0), (np.inf, np.inf), (-2, np.nan)],
    "log2": [(0, -np.inf), (1, 0), (8, 3), (2.0**-126, -126), (np.inf, np.inf), (-1, np.nan)],
    "log10": [(0, -np.inf), (1, 0), (1000, 3), (np.inf, np.inf), (-np.inf, np.nan)],
    "tanh": [(np.inf, 1), (-np.inf, -1), (-0.0, -0.0), (0, 0), (1e30, 1)],
    "sigmoid": [(np.inf, 1), (-np.inf, 0), (0, 0.5), (1e30, 1), (-1e30, 0)],
    "softplus": [(np.inf, np.inf), (-np.inf, 0), (1e30, 1e30)],
    "erf": [(np.inf, 1), (-np.inf, -1), (-0.0, -0.0), (0, 0), (1e30, 1)],
    "sin": [(np.inf, np.nan), (-0.0, -0.0), (0, 0)],
    "cos": [(-np.inf, np.nan), (-0.0, 1)],
    "tan": [(np.inf, np.nan), (-0.0, -0.0), (0, 0)],
    "sqrt": [(np.inf, np.inf), (-0.0, -0.0), (-1, np.nan)],
}


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ENDS)
def test_ends_of_the_range_are_exact(name: str, dtype: Any) -> None:
    pairs = [*ENDS[name], (np.nan, np.nan)]
    pairs += pairs[:1] * (-len(pairs) % LARGEST_LANES)
    x, expected = np.array(pairs).astype(dtype).T.copy()
    for target in RUNNABLE:
        found = Compiled(name, dtype, target)(x)
        np.testing.assert_array_equal(found, expected, err_msg=target.name)
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(expected[known]))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["sigmoid", "exp"])
def test_the_smallest_results_are_rounded_not_lost(name: str, dtype: Any) -> None:
    smallest = float(np.finfo(dtype).smallest_subnormal)
    x = np.full(LARGEST_LANES, np.log(smallest) + 0.01, dtype)
    for target in RUNNABLE:
        np.testing.assert_array_equal(Compiled(name, dtype, target)(x), dtype.type(smallest))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_functions_of_two_numbers(name: str, dtype: Any) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 64 * LARGEST_LANES)).astype(dtype) * 3
    a = np.abs(a) if name == "power" else a
    exact = PAIRS[name](a.astype(np.longdouble), b.astype(np.longdouble))
    scale = np.maximum(np.abs(exact), np.abs(a) if name == "logaddexp" else 0)
    for target in RUNNABLE:
        found = Compiled(name, dtype, target, operands=2)(a, b)
        assert np.max(np.abs(found - exact) / scale) < 4 * np.finfo(dtype).eps, target.name


def test_logaddexp_at_infinities() -> None:
    inf, nan = np.inf, np.nan
    a = np.tile(np.array([inf, inf, -inf, -inf, nan, 1, -inf, 0.0], np.float32), 8)
    b = np.tile(np.array([inf, -inf, inf, -inf, 1, nan, 2, -inf], np.float32), 8)
    expected = np.tile(np.array([inf, inf, inf, -inf, nan, nan, 2, 0.0], np.float32), 8)
    for target in RUNNABLE:
        np.testing.assert_array_equal(Compiled("logaddexp", FLOAT32, target, 2)(a, b), expected)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", [formula.__name__ for formula in VECTORISED])
def test_results_do_not_depend_on_the_number_of_lanes(name: str, dtype: Any) -> None:
    random = np.random.default_rng(5)
    count = 2 if name == "logaddexp" else 1
    x = [random.normal(size=8 * LARGEST_LANES) * 30 for _ in range(count)]
    x[0][::17] *= 1e6  # some angles need the library, whose neighbours must not notice
    arrays = [values.astype(dtype) for values in x]
    results = [
        Compiled(name, dtype, host(), count, lanes)(*arrays).view(f"i{dtype.itemsize}")
        for lanes in (1, 2, 4, 8, 16)
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_code_for_arm_is_generated_and_verified(name: str) -> None:
    operands = 2 if name in PAIRS else 1
    for dtype in FLOATS:
        text = Compiled.source(name, dtype, TARGETS["neon"], operands)
        assert to_object(text, TARGETS["neon"])[:4] == b"\x7fELF"


DEFECTS = {  # the polynomial's name -> a function that shows a wrong coefficient
    "exp": "exp", "log": "log", "erf": "erf", "erfc": "erf", "tanh": "tanh", "sin": "sin",
    "cos": "cos", "ln2": "log", "log10_2": "log10", "log2_e": "log2", "log10_e": "log10",
}  # fmt: skip


def test_every_constant_has_its_defect() -> None:
    fields = {field.name for field in dataclasses.fields(elementary.Constants)}
    assert fields == DEFECTS.keys()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("constant", DEFECTS)
def test_a_wrong_constant_is_caught(
    constant: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    element = "float" if dtype == FLOAT32 else "double"
    form = elementary.FORMATS[element]
    first, *rest = getattr(form.constants, constant)
    planted = (first * (1 + 2000 * np.finfo(dtype).eps), *rest)
    changed = dataclasses.replace(form.constants, **{constant: planted})
    monkeypatch.setitem(elementary.FORMATS, element, dataclasses.replace(form, constants=changed))
    name = DEFECTS[constant]
    x, truth = _truth(name, dtype)
    error, _ = truth.worst(Compiled(name, dtype, host())(x))
    assert error > LIMITS[name][dtype]


def test_constants_are_what_the_tool_computes() -> None:
    pytest.importorskip("mpmath", reason="the constants are computed with mpmath")
    from tools import make_polynomials

    assert make_polynomials.MODULE.read_text(encoding="utf-8") == make_polynomials.module()
