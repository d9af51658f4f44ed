"""Layers that learn from the training rows before training begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.graph.tree import map_tree
from chainrule.nn.base import Layer, Mode
from chainrule.shapes import Array, Dtype, is_float
from chainrule.training.snapshot import Snapshot


def fitted(layers: Sequence[Layer], snapshot: Snapshot, X: Array, dtype: Dtype) -> Snapshot:
    """The snapshot with states for the preprocessing layers that have seen no data.

    Parameters
    ----------
    layers : sequence of Layer
    snapshot : Snapshot
    X : (n, ...) array
        The training rows; a layer learns from them as the layers before it pass them on.
    dtype : element type of the network
    """
    waiting = [
        place
        for place, layer in enumerate(layers)
        if layer.needs_fit and not snapshot.states[str(layer.name)]
    ]
    states, first = dict(snapshot.states), snapshot.member(0)
    x, own = X, dict(first.states)
    for place, layer in enumerate(layers[: waiting[-1] + 1] if waiting else ()):
        name = str(layer.name)
        if place in waiting:
            own[name] = converted(layer.fit(x), dtype)
            states[name] = map_tree(lambda leaf: _repeated(leaf, snapshot.members), own[name])
        x = np.asarray(layer.forward(x, first.parameters[name], own[name], Mode(False))[0])
    return snapshot._replace(states=states)


def converted(arrays: Mapping[str, Array], dtype: Dtype) -> dict[str, Array]:
    """A layer's arrays, real numbers in the network's element type."""
    return {
        name: array.astype(dtype) if is_float(array.dtype) else array
        for name, array in arrays.items()
    }


def _repeated(array: Array, members: int | None) -> Array:
    return array if members is None else np.repeat(array[None], members, axis=0)
