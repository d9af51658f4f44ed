"""Phases on several threads: same bits, no hang, no collapse, whatever happens around them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.engines.native import jit, runtime
from chainrule.engines.native.parallel import MAXIMUM_CHUNKS, Header, Slot
from chainrule.engines.native.target import TARGETS
from chainrule.engines.native.threads import (
    Control,
    Pool,
    available,
    group_share,
    team,
    thread_count,
)
from chainrule.errors import ParameterError
from tests.clock import PATIENCE, until
from tests.engines.native.phases import bits, program, run, text

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_compiles_for_every_target(target):
    for name in runtime.NAMES:
        assert jit.to_object(runtime.text(name, target), target)
    assert jit.to_object(text(target, 3, flush=True), target)


@pytest.mark.parametrize("triple", ["x86_64-pc-windows-msvc", "arm64-apple-darwin"])
def test_compiles_for_other_systems(triple):
    known = TARGETS["neon" if triple.startswith("arm64") else "avx2"]
    target = type(known)(known.name, triple, known.cpu, known.features, *_rest(known))
    for name in runtime.NAMES:
        assert jit.to_object(runtime.text(name, target), target)


def _rest(target):
    return target.vector_bytes, target.registers, target.fma


def expected(chunks, work, steps):
    """The program of `phases` in NumPy."""
    value = np.arange(1.0, chunks + 1)
    for _ in range(2 * steps):
        half = 0.5 * np.roll(value, -1)
        for _ in range(work):
            value = 0.25 * value + half
    return value


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(1, 33), st.integers(0, 40), st.integers(0, 60))
def test_any_number_of_threads_gives_the_same_bits(threads, chunks, work, steps):
    with team(threads) as control:
        found = np.frombuffer(run(control, work, chunks, steps)).reshape(2, chunks, -1)[0, :, 0]
    assert found.tobytes() == expected(chunks, work, steps).tobytes()


def test_helpers_do_take_chunks():
    with team(2) as control:
        until(lambda: nap(control, 20, chunks=4) and control.slot(1)[Slot.COMPLETED] > 0)
        assert control.slot(0)[Slot.COMPLETED] > 0


@pytest.mark.parametrize("chunks", [0, 1, 2, MAXIMUM_CHUNKS])
def test_extreme_numbers_of_chunks(chunks):
    assert bits(2, 1, chunks, 3) == bits(1, 1, chunks, 3) if chunks else True
    with team(2) as control:
        assert program(1)(0, 0, 2, control.address) == 2


def test_a_late_helper_is_left_out_and_comes_back():
    pool = Pool(2)
    pool.control[Header.REST] = pool.control[Header.LONGEST_REST] = 30_000_000
    helper = pool.control.slot(1)
    pool.open(2)
    try:
        until(lambda: nap(pool.control, 1) and helper[Slot.DROPS] > 0)
        drops, completed = int(helper[Slot.DROPS]), int(helper[Slot.COMPLETED])
        if helper[Slot.RETURNED] < drops:
            nap(pool.control, 3)
            assert helper[Slot.COMPLETED] == completed or helper[Slot.RETURNED] >= drops
        until(lambda: helper[Slot.RETURNED] >= drops)
        until(lambda: nap(pool.control, 1) and helper[Slot.COMPLETED] > completed)
    finally:
        pool.dismiss()


def nap(control, steps, chunks=2):
    """Phases whose chunks sleep for a millisecond each."""
    return run(control, 1, chunks, steps, naps=True)


def test_helpers_wait_in_python_between_programs():
    pool = Pool(3)
    try:
        pool.open(3)
        helpers = [pool.control.slot(number) for number in (1, 2)]
        until(lambda: all(helper[Slot.RETURNED] >= 0 for helper in helpers))
        pool.close()
        until(lambda: all(helper[Slot.RETURNED] == -1 for helper in helpers))
        pool.open(3)
        until(lambda: all(helper[Slot.RETURNED] >= 0 for helper in helpers))
    finally:
        pool.dismiss()


def test_a_dismissed_pool_ends_its_threads():
    before = set(threading.enumerate())
    pool = Pool(3)
    hired = set(threading.enumerate()) - before
    assert len(hired) == 2
    assert all(thread.daemon for thread in hired)
    pool.open(3)
    pool.dismiss()
    for thread in hired:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in hired)


def test_no_thread_to_be_had_is_no_error(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    pool = Pool(4)
    pool.open(pool.size)
    assert pool.size == 1
    assert run(pool.control, 10, 5, 5) == run(Control(1), 10, 5, 5)


def test_one_program_at_a_time_has_helpers():
    with team(2) as first, team(2) as second:
        assert first[Header.THREADS] == 2
        assert second[Header.THREADS] == 1
        assert run(first, 10, 7, 20) == run(second, 10, 7, 20)


def test_concurrent_programs_give_the_same_bits():
    wanted = bits(1)
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(bits(2) for _ in range(20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 80


def test_an_exception_leaves_the_pool_usable():
    with pytest.raises(ctypes.ArgumentError), team(2) as control:
        program(10)(1.5, 5, 5, control.address)
    assert bits(2) == bits(1)


def turns_beside_a_program():
    """How often this thread has its turn while another one runs a program."""
    control, data, turns = Control(1), np.zeros((2, 4, 8)), 0
    arguments = (data.ctypes.data, 4, 200_000, control.address)
    running = threading.Thread(target=program(100), args=arguments)
    running.start()
    while running.is_alive():
        turns += 1
        time.sleep(0.001)
    return turns


def test_a_program_holds_no_gil():
    """While it held the lock, no other thread would ever have had a turn."""
    until(lambda: turns_beside_a_program() > 5)


def python(script, *, timeout=300):
    """Run a script in a process of its own: its output."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "."])}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=REPOSITORY, env=environment, timeout=timeout, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


