"""Networks: named layers in a row, with the parameters they own."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import ops, persist
from chainrule.errors import (
    DtypeError,
    FileFormatError,
    MissingInputError,
    ParameterError,
    ShapeError,
    unknown_name,
)
from chainrule.expressions import evaluate
from chainrule.graph.tree import flatten, map_tree
from chainrule.nn.activations import Sigmoid, Softmax
from chainrule.nn.base import Layer, Mode
from chainrule.nn.layers import Activation
from chainrule.nn.registry import layer_from_settings
from chainrule.ops import random
from chainrule.shapes import FLOAT32, ROWS, Array, as_dtype, is_float
from chainrule.training.data import as_features
from chainrule.training.evaluation import Evaluator
from chainrule.training.fit import fit as train
from chainrule.training.fit import new_seed, positive_integer
from chainrule.training.history import History
from chainrule.training.steps import Regularization
from chainrule.transforms import gradient

KIND = "network"


class Network:
    """A feed-forward network: layers with names, applied one after the other.

    Parameters
    ----------
    layers : sequence of Layer
        Layers without a name get one from their kind and place.
    seed : int, optional
        What the parameters are drawn from, from 0 to 2**64 - 1; drawn from the operating system
        and kept in ``model.seed`` if None.
    dtype : {"float32", "float64"}
        The element type of all parameters.

    Attributes
    ----------
    layers : list of Layer
    seed : int
    members : int or None
        How many networks train at once in this one; None for a single network.
    extra : dict
        Whatever JSON can hold; saved with the model.

    Raises
    ------
    ShapeError
        If a layer cannot take what the one before it gives.
    ParameterError
        If two layers have one name, or a layer belongs to another network.

    Examples
    --------
    >>> from chainrule.nn import Activation, Linear, Network, ReLU, Sigmoid
    >>> model = Network(
    ...     [
    ...         Linear(2, 10, name="input"),
    ...         Activation(ReLU()),
    ...         Linear(10, 1, name="output"),
    ...         Activation(Sigmoid()),
    ...     ],
    ...     seed=0,
    ... )
    >>> model["input"].W.shape
    (2, 10)
    >>> model.predict([[0.0, 1.0]]).shape
    (1, 1)
    """

    def __init__(
        self, layers: Sequence[Layer], seed: int | None = None, dtype: npt.DTypeLike = FLOAT32
    ) -> None:
        self.layers = list(layers)
        self.dtype = as_dtype(dtype)
        if not is_float(self.dtype):
            raise DtypeError(f"a network computes in float32 or float64, got {self.dtype.name}")
        _check_layers(self.layers)
        self.seed = new_seed(seed)
        self.members: int | None = None
        self.extra: dict[str, Any] = {}
        self.history: History | None = None
        self._lock = Lock()
        self._evaluate = Evaluator(self)
        _name_layers(self.layers)
        self._shapes = _shapes_of(self.layers)
        for layer, following in zip(self.layers, [*self.layers[1:], None], strict=True):
            layer.following = following.function if isinstance(following, Activation) else None
        self.publish(self.draw_parameters(random.key(self.seed)), self._initial_states())

    # Layers and their arrays

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise unknown_name("layer", name, [str(layer.name) for layer in self.layers])

    @property
    def parameters(self) -> dict[str, dict[str, Array]]:
        """The current parameters by layer and name: read-only arrays."""
        return self.snapshot()[0]

    @property
    def states(self) -> dict[str, dict[str, Array]]:
        """What layers carry along without training it, by layer and name."""
        return self.snapshot()[1]

    def snapshot(self) -> tuple[dict[str, dict[str, Array]], dict[str, dict[str, Array]]]:
        """Parameters and states of one moment, even while another thread trains."""
        with self._lock:
            return (
                {str(layer.name): dict(layer.values) for layer in self.layers},
                {str(layer.name): dict(layer.state) for layer in self.layers},
            )

    def publish(self, parameters: Mapping[str, Any], states: Mapping[str, Any]) -> None:
        """Put new arrays in place of the current ones, all at once."""
        frozen = map_tree(_read_only, [dict(parameters), dict(states)])
        with self._lock:
            for layer in self.layers:
                layer.values, layer.state = frozen[0][layer.name], frozen[1][layer.name]

    def draw_parameters(self, key: Array) -> dict[str, dict[str, Array]]:
        """First values for all parameters, drawn from a key; each has a stream of its own."""
        found: dict[str, dict[str, Array]] = {}
        for place, layer in enumerate(self.layers):
            layer_key = random.fold_in(key, place)
            found[str(layer.name)] = {
                name: parameter.initializer(
                    random.fold_in(layer_key, index), parameter.shape, self.dtype
                )
                for index, (name, parameter) in enumerate(layer.parameters().items())
            }
        return found

    def _initial_states(self) -> dict[str, dict[str, Array]]:
        return {
            str(layer.name): {
                name: self._converted(array) for name, array in layer.initial_state().items()
            }
            for layer in self.layers
        }

    def _converted(self, array: Array) -> Array:
        return array.astype(self.dtype) if is_float(array.dtype) else array

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one row of input; None where the layers leave it open."""
        return _first_shape(self.layers)

    @property
    def n_out(self) -> int | None:
        """Columns of the output; None where the layers leave it open."""
        last = self._shapes[-1]
        return last[-1] if last else None

    @property
    def output_activation(self) -> Any:
        """The activation that the network ends in; None if it ends in another layer."""
        last = self.layers[-1]
        return last.function if isinstance(last, Activation) else None

    @property
    def needs_batch_statistics(self) -> bool:
        """Whether a batch of a single row means nothing in training."""
        return any(layer.needs_batch_statistics for layer in self.layers)

    @property
    def default_loss(self) -> str:
        """The loss that suits the output: the cross-entropy of its kind, else squared error."""
        pairs = ((Sigmoid, "binary_cross_entropy"), (Softmax, "cross_entropy"))
        fitting = [loss for kind, loss in pairs if isinstance(self.output_activation, kind)]
        return fitting[0] if fitting else "squared_error"

    def _penalized_names(self) -> list[tuple[str, str]]:
        return [
            (str(layer.name), name)
            for layer in self.layers
            for name, parameter in layer.parameters().items()
            if parameter.penalized
        ]

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
            key = (
                random.fold_in(mode.key, place)
                if mode.key is not None and layer.needs_key
                else None
            )
            x, state = layer.forward(x, parameters[name], states[name], Mode(mode.training, key))
            anew[name] = dict(state)
        return x, anew

    def first_non_finite(self, parameters: Any, states: Any, X: Array) -> str | None:
        """The name of the first layer whose output for rows ``X`` is not finite."""
        nodes = map_tree(ops.constant, [self._first_member(parameters), self._first_member(states)])
        x: Any = ops.constant(X)
        for layer in self.layers:
            name = str(layer.name)
            x, _ = layer.forward(x, nodes[0][name], nodes[1][name], Mode(False))
            if not evaluate(ops.all(ops.isfinite(x))):
                return layer.label
        return None

    def _first_member(self, tree: Any) -> Any:
        return map_tree(lambda leaf: leaf[0], tree) if self.members else tree

    # Training

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        loss: Any = None,
        optimizer: Any = "adam",
        epochs: int = 50,
        batch_size: int | None = 32,
        validation: Any = None,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        metrics: Sequence[str] | None = None,
        early_stopping: Any = None,
        callbacks: Sequence[Any] | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        replacement: bool = False,
        members: int = 1,
        restarts: int = 1,
        seed: int | None = None,
        engine: str | None = None,
        progress: bool | None = None,
    ) -> History:
        """Train, starting from the current parameters.

        Parameters
        ----------
        X : (n, ...) array_like
            Features, finite; read in place if they have the network's element type.
        y : (n,) or (n, k) array_like
            Targets as the loss takes them: real numbers, class numbers, or one-hot rows.
        loss : name, Loss or callable, optional
            By default the one that suits the output layer.
        optimizer : name or Optimizer
        epochs : int >= 0
            Passes over the data.
        batch_size : int >= 1 or None
            Rows a step; None for all of them.
        validation : (X, y) or (X, y, weights), fraction, or row numbers, optional
            What the best epoch is chosen by. The best parameters are always put back at the end.
        sample_weight : (n,) array_like, optional
        class_weight : dict of class to weight, or "balanced", optional
        metrics : names, optional
            What is computed on the validation rows beside the loss.
        early_stopping : int or EarlyStopping, optional
            Epochs without improvement after which training ends.
        callbacks : sequence, optional
            Callbacks, functions of the run, ReduceOnPlateau rules.
        l1, l2 : float >= 0
            Penalties on weights: l1 * sum |w| and l2 * sum w^2.
        max_norm : float > 0, optional
            No unit's incoming weights have a greater Euclidean norm after a step.
        shuffle, drop_last, replacement : bool
            A new order for each epoch; leave out a short last batch; draw rows with replacement.
        members : int >= 1
            Train this many networks at once, each from parameters of its own.
        restarts : int >= 1
            Train this many at once, and keep the best.
        seed : int, optional
            For shuffling, dropout and new members; kept in the history. The same seed gives the
            same bits.
        engine : str, optional
        progress : bool, optional
            A live line on standard error; by default if it is a terminal.

        Returns
        -------
        History

        Raises
        ------
        ShapeError, DataError, ParameterError, UnknownNameError
            For input that cannot be learned from; the parameters are as before.
        """
        seed = new_seed(seed)
        l_norms = Regularization(l1=l1, l2=l2, max_norm=max_norm)
        before, members_before = self.snapshot(), self.members
        self._multiply(
            positive_integer("members", members), positive_integer("restarts", restarts), seed
        )
        try:
            history, best = train(
                self, X, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size,
                validation=validation, sample_weight=sample_weight, class_weight=class_weight,
                metrics=metrics, early_stopping=early_stopping, callbacks=callbacks,
                regularization=l_norms, shuffle=shuffle, drop_last=drop_last, replacement=replacement,
                seed=seed, engine=engine, progress=progress,
            )  # fmt: skip
        except Exception:
            self.members = members_before
            self.publish(*before)
            raise
        if restarts > 1:
            self._keep_member(best)
        self.history = history
        return history

    def _multiply(self, members: int, restarts: int, seed: int) -> None:
        """Turn the single network into many: the first keeps its parameters, others draw new ones."""
        count = max(members, restarts)
        if members > 1 and restarts > 1:
            raise ParameterError("choose members (keep all) or restarts (keep the best), not both")
        if self.members and count > 1 and count != self.members:
            raise ParameterError(
                f"the model has {self.members} members; train them on, or make a new model"
            )
        if count == 1 or self.members:
            return
        parameters, states = self.snapshot()
        key = random.fold_in(random.key(seed), 2**32 - 2)
        drawn = [self.draw_parameters(random.fold_in(key, member)) for member in range(1, count)]
        self.members = count
        self.publish(
            map_tree(lambda *leaves: np.stack(leaves), parameters, *drawn),
            map_tree(lambda leaf: np.repeat(leaf[None], count, axis=0), states),
        )

    def _keep_member(self, member: int) -> None:
        parameters, states = map_tree(lambda leaf: leaf[member], list(self.snapshot()))
        self.members = None
        self.publish(parameters, states)

    def member(self, index: int) -> Network:
        """One of the members, as a network of its own."""
        if not self.members or not -self.members <= index < self.members:
            raise ParameterError(
                f"the model has {self.members or 1} members; there is no member {index}"
            )
        single = _rebuilt(self)
        single.publish(*map_tree(lambda leaf: leaf[index], list(self.snapshot())))
        return single

    def fit_preprocessing(self, X: Array) -> None:
        """Let preprocessing layers that have seen no data learn from the training rows ``X``."""
        waiting = [layer for layer in self.layers if layer.needs_fit and not layer.state]
        if not waiting:
            return
        parameters, states = self.snapshot()
        x: Any = X
        for layer in self.layers[: self.layers.index(waiting[-1]) + 1]:
            name = str(layer.name)
            if layer in waiting:
                learned = {key: self._converted(value) for key, value in layer.fit(x).items()}
                states[name] = learned
            single = [self._first_member(parameters[name]), states[name]]
            x, _ = layer.forward(x, *single, Mode(False))
        many = {
            str(layer.name): map_tree(
                lambda leaf: np.repeat(leaf[None], self.members or 1, axis=0),
                states[str(layer.name)],
            )
            for layer in waiting
        }
        self.publish(parameters, {**states, **(many if self.members else {})})

    # Use

    def predict(
        self, X: npt.ArrayLike, members: str | None = None, engine: str | None = None
    ) -> Array:
        """The output for rows ``X``; safe to call from many threads, even during training.

        Parameters
        ----------
        X : (n, ...) array_like
        members : {"all"}, optional
            Keep the axis of the members, in front; by default their mean is given.
        engine : str, optional

        Returns
        -------
        (n, k) array, or (members, n, k)
        """
        if members not in (None, "all"):
            raise ParameterError(f"members must be 'all' or left out, got {members!r}")
        rows = as_features(X, self.dtype, self.input_shape)
        parameters, states = self.snapshot()
        output, _ = self._evaluate(parameters, states, [rows], members=self.members, engine=engine)
        if not self.members:
            return output
        return output if members == "all" else np.mean(output, axis=0)

    def forward(self, X: npt.ArrayLike, training: bool = False, seed: int | None = None) -> Array:
        """The output, layer by layer: every layer keeps its ``input``.

        Parameters
        ----------
        X : (n, ...) array_like
        training : bool
            Whether dropout drops and batch norm uses (and updates) batch statistics.
        seed : int, optional
            For random layers in training.
        """
        self._need_single("forward")
        x = as_features(X, self.dtype, self.input_shape)
        parameters, states = self.snapshot()
        key = random.key(new_seed(seed)) if training else None
        self._last = (parameters, states, training, key)
        anew = {}
        for place, layer in enumerate(self.layers):
            name = str(layer.name)
            layer.input = _read_only(x)
            mode = self._mode(layer, place)
            x, state = layer.forward(x, parameters[name], states[name], mode)
            anew[name] = map_tree(np.asarray, dict(state))
        self.publish(parameters, anew)
        return np.asarray(x)

    def _mode(self, layer: Layer, place: int) -> Mode:
        _, _, training, key = self._last
        return Mode(training, random.fold_in(key, place) if training and layer.needs_key else None)

    def backward(self, loss_grad: npt.ArrayLike) -> Array:
        """The chain rule, layer by layer, from the last to the first (after :meth:`forward`).

        ASSIGNS each layer's gradients, read as ``layer.gradient_w`` and ``layer.gradient_b``.

        Parameters
        ----------
        loss_grad : array_like of the output's shape
            The derivative of the loss by the output.

        Returns
        -------
        array of the input's shape
            The derivative of the loss by the input.

        Raises
        ------
        MissingInputError
            If there was no ``forward`` before.
        """
        if not hasattr(self, "_last"):
            raise MissingInputError("backward needs a forward pass first: call model.forward(X)")
        parameters, states, _, _ = self._last
        upstream = np.asarray(loss_grad, self.dtype)
        for place, layer in reversed(list(enumerate(self.layers))):
            name = str(layer.name)
            upstream, layer.gradients = _pull_back(
                layer, parameters[name], states[name], self._mode(layer, place), upstream
            )
        return upstream

    def _need_single(self, what: str) -> None:
        if self.members:
            raise ParameterError(
                f"{what} looks at one network; choose one of {self.members}: model.member(0)"
            )

    # Description and files

    def summary(self) -> str:
        """A table of the layers: name, kind, output shape, parameters."""
        rows = [("layer", "kind", "output", "parameters")]
        total = 0
        for layer, shape in zip(self.layers, self._shapes, strict=True):
            count = sum(math.prod(parameter.shape) for parameter in layer.parameters().values())
            total += count
            extents = "?" if shape is None else " x ".join(["rows", *map(str, shape)])
            rows.append((str(layer.name), _kind_of(layer), extents, f"{count:,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [_aligned(row, widths) for row in rows]
        rule = "-" * len(lines[0])
        members = f" in each of {self.members} members" if self.members else ""
        return "\n".join(
            [lines[0], rule, *lines[1:], rule, f"{total:,} parameters, {self.dtype.name}{members}"]
        )

    def __repr__(self) -> str:
        return f"<Network of {len(self.layers)} layers: {', '.join(str(layer.name) for layer in self.layers)}>"

    def save(self, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
        """Write the model to one file; an existing file stays whole if anything fails.

        Parameters
        ----------
        path : path
        extra : dict, optional
            Whatever JSON can hold, to be found again in ``model.extra``.
        """
        if extra is not None:
            self.extra = dict(extra)
        persist.write_file(path, *_packed(self), kind=KIND)

    def __reduce__(self) -> Any:
        return _from_bytes, (persist.to_bytes(*_packed(self), kind=KIND),)


def load(path: str | os.PathLike[str]) -> Network:
    """The model in a file. Loading runs no code, and refuses a file with a single flipped bit.

    Raises
    ------
    FileFormatError
        If the file is damaged, hostile or not a model.
    """
    return _unpacked(*persist.read_file(path, kind=KIND))


def _from_bytes(data: bytes) -> Network:
    return _unpacked(*persist.from_bytes(data, kind=KIND))


def _packed(model: Network) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and structure of a model's file."""
    arrays = {
        f"{place}.{kind}.{name}": array
        for place, layer in enumerate(model.layers)
        for kind, named in (("parameter", layer.values), ("state", layer.state))
        for name, array in named.items()
    }
    history = None
    if model.history is not None:
        history, columns = model.history.packed()
        arrays |= {f"history.{name}": column for name, column in columns.items()}
    return arrays, {
        "dtype": model.dtype.name,
        "seed": model.seed,
        "members": model.members,
        "layers": [
            {"kind": _kind_of(layer), "settings": layer.settings()} for layer in model.layers
        ],
        "history": history,
        "extra": model.extra,
    }


def _unpacked(arrays: Mapping[str, Array], structure: Mapping[str, Any]) -> Network:
    try:
        layers = [
            layer_from_settings(each["kind"], each["settings"]) for each in structure["layers"]
        ]
        model = Network(layers, seed=structure["seed"], dtype=structure["dtype"])
        model.members = structure["members"]
        parameters = {
            str(x.name): _arrays_of(arrays, i, "parameter", x.values) for i, x in enumerate(layers)
        }
        states = {str(x.name): _arrays_of(arrays, i, "state", None) for i, x in enumerate(layers)}
        _check_arrays(model, parameters)
        model.publish(parameters, states)
        model.extra = dict(structure["extra"])
        columns = {
            name.removeprefix("history."): a
            for name, a in arrays.items()
            if name.startswith("history.")
        }
        model.history = (
            None
            if structure["history"] is None
            else History.unpacked(structure["history"], columns)
        )
    except (KeyError, TypeError, AttributeError, ValueError) as reason:
        raise FileFormatError(f"the file does not describe a network: {reason}") from reason
    return model


def _arrays_of(
    arrays: Mapping[str, Array], place: int, kind: str, expected: Any
) -> dict[str, Array]:
    prefix = f"{place}.{kind}."
    if expected is not None:
        return {name: arrays[prefix + name] for name in expected}
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _check_arrays(model: Network, parameters: Mapping[str, Mapping[str, Array]]) -> None:
    lead = () if model.members is None else (model.members,)
    for layer in model.layers:
        for name, parameter in layer.parameters().items():
            array = parameters[str(layer.name)][name]
            if array.shape != (*lead, *parameter.shape) or array.dtype != model.dtype:
                raise FileFormatError(
                    f"{layer.label} has {name} of shape {array.shape}, and needs {parameter.shape}"
                )


def _rebuilt(model: Network) -> Network:
    """A network with layers of the same settings."""
    layers = [layer_from_settings(_kind_of(layer), layer.settings()) for layer in model.layers]
    return Network(layers, seed=model.seed, dtype=model.dtype)


def _pull_back(
    layer: Layer,
    parameters: Mapping[str, Array],
    states: Mapping[str, Array],
    mode: Mode,
    upstream: Array,
) -> tuple[Array, dict[str, Array]]:
    """The derivatives of one layer by its input and by each of its parameters."""
    x = ops.input((ROWS, *np.shape(layer.input)[1:]), upstream.dtype)
    nodes = {name: ops.input(array.shape, array.dtype) for name, array in parameters.items()}
    y, _ = layer.forward(x, nodes, map_tree(ops.constant, dict(states)), mode)
    seed = ops.input(y.shape, y.dtype)
    slopes = gradient(y, [x, *nodes.values()], seed)
    feed = {
        x: layer.input,
        seed: upstream,
        **{nodes[name]: array for name, array in parameters.items()},
    }
    used = {node: value for node, value in feed.items() if value is not None}
    dx, *found = evaluate(slopes, feed=used)
    return dx, dict(zip(nodes, map(_read_only, found), strict=True))


def _read_only(array: Any) -> Array:
    found = np.asarray(array)
    if found.flags.writeable:
        found = found.view()
        found.flags.writeable = False
    return found


def _kind_of(layer: Layer) -> str:
    return type(layer).__name__


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    *texts, number = row
    cells = [text.ljust(width) for text, width in zip(texts, widths, strict=False)]
    return "  ".join([*cells, number.rjust(widths[-1])])


def _check_layers(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ParameterError("a network needs at least one layer")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ParameterError(
                f"a network is made of layers, got {layer!r}; wrap a function in nn.Function(...)"
            )
        if layer.values:
            raise ParameterError(
                f"{layer.label} belongs to another network; make a new layer for this one"
            )
    names = [layer.name for layer in layers if layer.name]
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice or len({id(layer) for layer in layers}) < len(layers):
        raise ParameterError(
            f"layer names must differ, and {twice[0] if twice else 'one layer'!r} occurs twice"
        )


def _name_layers(layers: Sequence[Layer]) -> None:
    taken = {layer.name for layer in layers}
    for place, layer in enumerate(layers, 1):
        if layer.name is None:
            name = f"{_kind_of(layer).lower()}{place}"
            while name in taken:
                name += "_"
            layer.name = name
            taken.add(name)


def _first_shape(layers: Sequence[Layer]) -> tuple[int, ...] | None:
    """The shape of a row that the first layer with an opinion takes, if nothing before it changes it."""
    for layer in layers:
        if hasattr(layer, "n_in"):
            return (layer.n_in,)
        if layer.output_shape((1,)) is not None and not isinstance(layer, Activation):
            return None
    return None


def _shapes_of(layers: Sequence[Layer]) -> list[tuple[int, ...] | None]:
    """The shape of one row after each layer; a ShapeError where a layer cannot take it."""
    shape, source, found = _first_shape(layers), "its input", []
    for layer in layers:
        shape = layer.output_shape(shape, source)
        source = repr(layer.name)
        found.append(shape)
    return found
