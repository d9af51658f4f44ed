"""What a program shows: its numbers beside those of the lectures, and its pictures."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.errors import ParameterError
from chainrule.explain.figure import Figure
from chainrule.explain.svg import format_number

BOUNDS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
PRINTED = re.compile(
    r"(?P<sign>[<>]=?)?\s*(?P<number>[^±%]+?)\s*(±\s*(?P<room>[^\s%]+)\s*(?P<part>%)?)?"
)
ROUNDING = 1e-9  # of float64, on the way to a printed number


@dataclass(frozen=True)
class Shown:
    """What a program has to show.

    Parameters
    ----------
    numbers : dict of str to float
        Every number that is worth comparing, by its name; arrays of one element will do.
    pictures : dict of str to Figure, optional
        By the name of the file, without its ending; the main one first.
    notes : str, optional
        Lines to read before the pictures.
    expected : dict of str to str, optional
        What the lectures print; see :func:`agrees`.
    """

    numbers: Mapping[str, Any]
    pictures: Mapping[str, Figure] = field(default_factory=dict)
    notes: str = ""
    expected: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plain = {name: float(number) for name, number in self.numbers.items()}
        object.__setattr__(self, "numbers", plain)

    def misses(self) -> list[str]:
        """A sentence for every number that is not what the lectures print."""
        return [
            f"{name} is {format_number(self.numbers[name])}, and the lectures print {printed}"
            for name, printed in self.expected.items()
            if not agrees(self.numbers[name], printed)
        ]

    def __str__(self) -> str:
        lines = [f"{name} = {format_number(value)}" for name, value in self.numbers.items()]
        texts = [self.notes, *(picture.text() for picture in self.pictures.values())]
        return "\n".join([*filter(None, texts), *lines])


def agrees(value: float, printed: str) -> bool:
    """Whether ``value`` is what is printed.

    Decimals are met by what rounds to them, whole numbers exactly, a bound by what keeps it, and
    a number with ``±`` by what is no further away than that, or than that part of it.

    >>> agrees(-0.5344, "-0.53"), agrees(0.54, "0.53"), agrees(3, "3"), agrees(3.1, "3")
    (True, False, True, False)
    >>> agrees(0.995, ">= 0.99"), agrees(1e-3, "<= 1e-12"), agrees(2.0, "> 2")
    (True, False, False)
    >>> agrees(0.0093, "0.0090 ± 5 %"), agrees(2.1, "2 ± 0.1"), agrees(2.2, "2 ± 0.1")
    (True, True, False)
    """
    found = PRINTED.fullmatch(printed.strip())
    if found is None:
        raise ParameterError(
            f"{printed!r} is no printed number; write '-0.53', '>= 0.99' or '2 ± 5 %', for example"
        )
    sign, number, room = found["sign"], found["number"], found["room"]
    if sign:
        return BOUNDS[sign](value, float(number))
    if room:
        tolerance = float(room) * (abs(float(number)) / 100 if found["part"] else 1.0)
    else:
        decimals = len(number.partition(".")[2])
        tolerance = 0.5 * 10.0**-decimals if decimals else 0.0
    return math.isclose(value, float(number), rel_tol=ROUNDING, abs_tol=tolerance + ROUNDING)
