"""Tables to arrays and back: files, columns, targets, splits."""

from chainrule.data.csv import read_table, write_csv
from chainrule.data.labels import Labels, Task, fit_labels, infer_task
from chainrule.data.samples import two_moons
from chainrule.data.split import split
from chainrule.data.table import Table

__all__ = [
    "Labels",
    "Table",
    "Task",
    "fit_labels",
    "infer_task",
    "read_table",
    "split",
    "two_moons",
    "write_csv",
]
