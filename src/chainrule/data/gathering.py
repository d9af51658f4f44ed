"""Rows of tables as values that JSON can say, for processes that read some each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from chainrule.data.cells import TEXT
from chainrule.data.frames import MOMENT, Column, Frame
from chainrule.shapes import Array

_TYPES: Final[dict[str, Any]] = {
    "text": TEXT,
    "moment": MOMENT,
    "float64": np.dtype("float64"),
    "bool": np.dtype("bool"),
}


def packed_frame(frame: Frame) -> dict[str, Any]:
    """A frame, without the lines that its rows had in a file.

    Examples
    --------
    >>> from chainrule.data.frames import as_frame
    >>> again = unpacked_frame(packed_frame(as_frame({"x": [1.5, None], "kind": ["a", "?"]})))
    >>> again["x"].values[:1].tolist(), again["x"].missing.tolist(), again["kind"].values.tolist()
    ([1.5], [False, True], ['a', '?'])
    """
    columns = [(each.name, *_packed(each), each.missing.tolist()) for each in frame.columns]
    return {"source": frame.source, "columns": columns, "decimal_comma": frame.decimal_comma}


def _packed(column: Column) -> tuple[str, list[Any]]:
    """The type of a column's values, and these as numbers or text."""
    name = next(name for name, dtype in _TYPES.items() if dtype == column.values.dtype)
    plain = column.values.astype(np.int64) if name == "moment" else column.values
    return name, plain.tolist()


def unpacked_frame(packed: Mapping[str, Any]) -> Frame:
    """The frame that :func:`packed_frame` took apart."""
    columns = [
        Column(name, _unpacked(kind, values), np.array(missing, bool))
        for name, kind, values, missing in packed["columns"]
    ]
    return Frame(packed["source"], tuple(columns), None, packed["decimal_comma"])


def _unpacked(kind: str, values: list[Any]) -> Array:
    array = np.array(values, np.int64) if kind == "moment" else np.array(values, _TYPES[kind])
    return array.astype(_TYPES[kind])
