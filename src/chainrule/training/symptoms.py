"""What can be wrong with the rows themselves: their scale, their targets, columns that tell all."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from chainrule.nn.base import Layer, Mode
from chainrule.nn.layers import Linear
from chainrule.nn.losses import Custom
from chainrule.nn.metrics import target_labels
from chainrule.shapes import FLOAT64, Array
from chainrule.training.findings import (
    CONSTANT_TARGET,
    LEAKING_TARGET,
    UNSCALED,
    Finding,
    listed,
)
from chainrule.training.snapshot import Snapshot
from chainrule.training.task import CLASSIFYING, Task

SAMPLED_ROWS, SAMPLED_CELLS = 2000, 400_000
FEWEST_ROWS = 20  # to call a perfect relation a leak, or to warn of a constant target
NO_SPREAD = 1e-7  # a standard deviation of this share of the mean is rounding
LARGE, SMALL = 30.0, 1e-4  # root mean squares that a first layer does not expect
FAR = 1000.0  # times the typical distance from the middle
PERFECT = 0.9999  # a correlation this high leaves nothing to learn

Columns = Sequence[str] | None


def examine_rows(
    layers: Sequence[Layer], snapshot: Snapshot, task: Task, columns: Columns = None
) -> list[Finding]:
    """What is wrong with features and targets, by a sample of the rows.

    Parameters
    ----------
    layers : sequence of Layer
    snapshot : Snapshot
        Of a single network.
    task : Task
    columns : sequence of str, optional
        What the features are called.
    """
    features = task.rows[0]
    rows = min(SAMPLED_ROWS, max(SAMPLED_CELLS * len(features) // features.size, FEWEST_ROWS))
    step = -(-len(features) // rows)
    X, y = features[::step], task.rows[1][::step]
    constant = _constant_target(y, task)
    found = [*constant, *_unscaled(layers, snapshot, X, step, columns)]
    if not constant and X.ndim == 2 and X.shape[1] > 1 and len(X) >= FEWEST_ROWS:
        found += _leaks(X, y, task.objective.loss.name, columns)
    return [*found, *_unscaled_target(y, task)] if not constant else found


def called(column: int, columns: Columns) -> str:
    """A column's name, or its number."""
    return str(column) if columns is None else repr(columns[column])


# Targets


def _constant_target(y: Array, task: Task) -> list[Finding]:
    values = y.reshape(len(y), -1).astype(FLOAT64)
    still = values.std(axis=0) <= NO_SPREAD * np.abs(values).max(axis=0)
    if task.objective.loss.name in CLASSIFYING and values.shape[1] > 1:
        still &= still.all()  # a class that does not occur in the sample is no fault
    return [
        Finding(
            CONSTANT_TARGET,
            f"column {column} of the target is {values[0, column]:g} in every row",
            "the wrong column was chosen, or rows were filtered by it",
            "another target, or rows in which it varies",
            columns=(int(column),),
        )
        for column in np.flatnonzero(still)
    ]


class TargetWarning(UserWarning):
    """A training whose target is the same in every row: there is nothing to learn."""


def warn_of_target(task: Task) -> None:
    """Say so where all of a target is constant; a loss of the user's own may mean that.

    Warns
    -----
    TargetWarning
        With what the doctor says of it.
    """
    y = task.rows[1]
    unknown = task.stream is not None or len(y) < FEWEST_ROWS
    if unknown or isinstance(task.objective.loss, Custom):
        return
    for rows in (y[:FEWEST_ROWS], y):  # a look at the first ones is enough for nearly all
        found = _constant_target(rows, task)
        if len(found) < y[0].size:  # an autoencoder may have a pixel that is always black
            return
    warnings.warn(str(found[0]), TargetWarning, stacklevel=3)


def _unscaled_target(y: Array, task: Task) -> list[Finding]:
    if task.objective.loss.name not in ("squared_error", "absolute_error", "huber"):
        return []
    size = np.sqrt(np.mean(y.reshape(len(y), -1).astype(FLOAT64) ** 2, axis=0))
    wrong = np.flatnonzero(size > LARGE**2)
    if not len(wrong):
        return []
    return [
        Finding(
            UNSCALED,
            f"the target has a root mean square of {size.max():.3g}",
            "its unit: first predictions are near 0, so that errors and gradients are as large",
            "the target less its mean, divided by its standard deviation",
        )
    ]


# Scale


