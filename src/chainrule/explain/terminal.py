"""Colours of a terminal: which it has, and the codes that choose them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from chainrule.errors import unknown_name
from chainrule.explain.palette import RGB, rgb

Colour = Literal["none", "256", "truecolor"]
COLOURS = ("none", "256", "truecolor")
RESET = "\x1b[0m"
TRUECOLOR_TERMINALS = ("truecolor", "24bit")  # what COLORTERM says

CUBE = np.array([0, 95, 135, 175, 215, 255])  # levels of the colour cube of 256-colour terminals
CUBE_START, GREY_START, GREYS = 16, 232, 24


def terminal_colour(is_terminal: bool, environment: Mapping[str, str]) -> Colour:
    """What a terminal can show, by the variables that people and terminals set.

    ``NO_COLOR`` (no-color.org) and ``TERM=dumb`` mean none, ``COLORTERM`` tells 24 bits.

    >>> terminal_colour(True, {"COLORTERM": "truecolor"})
    'truecolor'
    >>> terminal_colour(True, {"NO_COLOR": "1"}), terminal_colour(False, {})
    ('none', 'none')
    """
    if not is_terminal or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return "none"
    return "truecolor" if environment.get("COLORTERM") in TRUECOLOR_TERMINALS else "256"


def checked_colour(colour: str) -> str:
    """``colour``, if it is one of COLOURS.

    Raises
    ------
    UnknownNameError
        If it is not.
    """
    if colour not in COLOURS:
        raise unknown_name("colour", colour, COLOURS)
    return colour


def painted(text: str, ink: str, colour: str) -> str:
    r"""``text`` in an ink of the palette, where there is colour.

    >>> painted("3", "#00875F", "256"), painted("3", "#00875F", "none")
    ('\x1b[38;5;29m3\x1b[0m', '3')
    """
    if checked_colour(colour) == "none" or not text.strip():
        return text
    return f"\x1b[38;{colour_code(rgb(ink), colour)}m{text}{RESET}"


def colour_code(channels: RGB, colour: str) -> str:
    """The parameters of a terminal colour: three channels, or the nearest of 256."""
    if colour == "truecolor":
        return "2;" + ";".join(map(str, channels))
    return f"5;{nearest_of_256(channels)}"


def nearest_of_256(channels: RGB) -> int:
    """Number of the terminal colour nearest to red, green and blue: of the cube or a grey.

    >>> nearest_of_256((255, 0, 0)), nearest_of_256((118, 118, 118))
    (196, 243)
    """
    wanted = np.array(channels)
    steps = np.abs(wanted[:, None] - CUBE).argmin(axis=1)
    grey = int(np.clip(round((wanted.mean() - 8) / 10), 0, GREYS - 1))
    cube_miss = np.square(CUBE[steps] - wanted).sum()
    grey_miss = np.square(8 + 10 * grey - wanted).sum()
    if grey_miss < cube_miss:
        return GREY_START + grey
    return int(CUBE_START + steps @ (36, 6, 1))
