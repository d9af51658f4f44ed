"""The two graphs of a training: one step, and one evaluation.

A step is a pure function ``(parameters, states, optimizer state, rows, key) -> (the same anew,
records)``. Its graph is built by the layers, the loss and the optimizer, none of which know
whether one network is trained or many at once: the axis of the members is added at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule import ops
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten, map_tree, match_form, unflatten
from chainrule.nn.base import Mode
from chainrule.nn.losses import Loss
from chainrule.nn.regularization import L1, L2, MaxNorm
from chainrule.optim.base import Optimizer
from chainrule.shapes import ROWS, UINT32, Array, TensorType
from chainrule.transforms import batch, gradient, simplify

RECORDS = ("loss", "weight", "penalty", "gradient_norm")


class Model(Protocol):
    """What training needs of a network."""

    def build(
        self, x: Any, parameters: Any, states: Any, mode: Mode
    ) -> tuple[Any, Mapping[str, Mapping[str, Any]]]:
        """The output and the next states, as graph."""

    def penalized(self, parameters: Any) -> list[Any]:
        """The parameters that regularisation applies to."""

    def with_penalized(self, parameters: Any, weights: Sequence[Any]) -> Any:
        """The parameters with other values for those that regularisation applies to."""


class Rows(NamedTuple):
    """The inputs that are rows of the data set; weights may be missing."""

    x: Node
    y: Node
    weights: Node | None

    @classmethod
    def like(cls, arrays: Sequence[Array]) -> Rows:
        """Placeholders for rows of these data sets."""
        names = ("x", "y", "weights")
        nodes = [
            ops.input((ROWS, *array.shape[1:]), array.dtype, name)
            for array, name in zip(arrays, names, strict=False)
        ]
        return cls(nodes[0], nodes[1], nodes[2] if len(nodes) > 2 else None)

    @property
    def nodes(self) -> list[Node]:
        """Those that exist."""
        return [node for node in self if node is not None]


@dataclass(frozen=True)
class Regularization:
    """Penalties on weights, and the projection after each update.

    Parameters
    ----------
    l1, l2 : float >= 0
    max_norm : float > 0 or None
    """

    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None

    def __post_init__(self) -> None:
        for kind, strength in ((L1, self.l1), (L2, self.l2)):
            kind(strength)  # checks the range
        if self.max_norm is not None:
            MaxNorm(self.max_norm)

    def penalty(self, weights: Sequence[Any]) -> Any:
        """The sum of all penalties; None if there are none."""
        terms = [kind(s)(weights) for kind, s in ((L1, self.l1), (L2, self.l2)) if s and weights]
        return reduce(ops.add, terms) if terms else None

    def project(self, weights: Sequence[Any]) -> list[Any]:
        """The weights, held to the greatest norm."""
        return (
            list(weights) if self.max_norm is None else [MaxNorm(self.max_norm)(w) for w in weights]
        )


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
    regularization: Regularization

    def build(
        self, model: Model, inputs: Any, rows: Rows, mode: Mode
    ) -> tuple[Node, Node | None, Mapping[str, Any]]:
        """The loss over ``rows``, the penalty if there is one, and the layers' next states."""
        parameters = inputs["parameters"]
        prediction, states = model.build(rows.x, parameters, inputs["states"], mode)
        loss = self.loss(prediction, rows.y, rows.weights, probabilities=self.probabilities)
        return loss, self.regularization.penalty(model.penalized(parameters)), states


def placeholders(tree: Any, members: int | None) -> Any:
    """Inputs for one member of a tree of arrays."""

    def one(array: Array) -> Node:
        shape = array.shape[1:] if members else array.shape
        result: Node = ops.input(shape, array.dtype)
        return result

    return map_tree(one, tree)


def step_graph(
    model: Model,
    objective: Objective,
    optimizer: Optimizer,
    carried: Any,
    rows: Rows,
    members: int | None,
) -> Graph:
    """One training step.

    Parameters
    ----------
    carried : dict with the trees ``parameters``, ``states`` and ``optimizer``
        Arrays, with a leading axis of members if there are any.

    Returns
    -------
    Graph
        Inputs: the leaves of ``carried``, the rows, a key. Outputs: the leaves anew, then
        :data:`RECORDS`.
    """
    inputs, key = placeholders(carried, members), ops.input((2,), UINT32, "key")
    parameters = inputs["parameters"]
    loss, penalty, states = objective.build(model, inputs, rows, Mode(True, key))
    (total,) = simplify([loss if penalty is None else loss + penalty])
    slopes = gradient(total, flatten(parameters))
    moved, state = optimizer.update(parameters, unflatten(parameters, slopes), inputs["optimizer"])
    moved = model.with_penalized(moved, objective.regularization.project(model.penalized(moved)))
    anew = {"parameters": moved, "states": states, "optimizer": state}
    weight = ops.row_count() if rows.weights is None else ops.sum(rows.weights)
    records = [loss, weight, ops.zeros_like(loss) if penalty is None else penalty, norm(slopes)]
    outputs = simplify([*flatten(match_form(anew, inputs)), *map(ops.as_node, records)])
    leaves = flatten(inputs)
    if not members:
        return Graph((*leaves, *rows.nodes, key), tuple(outputs))
    return _for_members(leaves, rows, key, outputs, members)


def norm(slopes: Sequence[Node]) -> Node:
    """The Euclidean norm of all gradients together."""
    result: Node = ops.sqrt(reduce(ops.add, [ops.sum(slope * slope) for slope in slopes]))
    return result


def _for_members(
    leaves: Sequence[Node], rows: Rows, key: Node, outputs: Sequence[Node], members: int
) -> Graph:
    """The step of many members at once: each has leaves of its own, and random numbers of its own."""
    many = {leaf: ops.input((members, *leaf.shape), leaf.dtype) for leaf in leaves}
    numbers = ops.constant(np.arange(members, dtype=np.uint32))
    keys = ops.random.fold_in(ops.broadcast_to(key, (members, 2)), numbers)
    batched = simplify(batch(outputs, {**many, key: keys}))
    return Graph((*many.values(), *rows.nodes, key), tuple(batched))


def evaluation_graph(
    model: Model,
    objective: Objective | None,
    parameters: Any,
    states: Any,
    rows: Sequence[Node],
    members: int | None,
) -> Graph:
    """The output for rows ``x``, and the loss if an objective is given and the rows hold targets.

    Inputs: the leaves of parameters and states, then the rows.
    """
    inputs = placeholders({"parameters": parameters, "states": states}, members)
    prediction, _ = model.build(rows[0], inputs["parameters"], inputs["states"], Mode(False))
    outputs = [prediction]
    if objective is not None:
        outputs.append(objective.loss(prediction, *rows[1:], probabilities=objective.probabilities))
    leaves = flatten(inputs)
    simple = simplify(outputs)
    if not members:
        return Graph((*leaves, *rows), tuple(simple))
    many = {leaf: ops.input((members, *leaf.shape), leaf.dtype) for leaf in leaves}
    return Graph((*many.values(), *rows), tuple(simplify(batch(simple, many))))


def types_of(arrays: Sequence[Array]) -> tuple[TensorType, ...]:
    """Element types and shapes of data sets, without their numbers of rows."""
    return tuple([TensorType(array.dtype, (ROWS, *array.shape[1:])) for array in arrays])
