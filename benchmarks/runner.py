"""Peers side by side: each in a process of its own, asked in turn for a round of work.

A round takes a fraction of a second, and the order changes from round to round. A machine that
changes its speed changes all of a round, so that the ratio of two entries is the median over rounds
of the ratios within a round.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.peers import PEERS
from benchmarks.processes import Worker, WorkError, alone, neighbours
from benchmarks.tasks import Task
from benchmarks.truth import expected


@dataclass
class Measured:
    """What an entry gave.

    Attributes
    ----------
    rounds : list of dict
        For each round the numbers that were found, such as the seconds of a unit.
    first : float or None
        Seconds until the work was done for the first time, compilation included.
    absent : str
        Why there are no numbers, if there are none.
    """

    rounds: list[dict[str, float]] = field(default_factory=list)
    first: float | None = None
    absent: str = ""

    def values(self, name: str) -> list[float]:
        """One number of each round."""
        return [each[name] for each in self.rounds]

    def median(self, name: str) -> float:
        """The median over rounds."""
        return statistics.median(self.values(name))


def ratio(above: Measured, below: Measured, name: str) -> float:
    """The median of the ratios within rounds."""
    pairs = zip(above.values(name), below.values(name), strict=True)
    return statistics.median(a / b for a, b in pairs)


class Round(NamedTuple):
    """A round's number, and for how many seconds an entry is asked to work in it."""

    number: int
    seconds: float


class Entry(Protocol):
    """One column of a comparison."""

    label: str
    peer: str

    def prepare(self, session: Session) -> Measured:
        """Make ready for the rounds."""

    def measure(self, session: Session, turn: Round) -> dict[str, float]:
        """One round's numbers."""


@dataclass(frozen=True)
class Rounds:
    """Work that is repeated in a process that stays.

    Parameters
    ----------
    label, peer : str
    task : Task
    neighbours : int
        Processes that run flat out beside it.
    """

    label: str
    peer: str
    task: Task
    neighbours: int = 0

    def prepare(self, session: Session) -> Measured:
        """Do the work once, and see that it is the task's."""
        worker = session.worker(self.peer)
        answer = worker.ask("prepare", name=self.label, task=asdict(self.task))
        wrong = disagreement(answer["check"], expected(self.task), PEERS[self.peer].tolerance)
        return Measured(first=answer["seconds"], absent=wrong)

    def measure(self, session: Session, turn: Round) -> dict[str, float]:
        """Seconds a unit."""
        with neighbours(self.neighbours):
            return session.worker(self.peer).ask("measure", name=self.label, seconds=turn.seconds)


@dataclass(frozen=True)
class Alone:
    """Work that has a fresh process each time.

    Parameters
    ----------
    label, peer, work : str
    task : Task
        Its seed is the number of the round.
    cold : bool
        Whether our cache of compiled code is empty.
    """

    label: str
    peer: str
    work: str
    task: Task
    cold: bool = False

    def prepare(self, session: Session) -> Measured:
        """The first process finds files that are not in memory, and counts apart."""
        return Measured(first=self.measure(session, Round(0, 0.0))["seconds"])

    def measure(self, session: Session, turn: Round) -> dict[str, float]:
        """The seconds of the process, and what it found."""
        with tempfile.TemporaryDirectory() as empty:
            folder = empty if self.cold else session.cache
            task = replace(self.task, seed=turn.number)
            return alone(
                PEERS[self.peer], session.peers_python, self.work, task, {"CHAINRULE_CACHE": folder}
            )


class Session:
    """Workers that live as long as the measurements.

    Parameters
    ----------
    peers_python : str
        The interpreter of the peers' environment.
    """

    def __init__(self, peers_python: str) -> None:
        self.peers_python = peers_python
        self._workers: dict[str, Worker] = {}

    def __enter__(self) -> Session:
        self._folder = tempfile.TemporaryDirectory()
        self.cache = str(Path(self._folder.name) / "cache")
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()
        self._folder.cleanup()

    def worker(self, name: str) -> Worker:
        """The process of a peer; started if there is none."""
        if name in self._workers and self._workers[name].ended:
            self._workers.pop(name).close()
        if name not in self._workers:
            self._workers[name] = Worker(PEERS[name], self.peers_python)
        return self._workers[name]

    def compare(self, entries: Sequence[Entry], rounds: int, seconds: float) -> dict[str, Measured]:
        """Prepare all entries, see that they do the same work, and measure them in turns."""
        found = {entry.label: self._prepared(entry) for entry in entries}
        for turn in range(rounds):
            present = [entry for entry in entries if not found[entry.label].absent]
            for entry in rotated(present, turn):
                self._measure(entry, Round(turn, seconds), found[entry.label])
        for worker in self._workers.values():
            with suppress(WorkError):  # who could do nothing has nothing to forget
                worker.ask("forget")
        return found

    def _prepared(self, entry: Entry) -> Measured:
        try:
            return entry.prepare(self)
        except WorkError as failure:
            return Measured(absent=str(failure))

    def _measure(self, entry: Entry, turn: Round, found: Measured) -> None:
        try:
            found.rounds.append(entry.measure(self, turn))
        except WorkError as failure:
            found.absent, found.rounds = str(failure), []


def rotated(entries: Sequence[Entry], turn: int) -> list[Entry]:
    """The entries in another order in each turn."""
    start = turn % max(1, len(entries))
    return [*entries[start:], *entries[:start]]


def disagreement(found: Sequence[float], wanted: Sequence[float], tolerance: float) -> str:
    """In which numbers a peer's work differs from what is asked; empty if in none."""
    if len(found) == len(wanted) and all(
        abs(a - b) <= tolerance * max(1.0, abs(b)) for a, b in zip(found, wanted, strict=True)
    ):
        return ""
    return f"does other work: {list(found)} in place of {list(wanted)}"
