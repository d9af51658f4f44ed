"""Phases: parts of several groups in a row, in any order, give what all of them give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.base import BoundedCache, Program
from chainrule.engines.native import arranging, build, phases
from chainrule.engines.native.cuts import ALONE, cut_extent, cut_unit
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.guard import GuardedHeap
from chainrule.engines.native.phases import Phase
from chainrule.engines.native.schedule import Group, GroupKind, Scheduler, stored_nodes
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.target import TARGETS
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph, close
from chainrule.transforms import simplify
from tests.engines.native.test_schedule import drawn
from tests.engines.native.test_steps import outcomes, programs

PARTS = 3


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch, no_old_code: None) -> None:
    """Phases cost next to nothing, wherever parts are divided."""

    def unit(group: Group, axis: int, *rest: Any) -> int:
        free = group.kind is GroupKind.PRODUCT or cut_extent(group, axis) == cr.ROWS
        return 1 if free else cut_unit(group, axis, *rest)

    monkeypatch.setattr(phases, "cut_unit", unit)
    monkeypatch.setattr(phases, "WAIT", 1)
    monkeypatch.setattr(phases, "MOVED", 0)
    monkeypatch.setattr(arranging, "LEAST", 0)
    monkeypatch.setattr(phases, "START", 0)
    monkeypatch.setattr(phases, "GAIN", 1)
    monkeypatch.setenv("CHAINRULE_THREADS", "1")


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch, cheap: None) -> None:
    """Parts of phases run in one thread, the last part first.

    What a part reads that another one writes is then not what it should be.
    """
    write = Phase.write_part

    def reversed_parts(self: Phase, emit: Any, share: Share, one: Callable[..., None]) -> None:
        last = emit.integer("sub", share.count, "1")
        index = emit.integer("sub", last, share.index)
        write(self, emit, replace(share, index=index), one)

    count = Phase.count

    def parts(self: Phase, emit: Any, threads: str) -> str:
        return count(self, emit, threads) if self.partial else str(PARTS)

    monkeypatch.setattr(Phase, "count", parts)
    monkeypatch.setattr(Phase, "write_part", reversed_parts)


def run_both(seed: int) -> list[tuple[Any, Any]]:
    """The results of a random program, by this engine and by the reference."""
    program, start, rows = drawn(seed)
    ours, theirs = (
        engine.run(program, start, rows, seed=3, epochs=range(2))
        for engine in (NativeEngine(), ReferenceEngine())
    )
    return list(
        zip([*ours.carried, *ours.records], [*theirs.carried, *theirs.records], strict=True)
    )


def differing(seeds: Sequence[int]) -> int:
    """How many random programs do not give what the reference gives."""
    return sum(
        not all(np.allclose(x, y, rtol=1e-8, atol=1e-10) for x, y in run_both(seed))
        for seed in seeds
    )


@pytest.mark.parametrize("seed", range(40))
def test_parts_in_any_order(seed: int, backwards: None) -> None:
    for x, y in run_both(seed):
        np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-10)


def test_trainings_have_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    given = programs()
    request.getfixturevalue("cheap")
    alone = {name: outcomes(monkeypatch, 1, each) for name, each in given.items()}
    request.getfixturevalue("backwards")
    monkeypatch.setattr(build, "_loaded", BoundedCache(build.KEPT))
    for name, each in given.items():
        for ours, theirs in zip(outcomes(monkeypatch, 1, each), alone[name], strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_what_others_compute_is_not_read(backwards: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted defect: parts read what is not there yet."""
    monkeypatch.setattr(phases._Open, "_is_there", lambda *given: True)
    assert differing(range(40))


def normalized() -> list[tuple[Any, Any]]:
    """A matrix that is multiplied with itself, row by row, and then written over."""
    w, x, key = (
        cr.input((32, 32), "float64"),
        cr.input((cr.ROWS, 2), "float64"),
        cr.input((2,), "uint32"),
    )
    product = w @ w
    following = w * 0.5 + product / cr.sum(cr.abs(product), axis=1, keepdims=True)
    step = Graph((w, x, key), tuple(simplify([following, cr.mean(x)])))
    start = np.random.default_rng(0).standard_normal((32, 32))
    engines = NativeEngine(), ReferenceEngine()
    given = Program(step, carried=1, batch=2), [start], [np.ones((4, 2))]
    ours, theirs = (x.run(*given, seed=0, epochs=range(2)) for x in engines)
    return list(zip(ours.carried, theirs.carried, strict=True))


