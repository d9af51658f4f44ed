"""Terminal pictures, with and without colour."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ShapeError, UnknownNameError
from chainrule.explain import boundary_blocks, digit_blocks
from chainrule.explain.palette import LIGHT, rgb
from chainrule.explain.terminal import CUBE, nearest_of_256

EXTENT = (0.0, 1.0, 0.0, 1.0)
RAMP = np.tile(np.linspace(0, 1, 50), (50, 1))
ESCAPE = re.compile(r"\x1b\[[\d;]*m")


def test_without_colour_text_alone_tells_classes_and_points_apart() -> None:
    shown = boundary_blocks(RAMP, EXTENT, [[0.1, 0.9], [0.9, 0.1]], [0, 1], columns=20, rows=4)
    assert (
        shown.splitlines()
        == [
            "..o..     -----=====",
            ".....     -----=====",
            ".....     -----=====",
            ".....     -----===x=",
        ]
        and shown.isascii()
    )


def test_three_classes_have_six_glyphs() -> None:
    sure, unsure = np.eye(3), 0.6 * np.eye(3) + 0.4 * (1 - np.eye(3)) / 2
    field = np.stack([sure.repeat(2, 0), unsure.repeat(2, 0)])
    shown = boundary_blocks(field, EXTENT, np.empty((0, 2)), [], columns=6, rows=2)
    assert set(shown) == set(" .-=+#\n")


@pytest.mark.parametrize("colour", ["truecolor", "256"])
def test_with_colour_points_still_differ_by_glyph(colour: str) -> None:
    shown = boundary_blocks(
        RAMP, EXTENT, [[0.1, 0.9], [0.9, 0.1]], [0, 1], columns=20, rows=4, colour=colour
    )
    lines = ESCAPE.sub("", shown).splitlines()
    assert [len(line) for line in lines] == [20] * 4
    assert lines[0][2] == "●" and lines[3][18] == "■"
    assert all(line.endswith("\x1b[0m") for line in shown.splitlines())


def test_certain_places_have_the_hue_of_their_class_and_unsure_ones_are_paper() -> None:
    shown = boundary_blocks(
        [[0.0, 0.5, 1.0]] * 2, EXTENT, np.empty((0, 2)), [], columns=3, rows=1, colour="truecolor"
    )
    left, middle, right = (
        [int(part) for part in match]
        for match in re.findall(r"\x1b\[38;2;\d+;\d+;\d+;48;2;(\d+);(\d+);(\d+)m", shown)
    )
    assert tuple(middle) == rgb(LIGHT.paper)
    assert left[2] > left[0] and right[0] > right[2]


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_256_colours_are_the_nearest_of_the_cube_or_as_good(channels: tuple[int, int, int]) -> None:
    code = nearest_of_256(channels)
    if code >= 232:
        chosen = np.full(3, 8 + 10 * (code - 232))
    else:
        chosen = CUBE[[(code - 16) // 36, (code - 16) // 6 % 6, (code - 16) % 6]]
    cube = np.stack(np.meshgrid(CUBE, CUBE, CUBE), axis=-1).reshape(-1, 3)
    best = np.square(cube - channels).sum(axis=1).min()
    assert np.square(chosen - channels).sum() <= best


def test_a_digit_in_shades_keeps_its_shape() -> None:
    image = np.zeros((8, 8))
    image[1:7, 4] = 16
    image[1, 3] = 8
    lines = digit_blocks(image).splitlines()
    assert lines[1] == " " * 6 + "▒▒██" + " " * 6
    assert [line.strip() for line in lines[2:7]] == ["██"] * 5
    assert lines[0].strip() == lines[7].strip() == ""


def test_a_digit_in_colour_shows_two_rows_a_line() -> None:
    image = np.arange(24, dtype=float).reshape(3, 8)
    shown = digit_blocks(image, colour="truecolor")
    assert ESCAPE.sub("", shown).splitlines() == ["▀" * 8] * 2
    ink = ";".join(map(str, rgb(LIGHT.ink)))
    paper = ";".join(map(str, rgb(LIGHT.paper)))
    assert f"38;2;{ink};48;2;{paper}m" in shown.splitlines()[1]


def test_an_empty_picture_is_blank_rather_than_divided_by_zero() -> None:
    assert set(digit_blocks(np.zeros((8, 8)))) == {" ", "\n"}


def test_unknown_colours_and_shapes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'truecolor'"):
        digit_blocks(np.zeros((8, 8)), colour="truecolour")
    with pytest.raises(ShapeError, match=r"rows, columns\), not \(8,\)"):
        digit_blocks(np.zeros(8))
