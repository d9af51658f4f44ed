"""Peers are held to numbers that only the work that was asked for gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from benchmarks import catalogue, runner
from benchmarks.catalogue import BATCHES, FEWEST_STEPS, WIDTHS, WORKS, cell, parameters
from benchmarks.peers import PEERS, numpy_by_hand, ours
from benchmarks.runner import Rounds
from benchmarks.tasks import Task, from_json, layers, until_good
from benchmarks.truth import KINDS, expected

TOLERANCE = PEERS["native"].tolerance
TRAINED = [
    Task("train", (2, 10, 10, 1), 32, steps=5),
    Task("train", (6, 12, 4), 8, steps=5),
    Task("train", (2, 4, 1), 8, steps=5, members=3),
]
USED = [
    Task("predict", (6, 12, 4), steps=1),
    Task("predict", (6, 12, 5, 4), 2500, steps=1),
    Task("compiled", (6, 12, 4), steps=1),
    *(Task(kind, (4, 8, 8, 2), steps=1) for kind in ("value", "jacobian")),
]
PRODUCT = Task("product", (5, 4), 3, steps=1)
SIZES = [Task("train", (2, 10, 10, 1), 32), cell(4, 1), cell(1024, 512)]


def disagreement(found: Sequence[float], wanted: Sequence[float]) -> str:
    return runner.disagreement(found, wanted, TOLERANCE)


@pytest.mark.parametrize("task", [*TRAINED, *USED], ids=str)
def test_ours_does_the_work(task: Task) -> None:
    assert not disagreement(ours.WORKS[task.kind](task).check(), expected(task))


@pytest.mark.parametrize("task", [*TRAINED[:2], *USED[:2], PRODUCT], ids=str)
def test_numpy_does_the_work(task: Task) -> None:
    assert not disagreement(numpy_by_hand.WORKS[task.kind](task).check(), expected(task))


@pytest.mark.parametrize("task", USED[-2:], ids=str)
def test_the_truth_of_derivatives_is_that_of_the_reference_engine(task: Task) -> None:
    *inner, (W, b) = layers([p.astype(np.float64) for p in task.parameters()])

    def network(x: cr.Node) -> cr.Node:
        for inner_W, inner_b in inner:
            x = cr.tanh(x @ inner_W + inner_b)
        return x @ W + b

    x, v = task.features()[0].astype(np.float64), task.directions().astype(np.float64)
    product = cr.hvp(lambda x: cr.sum(network(x)))(x, v)
    np.testing.assert_allclose(expected(replace(task, kind="hvp")), product, rtol=1e-10)
    np.testing.assert_allclose(
        expected(replace(task, kind="jacobian")), cr.jacobian(network)(x).ravel(), rtol=1e-10
    )


@pytest.mark.parametrize(
    "defect",
    [
        {"BETA_2": 0.99},
        {"BETA_1": 0.89},
        {"RATE": 1.02e-3},
    ],
    ids=str,
)
def test_another_optimizer_is_other_work(
    defect: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task("train", (64, 32, 10), 16, steps=50)
    wanted = expected(task)
    for name, value in defect.items():
        monkeypatch.setattr(numpy_by_hand, name, value)
    assert "other work" in disagreement(numpy_by_hand.train(task).check(), wanted)


def test_another_batch_or_start_is_other_work() -> None:
    task = TRAINED[0]
    for changed in (
        replace(task, batch=16, steps=10),
        replace(task, seed=1),
        replace(task, steps=4),
        replace(task, widths=(2, 10, 9, 1)),
    ):
        assert disagreement(expected(changed), expected(task))


def test_fewer_numbers_and_none_at_all_are_other_work() -> None:
    assert disagreement([], [1.0])
    assert disagreement([float("nan")], [1.0])
    assert disagreement([1.0 + 2 * TOLERANCE], [1.0])
    assert not disagreement([1.0 + TOLERANCE / 2], [1.0])


def test_operations_are_those_of_the_products() -> None:
    assert PRODUCT.operations == 2 * 3 * 5 * 4
    first, second = 6 * 12, 12 * 4  # both forwards and for the weights, the second for its input
    assert TRAINED[1].operations == 2 * 8 * (2 * first + 3 * second)


def test_long_epochs_are_checked_in_short() -> None:
    assert cell(4, 1).short().steps < cell(4, 1).steps
    assert TRAINED[0].short() == TRAINED[0]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("width", WIDTHS)
def test_epochs_of_cells_are_of_bounded_length(width: int, batch: int) -> None:
    task = cell(width, batch)
    seconds = 5e-6 * task.steps + task.steps * (
        task.operations / 5e10 + 7 * 4 * parameters(task.widths) / 5e9
    )  # a core's products, and Adam's seven passes over memory, with some leeway
    assert task.steps >= FEWEST_STEPS and seconds < 0.4


@pytest.mark.parametrize("task", SIZES, ids=str)
def test_a_task_is_the_same_everywhere(task: Task) -> None:
    X, labels = task.data()
    assert X.shape == (task.rows, task.widths[0]) and X.dtype == np.float32
    assert labels.shape == (task.rows,) and len(np.unique(labels)) > 1
    for array, again in zip(task.parameters(), task.parameters(), strict=True):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, again)
    sent = {**vars(task), "widths": list(task.widths)}
    assert from_json(sent) == task


def test_training_goes_on_until_it_is_good(tmp_path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, X_test=np.zeros((4, 1), np.float32), y_test=[0, 0, 1, 1])
    task, found = Task("train", (1, 2), source=str(path)), iter([[1, 1, 0, 0], [0, 0, 1, 1]])
    assert until_good(task, lambda: None, lambda X: next(found)) == 2
    with pytest.raises(RuntimeError, match="not enough"):
        until_good(task, lambda: None, lambda X: np.ones(4))


def test_every_entry_asks_for_work_that_has_a_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "digits_file", lambda: "digits.npz")
    for make in WORKS.values():
        for case in make().cases.values():
            for entry in case:
                assert not isinstance(entry, Rounds) or entry.task.kind in KINDS
