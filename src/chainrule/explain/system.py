"""A shown system: its page in the lectures, and the short program that runs it."""

from __future__ import annotations

import inspect
import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chainrule.errors import ChainruleError, ParameterError, unknown_name
from chainrule.explain.page import Page
from chainrule.explain.shown import Shown

KINDS = {int: "a whole number", float: "a number", str: "a word"}
IMPOSSIBLE = (ArithmeticError, LookupError, ValueError, RecursionError, RuntimeWarning)
"""What a program raises, or NumPy warns of, where its settings mean nothing."""


@dataclass(frozen=True)
class System:
    """A program, and its place in the lectures.

    Attributes
    ----------
    page : Page
    program : callable
        Takes settings by keyword, returns a :class:`Shown`.
    """

    page: Page
    program: Callable[..., Shown]

    @property
    def name(self) -> str:
        """As in ``chainrule show NAME``."""
        return self.page.name

    @property
    def id(self) -> str:
        """The deck's letter and a number."""
        return self.page.id

    @property
    def claim(self) -> str:
        """One sentence: what there is to see."""
        return self.page.claim

    @property
    def expected(self) -> Mapping[str, str]:
        """The lectures' numbers at the default settings."""
        return self.page.expected

    @property
    def code(self) -> str:
        """The text of the program: a module that runs on its own."""
        return Path(inspect.getfile(self.program)).read_text(encoding="utf-8")

    def notebook(self) -> str:
        """The page and the program as a Jupyter notebook, nbformat 4.5: JSON text."""
        page = self.page
        told = [f"# {page.id} {page.name}", page.claim, f"*Deck {page.deck}: {page.slide}*"]
        told += [f"```\n{page.formula}\n```"]
        told += [f"The slide slips: {page.slip}"] if page.slip else []
        told += [f"**{asked}** {answer}" for asked, answer in page.questions.items()]
        told += [f"Try {page.experiment}"] if page.experiment else []
        program, _, _ = self.code.partition('\n\nif __name__ == "__main__":')
        run = f"shown = {page.function}()\nprint(shown)"
        cells = [("markdown", "\n\n".join(told)), ("code", program.rstrip()), ("code", run)]
        cells += [
            ("code", "from IPython.display import display\n\ndisplay(*shown.pictures.values())")
        ]
        return json.dumps(
            {
                "cells": [_cell(kind, text, k) for k, (kind, text) in enumerate(cells)],
                "metadata": {"language_info": {"name": "python"}},
                "nbformat": 4,
                "nbformat_minor": 5,
            },
            indent=1,
            ensure_ascii=False,
        )

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
        ParameterError
            If the program cannot run with these settings.
        """
        for name in settings:
            self._default(name)
        if {**self.settings, **settings} == self.settings:
            return replace(self.program(**settings), expected=self.expected)
        try:
            with warnings.catch_warnings(action="error", category=RuntimeWarning):
                return _with_numbers(self.program(**settings))
        except ChainruleError:
            raise
        except IMPOSSIBLE as error:
            tried = ", ".join(f"{name}={value!r}" for name, value in settings.items())
            usual = ", ".join(f"{name}={self.settings[name]!r}" for name in settings)
            raise ParameterError(
                f"{self.page.name} cannot be shown with {tried}; try numbers nearer to {usual}"
            ) from error

    def parsed(self, name: str, text: str) -> Any:
        """The value of a setting that was typed as text, of the type of its default.

        Several numbers are typed with commas: ``z=2,1,0.1``.

        Raises
        ------
        UnknownNameError, ParameterError
            If there is no such setting, or the text is no such value.
        """
        default = self._default(name)
        several = isinstance(default, tuple)
        kind = type(default[0]) if several else type(default)
        try:
            values = tuple(map(kind, text.split(","))) if several else (kind(text),)
            if any(value != value for value in values):
                raise ValueError("NaN is not a number")
            return values if several else values[0]
        except ValueError:
            wanted = KINDS[kind] + (", or several with commas" if several else "")
            example = ",".join(map(str, default)) if several else default
            raise ParameterError(
                f"{name}={text!r}: {name} is {wanted}, such as {name}={example}"
            ) from None

    def _default(self, name: str) -> Any:
        if name not in self.settings:
            raise unknown_name(f"setting of {self.name}", name, self.settings)
        return self.settings[name]


def _with_numbers(shown: Shown) -> Shown:
    """The same, if all that it shows are numbers: they may be infinite."""
    for name, number in shown.numbers.items():
        if math.isnan(number):
            raise ArithmeticError(f"{name} is not a number")
    return shown


def _cell(kind: str, text: str, number: int) -> dict[str, Any]:
    """One cell of a notebook."""
    cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
