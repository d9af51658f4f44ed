"""What a training works on, from what people pass to ``fit``: checked before anything changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError, ParameterError, ShapeError
from chainrule.nn import losses, metrics
from chainrule.nn.activations import Sigmoid
from chainrule.nn.losses import BinaryCrossEntropy, CrossEntropy, Custom, Loss
from chainrule.ops import random
from chainrule.shapes import Array, as_array
from chainrule.training.data import as_weights, weights_of_classes
from chainrule.training.steps import Objective, Regularization
from chainrule.training.streaming import RowSource, Streamed

Validation: TypeAlias = Any
"""Arrays ``(X, y)`` or ``(X, y, weights)``, a fraction, or the numbers of the rows to hold out."""

CLASSIFYING = ("cross_entropy", "binary_cross_entropy", "hinge")


class Task(NamedTuple):
    """What is minimised, and over which rows.

    Attributes
    ----------
    objective : Objective
    rows : list of arrays
        Features, prepared targets, and weights if there are any.
        Where rows are streamed, a sample of them.
    validation : list of arrays or None
    stream : Streamed or None
        Where the rows of each epoch come from, if they are not in memory.
    """

    objective: Objective
    rows: list[Array]
    validation: list[Array] | None
    stream: Streamed | None = None

    @property
    def n_rows(self) -> int:
        """Training rows."""
        return len(self.rows[0]) if self.stream is None else len(self.stream.source)


def prepare(
    architecture: Any,
    X: Any,
    y: Any,
    *,
    loss: Any,
    regularization: Regularization,
    sample_weight: npt.ArrayLike | None,
    class_weight: Mapping[Any, float] | str | None,
    validation: Validation,
    seed: int,
) -> Task:
    """The task that the arguments of ``fit`` describe.

    Raises
    ------
    ShapeError, DtypeError, DataError, ParameterError, UnknownNameError
        If something does not fit the network, the loss or each other.
    """
    source = X if isinstance(X, RowSource) else None
    if source is not None:
        X, y, *weights = source.sample
        sample_weight = weights[0] if weights else None
    features = architecture.as_rows(X)
    n_out = architecture.n_out(features.shape[1:])
    named = losses.get(architecture.default_loss if loss is None else loss)
    chosen = _suited(named, n_out, architecture.output_activation)
    objective = Objective(
        chosen, chosen.check_output(n_out, architecture.output_activation), regularization
    )
    targets = chosen.prepare(y, n_out, architecture.dtype)
    rows = _together(features, targets, sample_weight, "")
    train, held_out = _divided(architecture, chosen, rows, validation, seed)
    rows = [array[train] for array in rows]
    if class_weight is not None:
        by_class = weights_of_classes(class_weight, as_array(y)[train]).astype(architecture.dtype)
        rows[2:] = [by_class * rows[2] if len(rows) > 2 else by_class]
    _check_variety(chosen, rows[1])
    _check_range(chosen, rows[1], n_out)
    for part in (rows, held_out or rows):
        if len(part) > 2 and not part[2].any():
            raise DataError("the weights of all rows are 0; nothing can be learned or measured")
    stream = None if source is None else Streamed.of(source, architecture, chosen, n_out)
    return Task(objective, rows, held_out, stream)


def _suited(loss: Loss, n_out: int, activation: Any) -> Loss:
    """The loss itself; the cross-entropy of a single sigmoid output is the binary one."""
    single = n_out == 1 and isinstance(activation, Sigmoid)
    return BinaryCrossEntropy() if single and isinstance(loss, CrossEntropy) else loss


def _together(
    features: Array, targets: Array, sample_weight: npt.ArrayLike | None, what: str
) -> list[Array]:
    """Features, targets and weights, which must agree on the number of rows."""
    if len(targets) != len(features):
        raise ShapeError(
            f"{what}X has {len(features)} rows and {what}y has {len(targets)}; give one target"
            " for each row"
        )
    if sample_weight is None:
        return [features, targets]
    return [features, targets, as_weights(sample_weight, len(features), features.dtype)]


def _divided(
    architecture: Any, loss: Loss, rows: Sequence[Array], validation: Validation, seed: int
) -> tuple[Any, list[Array] | None]:
    """The training rows' numbers, or a slice of all of them; and the validation rows."""
    if validation is None:
        return slice(None), None
    if _is_arrays(validation):
        X, y, *weights = validation
        features = architecture.as_rows(X, rows[0].shape[1:], "validation X")
        targets = loss.prepare(y, architecture.n_out(features.shape[1:]), architecture.dtype)
        given = weights[0] if weights else None
        return slice(None), _together(features, targets, given, "validation ")
    train, held_out = _division(validation, len(rows[0]), seed)
    return train, [array[held_out] for array in rows]


