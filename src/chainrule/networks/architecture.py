"""Layers in a row, without arrays: names, shapes, and the graph they build."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from chainrule import ops
from chainrule.errors import DtypeError, ParameterError, ShapeError
from chainrule.graph.graph import Graph
from chainrule.nn.activations import Sigmoid, Softmax
from chainrule.nn.base import InputShape, Layer, Mode
from chainrule.nn.layers import Activation
from chainrule.ops import random
from chainrule.shapes import ROWS, Array, as_dtype, is_float
from chainrule.training.data import as_features
from chainrule.training.preprocessing import converted
from chainrule.training.snapshot import Snapshot, Tree
from chainrule.training.steps import Rows, evaluation_graph


class Architecture:
    """Layers in a row: what a network is before it has numbers.

    Parameters
    ----------
    layers : sequence of Layer
        Those without a name get one from their kind and place.
    dtype : {"float32", "float64"}

    Raises
    ------
    ShapeError
        If a layer cannot take what the one before it gives.
    ParameterError
        If there are no layers, two have one name, or one belongs to another network.
    DtypeError
        If ``dtype`` is no float type.
    """

    def __init__(self, layers: Sequence[Layer], dtype: npt.DTypeLike) -> None:
        self.layers = tuple(layers) if isinstance(layers, (list, tuple)) else ()
        self.dtype = as_dtype(dtype)
        if not is_float(self.dtype):
            raise DtypeError(f"a network computes in float32 or float64, got {self.dtype.name}")
        _check(self.layers)
        _name(self.layers)
        self.input_shape = _first_shape(self.layers)
        self.shapes = self.shapes_from(self.input_shape)
        for layer, following in zip(self.layers, (*self.layers[1:], None), strict=True):
            layer.following = following.function if isinstance(following, Activation) else None

    def shapes_from(self, row_shape: InputShape) -> list[InputShape]:
        """The shape of one row after each layer, None where layers leave it open.

        Raises
        ------
        ShapeError
            If a layer cannot take what the one before it gives.
        """
        shape, source, found = row_shape, "the input", []
        for layer in self.layers:
            shape = layer.output_shape(shape, source)
            source = repr(layer.name)
            found.append(shape)
        return found

    def n_out(self, row_shape: tuple[int, ...]) -> int:
        """Columns of the output for rows of a shape.

        Raises
        ------
        ShapeError
            If the output of a row is no vector.
        """
        shape = self.shapes_from(row_shape)[-1]
        if shape is None or len(shape) != 1:
            raise ShapeError(
                f"training needs one vector of outputs for each row, and {self.layers[-1].label}"
                f" gives {shape}; add Flatten() where the axes should become one"
            )
        return shape[0]

    @property
    def output_activation(self) -> Any:
        """The activation that the network ends in; None if it ends in another layer."""
        last = self.layers[-1]
        return last.function if isinstance(last, Activation) else None

    @property
    def default_loss(self) -> str:
        """The loss that suits the output: the cross-entropy of its kind, else squared error."""
        pairs = ((Sigmoid, "binary_cross_entropy"), (Softmax, "cross_entropy"))
        fitting = [loss for kind, loss in pairs if isinstance(self.output_activation, kind)]
        return fitting[0] if fitting else "squared_error"

    @property
    def n_parameters(self) -> int:
        """How many numbers training moves."""
        return sum(map(count_of, self.layers))

    def as_rows(
        self,
        X: npt.ArrayLike,
        row_shape: InputShape = None,
        what: str = "X",
        fewest: int = 1,
        finite: bool = False,
    ) -> Array:
        """``X`` as rows that the network can take, of its element type.

        Parameters
        ----------
        X : (n, ...) array_like
        row_shape : tuple of int, optional
            The shape of a row, where the layers leave it open.
        what : str
            How messages call ``X``.
        fewest : int
            Rows that there have to be, 0 or 1.
        finite : bool
            Whether ``X`` is known to be finite.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If ``X`` is not what the network takes.
        """
        rows = as_features(X, self.dtype, row_shape or self.input_shape, what, fewest, finite)
        self.layers[0].check_rows(rows, what)
        return rows

    # The first arrays

    def draw(self, key: Array) -> Snapshot:
        """First values, drawn from a key: each parameter has a stream of its own."""
        parameters: Tree = {}
        for place, layer in enumerate(self.layers):
            layer_key = random.fold_in(key, place)
            parameters[str(layer.name)] = {
                name: parameter.initializer(
                    random.fold_in(layer_key, index), parameter.shape, self.dtype
                )
                for index, (name, parameter) in enumerate(layer.parameters().items())
            }
        states = {str(x.name): converted(x.initial_state(), self.dtype) for x in self.layers}
        return Snapshot(parameters, states)

    # The graph

    def build(
        self, x: Any, parameters: Mapping[str, Any], states: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, dict[str, dict[str, Any]]]:
        """The output and the next states, as graph (or as arrays, if given arrays).

        Parameters
        ----------
        x : (ROWS, ...) node or array
        parameters, states : dicts of dicts of nodes or arrays
        mode : Mode
        """
        anew: dict[str, dict[str, Any]] = {}
        for place, layer in enumerate(self.layers):
            name = str(layer.name)
            own = own_mode(layer, place, mode)
            x, state = layer.forward(x, parameters[name], states[name], own)
            anew[name] = dict(state)
        return x, anew

    def prediction_graph(self, snapshot: Snapshot) -> Graph:
        """What ``predict`` computes; inputs are the arrays of the snapshot, then the rows.

        Raises
        ------
        ShapeError
            If the layers leave the shape of a row open.
        """
        if self.input_shape is None:
            raise ShapeError(
                f"{self.layers[0].label} takes rows of any shape, so that there is no one graph"
            )
        rows = Rows(ops.input((ROWS, *self.input_shape), self.dtype, "x"))
        return evaluation_graph(self, None, snapshot, rows)

    def penalized(self, parameters: Mapping[str, Mapping[str, Any]]) -> list[Any]:
        """The parameters that regularisation applies to: weights, not biases."""
        return [parameters[layer][name] for layer, name in self._penalized_names()]

    def with_penalized(
        self, parameters: Mapping[str, Mapping[str, Any]], weights: Sequence[Any]
    ) -> dict[str, Any]:
        """The parameters with other values for those that regularisation applies to."""
        anew = {layer: dict(named) for layer, named in parameters.items()}
        for (layer, name), weight in zip(self._penalized_names(), weights, strict=True):
            anew[layer][name] = weight
        return anew

    def _penalized_names(self) -> list[tuple[str, str]]:
        return [
            (str(layer.name), name)
            for layer in self.layers
            for name, parameter in layer.parameters().items()
            if parameter.penalized
        ]


def own_mode(layer: Layer, place: int, mode: Mode) -> Mode:
    """A network's mode for one of its layers, with a random key of its own."""
    drawn = mode.key is not None and layer.needs_key
    return Mode(mode.training, random.fold_in(mode.key, place) if drawn else None)


