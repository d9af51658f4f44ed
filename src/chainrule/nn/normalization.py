"""Layers that bring values to mean 0 and variance 1: over the batch, or over each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.base import InputShape, Layer, Mode, Parameter, last_extent
from chainrule.nn.initializers import Constant, zeros
from chainrule.ops.functions import count
from chainrule.optim.settings import COUNT, FLAG, POSITIVE, UNIT, setting
from chainrule.records import dataclass
from chainrule.shapes import Array


class _Normalization(Layer):
    """What batch and layer normalisation share: gamma, beta, and the features they apply to."""

    n: int
    epsilon: float
    affine: bool

    def parameters(self) -> dict[str, Parameter]:
        if not self.affine:
            return {}
        return {"gamma": Parameter((self.n,), Constant(1.0)), "beta": Parameter((self.n,), zeros)}

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        return last_extent(self, self.n, input_shape, source)

    def _scaled(self, deviation: Any, variance: Any, parameters: Mapping[str, Any]) -> Any:
        """gamma deviation / sqrt(variance + epsilon) + beta."""
        y = deviation / ops.sqrt(variance + self.epsilon)
        return y * parameters["gamma"] + parameters["beta"] if self.affine else y


@dataclass(eq=False, repr=False)
class BatchNorm(_Normalization):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, feature by feature.

    In training mean and variance are the batch's (variance divided by the number of rows), and
    the running averages move towards them; in evaluation they are the running averages.

    Parameters
    ----------
    n : int >= 1
        Features: the extent of the last axis.
    momentum : float in [0, 1]
        The share of the new batch in the running averages, as in PyTorch.
    epsilon : float > 0
    affine : bool
        Whether gamma and beta are learned.
    name : str, optional

    Attributes
    ----------
    gamma, beta : (n,) arrays
    running_mean, running_var : (n,) arrays
        The latter of variances divided by the number of rows less 1.

    References
    ----------
    S. Ioffe and C. Szegedy 2015, Batch normalization, algorithms 1 and 2.
    """

    n: int = setting(COUNT)
    momentum: float = setting(UNIT, 0.1)
    epsilon: float = setting(POSITIVE, 1e-5)
    affine: bool = setting(FLAG, True)

    needs_batch_statistics: ClassVar[bool] = True

    def initial_state(self) -> dict[str, Array]:
        """``running_mean`` (n,), 0, and ``running_var`` (n,), 1."""
        return {"running_mean": np.zeros(self.n), "running_var": np.ones(self.n)}

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """The normalised rows, of the shape of ``x``; in training also the averages, moved."""
        if not mode.training:
            deviation = x - state["running_mean"]
            return self._scaled(deviation, state["running_var"], parameters), state
        axes = tuple(range(len(ops.shape_of(x)) - 1))
        rows = count(x, axes)
        if rows == 1:
            raise ShapeError(f"{self.label} needs at least two rows in training, got one")
        mean = ops.mean(x, axis=axes)
        deviation = x - mean
        variance = ops.mean(deviation * deviation, axis=axes)
        unbiased = variance * (rows / (rows - 1))
        return self._scaled(deviation, variance, parameters), {
            "running_mean": self._moved(state["running_mean"], mean),
            "running_var": self._moved(state["running_var"], unbiased),
        }

    def _moved(self, running: Any, batch: Any) -> Any:
        return running * (1 - self.momentum) + batch * self.momentum


@dataclass(eq=False, repr=False)
class LayerNorm(_Normalization):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, over the features of each row.

    Training and evaluation are the same; rows do not depend on each other.

    Parameters
    ----------
    n : int >= 1
        Features: the extent of the last axis.
    epsilon : float > 0
    affine : bool
        Whether gamma and beta are learned.
    name : str, optional

    References
    ----------
    J. L. Ba, J. R. Kiros and G. Hinton 2016, Layer normalization, equation 3.
    """

    n: int = setting(COUNT)
    epsilon: float = setting(POSITIVE, 1e-5)
    affine: bool = setting(FLAG, True)

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """The normalised rows, of the shape of ``x``."""
        deviation = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(deviation * deviation, axis=-1, keepdims=True)
        return self._scaled(deviation, variance, parameters), state
