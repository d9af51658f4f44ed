"""From a table to a trained model and what it is worth: what ``chainrule train`` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from chainrule.cli.console import listed
from chainrule.data import ColumnSchema, Frame, Schema, infer_schema, infer_task
from chainrule.data.cells import distinct
from chainrule.data.notation import PLAIN, number_notation
from chainrule.errors import DataError, ParameterError, unknown_name
from chainrule.estimators.table_repeats import kinds_of
from chainrule.estimators.table_split import columns_apart, split_rows
from chainrule.estimators.table_target import UNLEARNED, ClassTarget, NumberTarget
from chainrule.shapes import Array

if TYPE_CHECKING:
    from chainrule.data.cells import Texts
    from chainrule.data.frames import Column
    from chainrule.engines.base import EngineChoice
    from chainrule.estimators.table_model import TableModel
    from chainrule.estimators.table_survey import Survey
    from chainrule.training import Finding

NO_HIDDEN_LAYERS = "none"
MOST_PARAMETERS = 2**26  # between hidden layers
FEWEST_TESTED = 10
COMPARISON_BEGINS = 0.9  # of the time limit has passed: the rest is the linear model's
MOST_EXAMINED = 2**14  # rows of a table that is read in blocks, for the doctor
TINY = 1e-12  # the least probability that enters a logarithm
MODEL, LINEAR = "this model", "linear model"
LINEAR_SETTINGS: Final = {
    "hidden": (), "bins": 0, "members": 1, "dropout": 0.0, "learning_rate": 1e-2,
}  # fmt: skip
OF_LENGTH: Final = ("epochs", "learning_rate", "batch_size")  # they suit the model that is trained

Scores = Mapping[str, float]


@dataclass(frozen=True)
class Asked:
    """What the arguments of ``train`` say.

    Attributes
    ----------
    target : str or int
        A column, by name or place.
    task : {"auto", "classification", "regression"}
    test : float
        Share of the rows that nothing is learned from.
    seed : int
    chosen : mapping
        Settings of the training, where they are not the defaults.
    schema : path, optional
    kinds : mapping of str to str
        Kinds of some columns.
    group, time : str, optional
        What rows are held out by.
    time_limit : float, optional
    checkpoints : path, optional
    resume : bool
    engine : str or Engine, optional
    folds : int, optional
        Of a cross-validation, in place of rows for testing.
    """

    target: str | int
    task: str
    test: float
    seed: int
    chosen: Mapping[str, Any] = field(default_factory=dict)
    schema: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    time: str | None = None
    time_limit: float | None = None
    checkpoints: str | os.PathLike[str] | None = None
    resume: bool = False
    engine: EngineChoice = None
    folds: int | None = None


@dataclass(frozen=True, eq=False)
class Work:
    """A table, ready to be learned from.

    Attributes
    ----------
    frame : Frame
        Without the target, and without rows that lack it.
    column : Column
        The target.
    task : str
    train, test : (n,) int64
        Row numbers.
    schema : Schema
    dropped : int
        Rows without a target.
    how : str
        How the test rows were chosen.
    survey : Survey, optional
        Of a table that is read in blocks: the frame then holds some of its rows.
    """

    frame: Frame
    column: Column
    task: str
    train: Array
    test: Array
    schema: Schema
    dropped: int
    how: str
    survey: Survey | None = None

    @classmethod
    def of(cls, table: Frame, asked: Asked) -> Work:
        """Find the target, decide the task, set test rows apart, infer what the columns are.

        Raises
        ------
        UnknownNameError, DataError, ParameterError
            If the table, the target or a setting does not allow it.
        """
        from chainrule.engines.processes import agree_on_columns
        from chainrule.estimators.table_learning import Problem
        from chainrule.estimators.table_model import target_from

        agree_on_columns(table.names)
        _require_kinds(table.names, asked)
        frame, column = target_from(table, _target(table.names, asked.target))
        if not frame.columns:
            raise DataError(f"{frame.source}: no column is left to learn from")
        plain = Problem.of(frame, column, asked.task)
        frame, column = plain.frame, plain.column
        task = _task(frame, column, asked.task)
        columns_apart(frame, column.name, asked.group, asked.time)  # if they are there
        train, test, how = _apart(frame, column, task, asked)
        schema = _schema(frame.rows(train), asked)
        return cls(frame, column, task, train, test, schema, plain.dropped, how)

    def divided(self, train: Array, test: Array, how: str, asked: Asked) -> Work:
        """The same table with other rows for testing."""
        schema = _schema(self.frame.rows(train), asked)
        return replace(self, train=train, test=test, schema=schema, how=how)

    @classmethod
    def of_stream(cls, table: str, asked: Asked, *, header: bool) -> Work:
        """Read a table once that is larger than memory, and understand it by some of its rows.

        Raises
        ------
        UnknownNameError, DataError, ParameterError
            As :meth:`of`.
        """
        from chainrule.data.factored import joined
        from chainrule.data.streams import open_stream
        from chainrule.engines.processes import agree_on_columns
        from chainrule.estimators.table_kept import TEST_ROWS
        from chainrule.estimators.table_settings import REGRESSION, streamed_settings
        from chainrule.estimators.table_streaming import STREAMED_BYTES
        from chainrule.estimators.table_survey import Survey

        stream = open_stream(table, header=header)
        if (asked.folds or asked.time) and stream.bytes <= STREAMED_BYTES:
            whole = joined([frame for _, frame in stream.frames()])
            whole = replace(whole, source=stream.source, lines=None, numbers=None)
            return cls.of(whole, asked)  # whose rows are numbered through all files
        agree_on_columns(stream.names)
        _require_kinds(stream.names, asked)  # before the pass, which may take minutes
        survey = Survey.of(
            stream, _target(stream.names, asked.target), asked.seed, group=asked.group,
            validation=streamed_settings(REGRESSION, 1, **asked.chosen).validation,
            time=asked.time, test=0.0 if asked.folds else asked.test, kinds=asked.kinds,
            schema=Schema.load(asked.schema) if asked.schema else None,
        )  # fmt: skip
        if asked.folds is None:
            return cls.of_survey(survey, asked, f"{len(survey.test):,} {survey.roles.rule}")
        how = f"each of {asked.folds} folds is tested by {TEST_ROWS:,} rows of it, at most"
        return cls.of_survey(survey, asked, how)

    @classmethod
    def of_survey(cls, survey: Survey, asked: Asked, how: str) -> Work:
        """The same of a table that was read, whose test rows were chosen in some way."""
        from chainrule.data.factored import joined

        both = joined([survey.sample, survey.test])
        numbers, many = np.arange(len(both)), len(survey.sample)
        frame, column = survey.roles.features(both), both[survey.target]
        if not frame.columns:
            raise DataError(f"{survey.stream.source}: no column is left to learn from")
        task = _task(frame, column, asked.task)
        schema = _schema(frame.rows(numbers[:many]), asked)
        return cls(
            frame, column, task, numbers[:many], numbers[many:], schema, survey.without_target,
            how, survey,
        )  # fmt: skip

    def require_target(self) -> None:
        """Refuse a target that the training would refuse: a :class:`DataError` says why."""
        from chainrule.estimators.table_learning import Problem, target_of
        from chainrule.estimators.table_streaming import usable_target

        if self.survey is None:
            frame, column = self.frame.rows(self.train), self.column.rows(self.train)
            _, classes = target_of(Problem.of(frame, column, self.task))
            if classes is not None:
                self._require_learned_classes(classes)
        else:
            usable_target(self.survey, self.task)

    def _require_learned_classes(self, classes: ClassTarget) -> None:
        """Refuse rows to test all of whose classes are not learned: they could compare nothing."""
        codes = classes.codes(self.column.rows(self.test))
        if len(codes) and (codes == UNLEARNED).all():
            raise DataError(
                f"{self.frame.source}: none of the {len(codes):,} rows to test ({self.how}) is of a"
                " class that is learned; try a larger --test, or rows at random"
            )

    @property
    def rows(self) -> tuple[int, int]:
        """How many rows the table has, and how many there are to learn from."""
        if self.survey is None:
            return len(self.frame) + self.dropped, len(self.train)
        return self.survey.rows, self.survey.learned_from + len(self.survey.held_out)

    @property
    def judged(self) -> Array:
        """The rows that a report looks at: those for testing, or all."""
        return self.test if len(self.test) else self.train


def _schema(learned: Frame, asked: Asked) -> Schema:
    """What the columns are: as asked, or as the rows to learn from look."""
    given = Schema.load(asked.schema) if asked.schema else infer_schema(learned)
    group = {} if asked.group is None else {asked.group: "id"}  # which no model learns from
    return given.with_kinds({**asked.kinds, **group})


def _target(names: Sequence[str], given: str | int) -> str | int:
    """A column's name, or its place where no column is called so."""
    whole = isinstance(given, str) and given.lstrip("-").isdigit()
    return int(given) if whole and given not in names else given


