"""Logistic regression with scikit-learn's contract: a network without hidden layers."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.errors import DataError, ParameterError
from chainrule.estimators.kinds import VERBOSITY, Either, Infinite, checked
from chainrule.estimators.layout import Glorot
from chainrule.estimators.lbfgs import Found, Search, search
from chainrule.estimators.machine import Blueprint, Machine, Template, carried_from, machine_for
from chainrule.estimators.reporting import CallbackSupportMixin, Reporter, with_callbacks
from chainrule.estimators.risk import Risk
from chainrule.estimators.sparse import features
from chainrule.estimators.weights import class_factors, weighted, weights_from
from chainrule.estimators.whole import all_or_nothing
from chainrule.estimators.workers import one_thread_in_workers
from chainrule.nn.layers import Activation, Linear
from chainrule.nn.losses import BinaryCrossEntropy, CrossEntropy
from chainrule.optim.settings import (
    COUNT_FROM_ZERO,
    FLAG,
    POSITIVE,
    UNIT,
    Choice,
    Optional,
    setting,
)
from chainrule.shapes import FLOAT64, INT64, Array
from chainrule.training.snapshot import Snapshot

DEPRECATED = "deprecated"  # scikit-learn's default, for which l1_ratio says what the penalty is
PENALTIES = ("l1", "l2", "elasticnet", DEPRECATED)
SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")
LINE_SEARCH = 50
VALUE_TOLERANCE = 64 * float(np.finfo(float).eps)
LAYER = "output"


@dataclass(eq=False, repr=False)
class LogisticRegression(ClassifierMixin, CallbackSupportMixin, BaseEstimator):
    """Logistic regression, of two classes or (multinomial) of more: scikit-learn's.

    Minimises the sum over rows of C times the cross-entropy, plus
    (1 - l1_ratio) / 2 |W|^2 + l1_ratio |W|_1; the intercept is free. Loss and gradient are graph;
    the search is L-BFGS, for every ``solver``: they have one minimum.

    Parameters
    ----------
    penalty : {"l2", "l1", "elasticnet", None}, optional
        Older scikit-learn's way to say ``l1_ratio`` 0, 1, as given, and ``C`` infinite.
    C : float > 0 or inf
        The inverse of the penalty's strength.
    l1_ratio : float in [0, 1]
    dual : bool
        Means nothing here.
    tol : float > 0
        No element of the gradient of the mean is larger at the end.
    fit_intercept : bool
    intercept_scaling : float > 0
        For "liblinear", whose intercept is the penalized weight of a feature of this value.
    class_weight : dict, "balanced" or None
    random_state : int, RandomState or None
        Means nothing here: every search starts at 0.
    solver : {"lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"}
    max_iter : int >= 0
    verbose : int
    warm_start : bool
    n_jobs : int or None
        Means nothing here.
    engine : {"native", "reference"}, optional

    Attributes
    ----------
    classes_ : (classes,) array
    coef_ : (1, features) or (classes, features) array
    intercept_ : (1,) or (classes,) array
    n_iter_ : (1,) array
    n_features_in_ : int
    feature_names_in_ : array of str

    Raises
    ------
    ParameterError, DataError
        From ``fit``, for settings out of their range and for rows that cannot be learned from.

    References
    ----------
    D. Cox 1958, The regression analysis of binary sequences; R. Byrd, P. Lu, J. Nocedal and C. Zhu
    1995, A limited memory algorithm for bound constrained optimization.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from chainrule.estimators import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=200).fit(X, y)
    >>> model.coef_.shape, bool(model.score(X, y) > 0.96)
    ((3, 4), True)
    """

    penalty: str | None = setting(Optional(Choice(PENALTIES)), DEPRECATED)
    _: KW_ONLY
    C: float = setting(Either(POSITIVE, Infinite()), 1.0)
    l1_ratio: float | None = setting(Optional(UNIT), 0.0)
    dual: bool = setting(FLAG, False)
    tol: float = setting(POSITIVE, 1e-4)
    fit_intercept: bool = setting(FLAG, True)
    intercept_scaling: float = setting(POSITIVE, 1)
    class_weight: Any = None
    random_state: Any = None
    solver: str = setting(Choice(SOLVERS), "lbfgs")
    max_iter: int = setting(COUNT_FROM_ZERO, 100)
    verbose: Any = setting(VERBOSITY, 0)
    warm_start: bool = setting(FLAG, False)
    n_jobs: int | None = None
    engine: str | None = None

    @all_or_nothing
    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : (n, features) array_like or sparse matrix
        y : (n,) labels
        sample_weight : (n,) array_like, optional
        """
        checked(self)
        one_thread_in_workers()
        given, (X, y) = (
            (X, y),
            validate_data(self, X, y, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32)),
        )
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise DataError(
                "This solver needs samples of at least 2 classes in the data, but the data"
                f" contains only one class: {classes[0]!r}"
            )
        if len(classes) > 2 and self.solver == "liblinear":
            raise ParameterError(
                "The 'liblinear' solver does not support multiclass classification; use 'lbfgs'"
            )
        rows = [self._features(X), _targets(labels, len(classes))]
        rows += self._weights(sample_weight, y)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        reporter = Reporter(self, *given, metadata, self.max_iter + 1)
        outputs = len(classes) if len(classes) > 2 else 1

        def attributes(parameters: Any) -> dict[str, Any]:
            found = self._attributes(parameters[LAYER], X.dtype)
            return {**found, "classes_": classes}

        def report(parameters: Any, value: float) -> bool:
            return reporter.iteration(lambda: attributes(parameters))

        found = self._search(rows, outputs, report if reporter.active else None)
        fitted = {**attributes(found.parameters), "n_iter_": np.array([found.iterations], np.int32)}
        self.__dict__.update(fitted)
        reporter.end(lambda: fitted)
        return self

    def decision_function(self, X: Any) -> Array:
        """The logits: (n,) for two classes, else (n, classes)."""
        check_is_fitted(self, "coef_")
        X = validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False
        )
        found: Array = np.asarray(X @ self._dense_coef().T) + self.intercept_
        return found.ravel() if found.shape[1] == 1 else found

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        logits = self.decision_function(X)
        chosen = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (n, classes) in the order of ``classes_``."""
        found: Array = np.exp(self.predict_log_proba(X))
        return found

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of :meth:`predict_proba`, without rounding to -inf."""
        logits = self.decision_function(X)
        each = np.stack([np.zeros_like(logits), logits], axis=1) if logits.ndim == 1 else logits
        shifted = each - each.max(axis=1, keepdims=True)
        found: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return found

    def sparsify(self) -> Self:
        """Keep ``coef_`` as a sparse matrix: less memory where an L1 penalty made zeros."""
        check_is_fitted(self, "coef_")
        self.coef_: Any = sparse.csr_matrix(self.coef_)
        return self

    def densify(self) -> Self:
        """Keep ``coef_`` as an array, which is how ``fit`` leaves it."""
        check_is_fitted(self, "coef_")
        self.coef_ = self._dense_coef()
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # From settings to a search

    def _dense_coef(self) -> Any:
        return self.coef_.toarray() if hasattr(self.coef_, "toarray") else self.coef_

    @property
    def _has_own_feature(self) -> bool:
        """Whether the intercept is the weight of a feature: liblinear's way."""
        return self.fit_intercept and self.solver == "liblinear"

    @property
    def _strengths(self) -> tuple[float, float]:
        """1 / C times the share of the L2 penalty and of the L1 penalty."""
        ratios = {"l1": 1.0, "l2": 0.0, DEPRECATED: self.l1_ratio, "elasticnet": self.l1_ratio}
        if self.penalty is None or math.isinf(self.C):
            return 0.0, 0.0
        ratio = ratios[self.penalty]
        if ratio is None:
            raise ParameterError("l1_ratio must be specified when penalty is elasticnet.")
        return (1.0 - ratio) / self.C, ratio / self.C

    def _features(self, X: Any) -> Any:
        """Rows in float64: a line search needs the digits."""
        if not self._has_own_feature:
            return features(X, FLOAT64)
        own = np.full((X.shape[0], 1), float(self.intercept_scaling))
        both = sparse.hstack([X, own], "csr") if sparse.issparse(X) else np.hstack([X, own])
        return features(both, FLOAT64)

    def _weights(self, sample_weight: Any, y: Array) -> list[Array]:
        given = None if sample_weight is None else weights_from(sample_weight, len(y), FLOAT64)
        found = weighted(given, class_factors(self.class_weight, y, given))
        return [] if found is None else [found]

    def _search(self, rows: list[Array], outputs: int, report: Any) -> Found:
        l2, l1 = self._strengths
        machine = self._machine(rows[0].shape[1], outputs)
        start = self._start(machine, rows[0].shape[1], outputs)
        total = float(rows[2].sum()) if len(rows) > 2 else len(rows[0])
        limits = Search(
            self.max_iter,
            gradient_tolerance=self.tol,
            value_tolerance=VALUE_TOLERANCE,
            max_line_search=LINE_SEARCH,
        )
        carried = carried_from(start, l2)
        return search(machine, carried, rows, limits, report, self.engine, l1=l1 / total)

    def _machine(self, n_in: int, outputs: int) -> Machine:
        bias = self.fit_intercept and not self._has_own_feature
        layer = Linear(n_in, outputs, bias=bias, weights=Glorot(), name=LAYER)
        ending = Activation("sigmoid" if outputs == 1 else "softmax", name="probabilities")
        loss = BinaryCrossEntropy() if outputs == 1 else CrossEntropy()
        templates = (Template.of(layer), Template.of(ending))
        return machine_for(Blueprint(templates, FLOAT64, Risk(loss, True)))

    def _start(self, machine: Machine, n_in: int, outputs: int) -> Snapshot:
        """Zeros, or what the last ``fit`` found."""
        values = {"W": np.zeros((n_in, outputs)), "b": np.zeros(outputs)}
        if self.warm_start and hasattr(self, "coef_"):
            values = {"W": self._dense_coef().T, "b": self.intercept_}
            if self._has_own_feature:
                values["W"] = np.vstack([values["W"], values["b"] / self.intercept_scaling])
        known = machine.architecture.layers[0].parameters()
        own = {name: np.ascontiguousarray(values[name], np.float64) for name in known}
        return Snapshot({LAYER: own, "probabilities": {}}, {LAYER: {}, "probabilities": {}})

    def _attributes(self, found: Any, dtype: Any) -> dict[str, Any]:
        """``coef_`` and ``intercept_``."""
        weights, outputs = found["W"], found["W"].shape[1]
        intercept = found.get("b", np.zeros(outputs))
        if self._has_own_feature:
            weights, intercept = weights[:-1], self.intercept_scaling * weights[-1]
        return {"coef_": weights.T.astype(dtype), "intercept_": intercept.astype(dtype)}


def _targets(labels: Array, classes: int) -> Array:
    """Labels as the graph takes them: a column of 0 and 1 for two classes."""
    return labels.astype(INT64) if classes > 2 else labels.astype(np.float64)[:, None]
