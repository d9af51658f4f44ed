"""Members side by side: lanes are members, and each has the numbers that it would have alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.base import Program
from chainrule.engines.native import interleaved, interleaving, sharing
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.target import TARGETS, host
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph
from chainrule.graph.node import intern
from chainrule.graph.op import Kind
from chainrule.graph.walk import rebuild
from chainrule.nn import (
    Activation,
    BatchNorm,
    Dropout,
    Embedding,
    Flatten,
    Function,
    Linear,
    Network,
)
from chainrule.optim import Adam, Momentum
from chainrule.shapes import Array
from tests.engines.native.test_laws import NARROWER, runs_here

generator = np.random.default_rng(0)
X = generator.standard_normal((40, 4))
LABELS = np.arange(40) % 3
REAL = generator.standard_normal((40, 2))


def plain() -> list[Any]:
    return [Linear(4, 7), Activation("tanh"), Linear(7, 3), Activation("softmax")]


def dropout() -> list[Any]:
    return [Linear(4, 7), Dropout(0.3), Activation("relu"), Linear(7, 3)]


def batch_norm() -> list[Any]:
    return [Linear(4, 7), BatchNorm(7), Activation("elu"), Linear(7, 3)]


def regression() -> list[Any]:
    return [Linear(4, 5), Activation("gelu"), Linear(5, 2)]


WEIGHTS = 1.0 + np.arange(40) % 3
TRAININGS: dict[str, tuple[Any, Array, dict[str, Any]]] = {
    "plain": (plain, LABELS, {"loss": "cross_entropy", "optimizer": Adam(0.05)}),
    "dropout": (dropout, LABELS, {"loss": "cross_entropy", "optimizer": Adam(0.05)}),
    "batch norm": (batch_norm, LABELS, {"loss": "cross_entropy", "optimizer": "sgd"}),
    "regression": (regression, REAL, {"loss": "squared_error", "optimizer": Momentum(0.01)}),
    "weighted": (
        plain, LABELS,
        {"optimizer": "sgd", "sample_weight": WEIGHTS, "l1": 0.01, "l2": 0.01, "max_norm": 1.0},
    ),
}  # fmt: skip


def model_of(name: str, dtype: str = "float64") -> tuple[Network, Array, dict[str, Any]]:
    layers, y, settings = TRAININGS[name]
    common = {"batch_size": 16, "epochs": 2, "seed": 3, "progress": False}
    return Network(layers(), seed=1, dtype=dtype), y, {**common, **settings}


class SeenError(Exception):
    """The program is known, and need not run."""


def program_of(model: Network, X: Array, y: Array, **settings: Any) -> tuple[Program, Any, Any]:
    """The program of a training, with what it starts from."""
    seen: list[Any] = []

    def look(self: Any, program: Program, carried: Any, rows: Any, **rest: Any) -> None:
        seen.extend((program, [np.array(x) for x in carried], list(rows)))
        raise SeenError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NativeEngine, "run", look)
        with pytest.raises(SeenError):
            model.fit(X, y, engine="native", **settings)
    program, carried, rows = seen
    return program, carried, rows


def training(name: str, members: int, dtype: str = "float64") -> tuple[Program, Any, Any]:
    model, y, settings = model_of(name, dtype)
    return program_of(model, X, y, members=members, **settings)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is interleaved that can be."""
    monkeypatch.setattr(interleaving, "GAIN", 0.0)
    monkeypatch.setattr(interleaving, "MOST_BYTES", 2**40)


def results(engine: Any, given: tuple[Program, Any, Any]) -> Sequence[Array]:
    program, carried, rows = given
    outcome = engine.run(program, carried, rows, seed=5, epochs=range(2))
    return [*outcome.carried, *outcome.records]


def check_same(found: Sequence[Array], expected: Sequence[Array], tolerance: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        size = float(np.abs(theirs).max()) if theirs.size else 0.0
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * (size + 1))


# Law 2


@pytest.mark.parametrize(
    ("dtype", "members"), [("float32", 33), ("float64", 3), ("float64", 17)], ids=str
)
@pytest.mark.parametrize("name", TRAININGS)
def test_members_agree_with_the_reference(
    name: str, dtype: str, members: int, always: None
) -> None:
    given = training(name, members, dtype)
    assert interleaving.interleaved(given[0], host()) is not given[0]
    tolerance = 1e-11 if dtype == "float64" else 2e-5
    check_same(results(NativeEngine(), given), results(ReferenceEngine(), given), tolerance)


