"""What happens inside a step: values are updated in place, and threads share the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.base import Outcome, Program
from chainrule.engines.native import (
    arranging,
    carrying,
    gathering,
    parts,
    schedule,
    sharing,
)
from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.parallel import MAXIMUM_CHUNKS
from chainrule.engines.native.target import TARGETS
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph, close
from chainrule.nn import Activation, Function, Linear, Network
from chainrule.shapes import Array
from tests.engines.native.test_programs import NETWORKS, trained

generator = np.random.default_rng(3)
ROWS = generator.standard_normal((40, 3))


# Updates in place


def stepped(engine: Any, outputs: Any, shape: tuple[int, ...] = (3,), count: int = 2) -> Outcome:
    """Three epochs of a program whose next values are ``outputs(values, rows)``."""
    values = [cr.input(shape) for _ in range(count)]
    x, key = cr.input((cr.ROWS, 3)), cr.input((2,), "uint32")
    following, loss = outputs(values, x)
    program = Program(Graph((*values, x, key), (*following, loss)), carried=count, batch=8)
    start = [np.full(shape, number + 1.0) for number in range(count)]
    return engine.run(program, start, [ROWS], seed=1, epochs=range(3))


def swapped(values: Any, x: Any) -> Any:
    a, b = values
    return (b * 0.5, a + cr.mean(x)), cr.mean(x)


def rotated(values: Any, x: Any) -> Any:
    a, b, c = values
    return (b, c, a), cr.mean(x * a)


def read_later(values: Any, x: Any) -> Any:
    a, b = values
    grown = a * 1.01 + cr.mean(x)
    return (grown, b + cr.sum(a) * cr.sum(grown)), cr.mean(x * b)


def read_beside(values: Any, x: Any) -> Any:
    a, b = values
    return (a * 0.9 + a[::-1] * 0.1, b - a), cr.mean(x * a)


def read_as_matrix(values: Any, x: Any) -> Any:
    a, b = values
    return (a @ b * 0.1, b - 0.01 * (a.T @ a)), cr.mean(x)


def before_the_loss(values: Any, x: Any) -> Any:
    a, b = values
    moved = a * 0.5
    return (moved, b), cr.mean(x @ cr.exp(moved) * b[0])


def unchanged(values: Any, x: Any) -> Any:
    a, b = values
    return (a, b + 1), cr.mean(x * a)


CASES: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "swapped": (swapped, (3,), 2),
    "rotated": (rotated, (3,), 3),
    "read later": (read_later, (3,), 2),
    "read beside": (read_beside, (3,), 2),
    "read as a matrix": (read_as_matrix, (3, 3), 2),
    "before the loss": (before_the_loss, (3,), 2),
    "unchanged": (unchanged, (3,), 2),
}


def check_case(name: str) -> None:
    expected, found = (stepped(each, *CASES[name]) for each in (ReferenceEngine(), NativeEngine()))
    for theirs, ours in zip(
        (*expected.carried, *expected.records), (*found.carried, *found.records), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_value_is_written_over_only_when_nobody_needs_it(name: str) -> None:
    check_case(name)


def test_writing_over_too_early_is_caught(
    monkeypatch: pytest.MonkeyPatch, no_old_code: None
) -> None:
    monkeypatch.setattr(arranging, "waiting", lambda *_: [])
    with pytest.raises(AssertionError):
        for name in CASES:
            check_case(name)


def test_an_update_elementwise_waits_for_nothing() -> None:
    w, x, key = cr.input((50, 20)), cr.input((cr.ROWS, 50)), cr.input((2,), "uint32")
    loss = cr.mean((x @ w) ** 2)
    (slope,) = cr.gradient(loss, [w])
    graph, _ = schedule.legalize(Graph((w, x, key), (w - 0.1 * slope, loss)))
    scheduler = schedule.Scheduler(graph, graph.outputs[1:])
    assert carrying.waiting(graph, scheduler.run(), scheduler.home, 1) == []


def test_a_loss_that_is_not_finite_leaves_everything_as_it_was() -> None:
    def outputs(values: Any, x: Any) -> Any:
        a, b = values
        return (a * 10, b - 1), cr.mean(cr.log(b)) + 0 * cr.mean(x)

    for engine in (ReferenceEngine(), NativeEngine()):
        outcome = stepped(engine, outputs)
        assert not outcome.finite
        np.testing.assert_array_equal(outcome.carried[0], [100.0] * 3)
        np.testing.assert_array_equal(outcome.carried[1], [0.0] * 3)


def test_computed_labels_are_checked_while_they_are_there() -> None:
    codes = (np.arange(64) % 6).astype(np.float32)[:, None]

    def chosen(x: Any) -> Any:
        return cr.one_hot(cr.astype(x, np.int64)[:, 0], 6, np.float32)

    layers = [Function(chosen), Linear(6, 4), Activation("tanh"), Linear(4, 1)]
    model = Network(layers, seed=0)
    history = model.fit(codes, codes, epochs=2, seed=0, engine="native", progress=False)
    assert np.isfinite(history["loss"]).all()
    with pytest.raises(IndexError):
        model.fit(codes + 1, codes, epochs=1, seed=0, engine="native", progress=False)


# Threads


def programs() -> dict[str, tuple[Program, list[Array], list[Array]]]:
    """The programs of some trainings, with what they start from."""
    found: dict[str, tuple[Program, list[Array], list[Array]]] = {}
    run = NativeEngine.run

    def noted(self: NativeEngine, program: Program, carried: Any, rows: Any, **rest: Any) -> Any:
        found.setdefault(name, (program, [np.array(x) for x in carried], list(rows)))
        return run(self, program, carried, rows, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NativeEngine, "run", noted)
        for name in NETWORKS:
            trained(name, "native", epochs=1, dtype="float32")
        name = "members"
        trained("softmax", "native", epochs=1, members=3)
        name = "wide"
        X = generator.standard_normal((150, 70)).astype(np.float32)
        model = Network([Linear(70, 90), Activation("tanh"), Linear(90, 3)], seed=0)
        model.fit(X, X[:, 0] > 0, loss="cross_entropy", batch_size=64, epochs=1, engine="native")
    program, *arrays = found["wide"]
    found["in order"] = replace(program, shuffled=False), *arrays
    found["drawn"] = replace(program, shuffled=False, replacement=True), *arrays
    return found


def outcomes(
    patch: pytest.MonkeyPatch, threads: int, given: tuple[Program, list[Array], list[Array]]
) -> Sequence[Array]:
    program, carried, rows = given
    patch.setenv("CHAINRULE_THREADS", str(threads))
    outcome = NativeEngine().run(program, carried, rows, seed=5, epochs=range(2))
    return [*outcome.carried, *outcome.records]


def share_all(patch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Whatever can be shared is from now on, and products in more parts than there are threads.

    The order of groups is the usual one, and no sum is made of others.
    """
    patch.setattr(arranging, "LEAST", 10**15)
    for module in (sharing, gathering):
        patch.setattr(module, "WORTH", 1)
    for name in ("CHUNK_WORTH", "COMMON_BYTES"):
        patch.setattr(parts, name, 1)
    request.getfixturevalue("no_old_code")