def _is_arrays(validation: Validation) -> bool:
    return (
        isinstance(validation, (tuple, list))
        and len(validation) in (2, 3)
        and np.ndim(validation[0]) > 0
    )


def _division(validation: Validation, rows: int, seed: int) -> tuple[Array, Array]:
    """Row numbers for training and for validation, from a fraction or the held-out rows."""
    if isinstance(validation, (float, np.floating)):
        return split_rows(rows, float(validation), seed)
    held_out = as_array(validation)
    if held_out.dtype.kind == "b" and held_out.shape == (rows,):
        held_out = np.flatnonzero(held_out)
    if held_out.ndim != 1 or held_out.dtype.kind not in "iu" or not len(held_out):
        raise ParameterError(
            "validation must be (X, y), (X, y, weights), a fraction between 0 and 1, or the numbers"
            f" of the rows to hold out, got {validation!r}"
        )
    if held_out.min() < 0 or held_out.max() >= rows:
        raise DataError(f"validation names a row outside 0 to {rows - 1}")
    train = np.setdiff1d(np.arange(rows), held_out)
    if not len(train):
        raise DataError("validation holds out every row; nothing is left to train on")
    return train, held_out


def split_rows(rows: int, fraction: float, seed: int) -> tuple[Array, Array]:
    """Row numbers for training and for validation, drawn from the seed.

    Raises
    ------
    ParameterError
        If the fraction is not between 0 and 1, or leaves either part empty.

    Examples
    --------
    >>> [part.tolist() for part in split_rows(6, 0.5, seed=1)]
    [[1, 3, 5], [0, 2, 4]]
    """
    if not 0 < fraction < 1:
        raise ParameterError(f"validation as a fraction must lie between 0 and 1, got {fraction!r}")
    held_out = round(rows * fraction)
    if not 0 < held_out < rows:
        raise ParameterError(
            f"a validation fraction of {fraction} leaves one part of {rows} rows empty"
        )
    order = random.permutation(random.fold_in(random.key(seed), random.Stream.HELD_OUT_ROWS), rows)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _check_range(loss: Loss, targets: Array, n_out: int) -> None:
    """Refuse targets whose loss overflows before anything is learned: at a prediction of 1."""
    if targets.dtype.kind != "f" or isinstance(loss, Custom):
        return
    sizes = np.abs(targets).reshape(len(targets), -1)
    row, column = map(int, np.unravel_index(np.argmax(sizes), sizes.shape))
    with np.errstate(all="ignore"):
        first = loss.per_row(np.ones((1, n_out), targets.dtype), targets[row : row + 1], False)
    if not np.isfinite(first).all():
        where = f"row {row}" + (f", column {column}" if sizes.shape[1] > 1 else "")
        raise DataError(
            f"the target has {targets.reshape(len(targets), -1)[row, column]} in {where}, whose"
            f" {loss.name} is more than {targets.dtype.name} holds; scale the target, or make the"
            ' network with dtype="float64"'
        )


def _check_variety(loss: Loss, targets: Array) -> None:
    """Refuse labels of one class only: there is nothing to tell apart."""
    if loss.name not in CLASSIFYING or (
        targets.ndim == 2 and loss.name != "cross_entropy" and targets.shape[1] > 1
    ):
        return
    certain = targets.ndim == 1 or bool(((targets % 1) == 0).all())
    if certain and bool((targets == targets[0]).all()):
        label = metrics.target_labels(targets)[0]
        raise DataError(
            f"{loss.name} needs rows of two classes or more, and all {len(targets)} training rows"
            f" are of class {label}"
        )
