"""Rows on disk: a training that reads them gives the bits of one with the rows in memory."""

from __future__ import annotations

import errno
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import shards, spool
from chainrule.data.shards import SHARDS, Order, shard_of
from chainrule.data.spool import Spool
from chainrule.engines import reference
from chainrule.errors import DataError, ParameterError
from chainrule.nn import Activation, BatchNorm, Dropout, Linear, Network
from chainrule.optim import LBFGS
from chainrule.training import data as training_data
from chainrule.training.streaming import Portion

ROWS = 1111
BATCH = 100
STATUS = Path("/proc/self/status")


def data(rows: int = ROWS) -> tuple[Any, Any]:
    draw = np.random.default_rng(0)
    X = draw.standard_normal((rows, 4)).astype(np.float32)
    return X, (X[:, 0] > X[:, 1] ** 2).astype(np.int64)


def spooled(X: Any, y: Any, *more: Any) -> Spool:
    return filled(Spool([X[:50], y[:50], *[each[:50] for each in more]]), X, y, *more)


def filled(found: Spool, X: Any, y: Any, *more: Any) -> Spool:
    for low in range(0, len(X), 700):  # as blocks of a file come
        part = slice(low, low + 700)
        numbers = shard_of(np.arange(len(X))[part], len(X))
        found.write(numbers, [X[part], y[part], *[each[part] for each in more]])
    return found


def network() -> Network:
    layers = [Linear(4, 8), BatchNorm(8), Activation("relu"), Dropout(0.2), Linear(8, 2)]
    return Network([*layers, Activation("softmax")], seed=1)


def in_order(order: Order, epoch: int, starts: Any) -> Any:
    """The numbers of all rows, in the order of an epoch."""
    found = []
    for number in range(order.chunks):
        windows = order.chunk(epoch, number)
        rows = np.empty(sum(len(window.order) for window in windows), np.int64)
        for window in windows:
            rows[window.samples] = starts[window.shard] + window.rows
        found.append(rows)
    return np.concatenate(found)


def epoch_order(epoch: int, seed: int, window: int, rows: int = ROWS) -> Any:
    sizes = np.bincount(shard_of(np.arange(rows), rows), minlength=SHARDS)
    starts = np.append(0, np.cumsum(sizes))
    return in_order(Order(tuple(sizes.tolist()), window, seed), epoch, starts)


@pytest.fixture(params=[256, 6])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Rows of a shard that are shuffled together: of all chunks, some, and many small ones."""
    monkeypatch.setattr(spool, "window_rows", lambda row_bytes: request.param)
    monkeypatch.setattr(shards, "BLOCK_ROWS", 8)
    return int(request.param)


def gathered(found: Spool, epoch: int, bounds: Any, first: int = 0) -> Any:
    rows, step = [], first
    for portion in found.portions(epoch, bounds, first, seed=3, shuffled=True):
        assert portion.first == step
        assert len(portion.rows[0]) == bounds[portion.stop - 1, 1] - bounds[portion.first, 0]
        step = portion.stop
        rows.append(portion.rows[0][:, 0])
    assert step == len(bounds)
    return np.concatenate(rows)


def bounds_of(rows: int) -> Any:
    ends = [*range(0, rows, BATCH), rows]
    return np.array(list(pairwise(ends)))


def test_portions_are_the_rows_in_the_order_of_the_epoch(window: int) -> None:
    X = np.arange(ROWS, dtype=np.float32)[:, None]
    with spooled(X, np.arange(ROWS)) as found:
        for epoch in range(2):
            wanted = epoch_order(epoch, 3, window)
            assert sorted(wanted.tolist()) == list(range(ROWS))
            np.testing.assert_array_equal(gathered(found, epoch, bounds_of(ROWS)), wanted)
            for first in (1, len(bounds_of(ROWS)) - 1):  # as a resumed training asks
                rest = gathered(found, epoch, bounds_of(ROWS), first)
                np.testing.assert_array_equal(rest, wanted[first * BATCH :])


def trained_in_memory(window: int, epochs: int, **settings: Any) -> Network:
    """Epoch by epoch on rows in the order of the spool, with the keys of that epoch."""
    X, y = data()
    model, seed = network(), 3
    genuine = reference.row_order

    def order(program: Any, seed: int, epoch: int, rows: int) -> Any:
        assert program.shuffled
        assert rows == ROWS
        return epoch_order(epoch, seed, window)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "row_order", order)
        model.fit(X, y, epochs=epochs, batch_size=BATCH, seed=seed, **settings)
    assert reference.row_order is genuine
    return model


def same(one: Network, other: Network) -> bool:
    pairs = zip(one.snapshot().leaves, other.snapshot().leaves, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_a_streamed_training_gives_the_bits_of_one_in_memory(window: int) -> None:
    X, y = data()
    with spooled(X, y) as rows:
        model = network()
        history = model.fit(rows, epochs=3, batch_size=BATCH, seed=3)
    wanted = trained_in_memory(window, 3)
    assert same(model, wanted)
    assert wanted.history is not None
    np.testing.assert_array_equal(history["loss"], wanted.history["loss"])


def test_rows_in_another_order_are_noticed(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Spool._joined

    def swapped(self: Spool, *arguments: Any) -> Any:
        rows = genuine(self, *arguments)
        return np.concatenate([rows[1:2], rows[:1], rows[2:]])

    monkeypatch.setattr(Spool, "_joined", swapped)
    with spooled(*data()) as rows:
        model = network()
        model.fit(rows, epochs=1, batch_size=BATCH, seed=3)
    assert not same(model, trained_in_memory(window, 1))


def test_a_training_that_forgets_its_place_in_the_epoch_is_noticed(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout draws from the number of the step, which goes on from portion to portion."""
    from chainrule.engines.base import Program

    wanted = trained_in_memory(window, 1)
    monkeypatch.setattr(Program, "first_step", property(lambda self: self.steps.start))
    with spooled(*data()) as rows:
        model = network()
        model.fit(rows, epochs=1, batch_size=BATCH, seed=3)
    one_portion = window == 256
    assert same(model, wanted) == one_portion


