"""What rows of a table weigh, where a column says it."""

from __future__ import annotations

import numpy as np

from chainrule.data.frames import Column, Frame
from chainrule.data.notation import PLAIN
from chainrule.errors import DataError, ShapeError
from chainrule.shapes import Array


def weights_in(column: Column, rows: Frame) -> Array:
    """The weights in a column, (n,) float64 from 0; ``rows`` are those that it is of.

    Raises
    ------
    ShapeError
        If there is not one for each row.
    DataError
        If a cell is no such number: with its row.

    Examples
    --------
    >>> from chainrule.data.frames import as_frame
    >>> table = as_frame({"n": ["2", "0.5", "0"]})
    >>> weights_in(table["n"], table).tolist()
    [2.0, 0.5, 0.0]
    """
    if len(column) != len(rows):
        raise ShapeError(f"{column.name} needs one number for each of {len(rows)} rows")
    values = PLAIN.numbers(column.values) if column.is_text else column.values
    found = np.where(column.missing, np.nan, values.astype(np.float64))
    wrong = ~(np.isfinite(found) & (found >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        said = "missing" if column.missing[row] else repr(str(column.as_texts()[row]))
        raise DataError(
            f"{rows.place(row)}: the weight in column {column.name!r} is {said}, and must be a"
            " number >= 0"
        )
    return found
