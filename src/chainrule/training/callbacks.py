"""What runs between epochs: early stopping, reducing the rate, time limits, and your own code."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from chainrule.errors import ParameterError
from chainrule.optim.schedules import Plateau, ReduceOnPlateau
from chainrule.optim.settings import COUNT, FROM_ZERO, POSITIVE, check
from chainrule.shapes import Array
from chainrule.training.history import History
from chainrule.training.snapshot import Snapshot
from chainrule.training.task import Task


class Run(Protocol):
    """What a callback sees of the training it is called from.

    Attributes
    ----------
    history : History
        What is known of the epochs so far.
    """

    history: History

    @property
    def task(self) -> Task:
        """What is minimised, and over which rows."""

    @property
    def snapshot(self) -> Snapshot:
        """The parameters and states after the last call; the model has the best at the end."""

    @property
    def divergence(self) -> str | None:
        """How the training left the finite numbers, if it did."""

    @property
    def epoch(self) -> int:
        """The epoch that has just ended, counted from 0; -1 before the first."""

    @property
    def epochs(self) -> int:
        """How many epochs were asked for."""

    @property
    def model(self) -> Any:
        """The model, with its parameters after this epoch."""

    def sign(self, column: str) -> float:
        """1 if smaller is better in this column of the history, -1 if greater is."""

    def stop(self, reason: str) -> None:
        """End the training after this epoch; ``reason`` says why."""

    def pause(self, reason: str) -> None:
        """As :meth:`stop`, but a training that is resumed from its checkpoint goes on."""

    def scale_rate(self, scale: float) -> None:
        """Multiply the optimizer's learning rate by ``scale`` from now on (not cumulative)."""


class Callback:
    """Code that runs during training. Override any of the three methods.

    A plain function of the run works as well: it is called after every epoch. A callback that
    decides by what it saw in earlier epochs also overrides ``state`` and ``restore``, so that a
    training that is resumed from a checkpoint decides the same.

    Attributes
    ----------
    every_epoch : bool
        Whether ``epoch`` must run after every epoch; if not, then after each call into the engine,
        which may be of many short epochs.
    """

    every_epoch: bool = True

    def start(self, run: Run) -> None:
        """Before the first epoch."""

    def epoch(self, run: Run) -> None:
        """After every epoch."""

    def end(self, run: Run) -> None:
        """After the last epoch, or an interruption; the best parameters are back in place."""

    def state(self) -> Mapping[str, npt.ArrayLike]:
        """Numbers by name, for a checkpoint: what it remembers of earlier epochs."""
        return {}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Remember what :meth:`state` gave; called after :meth:`start`."""


class EarlyStopping(Callback):
    """Ends a training that no longer improves.

    Parameters
    ----------
    patience : int >= 1
        Epochs without improvement before it stops.
    monitor : str, optional
        A column of the history, such as ``"validation_loss"`` or ``"validation_accuracy"``. By
        default the validation loss, or the training loss where there is no validation data.
    minimum_change : float >= 0
        What counts as an improvement.
    """

    def __init__(
        self, patience: int = 10, monitor: str | None = None, minimum_change: float = 0.0
    ) -> None:
        self.patience = check("EarlyStopping", "patience", COUNT, patience)
        self.monitor = monitor
        self.minimum_change = check("EarlyStopping", "minimum_change", FROM_ZERO, minimum_change)

    def start(self, run: Run) -> None:
        """Forget earlier trainings."""
        self.best, self.waited = float("inf"), 0

    def epoch(self, run: Run) -> None:
        """Count the epochs since the last improvement."""
        name = self.monitor or run.history.monitor
        value = run.sign(name) * float(run.history[name][-1])
        if value < self.best - self.minimum_change:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            run.stop(f"{name.replace('_', ' ')} has not improved for {self.patience} epochs")

    def state(self) -> Mapping[str, npt.ArrayLike]:
        """The best value, and the epochs since."""
        return {"best": self.best, "waited": self.waited}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on counting."""
        self.best, self.waited = float(state["best"]), int(state["waited"])


class TimeLimit(Callback):
    """Ends a training after the epoch in which a number of seconds has passed.

    A training that is resumed has the whole time again.

    Parameters
    ----------
    seconds : float > 0
    since : float, optional
        When the clock started, by :func:`time.monotonic`; by default when the training does.
    """

    def __init__(self, seconds: float, since: float | None = None) -> None:
        self.seconds = check("TimeLimit", "seconds", POSITIVE, seconds)
        self.since = since

    def start(self, run: Run) -> None:
        """Start the clock."""
        self.began = time.monotonic() if self.since is None else self.since

    def epoch(self, run: Run) -> None:
        """Look at the clock."""
        if time.monotonic() - self.began > self.seconds:
            run.pause(f"the time limit of {self.seconds:g} s has passed")


class _ReduceRate(Callback):
    """Carries out :class:`chainrule.optim.ReduceOnPlateau` on the monitored column.

    Which direction is better is known, so the rule's ``mode`` is not asked.
    """

    def __init__(self, rule: ReduceOnPlateau) -> None:
        self.rule = rule

    def start(self, run: Run) -> None:
        self.seen: Plateau = self.rule.start()
        self.rule = replace(self.rule, mode="min" if run.sign(run.history.monitor) > 0 else "max")

    def epoch(self, run: Run) -> None:
        value = float(run.history[run.history.monitor][-1])
        self.seen, scale = self.rule.observe(self.seen, value)
        run.scale_rate(scale)

    def state(self) -> Mapping[str, npt.ArrayLike]:
        best = np.nan if self.seen.best is None else self.seen.best  # which no best ever is
        return {**self.seen._asdict(), "best": best}

    def restore(self, state: Mapping[str, Array]) -> None:
        best, scale = float(state["best"]), float(state["scale"])
        waited, resting = int(state["waited"]), int(state["resting"])
        self.seen = Plateau(None if np.isnan(best) else best, waited, resting, scale)


class _Function(Callback):
    """A plain function, called after every epoch."""

    def __init__(self, function: Callable[[Run], Any]) -> None:
        self.function = function

    def epoch(self, run: Run) -> None:
        self.function(run)


def as_callbacks(given: Sequence[Any] | None) -> list[Callback]:
    """Callbacks, from callbacks, functions and reduce-on-plateau rules.

    Raises
    ------
    ParameterError
        For anything else.
    """
    if given is not None and not isinstance(given, (list, tuple)):
        raise ParameterError(f"callbacks are given as a list, got {given!r}")
    return [_as_callback(each) for each in given or ()]


def _as_callback(given: Any) -> Callback:
    if isinstance(given, Callback):
        return given
    if isinstance(given, ReduceOnPlateau):
        return _ReduceRate(given)
    if callable(given) and not isinstance(given, type):
        return _Function(given)
    raise ParameterError(
        f"a callback is a Callback, a function of the run, or ReduceOnPlateau(...), got {given!r}"
    )
