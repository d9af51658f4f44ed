"""First values of parameters: records that draw an array from a key, a shape and a type.

Drawn with chainrule's counter-based random numbers, so that one seed gives the same parameters
everywhere. A weight matrix has shape (n_in, n_out).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from chainrule.engines.blas import one_blas_thread
from chainrule.errors import ParameterError, ShapeError, unknown_name
from chainrule.nn import serialization
from chainrule.nn.base import Initializer
from chainrule.ops import random
from chainrule.optim.settings import FROM_ZERO, POSITIVE, Choice, Range, Settings, setting
from chainrule.records import dataclass
from chainrule.shapes import Array, Dtype

NUMBER = Range(-math.inf)


@dataclass(frozen=True)
class Constant(Settings):
    """The same value everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.nn.initializers import constant
    >>> constant(0.5)(None, (2,), np.dtype("float32"))
    array([0.5, 0.5], dtype=float32)
    """

    value: float = setting(NUMBER, 0.0)

    def __call__(self, key: Array | None, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """``value`` in every place; no key is needed."""
        return np.full(shape, self.value, dtype)


@dataclass(frozen=True)
class Uniform(Settings):
    """Uniform between ``low`` (included) and ``high`` (excluded)."""

    low: float = setting(NUMBER, -0.05)
    high: float = setting(NUMBER, 0.05)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ParameterError(f"uniform needs low <= high, got {self.low} and {self.high}")

    def __call__(self, key: Array, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Independent draws."""
        return _array(random.uniform(key, shape, self.low, self.high, dtype), dtype)


@dataclass(frozen=True)
class Normal(Settings):
    """Normal with mean 0 and standard deviation ``std``."""

    std: float = setting(FROM_ZERO, 0.05)

    def __call__(self, key: Array, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Independent draws."""
        return _array(self.std * random.normal(key, shape, dtype), dtype)


@dataclass(frozen=True)
class VarianceScaling(Settings):
    """Mean 0 and variance ``scale / fan``: what keeps the size of signals from layer to layer.

    Parameters
    ----------
    scale : float > 0
        2 for ReLU (He et al. 2015, equation 10), 1 for what is close to the identity at 0
        (LeCun et al. 1998; Glorot and Bengio 2010, equation 12).
    fan : {"in", "out", "average"}
        What is divided by: the inputs of a unit (forward signals keep their size), its outputs
        (gradients do), or the mean of both.
    distribution : {"uniform", "normal"}
        Uniform on +-sqrt(3 scale / fan), or normal; neither is truncated.

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr and K.-R. Müller 1998, Efficient BackProp, section 4.6;
    X. Glorot and Y. Bengio 2010, Understanding the difficulty of training deep feedforward
    neural networks; K. He, X. Zhang, S. Ren and J. Sun 2015, Delving deep into rectifiers.
    """

    scale: float = setting(POSITIVE, 1.0)
    fan: str = setting(Choice(("in", "out", "average")), "in")
    distribution: str = setting(Choice(("uniform", "normal")), "uniform")

    def __call__(self, key: Array, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Independent draws for a matrix of weights (n_in, n_out).

        Raises
        ------
        ShapeError
            If ``shape`` has fewer than two axes: a vector has no fan.
        """
        std = math.sqrt(self.scale / max(self.fan_of(shape), 1.0))
        if self.distribution == "normal":
            return Normal(std)(key, shape, dtype)
        return Uniform(-math.sqrt(3) * std, math.sqrt(3) * std)(key, shape, dtype)

    def fan_of(self, shape: tuple[int, ...]) -> float:
        """The number that variance is divided by."""
        n_in, n_out = _matrix("variance scaling", shape)
        return {"in": n_in, "out": n_out, "average": (n_in + n_out) / 2}[self.fan]


@dataclass(frozen=True)
class Orthogonal(Settings):
    """Rows or columns, whichever are fewer, orthogonal and of length ``gain``.

    The Q of a normal matrix, with the signs of R's diagonal, so that every rotation is equally
    likely.

    References
    ----------
    A. Saxe, J. McClelland and S. Ganguli 2014, Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks; F. Mezzadri 2007, How to generate random matrices
    from the classical compact groups, section 5.
    """

    gain: float = setting(POSITIVE, 1.0)

    def __call__(self, key: Array, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """A matrix, computed in float64.

        Raises
        ------
        ShapeError
            If ``shape`` has fewer than two axes.
        """
        n_in, n_out = _matrix("orthogonal", shape)
        normal = random.normal(key, (max(n_in, n_out), min(n_in, n_out)))
        with one_blas_thread():
            q, r = np.linalg.qr(normal)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return _array(self.gain * (q if n_in >= n_out else q.T).reshape(shape), dtype)


def _matrix(what: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of a unit; leading axes count as inputs."""
    if len(shape) < 2:
        raise ShapeError(f"{what} is for matrices of weights, got shape {shape}")
    return math.prod(shape[:-1]), shape[-1]


def _array(values: Any, dtype: Dtype) -> Array:
    return np.ascontiguousarray(values, dtype=dtype)


constant, uniform, normal, orthogonal = Constant, Uniform, Normal, Orthogonal
zeros: Final = Constant(0.0)
standard_normal: Final = Normal(1.0)
glorot_uniform: Final = VarianceScaling(1.0, "average", "uniform")
glorot_normal: Final = VarianceScaling(1.0, "average", "normal")
he_uniform: Final = VarianceScaling(2.0, "in", "uniform")
he_normal: Final = VarianceScaling(2.0, "in", "normal")
lecun_uniform: Final = VarianceScaling(1.0, "in", "uniform")
lecun_normal: Final = VarianceScaling(1.0, "in", "normal")

INITIALIZERS: Final[dict[str, Initializer]] = {
    "zeros": zeros,
    "constant": Constant(),
    "uniform": Uniform(),
    "normal": Normal(),
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": Orthogonal(),
}
KINDS: Final[serialization.Kinds] = {
    kind.__name__: kind for kind in (Constant, Uniform, Normal, VarianceScaling, Orthogonal)
}


def get(initializer: Any) -> Initializer:
    """The initializer of a name or of a file's description; any callable as it is.

    Raises
    ------
    UnknownNameError
        If there is no initializer of that name.
    ParameterError
        If it is neither a name nor callable.

    Examples
    --------
    >>> get("he_normal")
    VarianceScaling(scale=2.0, fan='in', distribution='normal')
    """
    if isinstance(initializer, dict):
        initializer = serialization.decode(initializer, KINDS, "initializer")
    if isinstance(initializer, str):
        if initializer not in INITIALIZERS:
            raise unknown_name("initializer", initializer, INITIALIZERS)
        return INITIALIZERS[initializer]
    if not callable(initializer) or isinstance(initializer, type):
        raise ParameterError(
            f"an initializer is a name or a record such as normal(0.1), got {initializer!r}"
        )
    found: Initializer = initializer
    return found
