"""A model of a table: columns in, predictions in the target's own labels and units out.

It needs no scikit-learn; :mod:`chainrule.estimators.table` gives it that contract.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from chainrule import persist
from chainrule.data.encoders import FLAGS
from chainrule.data.encoding import TableEncoder
from chainrule.data.frames import Column, Frame, as_frame
from chainrule.errors import DataError, FileFormatError, ParameterError, unknown_name
from chainrule.estimators.table_settings import CLASSIFICATION, REGRESSION
from chainrule.estimators.table_target import UNLEARNED, ClassTarget, NumberTarget, numbers_of
from chainrule.estimators.table_trust import (
    Trust,
    average_precision,
    calibration_error,
    features_of,
    log_loss,
    tempered,
)
from chainrule.estimators.thinning import passes_of, variances
from chainrule.networks import Network
from chainrule.networks.contents import Contents, packed, unpacked
from chainrule.shapes import FLOAT64, Array

KIND: Final = "table"
FLAG_NAMES: Final = (*FLAGS, "far")
_PARTS: Final = ("network", "scaling", "trust")


class Predicted:
    """What a model says of the rows of one table; computed as it is asked for.

    Parameters
    ----------
    model : TableModel
    frame : Frame
    """

    def __init__(self, model: TableModel, frame: Frame) -> None:
        self.model, self.encoded = model, model.encoder.encode(frame)
        found = model.network.predict(self.encoded.X, members="all").astype(FLOAT64)
        self.outputs: Array = found if found.ndim == 3 else found[None]

    @property
    def probabilities(self) -> Array:
        """(n, classes) float64: the mean over members, at the model's temperature."""
        return tempered(self.outputs.mean(axis=0), self.model.trust.temperature)

    @property
    def scaled(self) -> Array:
        """(n,) float64: the number on the scale that the network learned."""
        mean: Array = self.outputs[:, :, 0].mean(axis=0)
        return mean

    @cached_property
    def variances(self) -> Array:
        """(n,) float64: between members, or between passes of a network with dropout."""
        return variances(self.outputs, self.encoded.X, self.model.thinned)

    @property
    def scaled_deviation(self) -> Array:
        """(n,) float64: the standard deviation of an error on that scale."""
        deviation = self.model.trust.deviation
        if deviation is None:
            raise ParameterError("classes have probabilities, not standard deviations")
        return deviation.of(self.variances)

    @property
    def labels(self) -> Array:
        """(n,): the likeliest class, or the number, in the target's own terms."""
        if isinstance(self.model.target, ClassTarget):
            return self.model.target.decode(self.probabilities.argmax(axis=1))
        return self.model.target.decode(self.scaled)

    @property
    def deviations(self) -> Array:
        """(n,) float64: the standard deviation of an error, in the target's unit."""
        assert isinstance(self.model.target, NumberTarget), "scaled_deviation refuses classes"
        return self.model.target.slope(self.scaled) * self.scaled_deviation

    def interval(self, coverage: float) -> tuple[Array, Array]:
        """Two (n,) float64: ends between which a share ``coverage`` of targets lies."""
        width = self.scaled_deviation
        deviation, target = self.model.trust.deviation, self.model.target
        assert deviation is not None and isinstance(target, NumberTarget)
        reach = deviation.reach(coverage) * width
        return target.decode(self.scaled - reach), target.decode(self.scaled + reach)

    def quantile(self, level: float) -> Array:
        """(n,) float64: what a share ``level`` of targets lies below; higher levels are above."""
        width = self.scaled_deviation
        deviation, target = self.model.trust.deviation, self.model.target
        assert deviation is not None and isinstance(target, NumberTarget)
        return target.decode(self.scaled + deviation.quantile(level) * width)

    @property
    def flags(self) -> dict[str, Array]:
        """For each of FLAG_NAMES, the rows that raise it, (n,) bool."""
        encoder, near = self.model.encoder, self.model.trust.neighbours
        points, codes = features_of(self.encoded.X, encoder.n_numbers, len(encoder.levels))
        return {**self.encoded.flags, "far": near.distances(points, codes) > near.limit}


