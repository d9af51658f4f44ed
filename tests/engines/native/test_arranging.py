"""Other orders of a step, and sums in parts: they give what the usual ones give."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.base import BoundedCache, Outcome, Program
from chainrule.engines.native import arranging, build, phases
from chainrule.engines.native.arranging import Arrangement, Arranger, by_rows, in_parts
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.guard import GuardedHeap
from chainrule.engines.native.interleaving import side_by_side
from chainrule.engines.native.partial import PARTIAL, partial_sums
from chainrule.engines.native.schedule import Group, Scheduler, legalize
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.target import TARGETS
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph, close
from chainrule.graph.node import Node
from chainrule.networks import Network
from chainrule.nn import Activation, Function, Linear
from chainrule.training.loop import DivergenceWarning
from chainrule.transforms import simplify
from tests.engines.native.test_schedule import drawn
from tests.engines.native.test_steps import outcomes, programs

BATCHES = 3, 40, 64
generator = np.random.default_rng(0)


@pytest.fixture
def in_two_parts(monkeypatch: pytest.MonkeyPatch, no_old_code: None) -> None:
    """Sums over rows are made of partial ones in whatever program."""

    def last(self: Arranger) -> Arrangement:
        return list(self._arrangements())[-1]

    monkeypatch.setattr(Arranger, "run", last)
    monkeypatch.setattr(arranging, "LEAST", 0)
    monkeypatch.setattr(phases, "START", 0)
    monkeypatch.setattr(phases, "GAIN", 1)
    monkeypatch.setattr(phases, "WAIT", 1)
    monkeypatch.setattr(phases, "MOVED", 0)


def given(seed: int, batch: int) -> tuple[Program, list[Any], list[Any]]:
    """A random program, with batches of several vectors and a rest."""
    program, start, _ = drawn(seed)
    rows = [np.random.default_rng(seed).standard_normal((90, *start[0].shape[1:]))]
    return Program(program.step, carried=program.carried, batch=batch), start, rows


def run(engine: Any, *arguments: Any) -> list[Any]:
    outcome: Outcome = engine.run(*arguments, seed=3, epochs=range(2))
    return [*outcome.carried, *outcome.records]


def wrong(seeds: range) -> int:
    """How many random programs do not give what the reference gives."""
    found = 0
    for seed in seeds:
        example = given(seed, BATCHES[seed % len(BATCHES)])
        pairs = zip(run(NativeEngine(), *example), run(ReferenceEngine(), *example), strict=True)
        found += not all(np.allclose(x, y, rtol=1e-8, atol=1e-10) for x, y in pairs)
    return found


def test_sums_in_parts(in_two_parts: None) -> None:
    assert wrong(range(30)) == 0


def test_any_number_of_threads_gives_the_same_bits(
    in_two_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(6):
        example, found = given(seed, 64), []
        for threads in 1, 2, 3:
            monkeypatch.setenv("CHAINRULE_THREADS", str(threads))
            found.append(run(NativeEngine(), *example))
        for other in found[1:]:
            for x, y in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(x, y)


def test_trainings_have_the_same_bits_on_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    given = programs()
    request.getfixturevalue("in_two_parts")
    for name, each in given.items():
        alone = outcomes(monkeypatch, 1, each)
        for threads in 2, 3:
            for ours, theirs in zip(outcomes(monkeypatch, threads, each), alone, strict=True):
                np.testing.assert_array_equal(ours, theirs, err_msg=f"{name}, {threads} threads")


def test_no_part_reads_or_writes_outside_its_arrays(in_two_parts: None) -> None:
    for place in "start", "end":
        for seed in range(4):
            run(NativeEngine(heap=GuardedHeap(place)), *given(seed, 64))


@pytest.mark.parametrize("defect", ["rows", "sums"])
def test_a_part_that_is_not_where_it_belongs_is_seen(
    in_two_parts: None, monkeypatch: pytest.MonkeyPatch, defect: str
) -> None:
    """The planted defects: parts that overlap, and sums that are written over."""
    if defect == "rows":
        monkeypatch.setattr(Share, "part", lambda self, emit, extent, step=1: ("0", extent))
    else:
        monkeypatch.setattr(
            "chainrule.engines.native.function._bytes", lambda node: 8 * (cr.ROWS in node.shape)
        )
    monkeypatch.setattr(build, "_loaded", BoundedCache(build.KEPT))
    assert wrong(range(8))


@pytest.mark.parametrize("seed", range(20))
def test_what_a_group_needs_comes_before_it(seed: int) -> None:
    program, *_ = drawn(seed)
    legal, _ = legalize(program.step)
    for graph in legal, in_parts(legal, ())[0]:
        ordered, home = arranged(graph, program.carried)
        known = {node for group in ordered for node in group.nodes}
        assert known == {node for group in Scheduler(graph).run() for node in group.nodes}
        assert follows(ordered, home)
        assert not follows(ordered[::-1], home), "the planted defect is not seen"


def arranged(graph: Graph, carried: int) -> tuple[list[Group], Callable[[Node], Node]]:
    scheduler = Scheduler(graph, graph.outputs[carried : carried + 1])
    return by_rows(scheduler.run(), scheduler.home, graph.outputs[:carried]), scheduler.home


def follows(groups: list[Group], home: Callable[[Node], Node]) -> bool:
    """Whether no group reads what a later one computes."""
    place = {node: index for index, group in enumerate(groups) for node in group.nodes}
    return all(
        place.get(home(x), -1) <= index
        for index, group in enumerate(groups)
        for node in group.nodes
        for x in node.operands
    )


@pytest.mark.parametrize("seed", range(20))
def test_partial_sums_mean_the_same(seed: int) -> None:
    """By the reference engine, to which they are operations like others."""
    program, start, rows = given(seed, 64)
    legal, _ = legalize(program.step)
    parts, _ = in_parts(legal, ())
    assert any(node.op is PARTIAL for node in parts.nodes)
    key = np.zeros(2, np.uint32)
    theirs, ours = (ReferenceEngine().compile(g)([*start, *rows, key]) for g in (legal, parts))
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def test_only_sums_of_real_numbers_over_rows_are_parted() -> None:
    x, w = cr.input((cr.ROWS, 4)), cr.input((4, 3))
    integers = cr.astype(x, "int64")
    graph = close(
        [cr.sum(x, axis=1), cr.max(x, axis=0), cr.sum(integers, axis=0), x @ w, cr.sum(x, axis=0)]
    )
    parted = [node.operands[0] for node in in_parts(graph, ())[0].nodes if node.op is PARTIAL]
    assert parted == [graph.outputs[-1]]


def test_a_sum_in_parts_has_no_other_reduction_beside_it(in_two_parts: None) -> None:
    """The largest of the numbers whose mean is the loss, and how many are positive."""
    w, x, key = cr.input((4,)), cr.input((cr.ROWS, 4)), cr.input((2,), "uint32")
    errors = cr.tanh(cr.sum(x * w, axis=1))
    records = cr.mean(errors), cr.max(errors), cr.sum(cr.astype(errors > 0, "int64"))
    step = Graph((w, x, key), tuple(simplify([w * 0.9, *records])))
    rows = generator.standard_normal((80, 4))
    given = Program(step, carried=1, batch=40), [np.ones(4)], [rows]
    for ours, theirs in zip(
        run(NativeEngine(), *given), run(ReferenceEngine(), *given), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_labels_computed_from_sums_in_parts_are_checked(in_two_parts: None) -> None:
    def chosen(x: Any) -> Any:
        return cr.one_hot(cr.astype(x + 0 * cr.mean(x) + 0.5, np.int64)[:, 0], 6, np.float32)

    codes = (np.arange(64) % 6).astype(np.float32)[:, None]
    model = Network([Function(chosen), Linear(6, 4), Activation("tanh"), Linear(4, 1)], seed=0)
    history = model.fit(codes, codes, batch_size=64, epochs=1, engine="native")
    assert np.isfinite(history["loss"]).all()
    with pytest.raises(IndexError):
        model.fit(codes + 1, codes, batch_size=64, epochs=1, engine="native")


def test_members_side_by_side_have_no_sums_in_parts(in_two_parts: None) -> None:
    """Threads train some of them each, and what pays for all may not pay for some."""
    x, weights, key = cr.input((cr.ROWS, 4)), cr.input((cr.ROWS,)), cr.input((2,), "uint32")
    single, many = cr.input((4, 3)), cr.input((20, 4, 3))
    steps = [
        Graph((w, x, weights, key), (w * 0.9, cr.sum(weights) + cr.sum(x @ w, axis=(-2, -1))))
        for w in (single, many)
    ]
    program = Program(steps[1], carried=1, batch=64, single=steps[0])
    step = side_by_side(program, 20)
    assert step is not None
    for graph, expected in (steps[0], True), (step, False):
        found = Arranger(*legalize(graph), TARGETS["avx2"], 1, 64).run()
        sums = [node for group in found.groups for node in partial_sums(group.nodes)]
        assert bool(sums) == expected


def phases_of(widths: tuple[int, ...], batch: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those of a training's step that threads share, on a processor of wide vectors."""
    found: list[Program] = []
    run = NativeEngine.run

    def noted(self: NativeEngine, program: Program, *given: Any, **rest: Any) -> Any:
        found.append(program)
        return run(self, program, *given, **rest)

    monkeypatch.setattr(NativeEngine, "run", noted)
    X = generator.standard_normal((2 * batch, widths[0])).astype(np.float32)
    y = generator.integers(0, widths[-1], len(X))
    layers = [x for pair in pairwise(widths) for x in (Linear(*pair), Activation("relu"))]
    model = Network(layers[:-1], seed=0)
    model.fit(X, y, loss="cross_entropy", batch_size=batch, epochs=1, engine="native")
    legal, labels = legalize(found[-1].step)
    target, carried = TARGETS["avx512"], found[-1].carried
    plan = Arranger(legal, labels, target, carried, batch).run()
    return [phase for phase in plan.phases if phase.start is not None]


