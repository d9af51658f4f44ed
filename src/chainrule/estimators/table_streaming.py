"""A model of a table that does not fit into memory.

Columns are understood by a sample of the rows; categories, ranges and classes are those of all.
Rows are encoded once, to disk, and read from there in the order of each epoch while the network
trains. What is known of errors comes from held-out rows, as for a table in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from chainrule.data.encoding import TableEncoder
from chainrule.data.frames import Frame
from chainrule.data.notation import NumberNotation, number_notation
from chainrule.data.shards import shard_of
from chainrule.data.spool import Spool
from chainrule.data.streams import files_of, open_stream
from chainrule.engines.processes import gathered
from chainrule.errors import DataError, ParameterError
from chainrule.estimators.table_learning import (
    Data,
    Request,
    encoder_of,
    facts_of,
    number_target,
    trained,
)
from chainrule.estimators.table_model import TableModel
from chainrule.estimators.table_roles import Roles
from chainrule.estimators.table_settings import CLASSIFICATION, streamed_settings
from chainrule.estimators.table_survey import Survey
from chainrule.estimators.table_target import ClassTarget, NumberTarget, numbers_of
from chainrule.shapes import FLOAT32, INT64, Array
from chainrule.training.data import as_weights
from chainrule.training.prefetch import prefetched

STREAMED_BYTES: Final = 2**26  # tables that are larger are streamed


def is_streamed(table: Any) -> bool:
    """Whether a table is read in blocks: several files, or one that is large.

    Raises
    ------
    DataError
        If a folder or a pattern names no files, or a CSV file is empty or not text.
    MissingExtraError
        If a Parquet file cannot be read because pyarrow is not installed.
    """
    if files_of(table) is not None:
        return True
    return (
        isinstance(table, (str, os.PathLike))
        and os.path.isfile(table)
        and open_stream(table, header=False).bytes > STREAMED_BYTES
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
    known = survey.learned_from + len(survey.held_out)
    settings = streamed_settings(task, known, **request.chosen)
    read, sample = usable_target(survey, task)
    encoder, least = encoder_of(sample, request, settings.scaling), np.inf
    if survey.learned_from > len(sample):
        encoder, least = _refined(encoder, survey, read)
    data = _sampled(survey, read, encoder)
    target = read.classes or number_target(data, encoder, request, settings, least)
    _require_weights(data, survey)
    with Spool(_light([data.X, _encoded(target, data.y)], data.weights, survey)) as spool:
        twins = _Twins(data.held)
        _write(spool, survey, encoder, target, read, twins)
        data = replace(data, weights=None, source=spool)
        outcome = trained(data, encoder, target, request, settings)
        facts = facts_of(survey.without_target, data, settings, outcome.history, request)
    facts |= {"rows": survey.learned_from, "duplicates": twins.count}
    return TableModel(survey.target, target, encoder, outcome.network, outcome.trust, facts)


def usable_target(survey: Survey, task: str) -> tuple[_Reader, Frame]:
    """How targets are read, and the sample without them.

    Raises
    ------
    DataError
        If there is no row to train on, or the target is no number, of one value or of one class.
    """
    read = _Reader.of(survey, task)
    sample, y, _ = read(survey.sample)
    if not len(y):
        raise DataError(f"{survey.stream.source}: no row is left to train on")
    if read.classes is None and y.min() == y.max():
        everywhere = len(survey.labels) == 1
        where = "every row" if everywhere else f"each of {len(y):,} rows that were drawn"
        raise DataError(f"the target {survey.target!r} is {y[0]:g} in {where}")
    return read, sample


def _require_streamable(request: Request) -> None:
    """Refuse what needs all rows at once."""
    needs = {
        "class_weight": request.class_weight,
        "refit": request.chosen.get("refit"),
    }
    for name, given in needs.items():
        if given:
            raise ParameterError(
                f"{name} needs a table that fits into memory, and this one is read in blocks; leave"
                f" {name} out, or give a data frame of the rows, or of some of them"
            )


@dataclass(frozen=True, eq=False)
class _Reader:
    """How rows become features, targets and weights, the same in every block.

    Attributes
    ----------
    roles : Roles
    classes : ClassTarget or None
    notation : NumberNotation or None
        How text writes the numbers of the target.
    """

    roles: Roles
    classes: ClassTarget | None
    notation: NumberNotation | None

    @classmethod
    def of(cls, survey: Survey, task: str) -> _Reader:
        """For a table that was surveyed."""
        if task == CLASSIFICATION:
            return cls(survey.roles, ClassTarget.fit(survey.labels), None)
        column = survey.sample[survey.target]
        texts = column.distinct().tolist() if column.is_text else []
        comma = survey.sample.decimal_comma
        return cls(survey.roles, None, number_notation(texts, decimal_comma=comma))

    def __call__(self, rows: Frame) -> tuple[Frame, Array, Array | None]:
        """Features, targets as class numbers or in their own unit, and weights if there are any."""
        column, rest = rows[self.roles.target], self.roles.features(rows)
        weights = self.roles.weights(rows)
        if not len(column):
            return rest, np.empty(0, INT64 if self.classes else None), weights
        if self.classes is not None:
            return rest, self.classes.encode(column, rest), weights
        return rest, numbers_of(column, rest, self.notation), weights


def _refined(encoder: TableEncoder, survey: Survey, read: _Reader) -> tuple[TableEncoder, float]:
    """The encoder when it has seen all rows to train on, and the least number that is a target."""
    least, shared = [np.inf], survey.stream.is_part

    def frames() -> Iterator[Frame]:
        for _, rows in survey.training_frames():
            if read.classes is None:
                least.append(float(read(rows)[1].min()))
            yield rows

    found = encoder.refined(frames(), shared=shared)
    return found, min(gathered(min(least)) if shared else least)


def _sampled(survey: Survey, read: _Reader, encoder: TableEncoder) -> Data:
    """The sample and the held-out rows, encoded."""
    (frame, y, mine), (held, truth, theirs) = read(survey.sample), read(survey.held_out)
    how = f"{len(truth):,} {survey.roles.rule}"
    X, held_X = encoder.encode(frame).X, encoder.encode(held).X
    return Data(X, y, held_X, truth, mine, theirs, how)


def _light(arrays: list[Array], weights: Array | None, survey: Survey) -> list[Array]:
    """Rows as they are trained on, and their weights if they are not there as often as they weigh.

    As :func:`chainrule.estimators.table_repeats.light_rows`, from what the survey knows of all.
    """
    if weights is None or survey.weighing is None:
        return arrays
    rows, light = survey.weighing.light(weights)
    arrays = [each[rows] for each in arrays]
    return arrays if light is None else [*arrays, light.astype(FLOAT32)]


def _require_weights(data: Data, survey: Survey) -> None:
    """Refuse weights that are nothing in the type that rows are written in."""
    if data.weights is None or survey.weighing is None:
        return
    _, light = survey.weighing.light(data.weights)
    if light is not None:
        as_weights(light, len(light), FLOAT32)


def _encoded(target: NumberTarget | ClassTarget, y: Array) -> Array:
    """Targets as the network learns them."""
    return target.encode(y) if isinstance(target, NumberTarget) else y


def _write(
    spool: Spool,
    survey: Survey,
    encoder: TableEncoder,
    target: NumberTarget | ClassTarget,
    read: _Reader,
    twins: _Twins,
) -> None:
    """Encode all rows to train on, in a thread, and write them."""

    def encoded() -> Iterator[list[Array]]:
        for numbers, rows in survey.training_frames():
            frame, y, weights = read(rows)
            X, shards = encoder.encode(frame).X, shard_of(numbers, survey.rows)
            yield _light([shards, X, _encoded(target, y)], weights, survey)

    for shards, X, *others in prefetched(encoded):
        twins.look(X)
        spool.write(shards, [X, *others])
    if survey.stream.is_part:
        spool.shared()
        twins.shared()


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

    def shared(self) -> None:
        """Also count those that other processes have found."""
        self._found[
            np.concatenate(gathered(np.flatnonzero(self._found).tolist())).astype(INT64)
        ] = True

    @property
    def count(self) -> int:
        """How many were found."""
        return int(self._found.sum())
