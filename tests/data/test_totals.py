"""Totals of all rows: exact, in whatever order and blocks the rows come."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from statistics import fmean, pstdev

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.totals import UNIT, Totals, exact_sum

Floats = npt.NDArray[np.float64]
NUMBERS = st.floats(-1e200, 1e200, allow_subnormal=True)
HARD = {
    "rare and huge": np.append(np.zeros(9_999), 1e100),
    "far from zero": 1e9 + np.arange(10_000) / 1024,
    "sorted": np.sort(np.random.default_rng(0).lognormal(0, 3, 10_000)),
    "one value": np.full(1_000, 0.1),
}


@given(st.lists(st.tuples(NUMBERS, st.integers(1, 10**6)), min_size=1))
def test_a_sum_is_exact(counted: list[tuple[float, int]]) -> None:
    values, times = np.array([x for x, _ in counted]), np.array([n for _, n in counted])
    assert Fraction(exact_sum(values, times), UNIT) == sum(Fraction(x) * n for x, n in counted)
    assert Fraction(exact_sum(values), UNIT) == sum(Fraction(x) for x, _ in counted)


def in_blocks(values: Floats, size: int) -> tuple[float, float]:
    totals = Totals(np.median(values, keepdims=True))
    for low in range(0, len(values), size):
        totals.add(len(values[low : low + size]), [(values[low : low + size], None)])
    return float(totals.means[0]), float(totals.deviations[0])


def in_floats(values: Floats, size: int) -> tuple[float, float]:
    """The defect: sums of blocks are rounded, and nothing is shifted."""
    blocks = [values[low : low + size] for low in range(0, len(values), size)]
    total, squares = (sum(float((b**power).sum()) for b in blocks) for power in (1, 2))
    mean = total / len(values)
    return mean, float(np.sqrt(max(squares / len(values) - mean**2, 0)))


def hold(found: Callable[[Floats, int], tuple[float, float]], values: Floats) -> None:
    mean, deviation = found(values, len(values))
    assert mean == pytest.approx(fmean(values.tolist()), rel=1e-14, abs=0)
    assert deviation == pytest.approx(pstdev(values.tolist()), rel=1e-14, abs=0)
    assert found(values, 7) == found(values[::-1], 1_000) == (mean, deviation)


@pytest.mark.parametrize("case", HARD)
def test_means_and_deviations_are_those_of_all_rows_whatever_the_blocks(case: str) -> None:
    hold(in_blocks, HARD[case])


@pytest.mark.parametrize("case", ["far from zero", "sorted"])
def test_rounded_sums_are_noticed(case: str) -> None:
    with pytest.raises(AssertionError):
        hold(in_floats, HARD[case])


def test_totals_of_processes_are_those_of_all() -> None:
    values, halves = HARD["sorted"], np.split(HARD["sorted"], 2)
    parts = []
    for half in halves:
        totals = Totals(np.array([1.0, 2.0]))
        totals.add(len(half), [(half, None), (-half, None)])
        parts.append(totals.packed())
    whole, together = Totals(np.array([1.0, 2.0])), Totals(np.array([1.0, 2.0]))
    whole.add(len(values), [(values, None), (-values, None)])
    together.replaced(parts)
    assert together.packed() == whole.packed()
    np.testing.assert_array_equal(together.means, whole.means)
    np.testing.assert_allclose(whole.deviations, [values.std()] * 2, rtol=1e-13)
