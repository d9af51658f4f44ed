"""Linear regression with scikit-learn's contract: in closed form, or by gradient descent."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.linalg import lstsq
from scipy.optimize import nnls
from scipy.sparse.linalg import LinearOperator, lsqr
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.engines.blas import one_blas_thread
from chainrule.errors import ParameterError
from chainrule.estimators.descent import Descent, Memory
from chainrule.estimators.kinds import checked
from chainrule.estimators.machine import (
    Blueprint,
    Template,
    carried_from,
    first_state,
    machine_for,
)
from chainrule.estimators.risk import Risk
from chainrule.estimators.rules import RateInVelocity
from chainrule.estimators.weights import weights_from
from chainrule.estimators.whole import all_or_nothing
from chainrule.nn.layers import Linear
from chainrule.nn.losses import SquaredError
from chainrule.optim.settings import (
    COUNT,
    FLAG,
    FROM_ZERO,
    POSITIVE,
    Choice,
    Optional,
    setting,
)
from chainrule.shapes import Array, as_dtype
from chainrule.training.snapshot import Snapshot

EXACT, DESCENT = "exact", "gradient_descent"
LAYER = "output"


class Centred(NamedTuple):
    """Rows whose columns have mean 0, times the roots of their weights.

    Attributes
    ----------
    X : (n, features) array, sparse matrix or LinearOperator
    y : (n, targets) array
    x_mean, y_mean : (features,), (targets,) array
        What was taken off.
    """

    X: Any
    y: Array
    x_mean: Array
    y_mean: Array


@dataclass(eq=False, repr=False)
class LinearRegression(RegressorMixin, BaseEstimator):
    """Least squares: scikit-learn's, and by gradient descent if asked for.

    Where features depend on each other there are many minima; both ways give the one with the
    smallest weights.

    Parameters
    ----------
    fit_intercept : bool
    copy_X : bool
        Means nothing here: ``X`` is never written to.
    tol : float >= 0
        Of the iterative solver for sparse rows; of gradient descent: the last gradient's norm as
        a share of the first one's.
    n_jobs : int or None
        Means nothing here.
    positive : bool
        Whether no weight may be below 0.
    solver : {"exact", "gradient_descent"}
        New. The second moves the weights by the gradient over all rows, as a network does.
    learning_rate : float > 0, optional
        Of gradient descent; by default 1 over the greatest curvature, which cannot diverge.
    max_iter : int >= 1
        Of gradient descent.
    engine : {"native", "reference"}, optional

    Attributes
    ----------
    coef_ : (features,) or (targets, features) array
    intercept_ : float or (targets,) array
    rank_ : int
    singular_ : array
        Singular values of the centred rows; with ``rank_`` only where they are dense and ``solver``
        is "exact".
    n_iter_ : int
        Iterations of gradient descent; 1 for "exact".
    loss_curve_ : list of float
        Of gradient descent, half the mean squared error of each iteration.
    n_features_in_ : int
    feature_names_in_ : array of str

    References
    ----------
    G. Golub and W. Kahan 1965, Calculating the singular values and pseudo-inverse of a matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators import LinearRegression
    >>> X = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> model = LinearRegression().fit(X, [3.0, 5.0, 7.0])
    >>> model.coef_.round(6), round(float(model.intercept_), 6), model.rank_
    (array([1., 1.]), 1.0, 1)
    """

    _: KW_ONLY
    fit_intercept: bool = setting(FLAG, True)
    copy_X: bool = setting(FLAG, True)
    tol: float = setting(FROM_ZERO, 1e-6)
    n_jobs: int | None = None
    positive: bool = setting(FLAG, False)
    solver: str = setting(Choice((EXACT, DESCENT)), EXACT)
    learning_rate: float | None = setting(Optional(POSITIVE), None)
    max_iter: int = setting(COUNT, 1000)
    engine: str | None = None

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : (n, features) array_like or sparse matrix
        y : (n,) or (n, targets) array_like
        sample_weight : (n,) array_like, optional
        """
        checked(self)
        if self.positive and self.solver == DESCENT:
            raise ParameterError("positive=True needs solver='exact'")
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=[] if self.positive else ["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
        )
        targets = (y[:, None] if y.ndim == 1 else y).astype(X.dtype, copy=False)
        weights = None if sample_weight is None else weights_from(sample_weight, len(y), X.dtype)
        rows = centred(X, targets, weights, self.fit_intercept)
        with one_blas_thread():
            coef, attributes = self._solved(rows, X.dtype)
        intercept = rows.y_mean - rows.x_mean @ coef
        single = y.ndim == 1
        self.coef_ = coef[:, 0] if single else np.ascontiguousarray(coef.T)
        self.intercept_ = (intercept[0] if single else intercept) if self.fit_intercept else 0.0
        self.__dict__.update({"n_iter_": 1, **attributes})
        return self

    def predict(self, X: Any) -> Array:
        """The prediction for each row, (n,) or (n, targets)."""
        check_is_fitted(self, "coef_")
        X = validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False
        )
        return np.asarray(X @ self.coef_.T) + self.intercept_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.positive
        tags.target_tags.multi_output = True
        return tags

    def _solved(self, rows: Centred, dtype: Any) -> tuple[Array, dict[str, Any]]:
        """Weights (features, targets), and further attributes."""
        if self.solver == DESCENT:
            return self._descended(rows, dtype)
        if self.positive:
            return np.stack([nnls(rows.X, column)[0] for column in rows.y.T], axis=1), {}
        if not isinstance(rows.X, np.ndarray):
            tolerances = {"atol": self.tol, "btol": self.tol}
            columns = [lsqr(rows.X, column, **tolerances)[0] for column in rows.y.T]
            return np.stack(columns, axis=1).astype(dtype), {}
        cutoff = max(rows.X.shape) * np.finfo(dtype).eps
        coef, _, rank, singular = lstsq(rows.X, rows.y, cond=cutoff, check_finite=False)
        return coef, {"rank_": int(rank), "singular_": singular}

    def _descended(self, rows: Centred, dtype: Any) -> tuple[Array, dict[str, Any]]:
        """Full-batch steps from 0: the weights never leave the span of the rows."""
        X = rows.X if isinstance(rows.X, np.ndarray) else rows.X @ np.eye(rows.X.shape[1])
        n, width = X.shape
        layer = Linear(width, rows.y.shape[1], bias=False, weights="zeros", name=LAYER)
        risk = Risk(SquaredError(), False, scale=0.5 * rows.y.shape[1])
        machine = machine_for(Blueprint((Template.of(layer),), as_dtype(dtype), risk))
        start = Snapshot({LAYER: {"W": np.zeros((width, rows.y.shape[1]), dtype)}}, {LAYER: {}})
        curvature = float(np.linalg.norm(X, 2)) ** 2 / n
        rate = self.learning_rate or (1.0 / curvature if curvature else 1.0)
        rule = RateInVelocity(momentum=0.0, nesterov=False)
        descent = Descent(
            machine,
            carried_from(start, 0.0),
            [np.ascontiguousarray(X, dtype), np.ascontiguousarray(rows.y, dtype)],
            Memory(rule, first_state(rule, start), rate, seed=0),
            batch=n,
            shuffle=False,
            members=None,
            engine=self.engine,
            units=float(rows.y.shape[1]),
            least=1,
            most=self.max_iter,
        )
        losses = descent.until(self.tol, self.max_iter)
        coef = descent.snapshot.parameters[LAYER]["W"]
        return coef, {"n_iter_": len(losses), "loss_curve_": losses}


