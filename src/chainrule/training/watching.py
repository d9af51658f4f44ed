"""What is looked at while a training runs: metrics, callbacks, and the column that decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chainrule.errors import ParameterError, UnknownNameError, unknown_name
from chainrule.nn.losses import Loss
from chainrule.nn.metrics import METRICS, Metric
from chainrule.nn.metrics import get as get_metric
from chainrule.training.callbacks import Callback, EarlyStopping, as_callbacks
from chainrule.training.history import VALIDATION
from chainrule.training.progress import ProgressLine, wanted
from chainrule.training.task import CLASSIFYING


class Watch(NamedTuple):
    """What is looked at after each epoch.

    Attributes
    ----------
    callbacks : list of Callback
    metrics : dict of str to Metric
        What is computed on the validation rows.
    monitor : str
        The column of the history that says which epoch is the best.
    """

    callbacks: list[Callback]
    metrics: dict[str, Metric]
    monitor: str


def watch(
    loss: Loss,
    validated: bool,
    *,
    callbacks: Sequence[Any] | None,
    early_stopping: Any,
    metrics: Sequence[Any] | None,
    progress: bool | None,
) -> Watch:
    """What the arguments of ``fit`` ask to look at.

    Parameters
    ----------
    validated : bool
        Whether there are validation rows.

    Raises
    ------
    ParameterError, UnknownNameError
        If something is no callback, a column is watched that will not be there, or metrics are
        asked for without validation rows.
    """
    every = all_callbacks(callbacks, early_stopping, progress)
    watched = [each.monitor for each in every if isinstance(each, EarlyStopping) and each.monitor]
    chosen = metrics_for(loss, metrics, watched)
    asked = metrics_for(loss, () if metrics is None else metrics, ())
    check_columns([*watched, *map(_held_out, asked)], chosen, validated)
    default = _held_out("loss") if validated else "loss"
    return Watch(every, chosen, next(iter(watched), default))


def metrics_for(
    loss: Loss, chosen: Sequence[Any] | None, watched: Sequence[str]
) -> dict[str, Metric]:
    """The metrics by name: those that are named, or suit the loss; and those that are watched.

    Parameters
    ----------
    loss : Loss
    chosen : sequence of names and Metrics, or None
    watched : sequence of str
        Columns that a callback decides by.
    """
    suitable = ("accuracy",) if loss.name in CLASSIFYING else ()
    found = [get_metric(each) for each in (suitable if chosen is None else _listed(chosen))]
    by_name = {metric.name: metric for metric in found}
    for column in watched:
        name = column.removeprefix(VALIDATION)
        if name not in by_name and name in METRICS:
            by_name[name] = METRICS[name]
    return by_name


def _held_out(name: str) -> str:
    """The column of a metric, or of the loss, on the validation rows."""
    return VALIDATION + name


def _listed(chosen: Any) -> Sequence[Any]:
    return [chosen] if isinstance(chosen, (str, Metric)) else list(chosen)


def check_columns(
    watched: Sequence[str], metrics_of: Mapping[str, Metric], validated: bool
) -> None:
    """Refuse to watch a column that the history will not have.

    Raises
    ------
    ParameterError, UnknownNameError
        If it needs validation rows and there are none, or does not exist.
    """
    held_out = [_held_out(name) for name in ("loss", *metrics_of)]
    for column in watched:
        if column in held_out and not validated:
            raise ParameterError(
                f"{column} needs validation rows: give validation=(X, y) or a fraction"
            )
        if column != "loss" and _held_out(column) in held_out:
            raise UnknownNameError(
                f"unknown column to monitor {column!r}; did you mean {_held_out(column)!r}?"
            )
        if column not in ("loss", "gradient_norm", *held_out):
            raise unknown_name("column to monitor", column, ["loss", "gradient_norm", *held_out])


def all_callbacks(
    callbacks: Sequence[Any] | None, early_stopping: Any, progress: bool | None
) -> list[Callback]:
    """The callbacks of a training, with early stopping and the progress line where wanted.

    Parameters
    ----------
    callbacks : sequence of Callback, function or ReduceOnPlateau; or None
    early_stopping : int >= 1, EarlyStopping or None
    progress : bool or None
    """
    found = as_callbacks(callbacks)
    if early_stopping is not None:
        ready = isinstance(early_stopping, EarlyStopping)
        found.append(early_stopping if ready else EarlyStopping(early_stopping))
    return [*found, ProgressLine()] if wanted(progress) else found
