"""Matplotlib (extra ``plots``) with our type, whatever its user has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chainrule.errors import missing_extra
from chainrule.explain.palette import SANS, SIZES

DPI = 96  # a CSS pixel is a dot
POINT = 72 / DPI  # of a pixel
SHARPNESS = 2  # dots of a PNG for each CSS pixel
WIDEST_FONT = "DejaVu Sans"  # comes with matplotlib, and has most of the signs of mathematics


@contextmanager
def settings(key: str = "chainrule") -> Iterator[None]:
    """Draw in this block; the same ``key`` gives the same ids in SVG.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    try:
        import matplotlib
    except ImportError:
        raise missing_extra("a chart", "plots") from None
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = installed(SANS)
        matplotlib.rcParams["font.size"] = SIZES["note"] * POINT
        matplotlib.rcParams["svg.fonttype"] = "none"
        matplotlib.rcParams["svg.hashsalt"] = key
        yield


def installed(families: str) -> list[str]:
    """Those of a CSS list of typefaces that matplotlib finds, and for other signs its own."""
    from matplotlib.font_manager import get_font_names

    known = get_font_names()
    named = [family.strip(" '") for family in families.split(",")]
    found = [family for family in named if family in known]
    return found if WIDEST_FONT in found else [*found, WIDEST_FONT]
