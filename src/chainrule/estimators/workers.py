"""Parallel searches: as many processes as processors, and one thread in each."""

from __future__ import annotations

import multiprocessing
import os

from joblib.parallel import get_active_backend

THREADS = "CHAINRULE_THREADS"


def one_thread_in_workers() -> None:
    """Keep the native engine to one thread in a worker process of joblib.

    Who sets CHAINRULE_THREADS knows better. The reference engine uses one thread anyway.
    """
    inside = get_active_backend()[0].nesting_level > 0
    if inside and multiprocessing.current_process().name != "MainProcess":
        os.environ.setdefault(THREADS, "1")
