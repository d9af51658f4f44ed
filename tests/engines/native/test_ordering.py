"""Orders of rows are those of the reference engine, on every target."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from chainrule.engines.native import ordering
from chainrule.engines.native.emitter import module
from chainrule.engines.native.jit import Code, to_object
from chainrule.engines.native.layout import SHUFFLED, sorting_bytes
from chainrule.engines.native.structured import Structured, functions
from chainrule.ops import random
from chainrule.shapes import Array
from tests.engines.native.multiply import Placed, target_named
from tests.engines.native.test_products import RUNNABLE, runnable

AROUND_BLOCKS = (255, 256, 257, 511, 2049)
AROUND_DIGITS = (4095, 4096, 32_767, 32_768, 300_000)


def shuffled(target_name: str, rows: int, seed: int) -> Array:
    """An order by the engine's code, in buffers that end at memory nobody may touch."""
    target = target_named(target_name)
    texts, declarations = functions(target, ordering.PARTS, Structured)
    code = Code([to_object(module(target, texts, declarations), target)], target)
    kinds = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
    shuffle = code.function(SHUFFLED, None, *kinds)
    placed = Placed(at_end=True)
    key = placed.copy(random.key(seed))
    order = placed.copy(np.zeros(rows, np.int64))
    work = placed.copy(np.zeros(sorting_bytes(rows), np.uint8))
    shuffle(key.ctypes.data, 7, rows, order.ctypes.data, work.ctypes.data)
    return order.copy()


def assert_same_order(target_name: str, rows: int, seed: int = 5) -> None:
    key = random.fold_in(random.fold_in(random.key(seed), 7), 0)
    expected = random.permutation(key, rows)
    np.testing.assert_array_equal(shuffled(target_name, rows, seed), expected)


@pytest.mark.parametrize("target_name", RUNNABLE)
@pytest.mark.parametrize("rows", [1, 2, 3, 9, 100, *AROUND_BLOCKS, *AROUND_DIGITS])
def test_the_order_is_the_reference_engine_s(rows: int, target_name: str) -> None:
    """However many digits the words are sorted by, and wherever blocks of buckets end."""
    if not runnable(target_name):
        pytest.skip(f"this processor does not run {target_name} code")
    assert_same_order(target_name, rows)


def test_many_orders_of_few_rows() -> None:
    """Buckets of all sizes, also empty and overfull ones."""
    for seed in range(30):
        assert_same_order("host", 600 + seed, seed)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("_exchange_neighbours", lambda *_: "false"), ("_bucket_end", lambda *given: given[-1])],
)
def test_an_order_that_is_not_sorted_is_caught(
    name: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours stay where they are, or blocks end inside buckets."""
    monkeypatch.setattr(ordering, name, wrong)
    with pytest.raises(AssertionError):
        assert_same_order("host", 4096)
