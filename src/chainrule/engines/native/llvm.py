"""LLVM's bindings, imported on first use, and what nothing comes in the middle of.

No child process is born with LLVM, or its import, in the middle of something, in a thread that the
child does not have: a fork waits for the lock of the bindings and for all that is `undivided`. Nor
does Ctrl-C leave a lock held or a count wrong, ours or those of the bindings: it waits as well.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

_lock = threading.RLock()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C comes when all is done; also within each other. To other threads it never comes."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed: list[tuple[int, FrameType | None]] = []
    try:
        signal.signal(signal.SIGINT, lambda *call: pressed.append(call))
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            handler(*pressed[-1])


class _Undivided:
    """Threads that are doing what a child of fork has all of or nothing."""

    def __init__(self) -> None:
        self._count = 0
        self._change = threading.Condition(threading.RLock())

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Any number at once; also within each other."""
        with _uninterrupted():
            with self._change:
                self._count += 1
            try:
                yield
            finally:
                with self._change:
                    self._count -= 1
                    self._change.notify_all()

    def close(self) -> None:
        """Wait until nobody is inside, and let nobody in."""
        self._change.acquire()
        self._change.wait_for(lambda: not self._count)

    def open(self) -> None:
        """Let others in again."""
        self._change.release()


_undivided = _Undivided()
undivided = _undivided.inside
if sys.platform != "win32":
    for before, after in ((_lock.acquire, _lock.release), (_undivided.close, _undivided.open)):
        # the last registered is the first to wait: who is inside may ask for the bindings
        os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)


@contextmanager
def bindings() -> Iterator[Any]:
    """`llvmlite.binding`, for one thread at a time."""
    with _uninterrupted(), _lock:
        yield _loaded()


@cache
def _loaded() -> Any:
    import llvmlite.binding

    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    return llvmlite.binding