@dataclass(eq=False)
class TableModel:
    """Columns, a network, and what is known of its errors.

    Attributes
    ----------
    target_name : str
    target : NumberTarget or ClassTarget
    encoder : TableEncoder
    network : Network
    trust : Trust
    facts : dict
        What to say of the training: JSON.
    """

    target_name: str
    target: NumberTarget | ClassTarget
    encoder: TableEncoder
    network: Network
    trust: Trust
    facts: dict[str, Any]

    def __repr__(self) -> str:
        many = len(self.encoder.schema.used)
        return f"<TableModel: {self.task} of {self.target_name!r} by {many:,} columns>"

    @property
    def task(self) -> str:
        """``"classification"`` or ``"regression"``."""
        return CLASSIFICATION if isinstance(self.target, ClassTarget) else REGRESSION

    @property
    def n_outputs(self) -> int:
        """Columns of the network's output."""
        return len(self.target.classes) if isinstance(self.target, ClassTarget) else 1

    @cached_property
    def thinned(self) -> Network | None:
        """The network with units dropped, many times, if it is one and has dropout."""
        return passes_of(self.network)

    def predict(self, table: Any) -> Predicted:
        """What it says of the rows of a table that has its columns.

        Raises
        ------
        DataError
            If a column is missing.
        """
        return Predicted(self, as_frame(table))

    def encoded_target(self, column: Column, frame: Frame) -> Array:
        """A target, no row missing: class numbers, or numbers in their own unit.

        Raises
        ------
        DataError
            If one is neither.
        """
        if isinstance(self.target, ClassTarget):
            return self.target.encode(column, frame)
        return numbers_of(column, frame)

    def judged_target(self, column: Column, frame: Frame) -> Array:
        """As :meth:`encoded_target`, but UNLEARNED for classes that were not learned.

        Raises
        ------
        DataError
            If that is every row, or one is no number.
        """
        if not isinstance(self.target, ClassTarget):
            return numbers_of(column, frame)
        codes = self.target.codes(column)
        return codes if (codes != UNLEARNED).any() else self.target.encode(column, frame)

    def scores(self, table: Any, column: Column) -> dict[str, float]:
        """How good predictions are; rows without a target do not count.

        A row of a class that was not learned counts as wrong. Such a class has no probability, so
        that log_loss, auc and average_precision are of the other rows.

        Returns
        -------
        dict
            Of classes: accuracy, log_loss, calibration_error, and of two classes auc and
            average_precision of the second. Of numbers: rmse, mae, r2, log_likelihood, coverage_90
            where there are intervals.

        Raises
        ------
        DataError
            If no row has a target, or one is not of the model's kind.
        """
        if column.missing.all():
            raise DataError(f"no row has a target in column {column.name!r}: nothing to compare")
        frame = as_frame(table).rows(~column.missing)
        y = self.judged_target(column.rows(~column.missing), frame)
        found = self.predict(frame)
        return self._of_classes(found, y) if self.task == CLASSIFICATION else _of_numbers(found, y)

    @staticmethod
    def _of_classes(found: Predicted, y: Array) -> dict[str, float]:
        p, learned = found.probabilities, y != UNLEARNED
        right, error = float(np.mean(p.argmax(axis=1) == y)), calibration_error(p, y)
        p, y = p[learned], y[learned]
        scores = {"accuracy": right, "log_loss": log_loss(p, y), "calibration_error": error}
        if p.shape[1] == 2 and 0 < y.sum() < len(y):
            scores["auc"] = _auc(p[:, 1], y == 1)
            scores["average_precision"] = average_precision(p[:, 1], y == 1)
        return scores

    # Files

    def packed(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and structure, for :func:`chainrule.persist.write_file`."""
        network = self.network
        contents = Contents(
            network.architecture, network.snapshot(), network.seed, {}, network.history
        )
        parts = dict(
            zip(_PARTS, _arrays_and_facts(contents, self.encoder, self.trust), strict=True)
        )
        arrays = {
            f"{part}.{name}": array for part in _PARTS for name, array in parts[part][0].items()
        }
        target = self.target
        described = (
            {"classes": list(target.classes)}
            if isinstance(target, ClassTarget)
            else {"number": vars(target)}
        )
        structure = {part: parts[part][1] for part in _PARTS}
        return arrays, {**structure, "target": self.target_name, **described, "facts": self.facts}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file: all of it or nothing."""
        arrays, structure = self.packed()
        persist.write_file(path, arrays, structure, kind=KIND)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TableModel:
        """The model in a file; no code of the file is run.

        Raises
        ------
        FileFormatError
            If the file is damaged, hostile, or holds no model of a table.
        """
        return cls.unpacked(*persist.read_file(path, kind=KIND))

    @classmethod
    def unpacked(cls, arrays: Mapping[str, Array], structure: Mapping[str, Any]) -> TableModel:
        """The model that :meth:`packed` took apart, checked.

        Raises
        ------
        FileFormatError
            If the parts do not describe a model of a table.
        """
        try:
            return cls._unpacked(arrays, structure)
        except FileFormatError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as reason:
            text = f"no {reason}" if isinstance(reason, KeyError) else str(reason)
            raise FileFormatError(
                f"the file does not describe a model of a table: {text}"
            ) from reason

    @classmethod
    def _unpacked(cls, arrays: Mapping[str, Array], structure: Mapping[str, Any]) -> TableModel:
        parts: dict[str, dict[str, Array]] = {part: {} for part in _PARTS}
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = array
        encoder = TableEncoder.unpacked(structure["scaling"], parts["scaling"])
        network = _network(unpacked(parts["network"], structure["network"]))
        trust = Trust.unpacked(structure["trust"], parts["trust"])
        target: NumberTarget | ClassTarget
        if "classes" in structure:
            target = ClassTarget.from_json(structure["classes"])
        else:
            target = NumberTarget.from_json(structure["number"])
        found = cls(str(structure["target"]), target, encoder, network, trust, structure["facts"])
        if network.architecture.shapes_from((len(encoder.names),))[-1] != (found.n_outputs,):
            raise FileFormatError("its network does not fit its columns and its target")
        near, categories = trust.neighbours, len(encoder.levels)
        widths = (near.points.shape[1], near.codes.shape[1])
        if widths != (len(encoder.names) - categories, categories):
            raise FileFormatError("its training rows do not fit its columns")
        return found

    def __reduce__(self) -> Any:
        return _from_bytes, (persist.to_bytes(*self.packed(), kind=KIND),)


def _arrays_and_facts(
    contents: Contents, encoder: TableEncoder, trust: Trust
) -> Sequence[tuple[Mapping[str, Array], Mapping[str, Any]]]:
    """Each part's arrays and facts, in the order of _PARTS."""
    encoded, trusted = encoder.packed(), trust.packed()
    return packed(contents), encoded[::-1], trusted[::-1]


def _network(contents: Contents) -> Network:
    network = Network(
        contents.architecture.layers, seed=contents.seed, dtype=contents.architecture.dtype
    )
    network.publish(contents.snapshot)
    network.history = contents.history
    return network


def _from_bytes(data: bytes) -> TableModel:
    return TableModel.unpacked(*persist.from_bytes(data, kind=KIND))


def _auc(scores: Array, positive: Array) -> float:
    """The share of pairs of rows of either class that the scores put in order."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # equal scores share their mean rank
    hits = positive.sum()
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(scores) - hits)))


def _of_numbers(found: Predicted, y: Array) -> dict[str, float]:
    errors, deviations = found.labels - y, found.deviations
    plain = float(np.mean((y - y.mean()) ** 2))
    spread = np.log(2 * np.pi * deviations**2)
    scores = {
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.mean(np.abs(errors))),
        "r2": 1 - float(np.mean(errors**2)) / plain if plain else 0.0,
        "log_likelihood": -float(np.mean(spread + (errors / deviations) ** 2)) / 2,
    }
    try:
        low, high = found.interval(0.9)
    except ParameterError:  # too few rows were held out to give intervals
        return scores
    return {**scores, "coverage_90": float(np.mean((low <= y) & (y <= high)))}


def target_from(table: Any, target: Any) -> tuple[Frame, Column]:
    """A table without its target, and the target: a column of it, by name or place.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    """
    frame = as_frame(table)
    if isinstance(target, int) and not isinstance(target, bool):
        if not -len(frame.names) <= target < len(frame.names):
            raise unknown_name(f"column of {frame.source}", target, frame.names)
        target = frame.names[target]
    return frame.without(target), frame[target]