def _unscaled(
    layers: Sequence[Layer], snapshot: Snapshot, X: Array, step: int, columns: Columns
) -> list[Finding]:
    """Columns that reach the first weights in a unit of their own."""
    entered = _entering(layers, snapshot, X)
    if entered is None:
        return []
    layer, Z = entered
    names = columns if columns is None or len(columns) == Z.shape[1] else None
    size = np.sqrt(np.mean(Z**2, axis=0))
    distance = np.abs(Z - np.median(Z, axis=0))
    spread = np.maximum(distance.mean(axis=0), np.finfo(FLOAT64).tiny)
    wrong = np.flatnonzero((size > LARGE) | ((size > 0) & (size < SMALL)))
    if not len(wrong):
        return []
    worst = max(wrong, key=lambda column: abs(np.log10(size[column])))
    far = np.flatnonzero(distance[:, worst] > FAR * np.median(distance[:, worst]))
    rows = tuple([int(row) * step for row in far]) if 0 < len(far) <= len(Z) // 20 else ()
    places = [called(int(column), names) for column in wrong]
    which = f" in {listed('row', rows)}" if rows else ""
    reason = "single cells that are far from all others" if rows else "its unit"
    return [
        Finding(
            UNSCALED,
            f"{listed('column', places)} of the features: column {called(int(worst), names)} has a"
            f" root mean square of {size[worst]:.3g} (mean {Z[:, worst].mean():.3g}, mean distance"
            f" from the middle {spread[worst]:.3g}){which} where {layer.label} expects about 1",
            reason,
            "correcting these cells" if rows else "Standardize() as the first layer",
            layer=layer.name,
            operation="matmul",
            rows=rows,
            columns=tuple(wrong.tolist()),
        )
    ]


def _entering(layers: Sequence[Layer], snapshot: Snapshot, X: Array) -> tuple[Layer, Array] | None:
    """The first layer with weights, if it is linear, and the rows as they reach it."""
    x = X
    for layer in layers:
        name = str(layer.name)
        if layer.parameters():
            numbers = isinstance(layer, Linear) and x.ndim == 2
            return (layer, np.asarray(x, FLOAT64)) if numbers else None
        with np.errstate(all="ignore"):
            given = (snapshot.parameters[name], snapshot.states[name], Mode(False))
            x = np.asarray(layer.forward(x, *given)[0])
    return None


# Leaks


def _leaks(X: Array, y: Array, loss: str, columns: Columns) -> list[Finding]:
    features = X.astype(FLOAT64)
    if loss not in CLASSIFYING:
        told = _telling_numbers(features, y)
    elif loss == "cross_entropy" or y.ndim == 1:
        told = _telling_classes(features, y)
    else:  # several labels a row
        told = sorted({c for label in y.T for c in _telling_classes(features, label)})
    if not told:
        return []
    names = [called(column, columns) for column in told]
    alone = "each alone" if len(told) > 1 else "alone"
    return [
        Finding(
            LEAKING_TARGET,
            f"{listed('column', names)} {alone} tells the target of every row",
            "a column that is made from the target, or known only after it",
            f"leaving out {listed('column', names)}",
            columns=tuple(told),
        )
    ]


def _telling_numbers(X: Array, y: Array) -> list[int]:
    """Columns of which a target is a straight line, or of which it rises or falls throughout."""
    targets = y.reshape(len(y), -1).astype(FLOAT64)
    values, ranks = _standardised(X), _standardised(_ranks(X))
    found: dict[int, bool] = {}
    for column in range(targets.shape[1]):
        target = targets[:, [column]]
        if len(np.unique(target)) < FEWEST_ROWS // 2:
            continue
        for sides in ((values, _standardised(target)), (ranks, _standardised(_ranks(target)))):
            together = np.abs((sides[0] * sides[1]).mean(axis=0))
            found |= dict.fromkeys(np.flatnonzero(together > PERFECT).tolist(), True)
    return sorted(found)


def _standardised(columns: Array) -> Array:
    spread = columns.std(axis=0)
    large = spread > NO_SPREAD * np.abs(columns).max(axis=0)
    centered: Array = (columns - columns.mean(axis=0)) * large
    return centered / np.where(large, spread, 1.0)


def _ranks(columns: Array) -> Array:
    """The rank of each cell in its column, ties at their first."""
    ordered = np.sort(columns, axis=0)
    pairs = zip(ordered.T, columns.T, strict=True)
    return np.stack([np.searchsorted(*pair) for pair in pairs], axis=1).astype(FLOAT64)


def _telling_classes(X: Array, y: Array) -> list[int]:
    """Columns in which every class has an interval of its own, or values of its own."""
    labels = target_labels(y)
    counts = np.bincount(labels)
    if (counts[counts > 0] < 3).any():
        return []
    found = []
    for column, values in enumerate(X.T):
        order = np.lexsort((labels, values))
        v, c = values[order], labels[order]
        new_value, new_class = v[1:] != v[:-1], c[1:] != c[:-1]
        if (new_class & ~new_value).any():  # one value in rows of two classes
            continue
        intervals, distinct = 1 + int(new_class.sum()), 1 + int(new_value.sum())
        if intervals == np.count_nonzero(counts) or distinct <= len(v) // 10:
            found.append(column)
    return found
