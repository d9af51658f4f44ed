"""Losses: what a prediction costs, row by row, as graph.

Each is written in its plain form. On probabilities (``probabilities=True``: the output of a
sigmoid or softmax) they take ``log(p)``; simplification then finds the form that never computes
the probability. No loss knows of activations' internals, no activation of losses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np

from chainrule import ops
from chainrule.errors import ParameterError, ShapeError, unknown_name
from chainrule.graph.node import Node
from chainrule.nn import serialization, targets
from chainrule.nn.activations import ActivationFunction, Identity, Sigmoid, Softmax
from chainrule.nn.targets import NONNEGATIVE, POSITIVES, PROBABILITIES, REALS, Domain
from chainrule.optim.settings import FRACTION, POSITIVE, Settings, setting
from chainrule.records import dataclass
from chainrule.shapes import INT64, Array, Dtype, as_array


class Loss(Settings, ABC):
    """A loss: ``loss(prediction, target)`` is a scalar, the mean over rows.

    Attributes
    ----------
    name : str
        As in ``fit(loss=...)``.
    domain : Domain
        The values that targets may have.
    activation : type of ActivationFunction, or None
        The output activation whose probabilities the loss can take instead of logits.
    positive : bool
        Whether predictions must be above 0, so that the network must end in ``Exp`` or
        ``Softplus``.
    """

    name: ClassVar[str]
    domain: ClassVar[Domain]
    activation: ClassVar[type[ActivationFunction] | None]
    positive: ClassVar[bool]

    def __init_subclass__(
        cls,
        name: str,
        domain: Domain = REALS,
        activation: type[ActivationFunction] | None = None,
        positive: bool = False,
    ) -> None:
        cls.name, cls.domain = name, domain
        cls.activation, cls.positive = activation, positive

    @abstractmethod
    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        """The loss of each element, or of each row, for a target that is :meth:`aligned`."""

    def aligned(self, prediction: Any, target: Any) -> Any:
        """``target`` in the shape that ``prediction`` asks for; nothing is broadcast.

        Raises
        ------
        ShapeError
            If it has another shape.
        """
        *rows, n_out = ops.shape_of(prediction)
        wanted = (*rows, self.target_width(n_out)) if rows else (n_out,)
        given = ops.shape_of(target)
        if wanted not in (given, (*given, 1)):
            raise ShapeError(
                f"{self.name} of these predictions needs targets {wanted}, got {given}"
            )
        return target if given == wanted else ops.reshape(target, wanted)

    def per_row(self, prediction: Any, target: Any, probabilities: bool = False) -> Any:
        """The loss of each row, (ROWS,): the mean over the row's elements.

        Parameters
        ----------
        prediction : (ROWS, n_out) node or array
        target : as :meth:`prepare` gives it
        probabilities : bool
            Whether the prediction is the output of a sigmoid or softmax.

        Raises
        ------
        ShapeError
            If the shapes do not fit.
        """
        found = self.element(prediction, self.aligned(prediction, target), probabilities)
        axes = tuple(range(1, len(ops.shape_of(found))))
        return ops.mean(found, axis=axes) if axes else found

    def __call__(
        self, prediction: Any, target: Any, weights: Any = None, probabilities: bool = False
    ) -> Any:
        """The mean over rows, weighted by ``weights`` (ROWS,) and divided by their sum."""
        if weights is not None:
            return weighted_mean(self.per_row(prediction, target, probabilities), weights)
        return ops.mean(self.element(prediction, self.aligned(prediction, target), probabilities))

    # What a network asks before training

    def target_width(self, n_out: int) -> int:
        """How many columns targets have for ``n_out`` outputs.

        Raises
        ------
        ShapeError
            If the loss cannot take that many outputs.
        """
        return n_out

    def check_output(self, n_out: int, activation: Any | None = None) -> bool:
        """Whether the output counts as probabilities, after checking that the loss can take it.

        Parameters
        ----------
        n_out : int
            Columns of the output.
        activation : ActivationFunction or callable, optional
            What the network ends in.

        Raises
        ------
        ShapeError, ParameterError
            If the number of outputs or the activation does not fit.
        """
        self.target_width(n_out)
        own = activation is not None and not isinstance(activation, ActivationFunction)
        known = activation if isinstance(activation, ActivationFunction) else Identity()
        if self.positive and not known.positive and not own:
            raise ParameterError(
                f"{self.name} needs predictions above 0: let the network end in"
                " Activation('exp') or Activation('softplus')"
            )
        if self.activation and known.probabilities and not isinstance(known, self.activation):
            raise ParameterError(
                f"{self.name} needs logits or {self.activation.__name__}, and the network ends in"
                f" {type(known).__name__}: change the loss or the last activation"
            )
        return self.activation is not None and known.probabilities

    def check_targets(self, y: Any, n_out: int) -> Array:
        """``y`` as an array whose shape and values fit ``n_out`` outputs.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If it does not fit, naming the place.
        """
        found = targets.columns(y, self.target_width(n_out), self.name)
        return targets.check_values(found, self.domain, self.name)

    def prepare(self, y: Any, n_out: int, dtype: Dtype) -> Array:
        """Targets as the graph takes them: (n, width) in the network's element type."""
        return targets.as_floats(self.check_targets(y, n_out), dtype, self.name)


