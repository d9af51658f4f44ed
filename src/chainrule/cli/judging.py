"""How a model does, row by row and column by column, for its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.frames import Column, Frame
from chainrule.estimators.table_target import UNLEARNED
from chainrule.shapes import Array

if TYPE_CHECKING:
    from chainrule.cli.learn import Work
    from chainrule.estimators.table_model import TableModel

WORST = 10
BINS = 10
SHUFFLED_ROWS = 2000  # that a column's worth is measured on
SHUFFLED_COLUMNS = 50
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Judged:
    """Predictions beside the truth.

    Attributes
    ----------
    classes : tuple of str
        Empty for numbers.
    truth : (n,) class numbers or numbers
    predicted : (n,) float64
        Numbers, or the probability of the predicted class.
    codes : (n,) int64
        The predicted classes; none for numbers.
    losses : (n,) float64
        How wrong each row is.
    rows : (n,) int64
        Their numbers in the table.
    """

    classes: tuple[str, ...]
    truth: Array
    predicted: Array
    codes: Array
    losses: Array
    rows: Array

    def say_truth(self, row: int) -> str:
        """The truth of a row, in words."""
        return self.classes[self.truth[row]] if self.classes else f"{self.truth[row]:.6g}"

    def say_prediction(self, row: int) -> str:
        """The prediction of a row, in words."""
        if not self.classes:
            return f"{self.predicted[row]:.6g}"
        return f"{self.classes[self.codes[row]]} ({self.predicted[row]:.2f})"


def judged(work: Work, model: TableModel) -> Judged:
    """The predictions for the rows that a report looks at."""
    return _judge(model, *_learned(work, model, work.judged))


def _learned(work: Work, model: TableModel, rows: Array) -> tuple[Frame, Array, Array]:
    """Rows, their targets and their numbers, but for rows of classes that were not learned."""
    frame, column = work.frame.rows(rows), work.column.rows(rows)
    y = model.judged_target(column, frame)
    if model.task == "classification" and (y == UNLEARNED).any():
        kept = y != UNLEARNED
        return frame.rows(kept), y[kept], rows[kept]
    return frame, y, rows


def _judge(model: TableModel, frame: Frame, y: Array, rows: Array) -> Judged:
    from chainrule.cli.tables import labels_of

    found, classes = model.predict(frame), tuple(map(str, labels_of(model)))
    if not classes:
        numbers = found.labels
        return Judged((), y, numbers, np.empty(0, np.int64), np.abs(numbers - y), rows)
    p = found.probabilities
    codes = p.argmax(axis=1)
    losses = -np.log(np.maximum(p[np.arange(len(y)), y], TINY))
    return Judged(classes, y, p.max(axis=1), codes, losses, rows)


def worst(found: Judged) -> list[int]:
    """The rows that are most wrong, the worst first."""
    order = np.argsort(-found.losses, kind="stable")[:WORST]
    return [int(row) for row in order]


def calibration(found: Judged) -> tuple[Array, Array]:
    """For bins of rows that are about as sure: how sure, and which share is right."""
    place = np.minimum((found.predicted * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    filled = counts > 0
    sure = np.bincount(place, found.predicted, BINS)[filled] / counts[filled]
    right = np.bincount(place, found.codes == found.truth, BINS)[filled] / counts[filled]
    return sure, right


def importances(work: Work, model: TableModel, seed: int) -> dict[str, float]:
    """How much the mean loss grows when a column is shuffled, the most important first.

    Breiman 2001, Random forests, section 10.
    """
    rows = work.judged[:: -(-len(work.judged) // SHUFFLED_ROWS)]
    frame, *known = _learned(work, model, rows)
    before = _judge(model, frame, *known).losses.mean()
    draw = np.random.Generator(np.random.Philox(seed))
    found = {}
    for spec in work.schema.used[:SHUFFLED_COLUMNS]:
        shuffled = _with(frame, frame[spec.name].rows(draw.permutation(len(frame))))
        found[spec.name] = float(_judge(model, shuffled, *known).losses.mean() - before)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _with(frame: Frame, column: Column) -> Frame:
    """The frame with another column in the place of the one of its name."""
    columns: Sequence[Any] = [
        column if each.name == column.name else each for each in frame.columns
    ]
    return replace(frame, columns=tuple(columns))
