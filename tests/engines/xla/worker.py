"""One process of a training, for tests: ``python -m tests.engines.xla.worker NUMBER COUNT PORT``.

A fourth word is what goes wrong in process 1. It prints the losses and a sum of parameters as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from chainrule.engines import processes
from chainrule.engines.xla.cluster import joined
from chainrule.engines.xla.engine import XlaEngine
from chainrule.errors import ChainruleError
from chainrule.training.callbacks import Callback
from tests.engines.xla.test_devices import X, trained

LIMIT = 10.0  # seconds of silence, or in which others do not come, where that is tested
PATIENCE = 600.0  # seconds of both elsewhere: a busy machine starts and stops processes as it likes
ALONE, FROZEN = "alone", "frozen"

FAULTS: dict[str, Any] = {
    "killed": lambda run: os.kill(os.getpid(), signal.SIGKILL),
    FROZEN: lambda run: os.kill(os.getpid(), signal.SIGSTOP),
    "failed": lambda run: run.no_such_attribute,
    "through early": lambda run: run.stop("it has seen enough"),
}


class Fault(Callback):
    """What goes wrong after the second epoch, some time later."""

    def __init__(self, fault: str | None) -> None:
        self.fault = fault

    def epoch(self, run: Any) -> None:
        if run.epoch == 1 and self.fault in FAULTS:
            time.sleep(os.getpid() % 7 / 50)  # at another moment in every test
            FAULTS[self.fault](run)


def train(number: int, fault: str | None) -> dict[str, Any]:
    """Train; process 1 with the fault."""
    mine = fault if number == 1 else None
    if mine == "other data":
        X[5, 2] += 1
    options = {"batch_size": 40} if mine == "another program" else {}
    callbacks = [Fault(mine)] if number == 1 else []  # one process looks up after each epoch
    epochs = 400 if fault in FAULTS else 3
    model, history = trained(XlaEngine(), "float64", epochs=epochs, callbacks=callbacks, **options)
    weights = model.layers[0].values["W"]
    return {"losses": history.step_losses.tolist(), "sum": float(weights.sum())}


def main(number: str, count: str, port: str, fault: str | None = None) -> int:
    processes.SILENCE = LIMIT if fault == FROZEN else PATIENCE
    processes.MEETING = LIMIT if fault == ALONE else PATIENCE
    try:
        with joined(f"127.0.0.1:{port}", int(number), int(count)) as cluster:
            found = train(int(number), fault)
            if cluster.is_first:
                print(json.dumps(found))
    except ChainruleError as error:
        print(f"chainrule: {error}", file=sys.stderr)
        return processes.REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