def test_weights_come_with_the_rows(window: int) -> None:
    X, y = data()
    weights = np.random.default_rng(1).random(ROWS).astype(np.float32)
    with spooled(X, y, weights) as rows:
        model = network()
        model.fit(rows, epochs=1, batch_size=BATCH, seed=3)
    assert same(model, trained_in_memory(window, 1, sample_weight=weights))


def test_a_single_row_at_the_end_joins_the_batch_before_it(window: int) -> None:
    X, y = data(1001)
    with spooled(X, y) as rows:
        history = network().fit(rows, epochs=1, batch_size=BATCH, seed=3)
    assert len(history.step_losses[-1]) == 10


@pytest.mark.parametrize("window", [6], indirect=True)
def test_a_training_that_is_resumed_within_an_epoch_ends_with_the_same_bits(
    tmp_path: Any, window: int
) -> None:
    from chainrule.training.checkpoints import Checkpoints

    engine = "native"
    X, y = data()
    kept = Checkpoints(tmp_path / "run", seconds=0)
    with spooled(X, y) as rows:
        whole = network()
        whole.fit(rows, epochs=2, batch_size=BATCH, seed=3, engine=engine)
        genuine = Order.chunk

        def failing(self: Order, epoch: int, number: int, shards: Any) -> Any:
            if epoch == 1 and number == self.chunks - 1:
                raise KeyboardInterrupt
            return genuine(self, epoch, number, shards)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Order, "chunk", failing)
            first = network()
            history = first.fit(
                rows, epochs=2, batch_size=BATCH, seed=3, engine=engine, checkpoints=kept
            )
        assert history.interrupted
        assert history.epochs == 1
    with spooled(X, y) as rows:  # a new process reads the table again
        model = network()
        model.fit(rows, epochs=2, batch_size=BATCH, engine=engine, checkpoints=kept, resume=True)
    assert same(model, whole)


def test_a_source_that_ends_too_early_is_refused(window: int) -> None:
    """Or the next epoch's rows would be taken for this one's."""

    class Short(Spool):
        def portions(self, *arguments: Any, **settings: Any) -> Any:
            first = next(super().portions(*arguments, **settings))
            yield first._replace(stop=1, rows=[rows[:BATCH] for rows in first.rows])

    X, y = data()
    with Short([X, y]) as rows, pytest.raises(DataError, match="ended before its steps"):
        rows.write(shard_of(np.arange(len(X)), len(X)), [X, y])
        network().fit(rows, epochs=2, batch_size=BATCH, seed=3)


