"""What estimators minimise: scikit-learn's losses with their factors, and alpha / 2n |W|^2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.nn.base import Mode
from chainrule.nn.losses import Loss
from chainrule.shapes import Array
from chainrule.training.steps import Builder, Objective, Regularization, Rows

STRENGTH = "strength"  # what the penalty's alpha is called among the states


class WithStrength:
    """Layers, and the strength of the penalty as a number that is carried along.

    Parameters
    ----------
    layers : Builder
    """

    def __init__(self, layers: Builder) -> None:
        self.layers = layers
        self.penalized = layers.penalized
        self.with_penalized = layers.with_penalized

    def build(
        self, x: Any, parameters: Any, states: Any, mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """The output and the next states; the strength stays."""
        output, anew = self.layers.build(x, parameters, states, mode)
        return output, {**anew, STRENGTH: states[STRENGTH]}


@dataclass(frozen=True)
class Risk(Objective):
    """The weighted mean loss, ``scale`` times the loss's own, plus alpha / 2n |W|^2.

    n is the batch's rows, or the sum of their weights; alpha is the state :data:`STRENGTH`.
    """

    scale: float = 1.0

    def of(self, prediction: Any, rows: Rows) -> Any:
        return self.scale * super().of(prediction, rows)

    def build(
        self, model: Builder, inputs: Any, rows: Rows, mode: Mode
    ) -> tuple[Any, Any, Mapping[str, Any]]:
        loss, _, states = super().build(model, inputs, rows, mode)
        squares = [ops.sum(ops.square(w)) for w in model.penalized(inputs["parameters"])]
        half = 0.5 * inputs["states"][STRENGTH] / _total(rows)
        return loss, ops.astype(half, loss.dtype) * reduce(ops.add, squares), states


def _total(rows: Rows) -> Any:
    """The rows of a batch, or the sum of their weights; 1 if all are 0."""
    if rows.weights is None:
        return ops.astype(ops.row_count(), np.float64)
    total = ops.astype(ops.sum(rows.weights), np.float64)
    return ops.where(ops.greater(total, 0.0), total, 1.0)


@dataclass(frozen=True)
class Monotonic(Regularization):
    """Holds weights to signs that make the output monotonic in chosen features.

    In the first layer the weights of a feature have its sign, in all others they are not
    negative: with activations that never fall, neither does the output (H. Daniels and
    M. Velikova 2010, Monotone and partially monotone neural networks, section II).

    Attributes
    ----------
    signs : tuple of int
        For each feature 1 (rising), -1 (falling) or 0 (free).
    """

    signs: tuple[int, ...] = ()

    def project(self, weights: Sequence[Any]) -> list[Any]:
        """The nearest weights with the right signs."""
        return self._signed(weights, lambda weight: ops.maximum(weight, 0.0))

    def mirrored(self, weights: Sequence[Array]) -> list[Array]:
        """Weights of the right signs and of the same sizes: what a training starts from."""
        return self._signed(weights, np.abs)

    def _signed(self, weights: Sequence[Any], nonnegative: Any) -> list[Any]:
        first, *others = weights
        signs = np.array(self.signs, first.dtype)[:, None]
        free = np.broadcast_to(signs == 0, first.shape)
        held = ops.where(free, first, signs * nonnegative(signs * first))
        return [held, *map(nonnegative, others)]


@dataclass(frozen=True)
class Quantiles(Loss, name="quantiles"):
    """The quantile loss of several levels, one output for each (Koenker and Bassett 1978)."""

    levels: tuple[float, ...] = ()

    def element(self, prediction: Any, target: Any, probabilities: bool) -> Any:
        error = ops.subtract(target, prediction)
        levels = np.array(self.levels, ops.dtype_of(prediction))
        return ops.maximum(levels * error, (levels - 1) * error)

    def target_width(self, n_out: int) -> int:
        return 1


@dataclass(frozen=True)
class NeverCrossing:
    """Of n outputs the first is the lowest quantile, the others the steps to the next ones."""

    def __call__(self, x: Any) -> Any:
        """The quantiles, which never fall from one output to the next."""
        lowest = ops.getitem(x, (slice(None), slice(0, 1)))
        steps = ops.softplus(ops.getitem(x, (slice(None), slice(1, None))))
        return lowest + ops.concat([ops.zeros_like(lowest), ops.cumulative_sum(steps, axis=1)], 1)


@dataclass(frozen=True)
class Mirrored:
    """An activation f for every other unit, and -f(-x) for the rest.

    With weights that are not negative, ReLU alone could only give convex functions (D. Runje and
    S. Shankaranarayana 2023, Constrained monotonic neural networks, section 3.2).
    """

    function: Any
    width: int

    def __call__(self, x: Any) -> Any:
        """The activations, (ROWS, width)."""
        signs = np.where(np.arange(self.width) % 2, -1.0, 1.0).astype(x.dtype)
        return signs * self.function(signs * x)