def weighted_mean(rows: Any, weights: Any) -> Any:
    """sum(weights rows) / sum(weights), and 0 if all weights are 0; both (ROWS,)."""
    total = ops.sum(weights)
    return ops.sum(weights * rows) / ops.where(ops.greater(total, 0), total, 1)


def _log(probability: Any) -> Any:
    """The logarithm; of arrays, which no simplification will see, at least that of the smallest."""
    if isinstance(probability, Node):
        return ops.log(probability)
    found = as_array(probability)
    return ops.log(np.maximum(found, np.finfo(ops.log(found).dtype).tiny))


class SquaredError(Loss, name="squared_error"):
    """(prediction - target)^2, without 1/2."""

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        return ops.square(ops.subtract(prediction, target))


class AbsoluteError(Loss, name="absolute_error"):
    """|prediction - target|, which the median makes smallest."""

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        return ops.abs(ops.subtract(prediction, target))


@dataclass(frozen=True)
class Huber(Loss, name="huber"):
    """e^2 / 2 for an error |e| <= delta, beyond it delta (|e| - delta / 2) (Huber 1964)."""

    delta: float = setting(POSITIVE, 1.0)

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        size = ops.abs(ops.subtract(prediction, target))
        near = ops.minimum(size, self.delta)
        return near * (size - 0.5 * near)


@dataclass(frozen=True)
class Quantile(Loss, name="quantile"):
    """level (y - p) where the target y is above the prediction p, else (1 - level) (p - y).

    The ``level`` quantile makes it smallest (Koenker and Bassett 1978).
    """

    level: float = setting(FRACTION, 0.5)

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        error = ops.subtract(target, prediction)
        return ops.maximum(self.level * error, (self.level - 1) * error)


class Poisson(Loss, name="poisson", domain=NONNEGATIVE, positive=True):
    """p - y + y log(y / p): half the Poisson deviance of a mean p, as in scikit-learn."""

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        counted = ops.where(ops.greater(target, 0), target, 1.0)  # 0 log 0 is 0
        return prediction - target + target * (ops.log(counted) - ops.log(prediction))


class Gamma(Loss, name="gamma", domain=POSITIVES, positive=True):
    """log(p / y) + y / p - 1: half the gamma deviance of a mean p, as in scikit-learn."""

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        ratio = ops.divide(target, prediction)
        return ops.log(prediction) - ops.log(target) + ratio - 1.0


class Hinge(Loss, name="hinge"):
    """max(0, 1 - y p) for classes y = -1 and 1, which may be given as 0 and 1."""

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        return ops.relu(1.0 - ops.multiply(target, prediction))

    def check_targets(self, y: Any, n_out: int) -> Array:
        """``y`` as -1 and 1, which 0 and 1 become."""
        return targets.plus_minus_one(targets.columns(y, n_out, self.name), self.name)


class GaussianNLL(Loss, name="gaussian_nll"):
    """(log v + (y - m)^2 / v) / 2: a normal's negative log-likelihood, without log(2 pi) / 2.

    Of an even number of outputs the first half are means m, the second half log-variances log v
    (Nix and Weigend 1994).
    """

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        """The loss of each target, (ROWS, n_out / 2)."""
        width = self.target_width(ops.shape_of(prediction)[-1])
        mean = ops.getitem(prediction, (..., slice(width)))
        log_variance = ops.getitem(prediction, (..., slice(width, None)))
        error = mean - target
        return 0.5 * (log_variance + error * error * ops.exp(-log_variance))

    def target_width(self, n_out: int) -> int:
        """Half of the outputs, whose number must be even."""
        if n_out % 2:
            raise ShapeError(
                f"{self.name} needs a mean and a log-variance for each target, an even number of"
                f" outputs, and the network gives {n_out}"
            )
        return n_out // 2


class BinaryCrossEntropy(
    Loss, name="binary_cross_entropy", domain=PROBABILITIES, activation=Sigmoid
):
    """-y log p - (1 - y) log(1 - p), each output by itself; p is sigmoid(z) for logits z."""

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        if probabilities:
            log_p, log_not_p = _log(prediction), _log(1.0 - prediction)
        else:
            log_p, log_not_p = ops.log_sigmoid(prediction), ops.log_sigmoid(-prediction)
        return -(target * log_p + (1.0 - target) * log_not_p)


