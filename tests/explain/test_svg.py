"""Documents that every program can read, and numbers as people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.explain.palette import DARK, LIGHT, TOKENS
from chainrule.explain.svg import document, element, format_number, number, stylesheet, text
from tests.explain.pictures import SVG, parsed


def read_back(shown: str) -> float:
    """The number that a reader takes from the text."""
    plain = shown.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789"))
    return float(plain.replace("×10", "e"))


@given(st.floats(-1e300, 1e300))
def test_numbers_are_shown_to_three_significant_digits(value: float) -> None:
    shown = format_number(value)
    assert read_back(shown) == pytest.approx(value, rel=5.001e-3, abs=0)
    assert "-" not in shown and "e" not in shown
    mantissa = shown.split("×")[0].lstrip("−").replace(".", "").lstrip("0")
    assert len(mantissa) <= 3 or value == int(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (-0.0, "0"),
        (9999, "9999"),
        (10000, "1×10⁴"),
        (0.9996, "1.00"),
        (999.6, "1.00×10³"),
        (0.001, "0.001"),
        (0.000999, "9.99×10⁻⁴"),
        (1 / 3, "0.333"),
        (float("inf"), "∞"),
        (float("nan"), "not a number"),
    ],
)
def test_numbers_at_the_borders_of_a_notation(value: float, shown: str) -> None:
    assert format_number(value) == shown


@given(st.text())
def test_any_text_survives_as_far_as_xml_allows(name: str) -> None:
    root = parsed(element("text", text(name), id=name))
    legal = re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", name)
    line_ends = legal.replace("\r\n", "\n").replace("\r", "\n")
    assert (root.text or "") == line_ends
    assert set(root.attrib) == {"id"} and len(root) == 0


@given(st.floats(-1e6, 1e6))
def test_coordinates_are_short_and_close(length: float) -> None:
    assert float(number(length)) == pytest.approx(length, abs=0.0051)
    assert not re.search(r"\.\d*0$|-0$|e", number(length))


def test_a_document_speaks_and_fetches_nothing() -> None:
    root = parsed(document(10, 20, [], title="A & B", description="Says <this>.", key="k"))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text == "A & B"
    assert description is not None and description.text == "Says <this>."
    assert root.get("aria-labelledby", "").split() == [title.get("id"), description.get("id")]
    assert root.get("viewBox") == "0 0 10 20"


def test_styles_follow_the_theme_where_variables_are_known() -> None:
    _, supported = stylesheet().split("@supports (fill:var(--ink)){")
    light, dark = supported.split("@media (prefers-color-scheme:dark)")
    for token in TOKENS:
        assert f"--{token}:{getattr(LIGHT, token)}" in light
        assert f"--{token}:{getattr(DARK, token)}" in dark


def test_programs_without_variables_see_the_light_colours() -> None:
    plain, supported = stylesheet().split("@supports (fill:var(--ink)){")
    assert "var(" not in plain
    variables = re.findall(r"\.chainrule \.(\w+)\{([^}]*)\}", supported)
    fallbacks = dict(re.findall(r"\.chainrule \.(\w+)\{([^}]*)\}", plain))
    for style, declarations in variables:
        for name, token in re.findall(r"([\w-]+):var\(--(\w+)\)", declarations):
            assert f"{name}:{getattr(LIGHT, token)}" in fallbacks[style].split(";")


def test_values_and_gradients_keep_their_inks_to_themselves() -> None:
    owners = {
        token: re.findall(rf"\.chainrule \.(\w+)\{{[^}}]*var\(--{token}\)", stylesheet())
        for token in ("forward", "gradient")
    }
    assert owners == {"forward": ["forward"], "gradient": ["gradient"]}
