"""Ports for tests to listen at."""

from __future__ import annotations

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """A free port with a free one behind it, of those that no connection is given by chance."""
    for port in random.SystemRandom().sample(range(12000, 30000, 2), 100):
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("", port))
            second.bind(("", port + 1))
            return port
    raise AssertionError("no two free ports next to each other")
