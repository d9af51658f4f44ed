"""Peers side by side: each in a process of its own, asked in turn for a round of work.

A round takes a fraction of a second, and the order changes from round to round. A machine that
changes its speed changes all of a round, so that the ratio of two peers is the median over rounds
of the ratios within a round.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers import PEERS, Peer
from benchmarks.tasks import Task

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 2e-3  # of the numbers that show that peers do the same work


class Entry(NamedTuple):
    """One column of a comparison: a peer, and what it is asked to do."""

    label: str
    peer: str
    task: Task


@dataclass
class Measured:
    """What an entry gave.

    Attributes
    ----------
    seconds : list of float
        A unit's time in each round.
    first : float
        Seconds until the work was done for the first time, compilation included.
    absent : str
        Why there are no times, if there are none.
    """

    seconds: list[float] = field(default_factory=list)
    first: float = math.nan
    absent: str = ""


class Process:
    """A worker, and the requests to it.

    Parameters
    ----------
    peer : Peer
    python : str
        The interpreter of its environment.
    """

    def __init__(self, peer: Peer, python: str) -> None:
        self.child = subprocess.Popen(
            [python, "-m", "benchmarks.worker", peer.module],
            cwd=ROOT,
            env={**os.environ, **peer.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str, **request: Any) -> dict[str, Any]:
        """The answer, or an error."""
        assert self.child.stdin and self.child.stdout
        try:
            self.child.stdin.write(json.dumps({"do": what, **request}) + "\n")
            self.child.stdin.flush()
            line = self.child.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": f"ended with {self.child.wait()}"}

    def close(self) -> None:
        """End the process."""
        assert self.child.stdin and self.child.stdout
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


class Session:
    """Workers that live as long as the measurements.

    Parameters
    ----------
    peers_python : str
        The interpreter of the peers' environment.
    rounds : int
    seconds : float
        Of one entry's share of a round.
    """

    def __init__(self, peers_python: str, rounds: int, seconds: float = 0.2) -> None:
        self.peers_python, self.rounds, self.seconds = peers_python, rounds, seconds
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.close()

    def process(self, name: str) -> Process:
        """The worker of a peer."""
        if name not in self.processes:
            peer = PEERS[name]
            self.processes[name] = Process(peer, sys.executable if peer.ours else self.peers_python)
        return self.processes[name]

    def compare(
        self, entries: Sequence[Entry], expected: Callable[[Task], Sequence[float]]
    ) -> dict[str, Measured]:
        """Prepare all entries, see that they do the same work, and measure them in turns."""
        found = {entry.label: self._prepared(entry, expected) for entry in entries}
        present = [entry for entry in entries if not found[entry.label].absent]
        for turn in range(self.rounds):
            for entry in rotated(present, turn):
                answer = self.process(entry.peer).ask(
                    "measure", name=entry.label, seconds=self.seconds
                )
                found[entry.label].seconds.append(answer["seconds"])
        for name in {entry.peer: None for entry in entries}:
            self.process(name).ask("forget")
        return found

    def _prepared(self, entry: Entry, expected: Callable[[Task], Sequence[float]]) -> Measured:
        answer = self.process(entry.peer).ask("prepare", name=entry.label, task=asdict(entry.task))
        if "error" in answer:
            return Measured(absent=answer["error"])
        wrong = disagreement(answer["check"], expected(entry.task))
        return Measured(first=answer["seconds"], absent=wrong)


def rotated(entries: Sequence[Entry], turn: int) -> list[Entry]:
    """The entries in another order in each turn."""
    start = turn % max(1, len(entries))
    return [*entries[start:], *entries[:start]]


def disagreement(found: Sequence[float], expected: Sequence[float]) -> str:
    """In which numbers a peer's work differs from what is asked; empty if in none."""
    if len(found) == len(expected) and all(
        abs(a - b) <= TOLERANCE * max(1.0, abs(b)) for a, b in zip(found, expected, strict=True)
    ):
        return ""
    return f"does other work: {list(found)} in place of {list(expected)}"


def ratio(above: Measured, below: Measured) -> float:
    """The median of the ratios within rounds."""
    return statistics.median(a / b for a, b in zip(above.seconds, below.seconds, strict=True))
