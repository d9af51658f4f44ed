"""What a network consists of, as a file holds it, and how a stranger's file is checked.

Every array is compared with what its layer declares before anything is allocated, so that a small
file cannot ask for large memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import DivergenceError, FileFormatError
from chainrule.networks.architecture import Architecture, kind_of
from chainrule.nn.base import Layer
from chainrule.nn.registry import layer_from_settings
from chainrule.shapes import Array, Dtype, is_float
from chainrule.training.history import History
from chainrule.training.plan import new_seed
from chainrule.training.snapshot import Snapshot

KIND = "network"
_HISTORY = "history."
_PARAMETER, _STATE = "parameter", "state"

Arrays = Mapping[str, Array]


class Contents(NamedTuple):
    """All that a network consists of.

    Attributes
    ----------
    architecture : Architecture
    snapshot : Snapshot
    seed : int
    extra : dict
    history : History or None
    """

    architecture: Architecture
    snapshot: Snapshot
    seed: int
    extra: dict[str, Any]
    history: History | None


def packed(contents: Contents) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and structure of a file, for :func:`chainrule.persist.write_file`.

    Raises
    ------
    ParameterError
        If a layer holds a function of the user's own, which no file can hold.
    DivergenceError
        If a parameter is not finite.
    """
    architecture, snapshot, seed, extra, history = contents
    arrays = {
        _place(place, kind, name): array
        for kind, tree in ((_PARAMETER, snapshot.parameters), (_STATE, snapshot.states))
        for place, layer in enumerate(architecture.layers)
        for name, array in tree[str(layer.name)].items()
    }
    for layer in architecture.layers:
        for name, array in snapshot.parameters[str(layer.name)].items():
            if not np.isfinite(array).all():
                raise DivergenceError(
                    f"{layer.label} holds a {name} with values that are not finite, which no file"
                    " takes; train again with a smaller rate or scaled data"
                )
    facts, columns = (None, {}) if history is None else history.packed()
    arrays |= {_HISTORY + name: column for name, column in columns.items()}
    return arrays, {
        "dtype": architecture.dtype.name,
        "seed": seed,
        "members": snapshot.members,
        "layers": [described(layer) for layer in architecture.layers],
        "history": facts,
        "extra": extra,
    }


def described(layer: Layer) -> dict[str, Any]:
    """A layer as JSON: its kind and its settings."""
    return {"kind": kind_of(layer), "settings": layer.settings()}


def built(descriptions: Sequence[Mapping[str, Any]]) -> list[Layer]:
    """New layers from their descriptions; only registered kinds are ever made."""
    return [layer_from_settings(each["kind"], each["settings"]) for each in descriptions]


def unpacked(arrays: Arrays, structure: Mapping[str, Any]) -> Contents:
    """What :func:`packed` took apart, checked.

    Raises
    ------
    FileFormatError
        If the parts do not describe a network.
    """
    try:
        return _unpacked(arrays, structure)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as reason:
        text = f"no {reason}" if isinstance(reason, KeyError) else str(reason)
        raise FileFormatError(f"the file does not describe a network: {text}") from reason


def _unpacked(arrays: Arrays, structure: Mapping[str, Any]) -> Contents:
    architecture = Architecture(built(structure["layers"]), structure["dtype"])
    members = structure["members"]
    if members is not None and (type(members) is not int or members < 2):
        raise FileFormatError(f"it has {members!r} members")
    if not isinstance(structure["extra"], dict) or structure["seed"] is None:
        raise FileFormatError("its seed or its extra part is of the wrong type")
    own = {name: array for name, array in arrays.items() if not name.startswith(_HISTORY)}
    parameters = _parameters(architecture, own, members)
    states = _states(architecture, own, members)
    if own:
        raise FileFormatError(f"its array {next(iter(own))!r} belongs to no layer")
    columns = {
        name.removeprefix(_HISTORY): array
        for name, array in arrays.items()
        if name.startswith(_HISTORY)
    }
    facts = structure["history"]
    history = None if facts is None else History.unpacked(facts, columns)
    snapshot = Snapshot(parameters, states, members)
    fitted = all(states[str(layer.name)] for layer in architecture.layers if layer.needs_fit)
    if fitted and architecture.input_shape is not None:
        architecture.prediction_graph(snapshot)  # refuses learned states that do not fit
    return Contents(
        architecture, snapshot, new_seed(structure["seed"]), structure["extra"], history
    )


def _parameters(
    architecture: Architecture, arrays: dict[str, Array], members: int | None
) -> dict[str, dict[str, Array]]:
    """The parameters, taken out of ``arrays``."""
    return {
        str(layer.name): {
            name: _taken(
                arrays,
                _place(place, _PARAMETER, name),
                parameter.shape,
                architecture.dtype,
                members,
            )
            for name, parameter in layer.parameters().items()
        }
        for place, layer in enumerate(architecture.layers)
    }


def _states(
    architecture: Architecture, arrays: dict[str, Array], members: int | None
) -> dict[str, dict[str, Array]]:
    """The states, taken out of ``arrays``; fitted layers know their shapes only by the data."""
    found = {}
    for place, layer in enumerate(architecture.layers):
        _refuse_larger(layer, arrays)
        expected = {name: (a.shape, a.dtype) for name, a in layer.initial_state().items()}
        if layer.needs_fit:
            prefix = _place(place, _STATE, "")
            expected = {
                name.removeprefix(prefix): (array.shape[0 if members is None else 1 :], array.dtype)
                for name, array in arrays.items()
                if name.startswith(prefix)
            }
        found[str(layer.name)] = {
            name: _taken(
                arrays,
                _place(place, _STATE, name),
                shape,
                architecture.dtype if is_float(dtype) else dtype,
                members,
            )
            for name, (shape, dtype) in expected.items()
        }
    return found


def _refuse_larger(layer: Layer, arrays: Arrays) -> None:
    """Refuse a layer with more features than the file has numbers, before it makes its state."""
    makes_state = type(layer).initial_state is not Layer.initial_state
    features = max([size for size in vars(layer).values() if type(size) is int], default=0)
    if makes_state and features > sum(array.size for array in arrays.values()):
        raise FileFormatError(f"its layer {layer.label} is larger than the file")


def _taken(
    arrays: dict[str, Array], name: str, shape: tuple[int, ...], dtype: Dtype, members: int | None
) -> Array:
    """The array of a name, which must have a shape and type; it is removed from ``arrays``."""
    wanted = shape if members is None else (members, *shape)
    if name not in arrays:
        raise FileFormatError(f"its array {name!r} is missing")
    array = arrays.pop(name)
    if array.shape != wanted or array.dtype != dtype:
        raise FileFormatError(
            f"its array {name!r} is {array.dtype}{list(array.shape)}, and the layer needs"
            f" {dtype}{list(wanted)}"
        )
    if is_float(array.dtype) and not np.isfinite(array).all():
        raise FileFormatError(f"its array {name!r} has values that are not finite")
    return array


def _place(place: int, kind: str, name: str) -> str:
    """What an array is called in a file: by its layer's place, which no name can confuse."""
    return f"{place}.{kind}.{name}"
