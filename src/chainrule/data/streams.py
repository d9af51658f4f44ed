"""Tables that are read in blocks: in memory that does not grow with them."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from chainrule.data.csv import no_rows, stated_bytes
from chainrule.data.csv_blocks import csv_frames, form_of_file
from chainrule.data.factored import Factored
from chainrule.data.frames import PARQUET, Column, Frame, column_of_numbers, column_of_objects
from chainrule.errors import DataError, missing_extra
from chainrule.persist import open_regular
from chainrule.shapes import Array

READ_ROWS = 2**15  # of a Parquet file at a time
SUFFIXES: Final = (*PARQUET, ".csv", ".csv.gz", ".tsv", ".tsv.gz")  # of tables in a folder


class TableStream(Protocol):
    """A table in files, whose rows are numbered from 0 in the order of the files.

    Attributes
    ----------
    source : str
        What messages call it.
    names : tuple of str
        Of the columns.
    """

    source: str
    names: tuple[str, ...]

    @property
    def known_rows(self) -> int | None:
        """How many rows there are, if that can be known without reading them."""

    @property
    def bytes(self) -> int:
        """About how large the table is when it is not compressed."""

    def frames(self, rows: range | None = None) -> Iterator[tuple[int, Frame]]:
        """The rows in order, or those with some numbers, in blocks; each with its first number."""


def files_of(data: Any) -> list[Path] | None:
    """The files that a glob pattern, a folder or a list of paths names; None for anything else.

    Files of a folder whose names begin with a dot or an underscore are passed over.

    Raises
    ------
    DataError
        If there are none.
    PermissionError
        If a folder may not be read.
    """
    if isinstance(data, (list, tuple)) and data and all(map(_is_table_path, data)):
        return [Path(each) for each in data]
    if not _is_path(data):
        return None
    if os.path.isdir(data):
        found = [each for each in Path(data).iterdir() if _is_shown(each) and _is_table_path(each)]
        what = "folder"
    elif glob.has_magic(os.fspath(data)) and not os.path.exists(data):
        found, what = _matches(os.fspath(data)), "pattern"
    else:
        return None
    if not found:
        raise DataError(f"{os.fspath(data)}: this {what} names no tables")
    return sorted(found)


def _matches(pattern: str) -> list[Path]:
    """The files of a pattern; a folder that may not be read is refused, not passed over."""
    for folder in glob.glob(os.path.dirname(pattern) or os.curdir, recursive=True):
        if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "the folder may not be read", folder)
    return [Path(each) for each in glob.glob(pattern, recursive=True)]


def is_named(file: str, data: str) -> bool:
    """Whether a file, once it is written, is one of those that a pattern or a folder names."""
    path, named = os.path.abspath(file), os.path.abspath(data)
    if os.path.isdir(data):
        beside = os.path.realpath(os.path.dirname(path)) == os.path.realpath(named)
        return beside and _is_shown(Path(path)) and _is_table_path(path)
    deep = "**" in data or path.count(os.sep) == named.count(os.sep)
    return glob.has_magic(data) and not os.path.exists(data) and deep and fnmatch(path, named)


def _is_shown(file: Path) -> bool:
    """Whether a file of a folder is meant to be seen: others are notes of systems and tools."""
    return not file.name.startswith((".", "_"))


def _is_path(data: Any) -> bool:
    return isinstance(data, (str, os.PathLike))


def _is_table_path(data: Any) -> bool:
    return _is_path(data) and os.fspath(data).lower().endswith(SUFFIXES)


def open_stream(data: Any, *, header: bool = True) -> TableStream:
    """A table in one file or several.

    Parameters
    ----------
    data : path, glob pattern, folder, or list of paths
        Of CSV files, plain or compressed by gzip, or Parquet files, all with the same columns, in
        any order.
    header : bool
        Whether the first line of a CSV file names the columns.

    Raises
    ------
    DataError
        If there are no files, or their columns differ.
    MissingExtraError
        If reading Parquet needs pyarrow.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.data import write_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in range(2):
    ...         write_csv(Path(folder, f"{part}.csv"), {"x": [part, part + 0.5]})
    ...     stream = open_stream(Path(folder, "*.csv"))
    ...     for first, frame in stream.frames():
    ...         print(first, frame["x"].values.tolist())
    0 ['0.0', '0.5']
    2 ['1.0', '1.5']
    """
    files = files_of(data) or [Path(data)]
    source = os.fspath(files[0] if len(files) == 1 else _called(data, files))
    parquet = [each.name.lower().endswith(PARQUET) for each in files]
    if any(parquet) and not all(parquet):
        raise DataError(f"{source}: some files are Parquet and some are not; give one kind")
    kind = ParquetStream if all(parquet) else CsvStream
    return kind(source, files, header)


def _called(data: Any, files: Sequence[Path]) -> str:
    return os.fspath(data) if _is_path(data) else f"{files[0]} and {len(files) - 1} more"


class _Files:
    """What both kinds of streams share.

    Parameters
    ----------
    source : str
    files : sequence of Path
    header : bool
    """

    def __init__(self, source: str, files: Sequence[Path], header: bool) -> None:
        self.source, self.files, self.header = source, files, header
        self._versions = {file: _version(file) for file in files}
        self.names = self._names(files[0])
        for file in files[1:]:
            others = self._names(file)
            if len(others) != len(self.names) or {*others} != {*self.names}:
                raise DataError(f"{file}: {_difference(self.names, others)}, as in {files[0]}")

    def _names(self, file: Path) -> tuple[str, ...]:
        raise TypeError(f"{type(self).__name__} must define _names(file)")

    def _in_order(self, frame: Frame) -> Frame:
        """Columns in the order of the first file."""
        if frame.names == self.names:
            return frame
        return replace(frame, columns=tuple([frame[name] for name in self.names]))

    @contextmanager
    def _reading(self, file: Path) -> Iterator[None]:
        """Files are read several times; they have to be the same before and after."""
        try:
            self._require_unchanged(file)
            yield
            self._require_unchanged(file)
        except FileNotFoundError:
            raise DataError(
                f"{file}: is no longer there, and the table is read in several passes; put it back,"
                " and begin again when nobody moves it"
            ) from None

    def _require_unchanged(self, file: Path) -> None:
        if _version(file) != self._versions[file]:
            raise DataError(
                f"{file}: was changed while the table was read, which takes several passes; begin"
                " again when nobody writes to it"
            )


def _version(file: Path) -> tuple[int, int, int]:
    """What differs where the content of a file does: the file itself, its size, its time."""
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _difference(names: tuple[str, ...], others: tuple[str, ...]) -> str:
    lacking = [name for name in names if name not in others]
    if lacking:
        return f"has no column {lacking[0]!r}"
    more = [name for name in others if name not in names]
    return f"has a column {(more or others)[0]!r} that is not"


class CsvStream(_Files):
    """CSV files, plain or compressed by gzip; they are read from the beginning."""

    @cached_property
    def _forms(self) -> dict[Path, Any]:
        return {}

    def _names(self, file: Path) -> tuple[str, ...]:
        self._forms[file] = form_of_file(file, self.header)
        found: tuple[str, ...] = self._forms[file].names
        return found

    @property
    def known_rows(self) -> int | None:
        """None: lines have to be counted."""
        return None

    @property
    def bytes(self) -> int:
        """The size of the text."""
        return sum(map(_text_bytes, self.files))

    def frames(self, rows: range | None = None) -> Iterator[tuple[int, Frame]]:
        """The rows, or those with some numbers, in blocks."""
        first = 0
        for file in self.files:
            with self._reading(file):
                for frame in csv_frames(file, self.header, self._forms[file]):
                    yield from _within(first, self._in_order(frame), rows)
                    first += len(frame)
                    if rows is not None and first >= rows.stop:
                        return
        if not first:
            raise no_rows(self.source)


def _text_bytes(file: Path) -> int:
    size = file.stat().st_size
    with open_regular(file) as binary:
        return max(size, stated_bytes(binary) or 0)


def _within(first: int, frame: Frame, rows: range | None) -> Iterator[tuple[int, Frame]]:
    """The part of a frame whose rows have some numbers."""
    if rows is None:
        yield first, frame
        return
    low, high = max(rows.start - first, 0), min(rows.stop - first, len(frame))
    if low < high:
        yield first + low, frame.rows(slice(low, high))


class ParquetStream(_Files):
    """Parquet files: of those that are asked for rows, only the row groups that hold them are read.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    DataError
        If a file is damaged.
    """

    def __init__(self, source: str, files: Sequence[Path], header: bool) -> None:
        try:
            self._arrow, self._parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError:
            raise missing_extra("reading Parquet files", "tables") from None
        self._groups: dict[Path, list[int]] = {}
        self._bytes = 0
        super().__init__(source, files, header)

    def _names(self, file: Path) -> tuple[str, ...]:
        with open_regular(file) as binary:
            found = self._opened(file, binary).metadata
            groups = [found.row_group(place) for place in range(found.num_row_groups)]
            names = found.schema.to_arrow_schema().names
        self._groups[file] = [each.num_rows for each in groups]
        self._bytes += sum(each.total_byte_size for each in groups)
        return tuple(names)

    def _opened(self, file: Path, binary: Any) -> Any:
        try:
            return self._parquet.ParquetFile(binary)
        except (self._arrow.ArrowException, OSError) as reason:
            raise DataError(f"{file}: not a Parquet file, or damaged ({reason})") from None

    @property
    def known_rows(self) -> int | None:
        """How many rows the files say that they hold."""
        return sum(map(sum, self._groups.values()))

    @property
    def bytes(self) -> int:
        """The size of the encoded columns."""
        return self._bytes

    def frames(self, rows: range | None = None) -> Iterator[tuple[int, Frame]]:
        """The rows, or those with some numbers, in blocks."""
        if not self.known_rows:
            raise DataError(f"{self.source}: the table has no rows")
        first = 0
        for file, groups in self._groups.items():
            wanted = _overlapping(groups, first, rows)
            if wanted:
                start = sum(groups[: wanted[0]])
                for place, frame in self._read(file, wanted, start):
                    yield from _within(first + place, frame, rows)
            first += sum(groups)

    def _read(self, file: Path, groups: list[int], place: int) -> Iterator[tuple[int, Frame]]:
        with self._reading(file), open_regular(file) as binary:
            opened = self._opened(file, binary)
            try:
                for batch in opened.iter_batches(READ_ROWS, row_groups=groups):
                    names = batch.schema.names
                    columns = [_column(n, a) for n, a in zip(names, batch.columns, strict=True)]
                    numbers = np.arange(place, place + batch.num_rows)
                    found = Frame(os.fspath(file), tuple(columns), numbers=numbers)
                    yield place, self._in_order(found)
                    place += batch.num_rows
            except (self._arrow.ArrowException, OSError) as reason:
                raise DataError(f"{file}: not a Parquet file, or damaged ({reason})") from None


def _overlapping(groups: Sequence[int], first: int, rows: range | None) -> list[int]:
    """The places of the row groups with rows that are wanted: they follow each other."""
    ends = first + np.cumsum([0, *groups])
    return [
        place
        for place in range(len(groups))
        if groups[place]
        and (rows is None or (ends[place] < rows.stop and ends[place + 1] > rows.start))
    ]


def _column(name: str, array: Any) -> Column:
    """A column of Arrow's, as :func:`chainrule.data.as_frame` makes it of a data frame."""
    types = import_module("pyarrow").types
    if types.is_integer(array.type) or types.is_floating(array.type):
        missing: Array = array.is_null().to_numpy(zero_copy_only=False)
        numbers = array.cast("float64") if types.is_floating(array.type) else array
        return column_of_numbers(name, numbers.fill_null(0).to_numpy(zero_copy_only=False), missing)
    if types.is_boolean(array.type) and not array.null_count:
        return Column(name, array.to_numpy(zero_copy_only=False), np.zeros(len(array), bool))
    if types.is_nested(array.type):
        return column_of_objects(name, array.to_pylist())
    coded = array if types.is_dictionary(array.type) else array.dictionary_encode()
    table = column_of_objects(name, [*coded.dictionary.to_pylist(), None])
    codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
    return Factored(table, codes)
