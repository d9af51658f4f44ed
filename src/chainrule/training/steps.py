"""The two graphs of a training: one step, and one evaluation.

A step is a pure function ``(parameters, states, optimizer state, rows, key) -> (the same anew,
records)``. Its graph is built by the layers, the loss and the optimizer, none of which know
whether one network is trained or many at once: the axis of the members is added at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule import ops
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten, map_tree, match_form, unflatten
from chainrule.nn.base import Mode
from chainrule.nn.losses import Loss
from chainrule.nn.regularization import L1, L2, MaxNorm, Penalty
from chainrule.optim.base import Optimizer
from chainrule.records import dataclass
from chainrule.shapes import FLOAT64, ROWS, UINT32, Array, TensorType
from chainrule.training.snapshot import Snapshot
from chainrule.transforms import batch, gradient, simplify

RECORDS = ("loss", "weight", "penalty", "gradient_norm", "learning_rate")


class Builder(Protocol):
    """What training needs of a network's layers: the graph, and which parameters are weights."""

    def build(
        self, x: Any, parameters: Any, states: Any, mode: Mode
    ) -> tuple[Any, Mapping[str, Mapping[str, Any]]]:
        """The output and the next states, as graph."""

    def penalized(self, parameters: Any) -> list[Any]:
        """The parameters that regularisation applies to."""

    def with_penalized(self, parameters: Any, weights: Sequence[Any]) -> Any:
        """The parameters with other values for those that regularisation applies to."""


class Rows(NamedTuple):
    """The inputs that are rows of a data set; targets and weights may be missing."""

    x: Node
    y: Node | None = None
    weights: Node | None = None

    @classmethod
    def like(cls, arrays: Sequence[Array]) -> Rows:
        """Placeholders for rows of these data sets."""
        return cls(
            *[
                ops.input(type_.shape, type_.dtype, name)
                for type_, name in zip(types_of(arrays), cls._fields, strict=False)
            ]
        )

    @property
    def nodes(self) -> list[Node]:
        """Those that exist."""
        return [node for node in self if node is not None]


def types_of(arrays: Sequence[Array]) -> tuple[TensorType, ...]:
    """Element types and shapes of data sets, without their numbers of rows."""
    return tuple([TensorType(array.dtype, (ROWS, *array.shape[1:])) for array in arrays])


@dataclass(frozen=True)
class Regularization:
    """Penalties on weights, and the projection after each update.

    Attributes
    ----------
    penalties : tuple of Penalty
    projection : MaxNorm or None
    """

    penalties: tuple[Penalty, ...] = ()
    projection: MaxNorm | None = None

    @classmethod
    def of(cls, l1: float = 0.0, l2: float = 0.0, max_norm: float | None = None) -> Regularization:
        """From the strengths; what is 0 or None is left out of the graph.

        Raises
        ------
        ParameterError
            If one is out of its range.
        """
        penalties = (L1(l1), L2(l2))
        projection = None if max_norm is None else MaxNorm(max_norm)
        return cls(tuple([each for each in penalties if each.strength]), projection)

    def penalty(self, weights: Sequence[Any]) -> Any:
        """The sum of all penalties; None if there are none."""
        terms = [penalty(weights) for penalty in self.penalties if weights]
        return reduce(ops.add, terms) if terms else None

    def project(self, weights: Sequence[Any]) -> list[Any]:
        """The weights, held to the greatest norm."""
        return [self.projection(w) for w in weights] if self.projection else list(weights)


@dataclass(frozen=True)
class Objective:
    """What a training minimises.

    Attributes
    ----------
    loss : Loss
    probabilities : bool
        Whether the loss takes the output as probabilities, not as logits.
    regularization : Regularization
    """

    loss: Loss
    probabilities: bool
    regularization: Regularization = Regularization()

    def build(
        self, model: Builder, inputs: Any, rows: Rows, mode: Mode
    ) -> tuple[Node, Node | None, Mapping[str, Any]]:
        """The loss over ``rows``, the penalty if there is one, and the layers' next states."""
        parameters = inputs["parameters"]
        prediction, states = model.build(rows.x, parameters, inputs["states"], mode)
        loss = self.of(prediction, rows)
        return loss, self.regularization.penalty(model.penalized(parameters)), states

    def of(self, prediction: Node, rows: Rows) -> Node:
        """The loss of a prediction for ``rows``."""
        loss: Node = self.loss(prediction, rows.y, rows.weights, self.probabilities)
        return loss


