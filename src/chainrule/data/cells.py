"""What the text of one cell means: a number, a missing value, or words."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Texts: TypeAlias = npt.NDArray[Any]  # its dtype is TEXT: text of any length

TEXT: Final = np.dtypes.StringDType()
MISSING: Final = ("", "?", "-", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null")
_SHOWN_CHARACTERS = 40


def texts(values: npt.ArrayLike) -> Texts:
    """One-dimensional ``values`` as text without surrounding blanks: 1 as ``"1"``.

    >>> texts([1.5, -0.25]).tolist()
    ['1.5', '-0.25']
    """
    array = np.asarray(values)
    stripped: Texts = np.strings.strip(array.astype(TEXT))
    return stripped


def distinct(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """The different values in sorted order, and for each element which of them it is.

    By a stable sort: NumPy's other one ends the process where texts come as sorted lists one after
    the other (2.4.6, ``np.argsort`` of ``StringDType``).

    >>> [each.tolist() for each in distinct(texts(["b", "a", "b"]))]
    [['a', 'b'], [1, 0, 1]]
    """
    found, _, places = np.unique(values, return_index=True, return_inverse=True)
    return found, places


def is_missing(text: str) -> bool:
    """Whether a cell stands for no value: nothing, ``?``, ``-``, NA, NaN, null in any case.

    >>> is_missing(" NaN "), is_missing("none")
    (True, False)
    """
    return text.strip().lower() in MISSING


def are_missing(column: Texts) -> npt.NDArray[np.bool_]:
    """Which cells of a column stand for no value; in a column of + and -, the latter is one.

    >>> are_missing(texts(["a", "", "N/A", "-"])).tolist()
    [False, True, True, True]
    >>> are_missing(texts(["+", "-", "?"])).tolist()
    [False, False, True]
    """
    short = np.flatnonzero(np.strings.str_len(column) <= max(map(len, MISSING)))
    lower = np.strings.lower(column[short])
    found = np.zeros(len(column), dtype=bool)
    for mark in MISSING:  # comparing is ten times as fast as the sorting of np.isin
        found[short] |= lower == mark
    if (column == "+").any():
        found &= column != "-"
    return found


def readable(value: object) -> str:
    """Any Python object as the text of a cell: bytes as UTF-8, whole numbers without a point.

    >>> readable(b"a"), readable(3.0), readable((1, 2))
    ('a', '3', '(1, 2)')
    """
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).encode("utf-8", "replace").decode()  # lone surrogates are no text


def first_missing(column: Texts) -> int | None:
    """Row of the first cell of a column that stands for no value, None if there is none."""
    missing = np.flatnonzero(are_missing(column))
    return int(missing[0]) if len(missing) else None


def number(text: str) -> int | float | None:
    """The number that ``text`` writes, exact for whole numbers, None if it writes none.

    >>> number(" 1e3 "), number("9007199254740993"), number("1_000"), number("abc")
    (1000.0, 9007199254740993, None, None)
    """
    if "_" in text:  # Python's own notation: in a table, 2019_01 is a name
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def numbers(cells: Texts) -> npt.NDArray[np.float64] | None:
    """Cells of any shape as finite float64 numbers, None unless every one of them is one."""
    try:
        values = cells.astype(np.float64)
    except ValueError:
        return None
    if not np.isfinite(values).all() or (np.strings.find(cells, "_") >= 0).any():
        return None
    return values


def fault(text: str) -> str | None:
    """What keeps a cell from being a finite number, None if nothing does.

    >>> fault("12 kg"), fault(""), fault("1e999"), fault("12")
    ('cell "12 kg" is not a number', 'missing value', 'cell "1e999" is not finite', None)
    """
    if is_missing(text):
        return f"missing value (cell {quoted(text)})" if text.strip() else "missing value"
    value = number(text)
    if value is None:
        return f"cell {quoted(text)} is not a number"
    return None if _is_finite(value) else f"cell {quoted(text)} is not finite"


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an integer beyond the largest float
        return False


def quoted(text: str) -> str:
    r"""The beginning of ``text`` between quotation marks, safe to print on a terminal.

    >>> print(quoted("a" * 50), quoted("größe\x1b"))
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..." "größe\x1b"
    """
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return f'"{printable(shown)}"'


def printable(text: str) -> str:
    """``text`` with escapes for characters that a terminal would obey instead of showing."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