def _require_kinds(names: Sequence[str], asked: Asked) -> None:
    """Refuse kinds of columns that are not there, or that are predicted."""
    target = _target(names, asked.target)
    for name in asked.kinds:
        if name not in names:
            raise unknown_name("column", name, names)
        place = names.index(name)
        if target in (name, place, place - len(names)):
            raise ParameterError(
                f"column {name!r} is the target: options such as --drop and --categorical are for"
                " the columns that it is predicted from, and --task says how it is learned"
            )


def _task(frame: Frame, column: Column, asked: str) -> str:
    if asked != "auto":
        return asked
    inferred = infer_task(_values(frame, column), name=column.name, place=frame.place)
    return "regression" if inferred == "regression" else "classification"


def _values(frame: Frame, column: Column) -> Array:
    """A target as it stands, or the numbers that its text writes with commas, units or per cent."""
    if column.is_text:
        written = column.distinct().tolist()
        notation = number_notation(written, decimal_comma=frame.decimal_comma)
        if notation not in (None, PLAIN):
            return notation.numbers(column.values)
    return column.as_texts()


def _apart(frame: Frame, column: Column, task: str, asked: Asked) -> tuple[Array, Array, str]:
    """Row numbers to learn from and to test on."""
    rows = len(frame)
    if not 0 <= asked.test < 1:
        raise ParameterError(f"--test must be a share from 0 to below 1, got {asked.test:g}")
    if asked.folds is not None:
        return (
            np.arange(rows),
            np.empty(0, np.int64),
            f"each is tested in one of {asked.folds} folds",
        )
    if rows * asked.test < FEWEST_TESTED:
        reason = "none were asked for" if asked.test == 0 else "there are too few rows"
        return np.arange(rows), np.empty(0, np.int64), reason
    firsts, kinds = equal_rows(frame, column, asked)
    found = split_rows(
        len(firsts), asked.test, asked.seed, **split_by(frame, column, task, asked, firsts)
    ).of_all(kinds)
    return found.train, found.held_out, found.how


