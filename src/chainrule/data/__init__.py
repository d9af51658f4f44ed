"""Tables to arrays and back: files, columns, targets, splits."""

from chainrule.data.csv import csv_text, read_blocks, read_table, write_csv
from chainrule.data.encoding import TableEncoder
from chainrule.data.frames import Frame, as_frame
from chainrule.data.labels import Labels, Task, fit_labels, infer_task
from chainrule.data.samples import two_moons
from chainrule.data.schema import ColumnSchema, Schema, infer_schema
from chainrule.data.split import split
from chainrule.data.table import Table

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
    "infer_schema",
    "infer_task",
    "read_blocks",
    "read_table",
    "split",
    "two_moons",
    "write_csv",
]
