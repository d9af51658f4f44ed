"""From a table to a model of it: split, schema, encoding, ensemble, calibration."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.encoding import TableEncoder
from chainrule.data.frames import Column, Frame
from chainrule.data.schema import Schema, infer_schema
from chainrule.engines.base import EngineChoice
from chainrule.errors import DataError, DivergenceError, ParameterError
from chainrule.estimators.table_model import TableModel
from chainrule.estimators.table_repeats import different_rows, light_rows
from chainrule.estimators.table_settings import (
    CLASSIFICATION,
    TableSettings,
    settings_for,
)
from chainrule.estimators.table_split import Split, columns_apart, count_duplicates, split_rows
from chainrule.estimators.table_target import (
    ClassTarget,
    NumberTarget,
    numbers_of,
    refuse_infinite,
    require_a_target_each,
)
from chainrule.estimators.table_trust import (
    Deviation,
    Neighbours,
    Trust,
    as_counts,
    best_temperature,
    best_threshold,
    tempered,
)
from chainrule.estimators.thinning import passes_of, variances
from chainrule.networks import Network
from chainrule.nn.dropout import Dropout
from chainrule.nn.layers import Activation, Linear
from chainrule.nn.tabular import TableInput
from chainrule.optim import AdamW
from chainrule.optim.schedules import Cosine
from chainrule.shapes import Array
from chainrule.training import TimeLimit
from chainrule.training.history import History
from chainrule.training.streaming import RowSource

FIRST, SECOND = "first", "on-all-rows"  # trainings, and the folders of their checkpoints
PROBE_ROWS = 4_000  # on which "log_target" is decided
PROBE_STEPS = 600
FEWEST_HELD_OUT = 10  # that can decide it
FEWEST_TO_HALVE = 40  # held-out rows that both choose the epoch and measure errors
PROBES_END = 0.1, 0.2  # shares of the time limit at which either is over
FIRST_ENDS = 0.5  # where a second training follows, which takes as long on a few more rows
SKEWED = 1.0  # the least skewness of a target that may be worth its logarithm


@dataclass(frozen=True, eq=False)
class Problem:
    """A table with its target, ready to be learned.

    Attributes
    ----------
    frame : Frame
        Without the target; no row lacks one.
    column : Column
        The target.
    task : str
    weights : (n,) float64, optional
    dropped : int
        Rows that had no target.
    merged : int
        Rows that another one stands for, which is equal in every column.
    classes : ClassTarget, optional
        Those to learn, if some may not occur here.
    """

    frame: Frame
    column: Column
    task: str
    weights: Array | None
    dropped: int
    merged: int = 0
    classes: ClassTarget | None = None

    @classmethod
    def of(cls, frame: Frame, column: Column, task: str, weights: Array | None = None) -> Problem:
        """Leave out the rows without a target.

        Raises
        ------
        ShapeError
            If there is not one target for each row.
        DataError
            If no row has a target, or one is infinite.
        """
        require_a_target_each(column, frame)
        refuse_infinite(column, frame)
        kept = ~column.missing if weights is None else ~column.missing & _counting(weights)
        if not kept.any():
            raise DataError(
                f"{frame.source}: no row has a target in column {column.name!r}"
                if len(frame)
                else f"{frame.source}: the table has no rows"
            )
        chosen = None if weights is None else weights[kept]
        dropped = int(column.missing.sum())
        return cls(frame.rows(kept), column.rows(kept), task, chosen, dropped)

    def of_different_rows(self) -> Problem:
        """The same when a row of weight 2 is two equal rows; see :func:`different_rows`."""
        rows, weights = different_rows([*self.frame.columns, self.column], self.weights)
        frame, column = self.frame.rows(rows), self.column.rows(rows)
        merged = max(len(self.frame) - len(frame), 0)
        return replace(self, frame=frame, column=column, weights=weights, merged=merged)


def _counting(weights: Array) -> Array:
    """The rows whose weight is above 0."""
    if not weights.any():
        raise DataError("every sample_weight is zero: nothing to learn")
    found: Array = weights > 0
    return found


def _now() -> float:
    return time.monotonic()


@dataclass(frozen=True)
class Request:
    """What people ask for beside the table.

    Attributes
    ----------
    chosen : mapping
        Settings other than the defaults; None is no choice.
    schema : Schema, optional
        By default it is inferred from the training rows.
    kinds : mapping of str to str
        Kinds of some columns.
    group, time : str, optional
        The column that rows are held out by.
    class_weight : mapping or "balanced", optional
    time_limit : float, optional
        Seconds for all trainings together, from ``began`` on.
    seed : int
    engine : str or Engine, optional
    progress : bool, optional
    callbacks : sequence of Callback
        Of the trainings whose network is kept.
    checkpoints : path, optional
        The folder of their checkpoints: each has one of its own in it.
    resume : bool
        Whether to go on from them.
    began : float
        When the clock started, by :func:`time.monotonic`.
    until : float in (0, 1]
        The share of the time limit at which this model has to be done.
    """

    chosen: Mapping[str, Any]
    seed: int
    schema: Schema | None = None
    kinds: Mapping[str, str] | None = None
    group: str | None = None
    time: str | None = None
    class_weight: Any = None
    time_limit: float | None = None
    engine: EngineChoice = None
    progress: bool | None = False
    callbacks: Sequence[Any] = ()
    checkpoints: str | os.PathLike[str] | None = None
    resume: bool = False
    began: float = field(default_factory=_now)
    until: float = 1.0

    def limits(self, share: float) -> list[TimeLimit]:
        """What ends a training when a share of the time is over."""
        if self.time_limit is None:
            return []
        return [TimeLimit(self.time_limit, self._since(share))]

    def is_over(self, share: float) -> bool:
        """Whether so much of the time has passed."""
        limit = self.time_limit
        return limit is not None and _now() - self._since(share) > limit

    def _since(self, share: float) -> float:
        """When a clock started that runs out after a share of the time."""
        return self.began - (1 - share * self.until) * (self.time_limit or 0.0)

    def keeping(self, name: str) -> dict[str, Any]:
        """What ``Network.fit`` is to be told of a training whose network is kept."""
        if self.checkpoints is None:
            return {"callbacks": self.callbacks}
        folder = Path(self.checkpoints) / name
        return {"callbacks": self.callbacks, "checkpoints": folder, "resume": self.resume}


def learn(problem: Problem, request: Request) -> TableModel:
    """A model of the table.

    Raises
    ------
    ChainruleError
        If the table, the target or a setting does not allow it.
    DivergenceError
        If not a single epoch ended with finite numbers.
    KeyboardInterrupt
        If Ctrl-C came before there was anything to keep; later, training ends with what it has.
    """
    problem = problem.of_different_rows()
    settings = settings_for(problem.task, len(problem.frame), **request.chosen)
    y, classes = target_of(problem)
    division = _divided(problem, request, settings, y if classes else None)
    encoder = encoder_of(problem.frame.rows(division.train), request, settings.scaling)
    data = Data.of(problem, encoder, y, division)
    target = classes or number_target(data, encoder, request, settings)
    outcome = trained(data, encoder, target, request, settings)
    model = TableModel(
        problem.column.name, target, encoder, outcome.network, outcome.trust, {}
    )  # fmt: skip
    model.facts |= facts_of(problem.dropped, data, settings, outcome.history, request)
    model.facts["duplicates"] = count_duplicates(data.X, data.held)
    model.facts["merged"] = problem.merged
    return model


def target_of(problem: Problem) -> tuple[Array, ClassTarget | None]:
    """The target as class numbers, with the classes, or as numbers in their own unit."""
    if problem.task == CLASSIFICATION:
        classes = problem.classes or ClassTarget.fit(problem.column)
        return classes.encode(problem.column, problem.frame), classes
    y = numbers_of(problem.column, problem.frame)
    if y.min() == y.max():
        rows = "the only row (1 sample)" if len(y) == 1 else "every row"
        raise DataError(f"the target {problem.column.name!r} is {y[0]:g} in {rows}")
    return y, None


def _divided(
    problem: Problem, request: Request, settings: TableSettings, classes: Array | None
) -> Split:
    frame = problem.frame
    return split_rows(
        len(frame),
        settings.validation,
        request.seed,
        classes=classes,
        **columns_apart(frame, problem.column.name, request.group, request.time),
    )


def encoder_of(frame: Frame, request: Request, scaling: str) -> TableEncoder:
    """How the columns become arrays, learned from training rows."""
    schema = request.schema or infer_schema(frame)
    schema = schema.with_kinds(request.kinds or {})
    if request.group is not None:
        schema = schema.with_kinds({request.group: "id"})
    return TableEncoder.fit(schema, frame, scaling)


@dataclass(frozen=True, eq=False)
class Data:
    """Encoded rows.

    Attributes
    ----------
    X, y : training rows, targets as class numbers or numbers in their unit
    held, held_target : those held out, perhaps none
    weights : (n,) float64 or None
        Of the training rows.
    how : str
    source : RowSource, optional
        All training rows, if they are not in memory: X and y are then a sample of them.
    """

    X: Array
    y: Array
    held: Array
    held_target: Array
    weights: Array | None
    held_weights: Array | None
    how: str
    source: RowSource | None = None

    @classmethod
    def of(cls, problem: Problem, encoder: TableEncoder, y: Array, division: Split) -> Data:
        """Encode a table, and divide it."""
        X = encoder.encode(problem.frame).X
        train, held = division.train, division.held_out
        w = problem.weights
        mine, theirs = (None, None) if w is None else (w[train], w[held])
        return cls(X[train], y[train], X[held], y[held], mine, theirs, division.how)

    def __len__(self) -> int:
        """Training rows."""
        return len(self.X if self.source is None else self.source)

    def rows(self, target: NumberTarget | ClassTarget) -> tuple[Any, ...]:
        """What ``Network.fit`` is to learn."""
        return (self.X, _learned(target, self.y)) if self.source is None else (self.source,)

    def lightened(self) -> Data:
        """The same when heavy training rows are several; see :func:`light_rows`."""
        if self.weights is None:
            return self
        rows, weights = light_rows(self.weights)
        if len(rows) == len(self.X):  # none is several: nothing needs a copy
            return replace(self, weights=weights)
        return replace(self, X=self.X[rows], y=self.y[rows], weights=weights)

    def some(self, rows: int, seed: int) -> Data:
        """At most so many training rows, drawn at random; weights play no part."""
        draw = np.random.Generator(np.random.Philox(seed)).permutation(len(self.X))[:rows]
        return replace(
            self, X=self.X[draw], y=self.y[draw], weights=None, held_weights=None, source=None
        )

    def halves(self, seed: int) -> tuple[Data, Data]:
        """The same with either half of the held-out rows, drawn at random."""
        draw = np.random.Generator(np.random.Philox(seed)).permutation(len(self.held))
        first, second = np.array_split(draw, 2)
        return self._holding(np.sort(first)), self._holding(np.sort(second))

    def _holding(self, rows: Array) -> Data:
        weights = None if self.held_weights is None else self.held_weights[rows]
        return replace(
            self, held=self.held[rows], held_target=self.held_target[rows], held_weights=weights
        )

    def together(self) -> Data:
        """All rows to train on, none held out."""
        w = self.weights
        weights = (
            None if w is None or self.held_weights is None else np.append(w, self.held_weights)
        )
        return replace(
            self, X=np.concatenate([self.X, self.held]), y=np.append(self.y, self.held_target),
            held=self.held[:0], held_target=self.held_target[:0], weights=weights,
        )  # fmt: skip


# The target's scale


def number_target(
    data: Data,
    encoder: TableEncoder,
    request: Request,
    settings: TableSettings,
    least: float = np.inf,
) -> NumberTarget:
    """A plain scale, or a logarithmic one if that is asked for, or better on held-out rows.

    ``least`` is the smallest target of the training rows that are not in memory.
    """
    plain = NumberTarget.fit(data.y, log=False)
    positive = min(least, data.y.min(), data.held_target.min(initial=np.inf)) > 0
    if settings.log_target == "yes" and not positive:
        raise ParameterError("log_target needs a target above 0 in every row")
    if settings.log_target == "no" or not positive:
        return plain
    logarithmic = NumberTarget.fit(data.y, log=True)
    if settings.log_target == "yes":
        return logarithmic
    deviations = (data.y - plain.center) / plain.scale
    if len(data.held_target) < FEWEST_HELD_OUT or np.mean(deviations**3) < SKEWED:
        return plain
    probe = replace(settings, members=1, steps=PROBE_STEPS, refit=False)
    small = data.some(PROBE_ROWS, request.seed)
    errors = []
    for target, share in zip((plain, logarithmic), PROBES_END, strict=True):
        network, history = _fit(small, encoder, target, request, probe, share=share)
        if history.interrupted:  # nothing is worth keeping yet
            raise KeyboardInterrupt
        found = target.decode(network.predict(small.held)[:, 0])
        errors.append(float(np.mean((found - small.held_target) ** 2)))
    return logarithmic if errors[1] < errors[0] else plain


# The network


def network_for(encoder: TableEncoder, outputs: int, settings: TableSettings, seed: int) -> Network:
    """An untrained network: the table's input layer, hidden layers, probabilities or a number."""
    first = TableInput(
        encoder.n_numbers, encoder.n_plain, encoder.levels, bins=settings.bins,
        masking=settings.masking, name="table",
    )  # fmt: skip
    layers: list[Any] = [first]
    sizes = [first.n_out, *settings.hidden]
    for place, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        layers += [
            Linear(n_in, n_out, name=f"hidden{place}"),
            Activation("relu", name=f"relu{place}"),
        ]
        if settings.dropout:
            layers.append(Dropout(settings.dropout, name=f"dropout{place}"))
    layers.append(Linear(sizes[-1], outputs, name="output"))
    if outputs > 1:
        layers.append(Activation("softmax", name="softmax"))
    return Network(layers, seed=seed)


