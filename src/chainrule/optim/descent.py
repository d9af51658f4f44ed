"""Gradient descent: plain, with momentum, averaged, and by the signs of the gradient alone."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

from chainrule import ops
from chainrule.errors import ParameterError
from chainrule.optim.base import Optimizer, Slots, scaled
from chainrule.optim.schedules import RATE, Schedule
from chainrule.optim.settings import (
    ABOVE_ONE,
    FLAG,
    FRACTION,
    FROM_ZERO,
    POSITIVE,
    Pair,
    setting,
)
from chainrule.records import dataclass


@dataclass(frozen=True)
class SGD(Optimizer):
    r"""Gradient descent, stochastic when the gradient is a batch's, with optional momentum.

    .. math:: v \leftarrow \mu v + (1 - d)\, g, \qquad \theta \leftarrow \theta - \eta v

    with rate :math:`\eta`, momentum :math:`\mu` and dampening :math:`d`. The first velocity is
    the gradient itself. Nesterov's variant steps along :math:`g + \mu v`.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    momentum : float >= 0
    dampening : float >= 0
    nesterov : bool
        Needs a momentum and no dampening.
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    Raises
    ------
    ParameterError
        If a setting is out of its range.

    References
    ----------
    Polyak (1964), Some methods of speeding up the convergence of iteration methods. Sutskever,
    Martens, Dahl, Hinton (2013), On the importance of initialization and momentum in deep
    learning, equations 1 to 4; the rate is applied to the velocity, as PyTorch does.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = SGD(0.1, momentum=0.5), np.array(1.0)
    >>> state = optimizer.init(x)
    >>> for _ in range(2):
    ...     x, state = optimizer.update(x, 2 * x, state)
    >>> x
    array(0.54)
    """

    learning_rate: float | Schedule = setting(RATE, 1e-3)
    momentum: float = setting(FROM_ZERO, 0.0)
    _: KW_ONLY
    dampening: float = setting(FROM_ZERO, 0.0)
    nesterov: bool = setting(FLAG, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ParameterError(
                f"{type(self).__name__}: nesterov needs momentum > 0 and dampening = 0, "
                f"got momentum={self.momentum} and dampening={self.dampening}"
            )

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The velocity, if there is momentum."""
        return {"velocity": ops.zeros_like(parameter)} if self.momentum else {}

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step along the velocity."""
        if not self.momentum:
            return parameter - scaled(gradient, rate), {}
        velocity = self.momentum * slots["velocity"] + (1.0 - self.dampening) * gradient
        if self.dampening:
            velocity = ops.where(ops.equal(step, 1.0), gradient, velocity)
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameter - scaled(direction, rate), {"velocity": velocity}


@dataclass(frozen=True)
class Momentum(SGD):
    """``SGD`` with momentum 0.9.

    >>> Momentum(0.1).momentum, Momentum(0.1, 0.5).momentum
    (0.9, 0.5)
    """

    momentum: float = setting(FROM_ZERO, 0.9)


@dataclass(frozen=True)
class Nesterov(SGD):
    """``SGD`` with Nesterov's momentum, 0.9.

    >>> Nesterov(0.1).nesterov
    True
    """

    momentum: float = setting(FROM_ZERO, 0.9)
    _: KW_ONLY
    nesterov: bool = setting(FLAG, True)


@dataclass(frozen=True)
class ASGD(Optimizer):
    r"""Averaged stochastic gradient descent: a decaying rate, and the mean of late parameters.

    .. math::
        \eta_t = \frac{\eta}{(1 + \lambda \eta (t - 1))^{\alpha}}, \qquad
        \theta_t = (1 - \lambda \eta_t)\, \theta_{t-1} - \eta_t g_t, \qquad
        a_t = a_{t-1} + \frac{\theta_t - a_{t-1}}{\max(1, t - 1 - t_0)}

    The averaged parameters :math:`a` are the slot ``average``; training goes on with the others.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
        With a schedule, :math:`\eta` is the rate of the step at hand (PyTorch's is that of the
        step before).
    lambd : float >= 0
        Decay of parameters and rate.
    alpha : float >= 0
        Power of the rate's decay.
    t0 : float >= 0
        Steps before averaging begins; until then the average is the parameter itself.
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    References
    ----------
    Polyak, Juditsky (1992), Acceleration of stochastic approximation by averaging. Bottou (2010),
    Large-scale machine learning with stochastic gradient descent, section 5.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = ASGD(0.1, lambd=0.0, t0=0.0), np.array(1.0)
    >>> state = optimizer.init(x)
    >>> for _ in range(3):
    ...     x, state = optimizer.update(x, np.array(1.0), state)
    >>> print(x.round(6), state["slots"]["average"].round(6))
    0.7 0.75
    """

    learning_rate: float | Schedule = setting(RATE, 1e-2)
    _: KW_ONLY
    lambd: float = setting(FROM_ZERO, 1e-4)
    alpha: float = setting(FROM_ZERO, 0.75)
    t0: float = setting(FROM_ZERO, 1e6)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The average."""
        return {"average": ops.zeros_like(parameter)}

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step at the decayed rate, and one of the average towards it."""
        rate = rate / (1.0 + self.lambd * rate * (step - 1.0)) ** self.alpha
        parameter = scaled(parameter, 1.0 - self.lambd * rate) - scaled(gradient, rate)
        share = 1.0 / ops.maximum(step - 1.0 - self.t0, 1.0)
        average = slots["average"] + scaled(parameter - slots["average"], share)
        return parameter, {"average": average}


@dataclass(frozen=True)
class Rprop(Optimizer):
    r"""Resilient backpropagation: each element has its own step; only gradients' signs count.

    .. math::
        \Delta \leftarrow \mathrm{clip}(\Delta \cdot \{\eta_+ \text{ if } g\,g' > 0,\;
        \eta_- \text{ if } g\,g' < 0,\; 1 \text{ otherwise}\}), \qquad
        \theta \leftarrow \theta - \Delta\, \mathrm{sign}(g)

    where :math:`g'` is the gradient before. Where the sign has changed, the element rests for a
    step and :math:`g` counts as 0. Meant for full-batch gradients.

    Parameters
    ----------
    learning_rate : float > 0
        The first step of every element; no schedule. The state's ``scale`` scales all steps.
    etas : pair of a float in (0, 1) and a float > 1
        Factors on the step after a change of sign and without one.
    step_sizes : pair of floats, 0 <= smallest <= largest
    weight_decay, decoupled_weight_decay, maximize, clip_value, clip_norm
        See ``Optimizer``.

    Notes
    -----
    Signs are compared, rather than the sign of a product that can underflow, as PyTorch's.

    References
    ----------
    Riedmiller, Braun (1993), A direct adaptive method for faster backpropagation learning.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, x = Rprop(0.1), np.array([1.0, -1.0])
    >>> state = optimizer.init(x)
    >>> for _ in range(3):
    ...     x, state = optimizer.update(x, 2 * x, state)
    >>> x.round(6)
    array([ 0.636, -0.636])
    """

    learning_rate: float = setting(POSITIVE, 1e-2)
    _: KW_ONLY
    etas: tuple[float, float] = setting(Pair(FRACTION, ABOVE_ONE), (0.5, 1.2))
    step_sizes: tuple[float, float] = setting(Pair(FROM_ZERO, POSITIVE), (1e-6, 50.0))

    def __post_init__(self) -> None:
        super().__post_init__()
        smallest, largest = self.step_sizes
        if smallest > largest:
            raise ParameterError(
                f"Rprop: step_sizes must be a smallest and a largest size, got {self.step_sizes}"
            )

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The gradient before, and the size of each element's step."""
        return {
            "previous": ops.zeros_like(parameter),
            "size": ops.full_like(parameter, self.learning_rate),
        }

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step by the sign of each element."""
        shrink, grow = self.etas
        size = slots["size"]
        agreement = ops.sign(gradient) * ops.sign(slots["previous"])
        turned = agreement < 0
        size = ops.where(turned, shrink * size, ops.where(agreement > 0, grow * size, size))
        size = ops.clip(size, *self.step_sizes)
        gradient = ops.where(turned, 0.0, gradient)
        parameter = parameter - scaled(ops.sign(gradient) * size, rate / self.learning_rate)
        return parameter, {"previous": gradient, "size": size}