def test_other_rows_are_another_training(tmp_path: Any) -> None:
    X, y = data(300)
    with spooled(X, y) as rows:
        network().fit(rows, epochs=1, checkpoints=tmp_path / "run", seed=1)
    X[200] += 1
    with spooled(X, y) as rows, pytest.raises(ParameterError, match="whose training rows was"):
        network().fit(rows, epochs=2, checkpoints=tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "given",
    [
        {"y": np.zeros(300)},
        {"sample_weight": np.ones(300)},
        {"class_weight": "balanced"},
        {"replacement": True},
        {"validation": 0.2},
        {"optimizer": LBFGS()},
    ],
)
def test_what_needs_all_rows_at_once_is_refused(given: dict[str, Any]) -> None:
    with spooled(*data(300)) as rows, pytest.raises(ParameterError, match="in memory"):
        network().fit(rows, epochs=1, **given)


def test_a_full_disk_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, rows: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool._File, "write", full)
    X, y = data(300)
    with (
        Spool([X[:5], y[:5]]) as rows,
        pytest.raises(DataError, match=r"No space left on device.*set TMPDIR"),
    ):
        filled(rows, X, y)


def test_rows_that_cannot_be_mapped_are_said_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*arguments: Any, **settings: Any) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(spool.mmap, "mmap", refused)
    with (
        spooled(*data(300)) as rows,
        pytest.raises(DataError, match=r"4,800 bytes .* \(Cannot allocate memory\); raise"),
    ):
        network().fit(rows, epochs=1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(value: float) -> None:
    X, y = data()
    with Spool([X[:50], y[:50]]) as rows:
        X[1000, 2] = value
        filled(rows, X, y)
        with pytest.raises(DataError, match=rf"X has {value} in row \d+, column 2"):
            network().fit(rows, epochs=1, batch_size=BATCH, seed=3)


def test_rows_that_are_finite_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    genuine = training_data.check_finite

    def counted(array: Any, what: str) -> None:
        looked.append(len(array))
        genuine(array, what)

    monkeypatch.setattr(training_data, "check_finite", counted)
    with spooled(*data()) as rows:
        network().fit(rows, epochs=3, batch_size=BATCH, seed=3)
    assert looked == [50]  # the sample


def test_a_source_of_ones_own_is_looked_at_in_every_epoch() -> None:
    """For it may change its rows."""

    class Changing(Spool):
        def portions(self, epoch: int, *arguments: Any, **settings: Any) -> Any:
            for portion in super().portions(epoch, *arguments, **settings):
                X, y = portion.rows
                rows = [np.where(epoch == 1, np.nan, X), y]
                yield Portion(rows, portion.first, portion.stop)

    X, y = data()
    with Changing([X[:50], y[:50]]) as rows, pytest.raises(DataError, match="X has nan"):
        network().fit(filled(rows, X, y), epochs=3, batch_size=BATCH, seed=3)


@pytest.mark.skipif(not STATUS.exists(), reason="needs the kernel's own account of memory")
@pytest.mark.parametrize("forgets", [True, False])
def test_memory_is_that_of_some_chunks(forgets: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 32 MiB on disk a few are in memory at a time; not so where none are let go."""
    monkeypatch.setattr(spool, "window_rows", lambda row_bytes: 256)
    if not forgets:
        monkeypatch.setattr(spool._File, "forget", lambda self: None)
    rows, width = 2**16, 128
    block = np.ones((rows // SHARDS, width), np.float32)
    with Spool([block[:1], block[:1, 0]]) as found:
        for shard in range(SHARDS):
            found.write(np.full(len(block), shard), [block, block[:, 0]])
        before, most = mapped_bytes(), 0
        for _ in found.portions(0, bounds_of(rows), 0, seed=0, shuffled=True):
            most = max(most, mapped_bytes() - before)
        assert (most < 20 * 2**20) == forgets
        found.__exit__()
        assert mapped_bytes() - before < 2**20  # else the disk space would not be given back


def mapped_bytes() -> int:
    """Memory that holds parts of files, also of those that a folder in memory holds."""
    lines = STATUS.read_text().splitlines()
    return sum(int(x.split()[1]) * 1024 for x in lines if x.startswith(("RssFile", "RssShmem")))
