"""The loop around the step: epochs, validation, the best parameters, and how it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from chainrule.engines.base import Outcome
from chainrule.errors import FileFormatError, ParameterError
from chainrule.graph.tree import flatten, unflatten
from chainrule.nn.base import Layer
from chainrule.shapes import Array
from chainrule.training.best import Best, Leaves, mixed
from chainrule.training.callbacks import Callback, EarlyStopping
from chainrule.training.checkpoints import Keeper
from chainrule.training.evaluation import Evaluator
from chainrule.training.history import VALIDATION, History
from chainrule.training.identity import facts_of, require_same
from chainrule.training.inspection import first_non_finite
from chainrule.training.moment import Memory, Moment
from chainrule.training.plan import Plan
from chainrule.training.snapshot import Snapshot, finite_members
from chainrule.training.steps import RECORDS, Builder
from chainrule.training.task import Task
from chainrule.training.watching import Watch

NEAR = 2**15  # numbers that the second-level cache still holds when they are read again
_INTERRUPTED = "it was interrupted"


class DivergenceWarning(UserWarning):
    """A training left the finite numbers; the best parameters so far are back."""


class Trainable(Protocol):
    """What the loop needs of a network."""

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers, in order."""

    @property
    def architecture(self) -> Builder:
        """What builds its graph."""

    def snapshot(self) -> Snapshot:
        """All arrays of one moment."""

    def publish(self, snapshot: Snapshot) -> None:
        """Put new arrays in the place of the current ones."""


class Method:
    """How parameters are moved: by a program of steps, or by a search of its own.

    Attributes
    ----------
    several : bool
        Whether a call into the engine may run several epochs; known after ``start``.
    steps : int >= 1
        Steps an epoch; known after ``start``.
    resumable : bool
        Whether what is carried is all that it needs to go on.
    optimizer : Optimizer or LBFGS
        Its settings; it knows how long training takes after ``start``.
    """

    several: bool = False
    steps: int = 1
    resumable: bool = True
    optimizer: Any

    def start(self, training: Training) -> Any:
        """What the method remembers before the first epoch: a tree of arrays, carried along."""
        raise TypeError(f"{type(self).__name__} must define start(training)")

    def run(self, training: Training) -> None:
        """Go through the epochs, giving each call's outcome to ``training.take_in``."""
        raise TypeError(f"{type(self).__name__} must define run(training)")

    def rerun(self, leaves: Leaves, epochs: range) -> Leaves:
        """What ``epochs`` make of carried values; needed where a call has several epochs."""
        raise TypeError(f"{type(self).__name__} runs several epochs a call and must define rerun")


