"""The loop around the step: epochs, validation, the best parameters, and how it ends."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from chainrule.engines.base import Outcome
from chainrule.errors import unknown_name
from chainrule.graph.tree import flatten, unflatten
from chainrule.nn.metrics import Metric
from chainrule.shapes import Array
from chainrule.training.callbacks import Callback, improving_sign
from chainrule.training.evaluation import Evaluator
from chainrule.training.history import History
from chainrule.training.steps import RECORDS, Objective


class DivergenceWarning(UserWarning):
    """A training left the finite numbers; the best parameters so far are kept."""


@dataclass(frozen=True)
class Plan:
    """How long to train, in which portions, and on what.

    Attributes
    ----------
    epochs : int
    batch_size : int
    shuffle, drop_last, replacement : bool
    engine : str or None
    seed : int
    """

    epochs: int
    batch_size: int
    shuffle: bool
    drop_last: bool
    replacement: bool
    engine: str | None
    seed: int


class Method(Protocol):
    """How parameters are moved: by a program of steps, or by a search of its own."""

    def start(self, training: Training) -> Any:
        """What the method remembers before the first epoch: a tree of arrays, carried along."""

    def run(self, training: Training) -> None:
        """Go through the epochs, giving the outcome of each to ``training.finish_epoch``."""

    def rate(self, state: Any) -> Any:
        """The current learning rate."""


@dataclass
class Best:
    """The best parameters so far, for each member its own.

    Attributes
    ----------
    values : (members,) float64
        The monitored number, smaller is better.
    epochs : (members,) int64
        When it was reached; -1 at the start.
    leaves : list of arrays
        Parameters and states.
    """

    values: Array
    epochs: Array
    leaves: list[Array]

    def offer(self, values: Array, epoch: int, leaves: Sequence[Array]) -> None:
        """Keep what is better."""
        better = np.asarray(values < self.values)
        if not better.any():
            return
        self.values = np.where(better, values, self.values)
        self.epochs = np.where(better, epoch, self.epochs)
        self.leaves = list(leaves) if better.all() else _mixed(better, leaves, self.leaves)


def _mixed(better: Array, new: Sequence[Array], old: Sequence[Array]) -> list[Array]:
    """New arrays for the members that got better, old ones for the rest."""
    return [
        np.where(better.reshape(-1, *(1,) * (n.ndim - 1)), n, o)
        for n, o in zip(new, old, strict=True)
    ]


@dataclass
class Training:
    """One call of ``fit``, as its callbacks see it.

    Parameters
    ----------
    model : Network
        Receives the parameters after every epoch.
    objective : Objective
    rows : list of arrays
        Features, prepared targets, and weights if there are any.
    validation : list of arrays or None
    metrics : dict of str to Metric
    plan : Plan
    callbacks : list of Callback
    method : Method
    """

    model: Any
    objective: Objective
    rows: list[Array]
    validation: list[Array] | None
    metrics: dict[str, Metric]
    plan: Plan
    callbacks: list[Callback]
    method: Method
    epoch: int = -1
    stop_reason: str | None = None
    history: History = field(init=False)

    def __post_init__(self) -> None:
        monitor = "loss" if self.validation is None else "validation_loss"
        chosen = [getattr(each, "monitor", None) for each in self.callbacks]
        self.history = History(self.plan.seed, next((name for name in chosen if name), monitor))
        self.members: int | None = self.model.members
        self.restore = self.history.monitor != "loss"
        self.evaluate = Evaluator(self.model)
        self.carried = {"parameters": self.model.parameters, "states": self.model.states}
        self.carried["optimizer"] = self.method.start(self)
        count = self.members or 1
        self.best = Best(np.full(count, np.inf), np.full(count, -1), self.kept_leaves())

    def kept_leaves(self) -> list[Array]:
        """The current parameters and states."""
        return [leaf for name in ("parameters", "states") for leaf in flatten(self.carried[name])]

    @property
    def epochs(self) -> int:
        """How many epochs were asked for."""
        return self.plan.epochs

    def stop(self, reason: str) -> None:
        """End the training after this epoch."""
        self.stop_reason = reason

    def scale_rate(self, scale: float) -> None:
        """Multiply the learning rate by ``scale`` from now on."""
        state = self.carried["optimizer"]
        self.carried["optimizer"] = {**state, "scale": np.full_like(state["scale"], scale)}

    # Running

    def run(self) -> History:
        """Train, and leave the best parameters in the model."""
        for callback in self.callbacks:
            callback.start(self)
        try:
            self.method.run(self)
        except KeyboardInterrupt:
            self.stop_reason, self.restore = "it was interrupted", True
        finally:
            self._finish()
        for callback in self.callbacks:
            callback.end(self)
        return self.history

    def finish_epoch(self, outcome: Outcome, began: float) -> bool:
        """Take in what an epoch gave; whether to go on."""
        if not outcome.finite:
            self._diverged(outcome)
            return False
        self.epoch += 1
        self.carried = unflatten(self.carried, outcome.carried)
        self.model.publish(self.carried["parameters"], self.carried["states"])
        self._record(outcome, began)
        for callback in self.callbacks:
            callback.epoch(self)
        return self.stop_reason is None

    def _record(self, outcome: Outcome, began: float) -> None:
        """Add the epoch to the history, and keep its parameters if they are the best."""
        records = dict(zip(RECORDS, [record[0] for record in outcome.records], strict=True))
        weight = records["weight"].astype(np.float64)
        row = {"loss": np.average(records["loss"].astype(np.float64), axis=0, weights=weight)}
        if records["penalty"].any():
            row["penalty"] = records["penalty"].mean(axis=0)
        row |= self._validated()
        row["learning_rate"] = np.asarray(self.method.rate(self.carried["optimizer"]))
        row["gradient_norm"] = records["gradient_norm"].mean(axis=0)
        row["seconds"] = np.asarray(time.perf_counter() - began)
        if self.history.monitor not in row:
            raise unknown_name("column to monitor", self.history.monitor, row)
        self.history.append({name: _mean(value) for name, value in row.items()}, records["loss"])
        monitored = improving_sign(self.history.monitor) * np.atleast_1d(row[self.history.monitor])
        self.best.offer(monitored, self.epoch, self.kept_leaves())

    def _validated(self) -> dict[str, Array]:
        """The validation loss and metrics."""
        if self.validation is None:
            return {}
        output, loss = self.evaluate(
            self.carried["parameters"],
            self.carried["states"],
            self.validation,
            objective=self.objective,
            members=self.members,
            engine=self.plan.engine,
        )
        found = {"validation_loss": loss}
        outputs = output if self.members else output[None]
        for name, metric in self.metrics.items():
            values = [self._measured(metric, each) for each in outputs]
            found[f"validation_{name}"] = np.array(values if self.members else values[0])
        return found

    def _measured(self, metric: Metric, output: Array) -> float:
        assert self.validation is not None
        targets, *weights = self.validation[1:]
        given = weights[0] if weights else None
        return metric(output, targets, given, probabilities=self.objective.probabilities)

    # Ending

    def _diverged(self, outcome: Outcome) -> None:
        """Say where, keep the best so far, and end."""
        losses = outcome.records[0][0]
        step = int(np.isfinite(losses.reshape(len(losses), -1)).any(axis=1).sum()) + 1
        before = unflatten(self.carried, outcome.carried)
        layer = self.model.first_non_finite(before["parameters"], before["states"], self.rows[0])
        where = f", first in the output of {layer}" if layer else ""
        self.stop_reason = f"the loss was not finite in epoch {self.epoch + 2}, step {step}{where}"
        self.restore = True
        last = int(self.best.epochs.max())
        kept = "those of the start" if last < 0 else f"those of epoch {last + 1}"
        warnings.warn(
            f"training diverged: {self.stop_reason}; the parameters are {kept};"
            " try a smaller learning rate, scaled inputs, or gradient clipping",
            DivergenceWarning,
            stacklevel=6,
        )

    def _finish(self) -> None:
        """Put the best parameters back, and say why and where the training ended."""
        ran_all = "all epochs were done" if self.plan.epochs else "no epochs were asked for"
        self.history.stopped = self.stop_reason or ran_all
        if self.restore:
            both = {"parameters": self.carried["parameters"], "states": self.carried["states"]}
            best = unflatten(both, self.best.leaves)
            self.model.publish(best["parameters"], best["states"])
            epoch = int(self.best.epochs.max())
        else:
            epoch = self.history.epochs - 1
        self.history.best_epoch = epoch if epoch >= 0 else None

    @property
    def best_member(self) -> int:
        """The member whose monitored number is the best of all."""
        return int(np.argmin(self.best.values))


def _mean(value: Array) -> float:
    """The mean over members that are still finite."""
    finite = np.asarray(value)[np.isfinite(value)] if np.ndim(value) else np.asarray(value)
    return float(finite.mean()) if finite.size else float("nan")
