"""A training in a process of its own, which a test kills: ``python -m`` FOLDER ENGINE [resume].

It says when the training begins, and at the end the digest of all that it leaves behind.
"""

from __future__ import annotations

import hashlib
import sys
import time
from typing import Any

import numpy as np

from chainrule.nn import Activation, BatchNorm, Dropout, Linear, Network
from chainrule.optim import Adam
from chainrule.optim.schedules import ReduceOnPlateau
from chainrule.training import Callback, Checkpoints, EarlyStopping, History, Run, checkpoints

EPOCHS = 60
ROWS = 120


class Slowly(Callback):
    """Says that the training has begun, and takes its time, so that it can be killed anywhere."""

    def start(self, run: Run) -> None:
        print("begun", flush=True)

    def epoch(self, run: Run) -> None:
        time.sleep(0.004)


def network() -> Network:
    layers = [Linear(4, 12), BatchNorm(12), Activation("relu"), Dropout(0.2), Linear(12, 3)]
    return Network([*layers, Activation("softmax")], seed=2)


def data() -> tuple[Any, Any]:
    X = np.sin(np.arange(ROWS * 4) * 0.37).reshape(ROWS, 4)
    return X, (np.arange(ROWS) * 7 // 3) % 3


def settings() -> dict[str, Any]:
    """Of a training with everything that a checkpoint must hold."""
    callbacks = [ReduceOnPlateau(factor=0.5, patience=3), EarlyStopping(40)]
    return {
        "optimizer": Adam(0.02), "epochs": EPOCHS, "batch_size": 16, "validation": 0.25,
        "members": 2, "seed": 5, "callbacks": callbacks,
    }  # fmt: skip


def digest(model: Network, history: History) -> str:
    """SHA-256 over the arrays and the history, but for the seconds."""
    columns = [history[name] for name in history if name != "seconds"]
    arrays = [*model.snapshot().leaves, *columns, history.step_losses]
    facts = f"{history.best_epoch} {history.stopped} {history.monitor} {history.seed}"
    content = [facts.encode(), *[array.tobytes() for array in arrays]]
    return hashlib.sha256(b"".join(content)).hexdigest()


def main(folder: str, engine: str, *resume: str) -> None:
    checkpoints.LEAST_PAUSE = 0  # a checkpoint after every epoch, whatever it costs
    given, model = settings(), network()
    given["callbacks"] = [*given["callbacks"], Slowly()]
    kept = Checkpoints(folder, seconds=0)
    history = model.fit(*data(), **given, engine=engine, checkpoints=kept, resume=bool(resume))
    print(digest(model, history), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
