"""From a table to a trained model: what ``chainrule train`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.cli.tables import Columns, Kind, Score, TableModel, encoded
from chainrule.data import Labels, Table, fit_labels, infer_task, split
from chainrule.errors import DataError, DivergenceError, ParameterError
from chainrule.shapes import Array

if TYPE_CHECKING:
    from chainrule.networks import Network
    from chainrule.training.history import History

MOST_PARAMETERS = 2**28
NO_HIDDEN_LAYERS = "none"

# float32 has 24 bits; a column whose mean is up to 2**10 standard deviations away from 0 keeps 14
# of them after standardisation. Beyond (years in seconds, large offsets) it takes float64.
FLOAT32_OFFSET = 2.0**10


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes
    ----------
    layers : tuple of int
        Units of the hidden layers.
    epochs, batch_size : int
    learning_rate : float
    validation : float
        Share of the rows that choose the best epoch.
    patience : int
        Epochs without improvement before it stops.
    dropout : float
        Share of the inputs and hidden units that each training step leaves out.
    seed : int
    """

    layers: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    dropout: float
    validation: float
    patience: int
    seed: int


@dataclass(frozen=True)
class Problem:
    """A table's arrays, and which rows are held out.

    Attributes
    ----------
    columns : Columns
    X : (n, features) float64
    y : (n,) int64 class numbers, or float64
    rows, held_out : (n_rows,) and (n_held_out,) int64
    """

    columns: Columns
    X: Array
    y: Array
    rows: Array
    held_out: Array

    @classmethod
    def of(cls, table: Table, target: str, task: str, validation: float, seed: int) -> Problem:
        """Read a table's columns, decide the task, draw the rows to hold out.

        Raises
        ------
        UnknownNameError, DataError, ParameterError
            If the table, the target or a setting does not allow it.
        """
        column = table.target(target)
        inferred = infer_task(column, name=target) if task == "auto" else task
        kind: Kind = "regression" if inferred == "regression" else "classification"
        labels = fit_labels(column, name=target) if kind == "classification" else None
        names, X = table.features(exclude=[target])
        y = encoded(table, target, labels)
        if len({*y.tolist()}) == 1:
            raise DataError(f"{target!r} is {column[0]} in every row: nothing to learn")
        rows, held_out = split(len(y), validation, seed, stratify=y if labels else None)
        typical = _typical(y[rows], labels)
        classes = labels.classes if labels else ()
        columns = Columns(kind, target, names, classes, typical, len(rows), len(held_out))
        return cls(columns, X, y, rows, held_out)


def _typical(y: Array, labels: Labels | None) -> float:
    return float(y.mean()) if labels is None else int(np.bincount(y).argmax())


@dataclass(frozen=True)
class Learned:
    """A trained model and how its training went.

    Attributes
    ----------
    scores : list of Score
        On the held-out rows, which also chose the epoch.
    """

    model: TableModel
    history: History
    scores: list[Score]


def hidden_layers(text: str) -> tuple[int, ...]:
    """Sizes of hidden layers.

    Raises
    ------
    ParameterError
        If they are not whole numbers from 1.

    Examples
    --------
    >>> hidden_layers("64,32"), hidden_layers("none")
    ((64, 32), ())
    """
    if text.strip().lower() == NO_HIDDEN_LAYERS:
        return ()
    sizes = [part.strip() for part in text.split(",")]
    if not all(
        size.isascii() and size.isdigit() and len(size) < 10 and int(size) for size in sizes
    ):
        raise ParameterError(
            f"layers are whole numbers such as 64,32, or {NO_HIDDEN_LAYERS!r}; got {text!r}"
        )
    return tuple(map(int, sizes))


