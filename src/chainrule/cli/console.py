"""What the commands print: aligned columns of limited width, colour where it is wanted."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

import click

from chainrule.data.cells import printable
from chainrule.explain.palette import TERMINAL_INKS
from chainrule.explain.terminal import Colour, painted, terminal_colour

WIDTH = 88
GAP = 2
LISTED = 12  # names that are written out


def colour() -> Colour:
    """What standard output can show."""
    return terminal_colour(sys.stdout.isatty(), os.environ)


def width() -> int:
    """Columns to print in: those of the terminal, at most WIDTH."""
    return min(shutil.get_terminal_size((WIDTH, 0)).columns, WIDTH)


def say(text: str = "") -> None:
    """Print lines as they are; colours go where standard output is no terminal."""
    click.echo(text)


def say_wrapped(text: str) -> None:
    """Print a paragraph in lines that fit."""
    say("\n".join(_wrapped(text, width())))


def note(text: str) -> None:
    """Print lines to standard error: words beside the results."""
    for line in text.splitlines():
        click.echo(printable(line), err=True)


def quiet(text: str) -> str:
    """``text`` in the ink of notes."""
    return painted(text, TERMINAL_INKS["note"], colour())


def listed(names: Sequence[str]) -> str:
    """How many names there are, and the first of them.

    >>> listed(["area", "age"])
    '2: area, age'
    """
    more = len(names) - LISTED
    return f"{len(names):,}: {', '.join(names[:LISTED])}" + (
        f" and {more:,} more" if more > 0 else ""
    )


def say_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and what is to be said of them, in two columns; texts wrap in theirs."""
    pairs = [(printable(name), printable(fact)) for name, fact in facts]
    indent = max(len(name) for name, _ in pairs) + GAP
    for name, fact in pairs:
        first, *rest = _wrapped(fact, max(width() - indent, WIDTH // 4))
        say(f"{quiet(name.ljust(indent))}{first}")
        for line in rest:
            say(" " * indent + line)


def _wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most so many columns; a word that is longer, such as a path, stays whole."""
    return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False) or [""]


def say_numbers(rows: Sequence[Sequence[str]]) -> None:
    """Print a table under its first row: names flush left, numbers flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for place, (name, *numbers) in enumerate(rows):
        cells = [text.rjust(size) for text, size in zip(numbers, widths[1:], strict=True)]
        line = (" " * GAP).join([name.ljust(widths[0]), *cells]).rstrip()
        say(line if place else quiet(line))