def equal_rows(frame: Frame, column: Column, asked: Asked) -> tuple[Array, Array]:
    """Rows that are to be on one side of a split, as :func:`kinds_of`.

    Columns that nothing is learned from, such as ids, do not tell copies of a row apart.
    """
    given = {each.name for each in _schema(frame, asked).used} if asked.schema else None

    def counts(each: Column) -> bool:
        if each.name in (asked.group, asked.time):
            return True
        if given is not None:
            return each.name in given
        if each.name in asked.kinds:
            return ColumnSchema(each.name, asked.kinds[each.name]).is_used
        return bool(infer_schema(replace(frame, columns=(each,))).used)

    return kinds_of(chain(filter(counts, frame.columns), [column]))  # few are looked at


def split_by(frame: Frame, column: Column, task: str, asked: Asked, rows: Array) -> dict[str, Any]:
    """What splits of some rows are made by: their classes, and groups or times if asked for."""
    classes = None
    if task == "classification":
        classes = distinct(column.rows(rows).as_texts())[1]
    apart = columns_apart(frame, column.name, asked.group, asked.time)
    given = {key: each.rows(rows) for key, each in apart.items() if each is not None}
    return {"classes": classes, **given}


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained model and what it is worth.

    Attributes
    ----------
    model : TableModel
    scores : dict of str to dict of str to float
        For this model, a linear one and one that knows no columns, each score by name.
    findings : list of Finding
        What the doctor has to say.
    interrupted : bool
    errors : dict of str to dict of str to float
        The standard errors of scores that are means over folds.
    """

    model: TableModel
    scores: dict[str, Scores]
    findings: list[Finding]
    interrupted: bool
    errors: dict[str, Scores] = field(default_factory=dict)


def learn(
    work: Work, asked: Asked, *, progress: bool | None = None, callbacks: Sequence[Any] = ()
) -> Learned:
    """Train on all rows but those for testing, and compare on these.

    Parameters
    ----------
    progress : bool, optional
        Whether to show a live line; by default if somebody is watching a terminal.
    callbacks : sequence of Callback

    Raises
    ------
    ChainruleError
        If the table or a setting does not allow it.
    DivergenceError
        If not a single epoch ended with finite numbers.
    """
    from chainrule.estimators import table_learning

    frame, column = work.frame.rows(work.train), work.column.rows(work.train)
    problem = table_learning.Problem.of(frame, column, work.task)
    request = table_learning.Request(
        asked.chosen, asked.seed, schema=work.schema, group=asked.group, time=asked.time,
        time_limit=asked.time_limit, progress=progress, callbacks=callbacks,
        checkpoints=asked.checkpoints, resume=asked.resume, engine=asked.engine,
        until=COMPARISON_BEGINS if len(work.test) else 1.0,
    )  # fmt: skip
    if work.survey is None:
        work.require_target()  # before what may take hours
        model = table_learning.learn(problem, request)
    else:
        from chainrule.estimators.table_streaming import learn_stream

        model = learn_stream(work.survey, work.task, request)
    interrupted = _interrupted(model)
    compared: dict[str, Scores] = {}
    if len(work.test):
        judge = work.frame.rows(work.test), work.column.rows(work.test)
        compared[MODEL] = model.scores(*judge)
        if not interrupted:
            plain = replace(
                request, chosen=linear_settings(asked.chosen), progress=False, callbacks=(),
                checkpoints=None, until=1.0,
            )  # fmt: skip
            classes = model.target if isinstance(model.target, ClassTarget) else None
            linear = table_learning.learn(replace(problem, classes=classes), plain)
            interrupted = _interrupted(linear)
            if not interrupted:
                compared[_linear_name(work)] = linear.scores(*judge)
        compared[baseline_name(work.task)] = _baseline(model, problem, judge)
    few = slice(None if work.survey is None else MOST_EXAMINED)
    findings = _diagnosed(model, frame.rows(few), column.rows(few))
    return Learned(model, compared, findings, interrupted)


def linear_settings(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the linear model beside a model: trained as long as it takes, however long that is.

    Examples
    --------
    >>> linear_settings({"epochs": 3, "scaling": "standard", "hidden": (8,)})["scaling"]
    'standard'
    """
    kept = {name: value for name, value in chosen.items() if name not in OF_LENGTH}
    return {**kept, **LINEAR_SETTINGS}


