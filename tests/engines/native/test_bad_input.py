"""Bad input: a clear error or the right result, never a crash of the interpreter."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.base import BoundedCache, Program
from chainrule.engines.native import build
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.guard import GuardedHeap
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import DtypeError, ParameterError
from chainrule.graph.graph import Graph, close
from chainrule.networks import Network
from tests.clock import PATIENCE, until
from tests.engines.native.test_jit import usual
from tests.engines.native.test_programs import NETWORKS
from tests.forking import forks, holds_in_a_child

ROOT = Path(__file__).resolve().parents[3]


def affine() -> tuple[Graph, list[np.ndarray]]:
    """tanh(x w), and values for x and w."""
    x, w = cr.input((cr.ROWS, 6), "float32"), cr.input((6, 4), "float32")
    generator = np.random.default_rng(0)
    values = [generator.standard_normal(shape).astype(np.float32) for shape in ((9, 6), (6, 4))]
    return Graph((x, w), (cr.tanh(x @ w),)), values


def step(rows: int = 40, classes: int = 3) -> tuple[Program, list[np.ndarray], list[np.ndarray]]:
    """A program that learns classes from two features: program, carried values, rows."""
    w = cr.input((2, classes), "float64")
    x, y = cr.input((cr.ROWS, 2), "float64"), cr.input((cr.ROWS,), "int64")
    loss = -cr.mean(cr.sum(cr.one_hot(y, classes, "float64") * cr.log_softmax(x @ w), axis=1))
    (slope,) = cr.gradient(loss, [w])
    graph = Graph((w, x, y, cr.input((2,), "uint32")), (w - 0.1 * slope, loss))
    generator = np.random.default_rng(1)
    data = [generator.standard_normal((rows, 2)), generator.integers(0, classes, rows)]
    return Program(graph, carried=1, batch=8), [np.zeros((2, classes))], data


# Shapes


@pytest.mark.parametrize("size", [2**44, 2**60, 2**70])
def test_results_that_no_memory_holds(size: int) -> None:
    x = cr.input((1,))
    with pytest.raises(MemoryError):
        NativeEngine().compile(close([cr.broadcast_to(x, (size,)) + 1.0]))([np.ones(1)])


def test_work_that_no_memory_holds() -> None:
    """A running sum is kept in memory; the result is one number."""
    x = cr.input((1,))
    graph = close([cr.max(cr.cumulative_sum(cr.broadcast_to(x, (2**43,))))])
    with pytest.raises(MemoryError, match="no memory for work on 1 rows"):
        NativeEngine().compile(graph)([np.ones(1)])


def test_what_cannot_be_addressed_is_named() -> None:
    x = cr.input((2**30, 2**30))
    with pytest.raises(MemoryError, match=r"input built at .*float64\[1073741824,1073741824\]"):
        NativeEngine().compile(close([cr.sum(x)]))


@pytest.mark.parametrize("heap", [None, GuardedHeap()], ids=["plain", "guarded"])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_rows_at_all(name: str, heap: Any) -> None:
    model = Network(NETWORKS[name][0](), seed=0)
    snapshot = model.snapshot()
    graph = model.architecture.prediction_graph(snapshot)
    values = [
        np.zeros((0, *x.shape[1:]), x.dtype) if cr.ROWS in x.shape else np.ones(x.shape, x.dtype)
        for x in graph.inputs
    ]
    (found,) = NativeEngine(heap=heap).compile(graph)(values)
    (expected,) = ReferenceEngine().compile(graph)(values)
    assert found.shape == expected.shape and found.shape[0] == 0


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_arrays_without_elements(shape: tuple[int, ...]) -> None:
    x = cr.input(shape)
    graph = close(
        [cr.sum(x, axis=-1), cr.exp(x), cr.prod(x), cr.constant(np.ones((3, 0))) @ np.ones((0, 2))]
    )
    found = NativeEngine(heap=GuardedHeap()).compile(graph)([np.ones(shape)])
    for one, other in zip(found, ReferenceEngine().compile(graph)([np.ones(shape)]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_without_rows_is_refused() -> None:
    program, carried, _ = step()
    with pytest.raises(ParameterError, match="0 rows"):
        NativeEngine().run(
            program, carried, [np.ones((0, 2)), np.ones(0, int)], seed=0, epochs=range(1)
        )


# Arrays


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _unaligned(array: np.ndarray) -> np.ndarray:
    room = np.zeros(array.nbytes + 1, np.uint8)
    room[1:] = array.reshape(-1).view(np.uint8)
    return room[1:].view(array.dtype).reshape(array.shape)


def _on_disk(array: np.ndarray) -> np.ndarray:
    return array.view(np.memmap)


LAYOUTS = {
    "read-only": _read_only,
    "columns first": np.asfortranarray,
    "every other": lambda a: np.repeat(np.repeat(a, 2, axis=0), 2, axis=-1)[::2, ::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "unaligned": _unaligned,
    "a subclass": _on_disk,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_that_lie_otherwise(layout: str) -> None:
    graph, values = affine()
    odd = [LAYOUTS[layout](array.copy()) for array in values]
    plain = [np.ascontiguousarray(array) for array in odd]
    engine = NativeEngine()
    np.testing.assert_array_equal(*(engine.compile(graph)(given)[0] for given in (odd, plain)))


def layout_of_rows(layout: str) -> list[np.ndarray]:
    _, _, (x, y) = step()
    return [LAYOUTS[layout](x.copy()), _read_only(y.copy())]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_that_lie_otherwise(layout: str) -> None:
    program, carried, _ = step()
    odd = layout_of_rows(layout)
    plain = [np.ascontiguousarray(array) for array in odd]
    found = [
        NativeEngine().run(program, carried, rows, seed=0, epochs=range(2)).carried[0]
        for rows in (odd, plain)
    ]
    np.testing.assert_array_equal(*found)
    assert not carried[0].any(), "the caller's arrays are read, not written"


def test_other_byte_orders_are_refused() -> None:
    graph, (x, w) = affine()
    with pytest.raises(DtypeError, match=">f4"):
        NativeEngine().compile(graph)([x.astype(">f4"), w])


def test_results_are_arrays_of_their_own() -> None:
    x = cr.input((3,))
    given = np.ones(3)
    first, second = NativeEngine().compile(Graph((x,), (x, x)))([given])
    first[0], second[1] = 5.0, 7.0
    assert given.tolist() == [1.0, 1.0, 1.0]
    assert (first.tolist(), second.tolist()) == ([5.0, 1.0, 1.0], [1.0, 7.0, 1.0])


def test_rows_that_another_thread_writes_to() -> None:
    """Numbers and labels change under a training; it ends, or says that a label is outside."""
    program, carried, (x, y) = step(rows=2000)
    engine, stop = NativeEngine(heap=GuardedHeap()), threading.Event()
    deadline = time.monotonic() + PATIENCE
    engine.heap.given = lambda array, dtype: array  # the training reads what is written to

    def scribble() -> None:
        generator = np.random.default_rng(0)
        while not stop.is_set():
            y[:] = generator.integers(-(2**62), 2**62, len(y))
            x[generator.integers(len(x))] = generator.choice([np.nan, np.inf, 1e300])

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        with pytest.raises(IndexError):
            while time.monotonic() < deadline:
                engine.run(program, carried, [x, y], seed=0, epochs=range(20))
    finally:
        stop.set()
        thread.join()


# Indices


@pytest.mark.parametrize("index", [-4, 3, 2**40])
def test_an_index_outside_names_its_node(index: int) -> None:
    x, places = cr.input((3, 2)), cr.input((cr.ROWS,), "int64")
    graph = Graph((x, places), (cr.take(x, places, axis=0),))
    with pytest.raises(IndexError, match=rf"take built at .*test_bad_input.py.*{index}"):
        NativeEngine().compile(graph)([np.ones((3, 2)), np.array([0, index])])


def test_a_label_outside_names_its_node_in_a_training() -> None:
    program, carried, (x, y) = step()
    y[17] = 3
    with pytest.raises(IndexError, match=r"one_hot built at .*test_bad_input.py.*3"):
        NativeEngine().run(program, carried, [x, y], seed=0, epochs=range(3))


# Processes, threads, the cache


SCRIPT = """
import sys, warnings
import numpy as np
import chainrule as cr
from chainrule.engines.native.engine import NativeEngine
from chainrule.graph.graph import close
x = cr.input((5,))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for k in range(3):
        (found,) = NativeEngine().compile(close([cr.exp(x) * (k + 2.0)]))([np.zeros(5)])
        assert found.tolist() == [k + 2.0] * 5
