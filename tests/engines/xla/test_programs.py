"""Whole trainings on the xla engine take the same path as on the reference engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")

import jax

import chainrule as cr
from chainrule.data import spool
from chainrule.engines.reference import ReferenceEngine
from chainrule.engines.xla.engine import XlaEngine
from chainrule.errors import MissingInputError, ShapeError, UnknownNameError
from chainrule.graph.graph import Graph
from chainrule.optim import SGD, Adam, RMSProp, schedules
from tests.data.test_spool import BATCH, data, network, spooled
from tests.engines.native.test_programs import trained
from tests.engines.test_programs import counting, failing, keeping


def check_same(name: str, engine: Any, tolerance: float = 1e-9, **options: Any) -> None:
    """Losses, parameters and states of a training on ``engine``, beside the reference's."""
    (one, first), (other, second) = (trained(name, e, **options) for e in ("reference", engine))
    np.testing.assert_allclose(
        first.step_losses, second.step_losses, rtol=tolerance, atol=tolerance
    )
    for layer, twin in zip(one.layers, other.layers, strict=True):
        for arrays, twins in ((layer.values, twin.values), (layer.state, twin.state)):
            for key, array in arrays.items():
                np.testing.assert_allclose(array, twins[key], rtol=tolerance, atol=tolerance)


QUICK: dict[str, dict[str, Any]] = {
    "lecture": {"validation": 0.25, "early_stopping": 2, "epochs": 6},
    "softmax": {"members": 2, "sample_weight": np.arange(203.0)},
    "regression": {"replacement": True, "optimizer": Adam(1e-2, accumulate=2)},
    "batch norm": {"batch_size": 101},  # a tail of one row joins the batch before it
    "dropout": {"dtype": "float32", "tolerance": 2e-4},
}
MORE: list[tuple[str, dict[str, Any]]] = [
    ("softmax", options)
    for options in [
        {},
        {"shuffle": False},
        {"drop_last": True},
        {"batch_size": None},
        {"batch_size": 1, "epochs": 1},
        {"restarts": 3},
        {"optimizer": Adam(1e-2, amsgrad=True)},
        {"optimizer": RMSProp(schedules.Cosine(1e-2), clip_norm=0.1)},
        {"l1": 1e-3, "l2": 1e-3, "max_norm": 0.5},
    ]
] + [(name, {"dtype": "float32", "tolerance": 2e-4}) for name in QUICK]


@pytest.mark.parametrize("name", QUICK)
def test_networks_take_the_same_path(name: str) -> None:
    check_same(name, XlaEngine(devices=1), **{"tolerance": 1e-7, **QUICK[name]})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), MORE, ids=str)
def test_more_options_mean_the_same(name: str, options: dict[str, Any]) -> None:
    check_same(name, XlaEngine(devices=1), **{"tolerance": 1e-7, **options})


@pytest.mark.parametrize("name", ["dropout"])
def test_data_that_do_not_fit_are_streamed_in_the_same_order(name: str) -> None:
    check_same(name, XlaEngine(devices=1, data_bytes=2500), batch_size=20)  # three steps a portion


def test_the_same_seed_gives_the_same_bits() -> None:
    engine = XlaEngine(devices=1)
    settings = {"dtype": "float32", "epochs": 2, "batch_size": 29}
    one, other = (trained("dropout", engine, **settings)[0] for _ in range(2))
    for layer, twin in zip(one.layers, other.layers, strict=True):
        assert all(np.array_equal(array, twin.values[key]) for key, array in layer.values.items())


# How a run ends


