"""Models and checkpoints on disk: one file format, one way to read, one way to write."""

from chainrule.persist.atomic import atomic_write, remove_remains
from chainrule.persist.format import (
    from_bytes,
    kind_of_bytes,
    read_bytes,
    read_file,
    to_bytes,
    write_file,
)
from chainrule.persist.regular import open_regular

__all__ = [
    "atomic_write",
    "from_bytes",
    "kind_of_bytes",
    "open_regular",
    "read_bytes",
    "read_file",
    "remove_remains",
    "to_bytes",
    "write_file",
]
