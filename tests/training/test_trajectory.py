"""Whole trainings against PyTorch's numbers and against a loop written by hand in NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.nn import Activation, BatchNorm, Linear, Network
from chainrule.optim import SGD, Adam, AdamW
from tests.training import problem

GOLDEN = json.loads(Path(__file__).with_name("golden_training.json").read_text(encoding="utf-8"))
CASES = {
    "tanh, adam": ([Activation("tanh")], Adam(0.05), None),
    "batch norm, relu, momentum": (
        [BatchNorm(problem.HIDDEN, name="norm"), Activation("relu")],
        SGD(0.1, momentum=0.9),
        None,
    ),
    "weights, silu, adamw": (
        [Activation("silu")],
        AdamW(0.03, weight_decay=0.1),
        1.0 + np.arange(problem.ROWS) % 3,
    ),
}


def network(*middle: Any) -> Network:
    """The problem's network, with its first weights."""
    model = Network(
        [
            Linear(problem.FEATURES, problem.HIDDEN, name="first"),
            *middle,
            Linear(problem.HIDDEN, problem.CLASSES, name="last"),
            Activation("softmax"),
        ],
        dtype="float64",
    )
    first, last = model["first"], model["last"]
    first.W, first.b, last.W, last.b = problem.weights()
    return model


def parameters(model: Network) -> list[Any]:
    return [model["first"].W, model["first"].b, model["last"].W, model["last"].b]


@pytest.mark.parametrize("name", CASES)
def test_a_training_is_pytorchs(name: str) -> None:
    middle, optimizer, weights = CASES[name]
    model = network(*[type(layer)(**layer.settings()) for layer in middle])
    history = model.fit(
        *problem.data(), optimizer=optimizer, epochs=problem.EPOCHS, batch_size=problem.BATCH,
        shuffle=False, sample_weight=weights,
    )  # fmt: skip
    golden = GOLDEN[name]
    np.testing.assert_allclose(history.step_losses.ravel(), golden["losses"], rtol=1e-10)
    for ours, theirs in zip(parameters(model), golden["parameters"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    if golden["running"]:
        mean, variance = golden["running"]
        np.testing.assert_allclose(model["norm"].running_mean, mean, rtol=1e-10)
        np.testing.assert_allclose(model["norm"].running_var, variance, rtol=1e-10)


def by_hand(order: list[Any], rate: float, l2: float) -> tuple[list[float], list[Any]]:
    """Gradient descent on tanh and softmax, with every derivative written out."""
    X, labels = problem.data()
    W1, b1, W2, b2 = problem.weights()
    losses = []
    for rows in order:
        x, y = X[rows], np.eye(problem.CLASSES)[labels[rows]]
        hidden = np.tanh(x @ W1 + b1)
        scores = np.exp(hidden @ W2 + b2)
        p = scores / scores.sum(axis=1, keepdims=True)
        losses.append(float(-np.log((p * y).sum(axis=1)).mean()))
        dz = (p - y) / len(rows)
        dh = (dz @ W2.T) * (1 - hidden**2)
        dW1, db1 = x.T @ dh + 2 * l2 * W1, dh.sum(axis=0)
        dW2, db2 = hidden.T @ dz + 2 * l2 * W2, dz.sum(axis=0)
        W1, b1, W2, b2 = W1 - rate * dW1, b1 - rate * db1, W2 - rate * dW2, b2 - rate * db2
    return losses, [W1, b1, W2, b2]


def in_order(shuffled: bool, seed: int, epochs: int) -> list[Any]:
    """The rows of every step, from the documented key: fold_in(fold_in(seed, epoch), 0)."""
    from chainrule.ops import random

    steps = []
    for epoch in range(epochs):
        order = np.arange(problem.ROWS)
        if shuffled:
            key = random.fold_in(random.fold_in(random.key(seed), epoch), 0)
            order = random.permutation(key, problem.ROWS)
        steps += np.split(order, range(problem.BATCH, problem.ROWS, problem.BATCH))
    return steps


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_a_training_is_the_loop_written_by_hand(shuffled: bool, l2: float) -> None:
    model = network(Activation("tanh"))
    history = model.fit(
        *problem.data(), optimizer=SGD(0.3), epochs=4, batch_size=problem.BATCH, shuffle=shuffled,
        l2=l2, seed=11,
    )  # fmt: skip
    losses, expected = by_hand(in_order(shuffled, 11, 4), 0.3, l2)
    np.testing.assert_allclose(history.step_losses.ravel(), losses, rtol=1e-10)
    for ours, theirs in zip(parameters(model), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-13)
    sizes = [8, 8, 6]
    by_epoch = np.reshape(losses, (4, 3)) @ sizes / problem.ROWS
    np.testing.assert_allclose(history["loss"], by_epoch, rtol=1e-10)


def test_a_wrong_loop_is_noticed() -> None:
    """A planted defect: with half the penalty's slope the two part."""
    model = network(Activation("tanh"))
    model.fit(*problem.data(), optimizer=SGD(0.3), epochs=4, batch_size=8, shuffle=False, l2=0.01)
    _, wrong = by_hand(in_order(False, 0, 4), 0.3, 0.005)
    assert not np.allclose(model["first"].W, wrong[0], rtol=1e-6)


def test_a_second_fit_goes_on_from_the_current_parameters() -> None:
    """Without momentum and shuffling, two trainings of 2 epochs are one of 4."""
    once, twice = network(Activation("tanh")), network(Activation("tanh"))
    settings: dict[str, Any] = {"optimizer": SGD(0.3), "batch_size": 8, "shuffle": False}
    once.fit(*problem.data(), epochs=4, **settings)
    for _ in range(2):
        twice.fit(*problem.data(), epochs=2, **settings)
    for ours, theirs in zip(parameters(once), parameters(twice), strict=True):
        np.testing.assert_array_equal(ours, theirs)
