"""What the text of one cell means: a number, a missing value, or words."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Texts: TypeAlias = npt.NDArray[Any]  # its dtype is TEXT: text of any length

TEXT: Final = np.dtypes.StringDType()
MISSING: Final = ("", "?", "na", "n/a", "nan", "null")
_SHOWN_CHARACTERS = 40


def texts(values: npt.ArrayLike) -> Texts:
    """One-dimensional ``values`` as text without surrounding blanks: 1 as ``"1"``.

    >>> texts([1.5, -0.25]).tolist()
    ['1.5', '-0.25']
    """
    array = np.asarray(values)
    stripped: Texts = np.strings.strip(array.astype(TEXT))
    return stripped


def is_missing(text: str) -> bool:
    """Whether a cell stands for no value: nothing, ``?``, NA, N/A, NaN, null in any case.

    >>> is_missing(" NaN "), is_missing("none")
    (True, False)
    """
    return text.strip().lower() in MISSING


def first_missing(column: Texts) -> int | None:
    """Row of the first cell of a column that stands for no value, None if there is none."""
    distinct, first_rows = np.unique(column, return_index=True)
    missing = [row for text, row in zip(distinct, first_rows, strict=True) if is_missing(text)]
    return int(min(missing)) if missing else None


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
