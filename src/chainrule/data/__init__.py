"""Tables to arrays and back: files, columns, targets, splits."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule.data.csv import csv_text, read_blocks, read_table, write_csv
from chainrule.data.frames import Frame, as_frame
from chainrule.data.labels import Labels, Task, fit_labels, infer_task
from chainrule.data.samples import house_prices, two_circles, two_moons
from chainrule.data.split import split
from chainrule.data.table import Table

if TYPE_CHECKING:
    from chainrule.data.encoding import TableEncoder
    from chainrule.data.schema import ColumnSchema, Schema, infer_schema

_LAYERED = {  # these need the layers of networks, which not every reader of a table does
    "ColumnSchema": "schema",
    "Schema": "schema",
    "TableEncoder": "encoding",
    "infer_schema": "schema",
}


def __getattr__(name: str) -> Any:
    """What needs more than arrays is imported on first use."""
    if name not in _LAYERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAYERED[name]}"), name)


__all__ = [
    "ColumnSchema",
    "Frame",
    "Labels",
    "Schema",
    "Table",
    "TableEncoder",
    "Task",
    "as_frame",
    "csv_text",
    "fit_labels",
    "house_prices",
    "infer_schema",
    "infer_task",
    "read_blocks",
    "read_table",
    "split",
    "two_circles",
    "two_moons",
    "write_csv",
]
