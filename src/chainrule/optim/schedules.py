"""Learning rates that change during training.

A schedule is a record with the rate it starts from and a rule for the factor on it; called with
the number of steps taken so far, it builds the rate of the next step. ``learning_rate`` may be
another schedule: factors multiply, as in ``Exponential(WarmUp(0.1, 500), 0.95)``.

Times and durations count epochs or steps, as ``per`` says. The number of steps of an epoch is
known once ``fit`` binds the schedule; until then an epoch is one step, as in full-batch training.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, replace
from typing import Any, NamedTuple, Self

from chainrule import ops
from chainrule.errors import ParameterError
from chainrule.optim.settings import (
    ABOVE_ONE,
    COUNT,
    COUNT_FROM_ZERO,
    FLAG,
    FRACTION,
    FROM_ZERO,
    POSITIVE,
    POSITIVE_FRACTION,
    UNIT,
    Choice,
    Optional,
    Settings,
    setting,
)
from chainrule.records import dataclass
from chainrule.shapes import FLOAT64

PER = Choice(("epoch", "step"))


@dataclass(frozen=True)
class Rate:
    """The kind of setting that a learning rate is."""

    def accept(self, value: Any) -> Any:
        """``value``, as a Python float unless it is a schedule."""
        return value if isinstance(value, Schedule) else POSITIVE.accept(value)

    def __str__(self) -> str:
        return f"{POSITIVE} or a schedule"


RATE = Rate()


def rate_at(learning_rate: float | Schedule, step: Any) -> Any:
    """The rate after ``step`` steps, a float64 scalar, of a float or a schedule."""
    if isinstance(learning_rate, Schedule):
        return learning_rate(step)
    return ops.full_like(ops.astype(step, FLOAT64), learning_rate)


@dataclass(frozen=True)
class Schedule(Settings, ABC):
    """What all schedules share.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
        What the factor multiplies.
    per : "epoch" or "step"
        The unit of time; within an epoch, a rate per epoch stays.
    steps_per_epoch, total_steps : int >= 1
        Filled in by ``bind``.
    """

    learning_rate: float | Schedule = setting(RATE)
    _: KW_ONLY
    per: str = setting(PER, "epoch")
    steps_per_epoch: int = setting(COUNT, 1)
    total_steps: int | None = setting(Optional(COUNT), None)

    @abstractmethod
    def factor(self, time: Any) -> Any:
        """The factor on the learning rate at ``time``, a float64 scalar in the schedule's unit."""

    def __call__(self, step: Any) -> Any:
        """The learning rate of the step that follows ``step`` steps, a float64 scalar.

        Parameters
        ----------
        step : int, or an int64 array or node of shape ()
        """
        return rate_at(self.learning_rate, step) * self.factor(self._time(step))

    def bind(self, steps_per_epoch: int, total_steps: int) -> Self:
        """The schedule of a training that takes this many steps."""
        return replace(
            self,
            learning_rate=bind(self.learning_rate, steps_per_epoch, total_steps),
            steps_per_epoch=steps_per_epoch,
            total_steps=total_steps,
        )

    def _time(self, step: Any) -> Any:
        return ops.astype(step // self._unit, FLOAT64)

    @property
    def _unit(self) -> int:
        return self.steps_per_epoch if self.per == "epoch" else 1

    def _length(self, duration: int | None) -> float:
        if duration is not None:
            return duration
        if self.total_steps is None:
            name = type(self).__name__
            raise ParameterError(
                f"{name} needs to know how long training takes: give {name}(duration=...) "
                "or call bind(steps_per_epoch, total_steps)"
            )
        return self.total_steps / self._unit


def bind(
    learning_rate: float | Schedule, steps_per_epoch: int, total_steps: int
) -> float | Schedule:
    """``learning_rate``, bound to a training of this length if it is a schedule."""
    if isinstance(learning_rate, Schedule):
        return learning_rate.bind(steps_per_epoch, total_steps)
    return learning_rate


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout.

    >>> float(Constant(0.1)(1000))
    0.1
    """

    def factor(self, time: Any) -> Any:
        """1 at any time."""
        return ops.full_like(time, 1.0)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """The rate times ``decay`` after each ``every`` epochs (or steps): ``decay ** (t // every)``.

    >>> [round(float(StepDecay(0.1, every=30)(epoch)), 6) for epoch in (0, 29, 30, 60)]
    [0.1, 0.1, 0.01, 0.001]
    """

    every: int = setting(COUNT)
    decay: float = setting(POSITIVE_FRACTION, 0.1)

    def factor(self, time: Any) -> Any:
        """``decay ** (time // every)``."""
        return self.decay ** ops.floor(time / self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate times ``decay`` after each epoch (or step): ``decay ** t``.

    >>> [round(float(Exponential(1.0, 0.5)(epoch)), 6) for epoch in (0, 1, 2)]
    [1.0, 0.5, 0.25]
    """

    decay: float = setting(POSITIVE_FRACTION)

    def factor(self, time: Any) -> Any:
        """``decay ** time``."""
        return self.decay**time


@dataclass(frozen=True)
class InverseTime(Schedule):
    """The rate divided by ``1 + decay * t``: with it, stochastic gradient descent converges.

    References
    ----------
    Robbins, Monro (1951), A stochastic approximation method: the sum of the rates diverges, that
    of their squares does not.

    Examples
    --------
    >>> [round(float(InverseTime(1.0, decay=0.5)(epoch)), 6) for epoch in (0, 2, 8)]
    [1.0, 0.5, 0.2]
    """

    decay: float = setting(POSITIVE, 1.0)

    def factor(self, time: Any) -> Any:
        """``1 / (1 + decay * time)``."""
        return 1.0 / (1.0 + self.decay * time)


def _half_cosine(start: float, end: float, share: Any) -> Any:
    """From ``start`` to ``end`` along half a cosine as ``share`` goes from 0 to 1."""
    return end + (start - end) / 2 * (1.0 + ops.cos(math.pi * share))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the rate down to ``final`` times the rate, where it stays.

    Parameters
    ----------
    duration : int >= 1 or None
        Epochs (or steps) until the end; None for the whole training.
    final : float in [0, 1]
        The last rate as a fraction of the first. (PyTorch's ``eta_min`` is the rate itself, and
        its rate rises again after the end.)

    Raises
    ------
    ParameterError
        When called without a duration before ``fit`` has bound it.

    References
    ----------
    Loshchilov, Hutter (2017), SGDR: stochastic gradient descent with warm restarts, equation 5.

    Examples
    --------
    >>> [round(float(Cosine(1.0, 4)(epoch)), 6) for epoch in (0, 2, 4, 5)]
    [1.0, 0.5, 0.0, 0.0]
    """

    duration: int | None = setting(Optional(COUNT), None)
    final: float = setting(UNIT, 0.0)

    def factor(self, time: Any) -> Any:
        """``final + (1 - final) (1 + cos(pi time / duration)) / 2``."""
        share = ops.minimum(time / self._length(self.duration), 1.0)
        return _half_cosine(1.0, self.final, share)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to the rate and down to almost nothing, in half cosines; by default step by step.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
        The peak.
    duration : int >= 1 or None
        Steps (or epochs) of the whole cycle; None for the whole training.
    rise : float in [0, 1]
        The fraction of the cycle spent rising.
    initial_divisor, final_divisor : float > 1
        The first rate is the peak over ``initial_divisor``; the last is that over
        ``final_divisor``.

    Raises
    ------
    ParameterError
        When called without a duration before ``fit`` has bound it.

    References
    ----------
    Smith, Topin (2019), Super-convergence, in the form of ``torch.optim.lr_scheduler.OneCycleLR``
    with two phases; PyTorch's refuses further steps after the end, where this one stays.

    Examples
    --------
    >>> cycle = OneCycle(1.0, duration=10)
    >>> [round(float(cycle(step)), 4) for step in (0, 2, 9)]
    [0.04, 1.0, 0.0]
    """

    duration: int | None = setting(Optional(COUNT), None)
    _: KW_ONLY
    per: str = setting(PER, "step")
    rise: float = setting(UNIT, 0.3)
    initial_divisor: float = setting(ABOVE_ONE, 25.0)
    final_divisor: float = setting(ABOVE_ONE, 1e4)

    def factor(self, time: Any) -> Any:
        """The share of the peak at ``time``."""
        length = self._length(self.duration)
        peak, end = self.rise * length - 1, length - 1  # steps count from 0, as in PyTorch
        initial = 1 / self.initial_divisor
        rising = _half_cosine(initial, 1.0, time / (peak or 1.0))
        share = ops.minimum((time - peak) / ((end - peak) or 1.0), 1.0)
        falling = _half_cosine(1.0, initial / self.final_divisor, share)
        return ops.where(time <= peak, rising, falling)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight line from ``start`` times the rate to the rate itself; by default step by step.

    The clock of a wrapped schedule starts with the training, not after the warm-up.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    duration : int >= 1
        Steps (or epochs) until the full rate.
    start : float in (0, 1]
        The first rate as a fraction of the full one; PyTorch's 1/3 by default.

    References
    ----------
    Goyal et al. (2017), Accurate, large minibatch SGD, section 2.2.

    Examples
    --------
    >>> [round(float(WarmUp(0.4, 4, start=0.25)(step)), 6) for step in (0, 1, 4, 9)]
    [0.1, 0.175, 0.4, 0.4]
    """

    duration: int = setting(COUNT)
    _: KW_ONLY
    per: str = setting(PER, "step")
    start: float = setting(POSITIVE_FRACTION, 1 / 3)

    def factor(self, time: Any) -> Any:
        """``start + (1 - start) time / duration``, at most 1."""
        return self.start + (1.0 - self.start) * ops.minimum(time / self.duration, 1.0)


class Plateau(NamedTuple):
    """What ``ReduceOnPlateau`` remembers between two epochs.

    Attributes
    ----------
    best : float or None
        The best metric so far.
    waited, resting : int
        Epochs without improvement; epochs left of the cool-down.
    scale : float in (0, 1]
        The factor on the learning rate.
    """

    best: float | None = None
    waited: int = 0
    resting: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class ReduceOnPlateau(Settings):
    """A factor on the learning rate that falls when a metric stops improving.

    It is observed between epochs, in Python; its scale goes into the optimizer's state, so that
    nothing is compiled again.

    Parameters
    ----------
    factor : float in (0, 1)
        What a reduction multiplies the rate by.
    patience : int >= 0
        Epochs without improvement that are still accepted.
    threshold : float >= 0
        How much better a metric must be to count: a fraction of the best metric, or the
        difference itself if not ``relative``.
    relative : bool
    mode : "min" or "max"
        Whether small metrics are good, or large ones.
    cooldown : int >= 0
        Epochs after a reduction in which nothing is counted.
    minimum : float in [0, 1]
        The smallest scale.

    Notes
    -----
    As PyTorch's ``ReduceLROnPlateau``, with three differences: its ``min_lr`` is ``minimum`` times
    the learning rate; its ``eps``, below which a reduction is skipped, does not exist here; and
    a relative threshold is a fraction of the best metric's size, so that a negative metric has to
    get better too.

    Examples
    --------
    >>> plateau = ReduceOnPlateau(factor=0.5, patience=1)
    >>> state = plateau.start()
    >>> for loss in (1.0, 0.9, 0.9, 0.9, 0.9):
    ...     state, scale = plateau.observe(state, loss)
    ...     print(scale, end=" ")
    1.0 1.0 1.0 0.5 0.5
    """

    factor: float = setting(FRACTION, 0.1)
    patience: int = setting(COUNT_FROM_ZERO, 10)
    _: KW_ONLY
    threshold: float = setting(FROM_ZERO, 1e-4)
    relative: bool = setting(FLAG, True)
    mode: str = setting(Choice(("min", "max")), "min")
    cooldown: int = setting(COUNT_FROM_ZERO, 0)
    minimum: float = setting(UNIT, 0.0)

    def start(self) -> Plateau:
        """The memory before the first epoch."""
        return Plateau()

    def observe(self, state: Plateau, metric: float) -> tuple[Plateau, float]:
        """The memory after an epoch that ended with ``metric``, and the scale from then on."""
        better = self._improves(metric, state.best)
        waited = 0 if better or state.resting else state.waited + 1
        state = Plateau(
            metric if better else state.best, waited, max(state.resting - 1, 0), state.scale
        )
        if waited > self.patience:
            scale = max(state.scale * self.factor, self.minimum)
            state = Plateau(state.best, 0, self.cooldown, min(scale, state.scale))
        return state, state.scale

    def _improves(self, metric: float, best: float | None) -> bool:
        sign = -1.0 if self.mode == "min" else 1.0
        if best is None:
            return sign * metric > -math.inf
        margin = self.threshold * (abs(best) if self.relative else 1.0)
        return sign * metric > sign * best + margin