class CrossEntropy(Loss, name="cross_entropy", activation=Softmax):
    """-sum over classes of y log p; p is softmax(z) for logits z.

    Targets are labels (n,), whole numbers from 0, or rows of probabilities (n, classes).
    """

    def aligned(self, prediction: Any, target: Any) -> Any:
        """One-hot rows for labels; rows as they are."""
        *rows, classes = ops.shape_of(prediction)
        if rows and ops.shape_of(target) == tuple(rows):
            return ops.one_hot(target, self.target_width(classes), ops.dtype_of(prediction))
        return super().aligned(prediction, target)

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        """The loss of each row, (ROWS,)."""
        log_p = _log(prediction) if probabilities else ops.log_softmax(prediction)
        return -ops.sum(target * log_p, axis=-1)

    def target_width(self, n_out: int) -> int:
        """A column for each class, of which there must be two or more."""
        if n_out < 2:
            raise ShapeError(
                f"{self.name} needs an output for each of two or more classes, and the network"
                f" gives {n_out}; use binary_cross_entropy, or {max(2, n_out + 1)} outputs"
            )
        return n_out

    def check_targets(self, y: Any, n_out: int) -> Array:
        """(n,) labels below ``n_out``, or (n, n_out) rows that sum to 1."""
        array, classes = as_array(y), self.target_width(n_out)
        if array.ndim == 1:
            return targets.class_labels(array, classes, self.name)
        return targets.class_probabilities(array, classes, self.name)

    def prepare(self, y: Any, n_out: int, dtype: Dtype) -> Array:
        """(n,) int64 labels, or (n, n_out) rows in the network's element type."""
        found = self.check_targets(y, n_out)
        return found if found.ndim == 1 else found.astype(dtype)


@dataclass(frozen=True)
class Custom(Loss, name="custom"):
    """A function ``loss(prediction, target)`` of the user's own.

    Parameters
    ----------
    function : callable
        Gives a node for each element, for each row (ROWS,), or one scalar; a scalar cannot be
        weighted by rows.
    """

    function: Callable[[Any, Any], Any]

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        """What the function gives: for each element, for each row, or one scalar."""
        return self.function(prediction, target)

    def aligned(self, prediction: Any, target: Any) -> Any:
        """``target`` as it is: the function knows what it needs."""
        return target

    def per_row(self, prediction: Any, target: Any, probabilities: bool = False) -> Any:
        """The loss of each row, (ROWS,); one scalar is a :class:`~chainrule.errors.ShapeError`."""
        found = super().per_row(prediction, target)
        if not ops.shape_of(found):
            raise ShapeError(
                f"{self._called} gives one number for all rows; to be weighted it must give one"
                " for each row"
            )
        return found

    def check_targets(self, y: Any, n_out: int) -> Array:
        """``y`` as finite numbers: labels (n,), or a column for each output."""
        array = as_array(y)
        if array.ndim == 1 and n_out > 1 and array.dtype.kind in "biu":
            return targets.check_values(array, REALS, self._called)
        return targets.check_values(
            targets.columns(array, n_out, self._called), REALS, self._called
        )

    def prepare(self, y: Any, n_out: int, dtype: Dtype) -> Array:
        """Integer labels (n,) where there are more outputs than one, else (n, n_out) floats."""
        found = self.check_targets(y, n_out)
        return found.astype(INT64 if found.ndim == 1 else dtype)

    @property
    def _called(self) -> str:
        return f"loss {getattr(self.function, '__name__', self.function)!r}"


LOSSES: Final[dict[str, type[Loss]]] = {
    kind.name: kind
    for kind in (
        SquaredError, AbsoluteError, Huber, Quantile, Poisson, Gamma, Hinge, GaussianNLL,
        BinaryCrossEntropy, CrossEntropy,
    )
}  # fmt: skip
KINDS: Final[serialization.Kinds] = {kind.__name__: kind for kind in LOSSES.values()}


def get(loss: Any) -> Loss:
    """The loss of a name or of a file's description; losses as they are, callables as a loss.

    Raises
    ------
    UnknownNameError
        If there is no loss of that name.
    ParameterError
        If it is neither a name, a loss nor callable.

    Examples
    --------
    >>> get("huber")
    Huber(delta=1.0)
    >>> get("hubr")
    Traceback (most recent call last):
        ...
    chainrule.errors.UnknownNameError: unknown loss 'hubr'; did you mean 'huber'? ...
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, dict):
        found: Loss = serialization.decode(loss, KINDS, "loss")
        return found
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise unknown_name("loss", loss, LOSSES)
        return LOSSES[loss]()
    if not callable(loss) or isinstance(loss, type):
        raise ParameterError(
            f"a loss is a name, a record such as Huber(2.0), or a function of"
            f" prediction and target, got {loss!r}"
        )
    return Custom(loss)
