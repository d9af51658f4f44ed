"""Children of fork, for tests: none goes on as a test run of its own, or hangs for ever."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.clock import until

Test = TypeVar("Test", bound=Callable[..., object])


def forks(test: Test) -> Test:
    """Marks a test that forks: not everywhere can it, and some warn where there are threads."""
    for mark in (
        pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
        pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
        pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),  # of JAX, if it is loaded
    ):
        test = mark(test)
    return test


def holds_in_a_child(law: Callable[[], object]) -> bool:
    """Whether ``law`` is true in a child of fork; one that hangs is killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = int(not law())
        finally:
            os._exit(status)
    ended: list[int] = []

    def seen() -> bool:
        process, status = os.waitpid(child, os.WNOHANG)
        ended.extend([status] * bool(process))
        return bool(process)

    try:
        until(seen)
    finally:
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return ended == [0]
