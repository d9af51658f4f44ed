"""What a training leaves behind: one row of numbers an epoch, and why it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.errors import unknown_name
from chainrule.shapes import Array


class History(Mapping[str, Array]):
    """The columns of a training, one number an epoch: ``history["loss"]``.

    Attributes
    ----------
    seed : int
        What the training drew its numbers from; the same seed gives the same bits.
    best_epoch : int or None
        The epoch whose parameters the model has now, counted from 0.
    monitor : str
        The column that decided it.
    stopped : str
        Why the training ended, in one sentence.
    step_losses : numpy.ndarray
        The loss of every step, (epochs, steps), with a last axis of members if there are any.
    """

    def __init__(self, seed: int, monitor: str) -> None:
        self.seed = seed
        self.monitor = monitor
        self.best_epoch: int | None = None
        self.stopped = ""
        self._columns: dict[str, list[float]] = {}
        self._step_losses: list[Array] = []

    def append(self, row: Mapping[str, float], step_losses: Array) -> None:
        """Add one epoch."""
        for name, value in row.items():
            self._columns.setdefault(name, []).append(float(value))
        self._step_losses.append(step_losses)

    @property
    def step_losses(self) -> Array:
        """The loss of every step: (epochs, steps) or (epochs, steps, members)."""
        return np.stack(self._step_losses) if self._step_losses else np.empty((0, 0))

    @property
    def epochs(self) -> int:
        """How many epochs ran."""
        return len(self._step_losses)

    def __getitem__(self, name: str) -> Array:
        if name not in self._columns:
            raise unknown_name("column of the history", name, self._columns)
        return np.array(self._columns[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        best = "" if self.best_epoch is None else f", best epoch {self.best_epoch + 1}"
        last = ", ".join(
            f"{name} {values[-1]:.4g}" for name, values in self._columns.items() if values
        )
        return f"<History of {self.epochs} epochs{best}: {last}>"

    def packed(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The facts, and the columns as arrays: what a file holds."""
        facts = {
            "seed": self.seed,
            "monitor": self.monitor,
            "stopped": self.stopped,
            "columns": list(self._columns),
        }
        columns = {f"epochs.{name}": np.array(values) for name, values in self._columns.items()}
        return {**facts, "best_epoch": self.best_epoch}, {
            **columns,
            "step_losses": self.step_losses,
        }

    @classmethod
    def unpacked(cls, facts: Mapping[str, Any], columns: Mapping[str, Array]) -> History:
        """The history that :meth:`packed` took apart."""
        history = cls(int(facts["seed"]), str(facts["monitor"]))
        history.best_epoch, history.stopped = facts["best_epoch"], str(facts["stopped"])
        history._columns = {name: columns[f"epochs.{name}"].tolist() for name in facts["columns"]}
        history._step_losses = list(columns["step_losses"])
        return history
