"""Losses of trainings as pictures: what is drawn are the numbers of the history."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import DataError
from chainrule.explain import Band, Line, Panel, loss_curves, loss_panel
from chainrule.training import History


def history(epochs: int, steps: int, members: int = 0, *, shift: float = 0.0) -> History:
    """Losses that fall, with a bump: not one number is drawn twice."""
    found = History(seed=0, monitor="validation_loss")
    shape = (steps, members) if members else (steps,)
    draw = np.random.default_rng(0)
    for epoch in range(epochs):
        losses = draw.uniform(1, 2, shape) / (epoch + 1) + shift
        found.append({"loss": losses.mean(), "validation_loss": 1.5 / (epoch + 1) + shift}, losses)
    found.best_epoch, found.stopped = 1, "all epochs were done"
    return found


def marks(panel: Panel) -> dict[str, Line]:
    return {mark.label: mark for mark in panel.marks if isinstance(mark, Line)}


def test_every_step_is_drawn_at_its_part_of_an_epoch() -> None:
    of = history(4, 5)
    lines = marks(loss_panel(of))
    np.testing.assert_array_equal(lines["mini-batches"].y, of.step_losses.ravel())
    np.testing.assert_allclose(lines["mini-batches"].x, np.arange(1, 21) / 5)
    np.testing.assert_array_equal(lines["mean of epochs"].y, of["loss"])
    np.testing.assert_array_equal(lines["validation"].y, of["validation_loss"])
    np.testing.assert_array_equal(lines["mean of epochs"].x, [1, 2, 3, 4])
    assert loss_panel(of).y_scale == "log"
    assert loss_panel(history(4, 5, shift=-1.5)).y_scale == "linear"


def test_of_members_the_mean_is_drawn() -> None:
    of = history(3, 4, members=2)
    drawn = marks(loss_panel(of))["mini-batches"].y
    np.testing.assert_allclose(drawn, of.step_losses.mean(axis=2).ravel())
    of.append({"loss": 1.0, "validation_loss": 1.0}, np.array([[1.0, np.nan], *[[np.nan] * 2] * 3]))
    drawn = marks(loss_panel(of))["mini-batches"].y  # one member diverged, then the other one
    np.testing.assert_array_equal(drawn[-4:], [1.0, *[np.nan] * 3])


def test_many_steps_lose_neither_their_least_nor_their_greatest() -> None:
    of = history(7, 999)  # not divisible by how many are drawn together
    (band,) = (mark for mark in loss_panel(of).marks if isinstance(mark, Band))
    assert band.label == "least to greatest of 12 mini-batches"
    assert (band.low.min(), band.high.max()) == (of.step_losses.min(), of.step_losses.max())
    assert band.x[-1] == 7 and len(band.x) == -(-7 * 999 // 12)


def test_one_step_an_epoch_is_drawn_once() -> None:
    assert set(marks(loss_panel(history(3, 1)))) == {"mean of epochs", "validation"}


def test_several_are_drawn_side_by_side_to_one_scale() -> None:
    chart = loss_curves({"slow": history(3, 2), "fast": history(5, 2)})
    assert [panel["title"] for panel in chart.data["panels"]] == ["slow", "fast"] and chart.share
    assert all(name in chart.svg() for name in ("slow", "fast"))


def test_a_training_without_an_epoch_says_why() -> None:
    empty = history(0, 2)
    with pytest.raises(DataError, match="no epoch is in the history: all epochs were done"):
        loss_curves(empty)
    empty.stopped = ""
    with pytest.raises(DataError, match="no epoch is in the history 'b': fit the model first"):
        loss_curves({"a": history(1, 1), "b": empty})
    with pytest.raises(DataError, match="there is no history to draw"):
        loss_curves({})
