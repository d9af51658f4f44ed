"""What a layer is: settings, parameters it owns, state it carries, and the graph it builds.

A layer's class is a dataclass of its settings; everything else follows from them. Arrays come
later: the network creates them, runs the graph, and binds the results to the layer, where they are
read as ``layer.W``, ``layer.gradient_w`` or ``layer.running_mean``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np

from chainrule.errors import DtypeError, ParameterError, ShapeError, unknown_name
from chainrule.nn import serialization
from chainrule.optim.settings import Optional, check, setting
from chainrule.records import dataclass
from chainrule.shapes import Array, Dtype, as_array

InputShape: TypeAlias = "tuple[int, ...] | None"
"""The shape of one row; None where it is not known."""


class Initializer(Protocol):
    """What makes a parameter's first values: a record of ``chainrule.nn.initializers``."""

    def __call__(self, key: Array, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Values of a shape and type, drawn from a key: the same key gives the same values."""


@dataclass(frozen=True)
class Parameter:
    """What a layer says of an array that training moves.

    Attributes
    ----------
    shape : tuple of int
    initializer : callable
        ``initializer(key, shape, dtype)`` gives the first values.
    penalized : bool
        Whether L1, L2 and max-norm regularisation apply: to weights, not to biases.
    """

    shape: tuple[int, ...]
    initializer: Initializer
    penalized: bool = False


@dataclass(frozen=True)
class Mode:
    """How a graph is built: for training or for evaluation, and with which random key.

    Attributes
    ----------
    training : bool
    key : (2,) uint32 array or node, optional
        The layer's own key; random layers need it in training.
    """

    training: bool
    key: Any | None = None


class Named(Mapping[str, Any]):
    """A read-only mapping whose entries are attributes too: ``p["W"]`` or ``p.W``.

    Examples
    --------
    >>> p = Named({"W": 2.0})
    >>> p.W, p["W"], len(p)
    (2.0, 2.0, 1)
    """

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._entries:
            raise AttributeError(f"there is no {name!r} here, only {', '.join(self._entries)}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


@dataclass(frozen=True)
class _Text:
    """Text of at least one character."""

    def accept(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        if not value:
            raise ValueError
        return value

    def __str__(self) -> str:
        return "text of at least one character"


_BOUND = ("values", "state")  # what a network binds; who holds one of these mappings keeps it


@dataclass(eq=False, repr=False)
class Layer:
    """Base of all layers.

    A layer of your own is a subclass with a ``forward``.

    Parameters
    ----------
    name : str, optional
        How messages and ``model["name"]`` call the layer.

    Attributes
    ----------
    values : mapping of arrays
        The current parameters, read-only arrays; empty until a network owns the layer. Assigning
        ``layer.W`` makes a new mapping.
    gradients : dict of arrays
        The derivatives that the last ``model.backward`` gave.
    state : mapping of arrays
        What is carried along but not trained: running statistics, fitted preprocessing.
    input : array or None
        What the last ``model.forward`` gave to this layer.
    following : Activation or None
        The activation that the output runs into, if the network has one; it sets the scale of
        default weights.
    """

    _: KW_ONLY
    name: str | None = setting(Optional(_Text()), None)

    needs_batch_statistics: ClassVar[bool] = False  # a batch of one row means nothing in training
    needs_key: ClassVar[bool] = False  # draws random numbers in training
    needs_fit: ClassVar[bool] = False  # learns its state from the training rows, before training

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            kind = field.metadata.get("kind")
            if kind is not None:
                value = check(type(self).__name__, field.name, kind, getattr(self, field.name))
                object.__setattr__(self, field.name, value)
        self.following: Any | None = None
        self.input: Array | None = None
        self.gradients: dict[str, Array] = {}
        self.state: Mapping[str, Array] = {}
        self.values: Mapping[str, Array] = {}  # last: from here on settings are fixed

    # What a layer says of itself; subclasses override what differs

    def parameters(self) -> dict[str, Parameter]:
        """The arrays that training moves, by name."""
        return {}

    def initial_state(self) -> dict[str, Array]:
        """The state before training, by name; the network converts it to its element type."""
        return {}

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """The shape of one row of output.

        Parameters
        ----------
        input_shape : tuple of int, or None where it is not known
        source : str
            What gives the input, for the message.

        Raises
        ------
        ShapeError
            If the layer cannot take rows of that shape.
        """
        return input_shape

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """The output and the next state.

        Parameters
        ----------
        x : (ROWS, ...) node or array
        parameters, state : mappings to nodes or arrays
        mode : Mode

        Returns
        -------
        tuple of (ROWS, ...) node or array, and mapping of nodes or arrays
        """
        raise TypeError(f"{type(self).__name__} must define forward(x, parameters, state, mode)")

    def check_rows(self, X: Array, what: str = "X") -> None:
        """Refuse rows that the layer cannot take as the network's input; most take any numbers.

        Parameters
        ----------
        X : (n, ...) array
            Finite, of the network's element type.
        what : str
            How messages call them.

        Raises
        ------
        DataError
            With the row and column of the first wrong value.
        """

    def fit(self, X: Any) -> Mapping[str, Array]:
        """The state that training rows ``X`` lead to; layers that do not learn so keep theirs."""
        return self.state

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON takes them.

        Raises
        ------
        ParameterError
            If one of them is a function of the user's own, which no file can hold.
        """
        return serialization.encoded_fields(self, self.label)

    # What the network binds

    @property
    def label(self) -> str:
        """How messages call the layer: its kind, and its name in quotes."""
        return type(self).__name__ + (f" {self.name!r}" if self.name else "")

    def __getattr__(self, name: str) -> Any:
        arrays = vars(self)
        if "values" not in arrays or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        for bound in (arrays["values"], arrays["state"]):
            if name in bound:
                return bound[name]
        return self._gradient(name)

    def _gradient(self, name: str) -> Array:
        gradients = {f"gradient_{parameter.lower()}": parameter for parameter in self.values}
        if gradients.get(name) in self.gradients:
            return self.gradients[gradients[name]]
        if name in gradients:
            raise AttributeError(f"{self.label} has no {name} before model.backward computed it")
        if not self.values and not self.state:
            raise AttributeError(
                f"{self.label} has no {name!r}: a layer has arrays once a Network has taken it"
            )
        known = [*self.values, *self.state, *gradients, *vars(self)]
        raise AttributeError(str(unknown_name(f"attribute of {self.label}", name, known)))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _BOUND:
            self._refuse_early(value if "values" in vars(self) else {})
            object.__setattr__(self, name, MappingProxyType(dict(value)))
        elif "values" not in vars(self):
            object.__setattr__(self, name, value)
        elif name in self.values:
            self.values = self._with(self.values, name, value)
        elif name in self.state:
            self.state = self._with(self.state, name, value)
        elif name != "name" and name in self.__dataclass_fields__:
            raise AttributeError(f"the settings of {self.label} are fixed; make a new layer")
        else:
            object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {name: dict(x) if name in _BOUND else x for name, x in vars(self).items()}

    def _refuse_early(self, arrays: Mapping[str, Array]) -> None:
        early = [name for name in arrays if name in vars(self)]
        if early:
            raise ParameterError(
                f"{self.label} was given {early[0]} before it had arrays of its own; make the"
                f" Network first, then assign {early[0]}"
            )

    def _with(self, arrays: Mapping[str, Array], name: str, value: Any) -> dict[str, Array]:
        """``arrays`` with a read-only copy of ``value`` in the place of ``name``."""
        old, new = arrays[name], as_array(value)
        if new.shape != old.shape:
            raise ShapeError(
                f"{self.label}: {name} has shape {old.shape}, and was assigned {new.shape}"
            )
        if not np.can_cast(new.dtype, old.dtype, "same_kind"):
            raise DtypeError(
                f"{self.label}: {name} is of type {old.dtype}, and was assigned {new.dtype}"
            )
        return {**arrays, name: read_only(new.astype(old.dtype))}

    def __repr__(self) -> str:
        fields = sorted(dataclasses.fields(self), key=lambda field: field.kw_only is True)
        shown = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields
            if getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def read_only(array: Array) -> Array:
    """A read-only view: what owns no memory cannot be resized while others read it."""
    found = array.view()
    found.flags.writeable = False
    return found


def last_extent(layer: Layer, wanted: int, input_shape: InputShape, source: str) -> tuple[int, ...]:
    """``input_shape``, whose last axis must be the ``wanted`` features that ``layer`` takes.

    Raises
    ------
    ShapeError
        If it is another number.
    """
    if input_shape is None:
        return (wanted,)
    if not input_shape or input_shape[-1] != wanted:
        given = input_shape[-1] if len(input_shape) == 1 else f"rows of shape {input_shape}"
        raise ShapeError(f"{layer.label} takes {wanted} features but {source} gives {given}")
    return input_shape