def test_what_others_read_is_not_written_over(
    backwards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the planted defect: it is."""
    ((ours, theirs),) = normalized()
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    monkeypatch.setattr(phases._Open, "_is_free", lambda *given: True)
    monkeypatch.setattr(build, "_loaded", BoundedCache(build.KEPT))
    ((ours, theirs),) = normalized()
    assert not np.allclose(ours, theirs)


def test_memory_taken_back_too_early_is_caught(
    backwards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted defect: work space is free again when a group ends, not when its phase does."""
    from chainrule.engines.native import memory

    assign = memory.assign
    monkeypatch.setattr(
        memory, "assign", lambda groups, *rest: assign(groups, *rest[:-1], range(len(groups)))
    )
    assert differing(range(40))


def found(graph: Graph, rows: int) -> list[Phase]:
    """The phases of a function of so many rows."""
    scheduler = Scheduler(graph)
    groups = scheduler.run()
    stored = stored_nodes(graph, groups, scheduler.home)
    setting = phases.Setting(TARGETS["avx512"], rows, scheduler.inputs, stored, {}, {})
    return phases.phases(groups, -1, setting)[1]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint16", "int32"])
def test_no_vector_reaches_into_another_part(dtype: str) -> None:
    """Parts of rows are whole vectors of whatever a loop computes, tiles of products included."""
    x = cr.input((cr.ROWS,), dtype)
    for phase in found(close([x + x, cr.multiply(x, x)]), 10**8):
        target = TARGETS["avx512"]
        for group, (axis, unit) in zip(phase.groups, phase.cuts, strict=bool(phase.cuts)):
            assert axis < 0 or unit % target.lanes(np.dtype(dtype)) == 0
            assert cut_unit(group, 0, target, None) % target.lanes(np.dtype(dtype)) == 0


def test_a_forward_pass_is_one_phase() -> None:
    """By rows: no row needs another one."""
    x, widths = cr.input((cr.ROWS, 20)), [20, 32, 32, 10]
    for inner, outer in pairwise(widths):
        x = cr.tanh(x @ cr.input((inner, outer)) + cr.input((outer,)))
    (phase,) = found(close([cr.softmax(x, axis=-1)]), 4096)
    assert set(phase.cuts) == {(0, 16)}


def test_a_large_product_that_is_cut_by_rows_is_part_of_a_phase() -> None:
    """One that is cut by columns, or whose second operand all lay out together, is not."""

    def groups_of_first_phase(inner: int, units: int) -> int:
        hidden = cr.tanh(cr.input((cr.ROWS, inner)) @ cr.input((inner, units)))
        scores = cr.softmax(hidden @ cr.input((units, 10)), axis=-1)
        return len(found(close([scores]), 512)[0].groups)

    assert groups_of_first_phase(392, 100) > 1
    assert groups_of_first_phase(392, 1024) == groups_of_first_phase(392, 256) == 1


def test_a_sum_of_all_rows_ends_a_phase() -> None:
    x, w = cr.input((cr.ROWS, 64)), cr.input((64, 64))
    hidden = cr.tanh(x @ w)
    centred = hidden - cr.mean(hidden, axis=0)
    plan = found(close([cr.exp(centred)]), 4096)
    (before,) = [phase for phase in plan if any("matmul" in str(x) for x in phase.groups)]
    (after,) = [phase for phase in plan if any("exp" in str(x) for x in phase.groups)]
    assert before.start is not None and after.start is not None
    assert plan.index(before) < plan.index(after)


def test_little_work_is_not_shared() -> None:
    x = cr.input((cr.ROWS, 20))
    graph = close([cr.tanh(x @ cr.input((20, 10)))])
    assert [phase.start for phase in found(graph, 8)] == [None]
    assert [phase.start for phase in found(graph, 8192)] != [None]


def test_what_is_light_does_not_end_a_phase() -> None:
    """The mean of a few numbers stands between two updates: one part computes it, or it waits."""
    wide, narrow = cr.input((512, 64)), cr.input((8,))
    graph = close([cr.tanh(wide) * 0.5, cr.sum(narrow), cr.exp(wide @ cr.input((64, 64)))])
    (phase,) = found(graph, 1)
    assert [axis for axis, _ in phase.cuts] == [0, ALONE, 0]


def test_vectors_stay_whole_whatever_numbers_are_there(backwards: None) -> None:
    """A constant of a wider type stands in a loop over narrower ones, and has no say in it."""
    x = cr.input((48,), "float32")
    wide = cr.broadcast_to(cr.constant(np.float64(1.5)), (48,))
    graph = Graph((x,), (x * cr.astype(wide, "float32") + 1,))
    run = NativeEngine(heap=GuardedHeap("end")).compile(graph)
    array = np.arange(48, dtype=np.float32)
    np.testing.assert_array_equal(run([array])[0], array * np.float32(1.5) + 1)


def test_the_search_is_linear_in_the_number_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    way, asked = phases._Open.way, []

    def counted(self: Any, choice: Any) -> Any:
        asked.append(choice)
        return way(self, choice)

    monkeypatch.setattr(phases._Open, "way", counted)
    counts = []
    for layers in (150, 300):
        x = cr.input((cr.ROWS, 8))
        for _ in range(layers):
            x = cr.tanh(x @ cr.input((8, 8)))
        asked.clear()
        found(close([x]), 4096)
        counts.append(len(asked))
    assert counts[1] <= 2.5 * counts[0]
