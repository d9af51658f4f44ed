"""Comma-separated files: tables in, columns out, by the standard library's ``csv``."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from chainrule.data import cells
from chainrule.data.table import Table
from chainrule.errors import DataError, ShapeError
from chainrule.persist import atomic_write, open_regular

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Record: TypeAlias = tuple[int, list[str]]  # the line where it begins, and its cells

DELIMITERS = (",", ";", "\t", "|")
SNIFFED_LINES = 100
_BLOCK_CELLS = 2**18  # enough to make the cost of a block small, little enough to stay in cache

# DEFLATE shrinks at most 1032-fold (RFC 1951); real tables 5- to 50-fold.
GZIP_FACTOR = 100
GZIP_FREE_BYTES = 2**28
_GZIP_MAGIC = b"\x1f\x8b"
_DRAINED_BYTES = 2**20  # at a time
_GZIP_SIZE_BYTES = 4  # at the end of a gzip file: how large it is, modulo 2**32
GZIP_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

_reader = partial(csv.reader, skipinitialspace=True)

_NUMBERS = "biuf"  # kinds of dtypes whose text needs no care
UNNAMED = "Unnamed: 0"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def read_table(path: str | os.PathLike[str], *, header: bool = True) -> Table:
    """Read a table from a CSV file, plain or compressed by gzip.

    The delimiter is the one among comma, semicolon, tab and ``|`` under which the first 100
    lines have as many cells as the header, the most if several do. Cells may be quoted with
    ``"``. Blanks around a cell do not count, nor do empty lines, unless the table has one column.

    Parameters
    ----------
    path : str or os.PathLike
        A regular file in UTF-8, with or without a byte order mark, or in UTF-16 with one. A line
        that is not UTF-8 is read as Windows-1252, which old spreadsheets write.
    header : bool
        Whether the first line names the columns; if not, they are called ``x0``, ``x1``, ...

    Returns
    -------
    Table
        Cells as text: :meth:`Table.features` and :meth:`Table.target` say what they mean.

    Raises
    ------
    DataError
        If a row has too few or too many cells, column names are missing, empty or there twice,
        there are no rows, or the file is not text: with file and line. If it was compressed and
        is damaged, or grows more than 100-fold beyond 256 MiB.
    FileFormatError
        If the path is not that of a regular file.
    OSError
        If there is no such file (FileNotFoundError) or it may not be read (PermissionError).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "t.csv")
    ...     write_csv(path, {"x": [1.5, 2.0], "kind": ["a", "b"]})
    ...     table = read_table(path)
    >>> table.names, table.features(exclude=["kind"])[1].tolist()
    (('x', 'kind'), [[1.5], [2.0]])
    """
    parts = list(read_blocks(path, header=header))
    lines = np.concatenate([part.lines for part in parts])
    return replace(parts[0], blocks=[part.blocks[0] for part in parts], lines=lines)


def read_blocks(path: str | os.PathLike[str], *, header: bool = True) -> Iterator[Table]:
    """The rows of a CSV file as tables of some rows each, in memory that does not grow with it.

    Parameters
    ----------
    path : str or os.PathLike
        As for :func:`read_table`, which has the same errors.
    header : bool

    Yields
    ------
    Table
        Of one block; there is at least one.
    """
    source = os.fspath(path)
    with open_regular(path) as file, closing(lines_of(decompressed(file, source), source)) as lines:
        sample = list(islice(lines, SNIFFED_LINES))
        form, empty = form_of(sample, source, header), True
        for table in tables_of(chain(sample[form.first - 1 :], lines), source, form):
            empty = False
            yield table
    if empty:
        raise no_rows(source)


def no_rows(source: str) -> DataError:
    """The error for a table without any."""
    return DataError(f"{source}: holds a header but no rows")


# From bytes to lines


def decompressed(file: BinaryIO, source: str) -> Any:
    """What ``file`` holds, as a buffered binary file; its reads may raise ``GZIP_ERRORS``."""
    stated = stated_bytes(file)
    if stated is None:
        return file
    limit = GZIP_FREE_BYTES + GZIP_FACTOR * os.fstat(file.fileno()).st_size
    if stated > limit:  # unless it is damaged it is refused before a cell is looked at
        with suppress(*GZIP_ERRORS):
            whole = _limited(file, limit, source)
            while whole.read(_DRAINED_BYTES):
                pass
        file.seek(0)
    return _limited(file, limit, source)


def _limited(file: BinaryIO, limit: int, source: str) -> io.BufferedReader:
    return io.BufferedReader(_Limited(gzip.GzipFile(fileobj=file), limit, source))


def stated_bytes(file: BinaryIO) -> int | None:
    """How large a gzip file says that it is decompressed, modulo 2**32; None of any other file.

    Of several that follow each other the last one says so: together they are no smaller.

    Parameters
    ----------
    file : binary file
        Afterwards at its beginning.
    """
    magic = file.read(len(_GZIP_MAGIC))
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _GZIP_SIZE_BYTES, 0))
    stated = int.from_bytes(file.read(), "little")
    file.seek(0)
    return stated if magic == _GZIP_MAGIC else None


def damaged(source: str, error: Exception) -> DataError:
    """The error for one of ``GZIP_ERRORS``."""
    return DataError(f"{source}: damaged gzip file ({error})")


def is_utf16(binary: Any) -> bool:
    """Whether a buffered binary file begins with the mark of UTF-16."""
    return binary.peek(2)[:2] in UTF16_MARKS


class _Limited(io.RawIOBase):
    """A decompressed stream that ends in an error when it grows beyond ``limit`` bytes."""

    def __init__(self, stream: gzip.GzipFile, limit: int, source: str) -> None:
        self._stream, self._left, self._source = stream, limit, source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        size = self._stream.readinto(buffer)
        self._left -= size
        if self._left < 0:
            raise DataError(
                f"{self._source}: grows more than {GZIP_FACTOR}-fold when decompressed; "
                "decompress it yourself if you trust it"
            )
        return size


def lines_of(binary: Any, source: str, first: int = 1) -> Generator[str, None, None]:
    """The lines of a binary file, with their ends, if it is text; ``first`` is its first line."""
    number = 0
    try:
        codec = "utf-16" if is_utf16(binary) else "utf-8-sig"
        # bytes that are not UTF-8 become surrogates
        with io.TextIOWrapper(binary, codec, errors="surrogateescape", newline="") as text:
            for number, line in enumerate(text, start=first):
                if "\0" in line:
                    fault = "holds a NUL byte, this is not a table"
                    raise DataError(f"{source}, line {number}: {fault}")
                yield line if line.isascii() else _as_unicode(line)
    except GZIP_ERRORS as error:
        raise damaged(source, error) from None
    except UnicodeError:
        raise DataError(
            f"{source}, line {max(number, first)}: not UTF-8 text, nor Windows-1252; save the"
            " table as UTF-8"
        ) from None


def _as_unicode(line: str) -> str:
    """A line, read as Windows-1252 if its bytes are not UTF-8.

    Raises
    ------
    UnicodeError
        If they are neither.
    """
    try:
        line.encode()
    except UnicodeEncodeError:
        return line.encode("utf-8", "surrogateescape").decode("cp1252")
    return line


# From lines to records


def _records(lines: Iterable[str], form: Form, source: str) -> Iterator[Record]:
    """The records in lines of a file that begin with the form's first."""
    begin = form.first
    try:
        reader = _reader(lines, delimiter=form.delimiter, strict=True)
        for record in reader:
            yield begin, record
            begin = form.first + reader.line_num
    except csv.Error as error:
        raise DataError(f"{source}, line {begin}: {cells.printable(str(error))}") from None


