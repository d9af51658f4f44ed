"""LLVM's bindings, imported on first use, and the lock that everybody holds who uses them.

A fork takes the lock as well: no child process is born with LLVM, or its import, in the middle of
something, in a thread that the child does not have.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.RLock()
if sys.platform != "win32":
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


@contextmanager
def bindings() -> Iterator[Any]:
    """`llvmlite.binding`, for one thread at a time."""
    with _lock:
        yield _loaded()


@cache
def _loaded() -> Any:
    import llvmlite.binding

    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    return llvmlite.binding
