"""Epochs whose rows come from disk, beside epochs of rows in memory.

Run ``python -m benchmarks.spooled [rows=N] [rounds=R]``. A million rows are written as a table in
blocks is, and each network learns them from there and from memory in turn; a call's figure is the
median of its epochs. Other work should be stopped: a share is that of two times.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.shards import shard_of
from chainrule.data.spool import Spool
from chainrule.nn import Activation, Linear, Network

EPOCHS, WRITTEN_ROWS = 4, 2**15
GOAL = 0.8


class Case(NamedTuple):
    """A network of one hidden layer, and the rows of a step."""

    n_in: int
    hidden: int
    classes: int
    batch_size: int

    def __str__(self) -> str:
        return f"{self.n_in}-{self.hidden}-{self.classes}, batch {self.batch_size}"

    def seconds(self, X: Any, y: Any = None) -> float:
        """Of an epoch; the first is not counted, for it also makes machine code."""
        layers = [Linear(self.n_in, self.hidden), Activation("relu")]
        layers += [Linear(self.hidden, self.classes), Activation("softmax")]
        history = Network(layers, seed=0).fit(
            X, y, epochs=EPOCHS, batch_size=self.batch_size, seed=0, progress=False
        )
        return statistics.median(history["seconds"][1:].tolist())


CASES = (Case(116, 100, 5, 200), Case(10, 10, 2, 200), Case(40, 32, 2, 200), Case(40, 32, 2, 1024))


def shares(case: Case, rows: int, rounds: int) -> list[float]:
    """The speed from disk as a share of that in memory, in each round."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(rows, case.n_in)).astype(np.float32)
    y = np.abs(X[:, 0] * case.classes).astype(np.int64) % case.classes
    shards, found = shard_of(np.arange(rows), rows), []
    with Spool([X[:WRITTEN_ROWS], y[:WRITTEN_ROWS]]) as spool:
        for first in range(0, rows, WRITTEN_ROWS):
            part = slice(first, first + WRITTEN_ROWS)
            spool.write(shards[part], [X[part], y[part]])
        for turn in range(rounds):
            ways = {"memory": (X, y), "disk": (spool,)}
            order = sorted(ways, reverse=turn % 2 == 1)
            seconds = {way: case.seconds(*ways[way]) for way in order}
            found.append(seconds["memory"] / seconds["disk"])
    return found


def main(arguments: list[str]) -> None:
    """Measure all networks."""
    chosen = {name: int(value) for name, value in (each.split("=") for each in arguments)}
    for case in CASES:
        found = shares(case, chosen.get("rows", 1_000_000), chosen.get("rounds", 5))
        said = ", ".join(f"{share:.0%}" for share in found)
        print(f"{case}: {statistics.median(found):.0%} of memory's speed ({said}); {GOAL:.0%}")


if __name__ == "__main__":
    main(sys.argv[1:])
