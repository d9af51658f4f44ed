"""Estimators of raw tables: data frames, arrays and files in, labels and units out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted

from chainrule.data.frames import Column, Frame, as_column, as_frame
from chainrule.data.schema import LEFT_OUT, Schema, chosen_kinds
from chainrule.data.streams import open_stream
from chainrule.engines.processes import agree_on_columns
from chainrule.errors import DataError, FileFormatError, ParameterError, ShapeError
from chainrule.estimators.table_learning import Problem, Request, learn
from chainrule.estimators.table_model import Predicted, TableModel, target_from
from chainrule.estimators.table_settings import CLASSIFICATION, REGRESSION, streamed_settings
from chainrule.estimators.table_streaming import is_streamed, learn_stream
from chainrule.estimators.table_survey import Survey
from chainrule.estimators.table_target import ClassTarget, require_a_target_each
from chainrule.estimators.table_weights import weights_in
from chainrule.shapes import Array
from chainrule.training.plan import new_seed

_SEEDS = 2**31 - 1  # as many as a RandomState can draw on every platform
_TARGET = "target"  # what a target without a name is called
_SETTINGS = (
    "hidden", "members", "epochs", "batch_size", "learning_rate", "weight_decay", "dropout",
    "bins", "patience", "validation", "refit", "scaling",
)  # fmt: skip


@dataclass(kw_only=True, eq=False, repr=False)
class _TableEstimator(BaseEstimator):
    """What both estimators share; parameters are described there."""

    hidden: Any = None
    members: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    dropout: float | None = None
    bins: int | None = None
    patience: int | None = None
    validation: float | None = None
    refit: bool | None = None
    scaling: str | None = None
    group: str | None = None
    time: str | None = None
    schema: Any = None
    categorical: str | Sequence[str] = ()
    text: str | Sequence[str] = ()
    date: str | Sequence[str] = ()
    id: str | Sequence[str] = ()
    drop: str | Sequence[str] = ()
    time_limit: float | None = None
    random_state: Any = None
    engine: str | None = None
    verbose: bool = False

    _task: ClassVar[str]
    _own_settings: ClassVar[tuple[str, ...]] = ()

    # Learning

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn a table.

        Parameters
        ----------
        X : data frame, mapping of columns, (n, columns) array-like, or path of a file
            Any mix of numbers, text, dates and truth values, with missing ones. A folder, a
            pattern such as ``"data/*.parquet"``, a list of paths, or a file of more than 64 MiB
            is read in blocks, in memory that does not grow with it; ``y`` and ``sample_weight`` are
            then columns.
        y : (n,) array-like, series, or name or place of a column of ``X``
            Rows where it is missing are left out; ``facts_["without_target"]`` counts them.
        sample_weight : (n,) array-like, or name of a column of ``X``, optional
            A row of weight 3 is three equal rows, one of weight 0 is not there. Rows that are equal
            in every column and the target are all held out or all trained on, unless rows repeat by
            nature; ``facts_["merged"]`` counts those that another one stands for.

        Raises
        ------
        ChainruleError
            If it cannot be learned, in one sentence that names file, row and column where there
            are some; the estimator then is as it was before.
        """
        if isinstance(sample_weight, str) and sample_weight in (self.group, self.time):
            role = "group" if sample_weight == self.group else "time"
            raise ParameterError(
                f"column {sample_weight!r} is the {role}; name another one as sample_weight"
            )
        request = self._request()
        if is_streamed(X):
            return self._fit_stream(X, y, sample_weight)
        frame, column = self._frame_and_target(X, y)
        _refuse_the_target(frame, column, request)
        agree_on_columns([*frame.names, column.name])
        frame, weights = _weights(frame, sample_weight)
        problem = Problem.of(frame, column, self._task, weights)
        model = learn(problem, request)
        self._adopt(model, frame)
        return self

    def _fit_stream(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Learn a table that is read in blocks."""
        if not isinstance(y, (str, int)) or not isinstance(sample_weight, (str, type(None))):
            raise ParameterError(
                f"{type(self).__name__} reads this table in blocks: y must name a column of it, and"
                " so must sample_weight, if there is any; or give a data frame of the rows"
            )
        request, stream = self._request(), open_stream(X)
        agree_on_columns(stream.names)
        survey = Survey.of(
            stream, y, request.seed, test=0.0, group=self.group, time=self.time,
            validation=streamed_settings(self._task, 1, **request.chosen).validation,
            weight=sample_weight, schema=request.schema, kinds=request.kinds,
        )  # fmt: skip
        self._adopt(learn_stream(survey, self._task, request), survey.roles.features(survey.sample))
        return self

    def _frame_and_target(self, X: Any, y: Any) -> tuple[Frame, Column]:
        if isinstance(y, (str, int)):
            return target_from(X, y)
        if y is None:
            raise ParameterError(
                f"{type(self).__name__} requires y to be passed, but the target y is None; give the"
                " target, or the name of its column"
            )
        name = getattr(y, "name", None)
        flat = y
        if getattr(y, "ndim", 1) == 2 and y.shape[1] == 1:
            flat = np.ravel(y)
            warnings.warn(
                "A column-vector y was passed when a 1d array was expected; it is read as (n,)",
                DataConversionWarning,
                stacklevel=3,
            )
        return as_frame(X), as_column(flat, name if isinstance(name, str) else _TARGET)

    def _request(self) -> Request:
        names = (*_SETTINGS, *self._own_settings)
        schema = Schema.load(self.schema) if _is_path(self.schema) else self.schema
        if not isinstance(schema, (Schema, type(None))):
            raise ParameterError(
                f"schema must be a Schema or the path of one, got a {type(schema).__name__}; kinds"
                " of single columns are said by categorical, text, date, id and drop"
            )
        kinds = chosen_kinds(
            category=self.categorical, text=self.text, date=self.date, id=self.id, drop=self.drop
        )
        return Request(
            {name: getattr(self, name) for name in names},
            _seed(self.random_state),
            schema=schema,
            kinds=kinds,
            group=self.group,
            time=self.time,
            class_weight=getattr(self, "class_weight", None),
            time_limit=self.time_limit,
            engine=self.engine,
            progress=None if self.verbose else False,
        )

    def _adopt(self, model: TableModel, frame: Frame | None = None) -> None:
        """Become the estimator that has learned this model."""
        self.model_, self.facts_ = model, model.facts
        self.schema_, self.history_ = model.encoder.schema, model.network.history
        names = frame.names if frame is not None else [c.name for c in self.schema_.columns]
        self.feature_names_in_ = np.array(names, dtype=object)
        self.n_features_in_ = len(names)

    # Use

    def _predicted(self, X: Any) -> Predicted:
        check_is_fitted(self, "model_")
        frame = as_frame(X)
        if frame.source == "the array" and len(frame.columns) != self.n_features_in_:
            raise ShapeError(
                f"X has {len(frame.columns)} features, but {type(self).__name__} is expecting"
                f" {self.n_features_in_} features as input"
            )
        return self.model_.predict(_named(frame, self.feature_names_in_))

    def _judged(self, X: Any, y: Any, sample_weight: Any) -> tuple[Array, Predicted, Array | None]:
        """Of the rows with a target: that, as the model sees it, predictions, and weights."""
        check_is_fitted(self, "model_")
        frame, column = self._frame_and_target(X, y)
        require_a_target_each(column, frame)
        frame, weights = _weights(frame, sample_weight)
        there = np.flatnonzero(~column.missing)
        if not len(there):
            raise DataError(f"no row has a target in column {column.name!r}: nothing to compare")
        rows = frame.rows(there)
        truth = self.model_.judged_target(column.rows(there), rows)
        return truth, self._predicted(rows), None if weights is None else weights[there]

    def flags(self, X: Any) -> dict[str, Array]:
        """What is unusual about each row.

        Returns
        -------
        dict of str to (n,) bool
            ``unknown``: a category that was not learned, or a cell that cannot be read;
            ``missing``: a cell without a value; ``outside``: a number beyond those of the training
            rows; ``far``: farther from all training rows than 99 % of the held-out rows are.
        """
        return self._predicted(X).flags

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was learned to one file: all of it or nothing; see :meth:`load`."""
        check_is_fitted(self, "model_")
        self.model_.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The estimator in a file; no code of the file is run.

        Raises
        ------
        FileFormatError
            If the file is damaged, hostile, or holds something else.
        """
        model = TableModel.load(path)
        if model.task != cls._task:
            other = f"Table{'Classifier' if model.task == 'classification' else 'Regressor'}"
            raise FileFormatError(
                f"{os.fspath(path)}: holds a model of {model.task}; {other}.load reads it"
            )
        found = cls()
        found._adopt(model)
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = self.random_state is None
        return tags


def _seed(random_state: Any) -> int:
    """A seed: an int as it is, else drawn, from the operating system if None is given."""
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(_SEEDS))
    return new_seed(random_state)


def _is_path(given: Any) -> bool:
    return isinstance(given, (str, os.PathLike))


def _refuse_the_target(frame: Frame, column: Column, request: Request) -> None:
    """Refuse a table of which a column is the target, by its name and by its values."""
    kind = (request.kinds or {}).get(column.name)
    if column.name not in frame or kind in LEFT_OUT or request.schema is not None:
        return
    other = frame[column.name]
    absent, there = (other.missing, column.missing), (other.present(), column.present())
    if np.array_equal(*absent) and np.array_equal(*there):
        raise DataError(
            f"{frame.source}: column {column.name!r} is the target, and would be learned from;"
            f" give the table without it, or its name as the target: fit(table, {column.name!r})"
        )


def _weights(frame: Frame, sample_weight: Any) -> tuple[Frame, Array | None]:
    """What rows weigh, and the table without the column that says it, if one does."""
    if isinstance(sample_weight, str):
        return frame.without(sample_weight), weights_in(frame[sample_weight], frame)
    if sample_weight is None:
        return frame, None
    return frame, weights_in(as_column(sample_weight, "sample_weight"), frame)


def _named(frame: Frame, names: Array) -> Frame:
    """Columns of an array, which have no names, with those that were learned."""
    if frame.source != "the array":
        return frame
    columns = [
        Column(name, column.values, column.missing)
        for name, column in zip(names.tolist(), frame.columns, strict=True)
    ]
    return replace(frame, columns=tuple(columns))


@dataclass(kw_only=True, eq=False, repr=False)
class TableClassifier(ClassifierMixin, _TableEstimator):
    """Classes from any table, with the defaults that measurement chose.

    An ensemble of networks, trained at once, on numbers encoded by their quantiles and on learned
    vectors of categories; held-out rows choose the epoch and calibrate the probabilities.

    Parameters
    ----------
    hidden : tuple of int, optional
        Units of the hidden layers.
    members : int, optional
        Networks in the ensemble.
    epochs, batch_size, learning_rate, weight_decay, dropout, bins, patience : optional
        See :class:`chainrule.estimators.table_settings.TableSettings`.
    validation : float in (0, 1), optional
        Share of the rows that are held out.
    refit : bool, optional
        Train again on all rows, for as long as the first training was best.
    scaling : {"robust", "standard", "quantile", "pca", "whiten"}, optional
    group, time : str, optional
        Hold out whole groups by this column, or the latest rows by this one.
    schema : Schema or path, optional
        What the columns are; by default it is inferred, and found in ``schema_``.
    categorical, text, date, id, drop : name or names of columns
        That are of this kind, whatever they look like.
    time_limit : float, optional
        Seconds for all trainings of a fit together; the last ends with an epoch.
    random_state : int, RandomState or None
        The same int gives the same bits.
    engine : str, optional
    verbose : bool
    class_weight : mapping of class to weight or "balanced", optional
    calibrate : bool
        Whether probabilities are corrected by a temperature found on held-out rows.

    Attributes
    ----------
    classes_ : (k,) array
    model_ : TableModel
    schema_ : Schema
    facts_ : dict
        Rows, split, duplicates across it, epochs, settings.
    history_ : History
    threshold_ : float
        Of two classes: the probability of the second from which on F1 is greatest.
    feature_names_in_, n_features_in_

    Examples
    --------
    >>> sizes = [i / 10 for i in range(40)]
    >>> table = {"size": sizes, "colour": ["red", "blue"] * 20}
    >>> kinds = ["big" if size > 2 else "small" for size in sizes]
    >>> model = TableClassifier(epochs=20, random_state=0).fit(table, kinds)
    >>> model.predict({"colour": ["green"], "size": [3.7]}).tolist()
    ['big']
    >>> model.flags({"colour": ["green"], "size": [3.7]})["unknown"].tolist()
    [True]
    """

    class_weight: Mapping[Any, float] | str | None = None
    calibrate: bool = True

    _task: ClassVar[str] = CLASSIFICATION
    _own_settings: ClassVar[tuple[str, ...]] = ("calibrate",)

    def _adopt(self, model: TableModel, frame: Frame | None = None) -> None:
        super()._adopt(model, frame)
        assert isinstance(model.target, ClassTarget), "load and fit see to it"
        self.classes_, self.threshold_ = model.target.array, model.trust.threshold

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of rows with a target whose class is predicted; parameters as of :meth:`fit`.

        Labels are equal by what they say, so that 1 in a file is 1 in a data frame.
        """
        truth, found, weights = self._judged(X, y, sample_weight)
        said = found.probabilities.argmax(axis=1)
        return float(accuracy_score(truth, said, sample_weight=weights))

    def predict(self, X: Any, *, return_flags: bool = False) -> Any:
        """The likeliest class of each row, (n,); with flags, see :meth:`flags`, if asked for."""
        found = self._predicted(X)
        return (found.labels, found.flags) if return_flags else found.labels

    def predict_proba(self, X: Any) -> Array:
        """Calibrated probabilities, (n, classes) float64, in the order of ``classes_``."""
        return self._predicted(X).probabilities


@dataclass(kw_only=True, eq=False, repr=False)
class TableRegressor(RegressorMixin, _TableEstimator):
    """Numbers from any table, with the defaults that measurement chose.

    An ensemble of networks, trained at once, on numbers encoded by their quantiles and on learned
    vectors of categories; held-out rows choose the epoch, the scale of a skewed target, and how
    wide intervals are.

    Parameters
    ----------
    log_target : {"auto", "yes", "no"}
        Whether a positive target is learned on a log scale; "auto" asks held-out rows.
    hidden, members, epochs, batch_size, learning_rate, weight_decay, dropout, bins, patience, \
validation, refit, scaling, group, time, schema, categorical, text, date, id, drop, time_limit, \
random_state, engine, verbose
        See :class:`TableClassifier`.

    Attributes
    ----------
    model_ : TableModel
    schema_ : Schema
    facts_ : dict
    history_ : History
    feature_names_in_, n_features_in_

    Examples
    --------
    >>> table = {"size": [i / 10 for i in range(60)]}
    >>> model = TableRegressor(random_state=0).fit(table, [3 * x for x in table["size"]])
    >>> low, high = model.predict_interval({"size": [2.5]}, coverage=0.8)
    >>> bool(low[0] < model.predict({"size": [2.5]})[0] < high[0])
    True
    """

    log_target: str = "auto"

    _task: ClassVar[str] = REGRESSION
    _own_settings: ClassVar[tuple[str, ...]] = ("log_target",)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R^2 on the rows with a target; parameters as of :meth:`fit`."""
        truth, found, weights = self._judged(X, y, sample_weight)
        return float(r2_score(truth, found.labels, sample_weight=weights))

    def predict(self, X: Any, *, return_std: bool = False, return_flags: bool = False) -> Any:
        """The number of each row, (n,) float64; with the standard deviation of its error, if asked.

        The deviation is that of the members, or of one member with dropout in many passes (Monte
        Carlo dropout), and of the noise that held-out rows showed. Results that are asked for come
        in this order: numbers, deviations, flags.
        """
        found = self._predicted(X)
        asked: list[Any] = [found.labels]
        asked += [found.deviations] if return_std else []
        asked += [found.flags] if return_flags else []
        return tuple(asked) if len(asked) > 1 else asked[0]

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Ends between which a share ``coverage`` of targets lies, two (n,) float64.

        Raises
        ------
        ParameterError
            If the coverage is not between 0 and 1, or more than the held-out rows can tell.
        """
        return self._predicted(X).interval(coverage)

    def predict_quantile(self, X: Any, level: float) -> Array:
        """What a share ``level`` of targets lies below, (n,) float64; levels never cross.

        Raises
        ------
        ParameterError
            If the level is not between 0 and 1, or more than the held-out rows can tell.
        """
        return self._predicted(X).quantile(level)
