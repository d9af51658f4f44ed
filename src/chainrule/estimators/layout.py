"""From an estimator's settings to layers, and from its fitted attributes to their arrays."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from chainrule.engines.base import BoundedCache
from chainrule.errors import ParameterError
from chainrule.estimators.machine import KEPT, Blueprint, Machine, Template, machine_for
from chainrule.estimators.risk import Mirrored, Monotonic, Risk
from chainrule.graph.tree import map_tree
from chainrule.networks import Network
from chainrule.networks.architecture import Architecture
from chainrule.nn import activations
from chainrule.nn.activations import Sigmoid
from chainrule.nn.base import Layer
from chainrule.nn.dropout import Dropout
from chainrule.nn.layers import Activation, Linear
from chainrule.nn.losses import Loss
from chainrule.nn.normalization import BatchNorm
from chainrule.ops import random
from chainrule.shapes import Array, Dtype
from chainrule.training.snapshot import Snapshot, Tree
from chainrule.training.steps import Regularization

LOGISTIC = "logistic"  # what scikit-learn calls the sigmoid
SEEDS = 2**31 - 1  # as many as a RandomState can draw on every platform


class Goal(NamedTuple):
    """What is minimised.

    Attributes
    ----------
    loss : Loss
    scale : float
        The factor on the loss's mean over rows and outputs.
    units : float
        How many units of the scaled loss are one of scikit-learn's.
    outputs : int
        Units of the last linear layer.
    activation : str
        ``out_activation_``
    ending : sequence of Layer
        What follows the last linear layer.
    """

    loss: Loss
    scale: float
    units: float
    outputs: int
    activation: str
    ending: Sequence[Layer]


@dataclass(frozen=True)
class Glorot:
    """Weights and biases uniform within sqrt(factor / (inputs + outputs)), drawn by NumPy.

    scikit-learn's numbers for the same ``random_state``; its factor is 2 after the logistic
    activation and else 6 (X. Glorot and Y. Bengio 2010, Understanding the difficulty of training
    deep feedforward neural networks, equation 16).
    """

    factor: float = 6.0

    @classmethod
    def before(cls, activation: Any) -> Glorot:
        """What suits an activation."""
        return cls(2.0 if isinstance(activation, Sigmoid) else 6.0)

    def __call__(self, key: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Zeros, which :meth:`draw` replaces."""
        return np.zeros(shape, dtype)

    def draw(
        self, n_in: int, n_out: int, dtype: Dtype, generator: np.random.RandomState
    ) -> dict[str, Array]:
        """Values of a linear layer."""
        bound = math.sqrt(self.factor / (n_in + n_out))
        shapes = {"W": (n_in, n_out), "b": (n_out,)}
        return {
            name: generator.uniform(-bound, bound, shape).astype(dtype)
            for name, shape in shapes.items()
        }


def activation_of(name: Any) -> Any:
    """The activation of a name, scikit-learn's names included; records and functions as they are.

    >>> activation_of("logistic"), activation_of("leaky_relu")
    (Sigmoid(), LeakyReLU(slope=0.01))
    """
    return Sigmoid() if isinstance(name, str) and name == LOGISTIC else activations.get(name)


