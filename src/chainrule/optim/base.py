"""What every update rule shares: the walk over the parameters, clipping, decay and the clock.

An optimizer is a record of settings with two pure functions. ``slots`` gives the arrays that a
rule remembers for one parameter, ``rule`` the parameter and its slots after one step. Both
compute with ``chainrule.ops``: on arrays they give arrays, on nodes they build graph.

Numbers of a step (rates, bias corrections) are float64 scalars, whatever the parameters are;
``scaled`` takes them into a parameter's own type.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import Any, Self

import numpy as np

from chainrule import ops
from chainrule.errors import DataError, DtypeError, ShapeError
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten, map_tree, match_form, unflatten
from chainrule.optim import schedules
from chainrule.optim.clipping import clip_by_global_norm, clip_by_value
from chainrule.optim.schedules import RATE, Schedule
from chainrule.optim.settings import COUNT, FLAG, FROM_ZERO, POSITIVE, Optional, Settings, setting
from chainrule.records import dataclass
from chainrule.shapes import FLOAT64, as_array, is_float

Slots = Mapping[str, Any]


@dataclass(frozen=True)
class Optimizer(Settings, ABC):
    """An update rule and its settings.

    Parameters
    ----------
    learning_rate : float > 0, or a schedule
    weight_decay : float >= 0
        Adds ``weight_decay * parameter`` to the gradient: the derivative of
        ``weight_decay / 2 * sum(parameter ** 2)``.
    decoupled_weight_decay : bool
        Multiplies the parameter by ``1 - rate * weight_decay`` instead, apart from the gradient
        (Loshchilov, Hutter 2019, Decoupled weight decay regularization).
    maximize : bool
        Ascends instead of descending.
    clip_value : float > 0 or None
        Holds each element of the gradients to ``[-clip_value, clip_value]``, before all else.
    clip_norm : float > 0 or None
        Holds the joint norm of all gradients to ``clip_norm``, after ``clip_value``.
    accumulate : int >= 1
        Of how many steps the gradients are averaged for one update: for batches of one size the
        same as batches that many times larger, in the memory of a small one. Other steps leave
        parameters and slots as they are. Schedules count updates.

    Raises
    ------
    ParameterError
        If a setting is out of its range.
    """

    learning_rate: float | Schedule = setting(RATE)
    _: KW_ONLY
    weight_decay: float = setting(FROM_ZERO, 0.0)
    decoupled_weight_decay: bool = setting(FLAG, False)
    maximize: bool = setting(FLAG, False)
    clip_value: float | None = setting(Optional(POSITIVE), None)
    clip_norm: float | None = setting(Optional(POSITIVE), None)
    accumulate: int = setting(COUNT, 1)

    @abstractmethod
    def slots(self, parameter: Any) -> dict[str, Any]:
        """What the rule remembers about ``parameter``, before the first step."""

    @abstractmethod
    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        """``parameter`` and its slots after one step.

        Parameters
        ----------
        parameter, gradient : array or node, of one shape and float type
        slots : dict of arrays or nodes
        step : float64 scalar, the number of this step, from 1
        rate : float64 scalar, the learning rate of this step
        """

    def init(self, parameters: Any) -> dict[str, Any]:
        """The state before the first step.

        Parameters
        ----------
        parameters : nested dicts, lists and tuples of float arrays or nodes

        Returns
        -------
        dict
            ``step``, the number of updates made, an int64 scalar; ``scale``, a factor on the
            learning rate that may be changed between steps, a float64 scalar; ``slots``, a tree
            of the form of ``parameters`` with a dict of arrays in place of each. Where steps are
            accumulated, also ``waiting``, the number of those since the last update, and ``sums``
            of their gradients.

        Raises
        ------
        DtypeError
            If a parameter is not of a float type.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.optim import SGD
        >>> SGD(0.1, momentum=0.9).init([np.array([1.0, 2.0])])
        {'step': array(0), 'scale': array(1.), 'slots': [{'velocity': array([0., 0.])}]}
        """
        slots = map_tree(lambda parameter: self.slots(_checked(parameter)), parameters)
        state = {"step": np.zeros((), np.int64), "scale": np.ones(()), "slots": slots}
        if self.accumulate == 1:
            return state
        sums = map_tree(ops.zeros_like, parameters)
        return {**state, "waiting": np.zeros((), np.int64), "sums": sums}

    def update(
        self, parameters: Any, gradients: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """The parameters and the state after one step; what is given stays as it was.

        Parameters
        ----------
        parameters : nested dicts, lists and tuples of float arrays or nodes
        gradients : a tree of the same form, with arrays or nodes of the same shapes
        state : dict, from ``init`` or the step before

        Raises
        ------
        DataError
            If gradients or state do not have the form of the parameters.
        DtypeError
            If a parameter is not of a float type.
        ShapeError
            If a gradient does not have its parameter's shape.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.optim import SGD
        >>> parameters = {"w": np.array([1.0, 2.0])}
        >>> optimizer = SGD(0.5)
        >>> state = optimizer.init(parameters)
        >>> parameters, state = optimizer.update(parameters, {"w": np.array([2.0, 2.0])}, state)
        >>> parameters["w"], int(state["step"])
        (array([0., 1.]), 1)
        """
        with np.errstate(all="ignore"):  # overflow shows in the numbers, as it does in a graph
            if self.accumulate == 1:
                return self._updated(parameters, gradients, state)
            return self._accumulated(parameters, gradients, state)

    def _accumulated(
        self, parameters: Any, gradients: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """A step that makes an update if it is the last of those that are averaged."""
        waiting, sums = state["waiting"] + 1, self._sums(parameters, gradients, state)
        means, last = self.taken(parameters, gradients, state)
        before = {name: state[name] for name in ("step", "scale", "slots")}
        now = self._updated(parameters, means, before)
        moved, after = map_tree(
            lambda new, old: ops.where(last, new, old), now, (parameters, before)
        )
        sums = [_as_leaf(ops.where(last, ops.zeros_like(total), total)) for total in sums]
        kept = {
            "waiting": _as_leaf(ops.where(last, 0, waiting)),
            "sums": unflatten(parameters, sums),
        }
        return moved, {**after, **kept}

    def _sums(self, parameters: Any, gradients: Any, state: Mapping[str, Any]) -> list[Any]:
        pairs = zip(flatten(match_form(gradients, parameters)), flatten(state["sums"]), strict=True)
        return [total + _matched(gradient, total) for gradient, total in pairs]

    def taken(
        self, parameters: Any, gradients: Any, state: Mapping[str, Any]
    ) -> tuple[Any, Any | None]:
        """The gradients that an update is made from, and whether it is due; None if always.

        Parameters
        ----------
        parameters, gradients, state
            As for :meth:`update`.

        Returns
        -------
        gradients : a tree of the form of ``parameters``; means where steps are accumulated
        due : bool scalar, or None

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.optim import SGD
        >>> optimizer, w = SGD(0.5, accumulate=2), [np.array([1.0])]
        >>> _, state = optimizer.update(w, [np.array([2.0])], optimizer.init(w))
        >>> means, due = optimizer.taken(w, [np.array([4.0])], state)
        >>> means, bool(due)
        ([array([3.])], True)
        """
        if self.accumulate == 1:
            return gradients, None
        sums = self._sums(parameters, gradients, state)
        means = unflatten(parameters, [total / self.accumulate for total in sums])
        return means, ops.equal(state["waiting"] + 1, self.accumulate)

    def _updated(
        self, parameters: Any, gradients: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        slots = _branches(state["slots"], like=parameters)
        step, rate = state["step"] + 1, self.rate(state)
        leaves = map(_checked, flatten(parameters))
        ascents = flatten(match_form(self._clipped(gradients), parameters))
        moved = [
            self._move(*leaf, ops.astype(step, FLOAT64), rate)
            for leaf in zip(leaves, ascents, slots, strict=True)
        ]
        return unflatten(parameters, [_as_leaf(parameter) for parameter, _ in moved]), {
            "step": _as_leaf(step),
            "scale": state["scale"],
            "slots": unflatten(parameters, [map_tree(_as_leaf, slots) for _, slots in moved]),
        }

    def rate(self, state: Mapping[str, Any]) -> Any:
        """The learning rate of the step that follows ``state``, a float64 scalar."""
        return schedules.rate_at(self.learning_rate, state["step"]) * state["scale"]

    def bind(self, steps_per_epoch: int, total_steps: int) -> Self:
        """The optimizer of a training that takes this many steps: its schedule learns of them."""
        updates = [max(1, steps // self.accumulate) for steps in (steps_per_epoch, total_steps)]
        rate = schedules.bind(self.learning_rate, *updates)
        return dataclasses.replace(self, learning_rate=rate)

    def _clipped(self, gradients: Any) -> Any:
        if self.clip_value is not None:
            gradients = clip_by_value(gradients, self.clip_value)
        if self.clip_norm is not None:
            gradients = clip_by_global_norm(gradients, self.clip_norm)
        return gradients

    def _move(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        gradient = _matched(gradient, parameter)
        if self.maximize:
            gradient = -gradient
        if self.weight_decay and self.decoupled_weight_decay:
            parameter = scaled(parameter, 1.0 - rate * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * parameter
        return self.rule(parameter, gradient, slots, step, rate)


def scaled(array: Any, factor: Any) -> Any:
    """``array`` times a float64 scalar, in the array's own type."""
    return array * ops.astype(factor, array.dtype)