@pytest.mark.parametrize(
    "engine", [XlaEngine(devices=1), XlaEngine(devices=1, data_bytes=1)], ids=["", "streamed"]
)
@pytest.mark.parametrize(("at", "members"), [(4, None), (1, 3), (100, None), (120, None)])
def test_a_loss_that_is_not_finite_leaves_before_its_update(
    engine: XlaEngine, at: int, members: int | None
) -> None:
    given = failing(at, members), [np.asarray(0)], [np.arange(6)]
    expected = ReferenceEngine().run(*given, seed=0, epochs=range(40))  # more than in a call
    outcome = engine.run(*given, seed=0, epochs=range(40))
    assert outcome.finite == expected.finite
    for found, wanted in zip(
        [*outcome.carried, *outcome.records], [*expected.carried, *expected.records], strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_a_diverging_training_leaves_finite_parameters() -> None:
    with pytest.warns(UserWarning, match="not finite in epoch 1, step"):
        model, history = trained("regression", "xla", optimizer=SGD(1e30), dtype="float32")
    assert all(
        np.isfinite(array).all() for layer in model.layers for array in layer.values.values()
    )
    assert history.epochs == 0


def test_rows_come_in_the_order_of_the_reference() -> None:
    rows = np.arange(12.0).reshape(6, 2)
    found, expected = (
        engine.run(keeping(), [np.eye(2)], [rows], seed=1, epochs=range(2)).records
        for engine in (XlaEngine(devices=1), ReferenceEngine())
    )
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


# What it leaves alone, and what it refuses


def test_derivatives_are_chainrules_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """JAX differentiates nothing: its transformations fail, and a training goes on."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("JAX was asked to differentiate")

    from jax._src.interpreters import ad

    for trace in (ad.JVPTrace, ad.LinearizeTrace):
        monkeypatch.setattr(trace, "process_primitive", refuse)
    with pytest.raises(AssertionError, match="asked to differentiate"):
        jax.grad(lambda x: x * x)(1.0)
    for name in ("grad", "value_and_grad", "jvp", "vjp", "linearize", "jacfwd", "jacrev"):
        monkeypatch.setattr(jax, name, refuse)
    _, history = trained("batch norm", XlaEngine(devices=1), epochs=1, batch_size=64)
    assert np.isfinite(history.step_losses).all()


def test_the_types_of_the_rest_of_the_process_stay() -> None:
    trained("regression", XlaEngine(devices=1), epochs=1, batch_size=None)
    assert jax.numpy.ones(3).dtype == np.float32
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_precisions_are_of_products_only(precision: str) -> None:
    """On a processor tf32 is float32; bfloat16 has 8 bits, and its sums have 24."""
    x, w = np.float32(1 + 2.0**-7), np.full((1, 4096), 1 + 2.0**-12, np.float32)
    a, b = cr.input((1, 4096), "float32"), cr.input((4096, 1), "float32")
    graph = Graph((a, b), (a @ b, a * x))
    product, scaled = XlaEngine(device="cpu", precision=precision).compile(graph)([w, w.T])
    exact = 4096 * (1 + 2.0**-12) ** 2
    assert product == pytest.approx(4096 if precision == "bfloat16" else exact, rel=1e-6)
    np.testing.assert_array_equal(scaled, w * x)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "gpy"}, "unknown device 'gpy'; did you mean 'gpu'"),
        ({"precision": "float16"}, "unknown precision 'float16'; did you mean 'bfloat16'"),
    ],
)
def test_names_that_do_not_exist_are_refused(options: Any, said: str) -> None:
    with pytest.raises(UnknownNameError, match=said):
        XlaEngine(**options)


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"float64\[2,2\] was given shape \(3, 3\)"):
        XlaEngine(devices=1).run(keeping(), [np.eye(3)], [np.ones((4, 2))], seed=0, epochs=range(1))
    with pytest.raises(MissingInputError, match="has no value"):
        XlaEngine(devices=1).compile(Graph((), (cr.input((2,), name="x"),)))


@pytest.mark.parametrize("epochs", [1, 40], ids=["one", "several calls"])
def test_records_and_values_are_the_references(epochs: int) -> None:
    """Also where a call has several epochs, and the last of a run has fewer."""
    program, given = counting(7, batch=3), ([np.asarray(5)], [np.arange(7)])
    one, other = (
        each.run(program, *given, seed=3, epochs=range(2, 2 + epochs))
        for each in (ReferenceEngine(), XlaEngine(devices=1))
    )
    for found, wanted in zip(
        [*other.carried, *other.records], [*one.carried, *one.records], strict=True
    ):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("data_bytes", [None, 1], ids=["", "streamed"])
@pytest.mark.parametrize("steps", [range(2, 3), range(1, 3), range(2)], ids=str)
def test_some_steps_of_an_epoch_are_those_of_the_reference(
    steps: range, data_bytes: int | None
) -> None:
    program = counting(7, batch=3, steps=steps)
    outcomes = [
        each.run(program, [np.asarray(5)], [np.arange(7)], seed=3, epochs=range(4, 5))
        for each in (ReferenceEngine(), XlaEngine(devices=1, data_bytes=data_bytes))
    ]
    for found, wanted in zip(*[each.carried + each.records for each in outcomes], strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_what_is_carried_is_given_away_but_never_the_callers_memory() -> None:
    program, rows, engine = keeping(), np.ones((4, 2)), XlaEngine(devices=1)
    memory = np.empty(16)  # in it is a place that JAX would take for the device's
    start = next(memory[i : i + 4] for i in range(8) if memory[i:].ctypes.data % 64 == 0)
    start = start.reshape(2, 2)
    start[:] = np.eye(2)
    outcome = engine.run(program, [start], [rows], seed=0, epochs=range(3))
    np.testing.assert_array_equal(start, np.eye(2))
    assert not np.shares_memory(outcome.carried[0], start)
    (call,) = engine._compilations._items.values()
    with jax.enable_x64(True):
        state = engine.devices.put([start], [engine.devices.everywhere])
        call(state, [rows], np.zeros(2, np.uint32), range(1), 0, 0)
    assert state[0].is_deleted()


def test_values_that_come_back_are_not_copied_and_stay_as_they_are() -> None:
    program, rows, engine = keeping(), np.ones((4, 2)), XlaEngine(device="cpu", devices=1)
    settings: Any = {"seed": 0, "epochs": range(3)}
    (first,) = engine.run(program, [np.eye(2)], [rows], **settings).carried
    assert not first.flags.owndata and not first.flags.writeable
    before = first.copy()
    (second,) = engine.run(program, [first], [rows], **settings).carried
    np.testing.assert_array_equal(first, before)
    assert not np.shares_memory(first, second)


def test_rows_that_are_read_while_it_runs_teach_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "window_rows", lambda _: 5)  # four portions an epoch
    losses = []
    for engine in ("reference", XlaEngine(devices=1)):
        with spooled(*data()) as rows:
            settings = {"epochs": 2, "batch_size": BATCH, "seed": 3, "progress": False}
            losses.append(network().fit(rows, engine=engine, **settings).step_losses)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
