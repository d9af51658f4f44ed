"""The colours, marker shapes and typefaces of every picture, in one place.

Two inks are reserved: ``forward`` for values and ``gradient`` for derivatives; no picture uses
them for anything else. Classes are told apart by colour *and* by marker shape. Text keeps a
contrast of 4.5:1 to the paper and marks keep 3:1, by their fill or by their outline in ink
(WCAG 2.2, criteria 1.4.3 and 1.4.11); inks and classes stay 25 units of Delta E76 apart for
dichromats (Machado, Oliveira and Fernandes 2009). The tests compute all of it anew.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

MARKERS = ("circle", "square", "triangle")

SANS = "Inter,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
SERIF = "'Source Serif 4','Source Serif Pro',Georgia,'DejaVu Serif',serif"
SIZES = {  # of every kind of text, in pixels
    "symbol": 15.0,
    "sign": 22.0,
    "name": 16.0,
    "label": 13.0,
    "forward": 13.0,
    "gradient": 13.0,
    "claim": 19.0,
    "note": 12.0,
}


@dataclass(frozen=True)
class Theme:
    """Colours as ``#RRGGBB``, for drawing on ``paper``."""

    paper: str
    ink: str
    note: str
    hairline: str
    forward: str
    gradient: str
    class0: str
    class1: str
    class2: str

    @property
    def classes(self) -> tuple[str, str, str]:
        """The colours of classes 0, 1 and 2, in the order of ``MARKERS``."""
        return self.class0, self.class1, self.class2


LIGHT = Theme(
    paper="#FBFAF6",
    ink="#1D1B18",
    note="#6B6862",
    hairline="#D9D5CB",
    forward="#00695C",
    gradient="#C2311B",
    class0="#2B7BBA",
    class1="#D2781C",
    class2="#7A2E5D",
)
DARK = Theme(
    paper="#15181B",
    ink="#ECE9E2",
    note="#A19D95",
    hairline="#3A3F44",
    forward="#4FD1C5",
    gradient="#FF7A59",
    class0="#5AA9E6",
    class1="#F2A65A",
    class2="#A8528B",
)

# The reserved inks on a terminal, whose paper may be black or white: colours that a 256-colour
# terminal has exactly, with a contrast of at least 3.8:1 to both.
TERMINAL_INKS = {"forward": "#00875F", "gradient": "#D70000", "note": "#767676"}

# The same fading in the colours that a 256-colour terminal has exactly, from paper to certain;
# taking the nearest colour instead would tint the ramps with hues that mean nothing.
TERMINAL_RAMPS = (
    ("#FFFFFF", "#D7D7FF", "#AFD7FF", "#87AFD7", "#5FAFD7"),
    ("#FFFFFF", "#FFFFD7", "#FFD7AF", "#FFAF5F", "#D78700"),
    ("#FFFFFF", "#FFD7FF", "#D7AFD7", "#AF87AF", "#AF5F87"),
)

TOKENS = tuple(field.name for field in fields(Theme))

RGB = tuple[int, int, int]


def rgb(colour: str) -> RGB:
    """Red, green and blue, each 0 to 255, of ``#RRGGBB``.

    >>> rgb("#FBFAF6")
    (251, 250, 246)
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