def _fit(
    data: Data,
    encoder: TableEncoder,
    target: NumberTarget | ClassTarget,
    request: Request,
    settings: TableSettings,
    epochs: int | None = None,
    callbacks: Sequence[Any] = (),
    share: float = 1.0,
    **keeping: Any,
) -> tuple[Network, History]:
    """A trained network, at each member's best epoch on the held-out rows if there are any.

    It ends after an epoch when ``share`` of the time limit is over.
    """
    outputs = len(target.classes) if isinstance(target, ClassTarget) else 1
    data = data.lightened()
    network = network_for(encoder, outputs, settings, request.seed)
    length = settings.epochs_for(len(data))
    rule = AdamW(Cosine(settings.learning_rate, length), weight_decay=settings.weight_decay)
    validated = len(data.held) > 0
    history = network.fit(
        *data.rows(target),
        optimizer=rule,
        epochs=length if epochs is None else epochs,
        batch_size=settings.batch_size,
        members=settings.members,
        sample_weight=data.weights,
        class_weight=_class_weight(request.class_weight, target, data),
        validation=_validation(data, target) if validated else None,
        early_stopping=settings.patience if validated else None,
        metrics=[],
        callbacks=[*request.limits(share), *callbacks],
        seed=request.seed,
        engine=request.engine,
        progress=request.progress,
        **keeping,
    )
    if history.best_epoch is None:
        if history.interrupted:
            raise KeyboardInterrupt
        raise DivergenceError(f"no epoch was completed: {history.stopped}")
    return network, history


