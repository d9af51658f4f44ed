"""Large CSV files in blocks: by pyarrow where that reads the same, else by the standard library.

A block that pyarrow might read otherwise (lone returns, blank lines, bytes that are not UTF-8) is
read by :mod:`chainrule.data.csv`, whose rules and messages hold; so is all that follows a quotation
mark that neither begins nor ends a cell.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from itertools import chain, islice
from typing import Any

import numpy as np

from chainrule.data import cells
from chainrule.data.csv import (
    GZIP_ERRORS,
    SNIFFED_LINES,
    Form,
    damaged,
    decompressed,
    form_of,
    is_utf16,
    lines_of,
    read_blocks,
    tables_of,
)
from chainrule.data.factored import Factored
from chainrule.data.frames import Column, Frame, as_frame
from chainrule.persist import open_regular
from chainrule.shapes import Array
from chainrule.training.prefetch import prefetched

PIECE_BYTES = 2**22  # enough that the cost of a block is small, little enough for many
_BOM = b"\xef\xbb\xbf"
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'


def form_of_file(path: str | os.PathLike[str], header: bool) -> Form:
    """The form of a CSV file, from its first lines.

    Raises
    ------
    DataError
        As :func:`chainrule.data.read_table`.
    """
    source = os.fspath(path)
    with open_regular(path) as file:
        lines = lines_of(decompressed(file, source), source)
        sample = list(islice(lines, SNIFFED_LINES))
        lines.close()
    return form_of(sample, source, header)


def csv_frames(path: str | os.PathLike[str], header: bool, form: Form) -> Iterator[Frame]:
    """The rows of a CSV file, plain or compressed by gzip, in frames of some thousand rows.

    Parameters
    ----------
    path : path
    header : bool
    form : Form
        Of this file, by :func:`form_of_file`.

    Raises
    ------
    DataError
        As :func:`chainrule.data.read_table`: with file and line.
    """
    source = os.fspath(path)
    reader = _reader()
    with open_regular(path) as file:
        binary = decompressed(file, source)
        if reader is None or len(form.names) == 1 or _is_other(binary, source):
            yield from (as_frame(table) for table in read_blocks(path, header=header))
            return
        yield from _Pieces(binary, source, form, reader).frames()


def _reader() -> Any:
    """Pyarrow and its reader of CSV; None where it is not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.csv")
    except ImportError:
        return None


def _is_other(binary: Any, source: str) -> bool:
    try:
        return is_utf16(binary)
    except GZIP_ERRORS as error:
        raise damaged(source, error) from None


class _Pieces:
    """The pieces of a file, each of whole records, and the frames of their rows."""

    def __init__(self, binary: Any, source: str, form: Form, reader: Any) -> None:
        self.binary, self.source, self.form = binary, source, form
        self.arrow, self.csv = reader

    def frames(self) -> Iterator[Frame]:
        """The rows, in order."""
        with closing(prefetched(self._chunks)) as chunks:
            line, rest = 1, b""
            for chunk in chunks:
                data = rest + chunk
                if line == 1:
                    data = data.removeprefix(_BOM)
                end = _record_end(data, self.form.delimiter)
                if end is None or (rest and not end):  # a long record may be one without its end
                    yield from self._by_library(chain([data], chunks), line)
                    return
                yield from self._frame(data[:end], line)
                line, rest = line + data.count(b"\n", 0, end), data[end:]
        yield from self._frame(rest, line)

    def _chunks(self) -> Iterator[bytes]:
        try:
            while chunk := self.binary.read(PIECE_BYTES):
                yield chunk
        except GZIP_ERRORS as error:
            raise damaged(self.source, error) from None

    def _frame(self, piece: bytes, line: int) -> Iterator[Frame]:
        """The rows of a piece, which begins in this line."""
        if not piece.strip():
            return
        found = None if _is_odd(piece) else self._by_arrow(*self._body(piece, line))
        if found is None:
            yield from self._by_library(iter([piece]), line)
        elif len(found):
            yield found

    def _body(self, piece: bytes, line: int) -> tuple[bytes, int]:
        """The piece without the lines before the first row, and the line where it begins then."""
        if line > 1:
            return piece, line
        for _ in range(self.form.first - 1):
            piece = piece[piece.find(b"\n") + 1 or len(piece) :]
        return piece, self.form.first

    def _by_arrow(self, piece: bytes, line: int) -> Frame | None:
        """The rows of a piece, if pyarrow finds as many as there are lines."""
        names, kind = (
            self.form.names,
            self.arrow.dictionary(self.arrow.int32(), self.arrow.string()),
        )
        try:
            table = self.csv.read_csv(
                self.arrow.BufferReader(piece),
                self.csv.ReadOptions(column_names=names, block_size=len(piece) + 1),
                self.csv.ParseOptions(delimiter=self.form.delimiter),
                self.csv.ConvertOptions(column_types=dict.fromkeys(names, kind), null_values=[]),
            )
        except self.arrow.ArrowInvalid:  # the library says what is wrong, or reads it
            return None
        lines = piece.count(b"\n") + (not piece.endswith(b"\n"))
        if table.num_rows != lines:
            return None
        columns = [_factored(name, table.column(i)) for i, name in enumerate(names)]
        numbers = np.arange(line, line + lines)
        return Frame(self.source, tuple(columns), numbers, self.form.delimiter == ";")

    def _by_library(self, chunks: Iterator[bytes], line: int) -> Iterator[Frame]:
        """The rows of a binary file that begins in this line."""
        binary = io.BufferedReader(_Chain(chunks))
        lines: Iterator[str] = lines_of(binary, self.source, line)
        if line == 1:
            line = self.form.first
            lines = islice(lines, line - 1, None)
        form = self.form._replace(first=line)
        yield from (as_frame(table) for table in tables_of(lines, self.source, form))


class _Chain(io.RawIOBase):
    """Chunks of bytes, as a binary file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _is_odd(piece: bytes) -> bool:
    """Whether ends of lines or cells are not what they seem, or no text has such bytes."""
    lone = b"\r" in piece and _LONE_RETURN.search(piece) is not None
    return lone or b"\0" in piece or piece.count(b'"') % 2 == 1


def _record_end(data: bytes, delimiter: str) -> int | None:
    r"""Where the last record ends: behind the last line end in no quotation; 0 if there is none.

    None if a quotation mark is where no quotation begins or ends: the first, the third, ... begin
    a cell or follow another mark, and the second, ... end a cell or come before another.

    >>> _record_end(b'a,"x\n"\nb', ","), _record_end(b'a,"x\n', ","), _record_end(b'5",x\n', ",")
    (7, 0, None)
    """
    if _QUOTE not in data:
        return data.rfind(b"\n") + 1
    array = np.frombuffer(data, np.uint8)
    ends, quotes = np.flatnonzero(array == _NEWLINE), np.flatnonzero(array == _QUOTE)
    begins, stops = quotes[::2], quotes[1::2]
    beside = np.append(array[begins[begins > 0] - 1], array[stops[stops < len(data) - 1] + 1])
    if not np.isin(beside, [ord(delimiter), _QUOTE, _NEWLINE, _RETURN]).all():
        return None
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _factored(name: str, column: Any) -> Column:
    """A dictionary-encoded column of text, of one chunk."""
    (chunk,) = column.chunks
    table: Array = cells.texts(np.array(chunk.dictionary.to_pylist(), dtype=cells.TEXT))
    return Factored(Column(name, table, cells.are_missing(table)), np.from_dlpack(chunk.indices))
