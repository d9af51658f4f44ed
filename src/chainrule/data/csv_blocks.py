"""Large CSV files in blocks: by pyarrow where that reads the same, else by the standard library.

A block that pyarrow might read otherwise (quotation marks within cells, lone returns, blank lines,
bytes that are not UTF-8) is read by :mod:`chainrule.data.csv`, whose rules and messages hold.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
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

PIECE_BYTES = 2**22  # enough that the cost of a block is small, little enough for many
_BOM = b"\xef\xbb\xbf"
_ODD = re.compile(rb"\0|\r(?!\n)")
_QUOTE, _NEWLINE = ord('"'), ord("\n")


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
        sign = re.escape(form.delimiter.encode())
        within = rb'[^"\r\n' + sign + rb"]"
        self.odd_quote = re.compile(within + rb'"' + within)

    def frames(self) -> Iterator[Frame]:
        """The rows, in order."""
        line, rest = 1, b""
        while chunk := self._read():
            data = rest + chunk
            if self.odd_quote.search(data):  # where records end is not to be seen
                yield from self._by_library(_Chain(data, self.binary), line)
                return
            end = _record_end(data)
            yield from self._frame(data[:end], line)
            line, rest = line + data.count(b"\n", 0, end), data[end:]
        yield from self._frame(rest, line)

    def _read(self) -> bytes:
        try:
            return bytes(self.binary.read(PIECE_BYTES))
        except GZIP_ERRORS as error:
            raise damaged(self.source, error) from None

    def _frame(self, piece: bytes, line: int) -> Iterator[Frame]:
        """The rows of a piece, which begins in this line."""
        if not piece.strip():
            return
        found = None if _ODD.search(piece) else self._by_arrow(*self._body(piece, line))
        if found is None:
            yield from self._by_library(io.BytesIO(piece), line)
        elif len(found):
            yield found

    def _body(self, piece: bytes, line: int) -> tuple[bytes, int]:
        """The piece without the lines before the first row, and the line where it begins then."""
        if line > 1:
            return piece, line
        piece = piece.removeprefix(_BOM)
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

    def _by_library(self, binary: Any, line: int) -> Iterator[Frame]:
        """The rows of a binary file that begins in this line."""
        lines: Iterator[str] = lines_of(io.BufferedReader(binary), self.source, line)
        if line == 1:
            line = self.form.first
            lines = islice(lines, line - 1, None)
        form = self.form._replace(first=line)
        yield from (as_frame(table) for table in tables_of(lines, self.source, form))


class _Chain(io.RawIOBase):
    """Bytes, and then what is left of a binary file."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first, self._rest = memoryview(first), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._first:
            return int(self._rest.readinto(buffer))
        size = min(len(buffer), len(self._first))
        buffer[:size] = self._first[:size]
        self._first = self._first[size:]
        return size


def _record_end(data: bytes) -> int:
    r"""Where the last record ends: behind the last line end in no quotation; 0 if there is none.

    >>> _record_end(b'a,"x\n"\nb'), _record_end(b'a,"x\n')
    (7, 0)
    """
    if _QUOTE not in data:
        return data.rfind(b"\n") + 1
    array = np.frombuffer(data, np.uint8)
    ends, quotes = np.flatnonzero(array == _NEWLINE), np.flatnonzero(array == _QUOTE)
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _factored(name: str, column: Any) -> Column:
    """A dictionary-encoded column of text, of one chunk."""
    (chunk,) = column.chunks
    table: Array = cells.texts(np.array(chunk.dictionary.to_pylist(), dtype=cells.TEXT))
    return Factored(Column(name, table, cells.are_missing(table)), chunk.indices.to_numpy())