def _linear_name(work: Work) -> str:
    """What the linear model is called: of a table in blocks it knows the sample."""
    if work.survey is None or work.survey.learned_from == len(work.train):
        return LINEAR
    return f"{LINEAR} of {len(work.train):,} rows"


def _interrupted(model: TableModel) -> bool:
    """Whether Ctrl-C ended the training."""
    history = model.network.history
    return history is not None and history.interrupted


def baseline_name(task: str) -> str:
    """What a model is called that knows no columns."""
    return "majority class" if task == "classification" else "mean of the target"


def _baseline(model: TableModel, problem: Any, judge: tuple[Frame, Column]) -> Scores:
    """The scores of always saying the same, by the training rows."""
    known = model.encoded_target(problem.column, problem.frame)
    y = model.judged_target(judge[1], judge[0])
    if model.task == "classification":
        shares = np.bincount(known, minlength=model.n_outputs) / len(known)
        loss = -np.log(np.maximum(shares[y[y != UNLEARNED]], TINY)).mean()
        return {"accuracy": float(np.mean(y == shares.argmax())), "log_loss": float(loss)}
    errors, spread = known.mean() - y, float(np.mean((y - y.mean()) ** 2))
    square = float(np.mean(errors**2))
    mean = float(np.mean(np.abs(errors)))
    return {"rmse": square**0.5, "mae": mean, "r2": 1 - square / spread if spread else 0.0}


def _diagnosed(model: TableModel, frame: Frame, column: Column) -> list[Finding]:
    """What the doctor says of the network at its end."""
    from chainrule.training import examine

    X, y = model.encoder.encode(frame).X, model.encoded_target(column, frame)
    target = model.target.encode(y) if isinstance(model.target, NumberTarget) else y
    return examine(model.network, X, target, columns=model.encoder.names)


