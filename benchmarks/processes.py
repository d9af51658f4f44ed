"""Processes of peers: workers that are asked again and again, and processes for one piece of work.

Everyone has one processor's worth of threads for each core, unless a peer's environment says less.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.peers import Peer
from benchmarks.tasks import Task

ROOT = Path(__file__).resolve().parent.parent
SETTLING = 0.1  # seconds until a neighbour runs flat out
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"  # in the environment of whoever measures


class WorkError(Exception):
    """A peer could not do what it was asked to; the message says why."""


def started(peer: Peer, python: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """A process of the peer; what it imports is kept as bytecode, as that of a package always is.

    Raises
    ------
    WorkError
        If there is no such interpreter.
    """
    inherited = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
    try:
        return subprocess.Popen(
            [sys.executable if peer.ours else python, "-m", *arguments],
            cwd=ROOT,
            env={**inherited, **peer.environment, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError as error:
        raise WorkError(f"there is no {python}: make bench makes it") from error


class Worker:
    """A process that works only while it is asked to.

    Parameters
    ----------
    peer : Peer
    python : str
        The interpreter of the peers' environment.
    """

    def __init__(self, peer: Peer, python: str) -> None:
        self.child = started(peer, python, "benchmarks.worker", peer.module)

    def ask(self, what: str, **request: Any) -> dict[str, Any]:
        """The answer.

        Raises
        ------
        WorkError
            If there is none.
        """
        assert self.child.stdin and self.child.stdout
        try:
            self.child.stdin.write(json.dumps({"do": what, **request}) + "\n")
            self.child.stdin.flush()
            line = self.child.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            raise WorkError(answer["error"])
        return answer

    @property
    def ended(self) -> bool:
        """Whether there is no process any more."""
        return self.child.poll() is not None

    def close(self) -> None:
        """End the process."""
        self.child.communicate()


def alone(
    peer: Peer, python: str, work: str, task: Task, variables: Mapping[str, str]
) -> dict[str, float]:
    """What a fresh process found, and the seconds from its start to its end.

    Raises
    ------
    WorkError
        If it found nothing.
    """
    began = time.perf_counter()
    arguments = ("benchmarks.alone", peer.module, work, json.dumps(asdict(task)))
    child = started(peer, python, *arguments, **variables)
    printed, _ = child.communicate()
    seconds = time.perf_counter() - began
    if child.returncode:
        raise WorkError(f"its process ended with {child.returncode}")
    return {"seconds": seconds, **json.loads(printed)}


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that run flat out."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(SETTLING if count else 0)
        yield
    finally:
        for child in busy:
            child.kill()
            child.wait()
