"""Pictures for the terminal, from characters: with colour where it is allowed, readable without.

A cell of the terminal is about twice as high as wide, so that with colour one character, the
upper half block, shows two pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ShapeError
from chainrule.explain.fields import Field, Floats, Points, checked_extent, field, points_of
from chainrule.explain.palette import LIGHT, RGB, TERMINAL_RAMPS, rgb
from chainrule.explain.terminal import RESET, Colour, checked_colour, colour_code

HALF_BLOCK = "▀"
SHADES = " ░▒▓█"
POINT_GLYPHS = "●■▲"  # with colour
PLAIN_POINT_GLYPHS = "oxA"
PLAIN_FIELD_GLYPHS = (" .", "-=", "+#")  # per class: where it is unsure, where it is sure
SURE = 0.5  # certainty; for two classes the probabilities 1/4 and 3/4
FIELD_STRENGTH = 0.75  # of the colour of a class where it is certain; the rest is paper

Pixels = NDArray[np.uint8]


def boundary_blocks(
    grid_probabilities: ArrayLike,
    extent: Sequence[float],
    points: ArrayLike,
    labels: ArrayLike,
    *,
    columns: int = 64,
    rows: int = 24,
    colour: Colour = "none",
) -> str:
    """The decision boundary of a classifier as lines of text.

    Parameters
    ----------
    grid_probabilities, extent, points, labels
        As for ``boundary_svg``.
    columns, rows : int
        Size in characters.
    colour : {"none", "256", "truecolor"}
        What the terminal can show. Without colour each class has glyphs of its own, one where
        it is unsure and one where it is sure; points differ by their glyph in every case.

    Returns
    -------
    str
        ``rows`` lines, without a line break at the end.

    Raises
    ------
    UnknownNameError
        Another ``colour``.
    ShapeError, ParameterError, DataError
        As ``boundary_svg`` says.

    Examples
    --------
    >>> grid = [[0.1, 0.4, 0.6, 0.9]]
    >>> print(boundary_blocks(2 * grid, (0, 1, 0, 1), [[0.1, 0.9]], [0], columns=8, rows=2))
    o   ---=
    .   ---=
    """
    shown = field(grid_probabilities)
    data = points_of(points, labels, shown.classes)
    marks = _marks(data, checked_extent(extent), columns, rows)
    if checked_colour(colour) == "none":
        return _plain_field(_resampled(shown, columns, rows), marks)
    return _coloured_field(_resampled(shown, columns, 2 * rows), marks, colour)


def digit_blocks(image: ArrayLike, *, colour: Colour = "none") -> str:
    """A greyscale picture, such as a digit of 8 x 8 pixels, as lines of text.

    Parameters
    ----------
    image : (rows, columns) float
        Brightness; 0 or less is paper, the largest value is ink.
    colour : {"none", "256", "truecolor"}
        With colour one character shows two rows; without, two characters of one of five shades
        show one pixel.

    Returns
    -------
    str

    Raises
    ------
    ShapeError
        Not two axes, or no pixel.
    UnknownNameError
        Another ``colour``.

    Examples
    --------
    >>> print(digit_blocks([[0, 8], [16, 4]]).replace(" ", "."))
    ..▒▒
    ██░░
    """
    brightness = np.asarray(image, dtype=np.float64)
    if brightness.ndim != 2 or not brightness.size:
        raise ShapeError(f"a grey picture has the shape (rows, columns), not {brightness.shape}")
    peak = float(brightness.max())
    darkness = np.clip(brightness / peak, 0.0, 1.0) if peak > 0 else np.zeros_like(brightness)
    if checked_colour(colour) == "none":
        shades = np.rint(darkness * (len(SHADES) - 1)).astype(int).tolist()
        return "\n".join("".join(2 * SHADES[shade] for shade in row) for row in shades)
    ink = np.array(rgb(LIGHT.ink), dtype=np.float64)
    pixels = _mixed(np.broadcast_to(ink, (*darkness.shape, 3)), darkness)
    return _half_blocks(pixels, {}, colour)


def _resampled(shown: Field, columns: int, rows: int) -> Field:
    """The samples nearest to the middles of ``rows`` x ``columns`` cells, the top row first."""
    height, width = shown.winners.shape
    down = np.rint((np.arange(rows)[::-1] + 0.5) / rows * (height - 1)).astype(int)
    across = np.rint((np.arange(columns) + 0.5) / columns * (width - 1)).astype(int)
    return Field(shown.probabilities[np.ix_(down, across)])


def _marks(
    data: Points, extent: tuple[float, float, float, float], columns: int, rows: int
) -> dict[tuple[int, int], int]:
    """The class of the last point in each (row, column) of characters."""
    x_low, x_high, y_low, y_high = extent
    across = (data.xy[:, 0] - x_low) / (x_high - x_low)
    up = (data.xy[:, 1] - y_low) / (y_high - y_low)
    inside = (across >= 0) & (across <= 1) & (up >= 0) & (up <= 1)
    column = np.minimum((across[inside] * columns).astype(int), columns - 1)
    row = np.minimum(((1 - up[inside]) * rows).astype(int), rows - 1)
    places = zip(row.tolist(), column.tolist(), strict=True)
    return dict(zip(places, data.labels[inside].tolist(), strict=True))


def _plain_field(shown: Field, marks: dict[tuple[int, int], int]) -> str:
    sure = (shown.certainty >= SURE).astype(int).tolist()
    winners = shown.winners.tolist()
    lines = [
        [PLAIN_FIELD_GLYPHS[label][certain] for label, certain in zip(*row, strict=True)]
        for row in zip(winners, sure, strict=True)
    ]
    for (row, column), label in marks.items():
        lines[row][column] = PLAIN_POINT_GLYPHS[label]
    return "\n".join("".join(line).rstrip() for line in lines)


def _coloured_field(shown: Field, marks: dict[tuple[int, int], int], colour: str) -> str:
    pixels = _shaded(shown) if colour == "truecolor" else _ramped(shown)
    return _half_blocks(pixels, {at: POINT_GLYPHS[label] for at, label in marks.items()}, colour)


def _shaded(shown: Field) -> Pixels:
    classes = np.array([rgb(token) for token in LIGHT.classes], dtype=np.float64)
    return _mixed(classes[shown.winners], FIELD_STRENGTH * shown.certainty)


def _ramped(shown: Field) -> Pixels:
    ramps = np.array([[rgb(step) for step in ramp] for ramp in TERMINAL_RAMPS], dtype=np.uint8)
    steps = np.rint(shown.certainty * (ramps.shape[1] - 1)).astype(int)
    pixels: Pixels = ramps[shown.winners, steps]
    return pixels


def _mixed(colours: Floats, strength: Floats) -> Pixels:
    """Colours laid over paper."""
    paper = np.array(rgb(LIGHT.paper), dtype=np.float64)
    mixed: Floats = paper + strength[:, :, None] * (colours - paper)
    return np.rint(mixed).astype(np.uint8)


def _half_blocks(pixels: Pixels, glyphs: dict[tuple[int, int], str], colour: str) -> str:
    """Two rows of pixels a line; an odd last row stands on paper; glyphs are drawn in ink."""
    if len(pixels) % 2:
        paper = np.broadcast_to(np.array(rgb(LIGHT.paper), np.uint8), (1, *pixels.shape[1:]))
        pixels = np.concatenate([pixels, paper])
    lines = []
    for row, (upper, lower) in enumerate(zip(pixels[::2], pixels[1::2], strict=True)):
        pairs = zip(upper.tolist(), lower.tolist(), strict=True)
        cells = [
            _cell(glyphs.get((row, column)), above, below, colour)
            for column, (above, below) in enumerate(pairs)
        ]
        lines.append("".join(cells) + RESET)
    return "\n".join(lines)


def _cell(glyph: str | None, above: RGB, below: RGB, colour: str) -> str:
    front = rgb(LIGHT.ink) if glyph else above
    codes = f"38;{colour_code(front, colour)};48;{colour_code(below, colour)}"
    return f"\x1b[{codes}m{glyph or HALF_BLOCK}"
