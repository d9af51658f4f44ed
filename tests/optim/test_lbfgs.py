"""L-BFGS reaches known minima, stops when told to, and says what it cannot do."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from chainrule.errors import DivergenceError, MissingExtraError, ParameterError
from chainrule.optim import LBFGS


def _rosenbrock(point: Any) -> tuple[float, Any]:
    return rosen(point), rosen_der(point)


START = np.array([-1.2, 1.0, -0.5, 0.8])


def test_rosenbrocks_minimum_is_found() -> None:
    start = START.copy()
    found = LBFGS(value_tolerance=1e-15, gradient_tolerance=1e-9).minimize(_rosenbrock, start)
    np.testing.assert_allclose(found.parameters, np.ones(4), atol=1e-6)
    assert found.converged and found.iterations < 100
    assert found.value == rosen(found.parameters)
    np.testing.assert_array_equal(start, START)


def test_float32_functions_are_taken() -> None:
    def function(point: Any) -> tuple[Any, Any]:
        narrow = point.astype(np.float32)
        return (narrow * narrow).sum(), 2 * narrow

    found = LBFGS().minimize(function, np.ones(3, np.float32))
    np.testing.assert_allclose(found.parameters, np.zeros(3), atol=1e-6)


def test_iterations_and_memory_are_bounded() -> None:
    few = LBFGS(3).minimize(_rosenbrock, START)
    assert few.iterations == 3 and not few.converged
    short = LBFGS(12, memory=1).minimize(_rosenbrock, START)
    long = LBFGS(12, memory=10).minimize(_rosenbrock, START)
    assert not np.array_equal(short.parameters, long.parameters)


def test_tolerances_end_the_search() -> None:
    exact = LBFGS(value_tolerance=0.0, gradient_tolerance=1e-9).minimize(_rosenbrock, START)
    for loose in (LBFGS(value_tolerance=0.1), LBFGS(gradient_tolerance=1.0)):
        found = loose.minimize(_rosenbrock, START)
        assert found.converged and found.iterations < exact.iterations


def test_line_searches_are_bounded() -> None:
    calls = []

    def steep(point: Any) -> tuple[float, Any]:
        calls.append(point)
        return float(np.abs(point).sum()), -np.sign(point)  # the wrong way: no step descends

    found = LBFGS(5, max_line_search=3).minimize(steep, np.ones(2))
    assert not found.converged and len(calls) < 30


def test_a_callback_sees_each_iteration_and_can_end_it() -> None:
    seen = []

    def callback(point: Any, value: float) -> bool:
        seen.append((point, value))
        return len(seen) == 4

    found = LBFGS().minimize(_rosenbrock, START, callback)
    assert len(seen) == found.iterations == 4 and not found.converged
    for point, value in seen:
        assert value == rosen(point)
    assert [value for _, value in seen] == sorted([value for _, value in seen], reverse=True)


def test_a_function_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(DivergenceError, match="LBFGS found no finite value: it is nan"):
        LBFGS().minimize(lambda point: (np.nan, np.zeros(2)), np.ones(2))


def test_update_says_what_to_call() -> None:
    with pytest.raises(ParameterError, match=r"call minimize\(value_and_gradient, start\)"):
        LBFGS().update({}, {}, {})


def test_without_scipy_the_message_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_scipy(name: str, *rest: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(MissingExtraError, match=r'pip install "chainrule\[sklearn\]"'):
        LBFGS().minimize(_rosenbrock, START)