def test_a_step_of_some_size_is_two_phases(
    monkeypatch: pytest.MonkeyPatch, no_old_code: None
) -> None:
    """All that goes by rows, with the gradients; and the updates."""
    first, second = phases_of((64, 100, 10), 200, monkeypatch)
    sums = [node for group in first.groups for node in partial_sums(group.nodes)]
    assert {(64, 100), (100,), (100, 10), (10,), ()} == {node.shape for node in sums}
    assert first.partial and not second.partial
    assert {(64, 100), (100, 10)} <= {group.space for group in second.groups}


def test_a_small_step_is_shared_by_nobody(
    monkeypatch: pytest.MonkeyPatch, no_old_code: None
) -> None:
    assert phases_of((20, 16, 10), 32, monkeypatch) == []


def test_a_loss_that_is_not_finite_leaves_all_as_it_was(in_two_parts: None) -> None:
    X = 1e25 * generator.standard_normal((64, 20)).astype(np.float32)
    model = Network([Linear(20, 30), Activation("relu"), Linear(30, 1)], seed=0)
    before = [np.array(x) for layer in model.parameters.values() for x in layer.values()]
    with pytest.warns(DivergenceWarning):
        model.fit(X, X[:, :1] / 1e25, batch_size=64, epochs=1, engine="native")
    after = [x for layer in model.parameters.values() for x in layer.values()]
    for x, y in zip(before, after, strict=True):
        np.testing.assert_array_equal(x, y)
