"""Any table as named columns of four types: numbers, truth values, moments in time, text.

What libraries call data frames (pandas, polars, Arrow and others) comes in through narwhals; files,
arrays, mappings and tables of text come in as they are. Nothing is guessed here: text stays text.
"""

from __future__ import annotations

import datetime
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from importlib import import_module
from typing import Any, Final

import numpy as np

from chainrule.data import cells
from chainrule.data.csv import read_table
from chainrule.data.table import Table
from chainrule.errors import DataError, ShapeError, missing_extra, unknown_name
from chainrule.persist import open_regular
from chainrule.shapes import Array

MOMENT: Final = np.dtype("datetime64[us]")
PARQUET: Final = (".parquet", ".pq")
_COUNTED = 2.0**53  # up to which float64 holds every whole number
_NUMBERS = (int, float, Decimal, Fraction, np.number, np.bool_)
_DURATIONS = (datetime.timedelta, np.timedelta64)
_SECOND = np.timedelta64(1, "s")
_DATES = (datetime.date, np.datetime64)  # a datetime is a date


@dataclass(frozen=True, eq=False)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    values : (n,) array
        float64, bool, datetime64[us], or text without surrounding blanks; how long something
        took is float64, in seconds.
    missing : (n,) bool
        Where there is no value; what stands in ``values`` there means nothing.
    """

    name: str
    values: Array
    missing: Array

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        return self.values.dtype == cells.TEXT

    def present(self) -> Array:
        """The values that are there."""
        return self.values[~self.missing]

    def distinct(self) -> Array:
        """The different values that are there, in sorted order."""
        return cells.distinct(self.present())[0]

    def as_texts(self) -> cells.Texts:
        """Every value as text; whole numbers without a point, so that 3.0 and 3 are one label."""
        if self.values.dtype.kind != "f":
            return cells.texts(self.values)
        values, inverse = cells.distinct(self.values)
        words = [str(int(x)) if x.is_integer() else str(x) for x in values.tolist()]
        return np.array(words, dtype=cells.TEXT)[inverse]

    def rows(self, chosen: Any) -> Column:
        """Some of the rows: a mask, indices or a slice."""
        return Column(self.name, self.values[chosen], self.missing[chosen])


@dataclass(frozen=True, eq=False)
class Frame:
    """Columns of one length, by name.

    Attributes
    ----------
    source : str
        What messages call the table.
    columns : tuple of Column
    lines : (n,) int64, optional
        The line of the file where each row begins, for messages.
    decimal_comma : bool
        Whether the file's delimiter says that a comma in a number is a decimal sign.
    numbers : (n,) int64, optional
        The number of each row in the table that people gave, where it is not its place here.
    categories : frozenset of str
        Columns that a data frame calls categorical, whatever their values are. (Parquet keeps it
        of text only.)

    Examples
    --------
    >>> frame = as_frame({"x": [1.5, None], "kind": ["a", "?"]})
    >>> frame["x"].values.dtype.name, frame["kind"].missing.tolist()
    ('float64', [False, True])
    """

    source: str
    columns: tuple[Column, ...]
    lines: Array | None = field(default=None, repr=False)
    decimal_comma: bool = False
    numbers: Array | None = field(default=None, repr=False)
    categories: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple([column.name for column in self.columns])

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Column:
        if name not in self._by_name:
            raise unknown_name(f"column of {self.source}", name, self.names)
        return self._by_name[name]

    def without(self, *names: str) -> Frame:
        """The other columns."""
        kept = tuple([column for column in self.columns if column.name not in names])
        return replace(self, columns=kept)

    def rows(self, chosen: Any) -> Frame:
        """Some of the rows: a mask, indices or a slice."""
        lines = None if self.lines is None else self.lines[chosen]
        numbers = self._numbers[chosen] if lines is None else None
        kept = tuple([column.rows(chosen) for column in self.columns])
        return replace(self, columns=kept, lines=lines, numbers=numbers)

    @property
    def _numbers(self) -> Array:
        return np.arange(len(self)) if self.numbers is None else self.numbers

    def place(self, row: int) -> str:
        """Where a row stands, for messages: its line in the file, or its number from 0."""
        where = f"row {self._numbers[row]}" if self.lines is None else f"line {self.lines[row]}"
        return f"{self.source}, {where}"


def as_frame(data: Any, *, header: bool = True) -> Frame:
    """A frame from whatever holds a table.

    Parameters
    ----------
    data : Frame, Table, path, data frame, mapping of columns, or (n, columns) array-like
        A path names a CSV file, plain or compressed by gzip, or a Parquet file. A data frame is
        what narwhals takes: pandas, polars (lazy too), Arrow and others. Columns of arrays are
        called ``x0``, ``x1``, ...
    header : bool
        Whether the first line of a CSV file names the columns.

    Raises
    ------
    DataError
        If there are no columns, names occur twice, or a file cannot be read as a table.
    ShapeError
        If an array is not two-dimensional, or columns differ in length.
    MissingExtraError
        If it needs a package that is not installed.
    """
    if isinstance(data, Frame):
        return data
    if hasattr(data, "tocsr"):  # before mappings, which some sparse arrays are
        raise DataError("Sparse data is not supported in tables: give X.toarray()")
    if isinstance(data, (str, os.PathLike)):
        return _from_path(data, header)
    if isinstance(data, Table):
        return _from_table(data)
    if isinstance(data, Mapping):
        return _checked("the table", {name: _column(name, each) for name, each in data.items()})
    return _from_array(data) if _is_array(data) else _from_data_frame(data)


def as_column(data: Any, name: str) -> Column:
    """One column, from a Column, a series of a data frame library, or a one-dimensional sequence.

    Raises
    ------
    ShapeError
        If it has more axes than one.
    """
    if isinstance(data, Column):
        return data
    if isinstance(data, (np.ndarray, list, tuple)) or not _has_module(data):
        return _column(name, data)
    import narwhals.stable.v2 as nw

    series = nw.from_native(data, series_only=True, allow_series=True, pass_through=True)
    return _from_series(name, series) if isinstance(series, nw.Series) else _column(name, data)


def _has_module(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] not in ("builtins", "numpy")


# From files


def _from_path(path: str | os.PathLike[str], header: bool) -> Frame:
    source = os.fspath(path)
    if not source.lower().endswith(PARQUET):
        return _from_table(read_table(path, header=header))
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise missing_extra("reading Parquet files", "tables") from None
    with open_regular(path) as file:
        try:
            found = _from_data_frame(parquet.read_table(file))
        except (arrow.ArrowException, OSError) as reason:  # the latter for damaged pages
            raise DataError(f"{source}: not a Parquet file, or damaged ({reason})") from None
    return Frame(source, found.columns)


def _from_table(table: Table) -> Frame:
    columns = []
    for place, name in enumerate(table.names):
        texts = cells.texts(np.concatenate([block[:, place] for block in table.blocks]))
        columns.append(Column(name, texts, cells.are_missing(texts)))
    return Frame(table.source, tuple(columns), table.lines, table.delimiter == ";")


# From arrays and data frames


def _is_array(data: Any) -> bool:
    return isinstance(data, (np.ndarray, list, tuple)) or (
        hasattr(data, "__array__") and not hasattr(data, "columns")
    )


def _from_array(data: Any) -> Frame:
    array = data if isinstance(data, np.ndarray) else _as_objects(data)
    if array.ndim != 2:
        raise ShapeError(
            f"a table needs an axis of rows and one of columns, got shape {array.shape}. Reshape"
            " your data: for one row x[None], for one column x[:, None]"
        )
    if not array.shape[1]:
        raise DataError(
            f"the array has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required"
            " in a table"
        )
    names = [f"x{place}" for place in range(array.shape[1])]
    columns = {name: _column(name, each) for name, each in zip(names, array.T, strict=True)}
    return _checked("the array", columns)


def _as_objects(data: Any) -> Array:
    try:
        return np.array(data, dtype=object) if isinstance(data, (list, tuple)) else np.asarray(data)
    except ValueError:
        raise ShapeError("the rows of the table differ in length") from None


def _from_data_frame(data: Any) -> Frame:
    try:
        import narwhals.stable.v2 as nw
    except ImportError:
        raise DataError(
            f"a data frame needs narwhals: pip install narwhals ({_kind(data)})"
        ) from None
    try:
        frame = nw.from_native(data)
    except TypeError:
        raise DataError(
            f"a table is a data frame, an array of rows and columns, a mapping of columns, or the"
            f" path of a CSV or Parquet file; got {_kind(data)}"
        ) from None
    except nw.exceptions.DuplicateError:
        _refuse_twice("the table", [str(name) for name in data.columns])
        raise
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    said = [name for name, dtype in frame.schema.items() if dtype in (nw.Categorical, nw.Enum)]
    found = _checked(
        "the table", {str(s.name): _from_series(str(s.name), s) for s in frame.iter_columns()}
    )
    return replace(found, categories=frozenset(map(str, said)))


def _kind(data: Any) -> str:
    return type(data).__name__


def _from_series(name: str, series: Any) -> Column:
    import narwhals.stable.v2 as nw

    missing = series.is_null().to_numpy().astype(bool)
    if series.dtype == nw.Boolean and not missing.any():
        return _of_truths(name, series.to_numpy().astype(bool))
    if series.dtype.is_integer() and series.dtype not in (nw.Int128, nw.UInt128):
        whole = series.fill_null(0) if missing.any() else series
        return column_of_numbers(name, whole.to_numpy(), missing)
    if series.dtype.is_float():
        return column_of_numbers(name, series.cast(nw.Float64).to_numpy(), missing)
    return column_of_objects(name, series.to_list())


def _column(name: object, data: Any) -> Column:
    array = data if isinstance(data, np.ndarray) else _flat(data)
    if array.ndim != 1:
        raise ShapeError(f"column {str(name)!r} must have one axis, got shape {array.shape}")
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported: column {str(name)!r}; split it in two")
    return _KINDS.get(array.dtype.kind, _of_text)(str(name), array)


def _flat(data: Any) -> Array:
    """Objects as they are, not joined to one type as ``np.array(["a", 1])`` would."""
    if hasattr(data, "__array__"):
        return np.asarray(data)
    values = list(data) if isinstance(data, (Sequence, set, range)) else None
    if values is None or isinstance(data, (str, bytes)):
        raise ShapeError(f"a column is a sequence of values, got {_kind(data)}")
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def column_of_numbers(name: str, array: Array, missing: Any = False) -> Column:
    """A column of float64, of which NaN is missing; of text, if that would make two numbers one."""
    values = _as_floats(array) if array.dtype.kind == "O" else np.asarray(array, np.float64)
    absent = np.isnan(values) | missing
    if array.dtype.kind != "f" and _are_rounded(array, values):
        texts = cells.texts([cells.readable(value) for value in array.tolist()])
        return Column(name, np.where(absent, "", texts), absent)
    return Column(name, np.where(absent, 0.0, values), absent)


def _are_rounded(array: Array, values: Array) -> bool:
    """Whether a number beyond those that float64 counts by is another one in ``values``."""
    beyond = np.isfinite(values) & (np.abs(values) > _COUNTED)
    pairs = zip(array[beyond].tolist(), values[beyond].tolist(), strict=True)
    return any(number != value for number, value in pairs)


def _of_truths(name: str, array: Array) -> Column:
    return Column(name, array, np.zeros(len(array), bool))


def _of_moments(name: str, array: Array) -> Column:
    values = array.astype(MOMENT)
    return Column(name, values, np.isnat(values))


def _of_durations(name: str, array: Array) -> Column:
    return column_of_numbers(name, array / _SECOND)


def _of_text(name: str, array: Array) -> Column:
    texts = cells.texts(array)
    return Column(name, texts, cells.are_missing(texts))


def _of_object_array(name: str, array: Array) -> Column:
    return column_of_objects(name, array.tolist())


_KINDS: dict[str, Callable[[str, Array], Column]] = {
    "b": _of_truths,
    "i": column_of_numbers,
    "u": column_of_numbers,
    "f": column_of_numbers,
    "M": _of_moments,
    "m": _of_durations,
    "O": _of_object_array,
}


def column_of_objects(name: str, values: Sequence[Any]) -> Column:
    """A column of Python objects: of the one type that all have, else of text."""
    missing = np.array([_is_missing(value) for value in values], dtype=bool)
    there = [value for value, absent in zip(values, missing, strict=True) if not absent]
    for kinds, fill, make in _OBJECTS:
        if there and all(isinstance(value, kinds) for value in there):
            filled = [fill if no else x for x, no in zip(values, missing, strict=True)]
            found = make(name, filled)
            return Column(name, found.values, found.missing | missing)
    texts = ["" if no else cells.readable(value) for value, no in zip(values, missing, strict=True)]
    return _of_text(name, np.array(texts, dtype=cells.TEXT))


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT, and pandas' NA, none of which equals itself."""
    if value is None or isinstance(value, (str, bytes)):
        return value is None
    if isinstance(value, Decimal):  # of which a signalling NaN refuses to be compared
        return value.is_nan()
    differs = operator.ne(value, value)
    is_truth = isinstance(differs, (bool, np.bool_))
    return bool(differs) if is_truth else not isinstance(differs, np.ndarray)