def hidden_layers(text: str | None) -> tuple[int, ...] | None:
    """Sizes of hidden layers.

    Raises
    ------
    ParameterError
        If they are not whole numbers from 1, or too large.

    Examples
    --------
    >>> hidden_layers("64,32"), hidden_layers("none"), hidden_layers(None)
    ((64, 32), (), None)
    """
    if text is None or text.strip().lower() == NO_HIDDEN_LAYERS:
        return None if text is None else ()
    sizes = [part.strip() for part in text.split(",")]
    if not all(
        size.isascii() and size.isdigit() and len(size) < 10 and int(size) for size in sizes
    ):
        raise ParameterError(
            f"layers are whole numbers of at most nine digits such as 64,32, or"
            f" {NO_HIDDEN_LAYERS!r}; got {text!r}"
        )
    found = tuple(map(int, sizes))
    count = sum(n_in * n_out for n_in, n_out in pairwise((1, *found, 1)))
    if count > MOST_PARAMETERS:
        raise ParameterError(
            f"layers {text} have {count:,} parameters, more than {MOST_PARAMETERS:,}"
        )
    return found


# What is said


def facts(work: Work, learned: Learned) -> Iterator[tuple[str, str]]:
    """What to say of a training, in the order it is said."""
    model, network = learned.model, learned.model.network
    history, known = network.history, model.facts
    kinds = f", {model.n_outputs} classes" if work.task == "classification" else ""
    yield "task", f"{work.task} of {work.column.name!r}{kinds}"
    yield "rows", _rows(work, known)
    yield from not_learned(model, work.column.rows(work.test))
    used, left = len(work.schema.used), len(work.schema.columns) - len(work.schema.used)
    yield "columns", f"{used:,}" + (f", and {left:,} left out" if left else "")
    sizes = [layer.n_out for layer in network.layers if hasattr(layer, "n_out")]
    many = f", {network.members} members" if network.members else ""
    yield "network", f"{'-'.join(map(str, sizes))}, {network.dtype.name}{many}"
    if history is not None:
        yield "best epoch", f"{(history.best_epoch or 0) + 1} of {history.epochs}"
        yield "stopped because", history.stopped
    yield "seed", str(known["seed"])


def _rows(work: Work, known: Mapping[str, Any]) -> str:
    parts = [
        f"{known['rows']:,} trained on",
        f"{known['held_out']:,} held out to choose the epoch",
        f"{len(work.test):,} to test" if len(work.test) else f"none to test ({work.how})",
    ]
    if work.dropped:
        parts.append(f"{work.dropped:,} without a target left out")
    if known.get("merged"):
        parts.append(f"{known['merged']:,} equal to another, and on its side of the split")
    if known["duplicates"]:
        parts.append(
            f"{known['duplicates']:,} held out whose columns equal those of a row trained on"
        )
    return ", ".join(parts)


def not_learned(model: TableModel, target: Column) -> Iterator[tuple[str, str]]:
    """What to say of rows that a model is judged by and whose classes it does not know.

    Parameters
    ----------
    model : TableModel
    target : Column
        Of these rows.
    """
    if isinstance(model.target, ClassTarget) and len(target):
        others = target.rows(model.target.codes(target) == UNLEARNED)
        if len(others):
            yield "not learned", _of_other_classes(others.as_texts())


def _of_other_classes(labels: Texts) -> str:
    """How many, and what becomes of them.

    >>> _of_other_classes(np.array(["oak", "elm", "oak"]))
    '3 rows of other classes (2: elm, oak), which count as wrong and in no log loss or AUC'
    """
    names = listed(np.unique(labels).tolist())
    rows = "row" if len(labels) == 1 else "rows"
    count = f"{len(labels):,} {rows} of other classes ({names})"
    return f"{count}, which count as wrong and in no log loss or AUC"


SCORE_NAMES: Final[dict[str, str]] = {
    "accuracy": "accuracy", "log_loss": "log loss", "auc": "AUC", "average_precision": "PR-AUC",
    "calibration_error": "calibration error", "rmse": "RMSE", "mae": "MAE", "r2": "R²",
    "log_likelihood": "log likelihood", "coverage_90": "in 90 % interval",
}  # fmt: skip
"""The scores that are said, in this order."""


def score_table(
    scores: Mapping[str, Scores],
    say: Callable[[float], str],
    errors: Mapping[str, Scores] | None = None,
) -> list[list[str]]:
    """Rows of text: the names, then one score a row with a column for each model."""

    def cell(model: str, name: str) -> str:
        if name not in scores[model]:
            return ""
        error = f" +- {errors[model][name]:.2g}" if errors else ""
        return say(scores[model][name]) + error

    known = [name for name in SCORE_NAMES if any(name in each for each in scores.values())]
    head = ["mean of folds" if errors else "test", *scores]
    return [head, *[[SCORE_NAMES[name], *[cell(each, name) for each in scores]] for name in known]]
