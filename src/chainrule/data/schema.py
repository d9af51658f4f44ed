"""What each column of a table is, inferred or as people say: printed, edited, saved as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from chainrule.data import cells
from chainrule.data.frames import Column, Frame
from chainrule.data.notation import NumberNotation, date_format, number_notation
from chainrule.errors import DataError, FileFormatError, ParameterError, unknown_name
from chainrule.nn import serialization
from chainrule.persist import atomic_write, open_regular

KINDS: Final = {
    "number": "a quantity; missing ones are filled in and indicated",
    "boolean": "one of two values",
    "category": "one of several values; one that was not seen in training is a value of its own",
    "text": "words, as hashed groups of letters",
    "date": "a moment: its time line, month, weekday and hour",
    "id": "the name of a row: not learned from",
    "drop": "left out",
}
LEFT_OUT: Final = ("id", "drop")
TRUE_WORDS: Final = ("true", "yes", "y", "t", "on")
FALSE_WORDS: Final = ("false", "no", "n", "f", "off")
_TRUTHS: Final = tuple(zip(TRUE_WORDS, FALSE_WORDS, strict=True))

NEAR_UNIQUE = 0.5  # text with this share of different values says little as a category
MANY_VALUES = 50  # and at least this many of them
FEW_WORDS = 0.1  # among numbers this share of words, at most, looks like a slip
FEWEST_IDS = 20
MOST_SCHEMA_BYTES = 2**26
INDEX = "the index of a data frame"
_ID_NAME = re.compile(
    r"(?:^|[_\s.-])(?:id|uuid|guid|index|idx|key|rownum|no)$|^unnamed:? ?\d*$", re.I
)
_LIKE_A_NUMBER = re.compile(r"\s*[-+]?\d[\d.,]*(?:e[-+]?\d+)?\s*", re.I)
_STORED_INDEX = re.compile(r"__index_level_\d+__")  # as pandas calls it in Parquet
_COUNTED_INDEX = re.compile(r"Unnamed: 0(?:\.\d+)*")  # and in CSV
_CAMEL_ID = re.compile(r"[a-z](?:Id|ID)$")


@dataclass(frozen=True)
class ColumnSchema:
    """What one column is.

    Parameters
    ----------
    name : str
    kind : str
        One of :data:`KINDS`.
    notation : NumberNotation, optional
        How text writes its numbers.
    date_format : str, optional
        How text writes its dates, as ``strptime`` takes it; by default as in ISO 8601.
    note : str
        What to know about it, for people.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """

    name: str
    kind: str
    notation: NumberNotation | None = None
    date_format: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name(f"kind of column {self.name!r}:", self.kind, KINDS)
        for field in ("name", "note"):
            if not isinstance(getattr(self, field), str):
                raise ParameterError(
                    f"the {field} of a column is text, got {getattr(self, field)!r}"
                )

    @property
    def is_used(self) -> bool:
        """Whether it is learned from."""
        return self.kind not in LEFT_OUT


@dataclass(frozen=True)
class Schema:
    """What all columns of a table are, the target not among them.

    Parameters
    ----------
    columns : tuple of ColumnSchema

    Examples
    --------
    >>> from chainrule.data.frames import as_frame
    >>> frame = as_frame({"size": ["1,5", "2,0", ""], "kind": ["a", "b", "a"], "unit": ["m"] * 3})
    >>> schema = infer_schema(frame)
    >>> print(schema)
    column  kind      note
    ----------------------
    size    number    decimal comma
    kind    category  2 values
    unit    drop      "m" in each of 3 rows
    >>> schema.with_kinds({"kind": "drop"})["kind"].kind
    'drop'
    """

    columns: tuple[ColumnSchema, ...]

    def __getitem__(self, name: str) -> ColumnSchema:
        for column in self.columns:
            if column.name == name:
                return column
        raise unknown_name("column", name, [column.name for column in self.columns])

    @property
    def used(self) -> tuple[ColumnSchema, ...]:
        """The columns that are learned from."""
        return tuple([column for column in self.columns if column.is_used])

    def with_kinds(self, kinds: Mapping[str, str]) -> Schema:
        """The schema with other kinds for some columns.

        Raises
        ------
        UnknownNameError
            If there is no such column or kind.
        """
        for name in kinds:
            self[name]
        columns = [
            dataclasses.replace(column, kind=kinds[column.name], note="as asked for")
            if column.name in kinds
            else column
            for column in self.columns
        ]
        return Schema(tuple(columns))

    def __str__(self) -> str:
        rows = [("column", "kind", "note")]
        rows += [(cells.printable(c.name), c.kind, cells.printable(c.note)) for c in self.columns]
        widths = [max(len(row[place]) for row in rows) for place in range(2)]
        lines = [f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {note}" for name, kind, note in rows]
        head, *rest = [line.rstrip() for line in lines]
        return "\n".join([head, "-" * len(head), *rest])

    # As JSON

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` takes."""
        return {"columns": [serialization.encode(column) for column in self.columns]}

    @classmethod
    def from_json(cls, found: Any) -> Schema:
        """The schema that JSON describes.

        Raises
        ------
        FileFormatError
            If it describes none.
        """
        try:
            columns = [_column_from_json(each) for each in found["columns"]]
            names = [column.name for column in columns]
        except (TypeError, KeyError, AttributeError):
            raise FileFormatError('a schema is {"columns": [{"name": ..., "kind": ...}]}') from None
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        if twice:
            raise FileFormatError(f"the schema has two columns called {twice[0]!r}")
        return cls(tuple(columns))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a JSON file, for people to edit."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False)
        atomic_write(path, (text + "\n").encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Schema:
        """The schema in a JSON file.

        Raises
        ------
        FileFormatError
            If the file holds none.
        OSError
            If it cannot be read.
        """
        with open_regular(path) as file:
            data = file.read(MOST_SCHEMA_BYTES)
        try:
            return cls.from_json(json.loads(data))
        except (ValueError, RecursionError) as reason:
            raise FileFormatError(f"{os.fspath(path)}: not a schema: {reason}") from None


def _column_from_json(found: Mapping[str, Any]) -> ColumnSchema:
    described = {"kind": found["kind"]} | dict(found)
    notation = described.pop("notation", None)
    if notation is not None:
        notation = serialization.decode(notation, {"NumberNotation": NumberNotation}, "notation")
    known = [field.name for field in dataclasses.fields(ColumnSchema)]
    unknown = [name for name in described if name not in known]
    if unknown:
        raise FileFormatError(f"a column of a schema has no {unknown[0]!r} (known: {known})")
    return ColumnSchema(**described, notation=notation)


# From a frame


def infer_schema(frame: Frame) -> Schema:
    """What the columns of a frame seem to be.

    - Text is a number, with its notation, or a date, with its format, if every cell is one;
      ``yes`` and ``no``, ``true`` and ``false`` are booleans.
    - Whole numbers that count or name rows, by the column's name and because no two are the
      same, are ids.
    - Text where half of the values differ is ``text`` if it consists of several words or shares
      them between rows, and left out if every row has a code of its own.
    - The index that pandas stores beside a frame is an id, as are the whole numbers of a first
      column without a name if most are different.
    - Whole numbers that a data frame calls categorical are a category.
    - Columns with one value, or none, are left out.

    Parameters
    ----------
    frame : Frame
        Without its target.
    """
    return Schema(tuple([_inferred(column, frame) for column in frame.columns]))


def _inferred(column: Column, frame: Frame) -> ColumnSchema:
    distinct, rows = column.distinct(), f"{len(column):,} rows"  # all that were looked at
    if not len(distinct):
        return ColumnSchema(column.name, "drop", note=f"no values in {rows}")
    if len(distinct) == 1 and not column.missing.any():
        value = cells.quoted(str(distinct[0]))
        return ColumnSchema(column.name, "drop", note=f"{value} in each of {rows}")
    if _STORED_INDEX.fullmatch(column.name):
        return ColumnSchema(column.name, "id", note=INDEX)
    if column.is_text:
        return _of_text(column, distinct.tolist(), frame.decimal_comma)
    is_number = column.values.dtype.kind == "f"  # a dictionary of measurements only saves room
    if column.name in frame.categories and is_number and _are_whole(distinct):
        return ColumnSchema(column.name, "category", note=f"{len(distinct)} values")
    return _TYPED[column.values.dtype.kind](column, distinct)


def _of_truths(column: Column, distinct: Any) -> ColumnSchema:
    return ColumnSchema(column.name, "boolean")


def _of_moments(column: Column, distinct: Any) -> ColumnSchema:
    return ColumnSchema(column.name, "date")


def _of_numbers(column: Column, distinct: Any) -> ColumnSchema:
    if _COUNTED_INDEX.fullmatch(column.name) and _counts_rows(column, distinct):
        return ColumnSchema(column.name, "id", note=INDEX)
    if _names_rows(column, distinct):
        note = f"a different whole number in each of {len(column):,} rows"
        return ColumnSchema(column.name, "id", note=note)
    return ColumnSchema(column.name, "number")


_TYPED = {"b": _of_truths, "M": _of_moments, "f": _of_numbers}


def _names_rows(column: Column, distinct: Any) -> bool:
    """Whether whole numbers, all different, stand in a column that is called like an id."""
    called = _ID_NAME.search(column.name.strip()) or _CAMEL_ID.search(column.name)
    return bool(called and len(distinct) == len(column) >= FEWEST_IDS and _are_whole(distinct))


def _counts_rows(column: Column, distinct: Any) -> bool:
    """Whether whole numbers number rows: those of two tables, one behind the other, occur twice."""
    return len(distinct) >= NEAR_UNIQUE * len(column) and _are_whole(distinct)


def _are_whole(values: Any) -> bool:
    return bool(np.equal(values, np.floor(values)).all())


def _of_text(column: Column, distinct: list[str], decimal_comma: bool) -> ColumnSchema:
    notation = number_notation(distinct, decimal_comma=decimal_comma)
    if notation is not None:
        values = notation.numbers(np.array(distinct, dtype=cells.TEXT))
        found = _of_numbers(column, np.unique(values))
        return dataclasses.replace(found, notation=notation, note=found.note or str(notation))
    words = {text.lower() for text in distinct}
    if len(words) == 2 and any(words <= {*pair} for pair in _TRUTHS):
        return ColumnSchema(column.name, "boolean")
    form = date_format(distinct)
    if form is not None:
        return ColumnSchema(column.name, "date", date_format=form, note=form)
    return _of_words(column, distinct)


def _of_words(column: Column, distinct: Sequence[str]) -> ColumnSchema:
    rows = len(column) - int(column.missing.sum())
    but = _but_for_few(distinct)
    if len(distinct) <= max(MANY_VALUES, NEAR_UNIQUE * rows):
        return ColumnSchema(column.name, "category", note=f"{len(distinct)} values{but}")
    note = f"{len(distinct)} values in {rows} rows"
    if len(distinct) == rows and not any(" " in text.strip() for text in distinct):
        return ColumnSchema(column.name, "drop", note=f"{note}, a code of its own in each{but}")
    return ColumnSchema(column.name, "text", note=f"{note}, as groups of letters{but}")


def _but_for_few(distinct: Sequence[str]) -> str:
    """A note on words that keep numbers from being read as numbers, where they are few."""
    others = [text for text in distinct if _LIKE_A_NUMBER.fullmatch(text) is None]
    if not 0 < len(others) <= FEW_WORDS * len(distinct):
        return ""
    return f"; numbers but for {json.dumps(others[0], ensure_ascii=False)}"


def chosen_kinds(**names: str | Iterable[str]) -> dict[str, str]:
    """Kinds by column, from a column or columns by kind.

    Raises
    ------
    DataError
        If a column is given two kinds.

    Examples
    --------
    >>> chosen_kinds(category=["a", "b"], drop="colour")
    {'a': 'category', 'b': 'category', 'colour': 'drop'}
    """
    found: dict[str, str] = {}
    for kind, columns in names.items():
        for name in [columns] if isinstance(columns, str) else columns:
            if found.get(name, kind) != kind:
                raise DataError(f"column {name!r} is said to be both {found[name]} and {kind}")
            found[name] = kind
    return found