def sizes_of(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """The widths of the hidden layers.

    Raises
    ------
    ParameterError
        If one is no int >= 1.
    """
    given = hidden_layer_sizes
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ParameterError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return tuple(map(int, sizes))


def for_each(values: Any, count: int, name: str) -> list[Any]:
    """A setting for each hidden layer, from one for all or one for each.

    Raises
    ------
    ParameterError
        If there are as many values as neither.
    """
    if not isinstance(values, (list, tuple)) or len(values) == 1:
        return [values[0] if isinstance(values, (list, tuple)) else values] * count
    if len(values) != count:
        raise ParameterError(
            f"{name} must be one for all {count} hidden layers or one for each, got {len(values)}"
        )
    return list(values)


def hidden_layers(
    n_in: int,
    sizes: Sequence[int],
    *,
    activation: Any,
    dropout: Any,
    batch_norm: bool,
    mirrored: bool,
) -> list[Layer]:
    """Linear, batch norm, activation and dropout for each hidden layer, as far as asked for."""
    functions = map(activation_of, for_each(activation, len(sizes), "activation"))
    shares = for_each(dropout, len(sizes), "dropout")
    layers: list[Layer] = []
    for place, (width, function, share) in enumerate(zip(sizes, functions, shares, strict=True), 1):
        layers.append(Linear(n_in, width, weights=Glorot.before(function), name=f"hidden{place}"))
        if batch_norm:
            layers.append(BatchNorm(width, name=f"batchnorm{place}"))
        applied = Mirrored(_rising(function), width) if mirrored else function
        layers.append(Activation(applied, name=f"activation{place}"))
        if share:
            layers.append(Dropout(share, name=f"dropout{place}"))
        n_in = width
    return layers


def _rising(function: Any) -> Any:
    """The activation, which must never fall."""
    if (np.diff(function(np.linspace(-8.0, 8.0, 4001))) < 0).any():
        raise ParameterError(
            f"monotonic_cst needs activations that never fall, and {function!r} does; use relu,"
            " tanh, logistic or softplus"
        )
    return function


def own_layers(layers: Sequence[Any]) -> list[Layer]:
    """New layers with the settings of ``layers``, which stay as they are.

    Raises
    ------
    ParameterError
        If something is no layer.
    """
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ParameterError(f"layers must be a list of chainrule.nn layers, got {layer!r}")
    return [_drawn_later(Template.of(layer).make()) for layer in layers]


def _drawn_later(layer: Layer) -> Layer:
    """The layer, its weights drawn as scikit-learn does unless it says how itself."""
    if isinstance(layer, Linear) and layer.weights is None and layer.bias:
        return replace(layer, weights=Glorot())
    return layer


def width_of(layers: Sequence[Layer], n_in: int, dtype: Dtype) -> int:
    """How many features hidden layers give to the output layer."""
    if not layers:
        return n_in
    return Architecture([Template.of(layer).make() for layer in layers], dtype).n_out((n_in,))


def machine_of(estimator: Any, goal: Goal, n_in: int, dtype: Dtype) -> Machine:
    """The machine that an estimator's settings describe.

    Parameters
    ----------
    estimator : Multilayer
    goal : Goal
    n_in : int
        Features.
    dtype : element type
    """
    signs = signs_of(estimator.monotonic_cst, n_in)
    if estimator.layers is not None:
        return _assembled(own_layers(estimator.layers), goal, n_in, dtype, Glorot(), signs)
    sizes = sizes_of(estimator.hidden_layer_sizes)
    settings = sizes, _hashable(estimator.activation), _hashable(estimator.dropout)

    def make() -> Machine:
        *_, activation, dropout = settings
        hidden = hidden_layers(
            n_in,
            sizes,
            activation=activation,
            dropout=dropout,
            batch_norm=estimator.batch_norm,
            mirrored=signs is not None,
        )
        last = activation[-1] if isinstance(activation, tuple) else activation
        weights = Glorot.before(activation_of(last))
        return _assembled(hidden, goal, n_in, dtype, weights, signs)

    kind = goal.loss, goal.scale, goal.outputs, goal.activation
    return _by_settings.get((settings, kind, n_in, dtype, bool(estimator.batch_norm), signs), make)


_by_settings: BoundedCache[Any, Machine] = BoundedCache(KEPT)


def _hashable(setting: Any) -> Any:
    return tuple(setting) if isinstance(setting, (list, np.ndarray)) else setting


def _assembled(
    hidden: list[Layer],
    goal: Goal,
    n_in: int,
    dtype: Dtype,
    weights: Glorot,
    signs: tuple[int, ...] | None,
) -> Machine:
    """The machine of hidden layers and what follows them."""
    output = Linear(width_of(hidden, n_in, dtype), goal.outputs, weights=weights, name="output")
    regularization = Regularization() if signs is None else Monotonic(signs=signs)
    probabilities = any(getattr(layer, "probabilities", False) for layer in goal.ending)
    risk = Risk(goal.loss, probabilities, regularization, goal.scale)
    templates = map(Template.of, [*hidden, output, *goal.ending])
    return machine_for(Blueprint(tuple(templates), dtype, risk))


def signs_of(constraints: Any, n_in: int) -> tuple[int, ...] | None:
    """1, -1 or 0 for each feature.

    Raises
    ------
    ParameterError
        If there is not one for each feature.
    """
    if constraints is None:
        return None
    signs = np.asarray(constraints)
    if signs.shape != (n_in,) or not np.isin(signs, (-1, 0, 1)).all():
        raise ParameterError(
            f"monotonic_cst must be 1, -1 or 0 for each of {n_in} features, got {constraints!r}"
        )
    return tuple(signs.astype(int).tolist())


# Arrays


def linear_layers(architecture: Architecture) -> list[Linear]:
    """The layers whose weights are ``coefs_``."""
    return [layer for layer in architecture.layers if isinstance(layer, Linear)]


def drawn(machine: Machine, generator: np.random.RandomState) -> Snapshot:
    """The first values of a network.

    Layers of scikit-learn's kind take its numbers from the generator; others take keys that do
    not move it.
    """
    architecture = machine.architecture
    parameters: Tree = {}
    for layer in linear_layers(architecture):
        if isinstance(layer.weights, Glorot):
            sizes = (layer.n_in, layer.n_out, architecture.dtype)
            parameters[str(layer.name)] = layer.weights.draw(*sizes, generator)
    others = architecture.draw(random.key(int(copy.deepcopy(generator).randint(SEEDS))))
    parameters = {**others.parameters, **parameters}
    projection = machine.risk.regularization
    if isinstance(projection, Monotonic):
        weights = projection.mirrored(architecture.penalized(parameters))
        parameters = architecture.with_penalized(parameters, weights)
    return others._replace(parameters=parameters)


def drawn_many(machine: Machine, generator: np.random.RandomState, count: int) -> Snapshot:
    """The first values of one network, or of many."""
    singles = [drawn(machine, generator) for _ in range(count)]
    return singles[0] if count == 1 else Snapshot.of_members(singles)


def attributes_of(architecture: Architecture, snapshot: Snapshot, dtype: Dtype) -> dict[str, Any]:
    """``coefs_``, ``intercepts_``, and in ``other_arrays_`` what other layers own or carry."""
    linear = [str(layer.name) for layer in linear_layers(architecture)]
    parameters, states = (_floats_as(dtype, tree) for tree in snapshot[:2])
    own = [parameters[name] for name in linear]
    rest = {name: part for name, part in parameters.items() if name not in linear and part}
    return {
        "coefs_": [part["W"] for part in own],
        "intercepts_": [part["b"] for part in own if "b" in part],
        "other_arrays_": {"parameters": rest, "states": _filled(states)},
    }


def _floats_as(dtype: Dtype, tree: Tree) -> Tree:
    """The tree with its floating-point arrays in another type."""

    def cast(leaf: Array) -> Array:
        return leaf.astype(dtype, copy=False) if leaf.dtype.kind == "f" else leaf

    found: Tree = map_tree(cast, tree)
    return found


def _filled(tree: Tree) -> Tree:
    return {name: part for name, part in tree.items() if part}


def snapshot_of(architecture: Architecture, estimator: Any, members: int | None) -> Snapshot:
    """The network that the fitted attributes of an estimator describe.

    Raises
    ------
    ParameterError
        If its settings have come to describe another one.
    """
    coefs, intercepts = iter(estimator.coefs_), iter(estimator.intercepts_)
    others = getattr(estimator, "other_arrays_", {"parameters": {}, "states": {}})
    empty: Tree = {str(layer.name): {} for layer in architecture.layers}
    dtype = architecture.dtype
    parameters = {**empty, **_floats_as(dtype, others["parameters"])}
    for layer in linear_layers(architecture):
        own = {"W": _typed(next(coefs, None), dtype)}
        if layer.bias:
            own["b"] = _typed(next(intercepts, None), dtype)
        parameters[str(layer.name)] = own
    found = Snapshot(parameters, {**empty, **_floats_as(dtype, others["states"])}, members)
    if [*coefs, *intercepts] or not _is_of(architecture, found):
        raise ParameterError(
            f"this {type(estimator).__name__} was fitted with weights of shapes"
            f" {[np.shape(each) for each in estimator.coefs_]}, and its settings now describe"
            " other layers; set them as they were, or fit it anew without warm_start"
        )
    return found


def _is_of(architecture: Architecture, snapshot: Snapshot) -> bool:
    """Whether arrays have the names and shapes of the layers'."""
    own = 0 if snapshot.members is None else 1  # the first axis of a layer's own
    for layer in architecture.layers:
        name = str(layer.name)
        shapes = {key: array.shape[own:] for key, array in snapshot.parameters[name].items()}
        if shapes != {key: each.shape for key, each in layer.parameters().items()}:
            return False
        if not layer.needs_fit and snapshot.states[name].keys() != layer.initial_state().keys():
            return False
    return len(snapshot.parameters) == len(architecture.layers)


def _typed(array: Any, dtype: Dtype) -> Array:
    return np.ascontiguousarray(array, dtype)


def network(architecture: Architecture, snapshot: Snapshot) -> Network:
    """A network that stands on its own."""
    layers = [Template.of(layer).make() for layer in architecture.layers]
    plain = [
        replace(layer, weights=None)
        if isinstance(layer, Linear) and isinstance(layer.weights, Glorot)
        else layer
        for layer in layers
    ]
    found = Network(plain, seed=0, dtype=architecture.dtype)
    found.publish(snapshot)
    return found