def count_of(layer: Layer) -> int:
    """How many numbers of a layer training moves."""
    return sum(math.prod(parameter.shape) for parameter in layer.parameters().values())


def kind_of(layer: Layer) -> str:
    """A layer's kind, as files and tables call it."""
    return type(layer).__name__


def _check(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ParameterError("a network needs at least one layer: Network(layers=[Linear(2, 1)])")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ParameterError(
                f"a network is made of layers, got {layer!r}; wrap a function in nn.Function(...)"
            )
        if layer.values or layer.state:
            raise ParameterError(
                f"{layer.label} belongs to another network; make a new layer for this one"
            )
    if len({id(layer) for layer in layers}) < len(layers):
        raise ParameterError("one layer stands in two places; make a layer for each")
    names = [layer.name for layer in layers if layer.name]
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ParameterError(f"layer names must differ, and {twice[0]!r} occurs twice")


def _name(layers: Sequence[Layer]) -> None:
    taken = [layer.name for layer in layers]
    for place, layer in enumerate(layers, 1):
        if layer.name is None:
            name = f"{kind_of(layer).lower()}{place}"
            while name in taken:
                name += "_"
            layer.name = name
            taken.append(name)


def _first_shape(layers: Sequence[Layer]) -> InputShape:
    """The shape of a row, from the first layer that knows, if rows come there unchanged."""
    for layer in layers:
        features = getattr(layer, "n_in", None) or getattr(layer, "n", None)
        if features:
            return (features,)
        if type(layer).output_shape is not Layer.output_shape and not isinstance(layer, Activation):
            return None
    return None
