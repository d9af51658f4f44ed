"""Contrast and colour vision, computed anew from the tokens by the published formulas."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from chainrule.explain.palette import (
    DARK,
    LIGHT,
    MARKERS,
    TERMINAL_INKS,
    TERMINAL_RAMPS,
    Theme,
    rgb,
)
from chainrule.explain.terminal import CUBE

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])

# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array(  # IEC 61966-2-1, D65
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)


def linear(colour: str) -> np.ndarray:
    channels = np.array(rgb(colour)) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""
    dark, light = sorted(float(linear(colour) @ TO_XYZ[1]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str, vision: str) -> np.ndarray:
    """CIE 1976 L*a*b* of a colour as seen with ``vision``."""
    xyz = TO_XYZ @ np.clip(VISIONS[vision] @ linear(colour), 0, 1) / TO_XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def smallest_distance(one: str, other: str) -> float:
    """Delta E76, the least over the visions."""
    return min(float(np.linalg.norm(lab(one, v) - lab(other, v))) for v in VISIONS)


def weak_contrasts(theme: Theme) -> list[str]:
    texts = ("ink", "note", "forward", "gradient")
    weak = [name for name in texts if contrast(getattr(theme, name), theme.paper) < 4.5]
    return weak + [
        c for c in theme.classes if contrast(c, theme.paper) < 3
    ]  # lines have no outline


def confused(theme: Theme) -> list[tuple[str, str]]:
    pairs = [(theme.forward, theme.gradient), *combinations(theme.classes, 2)]
    return [pair for pair in pairs if smallest_distance(*pair) < 25]


@THEMES
def test_text_and_marks_stand_out_from_the_paper(theme: Theme) -> None:
    assert weak_contrasts(theme) == []


@THEMES
def test_inks_and_classes_stay_apart_for_dichromats(theme: Theme) -> None:
    assert confused(theme) == []


def test_the_green_and_red_of_the_slides_would_be_caught() -> None:
    slides = Theme(**{**vars(LIGHT), "forward": "#00A000", "gradient": "#E00000"})
    assert confused(slides) == [("#00A000", "#E00000")]
    assert weak_contrasts(slides) == ["forward"]
    pale = Theme(**{**vars(LIGHT), "class1": "#E0862A"})
    assert weak_contrasts(pale) == ["#E0862A"]


def test_reference_values_of_the_formulas() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert lab("#FF0000", "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


def test_terminal_inks_stand_out_from_black_and_from_white() -> None:
    for ink in TERMINAL_INKS.values():
        assert min(contrast(ink, "#000000"), contrast(ink, "#FFFFFF")) >= 3.8
        assert np.isin(rgb(ink), CUBE).all() or len(set(rgb(ink))) == 1


def test_every_class_has_its_own_shape() -> None:
    assert len(set(MARKERS)) == len(MARKERS) == len(LIGHT.classes) == len(TERMINAL_RAMPS)


def test_ramps_are_colours_that_the_terminal_has_and_darken() -> None:
    for ramp in TERMINAL_RAMPS:
        assert np.isin([rgb(step) for step in ramp], CUBE).all()
        lightness = [lab(step, "normal")[0] for step in ramp]
        assert lightness == sorted(lightness, reverse=True)


@THEMES
def test_tokens_are_six_hexadecimal_digits(theme: Theme) -> None:
    for colour in vars(theme).values():
        assert colour == "#{:02X}{:02X}{:02X}".format(*rgb(colour))
