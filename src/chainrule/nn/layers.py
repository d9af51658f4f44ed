"""Layers: what each owns and what it computes. Backward, fusing and files follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import DataError, ParameterError, ShapeError
from chainrule.graph.node import Node
from chainrule.nn import activations, initializers
from chainrule.nn.activations import ActivationFunction
from chainrule.nn.base import InputShape, Layer, Mode, Parameter, last_extent
from chainrule.nn.initializers import VarianceScaling, glorot_uniform, standard_normal, zeros
from chainrule.optim.settings import COUNT, FLAG, setting
from chainrule.records import dataclass
from chainrule.shapes import INT64, ROWS, Array


@dataclass(eq=False, repr=False)
class Linear(Layer):
    """Y = X W + b.

    Parameters
    ----------
    n_in, n_out : int >= 1
        Features in and out.
    bias : bool
        Whether there is a ``b``.
    weights : name or initializer, optional
        The first values of ``W``; by default those that suit the activation that follows, see
        :meth:`default_weights`.
    biases : name or initializer
        The first values of ``b``.
    name : str, optional

    Attributes
    ----------
    W : (n_in, n_out) array
    b : (n_out,) array

    Examples
    --------
    >>> import numpy as np
    >>> layer = Linear(2, 1)
    >>> y, _ = layer.forward([[1.0, 2.0]], {"W": [[3.0], [4.0]], "b": [0.5]}, {}, Mode(False))
    >>> y
    array([[11.5]])
    """

    n_in: int = setting(COUNT)
    n_out: int = setting(COUNT)
    bias: bool = setting(FLAG, True)
    weights: Any = None
    biases: Any = zeros

    def __post_init__(self) -> None:
        self.weights = None if self.weights is None else initializers.get(self.weights)
        self.biases = initializers.get(self.biases)
        super().__post_init__()

    @staticmethod
    def default_weights(activation: Any | None) -> VarianceScaling:
        """Weights that suit the activation the output runs into.

        Saturating ones (and none, and functions of the user's own) take Glorot's uniform
        distribution; for the others the variance is gain^2 / n_in, normal, which for ReLU is
        He's initialisation.
        """
        if not isinstance(activation, ActivationFunction) or activation.saturating:
            return glorot_uniform
        return VarianceScaling(activation.gain**2, "in", "normal")

    def parameters(self) -> dict[str, Parameter]:
        """``W`` (n_in, n_out), which penalties apply to, and ``b`` (n_out,)."""
        weights = self.weights or self.default_weights(self.following)
        found = {"W": Parameter((self.n_in, self.n_out), weights, penalized=True)}
        if self.bias:
            found["b"] = Parameter((self.n_out,), self.biases)
        return found

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """(..., n_in) becomes (..., n_out)."""
        taken = last_extent(self, self.n_in, input_shape, source)
        return (*taken[:-1], self.n_out)

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """X W + b: (ROWS, ..., n_in) becomes (ROWS, ..., n_out)."""
        y = ops.matmul(x, parameters["W"])
        return (y + parameters["b"] if self.bias else y), state


@dataclass(eq=False, repr=False)
class Activation(Layer):
    """An activation as a layer.

    Parameters
    ----------
    function : record, name or callable
        ``ReLU()``, ``"relu"``, or any function of graph operations that keeps the shape; a
        network with a function of your own works, but cannot be saved.
    name : str, optional

    Examples
    --------
    >>> Activation("leaky_relu", name="first")
    Activation(function=LeakyReLU(slope=0.01), name='first')
    """

    function: Any

    def __post_init__(self) -> None:
        self.function = activations.get(self.function)
        super().__post_init__()

    @property
    def probabilities(self) -> bool:
        """Whether the output is probabilities."""
        return isinstance(self.function, ActivationFunction) and self.function.probabilities

    def parameters(self) -> dict[str, Parameter]:
        """What the function learns; most learn nothing."""
        if isinstance(self.function, ActivationFunction):
            return self.function.parameters()
        return {}

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """That of the input, whose last axis a slope for each unit must fit."""
        for parameter in self.parameters().values():
            if parameter.shape != (1,) and input_shape is not None:
                last_extent(self, parameter.shape[-1], input_shape, source)
        return input_shape

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """The function of ``x``, of its shape."""
        return self.function(x, **parameters), state


@dataclass(eq=False, repr=False)
class Function(Layer):
    """Any function of graph operations as a layer, without parameters.

    Parameters
    ----------
    function : callable
        Takes a node (ROWS, ...) and gives a node (ROWS, ...). A row of what it gives must depend
        on the same row of what it takes only: predictions are made of some rows at a time.
    name : str, optional

    Examples
    --------
    >>> from chainrule import ops
    >>> Function(lambda x: ops.concat([x, x * x], axis=1)).output_shape((3,))
    (6,)
    """

    function: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ParameterError(f"Function takes a callable, got {self.function!r}")
        super().__post_init__()

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """Found by calling the function with a node."""
        if input_shape is None:
            return None
        y = self.function(ops.input((ROWS, *input_shape)))
        if not isinstance(y, Node) or y.shape[:1] != (ROWS,):
            given = f"shape {y.shape}" if isinstance(y, Node) else type(y).__name__
            raise ShapeError(f"{self.label} must give a node whose first axis is ROWS, got {given}")
        return tuple([extent for extent in y.shape[1:] if isinstance(extent, int)])

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """The function of ``x``."""
        return self.function(x), state


@dataclass(eq=False, repr=False)
class Flatten(Layer):
    """Each row's axes as one: (ROWS, a, b) becomes (ROWS, a b)."""

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """(a, b, ...) becomes (a b ...,)."""
        return None if input_shape is None else (math.prod(input_shape),)

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """(ROWS, a, b, ...) becomes (ROWS, a b ...), in C order."""
        rows, *extents = ops.shape_of(x)
        return ops.reshape(x, (rows, math.prod(extents))), state


@dataclass(eq=False, repr=False)
class Embedding(Layer):
    """A learned vector for each category: row i of ``W`` for the number i.

    Parameters
    ----------
    count : int >= 1
        How many categories; inputs are integers from 0 to ``count - 1``.
    n_out : int >= 1
        The length of a vector.
    weights : name or initializer
    name : str, optional

    Attributes
    ----------
    W : (count, n_out) array
    """

    count: int = setting(COUNT)
    n_out: int = setting(COUNT)
    weights: Any = standard_normal

    def __post_init__(self) -> None:
        self.weights = initializers.get(self.weights)
        super().__post_init__()

    def parameters(self) -> dict[str, Parameter]:
        """``W`` (count, n_out), which penalties apply to."""
        return {"W": Parameter((self.count, self.n_out), self.weights, penalized=True)}

    def output_shape(self, input_shape: InputShape, source: str = "its input") -> InputShape:
        """(...) becomes (..., n_out)."""
        return None if input_shape is None else (*input_shape, self.n_out)

    def check_rows(self, X: Array, what: str = "X") -> None:
        """Refuse what is no category number: a :class:`~chainrule.errors.DataError` says where."""
        wrong = ~np.isin(X, np.arange(self.count))
        if wrong.any():
            row, *columns = np.argwhere(wrong)[0].tolist()
            raise DataError(
                f"{self.label} takes category numbers, integers from 0 to {self.count - 1}, and"
                f" {what} has {X[(row, *columns)]:g} in row {row}, column"
                f" {', '.join(map(str, columns))}"
            )

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """The rows ``x`` of W: (ROWS, ...) becomes (ROWS, ..., n_out)."""
        return ops.take(parameters["W"], ops.astype(x, INT64)), state
