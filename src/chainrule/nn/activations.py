"""Activations: records with their function, its slopes far out, and what values it gives.

Each class below is a row of a table: the function of ``chainrule.ops``, the limits of its
derivative, and its settings. What follows from them stands once, in the base class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np

from chainrule import ops
from chainrule.errors import ParameterError, unknown_name
from chainrule.nn import serialization
from chainrule.nn.base import Parameter
from chainrule.nn.initializers import Constant
from chainrule.ops.functions import SELU_SCALE
from chainrule.optim.settings import COUNT, FROM_ZERO, POSITIVE, Choice, Range, Settings, setting
from chainrule.records import dataclass

AXIS = Range(-64, 64, whole=True)  # as many axes as NumPy's arrays may have


class ActivationFunction(Settings):
    """An activation: what is applied to a layer's output.

    Attributes
    ----------
    function : callable
        The function of ``chainrule.ops``; settings are its further arguments.
    slopes : tuple of two floats
        The limits of the derivative at -inf and +inf.
    saturating : bool
        Whether the derivative vanishes at both ends, and learning with it.
    gain : float
        What keeps the mean square of a signal: weights of standard deviation gain / sqrt(n_in).
    probabilities : bool
        Whether it gives probabilities; losses then take their logarithm.
    positive : bool
        Whether every value is above 0.

    Examples
    --------
    >>> from chainrule.nn import LeakyReLU
    >>> LeakyReLU(0.1)([-2.0, 3.0]), LeakyReLU(0.1).slopes
    (array([-0.2,  3. ]), (0.1, 1.0))
    """

    function: ClassVar[Callable[..., Any]]
    limits: ClassVar[tuple[float | str, float | str]]
    probabilities: ClassVar[bool]
    positive: ClassVar[bool]

    def __init_subclass__(
        cls,
        function: Callable[..., Any],
        slopes: tuple[float | str, float | str],
        probabilities: bool = False,
        positive: bool = False,
    ) -> None:
        cls.function, cls.limits = staticmethod(function), slopes
        cls.probabilities, cls.positive = probabilities, positive or probabilities

    def __call__(self, x: Any, **learned: Any) -> Any:
        """The activation of a node or array, of its shape."""
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return self.function(x, **settings, **learned)

    def parameters(self) -> dict[str, Parameter]:
        """Learned arrays by name, which ``__call__`` takes by keyword; most have none."""
        return {}

    @property
    def slopes(self) -> tuple[float, float]:
        """The limits of the derivative at -inf and +inf."""
        low, high = [getattr(self, x) if isinstance(x, str) else x for x in self.limits]
        return low, high

    @property
    def saturating(self) -> bool:
        """Whether the derivative vanishes at both ends (Gulcehre et al. 2016, section 2)."""
        return self.slopes == (0.0, 0.0)

    @property
    def gain(self) -> float:
        """E[f(z)^2]^(-1/2) for z of mean 0 and variance 1, normal.

        Generalises He et al. 2015, equation 10: sqrt(2) for ReLU, sqrt(2 / (1 + slope^2)) for
        leaky ReLU, 1 for the identity and SELU.
        """
        step = 1 / 256
        z = (np.arange(-3072, 3072) + 0.5) * step  # midpoints: kinks and jumps lie between two
        density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        return float(1 / np.sqrt(np.sum(self(z) ** 2 * density) * step))


class Identity(ActivationFunction, function=ops.identity, slopes=(1.0, 1.0)):
    """x itself."""


class Sign(ActivationFunction, function=ops.sign, slopes=(0.0, 0.0)):
    """-1, 0 or 1: the perceptron's threshold; its derivative is 0."""


class Sigmoid(ActivationFunction, function=ops.sigmoid, slopes=(0.0, 0.0), probabilities=True):
    """1 / (1 + exp(-x)), the logistic function: a probability for each output by itself."""


class Tanh(ActivationFunction, function=ops.tanh, slopes=(0.0, 0.0)):
    """The hyperbolic tangent, 2 sigmoid(2x) - 1."""


class HardTanh(ActivationFunction, function=ops.hard_tanh, slopes=(0.0, 0.0)):
    """x between -1 and 1, beyond them the bound."""


class HardSigmoid(ActivationFunction, function=ops.hard_sigmoid, slopes=(0.0, 0.0)):
    """x / 6 + 1/2 between -3 and 3, beyond them 0 or 1."""


class ReLU(ActivationFunction, function=ops.relu, slopes=(0.0, 1.0)):
    """max(x, 0), with derivative 0 at 0 (Nair and Hinton 2010)."""


@dataclass(frozen=True)
class LeakyReLU(ActivationFunction, function=ops.leaky_relu, slopes=("slope", 1.0)):
    """x where positive, else slope * x (Maas, Hannun and Ng 2013)."""

    slope: float = setting(FROM_ZERO, 0.01)


