"""Parts of members in threads of their own: the bits of all of them in one, whatever happens."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

from chainrule.engines.base import Outcome, Program
from chainrule.engines.native import interleaving, members, sharing
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.guard import GuardedHeap
from chainrule.engines.native.parallel import Call
from chainrule.engines.native.running import CompiledProgram
from chainrule.engines.native.target import TARGETS
from chainrule.engines.native.threads import at_once
from chainrule.shapes import Array
from tests.engines.native.test_interleaving import TRAININGS, training
from tests.engines.native.test_laws import runs_here
from tests.engines.native.test_threads import python

MEMBERS = 18
AVX2 = TARGETS["avx2"]  # vectors of eight: three of them
Given = tuple[Program, Sequence[Array], Sequence[Array]]

pytestmark = pytest.mark.skipif(not runs_here(AVX2), reason="this processor cannot run avx2 code")


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Members lie side by side, and are divided however little there is to do; into how many."""
    counts: list[int] = []

    def counted(calls: Sequence[Call]) -> None:
        counts.append(len(calls))
        at_once(calls)

    monkeypatch.setattr(interleaving, "GAIN", 0.0)
    monkeypatch.setattr(members, "WORTH", 0)
    monkeypatch.setattr(members, "at_once", counted)
    monkeypatch.setenv("CHAINRULE_THREADS", "3")
    return counts


def undivided(given: Given) -> Outcome:
    """What all members give in one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_THREADS", "1")
        return divided(given)


def divided(given: Given, engine: NativeEngine | None = None) -> Outcome:
    program, carried, rows = given
    return (engine or NativeEngine(AVX2)).run(program, carried, rows, seed=5, epochs=range(2))


def check_same_bits(found: Outcome, expected: Outcome) -> None:
    assert found.finite == expected.finite
    for ours, theirs in zip(
        [*found.carried, *found.records], [*expected.carried, *expected.records], strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert all(each.flags.c_contiguous for each in found.carried)


# Same bits


@pytest.mark.parametrize("name", TRAININGS)
def test_parts_have_the_bits_of_the_whole(name: str, parts: list[int]) -> None:
    given = training(name, MEMBERS, "float32")
    expected = undivided(given)
    assert parts == []
    check_same_bits(divided(given), expected)
    assert parts == [3]


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads(
    threads: int, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = training("dropout", MEMBERS, "float64")
    expected = undivided(given)
    monkeypatch.setenv("CHAINRULE_THREADS", str(threads))
    check_same_bits(divided(given), expected)
    assert parts == [min(threads, 3)]


@pytest.mark.parametrize("ends", [(2, 18), (5, 9, 18)], ids=str)
def test_members_may_be_divided_anywhere(
    ends: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = training("dropout", MEMBERS, "float32")
    expected = undivided(given)
    cuts = list(zip((0, *ends), ends, strict=False))
    monkeypatch.setattr(members.CompiledMembers, "_cuts", lambda *_: cuts)
    check_same_bits(divided(given), expected)


@pytest.mark.parametrize("lanes", [1, 4, 8, 16])
@pytest.mark.parametrize("count", [2, 3, 8, 16, 17, 18, 33, 64, 65, 200])
def test_parts_are_whole_vectors_and_no_single_members(count: int, lanes: int) -> None:
    for most in range(1, 12):
        cuts = members.cut(count, most, lanes)
        firsts, lasts = zip(*cuts, strict=True)
        assert (firsts[0], lasts[-1]) == (0, count) and firsts[1:] == lasts[:-1]
        assert len(cuts) <= most and all(first % lanes == 0 for first in firsts)
        sizes = [last - first for first, last in cuts]
        assert min(sizes) >= 2 and max(sizes) <= min(sizes) + 2 * max(2, lanes)


def test_one_member_more_than_vectors_hold(
    parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, the sums over its rows would have another order."""
    given = training("plain", 17, "float32")
    expected = undivided(given)
    check_same_bits(divided(given), expected)
    assert parts == [2]
    monkeypatch.setattr(members, "cut", lambda *_: [(0, 16), (16, 17)])
    with pytest.raises(AssertionError, match="not equal"):
        check_same_bits(divided(given), expected)


