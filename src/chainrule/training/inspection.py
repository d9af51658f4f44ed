"""Where a network leaves the finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule import ops
from chainrule.engines.registry import get_engine
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten
from chainrule.graph.walk import topological_order
from chainrule.nn.base import Layer, Mode
from chainrule.shapes import ROWS, Array, is_float
from chainrule.training.evaluation import blocks
from chainrule.training.snapshot import Snapshot
from chainrule.training.steps import Rows, placeholders
from chainrule.training.task import Task
from chainrule.transforms import simplify


class Place(NamedTuple):
    """Where numbers are no longer finite.

    Attributes
    ----------
    layer : Layer
    operation : str
        The first operation of the layer whose result is not finite, or its parameter.
    rows : tuple of int
        The rows for which it is not, of those that were looked at; empty where it is all of them.
    """

    layer: Layer
    operation: str
    rows: tuple[int, ...]


def rows_of_infinite_loss(layers: Sequence[Layer], snapshot: Snapshot, task: Task) -> list[int]:
    """The rows whose loss is not finite, in evaluation mode, on the reference engine."""
    objective, rows = task.objective, Rows.like(task.rows)
    inputs = placeholders([snapshot.parameters, snapshot.states], None)
    x: Any = rows.x
    for layer in layers:
        name = str(layer.name)
        x, _ = layer.forward(x, inputs[0][name], inputs[1][name], Mode(False))
    losses = simplify([objective.loss.per_row(x, rows.y, objective.probabilities)])
    leaves = (*flatten(inputs), *rows.nodes)
    run = get_engine("reference").compile(Graph(leaves, tuple(losses)))
    found = np.concatenate([run([*snapshot.leaves, *part])[0] for part in blocks(task.rows)])
    return [int(row) for row in np.flatnonzero(~np.isfinite(found))]


class _Stage(NamedTuple):
    """A layer in the graph: what goes in, what comes out."""

    layer: Layer
    before: Node
    after: Node


def first_non_finite(layers: Sequence[Layer], snapshot: Snapshot, X: Array) -> Place | None:
    """The first layer whose parameters, or whose output for some row of ``X``, are not finite.

    Runs on the reference engine, in evaluation mode.

    Parameters
    ----------
    layers : sequence of Layer
    snapshot : Snapshot
        Of a single network.
    X : (n, ...) array
    """
    inputs = placeholders([snapshot.parameters, snapshot.states], None)
    x: Any = Rows.like([X]).x
    leaves, stages = (*flatten(inputs), x), []
    for layer in layers:
        before, name = x, str(layer.name)
        x, _ = layer.forward(x, inputs[0][name], inputs[1][name], Mode(False))
        stages.append(_Stage(layer, before, x))
    checks = tuple(simplify([ops.all(ops.isfinite(stage.after)) for stage in stages]))
    run = get_engine("reference").compile(Graph(leaves, checks))
    found = [np.array(run([*snapshot.leaves, *part])) for part in blocks([X])]
    first = int(np.argmin(np.all(found, axis=0)))
    for layer in layers[: first + 1]:
        for name, array in snapshot.parameters[str(layer.name)].items():
            if not np.isfinite(array).all():
                return Place(layer, f"parameter {name}", ())
    if np.all(found):
        return None
    block = int(np.argmin([each[first] for each in found]))
    parts = blocks([X])
    offset = sum(len(part[0]) for part in parts[:block])
    return _inside(stages[first], leaves, [*snapshot.leaves, *parts[block]], offset)


def _inside(stage: _Stage, leaves: Sequence[Node], values: Sequence[Array], offset: int) -> Place:
    """The operation of a layer whose result is the first that is not finite."""
    inside = topological_order([stage.after], {stage.before: True})
    nodes = [node for node in inside if node.operands and node is not stage.before]
    results = get_engine("reference").compile(Graph(tuple(leaves), tuple(nodes)))(values)
    for node, result in zip(nodes, results, strict=True):
        finite = np.isfinite(result) if is_float(node.dtype) else np.ones(1, np.bool_)
        if not finite.all():
            by_row = node.shape[:1] == (ROWS,)
            each_row = finite.reshape(len(finite), -1).all(axis=1) if by_row else finite[:0]
            rows = tuple([int(row) + offset for row in np.flatnonzero(~each_row)])
            return Place(stage.layer, node.op.name, rows)
    return Place(stage.layer, stage.after.op.name, ())
