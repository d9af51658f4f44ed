"""The first layer for tables: places on quantiles, vectors of categories, masking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.errors import DataError, NotFittedError, ParameterError, ShapeError
from chainrule.networks import load
from chainrule.nn import Activation, Linear, Mode, Network
from chainrule.nn.tabular import TableInput
from chainrule.ops import random
from chainrule.optim import Adam

EVALUATION = Mode(False)
DRAW = np.random.default_rng(0)
ROWS = np.column_stack(
    [DRAW.normal(size=200), DRAW.exponential(size=200), DRAW.random(200), DRAW.integers(0, 4, 200)]
)


def applied(layer: TableInput, X: Any, parameters: Any = None, mode: Any = EVALUATION) -> Any:
    return layer.forward(np.asarray(X, float), parameters or {}, layer.fit(ROWS), mode)[0]


def test_numbers_are_places_on_quantiles() -> None:
    layer = TableInput(2, 1, levels=(4,), bins=4)
    found = applied(layer, ROWS)
    assert found.shape == (200, layer.n_out) == (200, 2 * 5 + 1 + 4)
    held = ROWS[:, :2] / np.sqrt(1 + (ROWS[:, :2] / 3) ** 2)
    np.testing.assert_allclose(found[:, :2], held, rtol=1e-12)
    for column in range(2):  # the sum of the places is the piecewise linear curve of the quantiles
        edges = np.quantile(ROWS[:, column], np.linspace(0, 1, 5))
        places = found[:, 2 + 4 * column : 6 + 4 * column]
        np.testing.assert_allclose(places.sum(1), np.interp(ROWS[:, column], edges, range(5)))
        assert ((places > 0) & (places < 1)).sum(1).max() == 1
    np.testing.assert_array_equal(found[:, 10], ROWS[:, 2])
    np.testing.assert_array_equal(found[:, 11:], np.eye(4)[ROWS[:, 3].astype(int)])


def test_equal_quantiles_are_one_and_no_bin_is_wasted_on_nothing() -> None:
    layer = TableInput(1, bins=8)
    X = np.array([[0.0]] * 90 + [[1.0]] * 10)
    state = layer.fit(X)
    found = layer.forward(np.array([[-1.0], [0.25], [2.0]]), {}, state, Mode(False))[0]
    assert found[:, 1:].tolist() == [[0.0] + [0.0] * 7, [0.25] + [0.0] * 7, [1.0] + [0.0] * 7]
    constant = layer.fit(np.ones((5, 1)))
    assert np.isfinite(layer.forward(np.array([[7.0]]), {}, constant, Mode(False))[0]).all()


def test_many_levels_are_trained_vectors() -> None:
    layer = TableInput(0, 0, levels=(5, 3), one_hot=3)
    vectors = DRAW.normal(size=(5, 4))
    assert {name: each.shape for name, each in layer.parameters().items()} == {"V0": (5, 4)}
    X = np.array([[4.0, 2.0], [0.0, 0.0]])
    found = layer.forward(X, {"V0": vectors}, layer.fit(X), Mode(False))[0]
    np.testing.assert_array_equal(found, np.hstack([vectors[[4, 0]], [[0, 0, 1], [1, 0, 0]]]))


@pytest.mark.parametrize("masking", [0.0, 0.25])
def test_category_numbers_are_masked_in_training_only(masking: float) -> None:
    layer = TableInput(0, 0, levels=(2, 2), masking=masking)
    X = np.ones((4000, 2))
    mode = Mode(True, random.key(1))
    found = layer.forward(X, {}, layer.fit(X), mode)[0]
    share = found[:, [0, 2]].mean(axis=0)
    np.testing.assert_allclose(share, masking, atol=0.03)
    assert layer.forward(X, {}, layer.fit(X), Mode(False))[0][:, [0, 2]].sum() == 0


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("members", [1, 3])
def test_a_network_learns_with_it_and_survives_a_file(
    engine: str, members: int, tmp_path: Path
) -> None:
    layers = [TableInput(3, levels=(4,), bins=6, one_hot=2), Linear(24, 8), Activation("relu")]
    model = Network([*layers, Linear(8, 1)], seed=0)
    y = np.sin(3 * ROWS[:, :1]) + ROWS[:, 3:]
    history = model.fit(
        ROWS, y, optimizer=Adam(0.02), epochs=40, seed=0, members=members, engine=engine
    )
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    model.save(tmp_path / "m.chainrule")
    twin = load(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(twin.predict(ROWS), model.predict(ROWS))


def test_engines_agree() -> None:
    found = {}
    for engine in ("reference", "native"):
        model = Network([TableInput(3, levels=(4,), bins=6, masking=0.1), Linear(25, 1)], seed=0)
        model.fit(ROWS, ROWS[:, 3:], epochs=3, seed=0, engine=engine)
        found[engine] = model.predict(ROWS, engine=engine)
    np.testing.assert_allclose(found["native"], found["reference"], rtol=2e-4, atol=2e-5)


def test_what_is_refused() -> None:
    with pytest.raises(ParameterError, match="needs at least one column"):
        TableInput(0)
    with pytest.raises(ParameterError, match="levels must be a tuple of ints >= 1"):
        TableInput(0, levels=(0,))
    layer = TableInput(1, levels=(3,))
    with pytest.raises(NotFittedError, match="has not seen training rows"):
        layer.forward(ROWS[:, :2], {}, {}, Mode(False))
    with pytest.raises(ShapeError, match="takes 2 features"):
        layer.output_shape((3,))
    with pytest.raises(ParameterError, match="needs Mode"):
        layer.forward(np.ones((1, 2)), {}, layer.fit(np.ones((2, 2))), Mode(True))
    for code in (3.0, -1.0, 0.5):
        with pytest.raises(DataError, match=r"category numbers from 0 to 2 in column 1.* in row 1"):
            layer.check_rows(np.array([[0.0, 1.0], [0.0, code]]))