class Form(NamedTuple):
    """How a file holds its table.

    Attributes
    ----------
    names : tuple of str
        Of the columns.
    delimiter : str
    first : int
        The first line with cells, the file's first line being 1.
    """

    names: tuple[str, ...]
    delimiter: str
    first: int


def form_of(sample: list[str], source: str, header: bool) -> Form:
    """What the first lines of a file say of the others.

    Raises
    ------
    DataError
        If there are none, the first has another separator, or names of columns are missing, empty
        or there twice.
    """
    delimiter = _delimiter(sample, source)
    begin, record, end = _first_record(sample, delimiter, source)
    _refuse_another_separator(sample, delimiter, f"{source}, line {begin}")
    if header:
        return Form(_header(begin, record, source), delimiter, end + 1)
    if not record:
        raise DataError(f"{source}: the file is empty")
    return Form(tuple([f"x{place}" for place in range(len(record))]), delimiter, 1)


def _refuse_another_separator(sample: list[str], delimiter: str, place: str) -> None:
    """Refuse a first row that alone has the delimiter, above rows that all have another one."""
    first, *below = _widths(sample, delimiter)
    if first == 1 or set(below) != {1}:
        return
    for other in DELIMITERS:
        _, *widths = _widths(sample, other)
        if _are_alike(widths):
            raise DataError(
                f"{place}: has {first} cells separated by {delimiter!r}, and the lines below have"
                f" {widths[0]} by {other!r}; give it the same separator, or remove it"
            )


