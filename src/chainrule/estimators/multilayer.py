"""What multi-layer perceptrons share: settings, fitting, attributes."""

from __future__ import annotations

import math
import time
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from chainrule.errors import DataError, ParameterError
from chainrule.estimators import fitting, layout, precision
from chainrule.estimators.kinds import (
    COUNT_OR_INFINITY,
    VERBOSITY,
    Either,
    InstanceOf,
    Sequence,
    checked,
)
from chainrule.estimators.machine import Machine
from chainrule.estimators.reporting import CallbackSupportMixin, Reporter
from chainrule.estimators.sparse import features, in_parts
from chainrule.estimators.weights import weighted, weights_from
from chainrule.estimators.workers import one_thread_in_workers
from chainrule.optim import Optimizer
from chainrule.optim.schedules import Schedule
from chainrule.optim.settings import (
    BELOW_ONE,
    COUNT,
    FLAG,
    FROM_ZERO,
    POSITIVE,
    UNIT,
    Choice,
    Optional,
    setting,
)
from chainrule.shapes import Array, Dtype, as_dtype
from chainrule.training.snapshot import Snapshot

SOLVER = Either(Choice(("lbfgs", "sgd", "adam")), InstanceOf(Optimizer))
SCHEDULE = Either(Choice(("constant", "invscaling", "adaptive")), InstanceOf(Schedule))
FLOATS = (np.float64, np.float32)


