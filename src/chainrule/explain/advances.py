"""Widths of text, so that labels are placed without a browser or a font file.

Each advance is the widest of Inter, DejaVu Sans and DejaVu Serif, upright and italic, rounded
up to 4/100 em; digits share one width. Text may come out narrower than its box, never wider.
"""

from __future__ import annotations

HUNDREDTHS_OF_AN_EM = {
    28: "'\u2009",
    32: " ,.ijl·",
    36: "/:;\\|",
    40: "()I[]f",
    44: "!t²³¹⁴⁵⁶⁷⁸⁹ᵀ₁₂₃₄₅₆₇₈₉",
    48: '"-r⁰ₓ₀',
    52: "*_`",
    56: "?Jszε⁻",
    60: "cvxyγ",
    68: "$0123456789aeko{}∂√βδθλLPTYbdghnpquαμπ",
    72: "FSXZσΣ",
    76: "ABEKRVφ",
    80: "CG",
    84: "#+<=>DOQ^~−×÷",
    88: "HNUw",
    92: "&",
    96: "%∞",
    104: "@m…½MW",
}
ADVANCES = {character: advance for advance, row in HUNDREDTHS_OF_AN_EM.items() for character in row}
UNLISTED = 104


def text_width(text: str, size: float) -> float:
    """Upper bound of the width of ``text`` set at ``size``, in the unit of ``size``.

    >>> text_width("−12", 10)
    22.0
    """
    return sum(ADVANCES.get(character, UNLISTED) for character in text) * size / 100