print(*[type(each.message).__name__ for each in told])
"""


def run_script(cache: Path, before: str = "") -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "CHAINRULE_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", before + SCRIPT],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_cache_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run_script(tmp_path / "file") == "CacheWarning"


@pytest.mark.skipif(sys.platform == "win32", reason="about limits of POSIX")
def test_a_full_disk(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    assert run_script(tmp_path, limit) == "CacheWarning"
    assert run_script(tmp_path) == ""


KILLED = """
import itertools, os, signal, sys
uses = itertools.count(1)
def kill(event, arguments):
    if event in ("open", "os.mkdir", "os.rename") and FOLDER in str(arguments[0]):
        if next(uses) == MOMENT:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="about signals of POSIX")
def test_a_process_killed_while_it_compiles(tmp_path: Path) -> None:
    """Whenever it is killed, before it makes, opens or renames a file, that does no harm."""
    killing = KILLED.replace("FOLDER", repr(str(tmp_path)))
    for moment in (2, 3, 7, 8, 16):
        with pytest.raises(subprocess.CalledProcessError) as ended:
            run_script(tmp_path, killing.replace("MOMENT", str(moment)))
        assert ended.value.returncode == -signal.SIGKILL
    assert run_script(tmp_path) == ""


def number(k: int) -> Graph:
    return close([cr.sin(cr.input((4,))) + float(k)])


