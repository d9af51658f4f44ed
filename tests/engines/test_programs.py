"""Programs: which rows each step sees, which key it gets, and how a run ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engines.base import Outcome, Program
from chainrule.engines.reference import ReferenceEngine, keys_of, row_order
from chainrule.errors import DtypeError, ParameterError, ShapeError
from chainrule.graph.graph import Graph
from chainrule.shapes import ROWS, Array

sizes = st.integers(1, 40)
engine = ReferenceEngine()


def counting(rows: int, **settings: Any) -> Program:
    """A step that counts steps, and records a loss, how often it saw each row, and its key."""
    steps, numbers = cr.input((), np.int64), cr.input((ROWS,), np.int64)
    key = cr.input((2,), np.uint32)
    seen = cr.sum(cr.one_hot(numbers, rows), axis=0)
    loss = cr.astype(steps, np.float64)
    outputs = (steps + 1, loss, seen, key)
    return Program(Graph((steps, numbers, key), outputs), carried=1, **settings)


def run(program: Program, rows: int, *, seed: int = 0, epochs: range = range(1),
        start: int = 0) -> Outcome:  # fmt: skip
    return engine.run(program, [np.asarray(start)], [np.arange(rows)], seed=seed, epochs=epochs)


# Batches


@given(sizes, sizes, st.booleans(), st.booleans())
def test_bounds_cut_the_rows_into_batches(rows: int, batch: int, drop: bool, merge: bool) -> None:
    program = counting(rows, batch=batch, drop_last=drop, merge_single_row=merge)
    bounds = program.bounds(rows)
    assert bounds[0][0] == 0
    assert all(low == before for (_, before), (low, _) in pairwise(bounds))
    extents = [high - low for low, high in bounds]
    assert all(extent == batch for extent in extents[:-1])
    left_out = rows - bounds[-1][1]
    if drop:
        assert left_out == (rows % batch if rows >= batch else 0)
        assert extents[-1] == min(batch, rows)
    else:
        assert left_out == 0
        merged = merge and rows > batch > 1 and rows % batch == 1
        assert extents[-1] == (batch + 1 if merged else (rows - 1) % batch + 1)


@pytest.mark.parametrize(("rows", "batch"), [(0, 5), (5, 0)])
def test_no_rows_and_empty_batches_are_refused(rows: int, batch: int) -> None:
    with pytest.raises(ParameterError, match=f"batches of {batch} cannot be taken from {rows}"):
        counting(1, batch=batch).bounds(rows)


@given(sizes, sizes, st.integers(0, 5), st.booleans(), st.booleans())
def test_an_epoch_sees_every_row_once(
    rows: int, batch: int, seed: int, shuffled: bool, drop: bool
) -> None:
    program = counting(rows, batch=batch, shuffled=shuffled, drop_last=drop)
    bounds = program.bounds(rows)
    _, seen, _ = run(program, rows, seed=seed, epochs=range(2)).records
    assert seen.shape == (2, len(bounds), rows)
    np.testing.assert_array_equal(seen.sum(axis=2), [[high - low for low, high in bounds]] * 2)
    together = seen.sum(axis=1)
    assert set(np.unique(together)) <= {0.0, 1.0}
    assert together.sum() == 2 * bounds[-1][1]
    if not shuffled:
        low, high = bounds[-1]
        assert seen[0, -1, low:high].all()


def test_each_epoch_has_an_order_of_its_own() -> None:
    program = counting(20, batch=4)
    orders = [row_order(program, seed, epoch, 20) for seed in (0, 1) for epoch in range(3)]
    assert len({tuple(order) for order in orders if order is not None}) == 6
    for order in orders:
        assert order is not None
        np.testing.assert_array_equal(np.sort(order), np.arange(20))
    assert row_order(counting(20, batch=4, shuffled=False), 0, 0, 20) is None


def test_shuffling_is_fair() -> None:
    """Each row comes to each place equally often: chi-squared, 15 x 15 degrees of freedom."""
    program, epochs, rows = counting(16, batch=4), 4000, 16
    counts = np.zeros((rows, rows))
    for epoch in range(epochs):
        order = row_order(program, 3, epoch, rows)
        assert order is not None
        counts[order, np.arange(rows)] += 1
    expected = epochs / rows
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert 150 < statistic < 310  # 225 with a standard deviation of 21


def test_with_replacement_rows_come_twice() -> None:
    program = counting(50, batch=10, replacement=True)
    _, seen, _ = run(program, 50, epochs=range(40)).records
    together = seen.sum(axis=1)
    assert together.sum() == 40 * 50
    assert together.max() >= 2
    assert abs((together == 0).mean() - np.exp(-1)) < 0.02


# Keys


def test_every_step_and_every_order_has_a_key_of_its_own() -> None:
    keys = np.concatenate([keys_of(seed, range(4), 30).reshape(-1, 2) for seed in (0, 1)])
    assert len(np.unique(keys, axis=0)) == len(keys)
    *_, recorded = run(counting(30, batch=7), 30, seed=5, epochs=range(2, 4)).records
    np.testing.assert_array_equal(recorded, keys_of(5, range(2, 4), 5))


# Epochs


@given(sizes, sizes, st.integers(0, 3), st.integers(1, 3))
def test_epochs_in_one_call_equal_epochs_in_several(
    rows: int, batch: int, first: int, more: int
) -> None:
    program = counting(rows, batch=batch)
    together = run(program, rows, epochs=range(first + more))
    state, parts = np.asarray(0), []
    for epoch in range(first + more):
        outcome = run(program, rows, epochs=range(epoch, epoch + 1), start=int(state))
        (state,) = outcome.carried
        parts.append(outcome.records)
    np.testing.assert_array_equal(together.carried[0], state)
    for mine, theirs in zip(together.records, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(mine, np.concatenate(theirs))


# How a run ends


def failing(at: int, members: int | None = None) -> Program:
    """The loss is infinite in step ``at``: that of the first member; later, all are NaN."""
    steps, numbers = cr.input((), np.int64), cr.input((ROWS,), np.int64)
    key = cr.input((2,), np.uint32)
    loss = cr.where(cr.equal(steps, at), np.inf, 1.0)
    if members:
        loss = cr.stack([loss, *[cr.where(cr.greater(steps, at), np.nan, 1.0)] * (members - 1)])
        loss = cr.where(cr.greater(steps, at), np.nan, loss)
    outputs = (steps + 1, loss, steps * 10, cr.sum(numbers))
    return Program(Graph((steps, numbers, key), outputs), carried=1, batch=2)


def test_a_loss_that_is_not_finite_leaves_before_its_update() -> None:
    outcome = run(failing(4), 6, epochs=range(3))  # three steps an epoch
    assert not outcome.finite
    assert outcome.carried[0] == 4
    loss, tens, _ = outcome.records
    np.testing.assert_array_equal(loss, [[1, 1, 1], [1, np.inf, np.nan]])
    np.testing.assert_array_equal(tens, [[0, 10, 20], [30, 0, 0]])


def test_members_go_on_while_one_of_them_is_finite() -> None:
    outcome = run(failing(1, members=3), 6, epochs=range(2))
    assert not outcome.finite
    assert outcome.carried[0] == 2
    np.testing.assert_array_equal(outcome.records[0][0, 1], [np.inf, 1, 1])


def test_a_finite_run_says_so() -> None:
    outcome = run(failing(100), 6, epochs=range(3))
    assert outcome.finite
    assert outcome.carried[0] == 9
    assert isinstance(outcome.carried[0], np.ndarray)


# Memory


def keeping() -> Program:
    """A step whose carried values and records are rows, views of them, and what it was given."""
    state, x = cr.input((2, 2)), cr.input((ROWS, 2))
    key = cr.input((2,), np.uint32)
    mean = cr.mean(x)
    outputs = (state, mean, cr.reshape(x, (ROWS, 2)), x, key)
    return Program(Graph((state, x, key), outputs), carried=1, batch=2)


def test_records_of_rows_are_not_written_over_by_the_next_step() -> None:
    rows, state = np.arange(12.0).reshape(6, 2), np.eye(2)
    outcome = engine.run(keeping(), [state], [rows], seed=1, epochs=range(1))
    order = row_order(keeping(), 1, 0, 6)
    for record in outcome.records[1:3]:
        np.testing.assert_array_equal(record.reshape(6, 2), rows[order])
    np.testing.assert_array_equal(outcome.records[3], keys_of(1, range(1), 3))


@pytest.mark.parametrize(
    "prepare", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2], lambda x: x[::-1][::-1]]
)
def test_rows_of_any_strides_are_read_and_never_written(prepare: Any) -> None:
    plain = np.random.default_rng(0).normal(size=(30, 2))
    rows = prepare(plain.copy())
    rows.flags.writeable = False
    found, expected = (
        engine.run(keeping(), [np.eye(2)], [each], seed=2, epochs=range(2)).records
        for each in (rows, plain)
    )
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("state", "rows", "error", "message"),
    [
        (np.eye(3), np.ones((4, 2)), ShapeError, r"float64\[2,2\] was given shape \(3, 3\)"),
        (np.eye(2), np.ones((4, 3)), ShapeError, r"float64\[ROWS,2\] was given shape \(4, 3\)"),
        (np.eye(2), np.ones((4, 2), np.float32), DtypeError, "elements of type float32"),
        (np.eye(2), np.ones((0, 2)), ParameterError, "from 0 rows"),
    ],
)
def test_values_that_do_not_fit_a_program_are_refused(
    state: Array, rows: Array, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        engine.run(keeping(), [state], [rows], seed=0, epochs=range(1))


def test_data_sets_of_different_lengths_are_refused() -> None:
    x, y, key = cr.input((ROWS,)), cr.input((ROWS,)), cr.input((2,), np.uint32)
    program = Program(Graph((x, y, key), (cr.sum(x * y),)), carried=0, batch=2)
    both: Sequence[Array] = [np.ones(4), np.ones(5)]
    with pytest.raises(ShapeError, match="number of rows: 4 and 5"):
        engine.run(program, [], both, seed=0, epochs=range(1))
