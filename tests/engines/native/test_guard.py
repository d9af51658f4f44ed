"""Compiled code stays inside its buffers; accesses that do not are caught."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.guard import SIDES, VARIABLE, GuardedHeap
from chainrule.engines.native.heap import Heap
from chainrule.errors import ParameterError
from chainrule.shapes import FLOAT32
from tests.engines.native.test_laws import NARROWER, runs_here

ROOT = Path(__file__).resolve().parents[3]
PAGES = pytest.mark.skipif(sys.platform == "win32", reason="pages cannot be closed there")


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "tests.engines.native.guarded", *arguments)


def check(*arguments: str) -> None:
    done = run(*arguments)
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"stopped by {done.returncode} in {last}: {done.stderr[-2000:]}"
    assert int(last[0].split()[0]) >= 12, "more was to be run"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("work", ["graphs", "products", "networks"])
def test_plans_stay_inside_their_buffers(work: str, side: str) -> None:
    check("host", side, work)


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
def test_operations_stay_inside_their_buffers(side: str) -> None:
    check("host", side, "operations")


@pytest.mark.slow
@pytest.mark.parametrize("work", ["operations", "graphs", "products", "networks"])
@pytest.mark.parametrize("target", NARROWER, ids=lambda target: target.name)
def test_code_for_narrower_processors_stays_inside(target, work: str) -> None:
    if not runs_here(target):
        pytest.skip(f"this processor cannot run {target.name} code")
    check(target.name, "end", work)


@PAGES
@pytest.mark.parametrize("work", ["graphs", "networks"])
def test_a_vector_that_reaches_beyond_its_array_is_caught(work: str) -> None:
    """Loops whose last vector is always whole: the planted defect."""
    done = run("host", "end", work, "defect")
    assert done.returncode in (-11, -10, 1), done.stderr[-2000:]
    if done.returncode == 1:
        assert "compiled code wrote byte" in done.stderr


@pytest.mark.parametrize("side", SIDES)
def test_a_byte_written_on_the_other_side_is_told(side: str) -> None:
    heap = GuardedHeap(side)
    array = heap.filled(1.0, (25,), FLOAT32)
    heap.check()
    ctypes.memset(array.ctypes.data + {"end": -1, "start": 100}[side], 0, 1)
    with pytest.raises(AssertionError, match=r"wrote byte (-1|100) of 100 bytes"):
        heap.check()


@PAGES
@pytest.mark.parametrize(("side", "offset"), [("end", 100), ("start", -1)])
def test_a_byte_read_beside_an_array_stops_the_process(side: str, offset: int) -> None:
    script = (
        "import ctypes; from chainrule.engines.native.guard import GuardedHeap;"
        f"array = GuardedHeap({side!r}).empty(100);"
        "ctypes.string_at(array.ctypes.data, 100); print('inside', flush=True);"
        f"ctypes.string_at(array.ctypes.data + {offset}, 1)"
    )
    done = run_python("-c", script)
    assert done.stdout == "inside\n"
    assert done.returncode in (-11, -10)


def test_arrays_are_forgotten_when_they_are_gone() -> None:
    heap = GuardedHeap()
    for _ in range(100):
        heap.empty(1000)
    heap.check()
    assert not heap._regions


def test_the_environment_asks_for_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(NativeEngine().heap) is Heap
    monkeypatch.setenv(VARIABLE, "start")
    found = NativeEngine().heap
    assert isinstance(found, GuardedHeap) and found.side == "start"
    monkeypatch.setenv(VARIABLE, "both")
    with pytest.raises(ParameterError, match="'end' or 'start', not 'both'"):
        NativeEngine()


def test_what_nobody_wrote_is_not_a_number() -> None:
    assert np.isnan(GuardedHeap().empty(800).view(np.float64)).all()
