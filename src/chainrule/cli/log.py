"""Events as lines of JSON on standard error, for programs that watch a training."""

from __future__ import annotations

import json
import math
from typing import Any

import click

from chainrule.training.callbacks import Callback, Run


def write_event(event: str, **facts: Any) -> None:
    """Write one event; numbers that are not finite become null, which JSON has."""
    line = json.dumps({"event": event, **_plain(facts)}, ensure_ascii=False, allow_nan=False)
    click.echo(line, err=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class JsonLog(Callback):
    """One line for every epoch: its number and the columns of the history."""

    def start(self, run: Run) -> None:
        """Say what is to come."""
        write_event("start", epochs=run.epochs, seed=run.history.seed, done=run.history.epochs)

    def epoch(self, run: Run) -> None:
        """Say how the epoch went."""
        write_event("epoch", epoch=run.epoch + 1, **run.history.last)

    def end(self, run: Run) -> None:
        """Say why it ended."""
        best = run.history.best_epoch
        write_event(
            "end", stopped=run.history.stopped, best_epoch=None if best is None else best + 1
        )
