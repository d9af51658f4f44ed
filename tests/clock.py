"""A clock for tests, so that no test depends on how fast the machine is."""

from __future__ import annotations


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
