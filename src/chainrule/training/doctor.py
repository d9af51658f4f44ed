"""The doctor: looks at rows, gradients and units of a training, and says what to change."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.nn.base import Layer
from chainrule.shapes import Array
from chainrule.training.callbacks import Callback, Run
from chainrule.training.findings import DIVERGENCE, EXPLODING, KINDS, UNSCALED, Finding, listed
from chainrule.training.history import History
from chainrule.training.inspection import first_non_finite, rows_of_infinite_loss
from chainrule.training.preprocessing import fitted
from chainrule.training.snapshot import Snapshot
from chainrule.training.steps import Regularization
from chainrule.training.symptoms import Columns, called, examine_rows
from chainrule.training.task import Task, prepare
from chainrule.training.vitals import examine_network

FIRST_SECONDS = 1.0  # of a training that nobody looks into
SHARE = 0.03  # of a healthy training's time that goes into looking
GROWTH = 100.0  # of the loss beyond its least: it diverges, though its numbers are finite


class Doctor(Callback):
    """Watches a training, and says what keeps it from learning.

    It looks now and then, for at most a thirtieth of the time, and once at the end.

    Parameters
    ----------
    columns : sequence of str, optional
        What the features are called, for its sentences.

    Attributes
    ----------
    findings : list of Finding
        What it found, causes before effects.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.nn import Linear, Network
    >>> from chainrule.optim import SGD
    >>> X = np.random.default_rng(0).normal(size=(50, 2)) * [1.0, 5000.0]
    >>> doctor = Doctor(columns=["age", "income"])
    >>> model = Network([Linear(2, 1, name="line")], seed=0)
    >>> history = model.fit(X, np.cos(X[:, 0]), optimizer=SGD(1e-9), epochs=3, callbacks=[doctor])
    >>> [(finding.kind, finding.layer, finding.columns) for finding in doctor.findings]
    [('unscaled columns', 'line', (1,))]
    >>> doctor.findings[0].change
    'Standardize() as the first layer'
    """

    every_epoch = False

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = columns
        self.findings: list[Finding] = []

    def start(self, run: Run) -> None:
        """Begin with a clean sheet."""
        self.findings = []
        self._began, self._spent = time.monotonic(), 0.0

    def epoch(self, run: Run) -> None:
        """Look, if there is time for it."""
        if self._has_time(FIRST_SECONDS):
            self._look(run)

    def end(self, run: Run) -> None:
        """Look for the last time, at the parameters that training ended with."""
        diverges = run.divergence is not None or _growth(run.history) is not None
        if diverges or not self._spent or self._has_time(0.0):
            self._look(run)

    def _has_time(self, least: float) -> bool:
        return time.monotonic() - self._began > max(least, self._spent / SHARE)

    def _look(self, run: Run) -> None:
        began, layers = time.monotonic(), run.model.layers
        found = diagnose(layers, run.snapshot.member(0), run.task, self.columns)
        if not any(each.kind == DIVERGENCE for each in found):
            found += _of_history(run.history, run.divergence is not None, found)
        seen = {(each.kind, each.layer): each for each in [*self.findings, *found]}
        self.findings = sorted(seen.values(), key=lambda each: KINDS.index(each.kind))
        self._spent += time.monotonic() - began

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "nothing was found that keeps it from learning"


def examine(
    model: Any,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: Any = None,
    columns: Sequence[str] | None = None,
) -> list[Finding]:
    """What would keep a network from learning these rows, or did.

    Parameters
    ----------
    model : Network
        As it is now: before a training, or after.
    X, y : array_like
        As for ``fit``.
    loss : name, Loss or callable, optional
        As for ``fit``.
    columns : sequence of str, optional
        What the features are called.

    Returns
    -------
    list of Finding

    Raises
    ------
    ShapeError, DtypeError, DataError, ParameterError, UnknownNameError
        As ``fit``.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.nn import Activation, Linear, Network
    >>> layers = [Linear(3, 8, name="first"), Activation("relu", name="relu"), Linear(8, 1)]
    >>> model = Network(layers, seed=0)
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> examine(model, X, X.sum(axis=1))
    []
    >>> model["first"].b = np.full(8, -100.0)
    >>> [finding.kind for finding in examine(model, X, X.sum(axis=1))]
    ['dead units']
    """
    task = prepare(
        model.architecture, X, y, loss=loss, regularization=Regularization(), sample_weight=None,
        class_weight=None, validation=None, seed=0,
    )  # fmt: skip
    snapshot = fitted(model.layers, model.snapshot().member(0), task.rows[0], model.dtype)
    return diagnose(model.layers, snapshot, task, columns)


def diagnose(
    layers: Sequence[Layer], snapshot: Snapshot, task: Task, columns: Columns = None
) -> list[Finding]:
    """What is wrong with the rows of a task, and with a network as it works on them."""
    found = examine_rows(layers, snapshot, task, columns)
    diverged = _not_finite(layers, snapshot, task, found, columns)
    return [*found, *([diverged] if diverged else examine_network(layers, snapshot, task))]


# Divergence


def _not_finite(
    layers: Sequence[Layer],
    snapshot: Snapshot,
    task: Task,
    others: Sequence[Finding],
    columns: Columns,
) -> Finding | None:
    """Where numbers are not finite: in a layer, or in the loss."""
    place = first_non_finite(layers, snapshot, task.rows[0])
    if place is not None:
        name, operation, rows = place.layer.name, place.operation, place.rows
        where = f"{operation} of {place.layer.label}"
    else:
        name, operation = None, task.objective.loss.name
        rows = tuple(rows_of_infinite_loss(layers, snapshot, task))
        where = f"the loss {operation}"
        if not rows:
            return None
    what = f"numbers are not finite, first in {where}"
    what += f" for {listed('row', rows)}" if rows else ""
    worst = _largest_columns(task.rows[0], rows)
    if worst:
        what += f", where {listed('column', [called(c, columns) for c in worst])} is largest"
    cause, change = _why(operation, others)
    return Finding(DIVERGENCE, what, cause, change, name, operation, rows, worst)


def _of_history(history: History, diverged: bool, others: Sequence[Finding]) -> list[Finding]:
    """Divergence as the history shows it, where the numbers themselves do not."""
    how = _growth(history) or (history.stopped if diverged else None)
    return [] if how is None else [Finding(DIVERGENCE, how, *_why(None, others))]


def _growth(history: History) -> str | None:
    """How far the loss is beyond its least, if that is far."""
    losses = history["loss"] if history.epochs else np.zeros(0)
    least = np.nanmin(losses, initial=math.inf)
    if not len(losses) or not losses[-1] > GROWTH * max(least, np.finfo(np.float32).eps):
        return None
    return f"the loss grew from {least:.3g} to {losses[-1]:.3g}"


def _largest_columns(X: Array, rows: Sequence[int]) -> tuple[int, ...]:
    """The column of the largest number in some rows, if they are not all of them."""
    if not rows or len(rows) > len(X) // 2 or X.ndim != 2:
        return ()
    spread = np.abs(X - np.median(X, axis=0)).mean(axis=0, dtype=np.float64)
    far = np.abs(X[list(rows)]) / np.maximum(spread, np.finfo(np.float64).tiny)
    return (int(np.argmax(far.max(axis=0))),)


def _why(operation: str | None, others: Sequence[Finding]) -> tuple[str, str]:
    """The likely cause of a divergence, and the one change."""
    for other in others:
        if other.kind == UNSCALED:
            return "numbers of very different size", other.change
        if other.kind == EXPLODING:
            return other.cause, other.change
    if operation in ("exp", "log"):
        wrong = "that are too large" if operation == "exp" else "that are not above 0"
        return f"{operation} of numbers {wrong}", f"softplus in place of {operation}"
    return "steps that are too large", "a tenth of the learning rate"