class Training:
    """One call of ``fit``, as its callbacks see it.

    The parameters of a training are its own: those that a callback assigns to the model's layers
    are overwritten by the next epoch, and at the end where the best parameters come back.

    Parameters
    ----------
    model : Trainable
        Receives the parameters after every call into the engine.
    task : Task
        What is minimised, and over which rows.
    plan : Plan
    watch : Watch
        What is looked at after each epoch.
    method : Method
    keeper : Keeper, optional
        Where checkpoints go.

    Attributes
    ----------
    history : History
    best : Best
    latest : (members,) float64
        The monitored number after the last epoch.
    facts : dict
        What the training is, if there are checkpoints.
    step : int
        Steps done of the epoch that is not finished.
    records : list of arrays
        What they left, with axes (1, steps, ...).
    divergence : str or None
        How the training left the finite numbers, if it did.
    scores : (members,) float64
        At the end, the monitored number of each member's parameters; smaller is better.
    """

    def __init__(
        self,
        model: Trainable,
        task: Task,
        plan: Plan,
        watch: Watch,
        method: Method,
        keeper: Keeper | None = None,
    ) -> None:
        self.model, self.task, self.plan, self.method = model, task, plan, method
        self.callbacks, self.metrics, monitor = watch
        self.keeper = keeper
        self.stop_reason: str | None = None
        self.paused = False
        self.facts: dict[str, Any] = {}
        self.step = 0
        self.records: list[Array] = []
        self.divergence: str | None = None
        self.history = History(plan.seed, monitor)
        self._evaluate = Evaluator(model.architecture, task.objective)
        start = model.snapshot()
        self.members = start.members
        self.carried: dict[str, Any] = {"parameters": start.parameters, "states": start.states}
        self.carried["optimizer"] = method.start(self)
        count = self.members or 1
        self.latest = np.full(count, np.inf)
        chosen = any(isinstance(each, EarlyStopping) for each in self.callbacks)
        self._restored = np.full(count, chosen or task.validation is not None)
        self.scores = self.latest
        self.best = Best.at_start(count, self._kept())

    # What callbacks see and do

    @property
    def epoch(self) -> int:
        """The last epoch that was finished, counted from 0; -1 before the first."""
        return self.history.epochs - 1

    @property
    def epochs(self) -> int:
        """How many epochs were asked for."""
        return self.plan.epochs

    def sign(self, column: str) -> float:
        """1 if smaller is better in this column of the history, -1 if greater is."""
        metric = self.metrics.get(column.removeprefix(VALIDATION))
        return -1.0 if metric is not None and metric.greater_is_better else 1.0

    def stop(self, reason: str) -> None:
        """End the training after this epoch; ``reason`` says why."""
        self.stop_reason = reason

    def pause(self, reason: str) -> None:
        """End this call after this epoch, but not the training: it may be resumed."""
        self.stop_reason, self.paused = reason, True

    def scale_rate(self, scale: float) -> None:
        """Multiply the learning rate by ``scale`` from now on."""
        state = self.carried["optimizer"]
        if "scale" not in state:
            raise ParameterError("LBFGS has a line search in place of a rate: nothing to scale")
        self.carried["optimizer"] = {**state, "scale": np.full_like(state["scale"], scale)}

    # Running

    @property
    def watched(self) -> bool:
        """Whether Python has something to do after each epoch."""
        every = any(callback.every_epoch for callback in self.callbacks)
        return every or self.task.validation is not None

    def run(self) -> History:
        """Train, and leave the best parameters in the model."""
        _begin(self)
        try:
            if self.stop_reason is None:
                self.method.run(self)
        except KeyboardInterrupt:
            self.stop_reason = _INTERRUPTED
            self.history.interrupted = True
            self._restored[:] = True
        self._finish_for_certain()
        try:
            for callback in self.callbacks:
                callback.end(self)
        except KeyboardInterrupt:  # the parameters are in their place
            self.history.stopped = _INTERRUPTED
            self.history.interrupted = True
        return self.history

    def take_in(self, outcome: Outcome, began: float) -> bool:
        """Take in what a call into the engine gave; whether to go on.

        Parameters
        ----------
        outcome : Outcome
            Of one or more epochs; the last of them is incomplete if a loss was not finite.
        began : float
            When the call began, by ``time.perf_counter``.
        """
        records = dict(zip(RECORDS, outcome.records, strict=False))
        self.records, self.step = [], 0
        again = (self.epoch + 1, self._kept())  # for epochs inside a call of several
        self.carried = unflatten(self.carried, outcome.carried)
        self.model.publish(self.snapshot)
        at_end = finite_members(self.snapshot.leaves, self.members)
        usable = _usable(records["loss"], outcome.finite, at_end)
        seconds = (time.perf_counter() - began) / len(records["loss"])
        columns = {**self._columns(records), "seconds": np.full(len(usable), seconds)}
        monitored = columns[self.history.monitor]
        latest = _monitored(monitored, usable, self.sign(self.history.monitor))
        means = {name: _means(column) for name, column in columns.items()}
        self._record(means, records["loss"], latest, again)
        if len(usable) and not usable[-1].any():
            self._diverged(f"the parameters were not finite after epoch {self.epoch + 1}")
        elif not outcome.finite:
            step = int(np.argmin(_alive(records["loss"][-1]))) + 1
            self._diverged(f"the loss was not finite in epoch {self.epoch + 2}, step {step}")
        else:
            for callback in self.callbacks:
                callback.epoch(self)
            if self.keeper is not None:
                self.keeper.take(_moment(self))
        return self.stop_reason is None

    def take_part(self, carried: Leaves, records: list[Array]) -> None:
        """Take in the first steps of an epoch.

        Parameters
        ----------
        carried : sequence of arrays
        records : list of arrays
            Of all steps of the epoch so far, with axes (1, steps, ...).
        """
        self.carried = unflatten(self.carried, carried)
        self.records, self.step = records, records[0].shape[1]
        self.model.publish(self.snapshot)
        if self.keeper is not None:
            self.keeper.take(_moment(self))

    def _record(
        self,
        means: Mapping[str, list[float]],
        losses: Array,
        latest: Array,
        again: tuple[int, Leaves],
    ) -> None:
        """Add the epochs of a call to the history, and keep the parameters of the best.

        ``again`` is what the call started from: its arrays are those behind the last epoch.
        """
        best, first, count = self.best, self.epoch + 1, len(latest)
        inside = min(count, len(losses) - 1)
        if inside:
            best = best.offered(latest[:inside], first, *again)
        if inside < count:
            best = best.offered(latest[inside:], first + inside, first + count, self._kept())
        for index in range(count):
            row = {name: mean[index] for name, mean in means.items()}
            self.history.append(row, losses[index])
            self.latest = latest[index]
        self.best = best

    def _columns(self, records: Mapping[str, Array]) -> dict[str, Array]:
        """The columns of the epochs of a call: (epochs,), or (epochs, members)."""
        columns = {"loss": _mean_of_rows(records["loss"], records["weight"])}
        if self.task.objective.regularization.penalties:
            columns["penalty"] = records["penalty"].mean(axis=1)
        columns |= {name: value[None] for name, value in self._validated().items()}
        if "learning_rate" in records:
            columns["learning_rate"] = records["learning_rate"][:, -1]
        waits = getattr(self.method.optimizer, "accumulate", 1) > 1  # L-BFGS never does
        norms = records["gradient_norm"]
        norm = _mean_of_updates(norms) if waits else norms.mean(axis=1)
        return {**columns, "gradient_norm": norm}

    def _validated(self) -> dict[str, Array]:
        """The validation loss and metrics; where there are any, a call is one epoch."""
        if self.task.validation is None:
            return {}
        output, loss = self._evaluate(self.snapshot, self.task.validation, self.plan.engine)
        targets, *weights = self.task.validation[1:]
        given = weights[0] if weights else None
        found = {VALIDATION + "loss": loss}
        with np.errstate(all="ignore"):  # of members that left the finite numbers
            for name, metric in self.metrics.items():
                values = [
                    metric(each, targets, given, self.task.objective.probabilities)
                    for each in (output if self.members else output[None])
                ]
                found[VALIDATION + name] = np.array(values if self.members else values[0])
        return found

    # Ending

    def _diverged(self, how: str) -> None:
        """Say where it happened; the best so far come back."""
        place = first_non_finite(self.model.layers, self.snapshot.member(0), self.task.rows[0])
        self.stop_reason = how + (f", first in the output of {place.layer.label}" if place else "")
        self._restored[:] = True
        last = int(self.best.epochs.max())
        kept = "those of the start" if last < 0 else f"those of epoch {last + 1}"
        self.divergence = (
            f"training diverged: {self.stop_reason}; the parameters are {kept};"
            " try a smaller learning rate, scaled inputs, or gradient clipping"
        )

    def _finish_for_certain(self) -> None:
        """Finish; if Ctrl-C interrupts that, without running epochs again.

        The parameters are then those that the call with the best epoch started from.
        """
        finished = False
        while not finished:
            try:
                self._finish()
                finished = True
            except KeyboardInterrupt:
                self.stop_reason = _INTERRUPTED
                self.history.interrupted = True
                self.best = self.best._replace(epochs=self.best.starts - 1)

    def _finish(self) -> None:
        """Put the best parameters back, and say why and where the training ended."""
        if self.keeper is not None:
            self.keeper.finish()
        ran_all = "all epochs were done" if self.plan.epochs else "no epochs were asked for"
        self.history.stopped = self.stop_reason or ran_all
        lost = np.logical_and(np.isinf(self.latest), self.epoch >= 0)
        if self.history.monitor == "gradient_norm":  # which an epoch without an update has not
            lost &= ~finite_members(self.snapshot.leaves, self.members)
        if lost.any() and self.divergence is None:
            self.divergence = (
                f"{lost.sum()} of {len(lost)} members diverged; they have their best parameters"
            )
        restored = np.logical_or(self._restored, lost)
        self.scores = np.where(restored, self.best.values, self.latest)
        if restored.any():
            best = self.best.collect(self.method.rerun)[: len(self.snapshot.leaves)]
            both = {"parameters": self.carried["parameters"], "states": self.carried["states"]}
            final = unflatten(both, mixed(restored, best, self.snapshot.leaves))
            self.model.publish(Snapshot(final["parameters"], final["states"], self.members))
        epochs = np.where(restored, self.best.epochs, self.epoch)
        epoch = int(epochs[self.best_member])
        self.history.best_epoch = epoch if epoch >= 0 else None

    @property
    def best_member(self) -> int:
        """The member whose monitored number is the best of all."""
        return int(np.argmin(self.scores))

    @property
    def snapshot(self) -> Snapshot:
        """The current parameters and states."""
        return Snapshot(self.carried["parameters"], self.carried["states"], self.members)

    def _kept(self) -> Leaves:
        """What the best epoch is restored from: its arrays, or all that its call started from."""
        return flatten(self.carried) if self.method.several else self.snapshot.leaves


