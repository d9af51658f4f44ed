"""A peer's work in a fresh process: ``python -m benchmarks.alone MODULE WORK TASK``.

Prints what was found, as JSON, the largest part of memory that the process ever held included.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks.tasks import Task, from_json

MEBIBYTE = 2**20
SMALL = Task("train", (2, 10, 10, 1), 32, 10)
RESET_PEAK = "5"  # what Linux's proc(5) understands


def memory(peer: ModuleType, task: Task) -> dict[str, float]:
    """What training holds at most, beyond the data set and what a small training leaves behind.

    Raises
    ------
    OSError
        Where the system does not say how much memory a process holds.
    """
    warm = peer.WORKS["train"](SMALL)
    warm.seconds(1)
    data = sum(array.nbytes for array in task.data())
    Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")
    before = resident("VmRSS")
    peer.WORKS["train"](task).seconds(2)
    return {"mebibytes": (resident("VmHWM") - before - data) / MEBIBYTE}


def resident(name: str) -> int:
    """Bytes of memory that this process holds (VmRSS), or held at most (VmHWM); Linux only."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def peak() -> float:
    """The mebibytes of memory that this process held at most; not known outside Linux."""
    return resident("VmHWM") / MEBIBYTE if sys.platform == "linux" else math.nan


def main(module: str, work: str, described: str) -> None:
    """Do the work, and print what was found."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer, task = import_module(f"benchmarks.peers.{module}"), from_json(json.loads(described))
    works: dict[str, Callable[[Task], dict[str, float]]] = getattr(peer, "ALONE", {})
    found = works[work](task) if work in works else memory(peer, task)
    print(json.dumps({"peak MiB": peak(), **found}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