def centred(X: Any, y: Array, weights: Array | None, fit_intercept: bool) -> Centred:
    """The least-squares problem without intercept and without weights."""
    n, width = X.shape
    x_mean, y_mean = np.zeros(width, X.dtype), np.zeros(y.shape[1], X.dtype)
    if fit_intercept:
        x_mean, y_mean = _mean(X, weights), _mean(y, weights)
    roots = np.ones(n, X.dtype) if weights is None else np.sqrt(weights)
    y = (y - y_mean) * roots[:, None]
    if isinstance(X, np.ndarray):
        return Centred((X - x_mean) * roots[:, None], y, x_mean, y_mean)
    operator = LinearOperator(
        X.shape,
        matvec=lambda v: roots * (X @ v - x_mean @ v),
        rmatvec=lambda u: X.T @ (roots * u) - x_mean * (roots @ u),
        matmat=lambda m: roots[:, None] * (X @ m - x_mean @ m),
        dtype=X.dtype,
    )
    return Centred(operator, y, x_mean, y_mean)


def _mean(rows: Any, weights: Array | None) -> Array:
    """The weighted mean of each column; of sparse rows too."""
    shares = np.ones(rows.shape[0]) if weights is None else weights.astype(np.float64)
    found: Array = np.asarray(rows.T @ (shares / shares.sum())).astype(rows.dtype)
    return found
