"""Random numbers: known answers of the cipher, distributions, and independence of the order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import chainrule as cr
from chainrule.errors import ParameterError, ShapeError
from chainrule.ops import random

COUNT = 100_000
UNLIKELY = 1e-4  # the keys are fixed, so that a right generator passes in every run


def words(*values: int) -> Any:
    return np.array(values, np.uint32)


# Random123's kat_vectors, threefry2x32 with 20 rounds
@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(key: Any, counter: Any, expected: Any) -> None:
    first, second = counter
    found = random.threefry(words(*key), words(first), words(second))
    assert tuple(int(word[0]) for word in found) == expected


def test_bits_of_all_widths_are_one_stream() -> None:
    key = random.key(12345678901234567890)
    wide = random.random_bits(key, (100,), 64)
    for width in (8, 16, 32):
        narrow = random.random_bits(key, (100 * 64 // width,), width)
        assert narrow.tobytes() == wide.astype("<u8").tobytes()


def test_the_beginning_of_a_stream_does_not_depend_on_its_length() -> None:
    key = random.key(3)
    assert random.random_bits(key, (7,)).tolist() == random.random_bits(key, (1001,))[:7].tolist()
    assert (
        random.random_bits(key, (2, 3)).ravel().tolist() == random.random_bits(key, (6,)).tolist()
    )


def test_many_keys_at_once_are_each_on_its_own() -> None:
    keys = np.stack([random.key(seed) for seed in (1, 2, 2**40)])
    together = random.random_bits(keys, (5,))
    assert together.tolist() == [random.random_bits(key, (5,)).tolist() for key in keys]
    folded = random.fold_in(keys, np.array([4, 5, 6]))
    assert folded.tolist() == [
        random.fold_in(key, number).tolist() for key, number in zip(keys, (4, 5, 6), strict=True)
    ]


def test_folded_keys_differ() -> None:
    key = random.key(0)
    numbers = [*range(200), 2**32, 2**32 + 1, 2**63]
    found = {random.fold_in(key, np.uint64(number)).tobytes() for number in numbers}
    assert len(found) == len(numbers)


def test_nodes_and_arrays_draw_the_same_numbers() -> None:
    key = cr.input((2,), np.uint32)
    arrays = random.key(9)
    for draw in (
        lambda k: random.uniform(k, (6,)),
        lambda k: random.normal(k, (6,), np.float32),
        lambda k: random.bernoulli(k, 0.3, (6,)),
        lambda k: random.permutation(k, 6),
        lambda k: random.fold_in(k, 3),
    ):
        assert cr.evaluate(draw(key), feed={key: arrays}).tolist() == draw(arrays).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_numbers(dtype: Any) -> None:
    x = random.uniform(random.key(1), (COUNT,), dtype=dtype)
    assert x.dtype == dtype
    assert 0 <= x.min() < 1e-3
    assert 1 - 1e-3 < x.max() < 1
    assert stats.kstest(x.astype(float), "uniform").pvalue > UNLIKELY
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.015
    y = random.uniform(random.key(1), (COUNT,), -2.0, 3.0, dtype)
    np.testing.assert_allclose(y, x * 5 - 2, rtol=0, atol=1e-6)
    assert y.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_numbers(dtype: Any) -> None:
    x = random.normal(random.key(2), (COUNT,), dtype)
    assert x.dtype == dtype
    assert np.isfinite(x).all()
    assert stats.kstest(x.astype(float), "norm").pvalue > UNLIKELY
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.015


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_truth_values(probability: float) -> None:
    x = random.bernoulli(random.key(3), probability, (COUNT,))
    assert x.dtype == bool
    assert stats.binomtest(int(x.sum()), COUNT, probability).pvalue > UNLIKELY


def test_permutations() -> None:
    order = random.permutation(random.key(4), 1000)
    assert sorted(order.tolist()) == list(range(1000))
    firsts = np.array([random.permutation(random.key(seed), 5)[0] for seed in range(2000)])
    assert stats.chisquare(np.bincount(firsts, minlength=5)).pvalue > UNLIKELY


def test_a_biased_generator_would_be_caught() -> None:
    x = random.uniform(random.key(1), (COUNT,)) ** 1.05
    assert stats.kstest(x, "uniform").pvalue < UNLIKELY


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "a", None])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(ParameterError, match="a seed must be an integer from 0"):
        random.key(seed)


def test_what_is_no_key_is_refused() -> None:
    for wrong in (np.zeros(2), np.zeros(3, np.uint32), np.uint32(1)):
        with pytest.raises(ShapeError, match=r"cr\.random\.key"):
            random.random_bits(wrong, (3,))
    with pytest.raises(ParameterError, match="width"):
        random.random_bits(random.key(0), (3,), 12)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        random.bernoulli(random.key(0), 1.5)
    with pytest.raises(ShapeError, match="one number for each key"):
        random.fold_in(random.key(0), np.array([1, 2]))
