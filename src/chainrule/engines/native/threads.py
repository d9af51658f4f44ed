"""The threads that share a program's phases: our own pool, small and always there.

Helpers are daemon threads. Between programs they wait in Python, outside compiled code, and cost
nothing; during one they run the compiled ``@worker`` of `parallel` and hold no GIL. A program
never waits for a helper to come: what nobody has taken, its own thread does. One program at a
time has helpers; others run on their own thread, and give the same bits.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.engines.native import parallel
from chainrule.engines.native.parallel import Header, Slot
from chainrule.engines.native.runtime import THREADS, runtime
from chainrule.errors import ParameterError
from chainrule.shapes import Array

VARIABLE = "CHAINRULE_THREADS"
MOST = 256
PATIENCE = 500_000  # nanoseconds
REST, LONGEST_REST = 20_000_000, 400_000_000  # nanoseconds

_ALIGNMENT = 128  # bytes: processors fetch cache lines in pairs


class Control:
    """A control block: what the threads of one running program read and write.

    Parameters
    ----------
    slots : int
        The most threads that it has room for.

    Attributes
    ----------
    address : int
        For compiled code. Keep this object alive while it is used.
    slots : int
        The most threads that it has room for.
    """

    def __init__(self, slots: int) -> None:
        words = parallel.HEADER_WORDS + slots * parallel.SLOT_WORDS
        padding = _ALIGNMENT // parallel.WORD_BYTES
        memory = np.zeros(words + padding, np.int64)
        skipped = -memory.ctypes.data % _ALIGNMENT // parallel.WORD_BYTES
        self.slots = slots
        self._words = memory[skipped : skipped + words]
        self.address: int = self._words.ctypes.data
        for number in range(slots):
            self.slot(number)[Slot.RETURNED] = -1
        for header, value in (
            (Header.THREADS, 1),
            (Header.SLOTS, slots),
            (Header.RUN, runtime(THREADS).address("run")),
            (Header.PATIENCE, PATIENCE),
            (Header.REST, REST),
            (Header.LONGEST_REST, LONGEST_REST),
        ):
            self[header] = value

    def __getitem__(self, word: Header) -> int:
        return int(self._words[word])

    def __setitem__(self, word: Header, value: int) -> None:
        self._words[word] = value

    def slot(self, number: int) -> Array:
        """The words of one thread, see `parallel.Slot`: a view."""
        start = parallel.HEADER_WORDS + number * parallel.SLOT_WORDS
        return self._words[start : start + parallel.SLOT_WORDS]


class Pool:
    """Helpers that wait in Python for a program to help with.

    Parameters
    ----------
    size : int
        Threads, the one that runs the program included. Where the system gives fewer, there are
        fewer.
    """

    def __init__(self, size: int) -> None:
        self.control = Control(size)
        self._bells: list[threading.Lock] = []
        self._open = True
        worker = runtime(THREADS).function("worker", None, ctypes.c_void_p, ctypes.c_int64)
        for number in range(1, size):
            if not self._hire(number, worker):
                break

    @property
    def size(self) -> int:
        """How many threads there are, the caller's included."""
        return 1 + len(self._bells)

    def open(self, threads: int) -> None:
        """Call the helpers: they come when they have woken up, and nobody waits for them."""
        for word, value in ((Header.THREADS, threads), (Header.LEAVE, 0)):
            self.control[word] = value
        self._ring(threads - 1)

    def close(self) -> None:
        """Send the helpers back to Python, where they wait."""
        self.control[Header.LEAVE] = 1

    def dismiss(self) -> None:
        """End the helpers' threads."""
        self._open = False
        self.close()
        self._ring(len(self._bells))

    def _hire(self, number: int, worker: Callable[..., Any]) -> bool:
        bell = threading.Lock()
        bell.acquire()
        thread = threading.Thread(
            target=self._serve, args=(number, bell, worker), name=f"chainrule-{number}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system's limit, or the interpreter is ending
            return False
        self._bells.append(bell)
        return True

    def _serve(self, number: int, bell: threading.Lock, worker: Callable[..., Any]) -> None:
        while True:
            bell.acquire()
            if not self._open:
                return
            worker(self.control.address, number)

    def _ring(self, helpers: int) -> None:
        for bell in self._bells[:helpers]:
            if bell.locked():  # else it has rung, and the helper has not heard it yet
                bell.release()


class _Shared:
    """The process's pool, and who has it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: a child of fork has neither the helpers nor who holds the lock."""
        self.lock = threading.Lock()
        self.pool: Pool | None = None

    def sized(self, threads: int) -> Pool:
        """The pool, made larger if need be."""
        if self.pool is None or self.pool.control[Header.SLOTS] < threads:
            if self.pool is not None:
                self.pool.dismiss()
            self.pool = Pool(threads)
        return self.pool


_shared = _Shared()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_shared.forget)