@dataclass(frozen=True)
class PReLU(ActivationFunction, function=ops.leaky_relu, slopes=("initial", 1.0)):
    """Leaky ReLU whose slope is learned, starting from ``initial`` (He et al. 2015).

    Parameters
    ----------
    n : int >= 1
        How many slopes: 1 for all units together, or one for each unit.
    initial : float >= 0
    """

    n: int = setting(COUNT, 1)
    initial: float = setting(FROM_ZERO, 0.25)

    def __call__(self, x: Any, **learned: Any) -> Any:
        """The activation with a learned ``slope`` (n,), or with the initial one."""
        return self.function(x, learned.get("slope", self.initial))

    def parameters(self) -> dict[str, Parameter]:
        """``slope`` (n,), at first ``initial``."""
        return {"slope": Parameter((self.n,), Constant(self.initial))}


@dataclass(frozen=True)
class ELU(ActivationFunction, function=ops.elu, slopes=(0.0, 1.0)):
    """x where positive, else alpha (exp(x) - 1) (Clevert, Unterthiner and Hochreiter 2016)."""

    alpha: float = setting(POSITIVE, 1.0)


class SELU(ActivationFunction, function=ops.selu, slopes=(0.0, SELU_SCALE)):
    """ELU scaled so that mean 0 and variance 1 reproduce themselves (Klambauer et al. 2017)."""


@dataclass(frozen=True)
class CELU(ActivationFunction, function=ops.celu, slopes=(0.0, 1.0)):
    """x where positive, else alpha (exp(x / alpha) - 1) (Barron 2017)."""

    alpha: float = setting(POSITIVE, 1.0)


class Softplus(ActivationFunction, function=ops.softplus, slopes=(0.0, 1.0), positive=True):
    """log(1 + exp(x)): the smooth ReLU (Dugas et al. 2001)."""


class Softsign(ActivationFunction, function=ops.softsign, slopes=(0.0, 0.0)):
    """x / (1 + |x|) (Turian, Bergstra and Bengio 2009)."""


@dataclass(frozen=True)
class GELU(ActivationFunction, function=ops.gelu, slopes=(0.0, 1.0)):
    """x times the normal distribution function at x (Hendrycks and Gimpel 2016)."""

    approximate: str = setting(Choice(("none", "tanh")), "none")


class SiLU(ActivationFunction, function=ops.silu, slopes=(0.0, 1.0)):
    """x sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2018)."""


class Mish(ActivationFunction, function=ops.mish, slopes=(0.0, 1.0)):
    """x tanh(softplus(x)) (Misra 2019)."""


class Exp(ActivationFunction, function=ops.exp, slopes=(0.0, float("inf")), positive=True):
    """exp(x): the mean of counts and of positive amounts, for the losses poisson and gamma."""


@dataclass(frozen=True)
class Softmax(ActivationFunction, function=ops.softmax, slopes=(0.0, 0.0), probabilities=True):
    """exp(z / temperature) divided by its sum: probabilities of classes, which sum to 1."""

    axis: int = setting(AXIS, -1)
    temperature: float = setting(POSITIVE, 1.0)

    @property
    def gain(self) -> float:
        """1: what softmax gives depends on all units, and has no size of its own."""
        return 1.0


ACTIVATIONS: Final[tuple[type[ActivationFunction], ...]] = (
    Identity, Sign, Sigmoid, Tanh, HardTanh, HardSigmoid, ReLU, LeakyReLU, PReLU, ELU, SELU, CELU,
    Softplus, Softsign, GELU, SiLU, Mish, Exp, Softmax,
)  # fmt: skip
KINDS: Final[serialization.Kinds] = {kind.__name__: kind for kind in ACTIVATIONS}
_BY_NAME: Final = {kind.__name__.lower(): kind for kind in ACTIVATIONS}


def get(activation: Any) -> Any:
    """The activation of a name or of a file's description; records and callables as they are.

    Names are those of the classes in lower case, with or without underscores.

    Raises
    ------
    UnknownNameError
        If there is no activation of that name.
    ParameterError
        If it is neither a name nor callable.

    Examples
    --------
    >>> get("leaky_relu")
    LeakyReLU(slope=0.01)
    """
    if isinstance(activation, dict):
        return serialization.decode(activation, KINDS, "activation")
    if isinstance(activation, str):
        name = activation.lower().replace("_", "")
        if name not in _BY_NAME:
            raise unknown_name("activation", activation, _BY_NAME)
        return _BY_NAME[name]()
    if not callable(activation):
        raise ParameterError(
            f"an activation is a name, a record such as ReLU(), or a function, got {activation!r}"
        )
    if isinstance(activation, type):
        raise ParameterError(f"an activation is made by calling its class: {activation.__name__}()")
    return activation