def network(problem: Problem, settings: Settings) -> Network:
    """A network for the problem: standardised inputs, ReLU layers, probabilities or a number.

    Raises
    ------
    ParameterError
        If it would have more than MOST_PARAMETERS parameters.
    """
    from chainrule.networks import Network
    from chainrule.nn import Activation, Linear, ReLU, Softmax, Standardize

    sizes = (problem.X.shape[1], *settings.layers, *problem.columns.outputs)
    pairs = list(pairwise(sizes))
    count = sum((n_in + 1) * n_out for n_in, n_out in pairs)
    if count > MOST_PARAMETERS:
        raise ParameterError(
            f"the network would have {count:,} parameters, more than {MOST_PARAMETERS:,}"
        )
    layers: list[Any] = [Standardize(name="standardize"), *_dropout(settings, "input_dropout")]
    for place, (n_in, n_out) in enumerate(pairs[:-1], 1):
        hidden = Linear(n_in, n_out, name=f"hidden{place}")
        active = Activation(ReLU(), name=f"relu{place}")
        layers += [hidden, active, *_dropout(settings, f"dropout{place}")]
    layers.append(Linear(*pairs[-1], name="output"))
    if problem.columns.classes:
        layers.append(Activation(Softmax(), name="softmax"))
    return Network(layers, seed=settings.seed, dtype=_dtype(problem))


def _dropout(settings: Settings, name: str) -> list[Any]:
    from chainrule.nn import Dropout

    return [Dropout(settings.dropout, name=name)] if settings.dropout else []


def _dtype(problem: Problem) -> str:
    """float32 unless it would lose what tells rows apart."""
    columns = problem.X[problem.rows]
    if not problem.columns.classes:
        columns = np.column_stack([columns, problem.y[problem.rows]])
    offset, spread = np.abs(columns.mean(axis=0)), columns.std(axis=0)
    return "float64" if (offset > FLOAT32_OFFSET * spread)[spread > 0].any() else "float32"


def learn(problem: Problem, settings: Settings, *, progress: bool | None = None) -> Learned:
    """Train on the rows that are not held out, and keep the best epoch.

    Raises
    ------
    DivergenceError
        If not a single epoch ended with finite numbers.
    """
    from chainrule.optim import Adam

    model = network(problem, settings)
    center, scale = _target_scale(problem)
    y = problem.y if problem.columns.classes else (problem.y - center) / scale
    history = model.fit(
        problem.X[problem.rows],
        y[problem.rows],
        optimizer=Adam(settings.learning_rate),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        validation=(problem.X[problem.held_out], y[problem.held_out]),
        early_stopping=settings.patience,
        seed=settings.seed,
        progress=progress,
    )
    if history.best_epoch is None:
        raise DivergenceError(f"no epoch was completed: {history.stopped}")
    if not problem.columns.classes:
        _fold(model, center, scale)
    found = TableModel(model, problem.columns)
    output = model.predict(problem.X[problem.held_out])
    return Learned(found, history, found.scores(output, problem.y[problem.held_out]))


def _target_scale(problem: Problem) -> tuple[float, float]:
    """Mean and standard deviation of the target's training rows; 1 where all are equal."""
    y = problem.y[problem.rows]
    return float(y.mean()), float(y.std()) or 1.0


def _fold(model: Network, center: float, scale: float) -> None:
    """Let the last layer give the target in its own unit: scale (W, b), then add the mean."""
    output = model["output"]
    output.W, output.b = scale * output.W, scale * output.b + center


def facts(learned: Learned, settings: Settings) -> Sequence[tuple[str, str]]:
    """What to say of a training, in the order it is said."""
    columns, history = learned.model.columns, learned.history
    kinds = f", {len(columns.classes)} classes" if columns.classes else ""
    sizes = [len(columns.features), *settings.layers, *columns.outputs]
    held = f"{columns.rows:,} trained on, {columns.held_out:,} held out to choose the epoch"
    best = f"{(history.best_epoch or 0) + 1} of {history.epochs}"
    return [
        ("task", f"{columns.task} of {columns.target!r}{kinds}"),
        ("rows", held),
        ("features", f"{len(columns.features):,}"),
        ("network", f"{'-'.join(map(str, sizes))}, {learned.model.network.dtype.name}"),
        *[(f"held-out {score.name}", str(score)) for score in learned.scores],
        ("best epoch", best),
        ("stopped because", history.stopped),
        ("seed", str(history.seed)),
    ]
