"""Numbers and dates as people write them."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import cells
from chainrule.data.notation import (
    CURRENCIES,
    PLAIN,
    NumberNotation,
    date_format,
    moments,
    number_notation,
)


@pytest.mark.parametrize(
    ("texts", "numbers", "words"),
    [
        (["1", "-2.5", "+.5", "1e3"], [1, -2.5, 0.5, 1000], ""),
        (["1,5", "-2,25", "3"], [1.5, -2.25, 3], "decimal comma"),
        (["1,234", "12,345,678"], [1234, 12345678], ", between thousands"),
        (["1,234.5", "2"], [1234.5, 2], ", between thousands"),
        (["1.234,5", "1.234.567"], [1234.5, 1234567], "decimal comma, . between thousands"),
        (["0,123", "1,456"], [0.123, 1.456], "decimal comma"),
        (["1 234", "5"], [1234, 5], "blanks between thousands"),
        (["1\u202f234,5", "1,5"], [1234.5, 1.5], "decimal comma, blanks between thousands"),
        (["1'234.5", "2"], [1234.5, 2], "' between thousands"),
        (["50%", "12.5 %"], [0.5, 0.125], "percent"),
        (["$1,200", "-$950.50", "($3)"], [1200, -950.5, -3], ", between thousands, currency"),
        (["1,50 €", "20 EUR"], [1.5, 20], "decimal comma, currency"),
        (["\u22125", "5"], [-5, 5], ""),
        (["1", "inf", "-Infinity", "1e999"], [1, np.inf, -np.inf, np.inf], ""),
        (["1,5", "-inf", "2"], [1.5, -np.inf, 2], "decimal comma"),
    ],
)
def test_notations(texts: list[str], numbers: list[float], words: str) -> None:
    notation = number_notation(texts)
    assert notation is not None
    np.testing.assert_allclose(notation.numbers(cells.texts(texts)), numbers, rtol=1e-15)
    assert str(notation) == words


@pytest.mark.parametrize(
    "texts",
    [[], ["a"], ["1", "x"], ["007", "1"], ["1_000"], ["1,23,4"], ["5 kg"], ["%"], ["$"],
     ["1.2.3"], ["nan"], ["inf"], ["1e999"], ["5%", "5"]],
)  # fmt: skip
def test_what_is_no_number(texts: list[str]) -> None:
    assert number_notation(texts) is None


def test_the_delimiter_decides_what_a_lone_comma_is() -> None:
    both = [number_notation(["1,234"], decimal_comma=comma) for comma in (False, True)]
    assert [each and each.number("1,234") for each in both] == [1234.0, 1.234]


def test_later_cells_that_are_no_numbers_are_nan() -> None:
    found = NumberNotation(",").numbers(cells.texts(["1,5", "x", "", "1e999"]))
    np.testing.assert_array_equal(found, [1.5, np.nan, np.nan, np.inf])


@given(
    st.decimals(-(10**9), 10**9, allow_nan=False, places=2),
    st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (".", "s"), (".", "'")]),
    st.sampled_from(["", "€", "$", "EUR"]),
)
def test_what_is_written_reads_back(value: Decimal, style: tuple[str, str], mark: str) -> None:
    decimal, groups = style
    text = f"{value:,.2f}".translate({ord(","): "\0", ord("."): decimal})
    text = text.replace("\0", " " if groups == "s" else groups) + mark
    notation = NumberNotation(decimal, groups, currency=bool(mark))
    assert notation.number(text) == float(value)


@given(st.lists(st.text(max_size=12), max_size=5))
def test_any_text_is_a_number_or_nan(texts: list[str]) -> None:
    values = PLAIN.numbers(cells.texts(texts)) if texts else np.empty(0)
    for text, value in zip(texts, values, strict=True):
        plain = cells.number(text.strip()) if text.isascii() else None
        if plain is None or not np.isfinite(float(plain)):
            assert np.isnan(value) or not text.isascii()
        else:
            assert value == float(plain)


def test_currencies_are_told_by_the_longest_mark() -> None:
    assert NumberNotation(currency=True).number("US$ 5") == 5
    assert len({*CURRENCIES}) == len(CURRENCIES)


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["2024-01-31"], "%Y-%m-%d"),
        (["2024-01-31 23:59:01"], "%Y-%m-%d %H:%M:%S"),
        (["2024-01-31T23:59"], "%Y-%m-%dT%H:%M"),
        (["31.12.2024", "1.2.2024"], "%d.%m.%Y"),
        (["12/31/2024", "1/2/2024"], "%m/%d/%Y"),
        (["31/12/2024", "1/2/2024"], "%d/%m/%Y"),
        (["31 Dec 2024"], "%d %b %Y"),
        (["2024-13-01"], None),
        (["2024-01-31", "soon"], None),
        (["12"], None),
        ([], None),
    ],
)
def test_date_formats(texts: list[str], form: str | None) -> None:
    assert date_format(texts) == form


def test_moments_with_a_zone_are_in_universal_time() -> None:
    form = date_format(["2024-01-31T12:00:00+0200"])
    assert form is not None
    found = moments(cells.texts(["2024-01-31T12:00:00+0200", "no"]), form)
    assert found.tolist() == [datetime.datetime(2024, 1, 31, 10), None]


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S%z", None])
def test_moments_out_of_reach_are_none(form: str | None) -> None:
    late = cells.texts(["0001-01-01T00:00:00+0500", "9999-12-31T23:00:00-0500"])
    assert moments(late, form).tolist() == [None, None]


@pytest.mark.parametrize(
    "text", ["2024-01-31", "2024-1-31", "2024-01-31 00:00:00", "2024-01-31T02:00+02:00"]
)
def test_moments_are_read_as_the_standard_writes_them(text: str) -> None:
    assert moments(cells.texts([text])).tolist() == [datetime.datetime(2024, 1, 31)]