def average(old: Any, new: Any, keep: float) -> Any:
    """One step of an exponential moving average: ``keep`` of the old, the rest of the new."""
    return keep * old + (1.0 - keep) * new


def _checked(parameter: Any) -> Any:
    parameter = _as_leaf(parameter)
    if not is_float(parameter.dtype):
        raise DtypeError(
            f"an optimizer moves parameters of a float type, got one of {parameter.dtype}; "
            "convert it with astype"
        )
    return parameter


def _matched(gradient: Any, parameter: Any) -> Any:
    """``gradient`` in the parameter's type; nothing is ever broadcast."""
    gradient = _as_leaf(gradient)
    if gradient.shape != parameter.shape:
        raise ShapeError(
            f"a parameter of shape {parameter.shape} got a gradient of shape {gradient.shape}"
        )
    return ops.astype(gradient, parameter.dtype)


def _as_leaf(value: Any) -> Any:
    return value if isinstance(value, Node) else as_array(value)


def _branches(tree: Any, like: Any) -> list[Any]:
    """The parts of ``tree`` at the leaves of ``like``, in order."""
    if isinstance(like, dict):
        if not isinstance(tree, dict) or tree.keys() != like.keys():
            raise DataError(f"the state was not made for parameters with the keys {list(like)}")
        return [part for key in like for part in _branches(tree[key], like[key])]
    if isinstance(like, (list, tuple)):
        if not isinstance(tree, (list, tuple)) or len(tree) != len(like):
            raise DataError(f"the state was not made for a sequence of {len(like)} parameters")
        return [part for pair in zip(tree, like, strict=True) for part in _branches(*pair)]
    return [] if like is None else [tree]
