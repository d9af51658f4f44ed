"""Where a network leaves the finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.engines.registry import get_engine
from chainrule.graph.graph import Graph
from chainrule.graph.tree import flatten
from chainrule.nn.base import Layer, Mode
from chainrule.shapes import Array
from chainrule.training.evaluation import blocks
from chainrule.training.snapshot import Snapshot
from chainrule.training.steps import Rows, placeholders
from chainrule.transforms import simplify


def first_non_finite(layers: Sequence[Layer], snapshot: Snapshot, X: Array) -> str | None:
    """How messages call the first layer whose output for some row of ``X`` is not finite.

    Runs on the reference engine, in evaluation mode.

    Parameters
    ----------
    layers : sequence of Layer
    snapshot : Snapshot
        Of a single network.
    X : (n, ...) array
    """
    parameters, states = inputs = placeholders([snapshot.parameters, snapshot.states], None)
    x: Any = Rows.like([X]).x
    checks, leaves = [], (*flatten(inputs), x)
    for layer in layers:
        name = str(layer.name)
        x, _ = layer.forward(x, parameters[name], states[name], Mode(False))
        checks.append(ops.all(ops.isfinite(x)))
    run = get_engine("reference").compile(Graph(leaves, tuple(simplify(checks))))
    finite = np.array([run([*snapshot.leaves, *part]) for part in blocks([X])]).all(axis=0)
    return None if finite.all() else layers[int(np.argmin(finite))].label
