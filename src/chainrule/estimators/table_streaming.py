"""A model of a table that does not fit into memory.

Columns are understood by a sample of the rows; categories, ranges and classes are those of all.
Rows are encoded once, to disk, and read from there in the order of each epoch while the network
trains. What is known of errors comes from held-out rows, as for a table in memory.
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np

from chainrule.data.encoding import TableEncoder
from chainrule.data.frames import Column, Frame
from chainrule.data.shards import shard_of
from chainrule.data.spool import Spool
from chainrule.data.streams import files_of, open_stream
from chainrule.errors import DataError, ParameterError
from chainrule.estimators.table_learning import (
    Data,
    Problem,
    Request,
    encoder_of,
    facts_of,
    number_target,
    target_of,
    trained,
)
from chainrule.estimators.table_model import TableModel
from chainrule.estimators.table_settings import CLASSIFICATION, streamed_settings
from chainrule.estimators.table_survey import Survey
from chainrule.estimators.table_target import ClassTarget, NumberTarget
from chainrule.shapes import FLOAT32, INT64, Array

STREAMED_BYTES: Final = 2**26  # tables that are larger are streamed


def is_streamed(table: Any) -> bool:
    """Whether a table is read in blocks: several files, or one that is large.

    Raises
    ------
    DataError
        If a folder or a pattern names no files.
    """
    if files_of(table) is not None:
        return True
    return (
        isinstance(table, (str, os.PathLike))
        and os.path.isfile(table)
        and open_stream(table).bytes > STREAMED_BYTES
    )


def learn_stream(survey: Survey, task: str, request: Request) -> TableModel:
    """A model of the table that was surveyed.

    Raises
    ------
    ChainruleError
        If the table, the target or a setting does not allow it.
    DivergenceError
        If not a single epoch ended with finite numbers.
    KeyboardInterrupt
        If Ctrl-C came before there was anything to keep.
    """
    _require_streamable(request)
    settings = streamed_settings(task, survey.learned_from, **request.chosen)
    sample = Problem.of(survey.sample.without(survey.target), survey.sample[survey.target], task)
    classes = ClassTarget.fit(survey.labels) if task == CLASSIFICATION else None
    encoder = encoder_of(sample.frame, request, settings.scaling)
    if survey.learned_from > len(sample.frame):
        encoder = encoder.refined(frame for _, frame in survey.training_frames())
    data = _sampled(survey, sample, encoder, classes)
    target = classes or number_target(data, encoder, request, settings)
    with Spool([data.X, _encoded(target, data.y)]) as spool:
        twins = _Twins(data.held)
        _write(spool, survey, encoder, target, twins)
        data = data.streaming(spool)
        outcome = trained(data, encoder, target, request, settings)
        model = TableModel(survey.target, target, encoder, outcome.network, outcome.trust, {})
        found = facts_of(sample, data, settings, outcome.history, request)
    model.facts |= {**found, "duplicates": twins.count, "without_target": survey.without_target}
    return model


def _require_streamable(request: Request) -> None:
    """Refuse what needs all rows at once."""
    needs = {
        "group": request.group,
        "time": request.time,
        "class_weight": request.class_weight,
        "refit": request.chosen.get("refit"),
    }
    for name, given in needs.items():
        if given:
            raise ParameterError(
                f"{name} needs a table that fits into memory, and this one is read in blocks"
            )


def _sampled(
    survey: Survey, sample: Problem, encoder: TableEncoder, classes: ClassTarget | None
) -> Data:
    """The sample and the held-out rows, encoded."""
    held = survey.held_out
    column, frame = held[survey.target], held.without(survey.target)
    if classes is not None:
        y, truth = classes.encode(sample.column, sample.frame), classes.encode(column, frame)
    else:
        y, truth = target_of(sample)[0], _numbers(column, frame)
    how = f"{len(held):,} rows at random"
    X, known = encoder.encode(sample.frame).X, encoder.encode(frame).X
    return Data(X, y, known, truth, None, None, how)


def _numbers(column: Column, frame: Frame) -> Array:
    from chainrule.estimators.table_target import numbers_of

    return numbers_of(column, frame) if len(column) else np.empty(0)


def _encoded(target: NumberTarget | ClassTarget, y: Array) -> Array:
    """Targets as the network learns them."""
    return target.encode(y) if isinstance(target, NumberTarget) else y.astype(INT64)


def _write(
    spool: Spool,
    survey: Survey,
    encoder: TableEncoder,
    target: NumberTarget | ClassTarget,
    twins: _Twins,
) -> None:
    """Encode all rows to train on."""
    for numbers, frame in survey.training_frames():
        column, rest = frame[survey.target], frame.without(survey.target)
        if isinstance(target, ClassTarget):
            y = target.encode(column, rest)
        else:
            y = target.encode(_numbers(column, rest))
        X = encoder.encode(rest).X
        twins.look(X)
        spool.write(shard_of(numbers, survey.rows), [X, y])
    if not len(spool):
        raise DataError(f"{survey.stream.source}: no row is left to train on")


class _Twins:
    """Counts the rows that are held out and trained on too, by 64 bits of each.

    Parameters
    ----------
    held : (n, d) float32
    """

    def __init__(self, held: Array) -> None:
        draw = np.random.Generator(np.random.Philox(0))
        self._factors = draw.integers(0, 2**64, held.shape[1], np.uint64) | np.uint64(1)
        self._held = self._digests(held)
        self._found = np.zeros(len(held), bool)

    def _digests(self, X: Array) -> Array:
        words = (X.astype(FLOAT32) + 0.0).view(np.uint32).astype(np.uint64)  # -0 is 0
        mixed = (words ^ (words << np.uint64(29))) * self._factors
        total: Array = (mixed ^ (mixed >> np.uint64(31))).sum(axis=1, dtype=np.uint64)
        return total

    def look(self, X: Array) -> None:
        """Compare with further rows that are trained on."""
        self._found |= np.isin(self._held, self._digests(X))

    @property
    def count(self) -> int:
        """How many were found."""
        return int(self._found.sum())