def _as_moment(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value


def _as_floats(values: Array) -> Array:
    return np.array([_as_float(value) for value in values.tolist()], dtype=np.float64)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the largest float
        return float("inf")


_OBJECTS: tuple[tuple[Any, Any, Callable[[str, list[Any]], Column]], ...] = (
    ((bool, np.bool_), False, lambda name, x: _of_truths(name, np.array(x, dtype=bool))),
    (
        _DURATIONS,  # before numbers, as one of which NumPy counts its own
        np.timedelta64("NaT", "us"),
        lambda name, x: _of_durations(name, np.array(x, dtype="timedelta64[us]")),
    ),
    (_NUMBERS, 0.0, lambda name, x: column_of_numbers(name, np.array(x, dtype=object))),
    (
        _DATES,
        np.datetime64("NaT", "us"),
        lambda name, x: _of_moments(name, np.array([*map(_as_moment, x)], dtype=MOMENT)),
    ),
)  # fmt: skip


def _checked(source: str, columns: Mapping[Any, Column]) -> Frame:
    _refuse_twice(source, [str(name) for name in columns])
    if not columns:
        raise DataError(f"{source} has no columns")
    lengths = {str(name): len(column) for name, column in columns.items()}
    if len({*lengths.values()}) > 1:
        raise ShapeError(f"{source} has columns of different lengths: {lengths}")
    return Frame(source, tuple(columns.values()))


def _refuse_twice(source: str, names: Sequence[str]) -> None:
    known: dict[str, None] = {}
    for name in names:
        if name in known:
            raise DataError(f"{source} has two columns called {name!r}; rename one")
        known[name] = None
