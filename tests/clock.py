"""Clocks and patience for tests, so that no test depends on how fast the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 300.0  # seconds, for what comes soon on any machine if it comes at all


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread or process does; that it never comes is a failure."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)


class Clock:
    """In the place of a module's ``time``: it stands still until somebody moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self.now

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
