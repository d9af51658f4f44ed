"""Devices that nobody told how to divide a training: by what costs less, and the same training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")

from chainrule.engines.xla import devices
from chainrule.engines.xla.engine import XlaEngine
from chainrule.networks import Network
from chainrule.nn import Activation, BatchNorm, Dropout, Linear
from chainrule.optim import Adam
from tests.engines.xla.test_devices import LABELS, X
from tests.engines.xla.test_sums import by_moment, compiled_text

WIDTH, STEP_ROWS = 512, 32  # two such layers have a megabyte of gradients


def layers() -> list[Any]:
    first = [Linear(6, WIDTH), BatchNorm(WIDTH), Activation("elu"), Dropout(0.3)]
    return [*first, Linear(WIDTH, WIDTH), Activation("tanh"), Linear(WIDTH, 3)]


def trained(engine: Any, **options: Any) -> tuple[Network, Any]:
    """A wide network after batches of 40 rows and a tail of 3."""
    model = Network(layers(), seed=1, dtype="float64")
    settings = {"epochs": 2, "batch_size": 40, "seed": 7, "optimizer": Adam(1e-3), **options}
    given = {"loss": "cross_entropy", "engine": engine, "progress": False, **settings}
    return model, model.fit(X, LABELS, **given)


def numbers_summed(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> int:
    """How many numbers two devices sum in a step."""
    given = [layer for layer in layers() if not isinstance(layer, BatchNorm)]
    text = compiled_text(monkeypatch, given, 1, XlaEngine(devices=2, **settings))
    return by_moment(text)["step"]


def test_units_are_divided_where_that_costs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    values = STEP_ROWS * WIDTH
    assert values <= numbers_summed(monkeypatch) < 1.1 * values
    assert numbers_summed(monkeypatch, split_units=1) > WIDTH * WIDTH > 10 * values


def test_who_asks_for_a_number_gets_it() -> None:
    free, told = XlaEngine(devices=8).devices, XlaEngine(devices=8, split_units=4).devices
    assert (free.shares, told.shares) == (8, 2)
    assert (free.free, told.free) == (True, False)


def test_losses_are_those_of_one_device() -> None:
    expected, found = trained("reference")[1], trained(XlaEngine(devices=2))[1]
    np.testing.assert_allclose(found.step_losses, expected.step_losses, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("turn", [1, -1])
def test_checkpoints_of_one_way_resume_the_other_way(
    turn: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, genuine = [], devices.chosen_units
    monkeypatch.setattr(
        devices, "chosen_units", lambda *given: seen.append(genuine(*given)) or seen[-1]
    )
    first, second = [XlaEngine(devices=2), XlaEngine(devices=2, split_units=1)][::turn]
    whole, expected = trained(XlaEngine(devices=1))
    trained(first, epochs=1, checkpoints=tmp_path)
    model, found = trained(second, checkpoints=tmp_path, resume=True)
    assert set(seen) == {1, 2}
    np.testing.assert_allclose(found.step_losses, expected.step_losses, rtol=1e-11)
    np.testing.assert_allclose(model.layers[4].values["W"], whole.layers[4].values["W"], rtol=1e-9)
