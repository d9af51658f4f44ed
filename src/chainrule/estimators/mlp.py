"""Multi-layer perceptrons with scikit-learn's contract, and what people have missed in them."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from chainrule.errors import DataError, ParameterError
from chainrule.estimators import scores
from chainrule.estimators.kinds import Sequence
from chainrule.estimators.layout import Goal
from chainrule.estimators.multilayer import Multilayer
from chainrule.estimators.reporting import with_callbacks
from chainrule.estimators.risk import NeverCrossing, Quantiles
from chainrule.estimators.weights import class_factors
from chainrule.estimators.whole import all_or_nothing
from chainrule.nn import losses
from chainrule.nn.activations import Exp, Sigmoid, Softmax
from chainrule.nn.layers import Activation, Function
from chainrule.nn.losses import BinaryCrossEntropy, CrossEntropy, GaussianNLL, Loss, SquaredError
from chainrule.optim.settings import FRACTION, setting
from chainrule.shapes import INT64, Array


def _is_stochastic(estimator: Any) -> bool:
    """Whether an estimator has partial_fit; if not, the error that says why."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, Multilayer):
    """Multi-layer perceptron classifier: scikit-learn's, with more.

    Parameters, defaults, loss, attributes and methods are those of
    :class:`sklearn.neural_network.MLPClassifier`; what stands after ``max_fun`` is new, and off by
    default. Trained in machine code; the first epochs of a training run on the reference engine,
    so that tiny ones wait for no compiler.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer; () for none.
    activation : str, record, callable, or a sequence of them
        For all hidden layers or for each: "identity", "logistic", "tanh", "relu", any other name
        or record of :mod:`chainrule.nn`, or a function of graph operations.
    solver : {"adam", "sgd", "lbfgs"} or Optimizer
        What moves the weights: Adam; stochastic gradient descent; L-BFGS on all rows at once; or
        any optimizer of :mod:`chainrule.optim` with its own rate.
    alpha : float >= 0
        Strength of the L2 penalty, alpha / 2n times the sum of squared weights.
    batch_size : int or "auto"
        Rows a step; "auto" is min(200, n).
    learning_rate : {"constant", "invscaling", "adaptive"} or Schedule
        For "sgd": the rate itself; divided by t to the power ``power_t`` after each epoch, t being
        the rows seen; or divided by 5 whenever patience ends. A schedule of
        :mod:`chainrule.optim` has its own rate and works with "adam" too.
    learning_rate_init : float > 0
    power_t : float >= 0
    max_iter : int >= 1
        Epochs; with "lbfgs", iterations.
    shuffle : bool
        Whether every epoch has an order of its own.
    random_state : int, RandomState or None
        For first weights, validation rows, orders and dropout. First weights and validation rows
        are scikit-learn's for the same number. None draws from the operating system.
    tol : float >= 0
        What counts as an improvement; with "lbfgs", the tolerance of the gradient.
    verbose : bool or int
        Whether to print each epoch's loss.
    warm_start : bool
        Whether ``fit`` goes on from the last call.
    momentum : float in [0, 1]
    nesterovs_momentum : bool
    early_stopping : bool
        Whether to hold out rows, stop by their score, and take the best epoch's weights.
    validation_fraction : float in [0, 1)
    beta_1, beta_2 : float in [0, 1)
    epsilon : float > 0
    n_iter_no_change : int or inf
        Patience: more epochs in a row without improvement end the training.
    max_fun : int >= 1
        For "lbfgs", evaluations of the loss.
    layers : list of layers, optional
        Hidden layers of :mod:`chainrule.nn`, in place of ``hidden_layer_sizes`` and ``activation``;
        the output layer is added.
    dropout : float in [0, 1) or a sequence
        Share of hidden units dropped in training, for all hidden layers or for each.
    batch_norm : bool
        Whether hidden layers are normalised over the batch, before their activation.
    monotonic_cst : sequence of {-1, 0, 1}, optional
        For each feature whether the output may only fall (-1) or rise (1) with it.
    clip_norm, clip_value : float > 0, optional
        The greatest norm of all gradients together; the greatest size of each element.
    scoring : str or callable, optional
        scikit-learn's scorer that early stopping goes by; by default the accuracy.
    time_limit : float > 0, optional
        Seconds, after which the training ends with an epoch; with "lbfgs", with an iteration.
    members : int >= 1
        Networks trained at once, whose mean is predicted; ``coefs_`` then have a leading axis.
    restarts : int >= 1
        Networks trained at once, of which the best by score, or else by loss, is kept.
    dtype : {"float32", "float64"}, optional
        What is computed in, and the type of the attributes. By default the element type of ``X``,
        but 1,000 float64 rows or more that are shuffled into batches are learned in float32 (see
        ``training_dtype_``), in half the time, and no less accurate; not where numbers in them are
        beyond a million or all below a millionth, or a setting is. What goes on, by ``warm_start``
        or ``partial_fit``, stays in its type. Attributes and predictions have the type of ``X``
        all the same.
    engine : {"native", "reference"}, optional
    class_weight : dict, "balanced" or None
        Factors on the weights of rows by their class; "balanced" gives classes equal sums.

    Attributes
    ----------
    classes_ : array
    coefs_, intercepts_ : list of arrays
        Weights (inputs, outputs) and biases of each linear layer.
    loss_ : float
        The last epoch's loss, with its penalty.
    best_loss_ : float or None
        The smallest; None if stopped by a score.
    loss_curve_ : list of float
    validation_scores_, best_validation_score_ : list of float, float, or None
        Of the validation rows, if there are any.
    history_ : dict of arrays
        By epoch: ``loss``, ``gradient_norm``, ``learning_rate`` and, if there are validation rows,
        ``validation_score``.
    n_iter_, t_ : int
        Epochs of the last call; rows seen in all calls.
    n_layers_, n_outputs_, n_features_in_ : int
    feature_names_in_ : array of str
    out_activation_ : str
    training_dtype_ : dtype
        What weights were moved in; see ``dtype``.
    other_arrays_ : dict
        What layers other than linear ones own or carry, such as batch norm's.
    network_ : chainrule.Network
        The fitted network.

    Raises
    ------
    ParameterError, DataError
        From ``fit``, for settings out of their range and for rows that cannot be learned from.

    References
    ----------
    G. Hinton 1989, Connectionist learning procedures; D. Kingma and J. Ba 2015, Adam: a method for
    stochastic optimization; X. Glorot and Y. Bengio 2010, Understanding the difficulty of training
    deep feedforward neural networks.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from chainrule.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(solver="lbfgs", alpha=1.0, max_iter=1000, random_state=1).fit(X, y)
    >>> model.predict(X[:2]), bool(model.score(X, y) > 0.95)
    (array([0, 0]), True)
    """

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    class_weight: Any = None

    @all_or_nothing
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : (n, features) array_like or sparse matrix
        y : (n,) labels, or (n, labels) of 0 and 1
        sample_weight : (n,) array_like, optional
        X_val, y_val, sample_weight_val : optional
            Validation rows of your own; the training stops by them, as with ``early_stopping``.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(_is_stochastic)
    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go on for one epoch over these rows.

        Parameters
        ----------
        X : (n, features) array_like or sparse matrix
        y : (n,) labels, or (n, labels) of 0 and 1
        sample_weight : (n,) array_like, optional
        classes : array_like
            All classes there will ever be; needed in the first call.
        """
        if isinstance(self.class_weight, str):
            raise ParameterError(
                f"class_weight={self.class_weight!r} needs all rows at once; give partial_fit a"
                " dict of class to weight"
            )
        if self._is_first_call(classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
            self.classes_ = unique_labels(classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """The most probable class of each row; of several labels those above 1/2."""
        return self._decided(self._probabilities(X))

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (n, classes) in the order of ``classes_``."""
        found = self._probabilities(X)
        return np.hstack([1 - found, found]) if found.shape[1] == 1 else found

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _probabilities(self, X: Any) -> Array:
        """As the network gives them: (n, 1) for two classes; of many members the mean."""
        found = self._output(X)
        return found.mean(axis=0) if found.ndim == 3 else found

    def _decided(self, probabilities: Array) -> Any:
        if self._is_multiclass:
            return self.classes_[probabilities.argmax(axis=1)]
        if self._label_binarizer.y_type_ != "binary":
            return self._label_binarizer.inverse_transform(probabilities)
        above = (probabilities[:, 0] > 0.5).astype(int)
        return self.classes_[above if len(self.classes_) > 1 else 0 * above]

    # Targets

    def _is_first_call(self, classes: Any) -> bool:
        """Whether ``partial_fit`` has to take note of the classes."""
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise DataError("classes must be passed on the first call to partial_fit.")
        given = known if classes is None else unique_labels(classes)
        if known is not None and not np.array_equal(known, np.asarray(given)):
            raise DataError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was:"
                f" {known!r}"
            )
        return known is None

    def _validated(self, X: Any, y: Any, first: bool, incremental: bool) -> tuple[Any, Array]:
        X, y = self._checked(X, y, reset=first, finite=False)  # `as_trained` looks
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        elif self.warm_start:
            self._require_same(y)
        else:
            self._require_known(y, "y")
        return X, self._encoded(y)

    def _require_same(self, y: Any) -> None:
        classes = unique_labels(y)
        if set(classes) != set(self.classes_):
            raise DataError(
                "warm_start can only be used where `y` has the same classes as in the previous"
                f" call to fit. Previously got {self.classes_}, `y` has {classes}"
            )

    def _require_known(self, y: Any, name: str) -> None:
        classes = unique_labels(y)
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise DataError(
                f"`{name}` has classes not in `self.classes_`. `self.classes_` has"
                f" {self.classes_}. '{name}' has {classes}."
            )

    def _encoded(self, y: Any) -> Array:
        if self._is_multiclass:
            return np.searchsorted(self.classes_, np.asarray(y)).astype(INT64)
        found = self._label_binarizer.transform(y)
        return np.asarray(found.toarray() if hasattr(found, "toarray") else found)

    def _decoded(self, y: Array) -> Any:
        return self.classes_[y] if y.ndim == 1 else self._decided(y)

    @property
    def _is_multiclass(self) -> bool:
        return bool(self._label_binarizer.y_type_ == "multiclass")

    def _factors(self, y: Any, weights: Array | None) -> Array | None:
        return class_factors(self.class_weight, y, weights)

    def _stratify(self, y: Array) -> Array | None:
        return y.astype(bool) if y.ndim == 2 and y.shape[1] == 1 else None

    # What is minimised

    def _goal(self, outputs: int) -> Goal:
        if self.monotonic_cst is not None and outputs > 1:
            raise ParameterError("monotonic_cst needs two classes: which probability is to rise?")
        if self._is_multiclass:
            ending = [Activation(Softmax(), name="softmax")]
            return Goal(CrossEntropy(), 1.0, 1.0, outputs, "softmax", ending)
        ending = [Activation(Sigmoid(), name="sigmoid")]
        return Goal(BinaryCrossEntropy(), float(outputs), 1.0, outputs, "logistic", ending)

    def _score_of(self, output: Array, y: Array, weights: Array | None) -> float:
        decided = output.argmax(axis=1) if y.ndim == 1 else output > 0.5
        return scores.accuracy(decided, y, weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, Multilayer):
    """Multi-layer perceptron regressor: scikit-learn's, with more.

    Parameters, defaults, loss, attributes and methods are those of
    :class:`sklearn.neural_network.MLPRegressor`; other losses and what stands after ``max_fun`` are
    new, and off by default.

    Parameters
    ----------
    loss : str, Loss or callable
        "squared_error" (half the square), "poisson", and new: "gamma", "absolute_error", "huber",
        "quantile", "gaussian_nll" (mean and variance), a record such as ``Huber(2.0)``, or a
        function of prediction and target. Poisson and gamma predict exp of the last layer.
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer; () for none.
    activation : str, record, callable, or a sequence of them
        For all hidden layers or for each: "identity", "logistic", "tanh", "relu", any other name
        or record of :mod:`chainrule.nn`, or a function of graph operations.
    solver : {"adam", "sgd", "lbfgs"} or Optimizer
        What moves the weights: Adam; stochastic gradient descent; L-BFGS on all rows at once; or
        any optimizer of :mod:`chainrule.optim` with its own rate.
    alpha : float >= 0
        Strength of the L2 penalty, alpha / 2n times the sum of squared weights.
    batch_size : int or "auto"
        Rows a step; "auto" is min(200, n).
    learning_rate : {"constant", "invscaling", "adaptive"} or Schedule
        For "sgd": the rate itself; divided by t to the power ``power_t`` after each epoch, t being
        the rows seen; or divided by 5 whenever patience ends. A schedule of
        :mod:`chainrule.optim` has its own rate and works with "adam" too.
    learning_rate_init : float > 0
    power_t : float >= 0
    max_iter : int >= 1
        Epochs; with "lbfgs", iterations.
    shuffle : bool
        Whether every epoch has an order of its own.
    random_state : int, RandomState or None
        For first weights, validation rows, orders and dropout. First weights and validation rows
        are scikit-learn's for the same number. None draws from the operating system.
    tol : float >= 0
        What counts as an improvement; with "lbfgs", the tolerance of the gradient.
    verbose : bool or int
        Whether to print each epoch's loss.
    warm_start : bool
        Whether ``fit`` goes on from the last call.
    momentum : float in [0, 1]
    nesterovs_momentum : bool
    early_stopping : bool
        Whether to hold out rows, stop by their score, and take the best epoch's weights.
    validation_fraction : float in [0, 1)
    beta_1, beta_2 : float in [0, 1)
    epsilon : float > 0
    n_iter_no_change : int or inf
        Patience: more epochs in a row without improvement end the training.
    max_fun : int >= 1
        For "lbfgs", evaluations of the loss.
    layers : list of layers, optional
        Hidden layers of :mod:`chainrule.nn`, in place of ``hidden_layer_sizes`` and ``activation``;
        the output layer is added.
    dropout : float in [0, 1) or a sequence
        Share of hidden units dropped in training, for all hidden layers or for each.
    batch_norm : bool
        Whether hidden layers are normalised over the batch, before their activation.
    monotonic_cst : sequence of {-1, 0, 1}, optional
        For each feature whether the output may only fall (-1) or rise (1) with it.
    clip_norm, clip_value : float > 0, optional
        The greatest norm of all gradients together; the greatest size of each element.
    scoring : str or callable, optional
        scikit-learn's scorer that early stopping goes by; by default R^2.
    time_limit : float > 0, optional
        Seconds, after which the training ends with an epoch; with "lbfgs", with an iteration.
    members : int >= 1
        Networks trained at once, whose mean is predicted; ``coefs_`` then have a leading axis.
    restarts : int >= 1
        Networks trained at once, of which the best by score, or else by loss, is kept.
    dtype : {"float32", "float64"}, optional
        What is computed in, and the type of the attributes. By default the element type of ``X``,
        but 1,000 float64 rows or more that are shuffled into batches are learned in float32 (see
        ``training_dtype_``), in half the time, and no less accurate; not where numbers in them are
        beyond a million or all below a millionth, or a setting is. What goes on, by ``warm_start``
        or ``partial_fit``, stays in its type. Attributes and predictions have the type of ``X``
        all the same.
    engine : {"native", "reference"}, optional
    quantile : float in (0, 1), or a rising sequence
        For ``loss="quantile"``; several are learned together, never cross, and are predicted as
        columns (n, levels).

    Attributes
    ----------
    coefs_, intercepts_ : list of arrays
        Weights (inputs, outputs) and biases of each linear layer.
    loss_ : float
        The last epoch's loss, with its penalty.
    best_loss_ : float or None
        The smallest; None if stopped by a score.
    loss_curve_ : list of float
    validation_scores_, best_validation_score_ : list of float, float, or None
        Of the validation rows, if there are any.
    history_ : dict of arrays
        By epoch: ``loss``, ``gradient_norm``, ``learning_rate`` and, if there are validation rows,
        ``validation_score``.
    n_iter_, t_ : int
        Epochs of the last call; rows seen in all calls.
    n_layers_, n_outputs_, n_features_in_ : int
    feature_names_in_ : array of str
    out_activation_ : str
    training_dtype_ : dtype
        What weights were moved in; see ``dtype``.
    other_arrays_ : dict
        What layers other than linear ones own or carry, such as batch norm's.
    network_ : chainrule.Network
        The fitted network.

    Raises
    ------
    ParameterError, DataError
        From ``fit``, for settings out of their range and for rows that cannot be learned from.

    References
    ----------
    G. Hinton 1989, Connectionist learning procedures; D. Kingma and J. Ba 2015, Adam: a method for
    stochastic optimization; D. Nix and A. Weigend 1994, Estimating the mean and variance of the
    target probability distribution.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from chainrule.estimators import MLPRegressor
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=1)
    >>> model = MLPRegressor(max_iter=2000, tol=0.1, random_state=1).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    loss: Any = "squared_error"
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    quantile: Any = setting(Sequence(FRACTION), 0.5)

    @all_or_nothing
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : (n, features) array_like or sparse matrix
        y : (n,) or (n, targets) array_like
        sample_weight : (n,) array_like, optional
        X_val, y_val, sample_weight_val : optional
            Validation rows of your own; the training stops by them, as with ``early_stopping``.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(_is_stochastic)
    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on for one epoch over these rows.

        Parameters
        ----------
        X : (n, features) array_like or sparse matrix
        y : (n,) or (n, targets) array_like
        sample_weight : (n,) array_like, optional
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The prediction for each row: (n,), or (n, targets), or (n, levels) for quantiles.

        Parameters
        ----------
        X : (n, features) array_like or sparse matrix
        return_std : bool
            Whether to give the standard deviation too, of ``loss="gaussian_nll"`` or of several
            ``members``, or of both together.
        """
        output = self._output(X)
        each = output if output.ndim == 3 else output[None]
        means, variances = self._moments(each)
        mean = _squeezed(means.mean(axis=0))
        if not return_std:
            return mean
        if variances is None and len(each) == 1:
            raise ParameterError(
                'return_std needs loss="gaussian_nll" or members > 1: nothing else says how sure'
                " the network is"
            )
        total = means.var(axis=0) + (0.0 if variances is None else variances.mean(axis=0))
        return mean, _squeezed(np.sqrt(total))

    def _moments(self, each: Array) -> tuple[Array, Array | None]:
        """Means and variances that members predict, (members, n, targets)."""
        if not isinstance(self._loss, GaussianNLL):
            return each, None
        targets = each.shape[2] // 2
        with np.errstate(over="ignore"):
            return each[..., :targets], np.exp(each[..., targets:])

    # Targets

    def _validated(self, X: Any, y: Any, first: bool, incremental: bool) -> tuple[Any, Array]:
        X, y = self._checked(X, y, reset=first, finite=False)  # `as_trained` looks
        return X, self._encoded(y)

    def _encoded(self, y: Any) -> Array:
        array = np.asarray(y)
        column = array[:, None] if array.ndim == 1 else array
        return self._loss.check_targets(column, self._goal(column.shape[1]).outputs)

    def _decoded(self, y: Array) -> Any:
        return _squeezed(y)

    # What is minimised

    @property
    def _loss(self) -> Loss:
        if isinstance(self.loss, str) and self.loss == "quantile":
            levels = Sequence(FRACTION).accept(self.quantile)
            if any(low >= high for low, high in pairwise(levels)):
                raise ParameterError(f"quantile must be levels that rise, got {self.quantile!r}")
            return Quantiles(levels) if len(levels) > 1 else losses.Quantile(levels[0])
        return losses.get(self.loss)

    def _goal(self, outputs: int) -> Goal:
        loss = self._loss
        if isinstance(loss, Quantiles):
            if outputs > 1:
                raise ParameterError("several quantiles need a single target")
            crossing = [Function(NeverCrossing(), name="quantiles")]
            return Goal(loss, 1.0, 1.0, len(loss.levels), "identity", crossing)
        ending = [Activation(Exp(), name="exp")] if loss.positive else []
        units = outputs * (2 if isinstance(loss, GaussianNLL) else 1)
        # scikit-learn's gradients are those of half the sum over targets, its losses their mean
        halved = isinstance(loss, SquaredError)
        scale, per_target = outputs * (0.5 if halved else 1.0), outputs if halved else 1.0
        return Goal(loss, scale, per_target, units, "exp" if ending else "identity", ending)

    def _score_of(self, output: Array, y: Array, weights: Array | None) -> float:
        means, _ = self._moments(output[None])
        middle = means[0] if means.shape[2] == y.shape[1] else np.median(means[0], 1, keepdims=True)
        return scores.r_squared(middle, y, weights)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _squeezed(columns: Array) -> Array:
    return columns[:, 0] if columns.ndim == 2 and columns.shape[1] == 1 else columns
