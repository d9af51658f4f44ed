"""The order of samples over virtual shards: complete, the same for everybody, shuffled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data import shards
from chainrule.data.shards import (
    BLOCK_ROWS,
    SHARDS,
    Order,
    Window,
    rows_of,
    shard_of,
    share,
    window_rows,
)
from chainrule.errors import ParameterError

SIZES = st.lists(st.integers(0, 900), min_size=SHARDS, max_size=SHARDS)


def sequence(order: Order, epoch: int, processes: int = 1) -> list[tuple[int, int]]:
    """The samples of an epoch, (shard, row), put together from what several processes compute."""
    found = []
    for number in range(order.chunks):
        chunk: dict[int, tuple[int, int]] = {}
        for process in range(processes):
            for window in order.chunk(epoch, number, share(process, processes)):
                rows = zip(window.samples.tolist(), window.rows.tolist(), strict=True)
                chunk |= {sample: (window.shard, row) for sample, row in rows}
        assert sorted(chunk) == list(range(order.starts[number + 1] - order.starts[number]))
        found += [chunk[sample] for sample in sorted(chunk)]
    return found


@settings(max_examples=8)
@given(SIZES, st.integers(100, 600), st.integers(0, 3), st.booleans())
def test_an_epoch_visits_every_row_once(
    sizes: list[int], window: int, epoch: int, shuffled: bool
) -> None:
    order = Order(tuple(sizes), window, 7, shuffled)
    every = {(shard, row) for shard, size in enumerate(sizes) for row in range(size)}
    found = sequence(order, epoch)
    assert len(found) == len(every) == len(order)
    assert {*found} == every


@pytest.mark.parametrize("processes", [3, 8])
def test_the_order_is_the_same_for_any_number_of_processes(processes: int) -> None:
    order = Order(tuple(300 + shard for shard in range(SHARDS)), 256, 3)
    assert sequence(order, 2, processes) == sequence(order, 2)


def test_an_order_that_depends_on_who_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Order.chunk

    def own_order(self: Order, epoch: int, number: int, mine: range) -> list[Window]:
        found = genuine(self, epoch, number, mine)
        return [w._replace(order=w.order[::-1]) if mine.start else w for w in found]

    order = Order((300,) * SHARDS, 256, 3)
    right = sequence(order, 0)
    monkeypatch.setattr(Order, "chunk", own_order)
    assert sequence(order, 0, 2) != right


def test_each_seed_and_epoch_has_an_order_of_its_own() -> None:
    sizes = (1000,) * SHARDS
    orders = [sequence(Order(sizes, 512, seed), epoch) for seed, epoch in [(0, 0), (0, 1), (1, 0)]]
    assert orders[0] == sequence(Order(sizes, 512, 0), 0)
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        same = np.mean([a == b for a, b in zip(orders[one], orders[other], strict=True)])
        assert same < 0.01


def test_a_batch_holds_rows_of_all_shards() -> None:
    found = sequence(Order((100,) * SHARDS, 256, 0), 0)
    for start in range(0, 6400, SHARDS):
        assert [shard for shard, _ in found[start : start + SHARDS]] == list(range(SHARDS))


def test_unshuffled_shards_come_as_they_stand() -> None:
    found = sequence(Order((600,) * SHARDS, 256, 0, shuffled=False), 5)
    assert [row for shard, row in found if shard == 3] == list(range(600))


def test_whole_blocks_are_read_together() -> None:
    order = Order((4 * BLOCK_ROWS,) + (0,) * 63, 2 * BLOCK_ROWS, 0)
    (window,) = order.chunk(0, 0)
    assert sorted({row // BLOCK_ROWS for row in window.rows.tolist()}) in (
        [[a, b] for a in range(4) for b in range(a + 1, 4)]
    )
    assert len(window.rows) == 2 * BLOCK_ROWS


@given(st.integers(0, 10**6))
def test_shards_are_equal_parts_of_the_table(rows: int) -> None:
    ranges = [rows_of(range(shard, shard + 1), rows) for shard in range(SHARDS)]
    assert [r.start for r in ranges[1:]] == [r.stop for r in ranges[:-1]]
    assert ranges[0].start == 0 and ranges[-1].stop == rows
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1
    numbers = np.unique(np.linspace(0, max(rows - 1, 0), 50).astype(np.int64))[: rows or 0]
    for number, shard in zip(numbers.tolist(), shard_of(numbers, rows).tolist(), strict=True):
        assert number in ranges[shard]


@given(st.integers(1, SHARDS))
def test_shares_are_parts_of_all_shards(processes: int) -> None:
    shares = [share(process, processes) for process in range(processes)]
    assert [shard for each in shares for shard in each] == list(range(SHARDS))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("process", "processes"), [(0, 0), (0, 65), (2, 2), (-1, 2)])
def test_shares_that_do_not_exist_are_refused(process: int, processes: int) -> None:
    with pytest.raises(ParameterError):
        share(process, processes)


@pytest.mark.parametrize("sizes", [(1,) * 63, (-1,) + (1,) * 63])
def test_orders_of_other_sizes_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="sizes of 64 shards"):
        Order(sizes, 256, 0)


@given(st.integers(1, 2**34))
def test_windows_fit_into_the_buffer(row_bytes: int) -> None:
    window = window_rows(row_bytes)
    assert window < BLOCK_ROWS or window % BLOCK_ROWS == 0
    assert window == 1 or window * SHARDS * row_bytes <= shards.BUFFER_BYTES
