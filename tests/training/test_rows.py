"""Which rows a step sees, and how much each counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.errors import DataError
from chainrule.nn import Activation, BatchNorm, Embedding, Flatten, Linear, Network
from chainrule.optim import SGD, schedules
from tests.training import problem

X, Y = problem.data()
FULL: dict[str, Any] = {"optimizer": SGD(0.5), "epochs": 3, "batch_size": None}


def network(*middle: Any) -> Network:
    layers = [Linear(3, 4, name="first"), *middle, Activation("tanh"), Linear(4, 3, name="last")]
    return Network([*layers, Activation("softmax")], seed=5, dtype="float64")


def trained(*middle: Any, X: Any = X, y: Any = Y, **settings: Any) -> Network:
    model = network(*middle)
    model.fit(X, y, **{**FULL, "seed": 0, **settings})
    return model


def same(one: Network, other: Network) -> bool:
    return np.allclose(one["first"].W, other["first"].W, rtol=1e-12, atol=1e-14)


def test_a_weight_of_two_is_a_row_twice() -> None:
    counts = 1 + np.arange(len(X)) % 3
    weighted = trained(sample_weight=counts)
    repeated = trained(X=np.repeat(X, counts, axis=0), y=np.repeat(Y, counts))
    assert same(weighted, repeated)
    assert not same(weighted, trained())


def test_a_weight_of_zero_leaves_a_row_out() -> None:
    assert same(trained(sample_weight=np.arange(len(X)) < 15), trained(X=X[:15], y=Y[:15]))


def test_class_weights_multiply_row_weights() -> None:
    by_class = {0: 1.0, 1: 2.0, 2: 0.5}
    rows = np.linspace(0.5, 2, len(X))
    factors = np.array([by_class[label] for label in Y])
    expected = trained(sample_weight=rows * factors)
    assert same(trained(sample_weight=rows, class_weight=by_class), expected)


def test_balanced_classes_have_equal_sums() -> None:
    uneven = np.r_[np.zeros(12), np.ones(7), np.full(3, 2)].astype(int)
    factors = (len(uneven) / (3 * np.bincount(uneven)))[uneven]
    assert np.allclose([factors[uneven == k].sum() for k in range(3)], len(uneven) / 3)
    assert same(
        trained(y=uneven, class_weight="balanced"), trained(y=uneven, sample_weight=factors)
    )


def test_class_weights_are_those_of_one_hot_rows_too() -> None:
    one_hot = np.eye(3)[Y]
    assert same(trained(y=one_hot, class_weight={0: 2, 1: 1, 2: 1}),
                trained(class_weight={0: 2, 1: 1, 2: 1}))  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"batch_size": 8}, 3),
        ({"batch_size": 8, "drop_last": True}, 2),
        ({"batch_size": 22}, 1),
        ({"batch_size": None}, 1),
        ({"batch_size": 1000}, 1),
        ({"batch_size": 1}, 22),
    ],
)
def test_batches_of_an_epoch(settings: dict[str, Any], steps: int) -> None:
    history = network().fit(X, Y, epochs=2, seed=0, **settings)
    assert history.step_losses.shape == (2, steps)


def test_dropping_the_last_batch_leaves_its_rows_unseen() -> None:
    whole = trained(X=X[:16], y=Y[:16], batch_size=8, shuffle=False)
    assert same(trained(batch_size=8, drop_last=True, shuffle=False), whole)


def test_replacement_draws_some_rows_twice() -> None:
    """Each target names its row, so that the losses tell which rows were drawn."""
    rows = np.arange(50.0)[:, None]
    model = Network([Linear(1, 1, bias=False, weights="zeros")], dtype="float64")
    settings: dict[str, Any] = {"loss": lambda p, y: y + 0 * p, "batch_size": 1, "epochs": 1}
    drawn = model.fit(rows, rows, replacement=True, seed=1, **settings).step_losses[0]
    shuffled = model.fit(rows, rows, seed=1, **settings).step_losses[0]
    assert sorted(shuffled) == list(range(50))
    assert shuffled.tolist() != sorted(shuffled)
    assert len(set(drawn)) < 50


def test_batch_norm_takes_a_tail_of_one_row_into_the_batch_before() -> None:
    history = network(BatchNorm(4)).fit(X[:17], Y[:17], epochs=1, batch_size=8, seed=0)
    assert history.step_losses.shape == (1, 2)
    assert network().fit(X[:17], Y[:17], epochs=1, batch_size=8).step_losses.shape == (1, 3)


@pytest.mark.parametrize("settings", [{"batch_size": 1}, {"validation": list(range(1, 22))}])
def test_batch_norm_refuses_batches_of_one_row(settings: dict[str, Any]) -> None:
    y = np.eye(3)[Y] * 0.4 + 0.2
    with pytest.raises(DataError, match="at least two rows"):
        network(BatchNorm(4)).fit(X, y, epochs=1, **settings)


def test_schedules_are_bound_to_the_steps_of_an_epoch() -> None:
    history = network().fit(
        X, Y, epochs=4, batch_size=8, optimizer=SGD(schedules.StepDecay(1.0, every=2, decay=0.1))
    )
    np.testing.assert_allclose(history["learning_rate"], [1.0, 1.0, 0.1, 0.1])


def test_max_norm_holds_every_units_weights() -> None:
    model = trained(max_norm=0.25, epochs=5)
    for layer in ("first", "last"):
        norms = np.linalg.norm(model[layer].W, axis=0)
        assert norms.max() <= 0.25 * (1 + 1e-12)
        assert norms.max() > 0.2
    free = trained(epochs=5)
    assert np.linalg.norm(free["first"].W, axis=0).max() > 0.25


def test_l1_brings_weights_towards_zero() -> None:
    model = trained(l1=0.05, epochs=50)
    assert np.abs(model["first"].W).sum() < 0.5 * np.abs(trained(epochs=50)["first"].W).sum()
    loss, penalty = model.history.last["loss"], model.history.last["penalty"]
    assert penalty > 0 and loss > 0


def test_the_penalty_stands_beside_the_loss_from_the_first_epoch() -> None:
    model = Network([Linear(3, 1, weights="zeros")], dtype="float64")
    history = model.fit(X, Y, l2=0.1, epochs=3, batch_size=None, optimizer=SGD(0.1))
    assert history["penalty"][0] == 0.0
    assert (history["penalty"][1:] > 0).all()


def test_gradients_are_clipped_together() -> None:
    model = network()
    before = {name: array.copy() for name, array in model["first"].values.items()}
    model.fit(X, Y, optimizer=SGD(1.0, clip_norm=1e-3), epochs=1, batch_size=None)
    moved = [model["first"].W - before["W"], model["first"].b - before["b"]]
    assert 0 < np.sqrt(sum((each**2).sum() for each in moved)) <= 1e-3


def test_category_numbers_train_an_embedding() -> None:
    model = Network(
        [Embedding(3, 2, name="vectors"), Flatten(), Linear(4, 1), Activation("sigmoid")], seed=0
    )
    codes = np.array([[0, 1], [1, 2], [2, 0], [1, 1]])
    before = model["vectors"].W.copy()
    model.fit(codes, [0, 1, 0, 1], epochs=20, batch_size=2, seed=0)
    assert (before != model["vectors"].W).any(axis=1).all()
    model.forward(codes)
    assert model.backward(np.ones((4, 1))) is None
    assert model["vectors"].gradient_w.shape == (3, 2)
