"""Schedules: units, ends, nesting, nodes. Their numbers are in test_golden.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import ops
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph
from chainrule.optim import ReduceOnPlateau, Schedule
from chainrule.optim.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    OneCycle,
    StepDecay,
    WarmUp,
)

ALL: list[Schedule] = [
    Constant(0.1),
    StepDecay(0.1, every=2),
    Exponential(0.1, 0.9),
    InverseTime(0.1, 0.5),
    Cosine(0.1),
    Cosine(0.1, 5, final=0.25, per="step"),
    OneCycle(0.1),
    OneCycle(0.1, rise=0.0),
    OneCycle(0.1, rise=1.0),
    OneCycle(0.1, duration=2, rise=0.5),
    OneCycle(0.1, duration=1),
    WarmUp(0.1, 3),
    WarmUp(Cosine(0.1), 3),
]
schedules = pytest.mark.parametrize("schedule", [one.bind(4, 40) for one in ALL], ids=repr)


@schedules
@given(step=st.integers(0, 100))
def test_rates_are_finite_positive_and_at_most_the_peak(schedule: Schedule, step: int) -> None:
    rate = schedule(np.array(step))
    assert rate.shape == () and rate.dtype == np.float64
    assert 0 <= float(rate) <= 0.1 * (1 + 1e-15)


@schedules
def test_nodes_give_what_arrays_and_numbers_give(schedule: Schedule) -> None:
    step = ops.input((), np.int64)
    run = ReferenceEngine().compile(Graph((step,), (schedule(step),)))
    for taken in (0, 1, 3, 4, 11, 39, 40, 41):
        (found,) = run([np.array(taken)])
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, schedule(np.array(taken)), rtol=1e-15)
        np.testing.assert_allclose(found, schedule(taken), rtol=1e-15)


def test_a_rate_per_epoch_stays_within_the_epoch() -> None:
    schedule = Exponential(1.0, 0.5).bind(steps_per_epoch=3, total_steps=9)
    assert [float(schedule(step)) for step in range(9)] == [1.0] * 3 + [0.5] * 3 + [0.25] * 3
    by_step = Exponential(1.0, 0.5, per="step").bind(steps_per_epoch=3, total_steps=9)
    assert float(by_step(2)) == 0.25


def test_a_duration_that_is_not_given_is_the_training() -> None:
    assert Cosine(0.1).bind(4, 40)(20) == Cosine(0.1, duration=10).bind(4, 400)(20)
    assert OneCycle(0.1).bind(4, 40)(20) == OneCycle(0.1, duration=40)(20)


def test_ends_stay() -> None:
    np.testing.assert_allclose(Cosine(2.0, 5, final=0.25)(99), 0.5)
    np.testing.assert_allclose(OneCycle(1.0, 5)(99), OneCycle(1.0, 5)(4))
    np.testing.assert_allclose(OneCycle(1.0, 5)(4), 1 / 25 / 1e4)


def test_wrapped_schedules_multiply_and_are_bound_too() -> None:
    schedule = WarmUp(StepDecay(1.0, every=1, decay=0.5), 8, start=0.5).bind(4, 40)
    expected = [(0.5 + 0.5 * min(step, 8) / 8) * 0.5 ** (step // 4) for step in range(12)]
    np.testing.assert_allclose([float(schedule(step)) for step in range(12)], expected)


def test_the_rates_of_inverse_time_sum_as_convergence_needs() -> None:
    rates = np.array([float(InverseTime(1.0)(step)) for step in range(2000)])
    assert abs(rates.sum() - (math.log(2000) + np.euler_gamma)) < 1e-3
    assert abs((rates**2).sum() - math.pi**2 / 6) < 1e-3


def _scales(plateau: ReduceOnPlateau, metrics: list[float]) -> list[float]:
    state, found = plateau.start(), []
    for metric in metrics:
        state, scale = plateau.observe(state, metric)
        found.append(scale)
    return found


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_metric_that_is_not_a_number_is_no_improvement(mode: str) -> None:
    plateau = ReduceOnPlateau(0.5, patience=1, mode=mode)
    assert _scales(plateau, [math.nan] * 4) == [1.0, 0.5, 0.5, 0.25]


def test_a_negative_metric_has_to_get_better_too() -> None:
    plateau = ReduceOnPlateau(0.5, patience=0, threshold=0.1)
    assert _scales(plateau, [-1.0, -0.95, -1.2]) == [1.0, 0.5, 0.5]


@given(metrics=st.lists(st.floats(), max_size=30), minimum=st.floats(0, 1))
def test_scales_only_fall_and_stop_at_the_minimum(metrics: list[float], minimum: float) -> None:
    found: list[Any] = _scales(ReduceOnPlateau(0.3, patience=0, minimum=minimum), metrics)
    assert found == sorted(found, reverse=True)
    assert all(minimum <= scale <= 1 for scale in found)