def _begin(training: Training) -> None:
    """Start the callbacks; a training that is resumed goes on where it was."""
    keeper = training.keeper
    found = None if keeper is None else keeper.found
    if keeper is not None:
        training.facts = _facts(training)
    if keeper is not None and found is not None:
        _require_same(training, found, str(keeper.checkpoints.folder))
        _go_on(training, found)
    for callback in training.callbacks:
        callback.start(training)
    if found is not None:
        for callback, (_, memory) in zip(_remembering(training), found.memories, strict=True):
            callback.restore(memory)
    if keeper is not None:
        keeper.start(_moment(training))


def _require_same(training: Training, found: Moment, source: str) -> None:
    """Refuse to go on from another training, or with other columns of the history."""
    require_same(found.facts, training.facts, source)
    told = [name.removeprefix(VALIDATION) for name in found.history if name.startswith(VALIDATION)]
    if told:  # the loss first
        require_same({"metrics": told[1:]}, {"metrics": [*training.metrics]}, source)


def _facts(training: Training) -> dict[str, Any]:
    """What the training is, for its checkpoints."""
    method, kinds = training.method, [type(each).__name__ for each in _remembering(training)]
    if not method.resumable:
        raise ParameterError(
            f"{type(method.optimizer).__name__} keeps its search in SciPy, which no checkpoint can"
            " hold; leave checkpoints out, or use Adam"
        )
    facts = facts_of(training.model.layers, training.task, training.plan, method.optimizer)
    return {**facts, "monitor": training.history.monitor, "callbacks": kinds}