def _learned(target: NumberTarget | ClassTarget, y: Array) -> Array:
    return target.encode(y) if isinstance(target, NumberTarget) else y


def _validation(data: Data, target: NumberTarget | ClassTarget) -> Sequence[Array]:
    rows = [data.held, _learned(target, data.held_target)]
    return rows if data.held_weights is None else [*rows, data.held_weights]


def _class_weight(chosen: Any, target: NumberTarget | ClassTarget, data: Data) -> Any:
    """Weights by class number, from weights by label; balanced ones then weigh the same."""
    if isinstance(target, NumberTarget):
        return chosen
    if chosen == "balanced" and data.weights is not None:
        sums = np.bincount(data.y, data.weights)
        present = np.flatnonzero(sums).tolist()
        return {each: sums.sum() / (len(present) * sums[each]) for each in present}
    if not isinstance(chosen, Mapping):
        return chosen
    missing = [label for label in target.classes if label not in chosen]
    if missing:
        raise ParameterError(f"class_weight has no weight for class {missing[0]!r}")
    return {place: chosen[label] for place, label in enumerate(target.classes)}


# Training and what held-out rows say


@dataclass(frozen=True, eq=False)
class _Outcome:
    network: Network
    trust: Trust
    history: History


def trained(
    data: Data,
    encoder: TableEncoder,
    target: NumberTarget | ClassTarget,
    request: Request,
    settings: TableSettings,
) -> _Outcome:
    """The network and its trust; with ``refit`` the network of a second training on all rows."""
    first = request.keeping(FIRST)
    choosing, measuring = data, data
    if isinstance(target, NumberTarget) and len(data.held) >= FEWEST_TO_HALVE:
        # Errors on rows that chose the epoch are too small; intervals need rows that chose nothing.
        choosing, measuring = data.halves(request.seed)
    refit = settings.refit and len(data.held) > 0
    share = FIRST_ENDS if refit else 1.0
    network, history = _fit(choosing, encoder, target, request, settings, share=share, **first)
    trust = _trust(network, measuring, encoder, target, settings, request.seed)
    if refit and not history.interrupted and not request.is_over(1.0):
        best = (history.best_epoch or 0) + 1
        second = request.keeping(SECOND)
        together = data.together()
        again, _ = _fit(together, encoder, target, request, settings, epochs=best, **second)
        network = network if request.is_over(1.0) else again
    return _Outcome(network, trust, history)