def test_any_number_of_threads_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    given = programs()
    alone = {name: outcomes(monkeypatch, 1, each) for name, each in given.items()}
    share_all(monkeypatch, request)
    for (name, each), threads in product(given.items(), (1, 2, 3)):
        shared = outcomes(monkeypatch, threads, each)
        for ours, theirs in zip(shared, alone[name], strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{name}, {threads} threads")


def cut(rows: int | None, columns: int, inner: int = 300) -> parts.Parts:
    """How a product of a batch, or of so many rows, is cut."""
    x = cr.input((cr.ROWS if rows is None else rows, inner))
    (group,) = schedule.Scheduler(close([x @ cr.input((inner, columns))])).run()
    found = parts.parts_of(group, TARGETS["avx512"], rows, rows or sharing.USUAL_ROWS)
    assert found is not None
    return found


def test_the_number_of_parts() -> None:
    """Several for each thread, but not of too little work, and no more than a phase can have."""

    def counted(rows: int, columns: int, threads: int) -> int:
        return int(cut(rows, columns).count(Emitter(TARGETS["avx512"]), str(threads)))

    assert [counted(rows, 512, 2) for rows in (1, 8, 512, 1024)] == [2, 4, 8, 8]
    assert [counted(rows, 512, 3) for rows in (512, 1024)] == [12, 12]
    assert counted(1024, 100, 2) == 2
    assert counted(10**8, 512, 4000) == MAXIMUM_CHUNKS


def test_who_lays_out_what() -> None:
    """By columns where rows are fewer; by rows after B was laid out, unless that is small."""
    found = {shape: cut(*shape) for shape in ((256, 512), (1024, 512), (1024, 100), (1024, 16))}
    assert [x.by_panels for x in found.values()] == [True, False, False, False]
    assert [x.spec.common for x in found.values()] == [False, True, False, False]


def test_a_penalty_stores_no_array_of_its_own() -> None:
    """What the update needs beside the gradient is computed there, not where the penalty is."""
    X = generator.standard_normal((64, 20)).astype(np.float32)
    model = Network([Linear(20, 30), Activation("relu"), Linear(30, 3)], seed=0)
    steps: list[Graph] = []
    with pytest.MonkeyPatch.context() as patch:
        run = NativeEngine.run
        patch.setattr(
            NativeEngine,
            "run",
            lambda *args, **rest: steps.append(args[1].step) or run(*args, **rest),
        )
        model.fit(X, X[:, 0] > 0, loss="cross_entropy", epochs=1, l2=0.1, engine="native")
    groups = schedule.Scheduler(schedule.legalize(steps[0])[0]).run()
    loops = [group for group in groups if group.kind is schedule.GroupKind.LOOP]
    (penalty,) = [group for group in loops if group.space == (20, 30)]
    assert [node.op.name for node in penalty.nodes] == ["multiply", "sum"]


def test_a_part_that_is_left_out_is_caught(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    given = programs()["wide"]
    alone = outcomes(monkeypatch, 1, given)
    share_all(monkeypatch, request)
    part = sharing.Share.part

    def short(self: Any, emit: Any, extent: str, step: int = 1) -> tuple[str, str]:
        begin, end = part(self, emit, extent, step)
        return begin, emit.integer("sub", end, "1")

    monkeypatch.setattr(sharing.Share, "part", short)
    shared = outcomes(monkeypatch, 2, given)
    assert not all(np.array_equal(a, b) for a, b in zip(shared, alone, strict=True))


def test_a_function_of_many_rows_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    w = generator.standard_normal((200, 64))
    x = generator.standard_normal((5000, 200))
    layer = cr.compile(lambda x: cr.tanh(x @ w), engine="native")
    found = {}
    for threads in (1, 2, 3):
        monkeypatch.setenv("CHAINRULE_THREADS", str(threads))
        found[threads] = layer(x)
        np.testing.assert_array_equal(layer(x[:7]), found[threads][:7])
    np.testing.assert_allclose(found[1], np.tanh(x @ w), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found[2], found[1])
    np.testing.assert_array_equal(found[3], found[1])


def test_views_of_one_number_are_numbers() -> None:
    """A derivative of a sum holds ones of any shape, reshaped and repeated."""
    w, v = generator.standard_normal((4, 8)), generator.standard_normal((8, 2))
    x = generator.standard_normal(4)
    along = cr.hvp(lambda x: cr.sum(cr.tanh(x @ w) @ v))
    expected, found = (cr.compile(along, engine=name)(x, x) for name in ("reference", "native"))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