def test_products_with_as_many_columns_as_rows(always: None) -> None:
    """A layer that mixes units, as columns of a matrix of one row for each."""
    mixed = generator.standard_normal((3, 7))

    def mix(x: Any) -> Any:
        return cr.matrix_transpose(cr.tanh(cr.constant(mixed) @ cr.matrix_transpose(x)))

    model = Network([Linear(4, 7), Activation("tanh"), Function(mix), Linear(3, 2)], seed=1)
    settings: dict[str, Any] = {"loss": "squared_error", "batch_size": 16, "optimizer": "sgd"}
    given = program_of(model, X.astype("f4"), REAL.astype("f4"), members=5, **settings)
    check_same(results(NativeEngine(), given), results(ReferenceEngine(), given), 1e-4)


def test_epochs_of_one_step(always: None) -> None:
    """What lies between the records of two steps is then that between two epochs."""
    program, carried, rows = training("weighted", 9)
    given = replace(program, batch=len(rows[0])), carried, rows
    check_same(results(NativeEngine(), given), results(ReferenceEngine(), given), 1e-11)


@pytest.mark.parametrize("target", NARROWER, ids=lambda target: target.name)
@pytest.mark.parametrize("name", ["plain", "dropout"])
def test_members_agree_on_narrower_processors(name: str, target: Any, always: None) -> None:
    if not runs_here(target):
        pytest.skip(f"this processor cannot run {target.name} code")
    given = training(name, 7, "float32")
    check_same(results(NativeEngine(target), given), results(ReferenceEngine(), given), 2e-5)


def in_the_language(graph: Graph) -> Graph:
    """The same in operations that every engine knows."""
    done: dict[Any, Any] = {}
    for node in graph.nodes:
        operands = tuple(done[x] for x in node.operands)
        apart = [cr.moveaxis(x, -1, 0) for x in operands if x.ndim]
        if node.op is interleaving.PRODUCT:
            done[node] = cr.moveaxis(cr.matmul(*apart), 0, -1)
        elif node.op is interleaving.BITS:
            bits = intern(cr.ops.random.RANDOM_BITS, tuple(apart), node.attributes)
            done[node] = cr.moveaxis(bits, 0, -1)
        else:
            done[node] = rebuild(node, operands)
    return Graph(graph.inputs, tuple(done[x] for x in graph.outputs))


@pytest.mark.parametrize("name", TRAININGS)
def test_the_interleaved_step_means_the_same(name: str, always: None) -> None:
    program, carried, rows = training(name, 5)
    step = interleaving.interleaved(program, host()).step
    given = [*[x[:16] for x in rows], np.array([7, 8], np.uint32)]
    moved = [*[np.moveaxis(x, 0, -1) for x in carried], np.arange(5, dtype=np.uint32)]
    run = ReferenceEngine().compile
    all_ = run(in_the_language(step))([*moved, *given])
    np.testing.assert_array_equal(all_.pop(len(carried)), np.arange(5))
    for found, expected in zip(all_, run(program.step)([*carried, *given]), strict=True):
        each = np.moveaxis(found, -1, 0) if found.ndim else np.full(5, found)
        np.testing.assert_allclose(each, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_random_bits_of_members_are_those_of_their_keys(width: int, always: None) -> None:
    keys = np.arange(22, dtype=np.uint32).reshape(2, 11)
    node = cr.input((2, 11), "uint32")
    bits = intern(interleaving.BITS, (node,), {"shape": (3, 5), "width": width})
    (found,) = NativeEngine().compile(Graph((node,), (bits,)))([keys])
    for member in range(11):
        expected = cr.random.random_bits(keys[:, member], (3, 5), width)
        np.testing.assert_array_equal(found[..., member], expected)


# Members and single networks


def test_members_are_single_trainings() -> None:
    """32 of the lecture's network, in the types and sizes that people train."""
    rows = generator.standard_normal((64, 2)).astype(np.float32)
    y = rows[:, 0] * rows[:, 1] > 0

    def model() -> Network:
        layers = [Linear(2, 10), Activation("relu"), Linear(10, 10), Activation("relu")]
        return Network([*layers, Linear(10, 1), Activation("sigmoid")], seed=2)

    settings: dict[str, Any] = {"batch_size": 32, "seed": 4, "progress": False, "engine": "native"}
    together = model()
    together.fit(rows, y, members=32, **settings, epochs=0)
    singles = [together.member(each) for each in range(32)]
    history = together.fit(rows, y, epochs=5, **settings)
    for member, single in enumerate(singles):
        alone = single.fit(rows, y, epochs=5, **settings)
        np.testing.assert_allclose(history.step_losses[..., member], alone.step_losses, rtol=1e-5)
        leaves = zip(
            together.member(member).snapshot().leaves, single.snapshot().leaves, strict=True
        )
        for ours, theirs in leaves:
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["plain", "batch norm"])
def test_a_member_does_not_depend_on_those_beside_it(name: str, always: None) -> None:
    program, carried, rows = training(name, 19, "float32")
    whole = results(NativeEngine(), (program, carried, rows))
    order = np.roll(np.arange(19)[::-1], 5)
    turned = results(NativeEngine(), (program, [x[order] for x in carried], rows))
    few, *_ = training(name, 9, "float32")
    fewer = results(NativeEngine(), (few, [x[4:13] for x in carried], rows))
    for place, (all_, other, some) in enumerate(zip(whole, turned, fewer, strict=True)):
        axis = 0 if place < len(carried) else 2
        np.testing.assert_array_equal(np.take(all_, order, axis), other)
        np.testing.assert_array_equal(np.take(all_, range(4, 13), axis), some)


