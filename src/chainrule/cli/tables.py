"""Models of tables: a network, and what its columns and classes are called."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from chainrule.data import Labels, Table
from chainrule.data.cells import numbers as as_numbers
from chainrule.errors import DataError, FileFormatError
from chainrule.shapes import Array

if TYPE_CHECKING:
    from chainrule.networks import Network

Kind: TypeAlias = Literal["classification", "regression"]
EXTRA = "table"
TINY = 1e-12  # the least probability that enters a logarithm


@dataclass(frozen=True)
class Score:
    """How good predictions are, beside those of a model that knows no features.

    Attributes
    ----------
    name : str
    value : float
    baseline : float
        Of always saying the commonest class, or the mean, of the training rows.
    baseline_name : str
    """

    name: str
    value: float
    baseline: float
    baseline_name: str

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.baseline_name}: {self.baseline:.4g})"


@dataclass(frozen=True)
class Columns:
    """What a model of a table knows about the table: all that JSON has to hold of it.

    Attributes
    ----------
    task : {"classification", "regression"}
    target : str
        The column that is predicted.
    features : tuple of str
        The columns that it is predicted from, in the order of the network's inputs.
    classes : tuple of str
        The labels, in the order of the network's outputs; empty for regression.
    typical : float
        The commonest class's number, or the mean of the target, among the training rows.
    rows : int
        How many rows it was trained on.
    held_out : int
        How many rows chose the best epoch.
    """

    task: Kind
    target: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    typical: float
    rows: int
    held_out: int

    @property
    def outputs(self) -> tuple[int]:
        """The shape of one row of the network's output."""
        return (len(self.classes) or 1,)

    @classmethod
    def from_json(cls, found: Any) -> Columns:
        """The columns that a model file holds.

        Raises
        ------
        FileFormatError
            If the file holds no model of a table.
        """
        try:
            columns = cls(
                **{
                    **found,
                    "features": tuple(found["features"]),
                    "classes": tuple(found["classes"]),
                }
            )
        except (TypeError, KeyError):
            raise FileFormatError(
                "the file holds a network without the columns of a table; use cr.load(path)"
            ) from None
        texts = (columns.target, *columns.features, *columns.classes)
        counts = (columns.rows, columns.held_out)
        if not (
            columns.task in ("classification", "regression")
            and all(isinstance(each, str) for each in texts)
            and all(type(each) is int for each in counts)
            and type(columns.typical) in (int, float)
        ):
            raise FileFormatError("the file's description of its table is damaged")
        return columns


@dataclass(frozen=True)
class TableModel:
    """A network with the columns of the table it was trained on."""

    network: Network
    columns: Columns

    def save(self, path: str) -> None:
        """Write the model to one file: all of it or nothing."""
        self.network.save(path, extra={EXTRA: asdict(self.columns)})

    @classmethod
    def load(cls, path: str) -> TableModel:
        """The model in a file.

        Raises
        ------
        FileFormatError
            If the file is damaged, hostile, or holds no model of a table.
        """
        from chainrule.networks import load

        network = load(path)
        columns = Columns.from_json(network.extra.get(EXTRA))
        if network.architecture.shapes_from((len(columns.features),))[-1] != columns.outputs:
            raise FileFormatError(f"{path}: the network does not fit the columns of its table")
        return cls(network, columns)

    @property
    def labels(self) -> Labels:
        """The classes; empty for regression."""
        return Labels(self.columns.classes)

    def inputs(self, table: Table) -> Array:
        """The features of a table, found by name: (n, features) float64.

        Raises
        ------
        DataError
            If a column is missing, or a cell is not a number.
        """
        for name in self.columns.features:
            if name not in table.names:
                raise DataError(f"{table.source}: {_lacking(name, table.names)}")
        return table.numbers(self.columns.features)

    def targets(self, table: Table) -> Array:
        """The target of a table: numbers of classes, or numbers."""
        return encoded(table, self.columns.target, self.labels if self.columns.classes else None)

    def predict(self, table: Table) -> Array:
        """The network's output for a table: (n, classes) probabilities, or (n, 1) numbers."""
        return self.network.predict(self.inputs(table))

    def predictions(self, table: Table) -> Mapping[str, Any]:
        """Columns of a table of predictions: in the target's own labels, and probabilities."""
        output = self.predict(table)
        if not self.columns.classes:
            return {"prediction": output[:, 0]}
        found = {"prediction": self.labels.decode(output.argmax(axis=1))}
        shares = zip(self.columns.classes, output.T, strict=True)
        return {**found, **{f"probability {label}": share for label, share in shares}}

    def scores(self, output: Array, target: Array) -> list[Score]:
        """How good an output is: accuracy and log loss, or root mean squared error and R^2."""
        typical = self.columns.typical
        if self.columns.classes:
            told = np.mean(output.argmax(axis=1) == target)
            share = output[np.arange(len(target)), target].astype(np.float64)
            uniform = np.log(len(self.columns.classes))
            loss = -np.mean(np.log(np.maximum(share, TINY)))
            majority = float(np.mean(target == typical))
            return [
                Score("accuracy", float(told), majority, "majority class"),
                Score("log loss", float(loss), float(uniform), "equal odds"),
            ]
        error = np.sqrt(np.mean((output[:, 0] - target) ** 2))
        plain = np.sqrt(np.mean((typical - target) ** 2))
        explained = 1 - (error / plain) ** 2 if plain else 0.0
        return [
            Score("root mean squared error", float(error), float(plain), "training mean"),
            Score("R²", float(explained), 0.0, "training mean"),
        ]

    def weights_digest(self) -> str:
        """SHA-256 over every parameter and state: equal for equal weights, whatever the history."""
        digest = hashlib.sha256()
        both = self.network.snapshot()
        for layers in (both.parameters, both.states):
            for layer, arrays in layers.items():
                for name, array in arrays.items():
                    digest.update(f"{layer}.{name}:{array.dtype.str}:{array.shape};".encode())
                    digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _lacking(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; is it called {close[0]!r} here?" if close else ""
    return f"the model needs the column {name!r}, which the table lacks{hint}"


def encoded(table: Table, target: str, labels: Labels | None) -> Array:
    """A table's target as class numbers, or as numbers without labels: (n,) int64 or float64.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    DataError
        If a cell is missing, is no number, or is none of the classes.
    """
    column = table.target(target)
    if labels is not None:
        return labels.encode(column, name=target)
    found = as_numbers(column)
    return table.numbers([target])[:, 0] if found is None else found
