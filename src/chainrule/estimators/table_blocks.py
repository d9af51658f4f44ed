"""The blocks of a table that is read in several passes: kept after the first, if they are small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chainrule.data.factored import column_bytes, smaller
from chainrule.data.frames import Frame
from chainrule.data.shards import rows_of, share
from chainrule.data.streams import TableStream
from chainrule.engines.processes import place

REMEMBERED_BYTES: Final = 2**27  # of a table whose blocks are kept, not read again


class Remembering:
    """A stream whose blocks are kept when they are read the first time, if they are small enough.

    Attributes
    ----------
    source, names
        Of the stream.
    """

    def __init__(self, stream: TableStream) -> None:
        self.source, self.names, self._stream = stream.source, stream.names, stream
        self._blocks: list[tuple[int, Frame]] | None = None  # once one pass has reached the end
        self._is_small = True  # as far as is known
        self._rows = _own(stream)

    @property
    def is_part(self) -> bool:
        """Whether other processes read other rows."""
        return self._rows is not None

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """The rows of this process in blocks, each with its first number: all, if it is alone."""
        if self._blocks is not None:
            yield from self._blocks
            return
        kept: list[tuple[int, Frame]] = []
        left = REMEMBERED_BYTES
        for number, frame in self._stream.frames(self._rows):
            block = number, smaller(frame)
            yield block
            if self._is_small:
                kept.append(block)
                left -= sum(map(column_bytes, block[1].columns))
                if left < 0:
                    self._is_small = False
                    kept.clear()
        if self._is_small:
            self._blocks = kept


def _own(stream: TableStream) -> range | None:
    """The rows that this process reads, of several that each read some; None is all of them.

    Lines of text have to be counted: every process reads all of them.
    """
    number, count = place()
    if count == 1 or stream.known_rows is None:
        return None
    return rows_of(share(number, count), stream.known_rows)