def test_any_number_of_threads_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, always: None
) -> None:
    given = {name: training(name, 11, "float32") for name in ("plain", "dropout")}
    alone = {name: results(NativeEngine(), each) for name, each in given.items()}
    monkeypatch.setattr(sharing, "WORTH", 1)  # whatever can be shared is
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("CHAINRULE_THREADS", threads)
        for name, each in given.items():
            for ours, theirs in zip(results(NativeEngine(), each), alone[name], strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_members_that_diverge_leave_the_others_alone(always: None) -> None:
    program, carried, rows = training("regression", 9)
    expected = NativeEngine().run(program, carried, rows, seed=5, epochs=range(2))
    broken = [np.array(x) for x in carried]
    broken[0][3] = np.nan
    outcome = NativeEngine().run(program, broken, rows, seed=5, epochs=range(2))
    others = [member for member in range(9) if member != 3]
    assert outcome.finite and np.isnan(outcome.carried[0][3]).all()
    for ours, theirs in zip(outcome.carried, expected.carried, strict=True):
        np.testing.assert_array_equal(ours[others], theirs[others])
    broken[0][:] = np.nan
    outcome = NativeEngine().run(program, broken, rows, seed=5, epochs=range(2))
    assert not outcome.finite
    for ours, theirs in zip(outcome.carried, broken, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# Which steps


def lecture(width: int, count: int) -> Program:
    layers = [Linear(2, width), Activation("relu"), Linear(width, width), Activation("relu")]
    model = Network([*layers, Linear(width, 1), Activation("sigmoid")], seed=0)
    settings = {"batch_size": 32, "epochs": 1, "seed": 0, "progress": False}
    return program_of(model, X[:, :2], X[:, 0] > 0, members=count, **settings)[0]


@pytest.mark.parametrize(
    ("width", "count", "chosen"),
    [(10, 32, True), (10, 33, True), (10, 4, False), (3, 8, True), (64, 32, False),
     (16, 200, False)],
)  # fmt: skip
def test_small_networks_of_many_members_lie_side_by_side(
    width: int, count: int, chosen: bool
) -> None:
    program = lecture(width, count)
    found = interleaving.interleaved(program, TARGETS["avx512"])
    assert (found is not program) is chosen


def test_what_has_no_rule_stays_as_it_is(always: None) -> None:
    codes = np.arange(40)[:, None] % 5
    model = Network([Embedding(5, 3), Flatten(), Linear(3, 3)], seed=0)
    settings = {"batch_size": 8, "epochs": 1, "seed": 0, "progress": False}
    program, *_ = program_of(model, codes, LABELS, loss="cross_entropy", members=9, **settings)
    assert interleaving.interleaved(program, host()) is program
    alone = replace(training("plain", 9)[0], single=None)
    assert interleaving.interleaved(alone, host()) is alone


# Planted defects


def test_a_shared_operand_read_as_one_of_members_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, always: None
) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    monkeypatch.setattr(interleaved, "_repeated", lambda access: access)
    given = training("plain", 9)
    with pytest.raises(AssertionError):
        check_same(results(NativeEngine(), given), results(ReferenceEngine(), given), 1e-9)


def test_a_wrong_rule_is_caught(monkeypatch: pytest.MonkeyPatch, always: None) -> None:
    right = interleaving.RULES[Kind.ELEMENTWISE]

    def wrong(case: Any) -> Any:
        turned = case.node.op.name == "subtract"
        return right(case._replace(operands=case.operands[::-1], batched=case.batched[::-1])
                     if turned else case)  # fmt: skip

    monkeypatch.setitem(interleaving.RULES, Kind.ELEMENTWISE, wrong)
    given = training("plain", 9)
    with pytest.raises(AssertionError):
        check_same(results(NativeEngine(), given), results(ReferenceEngine(), given), 1e-9)