PREAMBLE = "import os, threading, time\nfrom tests.engines.native.phases import *\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("inside", [False, True], ids=["between programs", "in a program's block"])
def test_a_forked_child_has_a_pool_of_its_own(inside):
    script = """
wanted = bits(2)
with team(2) as control:
    if not INSIDE: control = None
    run(control or Control(1), 100, 5, 50)
    if INSIDE: child = os.fork()
if not INSIDE: child = os.fork()
again = bits(2)
if child == 0:
    os._exit(0 if again == wanted else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), again == wanted)
"""
    assert python(PREAMBLE + script.replace("INSIDE", str(inside))) == ["0", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_fork_while_another_thread_compiles():
    script = """
def compile_all():
    for work in range(1000, 1020):
        program(work)
thread = threading.Thread(target=compile_all)
thread.start()
codes = []
for _ in range(5):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        program(2000)
        os._exit(0 if bits(2) == bits(1) else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread.join()
print(*codes)
"""
    assert python(PREAMBLE + script) == ["0"] * 5


@pytest.mark.parametrize(
    "end",
    [
        "bits(2)",
        "team(2).__enter__(); bits(1)",
        "import atexit, sys; bits(2); atexit.register(print, 'end'); sys.exit(0)",
        "t = threading.Thread(target=bits, args=(2, 1000, 5, 10**7), daemon=True); t.start(); "
        "time.sleep(0.1)",
        "t = threading.Thread(target=bits, args=(2, 10, 5, 200), daemon=True); t.start()",
    ],
    ids=["after a program", "with a block open", "by exit", "in a program", "anywhere"],
)
def test_the_interpreter_ends(end):
    assert python(f"{PREAMBLE}{end}\nprint('end')") == ["end"]


def test_the_number_of_threads(monkeypatch):
    monkeypatch.delenv("CHAINRULE_THREADS", raising=False)
    assert 1 <= thread_count() == available() <= (os.cpu_count() or 1)
    monkeypatch.setenv("CHAINRULE_THREADS", "3")
    assert thread_count() == 3
    assert thread_count(2) == 2


@pytest.mark.parametrize("wrong", [0, -1, 257, 1.5, True, "2"])
def test_a_wrong_number_of_threads(wrong, monkeypatch):
    with pytest.raises(ParameterError, match=r"threads is .* from 1 to 256"), team(wrong):
        raise AssertionError("the block was entered")
    monkeypatch.setenv("CHAINRULE_THREADS", f"{wrong}x")
    with pytest.raises(ParameterError, match="CHAINRULE_THREADS"):
        thread_count()


@pytest.mark.parametrize(
    ("membership", "files", "share"),
    [
        ("0::/", {"sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b", {"sys/fs/cgroup/a/cpu.max": "200000 100000"}, 2.0),
        ("0::/a/b", {"sys/fs/cgroup/a/b/cpu.max": "max 100000"}, np.inf),
        (
            "0::/a/b",
            {"sys/fs/cgroup/a/cpu.max": "50000 100000", "sys/fs/cgroup/a/b/cpu.max": "9 1"},
            0.5,
        ),
        (
            "4:cpu,cpuacct:/a\n0::/",
            {
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        (
            "4:cpu:/",
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            np.inf,
        ),
        ("0::/", {"sys/fs/cgroup/cpu.max": "nonsense"}, np.inf),
        ("0::/", {}, np.inf),
    ],
)
def test_control_groups(membership, files, share, tmp_path):
    for name, content in {"proc/self/cgroup": membership, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    assert group_share(tmp_path) == share


def test_no_control_groups(tmp_path):
    assert group_share(tmp_path) == np.inf
