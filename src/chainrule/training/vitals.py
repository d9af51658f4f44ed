"""What can be wrong inside a network: units that are dead, gradients that vanish or explode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule import ops
from chainrule.engines.registry import get_engine
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.tree import flatten
from chainrule.nn.activations import ActivationFunction
from chainrule.nn.base import Layer, Mode
from chainrule.nn.layers import Activation
from chainrule.ops import random
from chainrule.shapes import UINT32, Array, bind_rows, fixed_shape, is_float
from chainrule.training.findings import DEAD, EXPLODING, VANISHING, Finding, listed
from chainrule.training.snapshot import Snapshot
from chainrule.training.steps import Rows, placeholders
from chainrule.training.task import Task
from chainrule.transforms import simplify
from chainrule.transforms.gradient import adjoints

SAMPLED_ROWS = 256
MANY_DEAD = 0.6  # of a layer's units
NO_SLOPE = 1e-4  # of an activation's greatest slope, in every row: the unit is dead
FLAT = 0.01  # on average over rows: it is saturated
FACTOR = 1000.0  # between the gradients at two layers


class Vital(NamedTuple):
    """One layer at work.

    Attributes
    ----------
    layer : Layer
    slopes : (n, k) array or None
        The derivative of an elementwise activation, for each row and unit.
    gradient : float or None
        The typical norm, over rows, of the derivative of the loss by the layer's output.
    """

    layer: Layer
    slopes: Array | None
    gradient: float | None


class _Probed(NamedTuple):
    """A layer in the graph: what is measured of it, where it can be."""

    slope: Node | None
    probe: Node | None


def examine_network(layers: Sequence[Layer], snapshot: Snapshot, task: Task) -> list[Finding]:
    """What is wrong inside the network, by a sample of the rows.

    Parameters
    ----------
    layers : sequence of Layer
    snapshot : Snapshot
        Of a single network, all of it finite.
    task : Task
    """
    vitals = measure(layers, snapshot, task)
    dead = [finding for vital in vitals for finding in _dead(vital, layers)]
    return dead or _flow(vitals)


# Measuring


def measure(layers: Sequence[Layer], snapshot: Snapshot, task: Task) -> list[Vital]:
    """Slopes and gradients of every layer, in training mode, with the loss of the task."""
    step = -(-len(task.rows[0]) // SAMPLED_ROWS)
    sample = [array[::step] for array in task.rows]
    rows, key = Rows.like(sample), ops.input((2,), UINT32)
    inputs = placeholders([snapshot.parameters, snapshot.states], None)
    probed, output = _probed_layers(layers, inputs, rows.x, key)
    probes = [each.probe for each in probed if each.probe is not None]
    (loss,) = simplify([task.objective.of(output, rows)])
    slopes = [each.slope for each in probed if each.slope is not None]
    found = adjoints(loss, probes)
    gradients = {p: g for p, g in zip(probes, found, strict=True) if isinstance(g, Node)}
    outputs = simplify([*slopes, *gradients.values()])
    leaves = (*flatten(inputs), *rows.nodes, key, *probes)
    zeros = [np.zeros(fixed_shape(bind_rows(p.shape, len(sample[0]))), p.dtype) for p in probes]
    with np.errstate(all="ignore"):
        values = get_engine("reference").compile(Graph(leaves, tuple(outputs)))(
            [*snapshot.leaves, *sample, random.key(0), *zeros]
        )
    seen = dict(zip([*slopes, *gradients], values, strict=True))
    return [
        Vital(layer, _flat(seen, each.slope), _norm(seen, each.probe, len(sample[0])))
        for layer, each in zip(layers, probed, strict=True)
    ]


def _probed_layers(
    layers: Sequence[Layer], inputs: Any, x: Node, key: Node
) -> tuple[list[_Probed], Node]:
    """The layers in a row, with a 0 added to each output but the last: its derivative is asked."""
    found = []
    for place, layer in enumerate(layers):
        name, before = str(layer.name), x
        own = random.fold_in(key, place) if layer.needs_key else None
        x, _ = layer.forward(x, inputs[0][name], inputs[1][name], Mode(True, own))
        last = place == len(layers) - 1
        slope = None if last else _slope(layer, before, x)
        probe = None
        if layer.parameters() and is_float(x.dtype):
            probe = ops.input(x.shape, x.dtype)
            x = x + probe
        found.append(_Probed(slope, probe))
    return found, x


def _slope(layer: Layer, before: Node, after: Node) -> Node | None:
    """The derivative of an elementwise activation, element by element."""
    if _elementwise(layer) is None or before.shape != after.shape:
        return None
    (found,) = adjoints(ops.sum(after), [before])
    return found if isinstance(found, Node) else None


def _elementwise(layer: Layer) -> ActivationFunction | None:
    """The activation of a layer, if it works element by element."""
    function = layer.function if isinstance(layer, Activation) else None
    ours = isinstance(function, ActivationFunction) and not hasattr(function, "axis")
    return function if ours else None


def _flat(seen: Mapping[Node, Array], slope: Node | None) -> Array | None:
    return None if slope is None else seen[slope].reshape(-1, seen[slope].shape[-1])


def _norm(seen: Mapping[Node, Array], probe: Node | None, rows: int) -> float | None:
    """Of the loss of one row: the loss itself divides by their number."""
    if probe is None or probe not in seen:
        return None
    flat = seen[probe].reshape(rows, -1).astype(np.float64) * rows
    return float(np.sqrt(np.mean((flat**2).sum(axis=1))))


# Judging


def _dead(vital: Vital, layers: Sequence[Layer]) -> list[Finding]:
    """Units of an activation that pass no gradient, if they are many."""
    layer, slopes, _ = vital
    function = _elementwise(layer)
    if slopes is None or function is None:
        return []
    greatest, sizes = _greatest_slope(layer, function), np.abs(slopes)
    dead = sizes.max(axis=0) < NO_SLOPE * greatest
    flat = sizes.mean(axis=0) < FLAT * greatest if function.saturating else dead
    units = np.flatnonzero(dead | flat)
    if len(units) < MANY_DEAD * slopes.shape[1]:
        return []
    before = [each for each in layers[: list(layers).index(layer)] if each.parameters()]
    source, name = (before or [layer])[-1], type(function).__name__
    state = (
        "have slope 0 in every row" if dead[units].all() else "are saturated, with slopes near 0"
    )
    softer = f"smaller first weights in {source.label}, or BatchNorm before {layer.label}"
    return [
        Finding(
            DEAD,
            f"{len(units)} of {slopes.shape[1]} units of {layer.label}"
            f" ({listed('unit', units.tolist())}) {state}, so that what feeds them cannot learn",
            _why_dead(source),
            softer if function.saturating else f"LeakyReLU in place of {name}, and smaller steps",
            layer=layer.name,
            operation=name,
            units=tuple(units.tolist()),
        )
    ]


def _greatest_slope(layer: Layer, function: ActivationFunction) -> float:
    """Of an activation, on a grid about 0."""
    grid = np.linspace(-3, 3, 121)
    learned = {name: np.asarray(value)[..., :1] for name, value in layer.values.items()}
    values = np.asarray(function(grid[:, None], **learned))
    return float(np.abs(np.diff(values, axis=0)).max() / (grid[1] - grid[0]))


def _why_dead(source: Layer) -> str:
    """What the layer before says of it."""
    weights = [array for name, array in source.values.items() if name == "W"]
    biases = [array for name, array in source.values.items() if name == "b"]
    if weights and biases:
        reach = np.sqrt((np.asarray(weights[0], np.float64) ** 2).sum(axis=0))
        if np.median(np.abs(biases[0])) > 3 * np.median(reach):
            return f"biases of {source.label} that are larger than its weights can make up for"
    return f"a step that was too large, or weights of {source.label} that began too large"


def _flow(vitals: Sequence[Vital]) -> list[Finding]:
    """Gradients that change too much on their way from the last layer to the first."""
    path = [place for place, each in enumerate(vitals) if each.gradient is not None]
    norms = np.array([vitals[place].gradient for place in path], np.float64)
    if len(path) < 2 or not np.isfinite(norms).all() or norms[-1] < np.finfo(np.float32).tiny:
        return []
    relative = np.maximum(norms / norms[-1], np.finfo(np.float64).tiny)
    steps = np.diff(np.log(relative))  # towards the output
    for kind, wrong, most in (
        (VANISHING, relative.min() < 1 / FACTOR, np.argmax(steps)),
        (EXPLODING, relative.max() > FACTOR, np.argmin(steps)),
    ):
        if wrong:
            between = [each.layer for each in vitals[path[most] : path[most + 1] + 1]]
            ends = vitals[path[0]].layer, vitals[path[-1]].layer
            return [_changing(kind, ends, between, float(relative[0]))]
    return []


def _changing(
    kind: str, ends: tuple[Layer, Layer], between: Sequence[Layer], factor: float
) -> Finding:
    """A finding about gradients that change most between two neighbours on their way."""
    layer, after = between[0], between[-1]
    functions = [(each, _elementwise(each)) for each in between[1:-1]]
    flat = [(each, f) for each, f in functions if f is not None and f.saturating]
    cause = f"weights of {after.label} that are too {'large' if kind == EXPLODING else 'small'}"
    change = "the default first weights, or BatchNorm between the layers"
    if flat and kind == VANISHING:
        cause = f"activations such as {flat[0][0].label}, whose slope is far below 1"
        change = "ReLU in their place, or BatchNorm before each"
    return Finding(
        kind,
        f"the gradient at {ends[0].label} is {factor:.2g} times that at {ends[1].label}; it changes"
        f" most from {after.label} back to {layer.label}",
        cause,
        change,
        layer=layer.name,
        operation=type(flat[0][1]).__name__ if flat and kind == VANISHING else "matmul",
    )
