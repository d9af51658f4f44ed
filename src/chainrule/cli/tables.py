"""Models of tables in files, as the commands speak of them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import FileFormatError

if TYPE_CHECKING:
    from chainrule.estimators.table_model import TableModel as Model
    from chainrule.networks import Network

COUNTS = "rows", "held_out"  # among the facts that a model keeps


@dataclass(frozen=True)
class Columns:
    """What a model knows of its table.

    Attributes
    ----------
    task : {"classification", "regression"}
    target : str
        The column that is predicted.
    features : tuple of str
        The columns that it is predicted from.
    classes : tuple of str
        The labels, in the order of the network's outputs; empty for regression.
    rows : int
        How many rows it was trained on.
    held_out : int
        How many rows chose the best epoch.
    """

    task: str
    target: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    rows: int
    held_out: int


@dataclass(frozen=True)
class TableModel:
    """A model of a table, from a file or a training.

    Attributes
    ----------
    model : chainrule.estimators.table_model.TableModel
    """

    model: Model

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TableModel:
        """The model in a file.

        Raises
        ------
        FileFormatError
            If the file is damaged, hostile, or holds no model of a table.
        """
        from chainrule.estimators.table_model import TableModel as Model

        return cls._of(Model.load(path), repr(os.fspath(path)))

    @classmethod
    def of_bytes(cls, content: bytes, source: str) -> TableModel:
        """The model in the bytes of a file, as :meth:`load`; messages call it ``source``."""
        from chainrule.estimators.table_model import KIND
        from chainrule.estimators.table_model import TableModel as Model
        from chainrule.persist import from_bytes

        return cls._of(Model.unpacked(*from_bytes(content, kind=KIND, source=source)), source)

    @classmethod
    def _of(cls, found: Model, source: str) -> TableModel:
        facts = found.facts if isinstance(found.facts, dict) else {}
        if any(type(facts.get(name)) is not int or facts[name] < 0 for name in COUNTS):
            raise FileFormatError(f"{source}: the description of its rows is damaged")
        return cls(found)

    @property
    def network(self) -> Network:
        """Its network."""
        return self.model.network

    @property
    def columns(self) -> Columns:
        """What it knows of its table."""
        model, facts = self.model, self.model.facts
        features = tuple([column.name for column in model.encoder.schema.used])
        return Columns(
            model.task,
            model.target_name,
            features,
            tuple(map(str, labels_of(model))),
            *[facts[name] for name in COUNTS],
        )

    def weights_digest(self) -> str:
        """SHA-256 over every parameter and state: equal for equal weights, whatever the history."""
        return weights_digest(self.network)


def weights_digest(network: Network) -> str:
    """SHA-256 over every parameter and state of a network."""
    digest = hashlib.sha256()
    both = network.snapshot()
    for layers in (both.parameters, both.states):
        for layer, arrays in layers.items():
            for name, array in arrays.items():
                digest.update(f"{layer}.{name}:{array.dtype.str}:{array.shape};".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def labels_of(model: Model) -> tuple[Any, ...]:
    """The classes of a model; none for numbers."""
    return tuple(getattr(model.target, "classes", ()))