def _first_record(sample: list[str], delimiter: str, source: str) -> tuple[int, list[str], int]:
    """The first record that is not empty, and the lines where it begins and ends."""
    reader, begin = _reader(sample, delimiter=delimiter, strict=True), 1
    try:
        for record in reader:
            if record:
                return begin, record, reader.line_num
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}, line {begin}: {cells.printable(str(error))}") from None
    return 0, [], 0


def _delimiter(sample: list[str], source: str) -> str:
    """The delimiter that explains the first lines best."""
    try:
        return max(DELIMITERS, key=lambda candidate: _fitness(sample, candidate))
    except csv.Error as error:
        raise DataError(f"{source}, line 1: {cells.printable(str(error))}") from None


def _fitness(sample: list[str], delimiter: str) -> tuple[bool, int]:
    """How well a delimiter explains the first lines: all rows equally wide, and how wide."""
    widths = _widths(sample, delimiter)
    return _are_alike(widths), widths[0]


def _are_alike(widths: list[int]) -> bool:
    """Whether all rows have the same cells, and more than one."""
    return len(set(widths)) == 1 and widths[0] > 1


def _widths(sample: list[str], delimiter: str) -> list[int]:
    """Cells of each row in the first lines."""
    records = [record for record in _reader(sample, delimiter=delimiter) if any(record)]
    if len(sample) == SNIFFED_LINES:
        records = records[:-1]  # it may go on behind the sample
    return [len(record) for record in records] or [0]


# From records to a table