def _trust(
    network: Network,
    data: Data,
    encoder: TableEncoder,
    target: NumberTarget | ClassTarget,
    settings: TableSettings,
    seed: int,
) -> Trust:
    sizes = (encoder.n_numbers, len(encoder.levels))
    counts = as_counts(data.held_weights, len(data.held))
    near = Neighbours.fit(data.X, data.held, counts, *sizes, seed)
    if not len(data.held):
        number = isinstance(target, NumberTarget)
        empty = np.empty(0)
        return Trust(1.0, 0.5, Deviation.fit(empty, empty) if number else None, near)
    outputs = np.atleast_3d(network.predict(data.held, members="all")).astype(np.float64)
    outputs = outputs.reshape(settings.members, len(data.held), -1)
    if isinstance(target, NumberTarget):
        errors = target.encode(data.held_target)[:, 0] - outputs.mean(axis=0)[:, 0]
        spread = variances(outputs, data.held, passes_of(network))
        return Trust(1.0, 0.5, Deviation.fit(errors, spread, counts), near)
    p = outputs.mean(axis=0)
    temperature = best_temperature(p, data.held_target, counts) if settings.calibrate else 1.0
    found = Trust(temperature, 0.5, None, near)
    if p.shape[1] != 2 or not 0 < data.held_target.sum() < len(data.held_target):
        return found
    scores, positive = tempered(p, temperature)[:, 1], data.held_target == 1
    return replace(found, threshold=best_threshold(scores, positive, counts))


def facts_of(
    dropped: int,
    data: Data,
    settings: TableSettings,
    history: History,
    request: Request,
) -> dict[str, Any]:
    """What to say of a training: JSON."""
    return {
        "rows": len(data),
        "held_out": len(data.held),
        "split": data.how,
        "without_target": dropped,
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
        "stopped": history.stopped,
        "seed": request.seed,
        "settings": {**asdict(settings), "hidden": list(settings.hidden)},
    }
