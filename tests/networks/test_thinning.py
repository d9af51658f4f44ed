"""Thinned networks: units are dropped for all rows alike, as often as dropout drops them."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import explain
from chainrule.errors import ParameterError
from chainrule.networks.thinning import thinned
from chainrule.nn import Activation, Dropout, Layer, Linear, Network

X = np.random.default_rng(0).normal(size=(6, 3))


def network(*layers: Layer) -> Network:
    return Network([Linear(3, 20), *layers], seed=0, dtype="float64")


def test_members_are_the_network_with_units_left_out() -> None:
    model = network(Activation("tanh"), Dropout(0.25), Linear(20, 2))
    many = thinned(model, 400, seed=1)
    assert many is not None
    whole, W = model["linear4"].values["W"], many["linear4"].values["W"]
    kept = (W != 0).all(axis=2)
    np.testing.assert_allclose(W, np.where(kept[:, :, None], whole / 0.75, 0))
    assert abs(kept.mean() - 0.75) < 0.02
    assert len(np.unique(kept, axis=0)) > 390
    hidden = np.tanh(X @ model["linear1"].values["W"] + model["linear1"].values["b"])
    by_hand = (hidden[None] * kept[:, None] / 0.75) @ whole + model["linear4"].values["b"]
    np.testing.assert_allclose(many.predict(X, members="all"), by_hand, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(explain.dropout_members(model, X, 400, seed=1), by_hand, atol=1e-14)


def test_the_same_seed_drops_the_same_units() -> None:
    model = network(Dropout(0.5), Linear(20, 1))
    one, same, other = (explain.dropout_members(model, X, 5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_what_drops_nothing_has_no_thinned_networks() -> None:
    model = network(Dropout(0.0), Linear(20, 1))
    assert thinned(model, 5, seed=0) is None
    with pytest.raises(ParameterError, match="drops no units"):
        explain.dropout_members(model, X)


@pytest.mark.parametrize(
    "layers",
    [[Dropout(0.5), Activation("relu"), Linear(20, 1)], [Linear(20, 1), Dropout(0.5)]],
    ids=["an activation between", "nothing behind"],
)
def test_units_that_no_linear_layer_takes_are_refused_by_name(layers: list[Layer]) -> None:
    with pytest.raises(ParameterError, match=r"'dropout\d' drops units that no Linear"):
        thinned(network(*layers), 5, seed=0)


def test_members_are_not_thinned_again() -> None:
    once = thinned(network(Dropout(0.5), Linear(20, 1)), 4, seed=0)
    assert once is not None
    with pytest.raises(ParameterError, match="has 4 members"):
        thinned(once, 4, seed=0)
