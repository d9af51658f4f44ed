"""Shown systems: short programs whose numbers stand beside those of the lectures.

A program is a function of settings with defaults that returns a :class:`Shown`. The decorator
gives it its place in the lectures and the numbers that are printed there; running it with its
defaults compares the two.
"""

from __future__ import annotations

import inspect
import json
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from chainrule.errors import ParameterError, unknown_name
from chainrule.explain.svg import format_number
from chainrule.explain.terminal import Colour

BOUNDS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}
ROUNDING = 1e-9  # of float64, on the way to a printed number


class Picture(Protocol):
    """What can be drawn, and written to a terminal."""

    def svg(self) -> str:
        """A complete SVG document."""

    def text(self, colour: Colour = "none") -> str:
        """Lines for a terminal."""


@dataclass(frozen=True)
class Shown:
    """What a program has to show.

    Parameters
    ----------
    numbers : dict of str to float
        Every number that is worth comparing, by its name; arrays of one element will do.
    pictures : dict of str to Picture, optional
        By the name of the file, without its ending.
    notes : str, optional
        Lines to read before the pictures.
    expected : dict of str to str, optional
        What the lectures print: ``"-0.53"`` is met by what rounds to it, ``">= 0.99"`` by more.
    """

    numbers: Mapping[str, Any]
    pictures: Mapping[str, Picture] = field(default_factory=dict)
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

    def json(self) -> str:
        """The numbers as a JSON object."""
        return json.dumps(dict(self.numbers), indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        lines = [f"{name} = {format_number(value)}" for name, value in self.numbers.items()]
        texts = [self.notes, *(picture.text() for picture in self.pictures.values())]
        return "\n".join([*filter(None, texts), *lines])


def agrees(value: float, printed: str) -> bool:
    """Whether ``value`` is what is printed.

    Decimals are met by what rounds to them, whole numbers exactly, and a bound by what keeps it.

    >>> agrees(-0.5344, "-0.53"), agrees(0.54, "0.53"), agrees(3, "3"), agrees(3.1, "3")
    (True, False, True, False)
    >>> agrees(0.995, ">= 0.99"), agrees(1e-3, "<= 1e-12")
    (True, False)
    """
    sign, bound = printed[:2], printed[2:]
    if sign in BOUNDS:
        return BOUNDS[sign](value, float(bound))
    decimals = len(printed.partition(".")[2])
    tolerance = 0.5 * 10.0**-decimals if decimals else 0.0
    return math.isclose(value, float(printed), rel_tol=ROUNDING, abs_tol=tolerance + ROUNDING)


@dataclass(frozen=True)
class System:
    """A program, and its place in the lectures.

    Attributes
    ----------
    name : str
        As in ``chainrule show NAME``.
    id : str
        The deck's letter and a number.
    claim : str
        One sentence: what there is to see.
    program : callable
        Takes settings by keyword, returns a :class:`Shown`.
    expected : dict of str to str
        The lectures' numbers at the default settings.
    """

    name: str
    id: str
    claim: str
    program: Callable[..., Shown]
    expected: Mapping[str, str]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings and their defaults."""
        parameters = inspect.signature(self.program).parameters
        return {name: parameter.default for name, parameter in parameters.items()}

    def __call__(self, **settings: Any) -> Shown:
        """Run the program; at its defaults the result knows what the lectures print.

        Raises
        ------
        UnknownNameError
            If there is no such setting.
        """
        for name in settings:
            if name not in self.settings:
                raise unknown_name(f"setting of {self.name}", name, self.settings)
        shown = self.program(**settings)
        if {**self.settings, **settings} != self.settings:
            return shown
        return replace(shown, expected=self.expected)

    def parsed(self, name: str, text: str) -> Any:
        """The value of a setting that was typed as text, of the type of its default.

        Raises
        ------
        UnknownNameError, ParameterError
            If there is no such setting, or the text is no such value.
        """
        if name not in self.settings:
            raise unknown_name(f"setting of {self.name}", name, self.settings)
        kind = type(self.settings[name])
        try:
            return kind(text)
        except ValueError:
            wanted = {int: "a whole number", float: "a number"}.get(kind, kind.__name__)
            raise ParameterError(
                f"{name}={text!r}: {name} is {wanted}, such as {name}={self.settings[name]}"
            ) from None


def system(id: str, expected: Mapping[str, str]) -> Callable[[Callable[..., Shown]], System]:
    """Make a program a shown system; its name and its docstring become those of the system.

    Parameters
    ----------
    id : str
        Its place in the lectures, such as ``"C3"``.
    expected : dict of str to str
        The lectures' numbers at the default settings, as they are printed there.
    """

    def entered(program: Callable[..., Shown]) -> System:
        claim = (inspect.getdoc(program) or "").partition("\n")[0]
        return System(program.__name__.replace("_", "-"), id, claim, program, expected)

    return entered
