"""The loss of a training: of every mini-batch, of every epoch, and of the rows held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Band, Line, Mark, Panel, Rule

if TYPE_CHECKING:
    from chainrule.training import History

MOST_STEPS = 600  # drawn one by one; of more, the least and the greatest of several


def loss_panel(history: History, *, title: str = "") -> Panel:
    """Mini-batches as a thin line, epochs as a thick one, held-out rows, and the best epoch.

    Many mini-batches are drawn as the band from the least of several to the greatest, and its
    label says of how many. Of many members the mean of those that are finite is drawn.

    Parameters
    ----------
    history : History
    title : str

    Raises
    ------
    DataError
        If no epoch is in the history.
    """
    _require_epochs(history, "the history")
    epochs = np.arange(1, history.epochs + 1)
    marks: list[Mark] = [*_batches(history), Line(epochs, history["loss"], label="mean of epochs")]
    if "validation_loss" in history:
        marks.append(Line(epochs, history["validation_loss"], label="validation"))
    if history.best_epoch is not None:
        marks.append(Rule(x=history.best_epoch + 1.0, label="best"))
    return Panel(*marks, x="epoch", y="loss", y_scale=_scale(marks), title=title)


def loss_curves(history: History | Mapping[str, History], *, title: str = "") -> Chart:
    """How a training went, or several side by side: the losses of their epochs and mini-batches.

    Parameters
    ----------
    history : History, or dict of str to History
        What ``fit`` returns; a panel for each name, all to one scale.
    title : str
        By default why the training ended.

    Raises
    ------
    DataError
        If there is none, it is no history, or no epoch is in one.

    Examples
    --------
    >>> from chainrule.nn import Linear, Network
    >>> model = Network([Linear(1, 1)], seed=0)
    >>> history = model.fit([[0.0], [1.0]], [1.0, 3.0], epochs=2, batch_size=1, progress=False)
    >>> [mark["label"] for mark in loss_curves(history).data["panels"][0]["marks"]]
    ['mini-batches', 'mean of epochs', 'best']
    """
    from chainrule.training import History

    if isinstance(history, History):
        why = history.stopped[:1].upper() + history.stopped[1:]
        return Chart(loss_panel(history), title=title or why)
    named: Any = history
    if not isinstance(named, Mapping):
        _require_epochs(named, "this")
    if not history:
        raise DataError("loss_curves: there is no history to draw; pass what fit returned")
    for name, each in history.items():
        _require_epochs(each, f"the history {name!r}")
    panels = [loss_panel(each, title=name) for name, each in history.items()]
    return Chart(*panels, title=title or "Losses side by side", share=True)


def _require_epochs(history: Any, which: str) -> None:
    from chainrule.training import History

    if not isinstance(history, History):
        raise DataError(
            f"loss_curves: {which} is no History but a {type(history).__name__}; pass what"
            " Network.fit returned, or history_ of a TableRegressor or TableClassifier"
        )
    if not history.epochs:
        because = history.stopped or "fit the model first"
        raise DataError(f"loss_curves: no epoch is in {which}: {because}")


def _batches(history: History) -> list[Mark]:
    """The losses of mini-batches over fractions of epochs, if an epoch has more than one."""
    losses = history.step_losses
    steps = losses.shape[1]
    if steps < 2:
        return []
    members = np.ma.masked_invalid(losses.reshape(history.epochs * steps, -1))
    flat = members.mean(axis=1).filled(np.nan)  # of those that are finite, as epochs are
    together = -(-flat.size // MOST_STEPS)
    starts = np.arange(0, flat.size, together)
    when = np.minimum(starts + together, flat.size) / steps
    low, high = np.fmin.reduceat(flat, starts), np.fmax.reduceat(flat, starts)
    if together == 1:
        return [Line(when, flat, width=0.8, ink="note", dash="solid", label="mini-batches")]
    return [
        Band(when, low, high, ink="note", label=f"least to greatest of {together} mini-batches")
    ]


def _scale(marks: list[Mark]) -> str:
    """Logarithmic, where every number that is drawn allows it."""
    drawn = [values for mark in marks for name, values in mark.numbers.items() if name != "x"]
    return "log" if all(_positive(values) for values in drawn) else "linear"


def _positive(values: npt.NDArray[np.float64]) -> bool:
    return bool(np.all(values[np.isfinite(values)] > 0))
