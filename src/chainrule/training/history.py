"""What a training leaves behind: one row of numbers an epoch, and why it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from chainrule.errors import FileFormatError, unknown_name
from chainrule.shapes import Array

VALIDATION: Final = "validation_"  # how columns of validation rows begin


class History(Mapping[str, Array]):
    """The columns of a training, one number an epoch: ``history["loss"]``.

    Columns: ``loss``, the mean over the epoch's rows, without penalties; ``penalty``, if there is
    one; ``validation_loss`` and ``validation_`` with the name of each metric, if there are
    validation rows; ``learning_rate``, that of the epoch's last step; ``gradient_norm``, the mean
    over updates, NaN where an epoch has none; ``seconds``. Of many members a column holds the mean
    over those that are finite.

    Attributes
    ----------
    seed : int
        What the training drew its numbers from; the same seed gives the same bits.
    best_epoch : int or None
        The epoch whose parameters the model has now, counted from 0; of many members the best
        one's. None if no epoch was finished.
    monitor : str
        The column that decided it.
    stopped : str
        Why the training ended, in one sentence.
    interrupted : bool
        Whether Ctrl-C ended it.

    Examples
    --------
    >>> history = History(seed=0, monitor="loss")
    >>> history.append({"loss": 0.5}, np.array([0.6, 0.4]))
    >>> history["loss"], history.step_losses.shape
    (array([0.5]), (1, 2))
    """

    def __init__(self, seed: int, monitor: str) -> None:
        self.seed = seed
        self.monitor = monitor
        self.best_epoch: int | None = None
        self.stopped = ""
        self.interrupted = False
        self._rows: list[tuple[dict[str, float], Array]] = []

    def append(self, row: Mapping[str, float], step_losses: Array) -> None:
        """Add one epoch: at once, so that an interruption leaves no half of it."""
        self._rows.append((dict(row), step_losses))

    @property
    def step_losses(self) -> Array:
        """The loss of every step: (epochs, steps) or (epochs, steps, members)."""
        losses = [losses for _, losses in self._rows]
        return np.stack(losses) if losses else np.empty((0, 0))

    @property
    def epochs(self) -> int:
        """How many epochs ran."""
        return len(self._rows)

    def __getitem__(self, name: str) -> Array:
        if name not in self:
            raise unknown_name("column of the history", name, self)
        return np.array([row[name] for row, _ in self._rows])

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows[0][0] if self._rows else ())

    def __len__(self) -> int:
        return len(self._rows[0][0]) if self._rows else 0

    def __repr__(self) -> str:
        best = "" if self.best_epoch is None else f", best epoch {self.best_epoch + 1}"
        last = ", ".join(f"{name} {value:.4g}" for name, value in self.last.items())
        return f"<History of {self.epochs} epochs{best}: {last}>"

    @property
    def last(self) -> dict[str, float]:
        """The last epoch's row; empty if no epoch ran."""
        return self._rows[-1][0] if self._rows else {}

    def until(self, epochs: int) -> History:
        """The history as it was after so many epochs, before it was said how it ended."""
        found = History(self.seed, self.monitor)
        found._rows = self._rows[:epochs]
        return found

    def packed(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The facts, and the columns as arrays: what a file holds."""
        facts = {
            "seed": self.seed,
            "monitor": self.monitor,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "interrupted": self.interrupted,
            "columns": list(self),
        }
        columns = {f"epochs.{name}": self[name] for name in self}
        return facts, {**columns, "step_losses": self.step_losses}

    @classmethod
    def unpacked(cls, facts: Mapping[str, Any], columns: Mapping[str, Array]) -> History:
        """The history that :meth:`packed` took apart; older files do not say ``interrupted``.

        Raises
        ------
        FileFormatError
            If its parts do not fit together.
        """
        texts = (facts["monitor"], facts["stopped"], *facts["columns"])
        flag = facts.get("interrupted", False)
        if (
            type(facts["columns"]) is not list
            or not all(type(each) is str for each in texts)
            or type(flag) is not bool
        ):
            raise FileFormatError("its history has facts of the wrong type")
        if type(facts["seed"]) is not int or not 0 <= facts["seed"] < 2**64:
            raise FileFormatError(f"its history has the seed {facts['seed']!r}")
        history = cls(facts["seed"], facts["monitor"])
        history.stopped, history.interrupted = facts["stopped"], flag
        history._rows = _rows(facts["columns"], columns)
        best = history.best_epoch = facts["best_epoch"]
        if best is not None and (type(best) is not int or not 0 <= best < history.epochs):
            raise FileFormatError(f"its history has the best epoch {best!r}, which never ran")
        if history and history.monitor not in history:
            raise FileFormatError(f"its history has no column {history.monitor!r}, which decided")
        return history


def _rows(names: list[str], columns: Mapping[str, Array]) -> list[tuple[dict[str, float], Array]]:
    """One row of numbers, and the losses of its steps, for each epoch of a file's columns."""
    steps, values = columns["step_losses"], [columns[f"epochs.{name}"] for name in names]
    arrays = (steps, *values)
    if len(columns) != len({*names}) + 1 or any(v.shape != steps.shape[:1] for v in values):
        raise FileFormatError("its history has columns of different lengths")
    if steps.ndim not in (2, 3) or any(array.dtype.kind != "f" for array in arrays):
        raise FileFormatError("its history has columns that are no numbers of epochs and steps")
    rows = zip(*[map(float, v) for v in values], strict=True) if names else iter(())
    return [
        (dict(zip(names, row, strict=True)), losses)
        for row, losses in zip(rows, steps, strict=True)
    ]
