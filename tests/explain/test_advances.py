"""The shipped advances against a real font."""

from __future__ import annotations

from pathlib import Path

import pytest

from chainrule.explain.advances import ADVANCES, HUNDREDTHS_OF_AN_EM, UNLISTED, text_width

FACES = ("DejaVuSans.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSerif-Italic.ttf")


@pytest.mark.parametrize("face", FACES)
def test_no_character_is_wider_than_its_advance(face: str) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="brings the font files")
    ft2font = pytest.importorskip("matplotlib.ft2font", reason="reads the font files")
    font = ft2font.FT2Font(str(Path(matplotlib.get_data_path(), "fonts", "ttf", face)))
    font.set_size(1000, 72)
    known = set(font.get_charmap())
    checked = 0
    for character, advance in ADVANCES.items():
        if ord(character) in known:
            glyph = font.load_char(ord(character), flags=ft2font.LoadFlags.NO_HINTING)
            assert glyph.linearHoriAdvance / 65536 <= advance * 10, character
            checked += 1
    assert checked > 100


def test_every_printable_ascii_character_is_listed_once() -> None:
    assert {chr(code) for code in range(32, 127)} <= ADVANCES.keys()
    assert sum(map(len, HUNDREDTHS_OF_AN_EM.values())) == len(ADVANCES)


def test_digits_are_tabular_and_signs_as_wide_as_plus() -> None:
    assert len({ADVANCES[digit] for digit in "0123456789"}) == 1
    assert ADVANCES["−"] == ADVANCES["+"]


def test_unknown_characters_are_taken_as_wide() -> None:
    assert text_width("漢", 100) == UNLISTED