@contextmanager
def team(threads: int | None = None) -> Iterator[Control]:
    """Threads for one program: a control block whose helpers are there until the block is left.

    Parameters
    ----------
    threads : int, optional
        See `thread_count`. The result of a program does not depend on it.

    Raises
    ------
    ParameterError
        If ``threads`` or the environment variable is no number from 1 to 256.
    """
    wanted = thread_count(threads)
    lock = _shared.lock
    if wanted == 1 or not lock.acquire(blocking=False):
        yield Control(1)
        return
    try:
        pool = _shared.sized(wanted)
        pool.open(min(wanted, pool.size))
        try:
            yield pool.control
        finally:
            pool.close()
    finally:
        lock.release()


def at_once(calls: Sequence[parallel.Call]) -> None:
    """Call compiled functions, each in one thread of the team, and wait for all.

    They are one phase, so that nobody waits for a helper to come. None of them may share work in
    turn: give them `alone`.
    """
    words, (run, call_one) = np.array(calls, np.int64), _phase_of_calls()
    with team() as control:
        run(control.address, len(calls), call_one, words.ctypes.data)


@cache
def _phase_of_calls() -> tuple[Callable[..., None], int]:
    """The compiled ``@run``, and where ``@call_one`` is."""
    code, address = runtime(THREADS), ctypes.c_void_p
    run = code.function("run", None, address, ctypes.c_int64, address, address)
    return run, code.address("call_one")


@cache
def alone() -> Control:
    """The control block of one thread without helpers."""
    return Control(1)


def thread_count(asked: int | None = None) -> int:
    """How many threads to use: ``asked``, else CHAINRULE_THREADS, else what the process may use.

    The last is the least of its processors (affinity) and its control group's share of time.
    """
    if asked is not None:
        return _checked(asked, "threads")
    setting = os.environ.get(VARIABLE)
    if not setting:
        return min(available(), MOST)
    return _checked(int(setting) if setting.isdecimal() else setting, VARIABLE)


@cache
def available() -> int:
    """How many threads this process can keep running."""
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    return max(1, int(min(processors, group_share())))


def group_share(root: Path = Path("/")) -> float:
    """Processors' worth of time that Linux's control groups leave this process; infinity if all.

    Parameters
    ----------
    root : Path
        Of the file system.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("inf")
    shares = [float("inf")]
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers == "":
            shares += _shares(root / "sys/fs/cgroup", path, _share)
        elif "cpu" in controllers.split(","):
            shares += _shares(root / "sys/fs/cgroup/cpu", path, _share_in_version_1)
    return min(shares)


def _shares(mount: Path, path: str, share: Callable[[Path], float]) -> list[float]:
    """Of a group and all those above it: the tightest counts."""
    group = mount / path.strip("/")
    return [share(folder) for folder in (group, *group.parents) if folder.is_relative_to(mount)]


def _share(group: Path) -> float:
    """From cgroup v2's ``cpu.max``: ``quota period`` in microseconds, or ``max period``."""
    try:
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if quota == "max" else int(quota) / int(period)


def _share_in_version_1(group: Path) -> float:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    try:
        quota, period = (int((group / name).read_text(encoding="ascii")) for name in names)
    except (OSError, ValueError):
        return float("inf")
    return quota / period if quota > 0 else float("inf")


def _checked(count: object, name: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise ParameterError(f"{name} is {count!r}; it must be a whole number from 1 to {MOST}")
    return count
