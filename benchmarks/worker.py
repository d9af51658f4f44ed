"""A peer in a process of its own, which works only while it is asked to.

``python -m benchmarks.worker MODULE`` reads one request a line, as JSON, and answers each with a
line. What libraries print goes to standard error.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any

from benchmarks.tasks import Job, Task, from_json

TIMED_SECONDS, MORE = 0.02, 4
SPEEDING_UP = 10  # times, from one round to the next, at most


class Worker:
    """The tasks that a peer has prepared, by name.

    Parameters
    ----------
    module : str
        Of ``benchmarks.peers``.
    """

    def __init__(self, module: str) -> None:
        self.works: dict[str, Callable[[Task], Job]] = import_module(
            f"benchmarks.peers.{module}"
        ).WORKS
        self.jobs: dict[str, Job] = {}
        self.pace: dict[str, float] = {}  # seconds of one time

    def prepare(self, name: str, task: dict[str, Any]) -> dict[str, Any]:
        """Make ready, check, and do the work once."""
        described = from_json(task)
        began = perf_counter()
        job = self.jobs[name] = self.works[described.kind](described)
        job.seconds(1)
        seconds = perf_counter() - began
        self.pace[name] = pace(job)
        return {"seconds": seconds, "check": [float(x) for x in job.check()]}

    def measure(self, name: str, seconds: float) -> dict[str, Any]:
        """Do the work for about so many seconds: seconds a unit."""
        job = self.jobs[name]
        times = max(1, round(seconds / self.pace[name]))
        spent = job.seconds(times)
        self.pace[name] = max(spent / times, self.pace[name] / SPEEDING_UP)
        return {"seconds": spent / times / job.units, "times": times}

    def forget(self) -> dict[str, Any]:
        """Let go of all that was prepared."""
        self.jobs.clear()
        return {}


def pace(job: Job) -> float:
    """Seconds of one time, from as many as can be timed."""
    times = 1
    while (spent := job.seconds(times)) < TIMED_SECONDS:
        times *= MORE
    return spent / times


def main(module: str) -> None:
    """Answer until there are no more requests."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker: Worker | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            worker = worker or Worker(module)
            answer = getattr(worker, request.pop("do"))(**request)
        except ImportError as error:
            answer = {"error": str(error)}
        except Exception as error:
            logging.exception("%s could not be done", request)
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
