"""Forward and backward one layer at a time, as they are taught: every array on show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chainrule import ops
from chainrule.engines.blas import one_blas_thread
from chainrule.errors import ShapeError
from chainrule.expressions import evaluate
from chainrule.graph.node import Node
from chainrule.graph.tree import map_tree
from chainrule.networks.architecture import Architecture, own_mode
from chainrule.nn.base import Layer, Mode, read_only
from chainrule.shapes import ROWS, Array, as_array
from chainrule.training.snapshot import Snapshot
from chainrule.transforms.gradient import Absence, adjoints


class Pass(NamedTuple):
    """What a forward pass was made with, for the backward pass that follows it.

    Attributes
    ----------
    snapshot : Snapshot
        The parameters and states it used.
    mode : Mode
    inputs : list of arrays
        What each layer was given.
    output : array
    """

    snapshot: Snapshot
    mode: Mode
    inputs: list[Array]
    output: Array


def forward(
    architecture: Architecture, snapshot: Snapshot, X: Array, mode: Mode
) -> tuple[Pass, Snapshot]:
    """Apply layer after layer; the arrays afterwards have the layers' next states.

    What is recorded shares no memory with ``X`` or with the output: both belong to the caller.
    """
    x, inputs, states = X.copy(), [], {}
    with np.errstate(all="ignore"), one_blas_thread():
        for place, layer in enumerate(architecture.layers):
            name = str(layer.name)
            inputs.append(frozen(x))
            given = (snapshot.parameters[name], snapshot.states[name], own_mode(layer, place, mode))
            y, state = layer.forward(x, *given)
            x, states[name] = np.asarray(y), map_tree(np.asarray, dict(state))
    output = x.copy() if any(np.may_share_memory(x, given) for given in inputs) else x
    return Pass(snapshot, mode, inputs, output), snapshot._replace(states=states)


def backward(
    architecture: Architecture, last: Pass, loss_grad: npt.ArrayLike
) -> tuple[Array | None, dict[str, dict[str, Array]]]:
    """The chain rule, from the last layer to the first.

    Returns
    -------
    the derivative by the input; None where the input is category numbers
    the derivatives by each layer's parameters, by layer and name

    Raises
    ------
    ShapeError
        If ``loss_grad`` does not have the output's shape.
    """
    given = as_array(loss_grad)
    if given.shape != last.output.shape:
        raise ShapeError(
            f"backward needs the derivative of the loss by the output, of its shape"
            f" {last.output.shape}, and got {given.shape}"
        )
    upstream: Array | None = given.astype(architecture.dtype)
    found: dict[str, dict[str, Array]] = {}
    for place, layer in reversed(list(enumerate(architecture.layers))):
        upstream, found[str(layer.name)] = _pull_back(layer, place, last, upstream)
    return upstream, found


def _pull_back(
    layer: Layer, place: int, last: Pass, upstream: Any
) -> tuple[Array | None, dict[str, Array]]:
    """The derivatives by one layer's input and by each of its parameters."""
    name, given = str(layer.name), last.inputs[place]
    parameters, states = last.snapshot.parameters[name], last.snapshot.states[name]
    x = ops.input((ROWS, *given.shape[1:]), given.dtype)
    nodes = {key: ops.input(array.shape, array.dtype) for key, array in parameters.items()}
    mode = own_mode(layer, place, last.mode)
    key = None if mode.key is None else ops.constant(mode.key)
    y, _ = layer.forward(x, nodes, map_tree(ops.constant, dict(states)), Mode(mode.training, key))
    seed = ops.input(y.shape, y.dtype)
    feed = {x: given, seed: upstream, **_paired(nodes, parameters)}
    values = evaluate(_slopes(y, [*nodes.values(), x], seed, place > 0), feed=feed)
    dx = values[len(nodes)] if len(values) > len(nodes) else None
    return dx, dict(zip(nodes, map(frozen, values), strict=False))


def _slopes(y: Node, variables: Sequence[Node], seed: Node, inside: bool) -> list[Node]:
    """Derivatives by each variable; without the last one where that is category numbers."""
    found = adjoints(y, variables, seed)
    by_input = found[-1]
    if isinstance(by_input, Absence) and by_input.blocked_by is not None and not inside:
        found = found[:-1]
    for variable, slope in zip(variables, found, strict=False):
        if isinstance(slope, Absence):
            raise slope.error(y, variable)
    return [slope for slope in found if isinstance(slope, Node)]


def _paired(nodes: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[Any, Array]:
    return {nodes[name]: arrays[name] for name in nodes}


def frozen(array: Any) -> Array:
    """A read-only array of the same numbers: ``array`` itself, or a view of it."""
    found = np.asarray(array)
    owner = found.flags.writeable or found.flags.owndata
    return read_only(found) if owner else found