def _remembering(training: Training) -> list[Callback]:
    """The callbacks that remember earlier epochs."""
    return [each for each in training.callbacks if type(each).state is not Callback.state]


def _moment(training: Training) -> Moment:
    """Where the training is, for a checkpoint."""
    return Moment(
        training.facts,
        flatten(training.carried),
        training.best,
        training.latest,
        training.history,
        training.history.epochs,
        training.step,
        training.records,
        None if training.paused else training.stop_reason,
        [_memory(each) for each in _remembering(training)],
    )


def _memory(callback: Callback) -> Memory:
    numbers = {name: np.array(value) for name, value in callback.state().items()}
    return type(callback).__name__, numbers


def _go_on(training: Training, found: Moment) -> None:
    """Be where a training with the same facts was.

    Raises
    ------
    FileFormatError
        If arrays do not have the shapes and types that such a training carries.
    """
    carried = flatten(training.carried)
    best = found.best.leaves
    for arrays, like in ((found.carried, carried), (best, carried[: len(best)])):
        if [(each.shape, each.dtype) for each in arrays] != [(x.shape, x.dtype) for x in like]:
            raise FileFormatError("the checkpoint's arrays are not those of this training")
    if found.step >= training.method.steps:
        raise FileFormatError("the checkpoint's place in its epoch is behind the end")
    if found.latest.shape != training.latest.shape or len(best) < len(training.snapshot.leaves):
        raise FileFormatError("the checkpoint's members are not those of this training")
    training.carried = unflatten(training.carried, found.carried)
    training.best = found.best.with_leaves(
        len(training.best.leaves), carried, training.method.rerun
    )
    training.latest, training.history = found.latest, found.history
    training.step, training.records = found.step, list(found.records)
    training.stop_reason = found.stopped
    training.model.publish(training.snapshot)


