"""Rates per element from the sizes of past gradients: Adagrad, Adadelta, RMSProp."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

from chainrule import ops
from chainrule.optim.base import Optimizer, Slots, average, scaled
from chainrule.optim.schedules import RATE, Schedule
from chainrule.optim.settings import FLAG, FROM_ZERO, UNIT, setting
from chainrule.records import dataclass


@dataclass(frozen=True)
class Adagrad(Optimizer):
    r"""Gradient descent with each element's rate divided by the norm of all its past gradients.

    .. math::
        s \leftarrow s + g^2, \qquad
        \theta \leftarrow \theta - \frac{\eta}{1 + \delta (t - 1)} \frac{g}{\sqrt{s} + \epsilon}

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    learning_rate_decay : float >= 0
        :math:`\delta`.
    initial_accumulator_value : float >= 0
        The first :math:`s`.
    epsilon : float >= 0
        Keeps the division finite; with 0, an element whose gradient was always 0 becomes NaN.
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    References
    ----------
    Duchi, Hazan, Singer (2011), Adaptive subgradient methods for online learning and stochastic
    optimization, figure 1 with diagonal matrices.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = Adagrad(0.5), np.array([1.0, 100.0])
    >>> x, state = optimizer.update(x, 2 * x, optimizer.init(x))
    >>> x.round(6)
    array([ 0.5, 99.5])
    """

    learning_rate: float | Schedule = setting(RATE, 1e-2)
    _: KW_ONLY
    learning_rate_decay: float = setting(FROM_ZERO, 0.0)
    initial_accumulator_value: float = setting(FROM_ZERO, 0.0)
    epsilon: float = setting(FROM_ZERO, 1e-10)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The sum of squares."""
        return {"squares": ops.full_like(parameter, self.initial_accumulator_value)}

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step at each element's own rate."""
        squares = slots["squares"] + gradient * gradient
        rate = rate / (1.0 + (step - 1.0) * self.learning_rate_decay)
        direction = gradient / (ops.sqrt(squares) + self.epsilon)
        return parameter - scaled(direction, rate), {"squares": squares}


@dataclass(frozen=True)
class Adadelta(Optimizer):
    r"""Steps in the units of the parameter: past steps over past gradients.

    .. math::
        s \leftarrow \rho s + (1 - \rho) g^2, \qquad
        \Delta = \frac{\sqrt{u + \epsilon}}{\sqrt{s + \epsilon}}\, g, \qquad
        u \leftarrow \rho u + (1 - \rho) \Delta^2, \qquad
        \theta \leftarrow \theta - \eta \Delta

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    rho : float in [0, 1]
        How much of the averages is kept at each step.
    epsilon : float >= 0
        Starts the steps, and keeps the division finite.
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    References
    ----------
    Zeiler (2012), Adadelta: an adaptive learning rate method, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = Adadelta(epsilon=1e-2), np.array(1.0)
    >>> x, state = optimizer.update(x, 2 * x, optimizer.init(x))
    >>> print(x.round(6))
    0.687652
    """

    learning_rate: float | Schedule = setting(RATE, 1.0)
    _: KW_ONLY
    rho: float = setting(UNIT, 0.9)
    epsilon: float = setting(FROM_ZERO, 1e-6)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """Mean squares of gradients and of steps."""
        return {"squares": ops.zeros_like(parameter), "steps": ops.zeros_like(parameter)}

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step in the parameter's units."""
        squares = average(slots["squares"], gradient * gradient, self.rho)
        steps = slots["steps"]
        delta = ops.sqrt(steps + self.epsilon) / ops.sqrt(squares + self.epsilon) * gradient
        steps = average(steps, delta * delta, self.rho)
        return parameter - scaled(delta, rate), {"squares": squares, "steps": steps}


@dataclass(frozen=True)
class RMSProp(Optimizer):
    r"""Gradient descent with each element divided by the root mean square of recent gradients.

    .. math::
        s \leftarrow \alpha s + (1 - \alpha) g^2, \qquad
        v \leftarrow \mu v + \frac{g}{\sqrt{s} + \epsilon}, \qquad
        \theta \leftarrow \theta - \eta v

    If centered, :math:`s - m^2` takes the place of :math:`s`, with :math:`m` the average of the
    gradients: the variance instead of the mean square.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    alpha : float in [0, 1]
        How much of the averages is kept at each step.
    epsilon : float >= 0
        Keeps the division finite.
    momentum : float >= 0
    centered : bool
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    Notes
    -----
    Rounding can make the variance negative; it counts as 0, where PyTorch's update is NaN.

    References
    ----------
    Tieleman, Hinton (2012), Lecture 6.5: rmsprop. Graves (2013), Generating sequences with
    recurrent neural networks, equations 38 to 41, for the centered form.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = RMSProp(0.1), np.array([1.0, 100.0])
    >>> x, state = optimizer.update(x, 2 * x, optimizer.init(x))
    >>> x.round(6)
    array([ 0., 99.])
    """

    learning_rate: float | Schedule = setting(RATE, 1e-2)
    _: KW_ONLY
    alpha: float = setting(UNIT, 0.99)
    epsilon: float = setting(FROM_ZERO, 1e-8)
    momentum: float = setting(FROM_ZERO, 0.0)
    centered: bool = setting(FLAG, False)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The mean square; the mean, if centered; the velocity, if there is momentum."""
        names = ["squares"] + ["mean"] * self.centered + ["velocity"] * bool(self.momentum)
        return {name: ops.zeros_like(parameter) for name in names}

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step along the gradient over its size."""
        squares = average(slots["squares"], gradient * gradient, self.alpha)
        kept, spread = {"squares": squares}, squares
        if self.centered:
            kept["mean"] = average(slots["mean"], gradient, self.alpha)
            spread = ops.maximum(squares - kept["mean"] * kept["mean"], 0.0)
        direction = gradient / (ops.sqrt(spread) + self.epsilon)
        if self.momentum:
            direction = kept["velocity"] = self.momentum * slots["velocity"] + direction
        return parameter - scaled(direction, rate), kept
