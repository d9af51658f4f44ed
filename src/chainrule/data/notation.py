"""How a column of text writes numbers and dates, found from its distinct cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from chainrule.data import cells

MOMENT: Final = np.dtype("datetime64[us]")
SPACES: Final = " \u00a0\u202f"  # also those that typesetting uses between digits
CURRENCIES: Final = (
    "$", "€", "£", "¥", "₹", "₽", "₩", "₺", "₫", "₪", "₦", "฿", "zł", "kr",
    "US$", "USD", "EUR", "GBP", "JPY", "CNY", "INR", "CHF", "CAD", "AUD", "SEK", "NOK", "DKK",
    "PLN",
)  # fmt: skip
# A decimal sign, and what may stand between groups of three digits, likeliest first.
_STYLES: Final = ((".", ""), (".", ","), (",", ""), (",", "."), (".", "s"), (",", "s"), (".", "'"))
_COMMA_FIRST: Final = (_STYLES[0], *sorted(_STYLES[1:], key=lambda style: style[0] != ","))
_DATE_FORMATS: Final = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
_TIME_FORMATS: Final = ("", "%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H:%M:%S%z", "%H:%M:%S.%f%z")
_TIME_SIGNS: Final = (" ", "T")
_DIGITS = re.compile(r"\d")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.I)
_LEADING_ZERO = re.compile(r"0\d+")
_MARKS = "|".join(re.escape(mark) for mark in sorted(CURRENCIES, key=len, reverse=True))
_MARK_BEFORE = re.compile(rf"(?P<sign>[+-]?)\s*(?:{_MARKS})\s*(?P<rest>.*)", re.I)
_MARK_BEHIND = re.compile(rf"(?P<rest>.*?)\s*(?:{_MARKS})", re.I)


@dataclass(frozen=True)
class NumberNotation:
    """How numbers are written.

    Parameters
    ----------
    decimal : {".", ","}
        The sign before the fraction.
    groups : {"", ".", ",", "s", "'"}
        What stands between groups of three digits; ``"s"`` is any blank.
    percent : bool
        Whether every number ends in a percent sign, and so is a hundredth.
    currency : bool
        Whether a currency stands before or behind numbers.

    Examples
    --------
    >>> NumberNotation(",", ".", currency=True).number("1.234,50 €")
    1234.5
    """

    decimal: str = "."
    groups: str = ""
    percent: bool = False
    currency: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        separator = f"[{SPACES}]" if self.groups == "s" else re.escape(self.groups)
        grouped = rf"[1-9]\d{{0,2}}(?:{separator}\d{{3}})+|" if self.groups else ""  # not 0,123
        whole = rf"(?:{grouped}\d+)"
        fraction = re.escape(self.decimal)
        return re.compile(
            rf"[+-]?(?:{whole}(?:{fraction}\d*)?|{fraction}\d+)(?:[eE][+-]?\d+)?", re.ASCII
        )

    def number(self, text: str) -> float:
        """The number that ``text`` writes, NaN if it writes none, also where it is infinite."""
        bare, scale = text.strip(), 1.0
        if self.percent:
            bare, scale = (bare[:-1].rstrip(SPACES), 0.01) if bare.endswith("%") else ("", 1.0)
        if bare.startswith("(") and bare.endswith(")"):  # as bookkeepers write what they owe
            bare, scale = bare[1:-1].strip(), -scale
        if self.currency:
            bare = _without_currency(bare)
        bare = bare.replace("\u2212", "-")
        if _INFINITE.fullmatch(bare):
            return scale * float(bare)
        if not self._pattern.fullmatch(bare):
            return float("nan")
        separators = SPACES if self.groups == "s" else self.groups
        digits = "".join(c for c in bare if c not in separators) if separators else bare
        return scale * float(digits.replace(self.decimal, "."))

    def numbers(self, column: cells.Texts) -> npt.NDArray[np.float64]:
        """The numbers of cells, NaN where one writes none, infinite where float64 is too small."""
        if self == PLAIN and (values := _plain_numbers(column)) is not None:
            return values
        values, inverse = cells.distinct(column)
        found = np.array([self.number(text) for text in values.tolist()], dtype=np.float64)
        return found[inverse]

    def __str__(self) -> str:
        signs = {"": "", "s": ", blanks between thousands"}
        parts = [
            "decimal comma" if self.decimal == "," else "",
            signs.get(self.groups, f", {self.groups} between thousands"),
            ", percent" if self.percent else "",
            ", currency" if self.currency else "",
        ]
        return "".join(parts).removeprefix(", ")


PLAIN: Final = NumberNotation()


def _plain_numbers(column: cells.Texts) -> npt.NDArray[np.float64] | None:
    """All cells at once, if NumPy takes them and reads them as :class:`NumberNotation` would."""
    try:
        values = column.astype(np.float64)
    except ValueError:
        return None
    return None if (np.strings.find(column, "_") >= 0).any() else values


def _without_currency(text: str) -> str:
    """``text`` without a currency before or behind the number, its sign kept."""
    before = _MARK_BEFORE.fullmatch(text)
    if before:
        return before["sign"] + before["rest"]
    behind = _MARK_BEHIND.fullmatch(text)
    return behind["rest"] if behind else text


def number_notation(texts: Sequence[str], *, decimal_comma: bool = False) -> NumberNotation | None:
    """How the texts write numbers, None if one of them is none in any notation.

    Numbers with zeros in front, such as ``007``, are names. Infinity may stand among numbers.

    Parameters
    ----------
    texts : sequence of str
        Distinct cells, none missing.
    decimal_comma : bool
        What ``1,234`` is where nothing else tells: 1.234 if true, else 1234.

    Examples
    --------
    >>> number_notation(["$1,200", "$950.50"])
    NumberNotation(decimal='.', groups=',', percent=False, currency=True)
    >>> number_notation(["1,5", "2,25"]).decimal, number_notation(["1,5", "x"])
    (',', None)
    """
    if not texts or any(map(_LEADING_ZERO.fullmatch, texts)):
        return None
    values = _plain_numbers(np.array(texts, dtype=cells.TEXT))
    if values is not None and np.isfinite(values).any() and not np.isnan(values).any():
        return PLAIN
    texts = [text for text in texts if not _INFINITE.fullmatch(text)]
    if not texts or not all(_DIGITS.search(text) for text in texts):
        return None
    percent = all(text.endswith("%") for text in texts)
    currency = any(_without_currency(text.strip("()")) != text.strip("()") for text in texts)
    for decimal, groups in _COMMA_FIRST if decimal_comma else _STYLES:
        notation = NumberNotation(decimal, groups, percent, currency)
        if all(np.isfinite(notation.number(text)) for text in texts):
            return notation
    return None


# Dates


def date_format(texts: Sequence[str]) -> str | None:
    """The ``strptime`` format of dates, with or without a time; None if not all are dates.

    Where day and month cannot be told apart, the month comes first between slashes, and the day
    elsewhere.

    Examples
    --------
    >>> date_format(["2024-01-31", "2023-12-01"]), date_format(["31/12/2024", "01/02/2024"])
    ('%Y-%m-%d', '%d/%m/%Y')
    """
    if not texts or not all(6 <= len(text) <= 40 and _DIGITS.search(text) for text in texts):
        return None
    for form in _formats():
        if _moment(texts[0], form) is not None and all(_moment(t, form) is not None for t in texts):
            return form
    return None


def _formats() -> Iterable[str]:
    for date in _DATE_FORMATS:
        for time in _TIME_FORMATS:
            for sign in _TIME_SIGNS if time else ("",):
                yield date + sign + time


def _moment(text: str, form: str | None) -> datetime | None:
    try:
        found = _standard(text) if form is None else datetime.strptime(text, form)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):  # the latter before the year 1, and after 9999
        return None


def _standard(text: str) -> datetime:
    """A date as ISO 8601 writes it, with or without a time; zeros in front may be missing."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.strptime(text, _DATE_FORMATS[0])


def moments(column: cells.Texts, form: str | None = None) -> npt.NDArray[np.datetime64]:
    """The moments that cells write in a format, ISO 8601 by default; NaT where one writes none.

    >>> moments(cells.texts(["31.1.2024", "x"]), "%d.%m.%Y").astype("datetime64[D]").tolist()
    [datetime.date(2024, 1, 31), None]
    >>> moments(cells.texts(["2024-01-31 10:30:00", "2024-01-31"])).tolist()
    [datetime.datetime(2024, 1, 31, 10, 30), datetime.datetime(2024, 1, 31, 0, 0)]
    """
    values, inverse = cells.distinct(column)
    found = [_moment(text, form) for text in values.tolist()]
    array = np.array(["NaT" if x is None else x for x in found], dtype=MOMENT)
    return array[inverse]