@dataclass(eq=False, repr=False)
class Multilayer(CallbackSupportMixin, BaseEstimator):
    """What the classifier and the regressor share.

    Every parameter of theirs but the first ones is a field here; see :class:`MLPClassifier`.
    """

    _: KW_ONLY
    solver: Any = setting(SOLVER, "adam")
    alpha: float = setting(FROM_ZERO, 0.0001)
    batch_size: Any = setting(Either(Choice(("auto",)), COUNT), "auto")
    learning_rate: Any = setting(SCHEDULE, "constant")
    learning_rate_init: float = setting(POSITIVE, 0.001)
    power_t: float = setting(FROM_ZERO, 0.5)
    max_iter: int = setting(COUNT, 200)
    shuffle: bool = setting(FLAG, True)
    random_state: Any = None
    tol: float = setting(FROM_ZERO, 1e-4)
    verbose: Any = setting(VERBOSITY, False)
    warm_start: bool = setting(FLAG, False)
    momentum: float = setting(UNIT, 0.9)
    nesterovs_momentum: bool = setting(FLAG, True)
    early_stopping: bool = setting(FLAG, False)
    validation_fraction: float = setting(BELOW_ONE, 0.1)
    beta_1: float = setting(BELOW_ONE, 0.9)
    beta_2: float = setting(BELOW_ONE, 0.999)
    epsilon: float = setting(POSITIVE, 1e-8)
    n_iter_no_change: Any = setting(COUNT_OR_INFINITY, 10)
    max_fun: int = setting(COUNT, 15000)
    layers: Any = None
    dropout: Any = setting(Sequence(BELOW_ONE), 0.0)
    batch_norm: bool = setting(FLAG, False)
    monotonic_cst: Any = None
    clip_norm: float | None = setting(Optional(POSITIVE), None)
    clip_value: float | None = setting(Optional(POSITIVE), None)
    scoring: Any = None
    time_limit: float | None = setting(Optional(POSITIVE), None)
    members: int = setting(COUNT, 1)
    restarts: int = setting(COUNT, 1)
    dtype: str | None = setting(Optional(Choice(("float32", "float64"))), None)
    engine: str | None = None

    # What the classifier and the regressor say

    def _validated(self, X: Any, y: Any, first: bool, incremental: bool) -> tuple[Any, Array]:
        """Features and targets as the graph takes them; what is learned of classes is kept."""
        raise TypeError(f"{type(self).__name__} must say what its targets are")

    def _encoded(self, y: Any) -> Array:
        """Targets as the graph takes them, (n, k) or labels (n,), of classes that are known."""
        raise TypeError(f"{type(self).__name__} must say what its targets are")

    def _require_known(self, y: Any, name: str) -> None:
        """Refuse targets of classes that are not learned."""

    def _decoded(self, y: Array) -> Any:
        """Encoded targets as people give them."""
        raise TypeError(f"{type(self).__name__} must say what its targets are")

    def _goal(self, outputs: int) -> layout.Goal:
        """What is minimised for ``n_outputs_`` outputs."""
        raise TypeError(f"{type(self).__name__} must say what it minimises")

    def _score_of(self, output: Array, y: Array, weights: Array | None) -> float:
        """The score of outputs (n, k), the greater the better."""
        raise TypeError(f"{type(self).__name__} must say how it is scored")

    def _factors(self, y: Any, weights: Array | None) -> Array | None:
        """A factor on the weight of each row; None for none."""
        return None

    def _stratify(self, y: Array) -> Array | None:
        """What validation rows are drawn evenly from."""
        return None

    # Fitting

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] = (None, None, None),
        incremental: bool = False,
    ) -> Self:
        checked(self)
        ends = time.monotonic() + (math.inf if self.time_limit is None else self.time_limit)
        one_thread_in_workers()
        self._refuse(incremental, validation[0] is not None)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        given, targets = self._validated(X, y, first, incremental)
        generator = generator_from(self.random_state)
        goal = self._goal(self._count_outputs(targets))
        dtype = as_dtype(self.dtype or given.dtype)
        rows = self._weighted(given, targets, sample_weight, dtype, labels=y)
        held_out = self._held_out(*validation, targets, dtype)
        # The first of many parts is learned step by step, as by scikit-learn.
        computed, rows, held = precision.as_trained(
            self, rows, held_out, dtype, goes_on=not first, begins=first and incremental
        )
        machine = layout.machine_of(self, goal, given.shape[1], computed)
        network = self._drawn(machine, generator) if first else self._network(machine)
        extra = {} if sample_weight is None else {"sample_weight": sample_weight}
        reporter = Reporter(self, X, y, extra, self._most_iterations)
        job = fitting.Job(self, machine, goal, network, reporter, first, dtype, ends)
        if self.solver == "lbfgs":
            found = fitting.search(job, rows)
        else:
            found = fitting.descend(job, rows, held, generator, once=incremental)
        self.__dict__.update(found)
        job.reporter.end(lambda: found)
        return self

    def _refuse(self, incremental: bool, validated: bool) -> None:
        """Refuse settings that exclude each other."""
        search, held = self.solver == "lbfgs", self.monotonic_cst is not None
        drawn = bool(np.any(self.dropout))
        wrong = {
            "choose members (keep all) or restarts (keep the best), not both": self.members > 1
            and self.restarts > 1,
            "partial_fit does not support early_stopping=True": incremental and self.early_stopping,
            "solver='lbfgs' needs a loss without randomness, batch statistics and stopping by"
            " score: leave out dropout, batch_norm and X_val, or use solver='adam'": search
            and (drawn or self.batch_norm or validated),
            "monotonic_cst holds weights to signs after each step, which solver='lbfgs', batch_norm"
            " and layers of your own cannot do; use solver='adam' and hidden_layer_sizes": held
            and (search or self.batch_norm or self.layers is not None),
        }
        for message, found in wrong.items():
            if found:
                raise ParameterError(message)

    @property
    def _most_iterations(self) -> int:
        """How often callbacks can be told of one: members of a search have their own."""
        searches = max(self.members, self.restarts) if self.solver == "lbfgs" else 1
        return self.max_iter * searches

    def _count_outputs(self, targets: Array) -> int:
        return targets.shape[1] if targets.ndim == 2 else len(self.classes_)

    def _weighted(
        self, X: Any, y: Array, sample_weight: Any, dtype: Dtype, labels: Any = None
    ) -> list[Any]:
        """Features, targets, and weights if there are any.

        Classes have weights of their own if ``labels`` say which they are.
        """
        given = None if sample_weight is None else weights_from(sample_weight, len(y), dtype)
        factors = None if labels is None else self._factors(labels, given)
        weights = weighted(given, factors)
        return [X, y] if weights is None else [X, y, weights]

    def _held_out(
        self, X: Any, y: Any, weights: Any, like: Array, dtype: Dtype
    ) -> list[Any] | None:
        """Validation rows of the user's own, whose targets are of the kind of those trained on."""
        names = ("X_val", "y_val", "sample_weight_val")
        given = [name for name, x in zip(names, (X, y, weights), strict=True) if x is not None]
        if not given:
            return None
        for needed in names[:2]:
            if needed not in given:
                raise DataError(f"{given[0]} was given without {needed}; give both, or neither")
        X, y = self._checked(X, y, reset=False)
        self._require_known(y, "y_val")
        targets = self._encoded(y)
        if targets.shape[1:] != like.shape[1:]:
            raise DataError(
                f"y_val has shape {np.shape(y)}, which are other targets than those of y,"
                f" {like.shape}; give as many for each row"
            )
        return self._weighted(X, targets, weights, dtype)

    def _checked(self, X: Any, y: Any, *, reset: bool, finite: bool = True) -> tuple[Any, Any]:
        """Rows and targets as scikit-learn checks them; a single target is (n,)."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=is_regressor(self),
            dtype=FLOATS,
            ensure_all_finite=finite,
            reset=reset,
        )
        single = y.ndim == 2 and y.shape[1] == 1
        return X, column_or_1d(y, warn=True) if single else y

    def _drawn(self, machine: Machine, generator: np.random.RandomState) -> Snapshot:
        """The network, or the networks, that a training starts from."""
        return layout.drawn_many(machine, generator, max(self.members, self.restarts))

    def _network(self, machine: Machine) -> Snapshot:
        """The network that the attributes describe."""
        first = np.asarray(self.coefs_[0])
        members = len(first) if first.ndim == 3 else None
        return layout.snapshot_of(machine.architecture, self, members)

    # Use

    def _output(self, X: Any, check_input: bool = True) -> Array:
        """The outputs for rows, (n, outputs): of many members (members, n, outputs)."""
        check_is_fitted(self, "coefs_")
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=FLOATS, reset=False)
        dtype = as_dtype(np.asarray(self.coefs_[0]).dtype)
        machine = layout.machine_of(self, self._goal(self.n_outputs_), X.shape[1], dtype)
        engine = getattr(self, "_prediction_engine", self.engine)
        network = self._network(machine)
        return in_parts(
            lambda rows: machine.evaluate(network, [rows], engine)[0], features(X, dtype)
        )

    @property
    def network_(self) -> Any:
        """The fitted network as a :class:`chainrule.Network`: to look at, to save, to explain."""
        check_is_fitted(self, "coefs_")
        dtype = as_dtype(self.coefs_[0].dtype)
        machine = layout.machine_of(self, self._goal(self.n_outputs_), self.n_features_in_, dtype)
        return layout.network(machine.architecture, self._network(machine))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def generator_from(random_state: Any) -> np.random.RandomState:
    """scikit-learn's generator, but for None one of its own: the global one is left alone."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)
