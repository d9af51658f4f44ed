"""What a training step consists of: the same step without its order of rows, and without Adam.

Run ``python benchmarks/step_parts.py [rounds]``. All kinds of a step take turns; medians are shown.
What precedes the first step is measured by calls of no epochs, and taken off.
"""

from __future__ import annotations

import statistics
import sys
from time import perf_counter

from benchmarks.catalogue import cell
from benchmarks.peers.ours import network
from benchmarks.tasks import RATE, Task
from chainrule.optim import SGD, Adam, Optimizer

SECONDS = 0.3  # of a turn
KINDS: dict[str, tuple[Optimizer, bool]] = {
    "as trained": (Adam(RATE), True),
    "in order": (Adam(RATE), False),
    "descent": (SGD(RATE), True),
    "both": (SGD(RATE), False),
}
TASKS = [
    Task("train", (2, 10, 10, 1), 32),
    Task("train", (64, 128, 10), 64),
    *(cell(width, batch) for width in (16, 64, 256, 1024) for batch in (1, 32, 512)),
]


class Steps:
    """A training, one kind of it at a time."""

    def __init__(self, task: Task) -> None:
        self.task, self.rows = task, task.data()
        self.epochs = 1
        while self._seconds("as trained", self.epochs) < SECONDS:
            self.epochs *= 2

    def _seconds(self, kind: str, epochs: int) -> float:
        optimizer, shuffle = KINDS[kind]
        model = network(self.task)
        began = perf_counter()
        model.fit(
            *self.rows, epochs=epochs, batch_size=self.task.batch, optimizer=optimizer,
            shuffle=shuffle, seed=0,
        )  # fmt: skip
        return perf_counter() - began

    def turn(self, kind: str) -> float:
        """Seconds of a step."""
        before = self._seconds(kind, 0)
        return (self._seconds(kind, self.epochs) - before) / self.epochs / self.task.steps


def main(rounds: int = 7) -> None:
    """Print a table: a line for each network, in microseconds."""
    print(f"{'us a step':26}", *(f"{kind:>12}" for kind in KINDS), sep="")
    for task in TASKS:
        steps = Steps(task)
        turns = [{kind: steps.turn(kind) for kind in KINDS} for _ in range(rounds)]
        medians = [statistics.median(turn[kind] for turn in turns) for kind in KINDS]
        times = [f"{seconds * 1e6:.3g}" for seconds in medians]
        print(f"{task!s:26}", *(f"{each:>12}" for each in times), sep="", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
