"""Splits: every row once, the share asked for, the same again from the same seed."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chainrule.data import split
from chainrule.errors import DataError, ParameterError, ShapeError

FRACTIONS = st.floats(0.01, 0.99)


@given(st.integers(2, 60), FRACTIONS, st.integers(0, 2**64 - 1))
def test_every_row_is_in_one_part(n: int, fraction: float, seed: int) -> None:
    train, held_out = split(n, fraction, seed)
    assert sorted([*train, *held_out]) == [*range(n)]
    assert 1 <= len(held_out) <= n - 1
    assert abs(len(held_out) - n * fraction) <= 1
    assert train.dtype == held_out.dtype == np.int64


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=60), FRACTIONS, st.integers(0, 99))
def test_classes_keep_their_share(labels: list[str], fraction: float, seed: int) -> None:
    n_held_out = min(max(round(len(labels) * fraction), 1), len(labels) - 1)
    assume(n_held_out <= len(labels) - len(set(labels)))
    train, held_out = split(len(labels), fraction, seed, stratify=labels)
    assert sorted([*train, *held_out]) == [*range(len(labels))]
    assert len(held_out) == n_held_out
    chosen = collections.Counter(labels[row] for row in held_out)
    counts = collections.Counter(labels)
    assert all(chosen[label] < count for label, count in counts.items())
    shares = {label: count * n_held_out / len(labels) for label, count in counts.items()}
    if all(share < counts[label] - 1 for label, share in shares.items()):
        assert all(abs(chosen[label] - share) <= 1 for label, share in shares.items())


@pytest.mark.parametrize("stratify", [None, [0, 1] * 500], ids=["plain", "stratified"])
def test_a_seed_fixes_the_rows_and_seeds_differ(stratify: Any) -> None:
    first, again, other = (split(1000, 0.25, seed, stratify=stratify) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(np.sort(first[1]), np.sort(other[1]))


def test_rows_are_shuffled_in_both_parts() -> None:
    labels = np.repeat([0, 1], 500)
    for part in split(1000, 0.5, 0, stratify=labels):
        assert 150 < labels[part][:500].sum() < 350
        assert np.abs(np.corrcoef(part, np.arange(len(part)))[0, 1]) < 0.2


def test_every_row_of_a_class_is_held_out_equally_often() -> None:
    labels = [0] * 8 + [1] * 2
    times = np.zeros(10)
    for seed in range(2000):
        times[split(10, 0.5, seed, stratify=labels)[1]] += 1
    assert np.allclose(times / 2000, 0.5, atol=0.05)


def test_a_class_of_one_row_is_trained_on() -> None:
    for seed in range(50):
        train, _ = split(10, 0.5, seed, stratify=[0] * 9 + [1])
        assert 9 in train


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_fractions_out_of_range(fraction: float) -> None:
    with pytest.raises(ParameterError, match="between 0 and 1"):
        split(10, fraction, 0)


def test_seeds_out_of_range() -> None:
    with pytest.raises(ParameterError, match="seed must be at least 0"):
        split(10, 0.5, -1)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows(n: int) -> None:
    with pytest.raises(DataError, match=f"cannot split {n} rows"):
        split(n, 0.5, 0)


def test_too_few_rows_for_the_classes() -> None:
    with pytest.raises(DataError, match="cannot hold out 2 of 4 rows and still train on each of 3"):
        split(4, 0.5, 0, stratify=["a", "b", "c", "c"])


def test_labels_for_other_rows() -> None:
    with pytest.raises(ShapeError, match=r"stratify has shape \(3,\) but there are 4 rows"):
        split(4, 0.5, 0, stratify=["a", "b", "c"])
