"""Scores of validation rows: scikit-learn's numbers without its checks, for use every epoch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer

from chainrule.estimators import layout
from chainrule.estimators.machine import Machine
from chainrule.estimators.sparse import SparseRows, in_parts
from chainrule.shapes import Array
from chainrule.training.snapshot import Snapshot, finite_members

Score = Callable[[Snapshot, "str | None"], Array]
"""Gives the score of each member, (members,), from a network and an engine."""


def scorer_for(estimator: Any, rows: list[Array], machine: Machine) -> Score:
    """What gives an estimator's score on validation rows: its own, or that of its ``scoring``.

    Parameters
    ----------
    estimator : Multilayer
    rows : list of arrays
        Features, encoded targets, and weights if there are any.
    machine : Machine
    """
    X, y, *weights = rows
    given = weights[0] if weights else None

    def own(network: Snapshot, engine: str | None) -> Array:
        output = in_parts(lambda part: machine.evaluate(network, [part], engine)[0], X)
        each = output if network.members else output[None]
        finite = [bool(np.isfinite(one).all()) for one in each]
        scored = [
            estimator._score_of(one, y, given) if fine else np.nan
            for one, fine in zip(each, finite, strict=True)
        ]
        return np.array(scored)

    if estimator.scoring is None:
        return own
    scorer, labels = get_scorer(estimator.scoring), estimator._decoded(y)
    given_rows = X.matrix if isinstance(X, SparseRows) else X
    weighted = {} if given is None else {"sample_weight": given}

    def chosen(network: Snapshot, engine: str | None) -> Array:
        count = network.members or 1
        apart = estimator.restarts > 1  # else members predict together
        each = [network.member(place) for place in range(count)] if apart else [network]
        found = [
            scorer(ready(one), given_rows, labels, **weighted)
            if finite_members(one.leaves, one.members).all()
            else np.nan
            for one in each
        ]
        return np.full(count, found)

    def ready(network: Snapshot) -> Any:
        found = copy.copy(estimator)
        found.__dict__.pop("feature_names_in_", None)  # the copy is given arrays
        architecture = machine.architecture
        found.__dict__.update(layout.attributes_of(architecture, network, architecture.dtype))
        found.__dict__.update(n_outputs_=y.shape[1] if y.ndim == 2 else len(estimator.classes_))
        return found

    return chosen


def accuracy(decided: Array, y: Array, weights: Array | None) -> float:
    """The share of rows that are right in every column; rows (n,) or (n, k).

    >>> accuracy(np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0]), None)
    0.75
    """
    right = decided == y
    return float(np.average(right if right.ndim == 1 else right.all(axis=1), weights=weights))


def r_squared(predicted: Array, y: Array, weights: Array | None) -> float:
    """1 - squared error / variance, the mean over columns; of constant columns 1 or 0.

    >>> r_squared(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]), None)
    0.5
    """
    target, found = y.astype(np.float64), predicted.astype(np.float64)
    with np.errstate(over="ignore"):
        error = np.average((target - found) ** 2, axis=0, weights=weights)
    centre = np.average(target, axis=0, weights=weights)
    variance = np.average((target - centre) ** 2, axis=0, weights=weights)
    constant = variance == 0
    ratio = np.where(constant, error != 0, error / np.where(constant, 1.0, variance))
    return float(np.mean(1.0 - ratio))
