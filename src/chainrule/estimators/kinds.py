"""Kinds of settings that only estimators have; the rest are those of optimizers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chainrule.optim.settings import COUNT, FLAG, Kind, Range, check


@dataclass(frozen=True)
class Either:
    """Values of the first kind that takes them.

    >>> print(Either(FLAG, COUNT))
    True or False or an int >= 1
    """

    first: Kind
    second: Kind

    def accept(self, value: Any) -> Any:
        """``value`` as one of the kinds takes it."""
        try:
            return self.first.accept(value)
        except (TypeError, ValueError):
            return self.second.accept(value)

    def __str__(self) -> str:
        return f"{self.first} or {self.second}"


@dataclass(frozen=True)
class Sequence:
    """Any number of values of one kind, or a single one.

    >>> Sequence(COUNT).accept(3), Sequence(COUNT).accept([3, 2])
    ((3,), (3, 2))
    """

    kind: Kind

    def accept(self, value: Any) -> tuple[Any, ...]:
        """The values as a tuple."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            return (self.kind.accept(value),)
        return tuple(map(self.kind.accept, value))

    def __str__(self) -> str:
        return f"{self.kind}, or a sequence of such"


@dataclass(frozen=True)
class InstanceOf:
    """Objects of a class."""

    wanted: type

    def accept(self, value: Any) -> Any:
        """``value`` itself."""
        if not isinstance(value, self.wanted):
            raise TypeError
        return value

    def __str__(self) -> str:
        return f"a {self.wanted.__name__}"


@dataclass(frozen=True)
class Verbosity:
    """A truth value, or a number of which 0 is no."""

    def accept(self, value: Any) -> int:
        """``value`` as an int."""
        return int(Either(FLAG, Range(0, whole=True)).accept(value))

    def __str__(self) -> str:
        return "True, False or an int >= 0"


@dataclass(frozen=True)
class Infinite:
    """Infinity."""

    def accept(self, value: Any) -> float:
        """``value``, if it is infinity."""
        if value != math.inf:
            raise ValueError
        return math.inf

    def __str__(self) -> str:
        return "infinity"


VERBOSITY = Verbosity()
COUNT_OR_INFINITY = Either(COUNT, Infinite())
SIZES = Sequence(COUNT)


def checked(record: Any) -> dict[str, Any]:
    """The settings of an estimator as their kinds take them; the estimator stays as it is.

    Raises
    ------
    ParameterError
        If one is out of its range.
    """
    owner = type(record).__name__
    return {
        field.name: check(owner, field.name, field.metadata["kind"], getattr(record, field.name))
        for field in dataclasses.fields(record)
        if "kind" in field.metadata
    }
