"""Graphs of layers and losses, run on the reference engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule import ops
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.nn import Layer, Mode
from chainrule.shapes import ROWS
from chainrule.transforms import gradient, simplify

ENGINE = ReferenceEngine()


def run(outputs: Sequence[Node], feed: Mapping[Node, Any], simplified: bool = True) -> list[Any]:
    """The values of ``outputs``."""
    found = simplify(outputs) if simplified else outputs
    return ENGINE.compile(Graph(tuple(feed), tuple(found)))([*feed.values()])


def rows_of(array: Any, name: str = "x") -> Node:
    """A placeholder for a batch like ``array``."""
    return ops.input((ROWS, *array.shape[1:]), array.dtype, name)


def value_and_gradient(
    output: Node,
    inputs: Mapping[Node, Any],
    seed: Any = None,
    fixed: Mapping[Node, Any] | None = None,
) -> list[Any]:
    """``output`` and its derivatives by ``inputs``, of the sum weighted by ``seed``."""
    (simple,) = simplify([output])
    weights = ops.input(simple.shape, simple.dtype, "seed")
    total = simple if seed is None else ops.sum(simple * weights)
    feed = {**inputs, **(fixed or {}), **({} if seed is None else {weights: seed})}
    return run([simple, *gradient(total, list(inputs))], feed)


def run_layer(
    layer: Layer, x: Any, values: Mapping[str, Any], state: Mapping[str, Any], training: bool
) -> tuple[Any, dict[str, Any]]:
    """The output and the next state of one batch, as graph with ROWS."""
    node = rows_of(x)
    leaves = {name: ops.input(array.shape, array.dtype) for name, array in values.items()}
    states = {name: ops.input(array.shape, array.dtype) for name, array in state.items()}
    y, anew = layer.forward(node, leaves, states, Mode(training))
    feed = {node: x}
    feed |= {leaves[name]: values[name] for name in values}
    feed |= {states[name]: state[name] for name in state}
    output, *moved = run([y, *anew.values()], feed)
    return output, dict(zip(anew, moved, strict=True))