# Modules in which Ctrl-C may do harm: they take locks, count, and ask LLVM.
AROUND_LLVM = (
    *("chainrule.engines.native.llvm", "chainrule.engines.native.jit", "llvmlite"),
    *("contextlib", "signal", "threading"),
)


def interrupted(work: Callable[[], object], moment: int) -> int:
    """Work, with Ctrl-C at one of the calls and returns around LLVM; how many there were."""
    passed = 0

    def press(frame: FrameType, event: str, argument: object) -> None:
        nonlocal passed
        if frame.f_globals["__name__"].startswith(AROUND_LLVM):
            passed += 1
            if passed == moment:
                signal.raise_signal(signal.SIGINT)

    sys.setprofile(press)
    try:
        work()
    finally:
        sys.setprofile(None)
    return passed


@pytest.fixture
def all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has compiled much: each new program takes the place of an old one."""
    monkeypatch.setattr(build, "_loaded", BoundedCache(1))


@forks
def test_interrupted_while_it_compiles(
    monkeypatch: pytest.MonkeyPatch, all_kept: None, no_collections: None
) -> None:
    """Ctrl-C leaves no lock held, no count wrong and no option changed, wherever it comes."""
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    engine, numbers = NativeEngine(), itertools.count()

    def work() -> None:
        engine.compile(number(next(numbers)))

    before = usual()
    work()
    moments = interrupted(work, 0)
    assert moments > 500
    for moment in range(1, moments, 11):
        with pytest.raises(KeyboardInterrupt):
            interrupted(work, moment)
    assert usual() == before
    found: list[Any] = []
    for task in (lambda: engine.compile(number(-7)), lambda: holds_in_a_child(lambda: True)):
        # a lock that the main thread still held would stop only others
        other = threading.Thread(target=lambda task=task: found.append(task()), daemon=True)
        other.start()
        other.join(PATIENCE)
        assert not other.is_alive(), "it waits for a lock, or for a thread that is not there"
    compiled, forked = found
    assert compiled([np.zeros(4)])[0].tolist() == [-7.0] * 4
    assert forked


@forks
@pytest.mark.parametrize("busy", [False, True], ids=["quiet", "while a thread compiles"])
def test_a_fork_after_compilation(monkeypatch: pytest.MonkeyPatch, busy: bool) -> None:
    """The child runs what was compiled, compiles more, and trains."""
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    engine, stop = NativeEngine(), threading.Event()
    compiled, others = engine.compile(number(1)), []

    def compile_on() -> None:
        while not stop.is_set():
            others.append(engine.compile(number(100 + len(others))))

    thread = threading.Thread(target=compile_on)
    try:
        if busy:
            thread.start()
            until(lambda: others)
        assert holds_in_a_child(lambda: _all_works(engine, compiled))
    finally:
        stop.set()
    assert compiled([np.zeros(4)])[0].tolist() == [1.0] * 4
    if busy:
        thread.join()


def _all_works(engine: NativeEngine, compiled: Any) -> bool:
    program, carried, rows = step()
    good = compiled([np.zeros(4)])[0].tolist() == [1.0] * 4
    good &= engine.compile(number(2))([np.zeros(4)])[0].tolist() == [2.0] * 4
    return good and engine.run(program, carried, rows, seed=0, epochs=range(2)).finite
