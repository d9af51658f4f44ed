"""A training in a process of its own, which a test kills.

It says when the training begins, and at the end the digest of all that it leaves behind.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data import spool
from chainrule.data.shards import shard_of
from chainrule.nn import Activation, BatchNorm, Dropout, Linear, Network
from chainrule.optim import Adam
from chainrule.optim.schedules import ReduceOnPlateau
from chainrule.training import Callback, Checkpoints, EarlyStopping, History, Run, checkpoints

EPOCHS = 60
ROWS = 120


Say = Callable[[str], None]
BEGUN = "begun"


class Slowly(Callback):
    """Says that the training has begun, and takes its time, so that it can be killed anywhere.

    After ``most`` epochs it waits to be killed: however late that is, there is something left.
    """

    def __init__(self, say: Say, most: int) -> None:
        self.say, self.left = say, most

    def start(self, run: Run) -> None:
        self.say(BEGUN)

    def epoch(self, run: Run) -> None:
        self.left -= 1
        time.sleep(0.004 if self.left else 300)


def network() -> Network:
    layers = [Linear(4, 12), BatchNorm(12), Activation("relu"), Dropout(0.2), Linear(12, 3)]
    return Network([*layers, Activation("softmax")], seed=2)


def data() -> tuple[Any, Any]:
    X = np.sin(np.arange(ROWS * 4) * 0.37).reshape(ROWS, 4)
    return X, (np.arange(ROWS) * 7 // 3) % 3


@contextmanager
def given_rows(where: str) -> Iterator[dict[str, Any]]:
    """What ``fit`` takes: all rows, or some that are read one of each shard at a time."""
    X, y = data()
    if where == "memory":
        yield {"X": X, "y": y, "validation": 0.25}
        return
    spool.window_rows = lambda row_bytes: 1
    arrays = [X[:90].astype(np.float32), y[:90]]
    with spool.Spool(arrays) as rows:
        rows.write(shard_of(np.arange(90), 90), arrays)
        yield {"X": rows, "validation": (X[90:], y[90:])}


def settings() -> dict[str, Any]:
    """Of a training with everything that a checkpoint must hold."""
    callbacks = [ReduceOnPlateau(factor=0.5, patience=3), EarlyStopping(40)]
    return {
        "optimizer": Adam(0.02), "epochs": EPOCHS, "batch_size": 16, "members": 2, "seed": 5,
        "callbacks": callbacks,
    }  # fmt: skip


def digest(model: Network, history: History) -> str:
    """SHA-256 over the arrays and the history, but for the seconds."""
    columns = [history[name] for name in history if name != "seconds"]
    arrays = [*model.snapshot().leaves, *columns, history.step_losses]
    facts = f"{history.best_epoch} {history.stopped} {history.monitor} {history.seed}"
    content = [facts.encode(), *[array.tobytes() for array in arrays]]
    return hashlib.sha256(b"".join(content)).hexdigest()


def main(say: Say, folder: Path, engine: str, where: str, resume: bool, most: int) -> None:
    """Train on rows in "memory" or on "disk", with a checkpoint after every epoch."""
    checkpoints.LEAST_PAUSE = 0  # whatever a checkpoint costs
    given, model = settings(), network()
    given["callbacks"] = [*given["callbacks"], Slowly(say, most)]
    kept = Checkpoints(folder, seconds=0)
    with given_rows(where) as rows:
        history = model.fit(**rows, **given, engine=engine, checkpoints=kept, resume=resume)
    say(digest(model, history))