def test_parts_whose_own_work_could_be_shared(
    parts: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = training("plain", MEMBERS, "float32")
    expected = undivided(given)
    monkeypatch.setattr(sharing, "WORTH", 1)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    check_same_bits(divided(given), expected)
    assert parts == [3]


def test_parts_write_nothing_beside_their_arrays() -> None:
    given = training("dropout", MEMBERS, "float32")
    found = divided(given, NativeEngine(AVX2, GuardedHeap("end")))
    check_same_bits(found, undivided(given))


def test_calls_follow_each_other_in_any_division(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work space is kept from call to call; what a caller has been given is not."""
    program, carried, rows = training("plain", MEMBERS, "float32")
    expected = undivided((program, carried, rows))
    engine = NativeEngine(AVX2)
    first = engine.run(program, carried, rows, seed=5, epochs=range(1))
    kept = [np.array(x) for x in first.carried]
    for threads in ("2", "1", "3"):
        monkeypatch.setenv("CHAINRULE_THREADS", threads)
        second = engine.run(program, first.carried, rows, seed=5, epochs=range(1, 2))
        for ours, theirs in zip(second.carried, expected.carried, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for ours, theirs in zip(first.carried, kept, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_short_call_is_not_divided(parts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    program, carried, rows = training("plain", MEMBERS, "float32")
    engine = NativeEngine(AVX2)
    compiled = engine._compiled(program)
    assert isinstance(compiled, members.CompiledMembers)
    monkeypatch.setattr(members, "WORTH", 100 * 3 * compiled._work)  # an epoch has three steps
    engine.run(program, carried, rows, seed=0, epochs=range(99))
    assert parts == []
    engine.run(program, carried, rows, seed=0, epochs=range(100))
    assert parts == [3]


# What goes wrong


def test_steps_go_on_while_any_part_is_finite(parts: list[int]) -> None:
    program, carried, rows = training("regression", MEMBERS, "float32")
    broken = [np.array(x) for x in carried]
    broken[0][:8] = np.nan  # all that one thread has
    expected = undivided((program, broken, rows))
    engine = NativeEngine(AVX2)
    for _ in range(2):
        found = divided((program, broken, rows), engine)
        check_same_bits(found, expected)
        assert found.finite and np.isfinite(found.carried[0][8:]).all()
    assert parts == [3]  # once is enough to know that they stop at different steps


def test_members_that_all_diverge_stop_where_the_last_one_does(parts: list[int]) -> None:
    program, carried, rows = training("regression", MEMBERS, "float32")
    broken = [np.array(x) for x in carried]
    broken[0][:9], broken[0][9:] = np.nan, 1e18  # some at once, the others by and by
    found = divided((program, broken, rows))
    check_same_bits(found, undivided((program, broken, rows)))
    assert parts == [3] and not found.finite


@pytest.mark.parametrize("diverged", [False, True])
def test_a_label_outside_the_classes_is_an_error(diverged: bool, parts: list[int]) -> None:
    program, carried, rows = training("plain", MEMBERS, "float32")
    if diverged:
        carried[0][:8] = np.nan
    labels = np.array(rows[1])
    labels[3] = 7
    with pytest.raises(IndexError, match="outside"):
        divided((program, carried, [rows[0], labels]))
    assert parts == [3]


def test_arrays_that_do_not_fit_are_an_error() -> None:
    program, carried, rows = training("plain", MEMBERS, "float32")
    with pytest.raises(ValueError, match="shape"):
        divided((program, [carried[0][:-1], *carried[1:]], rows))


def test_an_interrupt_between_parts_leaves_the_engine_usable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, engine = training("plain", MEMBERS, "float32"), NativeEngine(AVX2)
    divided(given, engine)
    begin, begun = CompiledProgram.begin, []

    def interrupted(*arguments: Any) -> Any:
        begun.append(1)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return begin(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(CompiledProgram, "begin", interrupted)
        with pytest.raises(KeyboardInterrupt):
            divided(given, engine)
    check_same_bits(divided(given, engine), undivided(given))


def test_several_trainings_at_a_time() -> None:
    given, engine = training("dropout", MEMBERS, "float32"), NativeEngine(AVX2)
    expected, found = undivided(given), []
    threads = [
        threading.Thread(target=lambda: found.extend(divided(given, engine) for _ in range(5)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 15
    for each in found:
        check_same_bits(each, expected)


def test_calls_leave_no_threads_behind() -> None:
    given, engine = training("plain", MEMBERS, "float32"), NativeEngine(AVX2)
    divided(given, engine)
    known = set(threading.enumerate())  # the engine's own wait for the next call
    for _ in range(3):
        divided(given, engine)
    assert set(threading.enumerate()) <= known


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_divides_too() -> None:
    script = """
import os
from chainrule.engines.native import interleaving, members
from tests.engines.native.test_members import *
interleaving.GAIN, members.WORTH = 0.0, 0
os.environ["CHAINRULE_THREADS"] = "3"
given, engine = training("dropout", MEMBERS, "float32"), NativeEngine(AVX2)
expected = divided(given, engine)
child = os.fork()
check_same_bits(divided(given, engine), expected)
if child == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert python(script, timeout=240) == ["0"]


# Calls at once


def test_calls_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits until the other one has begun."""
    monkeypatch.setenv("CHAINRULE_THREADS", "2")
    barrier, given = threading.Barrier(2, timeout=120), []

    def called(*arguments: int) -> None:
        barrier.wait()
        given.append(arguments)

    function = c_function(called)
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    at_once([Call(address, 2**40, -1, 5), Call(address, 2**41, 6, 7)])
    assert sorted(given) == [(2**40, -1, 5), (2**41, 6, 7)]


def test_each_call_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    function = c_function(lambda _, first, second: given.append(first * second))
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("CHAINRULE_THREADS", threads)
        at_once([Call(address, 8, i, 2) for i in range(50)])
        assert sorted(given) == [2 * i for i in range(50)]
        given.clear()


def c_function(function: Callable[..., None]) -> Any:
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(function)


# Planted defects


def test_members_numbered_anew_in_each_part_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    given = training("dropout", MEMBERS, "float32")
    expected = undivided(given)
    begin = CompiledProgram.begin

    def wrong(self: Any, program: Any, carried: Any, *rest: Any) -> Any:
        *values, numbers = carried
        return begin(self, program, [*values, numbers - numbers[0]], *rest)

    monkeypatch.setattr(CompiledProgram, "begin", wrong)
    with pytest.raises(AssertionError):
        check_same_bits(divided(given), expected)


def test_a_part_that_stops_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    program, carried, rows = training("regression", MEMBERS, "float32")
    broken = [np.array(x) for x in carried]
    broken[0][:8] = np.nan
    expected = undivided((program, broken, rows))
    run_parts = members.CompiledMembers._run_parts

    def wrong(*arguments: Any) -> Any:
        found = run_parts(*arguments)
        return [Outcome(x.carried, x.records) for x in found if x is not None]

    monkeypatch.setattr(members.CompiledMembers, "_run_parts", wrong)
    with pytest.raises((AssertionError, ValueError)):
        check_same_bits(divided((program, broken, rows)), expected)
