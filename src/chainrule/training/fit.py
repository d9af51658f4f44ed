"""From what people pass to ``fit`` to a running training."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import optim
from chainrule.errors import DataError, ParameterError, ShapeError
from chainrule.nn import losses
from chainrule.nn.losses import Loss
from chainrule.nn.metrics import Metric
from chainrule.nn.metrics import get as get_metric
from chainrule.shapes import Array, as_array
from chainrule.training.callbacks import Callback, EarlyStopping, as_callbacks
from chainrule.training.data import as_features, as_weights, split_validation
from chainrule.training.history import History
from chainrule.training.loop import Plan, Training
from chainrule.training.progress import ProgressLine, wanted
from chainrule.training.methods import QuasiNewton, Steps
from chainrule.training.steps import Objective, Regularization

Validation = Any
"""Arrays ``(X, y)`` or ``(X, y, weights)``, a fraction, or the numbers of the rows to hold out."""


CLASSIFYING = ("cross_entropy", "binary_cross_entropy", "hinge")


def new_seed(seed: int | None) -> int:
    """``seed``, or one drawn from the operating system.

    Raises
    ------
    ParameterError
        If it is no integer from 0 to 2**64 - 1.
    """
    if seed is None:
        return secrets.randbits(63)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise ParameterError(f"seed must be an integer from 0 to 2**64 - 1, got {seed!r}")
    return int(seed)


def positive_integer(name: str, value: Any, least: int = 1) -> int:
    """``value``, if it is an integer of at least ``least``.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParameterError(f"{name} must be an integer >= {least}, got {value!r}")
    return int(value)


class Data:
    """The rows of a training, checked and in the element types that the step takes.

    Parameters
    ----------
    model : Network
    loss : Loss
    """

    def __init__(self, model: Any, loss: Loss) -> None:
        self.model, self.loss = model, loss

    def rows(
        self, X: npt.ArrayLike, y: npt.ArrayLike, weights: Array | None, what: str
    ) -> list[Array]:
        """Features, prepared targets, and weights if there are any.

        Raises
        ------
        ShapeError, DataError
            If they do not fit the network, the loss or each other.
        """
        features = as_features(X, self.model.dtype, self.model.input_shape, f"{what}X")
        if len(as_array(y)) != len(features):
            raise ShapeError(f"{what}X has {len(features)} rows and {what}y has {len(as_array(y))}")
        targets = self.loss.prepare(y, self.model.n_out, self.model.dtype)
        return [features, targets] + ([] if weights is None else [weights])

    def divided(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        weights: Array | None,
        validation: Validation,
        seed: int,
    ) -> tuple[list[Array], list[Array] | None]:
        """Training rows and validation rows."""
        if validation is None:
            return self.rows(X, y, weights, ""), None
        if isinstance(validation, (tuple, list)) and len(validation) in (2, 3):
            held = [as_array(part) for part in validation]
            extra = held[2].astype(self.model.dtype) if len(held) > 2 else None
            return self.rows(X, y, weights, ""), self.rows(held[0], held[1], extra, "validation ")
        rows = self.rows(X, y, weights, "")
        train, held_out = _division(validation, len(rows[0]), seed)
        return [array[train] for array in rows], [array[held_out] for array in rows]


def _division(validation: Validation, rows: int, seed: int) -> tuple[Array, Array]:
    """Row numbers for training and for validation, from a fraction or the held-out rows."""
    if isinstance(validation, float):
        return split_validation(rows, validation, seed)
    held_out = as_array(validation)
    if held_out.dtype.kind == "b" and held_out.shape == (rows,):
        held_out = np.flatnonzero(held_out)
    if held_out.ndim != 1 or held_out.dtype.kind not in "iu" or not len(held_out):
        raise ParameterError(
            "validation must be (X, y), a fraction between 0 and 1, or the numbers of the rows to hold out"
        )
    if held_out.min() < 0 or held_out.max() >= rows:
        raise DataError(f"validation names a row outside 0 to {rows - 1}")
    train = np.setdiff1d(np.arange(rows), held_out)
    if not len(train):
        raise DataError("validation holds out every row; nothing is left to train on")
    return train, held_out


def default_metrics(loss: Loss, metrics: Sequence[str] | None) -> dict[str, Metric]:
    """The metrics by name; those that suit the loss if none are named."""
    suitable = ("accuracy",) if loss.name in CLASSIFYING else ()
    found = [get_metric(each) for each in (suitable if metrics is None else metrics)]
    return {metric.name: metric for metric in found}


def fit(
    model: Any,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: Any,
    optimizer: Any,
    epochs: int,
    batch_size: int | None,
    validation: Validation,
    sample_weight: npt.ArrayLike | None,
    class_weight: Mapping[Any, float] | str | None,
    metrics: Sequence[str] | None,
    early_stopping: int | EarlyStopping | None,
    callbacks: Sequence[Any] | None,
    regularization: Regularization,
    shuffle: bool,
    drop_last: bool,
    replacement: bool,
    seed: int,
    engine: str | None,
    progress: bool | None,
) -> tuple[History, int]:
    """Train ``model``; see :meth:`chainrule.networks.Network.fit`.

    Returns
    -------
    history : History
    best_member : int
    """
    objective_loss = losses.get(loss if loss is not None else model.default_loss)
    rule = optim.get(optimizer)
    weights = as_weights(sample_weight, class_weight, y, model.dtype)
    rows, held_out = Data(model, objective_loss).divided(X, y, weights, validation, seed)
    plan = Plan(
        epochs=positive_integer("epochs", epochs, 0),
        batch_size=len(rows[0])
        if batch_size is None
        else positive_integer("batch_size", batch_size),
        shuffle=shuffle,
        drop_last=drop_last,
        replacement=replacement,
        engine=engine,
        seed=seed,
    )
    if model.needs_batch_statistics and min(len(rows[0]), plan.batch_size) < 2:
        raise DataError("batch normalisation needs at least two rows in every batch to train on")
    model.fit_preprocessing(rows[0])
    every = _all_callbacks(callbacks, early_stopping, progress)
    chosen = default_metrics(objective_loss, metrics) if held_out is not None else {}
    method = QuasiNewton(rule) if isinstance(rule, optim.LBFGS) else Steps(rule)
    probabilities = objective_loss.check_output(model.n_out, model.output_activation)
    objective = Objective(objective_loss, probabilities, regularization)
    training = Training(model, objective, rows, held_out, chosen, plan, every, method)
    return training.run(), training.best_member


def _all_callbacks(
    callbacks: Sequence[Any] | None,
    early_stopping: int | EarlyStopping | None,
    progress: bool | None,
) -> list[Callback]:
    found = as_callbacks(callbacks)
    if early_stopping is not None:
        stopper = (
            early_stopping
            if isinstance(early_stopping, EarlyStopping)
            else EarlyStopping(early_stopping)
        )
        found.append(stopper)
    return [*found, ProgressLine()] if wanted(progress) else found
