"""Update rules as scikit-learn writes them; the rate is the state's ``scale``.

Rates are numbers that a training carries along, so that another rate compiles nothing anew.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from chainrule import ops
from chainrule.optim import Adam, Optimizer
from chainrule.optim.base import Slots, scaled
from chainrule.optim.schedules import RATE, Schedule
from chainrule.optim.settings import FLAG, UNIT, setting


@dataclass(frozen=True)
class RateInVelocity(Optimizer):
    r"""Gradient descent with a velocity that holds the rate.

    .. math:: v \leftarrow \mu v - \eta g, \qquad \theta \leftarrow \theta + v

    Nesterov's variant steps along :math:`\mu v - \eta g` with the new velocity. Where the rate
    changes, old gradients keep the rate of their time: PyTorch's form gives them the new one.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization and momentum in
    deep learning, equations 1 to 4.

    Examples
    --------
    >>> import numpy as np
    >>> rule, x = RateInVelocity(0.1, momentum=0.5), np.array(1.0)
    >>> x, state = rule.update(x, 2 * x, rule.init(x))
    >>> print(x.round(6), state["slots"]["velocity"].round(6))
    0.7 -0.2
    """

    learning_rate: float | Schedule = setting(RATE, 1.0)
    _: KW_ONLY
    momentum: float = setting(UNIT, 0.9)
    nesterov: bool = setting(FLAG, True)

    def slots(self, parameter: Any) -> dict[str, Any]:
        """The velocity."""
        return {"velocity": ops.zeros_like(parameter)}

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step along the velocity."""
        move = scaled(gradient, rate)
        velocity = self.momentum * slots["velocity"] - move
        along = self.momentum * velocity - move if self.nesterov else velocity
        return parameter + along, {"velocity": velocity}


@dataclass(frozen=True)
class UncorrectedEpsilonAdam(Adam):
    r"""Adam whose :math:`\epsilon` meets the second moment before its correction.

    .. math::
        \theta \leftarrow \theta - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
            \frac{m}{\sqrt{v} + \epsilon}

    References
    ----------
    Kingma, Ba (2015), Adam: a method for stochastic optimization, the end of section 2.

    Examples
    --------
    >>> import numpy as np
    >>> rule, x = UncorrectedEpsilonAdam(0.1), np.array([1.0, 100.0])
    >>> x, state = rule.update(x, 2 * x, rule.init(x))
    >>> x.round(6)
    array([ 0.9, 99.9])
    """

    learning_rate: float | Schedule = setting(RATE, 1.0)

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """One step along the first moment over the root of the second."""
        kept = self.moments(gradient, slots)
        first_filled, second_filled = self.filled(step)
        size = ops.sqrt(kept["second"]) + self.epsilon
        return parameter - scaled(
            kept["first"] / size, rate * second_filled**0.5 / first_filled
        ), kept
