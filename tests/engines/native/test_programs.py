"""Whole trainings on the native engine take the same path as on the reference engine."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.base import Program
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.reference import row_order
from chainrule.engines.registry import get_engine
from chainrule.errors import ShapeError
from chainrule.graph.graph import Graph
from chainrule.networks import Network
from chainrule.nn import Activation, BatchNorm, Dropout, Embedding, Flatten, LayerNorm, Linear
from chainrule.optim import SGD, Adam, RMSProp, schedules

generator = np.random.default_rng(0)
X = generator.standard_normal((203, 6)).astype(np.float32)
LABELS = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
REAL = (X[:, :1] ** 2 + X[:, 1:2]).astype(np.float32)


def lecture() -> list[Any]:
    hidden = [Linear(6, 10), Activation("relu"), Linear(10, 10), Activation("relu")]
    return [*hidden, Linear(10, 1), Activation("sigmoid")]


def softmax() -> list[Any]:
    return [Linear(6, 17), Activation("tanh"), Linear(17, 3), Activation("softmax")]


def regression() -> list[Any]:
    return [Linear(6, 33), Activation("gelu"), Linear(33, 1)]


def batch_norm() -> list[Any]:
    return [Linear(6, 16), BatchNorm(16), Activation("elu"), Linear(16, 3)]


def dropout() -> list[Any]:
    return [Linear(6, 40), LayerNorm(40), Activation("silu"), Dropout(0.4), Linear(40, 3)]


NETWORKS: dict[str, Any] = {
    "lecture": (lecture, LABELS > 0),
    "softmax": (softmax, LABELS),
    "regression": (regression, REAL),
    "batch norm": (batch_norm, LABELS),
    "dropout": (dropout, LABELS),
}
LOSSES = {"lecture": "binary_cross_entropy", "regression": "squared_error"}


def trained(name: str, engine: str, dtype: str = "float64", **options: Any) -> tuple[Network, Any]:
    layers, y = NETWORKS[name]
    model = Network(layers(), seed=1, dtype=dtype)
    settings = {"optimizer": SGD(0.05, momentum=0.9), "epochs": 3, "batch_size": 32, **options}
    loss = LOSSES.get(name, "cross_entropy")
    return model, model.fit(X, y, loss=loss, seed=7, engine=engine, progress=False, **settings)


def check_same(name: str, tolerance: float = 1e-9, **options: Any) -> None:
    (one, first), (other, second) = (trained(name, e, **options) for e in ("reference", "native"))
    np.testing.assert_allclose(
        first.step_losses, second.step_losses, rtol=tolerance, atol=tolerance
    )
    for layer, twin in zip(one.layers, other.layers, strict=True):
        for arrays, twins in ((layer.values, twin.values), (layer.state, twin.state)):
            for key, array in arrays.items():
                np.testing.assert_allclose(array, twins[key], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_the_same_path(name: str) -> None:
    check_same(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_the_same_path_in_single_precision(name: str) -> None:
    check_same(name, 2e-4, dtype="float32")


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False},
        {"drop_last": True},
        {"replacement": True},
        {"batch_size": None},
        {"batch_size": 1, "epochs": 1},
        {"batch_size": 202},
        {"members": 3},
        {"restarts": 3},
        {"optimizer": Adam(1e-2, amsgrad=True)},
        {"optimizer": RMSProp(schedules.Cosine(1e-2), clip_norm=0.1)},
        {"l1": 1e-3, "l2": 1e-3, "max_norm": 0.5},
        {"sample_weight": np.arange(203.0)},
        {"validation": 0.25, "early_stopping": 2, "epochs": 6},
    ],
    ids=", ".join,
)
def test_options_mean_the_same(options: Any) -> None:
    check_same("softmax", 1e-7, **options)


def test_a_single_row_joins_the_batch_before_it() -> None:
    check_same("batch norm", batch_size=101)


def test_a_loss_that_is_not_finite_leaves_before_its_update() -> None:
    for engine in ("reference", "native"):
        with pytest.warns(UserWarning, match="not finite in epoch 1, step"):
            model, history = trained("regression", engine, optimizer=SGD(1e30), dtype="float32")
        assert all(
            np.isfinite(layer.values[key]).all() for layer in model.layers for key in layer.values
        )
        assert history.epochs == 0


def test_embeddings_are_gathered_and_scattered() -> None:
    tokens = generator.integers(0, 9, (64, 4))
    models = []
    for engine in ("reference", "native"):
        model = Network([Embedding(9, 5), Flatten(), Linear(20, 1)], seed=0, dtype="float64")
        model.fit(
            tokens, tokens.sum(1, keepdims=True), seed=0, epochs=2, engine=engine, progress=False
        )
        models.append(model)
    np.testing.assert_allclose(
        models[0].layers[0].values["W"], models[1].layers[0].values["W"], rtol=1e-9
    )


def test_the_same_seed_gives_the_same_bits() -> None:
    (one, _), (other, _) = (trained("dropout", "native", dtype="float32") for _ in range(2))
    for layer, twin in zip(one.layers, other.layers, strict=True):
        assert all(np.array_equal(array, twin.values[key]) for key, array in layer.values.items())


def test_it_is_the_engine_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAINRULE_ENGINE")
    assert get_engine().name == "native"
    monkeypatch.setenv("CHAINRULE_ENGINE", "reference")
    assert get_engine().name == "reference"


def test_rows_and_carried_values_of_other_shapes_are_refused() -> None:
    a, x, y = cr.input((2,)), cr.input((cr.ROWS, 2)), cr.input((cr.ROWS,))
    loss = cr.mean(cr.sum(x * a, axis=1) * y)
    step = Graph((a, x, y, cr.input((2,), "uint32")), (a - 0.1 * a, loss))
    program = Program(step, carried=1, batch=4)
    given = [np.ones(2)], [np.ones((8, 2)), np.ones(8)]
    assert NativeEngine().run(program, *given, seed=0, epochs=range(1)).finite
    for carried, rows in (([np.ones(1)], given[1]), (given[0], [np.ones((8, 2)), np.ones(5)])):
        with pytest.raises(ShapeError):
            NativeEngine().run(program, carried, rows, seed=0, epochs=range(1))


def counting(donated: int) -> tuple[Program, list[Any]]:
    """A program that adds the rows' mean to two carried values, and its rows."""
    a, b, x, key = cr.input((3,)), cr.input((3,)), cr.input((cr.ROWS,)), cr.input((2,), "uint32")
    step = Graph((a, b, x, key), (a + cr.mean(x), b + cr.mean(x), cr.mean(x)))
    rows = [np.arange(8, dtype=np.float64)]
    return Program(step, carried=2, batch=4, donated=donated), rows