def tables_of(lines: Iterable[str], source: str, form: Form) -> Iterator[Table]:
    """The rows in lines of a file, in tables of some rows each; none if there are none."""
    rows = _rows(_records(lines, form, source), form, source)
    while block := list(islice(rows, max(_BLOCK_CELLS // len(form.names), 1))):
        texts = np.array([row for _, row in block], dtype=cells.TEXT)
        starts = np.array([line for line, _ in block], dtype=np.int64)
        yield Table(source, form.names, [texts], starts, form.delimiter)


def _header(line: int, header: list[str], source: str) -> tuple[str, ...]:
    if not header:
        raise DataError(f"{source}: the file is empty, a table starts with a line of column names")
    names = _with_index([name.strip() for name in header])
    for position, name in enumerate(names):
        if not name:
            raise DataError(
                f"{source}, line {line}: column {position + 1} of {len(names)} has no name; "
                "name it, or remove it if it only counts the rows"
            )
        if names.index(name) < position:
            raise DataError(
                f"{source}, line {line}: two columns are called {name!r}; rename one or, if this is"
                " a row, say that there is no header"
            )
    if _looks_like_data(tuple(filter(None, map(str.strip, header)))):
        raise DataError(
            f"{source}, line {line}: holds numbers where column names are needed; add a header, or"
            " say that there is none"
        )
    return names


def _with_index(names: list[str]) -> tuple[str, ...]:
    """Names, with pandas' own for a first column without one: it writes the index of a frame so.

    >>> _with_index(["", "size"]), _with_index(["", "Unnamed: 0", "size"])
    (('Unnamed: 0', 'size'), ('Unnamed: 0.1', 'Unnamed: 0', 'size'))
    """
    if len(names) > 1 and not names[0]:
        names = [UNNAMED if UNNAMED not in names else f"{UNNAMED}.1", *names[1:]]
    return tuple(names)


def _looks_like_data(names: tuple[str, ...]) -> bool:
    """Whether all names are numbers, and not simply counted, as pandas counts columns."""
    values = [cells.number(name) for name in names]
    counted = any(values == list(range(first, first + len(values))) for first in (0, 1))
    return None not in values and not counted


def _rows(records: Iterable[Record], form: Form, source: str) -> Iterator[Record]:
    width = len(form.names)
    begin = "first row" if form.first == 1 else "header"
    for line, record in records:
        row = record or [""]
        if width > 1 and row == [""]:  # an empty line
            continue
        if len(row) != width:
            raise DataError(
                f"{source}, line {line}: the {begin} has {width} cells, this row {len(row)}"
            )
        yield line, row


# Writing


def write_csv(path: str | os.PathLike[str], columns: Mapping[str, npt.ArrayLike]) -> None:
    """Write columns to a CSV file: all or nothing, in UTF-8, numbers so that they read back.

    Text that a spreadsheet would take for a formula (it starts with ``=``, ``+``, ``-``, ``@``,
    tab or return, and is not a number) gets an apostrophe in front (OWASP, "CSV Injection").

    Parameters
    ----------
    path : str or os.PathLike
        The file; see :func:`chainrule.persist.atomic_write`.
    columns : mapping of str to (n,) array-like
        Numbers, booleans or text.

    Raises
    ------
    ShapeError
        If the columns are not one-dimensional and equally long.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "t.csv")
    ...     write_csv(path, {"x": [-1.5, 2.0], "note": ["-1", "=1+1"]})
    ...     print(path.read_text())
    x,note
    -1.5,-1
    2.0,'=1+1
    """
    atomic_write(path, csv_text(columns).encode())


def csv_text(columns: Mapping[str, npt.ArrayLike], *, header: bool = True) -> str:
    """What :func:`write_csv` writes.

    Parameters
    ----------
    columns : mapping of str to (n,) array-like
    header : bool
        Whether the first line names the columns.

    Raises
    ------
    ShapeError
        If the columns are not one-dimensional and equally long.
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len({*shapes.values()}) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise ShapeError(f"cannot write columns of shapes {shapes}: each must be (n,)")
    text = io.StringIO(newline="")
    # Before Python 3.13 the writer does not see that a lone return must be quoted.
    has_return = any(map(_has_return, [*arrays.values(), np.array([*arrays], dtype=cells.TEXT)]))
    writer = csv.writer(
        text,
        lineterminator="\n",
        quoting=csv.QUOTE_ALL if has_return else csv.QUOTE_MINIMAL,
    )
    if header:
        writer.writerow(map(_harmless, arrays))
    writer.writerows(zip(*map(_cell_texts, arrays.values()), strict=True))
    return text.getvalue()


def _has_return(array: npt.NDArray[np.generic]) -> bool:
    return array.dtype.kind not in _NUMBERS and any("\r" in str(value) for value in array)


def _cell_texts(array: npt.NDArray[np.generic]) -> Iterator[str]:
    # `str` of a NumPy scalar is the shortest text that reads back as the same number of its dtype.
    return map(str if array.dtype.kind in _NUMBERS else _harmless, array)


def _harmless(value: object) -> str:
    text = str(value)
    is_formula = text.startswith(_FORMULA_STARTS) and cells.number(text) is None
    return f"'{text}" if is_formula else text