def placeholders(tree: Any, members: int | None) -> Any:
    """Inputs for one member of a tree of arrays."""

    def one(array: Array) -> Node:
        shape = array.shape[1:] if members else array.shape
        result: Node = ops.input(shape, array.dtype)
        return result

    return map_tree(one, tree)


def differentiated(
    model: Builder, objective: Objective, inputs: Any, rows: Rows, mode: Mode
) -> tuple[list[Node], list[Node], Mapping[str, Any]]:
    """What a step computes before parameters move.

    Returns
    -------
    scalars : [loss, penalty], the latter 0 if there is none
    slopes : the derivatives of their sum by each parameter
    states : the layers' next states
    """
    loss, penalty, states = objective.build(model, inputs, rows, mode)
    (total,) = simplify([loss if penalty is None else loss + penalty])
    slopes = gradient(total, flatten(inputs["parameters"]))
    return [loss, ops.zeros_like(loss) if penalty is None else penalty], slopes, states


class StepGraphs(NamedTuple):
    """A training step, and where it is that of many members the step of one of them."""

    step: Graph
    single: Graph | None


def step_graphs(
    model: Builder,
    objective: Objective,
    optimizer: Optimizer,
    carried: Any,
    rows: Rows,
    members: int | None,
) -> StepGraphs:
    """One training step.

    Parameters
    ----------
    carried : dict with the trees ``parameters``, ``states`` and ``optimizer``
        Arrays, with a leading axis of members if there are any.

    Returns
    -------
    StepGraphs
        Inputs: the leaves of ``carried``, the rows, a key. Outputs: the leaves anew, then
        :data:`RECORDS`. The norm is that of what an update is made from, NaN where none is due:
        that of each step would have to be summed over all devices, where there are several.
    """
    inputs, key = placeholders(carried, members), ops.input((2,), UINT32, "key")
    (loss, penalty), slopes, states = differentiated(
        model, objective, inputs, rows, Mode(True, key)
    )
    parameters = inputs["parameters"]
    gradients = unflatten(parameters, slopes)
    taken, due = optimizer.taken(parameters, gradients, inputs["optimizer"])
    moved, state = optimizer.update(parameters, gradients, inputs["optimizer"])
    moved = model.with_penalized(moved, objective.regularization.project(model.penalized(moved)))
    anew = {"parameters": moved, "states": states, "optimizer": state}
    weight = ops.row_count() if rows.weights is None else ops.sum(rows.weights)
    weight = ops.astype(weight, FLOAT64)
    size = norm(flatten(taken)) if due is None else ops.where(due, norm(flatten(taken)), np.nan)
    records = [loss, weight, penalty, size, optimizer.rate(inputs["optimizer"])]
    outputs = simplify([*flatten(match_form(anew, inputs)), *map(ops.as_node, records)])
    leaves = flatten(inputs)
    single = Graph((*leaves, *rows.nodes, key), tuple(outputs))
    if not members:
        return StepGraphs(single, None)
    keys = {key: ops.random.split(key, members)}
    return StepGraphs(_for_members(outputs, leaves, members, rows, keys), single)


def norm(slopes: Sequence[Node]) -> Node:
    """The Euclidean norm of all gradients together."""
    result: Node = ops.sqrt(reduce(ops.add, [ops.sum(slope * slope) for slope in slopes]))
    return result


def evaluation_graph(
    model: Builder, objective: Objective | None, snapshot: Snapshot, rows: Rows
) -> Graph:
    """The output for ``rows``, and the loss if an objective is given.

    Inputs: the leaves of parameters and states, then the rows.
    """
    inputs = placeholders([snapshot.parameters, snapshot.states], snapshot.members)
    prediction, _ = model.build(rows.x, inputs[0], inputs[1], Mode(False))
    outputs = simplify([prediction, *([objective.of(prediction, rows)] if objective else [])])
    leaves = flatten(inputs)
    if not snapshot.members:
        return Graph((*leaves, *rows.nodes), tuple(outputs))
    return _for_members(outputs, leaves, snapshot.members, rows, {})


def _for_members(
    outputs: Sequence[Node],
    leaves: Sequence[Node],
    members: int,
    rows: Rows,
    keys: Mapping[Node, Node],
) -> Graph:
    """The graph of many members at once: each has leaves of its own, and keys of its own."""
    many = {leaf: ops.input((members, *leaf.shape), leaf.dtype) for leaf in leaves}
    outputs = simplify(batch(outputs, {**many, **keys}))
    return Graph((*many.values(), *rows.nodes, *keys), tuple(outputs))