def test_what_a_call_gave_stays_as_it_is_unless_it_is_donated() -> None:
    engine, (program, rows) = NativeEngine(), counting(donated=1)
    start = [np.zeros(3), np.zeros(3)]
    first = engine.run(program, start, rows, seed=0, epochs=range(1)).carried
    assert not np.any(start)
    kept, given = first
    second = engine.run(program, first, rows, seed=0, epochs=range(1, 2)).carried
    assert np.array_equal(kept, np.full(3, 7.0))
    assert second[1] is given
    assert np.array_equal(second, np.full((2, 3), 14.0))
    other = [second[1], second[0]]  # not in the place where it was handed out
    third = engine.run(program, other, rows, seed=0, epochs=range(2, 3)).carried
    assert np.array_equal(second, np.full((2, 3), 14.0))
    assert np.array_equal(third, np.full((2, 3), 21.0))


def test_calls_share_their_work_space_while_the_program_lives() -> None:
    engine, (program, rows) = NativeEngine(), counting(donated=0)
    carried = [np.zeros(3), np.zeros(3)]
    engine.run(program, carried, rows, seed=0, epochs=range(1))
    (compiled,) = engine._programs._items.values()
    space = compiled._idle
    engine.run(program, carried, rows, seed=0, epochs=range(1))
    assert compiled._idle is space is not None
    engine.run(program, carried, [np.arange(12.0)], seed=0, epochs=range(1))
    assert compiled._idle.rows == 12
    del program, space
    assert compiled._idle is None


def test_parts_of_an_epoch_share_work_space_and_what_is_donated() -> None:
    engine, (program, rows) = NativeEngine(), counting(donated=1)
    whole = engine.run(program, [np.zeros(3), np.zeros(3)], rows, seed=0, epochs=range(1))
    parts = [replace(program, steps=range(step, step + 1)) for step in range(2)]
    first = engine.run(parts[0], [np.zeros(3), np.zeros(3)], rows, seed=0, epochs=range(1))
    (compiled,) = engine._programs._items.values()
    space = compiled._idle
    second = engine.run(parts[1], first.carried, rows, seed=0, epochs=range(1))
    assert compiled._idle is space is not None
    assert second.carried[1] is first.carried[1]
    assert np.array_equal(second.carried, whole.carried)
    both = np.concatenate([first.records[0], second.records[0]], axis=1)
    assert np.array_equal(both, whole.records[0])
    short = [np.arange(6, dtype=np.float64)]
    engine.run(parts[1], first.carried, short, seed=0, epochs=range(1))
    assert compiled._idle is not space


def test_a_graph_that_is_built_anew_finds_its_code() -> None:
    """A second training of the same layers, as in a search: what differs is in its tables."""
    engine = NativeEngine()
    for number in (2.0, 3.0):
        factors = np.full(100, number)  # too large to be part of the printed graph
        a, x, key = cr.input(()), cr.input((cr.ROWS,)), cr.input((2,), "uint32")
        step = Graph((a, x, key), (a, cr.sum(cr.constant(factors)) * cr.sum(x)))
        rows = [np.ones(8)]
        outcome = engine.run(Program(step, 1, 8), [np.zeros(())], rows, seed=0, epochs=range(1))
        assert outcome.records[0] == 800 * number
    first, second = engine._programs._items.values()
    assert first.call.code is second.call.code


def test_two_threads_can_run_one_program_at_a_time_each_with_its_own_space() -> None:
    engine, (program, rows) = NativeEngine(), counting(donated=0)
    carried, found = [np.zeros(3), np.zeros(3)], []

    def run() -> None:
        for _ in range(30):
            found.append(engine.run(program, carried, rows, seed=0, epochs=range(5)).carried)

    threads = [Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 90
    assert all(np.array_equal(each, np.full((2, 3), 35.0)) for each in found)


@pytest.mark.parametrize("rows", [1, 2, 3, 100, 4095, 4096, 70_000, 300_000])
def test_the_order_of_rows_is_the_reference_engine_s(rows: int) -> None:
    """However many digits the words are sorted by."""
    a, x, key = cr.input(()), cr.input((cr.ROWS,)), cr.input((2,), "uint32")
    program = Program(Graph((a, x, key), (a, cr.sum(x))), carried=1, batch=1)
    data = [np.arange(rows, dtype=np.float64)]
    outcome = NativeEngine().run(program, [np.zeros(())], data, seed=5, epochs=range(2))
    for epoch, record in enumerate(outcome.records[0]):
        assert np.array_equal(record, row_order(program, 5, epoch, rows))
