"""Records whose settings are checked when they are made, from one declaration per field."""

from __future__ import annotations

import dataclasses
import math
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np

from chainrule.errors import ParameterError
from chainrule.records import dataclass


class Kind(Protocol):
    """What a setting may be; its text completes the sentence "momentum must be ..."."""

    def accept(self, value: Any) -> Any:
        """``value`` in plain Python types; a ValueError or TypeError if it is out of range."""


@dataclass(frozen=True)
class Range:
    """Finite numbers of an interval; NaN is in none.

    >>> print(Range(0, 1, open_high=True), "|", Range(1, whole=True))
    a float in [0, 1) | an int >= 1
    """

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    whole: bool = False

    def accept(self, value: Any) -> float | int:
        """``value`` as a Python number, so that it takes on the type of the arrays it meets."""
        number = self._plain(value)
        if not (self._above(number) and self._below(number) and math.isfinite(number)):
            raise ValueError
        return number

    def _plain(self, value: Any) -> float | int:
        if self.whole and isinstance(value, Integral) and not isinstance(value, bool):
            return int(value)
        if not self.whole and isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        raise TypeError

    def _above(self, number: float) -> bool:
        return number > self.low if self.open_low else number >= self.low

    def _below(self, number: float) -> bool:
        return number < self.high if self.open_high else number <= self.high

    def __str__(self) -> str:
        noun = "an int" if self.whole else "a float"
        if self.high == math.inf:
            return f"{noun} {'>' if self.open_low else '>='} {self.low:g}"
        opening, closing = "[("[self.open_low], "])"[self.open_high]
        return f"{noun} in {opening}{self.low:g}, {self.high:g}{closing}"


@dataclass(frozen=True)
class Flag:
    """Truth values."""

    def accept(self, value: Any) -> bool:
        """``value`` as a Python bool."""
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError
        return bool(value)

    def __str__(self) -> str:
        return "True or False"


@dataclass(frozen=True)
class Choice:
    """One of a few names."""

    names: tuple[str, ...]

    def accept(self, value: Any) -> str:
        """``value``, if it is one of the names."""
        if value not in self.names:
            raise ValueError
        return str(value)

    def __str__(self) -> str:
        return " or ".join(map(repr, self.names))


@dataclass(frozen=True)
class Pair:
    """Two numbers, each from its own range."""

    first: Range
    second: Range

    def accept(self, value: Any) -> tuple[float, float]:
        """``value`` as a tuple of Python numbers."""
        first, second = value
        return self.first.accept(first), self.second.accept(second)

    def __str__(self) -> str:
        return f"a pair of {self.first} and {self.second}"


@dataclass(frozen=True)
class Optional:
    """Values of another kind, or None for "not used"."""

    kind: Kind

    def accept(self, value: Any) -> Any:
        """``value`` as the other kind takes it."""
        return None if value is None else self.kind.accept(value)

    def __str__(self) -> str:
        return f"None or {self.kind}"


FLAG = Flag()
POSITIVE = Range(0, open_low=True)
FROM_ZERO = Range(0)
UNIT = Range(0, 1)
BELOW_ONE = Range(0, 1, open_high=True)
FRACTION = Range(0, 1, open_low=True, open_high=True)
POSITIVE_FRACTION = Range(0, 1, open_low=True)
ABOVE_ONE = Range(1, open_low=True)
COUNT = Range(1, whole=True)
COUNT_FROM_ZERO = Range(0, whole=True)


def setting(kind: Kind, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field whose values are of ``kind``."""
    return dataclasses.field(default=default, metadata={"kind": kind})


def check(owner: str, name: str, kind: Kind, value: Any) -> Any:
    """``value`` as ``kind`` takes it.

    Raises
    ------
    ParameterError
        If ``value`` is not of that kind.

    Examples
    --------
    >>> check("Adam", "learning_rate", POSITIVE, 1)
    1.0
    >>> check("Adam", "learning_rate", POSITIVE, -1.0)
    Traceback (most recent call last):
        ...
    chainrule.errors.ParameterError: Adam: learning_rate must be a float > 0, got -1.0
    """
    try:
        return kind.accept(value)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{owner}: {name} must be {kind}, got {value!r}") from None


@dataclass(frozen=True)
class Settings:
    """A record that checks its fields, as their ``setting`` declares them, when it is made."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            kind = field.metadata.get("kind")
            if kind is not None:
                value = check(type(self).__name__, field.name, kind, getattr(self, field.name))
                object.__setattr__(self, field.name, value)