def _mean_of_rows(losses: Array, weights: Array) -> Array:
    """The mean over an epoch's rows, of which each step, (epochs, steps, ...), has some or none."""
    totals = weights.sum(axis=1)
    if not totals.all():  # of rows that weigh nothing, one is like another
        weights = np.where(weights.any(axis=1, keepdims=True), weights, 1)
        totals = weights.sum(axis=1)
    some = max(1, NEAR // math.prod(losses.shape[1:]))
    near = [slice(first, first + some) for first in range(0, len(losses), some)]
    sums = [(losses[x] * weights[x]).sum(axis=1) for x in near]
    return np.asarray(np.concatenate(sums) / totals)


def _mean_of_updates(sizes: Array) -> Array:
    """The mean over those of an epoch's steps, (epochs, steps, ...), that end in an update."""
    told = ~np.isnan(sizes)
    total = np.where(told, sizes, 0).sum(axis=1)
    return np.where(told.any(axis=1), total / np.maximum(told.sum(axis=1), 1), np.nan)


def _usable(losses: Array, complete: bool, at_end: Array) -> Array:
    """Whether each member's parameters after each complete epoch are finite.

    Those at the end of the call are looked at, others judged by the loss that follows them.
    """
    following = np.isfinite(losses[1:, 0]).reshape(-1, len(at_end))
    if complete:
        return np.vstack([following, at_end])
    if len(following) and not _alive(losses[-1])[0]:
        following[-1] = at_end
    return following


def _monitored(column: Array, usable: Array, sign: float) -> Array:
    """The numbers of a column, smaller is better: (epochs, members); infinity if not usable."""
    found = sign * column[: len(usable)].reshape(usable.shape)
    return np.where(usable & np.isfinite(found), found, np.inf)


def _alive(losses: Array) -> Array:
    """Of the losses of an epoch, (steps,) or (steps, members): where any is finite."""
    return np.asarray(np.isfinite(losses.reshape(len(losses), -1)).any(axis=1))


def _means(column: Array) -> list[float]:
    """Of each epoch, the mean over members that are still finite."""
    if column.ndim == 1:
        return [float(value) for value in column]
    finite = np.isfinite(column)
    counts = finite.sum(axis=1)
    totals = np.where(finite, column, 0).astype(np.float64).sum(axis=1)
    return [float(x) for x in np.where(counts, totals / np.maximum(counts, 1), np.nan)]
