"""Adam and its relatives: averages of the gradient and of its size, corrected for their start."""

from __future__ import annotations

from abc import ABC
from dataclasses import KW_ONLY
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.optim.base import Optimizer, Slots, average, scaled
from chainrule.optim.schedules import RATE, Schedule
from chainrule.optim.settings import BELOW_ONE, FLAG, FROM_ZERO, Pair, setting
from chainrule.records import dataclass

BETAS = Pair(BELOW_ONE, BELOW_ONE)


@dataclass(frozen=True)
class MomentOptimizer(Optimizer, ABC):
    """What Adam and its relatives share: two averages, and a number that keeps divisions finite.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    betas : pair of floats in [0, 1)
        How much of the average gradient, and of its average size, is kept at each step.
    epsilon : float >= 0
        Keeps the division finite; with 0, an element whose gradient was always 0 becomes NaN.
    """

    _: KW_ONLY
    betas: tuple[float, float] = setting(BETAS, (0.9, 0.999))
    epsilon: float = setting(FROM_ZERO, 1e-8)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The first and the second moment."""
        return {"first": ops.zeros_like(parameter), "second": ops.zeros_like(parameter)}

    def moments(self, gradient: Any, slots: Slots) -> dict[str, Any]:
        """The averages of the gradient and of its square, this step included."""
        return {
            "first": average(slots["first"], gradient, self.betas[0]),
            "second": average(slots["second"], gradient * gradient, self.betas[1]),
        }

    def filled(self, step: Any) -> tuple[Any, Any]:
        """``1 - beta ** step`` for both betas: the share of an average that is not its start."""
        return 1.0 - self.betas[0] ** step, 1.0 - self.betas[1] ** step


@dataclass(frozen=True)
class Adam(MomentOptimizer):
    r"""Steps of about the rate's size in every element, along the average gradient.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
        \theta \leftarrow \theta - \eta \,
            \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    betas : pair of floats in [0, 1)
    epsilon : float >= 0
        Added outside the square root.
    amsgrad : bool
        Divides by the largest :math:`v` so far (slot ``largest``), so that rates never grow.
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    References
    ----------
    Kingma, Ba (2015), Adam: a method for stochastic optimization, algorithm 1. Reddi, Kale,
    Kumar (2018), On the convergence of Adam and beyond, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = Adam(0.1), np.array([1.0, 100.0])
    >>> x, state = optimizer.update(x, 2 * x, optimizer.init(x))
    >>> x.round(6)
    array([ 0.9, 99.9])
    """

    learning_rate: float | Schedule = setting(RATE, 1e-3)
    _: KW_ONLY
    amsgrad: bool = setting(FLAG, False)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The moments, and for amsgrad the largest second moment."""
        largest = {"largest": ops.zeros_like(parameter)} if self.amsgrad else {}
        return super().slots(parameter) | largest

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step along the first moment over the root of the second."""
        kept = self.moments(gradient, slots)
        square = kept["second"]
        if self.amsgrad:
            square = kept["largest"] = ops.maximum(slots["largest"], square)
        first_filled, second_filled = self.filled(step)
        size = scaled(ops.sqrt(square), second_filled**-0.5) + self.epsilon
        return parameter - scaled(kept["first"] / size, rate / first_filled), kept


@dataclass(frozen=True)
class AdamW(Adam):
    """``Adam`` with decoupled weight decay, 0.01.

    References
    ----------
    Loshchilov, Hutter (2019), Decoupled weight decay regularization, algorithm 2.

    Examples
    --------
    >>> AdamW(0.1).weight_decay, AdamW(0.1).decoupled_weight_decay
    (0.01, True)
    """

    _: KW_ONLY
    weight_decay: float = setting(FROM_ZERO, 1e-2)
    decoupled_weight_decay: bool = setting(FLAG, True)


@dataclass(frozen=True)
class Adamax(MomentOptimizer):
    r"""Adam with the largest recent gradient in place of the root mean square.

    .. math::
        u \leftarrow \max(\beta_2 u, |g| + \epsilon), \qquad
        \theta \leftarrow \theta - \frac{\eta}{1 - \beta_1^t} \frac{m}{u}

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    betas : pair of floats in [0, 1)
    epsilon : float >= 0
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    References
    ----------
    Kingma, Ba (2015), Adam: a method for stochastic optimization, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = Adamax(0.1), np.array([1.0, 100.0])
    >>> x, state = optimizer.update(x, 2 * x, optimizer.init(x))
    >>> x.round(6)
    array([ 0.9, 99.9])
    """

    learning_rate: float | Schedule = setting(RATE, 2e-3)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The first moment and the largest recent gradient."""
        return {"first": ops.zeros_like(parameter), "largest": ops.zeros_like(parameter)}

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step along the first moment over the largest recent gradient."""
        first = average(slots["first"], gradient, self.betas[0])
        recent = self.betas[1] * slots["largest"]
        largest = ops.maximum(recent, ops.abs(gradient) + self.epsilon)
        move = scaled(first / largest, rate / self.filled(step)[0])
        return parameter - move, {"first": first, "largest": largest}


@dataclass(frozen=True)
class NAdam(MomentOptimizer):
    r"""Adam with Nesterov's momentum, which grows during training.

    .. math::
        \mu_t = \beta_1 (1 - \tfrac12\, 0.96^{\,t \psi}), \qquad
        \theta \leftarrow \theta - \frac{\eta}{\sqrt{v / (1 - \beta_2^t)} + \epsilon} \left(
            \frac{(1 - \mu_t)\, g}{1 - \prod_{i \le t} \mu_i} +
            \frac{\mu_{t+1}\, m}{1 - \prod_{i \le t+1} \mu_i} \right)

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    betas : pair of floats in [0, 1)
    epsilon : float >= 0
    momentum_decay : float >= 0
        :math:`\psi`.
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    References
    ----------
    Dozat (2016), Incorporating Nesterov momentum into Adam, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = NAdam(0.1), np.array(1.0)
    >>> x, state = optimizer.update(x, 2 * x, optimizer.init(x))
    >>> print(x.round(4))
    0.8944
    """

    learning_rate: float | Schedule = setting(RATE, 2e-3)
    _: KW_ONLY
    momentum_decay: float = setting(FROM_ZERO, 4e-3)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The moments, and the product of all momenta so far, a float64 scalar."""
        return super().slots(parameter) | {"product": np.ones(())}

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step along the gradient and the first moment of the step to come."""
        kept = self.moments(gradient, slots)
        momentum, next_momentum = self._momentum(step), self._momentum(step + 1.0)
        product = kept["product"] = slots["product"] * momentum
        size = scaled(ops.sqrt(kept["second"]), self.filled(step)[1] ** -0.5) + self.epsilon
        now = rate * (1.0 - momentum) / (1.0 - product)
        ahead = rate * next_momentum / (1.0 - product * next_momentum)
        return parameter - (scaled(gradient, now) + scaled(kept["first"], ahead)) / size, kept

    def _momentum(self, step: Any) -> Any:
        return self.betas[0] * (1.0 - 0.5 * 0.96 ** (step * self.momentum_decay))


@dataclass(frozen=True)
class RAdam(MomentOptimizer):
    r"""Adam that trusts its second moment only once enough gradients are in it.

    .. math::
        \rho_\infty = \frac{2}{1 - \beta_2} - 1, \qquad
        \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \qquad
        r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\rho_\infty}
                         {(\rho_\infty - 4)(\rho_\infty - 2)\rho_t}}

    The step is :math:`\eta\, m / (1 - \beta_1^t)`; where :math:`\rho_t > 5`, it is multiplied by
    :math:`r_t \sqrt{1 - \beta_2^t} / (\sqrt{v} + \epsilon)`.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    betas : pair of floats in [0, 1)
        With a second beta up to 2/3, the second moment is never trusted.
    epsilon : float >= 0
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    References
    ----------
    Liu et al. (2020), On the variance of the adaptive learning rate and beyond, algorithm 2; the
    bound is 5, as in the authors' and PyTorch's code, not the paper's 4.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = RAdam(0.1), np.array(1.0)
    >>> x, state = optimizer.update(x, 2 * x, optimizer.init(x))
    >>> print(x.round(6))
    0.8
    """

    learning_rate: float | Schedule = setting(RATE, 1e-3)

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step along the first moment, rectified where the second can be trusted."""
        kept = self.moments(gradient, slots)
        first_filled, second_filled = self.filled(step)
        move = scaled(kept["first"], rate / first_filled)
        limit = 2.0 / (1.0 - self.betas[1]) - 1.0
        if limit > TRUSTED_LENGTH:
            length = limit - 2.0 * step * self.betas[1] ** step / second_filled
            factor = _rectification(length, limit) * second_filled**0.5
            rectified = scaled(move / (ops.sqrt(kept["second"]) + self.epsilon), factor)
            move = ops.where(length > TRUSTED_LENGTH, rectified, move)
        return parameter - move, kept


TRUSTED_LENGTH = 5.0  # gradients, in the length of the average that the second moment stands for


def _rectification(length: Any, limit: float) -> Any:
    """RAdam's r; the bound keeps the root real where the result is not used."""
    length = ops.maximum(length, TRUSTED_LENGTH)
    final = (limit - 4.0) * (limit - 2.0) / limit
    return ops.sqrt((length - 4.0) * (length - 2.0) / length / final)
