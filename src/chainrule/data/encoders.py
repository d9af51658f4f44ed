"""One record per kind of column: what it learned from the training rows, and how it encodes.

Each gives a :class:`Block`: numbers on a scale of their own, numbers that are near 0 and 1 already,
category numbers, and for each row whether something about it was unusual. Nothing here fails on a
cell: what cannot be read counts as missing and is flagged.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from chainrule.data import cells
from chainrule.data.factored import Factored, by_value
from chainrule.data.frames import MOMENT, Column
from chainrule.data.notation import PLAIN, NumberNotation, moments
from chainrule.data.schema import FALSE_WORDS, TRUE_WORDS, ColumnSchema
from chainrule.errors import DataError
from chainrule.shapes import Array

FLAGS: Final = ("unknown", "missing", "outside")
FEWEST_OF_LEVEL = 2  # a category seen less often is trained as the unknown one
MOST_LEVELS = 10_000
TEXT_WIDTH = 32
LETTERS = 3  # in a group of letters
LARGEST = 1e100  # so that means and squares stay finite
_DAY = 86_400.0

Masks: TypeAlias = dict[str, npt.NDArray[np.bool_]]


class Block(NamedTuple):
    """An encoded column.

    Attributes
    ----------
    numbers : (n, a) float64
        Still to be scaled.
    plain : (n, b) float64
    codes : (n, c) int64
    flags : dict of str to (n,) bool
        Any of :data:`FLAGS`.
    """

    numbers: Array
    plain: Array
    codes: Array
    flags: Masks


def _block(
    rows: int, numbers: Any = None, plain: Any = None, codes: Any = None, **flags: Any
) -> Block:
    empty = np.empty((rows, 0))
    return Block(
        empty if numbers is None else numbers,
        empty if plain is None else plain,
        np.empty((rows, 0), np.int64) if codes is None else codes,
        flags,
    )


@dataclass(frozen=True)
class ColumnEncoder:
    """Base of the records.

    Attributes
    ----------
    name : str
        The column's.
    """

    name: str

    def encode(self, column: Column) -> Block:
        """The block of a column."""
        raise TypeError(f"{type(self).__name__} must define encode(column)")

    def block(self, column: Column) -> Block:
        """The block of a column; what stands in several rows is encoded once."""
        if not isinstance(column, Factored):
            return self.encode(column)
        numbers, plain, codes, flags = self.encode(column.table)
        rows = column.codes
        flags = {name: mask[rows] for name, mask in flags.items() if mask.any()}
        return Block(numbers[rows], plain[rows], codes[rows], flags)

    def widened(self, column: Column) -> Self:
        """The encoder when it has seen further training rows: what is exact however many come."""
        raise TypeError(f"{type(self).__name__} must define widened(column)")

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What the block's numbers and plain columns are called."""
        raise TypeError(f"{type(self).__name__} must define names")

    @property
    def levels(self) -> int:
        """How many category numbers there are; 0 where it gives none."""
        return 0


def _indicated(plain: Array | None, missing: Array, indicator: bool) -> Array | None:
    """``plain`` and, if wanted, a column that says where values are missing."""
    parts = [] if plain is None else [plain]
    if indicator:
        parts.append(missing[:, None].astype(np.float64))
    return np.hstack(parts) if parts else None


# Numbers


@dataclass(frozen=True)
class NumberEncoder(ColumnEncoder):
    """A quantity: the median where it is missing, and an indicator if training rows miss it.

    Attributes
    ----------
    notation : NumberNotation or None
    median, low, high : float
        Of the training rows.
    indicator : bool
    """

    notation: NumberNotation | None
    median: float
    low: float
    high: float
    indicator: bool

    @classmethod
    def fit(cls, spec: ColumnSchema, column: Column) -> NumberEncoder:
        """Learn from the training rows."""
        values, missing = by_value(partial(_numbers, spec.notation), column)
        present = values[~missing] if not missing.all() else np.zeros(1)
        low, median, high = np.quantile(present, [0.0, 0.5, 1.0]).tolist()
        return cls(spec.name, spec.notation, median, low, high, bool(missing.any()))

    def widened(self, column: Column) -> NumberEncoder:
        values, missing = _numbers(self.notation, column)
        low, high = _extremes(values[~missing], self.low, self.high)
        return replace(self, low=low, high=high, indicator=self.indicator or bool(missing.any()))

    def encode(self, column: Column) -> Block:
        values, missing = _numbers(self.notation, column)
        filled = np.where(missing, self.median, values)
        return _block(
            len(column),
            filled[:, None],
            _indicated(None, missing, self.indicator),
            unknown=missing & ~column.missing,
            missing=missing,
            outside=(filled < self.low) | (filled > self.high),
        )

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (self.name,), (f"{self.name} is missing",) if self.indicator else ()


def _extremes(values: Array, low: float, high: float) -> tuple[float, float]:
    """The least and the greatest of values and two numbers."""
    return float(values.min(initial=low)), float(values.max(initial=high))


def _numbers(notation: NumberNotation | None, column: Column) -> tuple[Array, Array]:
    """Values, and where there are none that could be read."""
    if column.is_text:
        values = (notation or PLAIN).numbers(np.where(column.missing, "nan", column.values))
    elif column.values.dtype == MOMENT:
        values = column.values.astype(np.int64) / 1e6
    else:
        values = column.values.astype(np.float64)
    missing = column.missing | ~np.isfinite(values)
    return np.clip(np.where(missing, 0.0, values), -LARGEST, LARGEST), missing


@dataclass(frozen=True)
class BooleanEncoder(ColumnEncoder):
    """One of two values: 1 or 0, and their mean where it is missing.

    Attributes
    ----------
    mean : float
        The share of true ones among the training rows.
    indicator : bool
    """

    mean: float
    indicator: bool

    @classmethod
    def fit(cls, spec: ColumnSchema, column: Column) -> BooleanEncoder:
        """Learn from the training rows."""
        values, missing = by_value(_truths, column)
        mean = float(values[~missing].mean()) if not missing.all() else 0.5
        return cls(spec.name, mean, bool(missing.any()))

    def widened(self, column: Column) -> BooleanEncoder:
        return replace(self, indicator=self.indicator or bool(_truths(column)[1].any()))

    def encode(self, column: Column) -> Block:
        values, missing = _truths(column)
        plain = np.where(missing, self.mean, values)[:, None]
        return _block(
            len(column),
            plain=_indicated(plain, missing, self.indicator),
            unknown=missing & ~column.missing,
            missing=missing,
        )

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (), (self.name, *((f"{self.name} is missing",) if self.indicator else ()))


def _truths(column: Column) -> tuple[Array, Array]:
    """1 for true and 0 for false, and where it is neither."""
    if column.is_text:
        lower = np.strings.lower(column.values)
        yes = np.isin(lower, np.array([*TRUE_WORDS, "1"], dtype=cells.TEXT))
        no = np.isin(lower, np.array([*FALSE_WORDS, "0"], dtype=cells.TEXT))
    else:
        numbers = column.values.astype(np.float64)
        yes, no = numbers == 1, numbers == 0
    return yes.astype(np.float64), column.missing | ~(yes | no)


# Categories

_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+")


@dataclass(frozen=True)
class CategoryEncoder(ColumnEncoder):
    """One of several values: numbers from 1 by frequency, 0 for values that are not known.

    Values that few training rows have count as unknown ones, and so does a missing value, unless
    training rows miss it: then that is a value of its own, the last.

    Attributes
    ----------
    values : tuple of str
        Those known, the commonest first.
    indicator : bool
        Whether "missing" is a value.
    """

    values: tuple[str, ...]
    indicator: bool

    @classmethod
    def fit(cls, spec: ColumnSchema, column: Column) -> CategoryEncoder:
        """Learn from the training rows."""
        return cls.of_counts(spec.name, *counted(column), bool(column.missing.any()))

    @classmethod
    def of_counts(
        cls, name: str, values: cells.Texts, counts: Array, indicator: bool
    ) -> CategoryEncoder:
        """From the values of the training rows, in sorted order, and how often each occurs."""
        order = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        known = order[counts[order] >= FEWEST_OF_LEVEL]
        return cls(name, tuple(values[known].tolist()), indicator)

    def widened(self, column: Column) -> CategoryEncoder:
        return replace(self, indicator=self.indicator or bool(column.missing.any()))

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {_label(value): code for code, value in enumerate(self.values, 1)}

    def encode(self, column: Column) -> Block:
        values, inverse = cells.distinct(column.as_texts())
        known = [self._codes.get(_label(text), 0) for text in values.tolist()]
        codes = np.array(known, np.int64)[inverse]
        absent = len(self.values) + 1 if self.indicator else 0
        codes = np.where(column.missing, absent, codes)
        return _block(
            len(column),
            codes=codes[:, None],
            unknown=(codes == 0) & ~column.missing,
            missing=column.missing,
        )

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (), ()

    @property
    def levels(self) -> int:
        return 1 + len(self.values) + self.indicator


def _label(text: str) -> str:
    """What a category is called: files write 3 as 3.0 where a cell of its column is missing."""
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def counted(column: Column) -> tuple[cells.Texts, Array]:
    """The different values of a column as text, in sorted order, and how often each occurs."""
    used, times = column.used() if isinstance(column, Factored) else (column, None)
    present = Column(used.name, used.present(), np.zeros(0, bool)).as_texts()
    values, inverse = cells.distinct(present)
    weights = None if times is None else times[~used.missing]
    return values, np.bincount(inverse, weights, len(values)).astype(np.int64)


# Dates

_PARTS: Final[dict[str, Callable[[Array], Array]]] = {
    "day": lambda t: t.astype(np.int64) / (_DAY * 1e6),
    "month": lambda t: t.astype("datetime64[M]").astype(np.int64) % 12 + 1.0,
    "weekday": lambda t: (t.astype("datetime64[D]").astype(np.int64) + 3) % 7 + 0.0,
    "hour": lambda t: t.astype(np.int64) / 3.6e9 % 24,
}


@dataclass(frozen=True)
class DateEncoder(ColumnEncoder):
    """A moment: days since 1970, and month, weekday and hour where they differ between rows.

    Attributes
    ----------
    date_format : str or None
    parts : tuple of str
    medians : tuple of float
        Of each part, for missing moments.
    low, high : float
        The days between which the training rows lie.
    indicator : bool
    """

    date_format: str | None
    parts: tuple[str, ...]
    medians: tuple[float, ...]
    low: float
    high: float
    indicator: bool

    @classmethod
    def fit(cls, spec: ColumnSchema, column: Column) -> DateEncoder:
        """Learn from the training rows.

        Raises
        ------
        DataError
            If there are cells, and none could be read.
        """
        values, missing = by_value(partial(_moments, spec.date_format), column)
        if missing.all() and not column.missing.all():
            example = cells.quoted(column.as_texts()[int(np.argmin(column.missing))])
            raise DataError(
                f"column {column.name!r} is to hold dates, and none of its cells is one, such as"
                f" {example}; give its date_format in the schema, or leave its kind to be found out"
            )
        present = values[~missing] if not missing.all() else np.zeros(1, MOMENT)
        found = {name: part(present) for name, part in _PARTS.items()}
        parts = [name for name, each in found.items() if name == "day" or np.ptp(each) > 0]
        medians = tuple([float(np.median(found[name])) for name in parts])
        days = found["day"]
        return cls(
            spec.name, spec.date_format, tuple(parts), medians,
            float(days.min()), float(days.max()), bool(missing.any()),
        )  # fmt: skip

    def widened(self, column: Column) -> DateEncoder:
        values, missing = _moments(self.date_format, column)
        low, high = _extremes(_PARTS["day"](values[~missing]), self.low, self.high)
        return replace(self, low=low, high=high, indicator=self.indicator or bool(missing.any()))

    def encode(self, column: Column) -> Block:
        values, missing = _moments(self.date_format, column)
        found = [
            np.where(missing, median, _PARTS[name](values))
            for name, median in zip(self.parts, self.medians, strict=True)
        ]
        return _block(
            len(column),
            np.column_stack(found),
            _indicated(None, missing, self.indicator),
            unknown=missing & ~column.missing,
            missing=missing,
            outside=(found[0] < self.low) | (found[0] > self.high),
        )

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        parts = tuple([f"{self.name}: {part}" for part in self.parts])
        return parts, (f"{self.name} is missing",) if self.indicator else ()


def _moments(form: str | None, column: Column) -> tuple[Array, Array]:
    """Moments, and where there are none that could be read."""
    if column.is_text:
        values = moments(column.values, form)
    elif column.values.dtype == MOMENT:
        values = column.values
    else:
        values = np.full(len(column), "NaT", dtype=MOMENT)
    missing = column.missing | np.isnat(values)
    return np.where(missing, np.zeros(1, MOMENT), values), missing


# Text


@dataclass(frozen=True)
class TextEncoder(ColumnEncoder):
    """Words: how often groups of three letters occur, counted in a few buckets by their hash.

    Rows have Euclidean length 1 (Weinberger et al. 2009, Feature hashing for large scale
    multitask learning).

    Attributes
    ----------
    width : int
        Buckets.
    indicator : bool
    """

    width: int
    indicator: bool

    @classmethod
    def fit(cls, spec: ColumnSchema, column: Column) -> TextEncoder:
        """Learn from the training rows: only whether it may be missing."""
        return cls(spec.name, TEXT_WIDTH, bool(column.missing.any()))

    def widened(self, column: Column) -> TextEncoder:
        return replace(self, indicator=self.indicator or bool(column.missing.any()))

    def encode(self, column: Column) -> Block:
        values, inverse = cells.distinct(column.as_texts())
        hashed = [_hashed(text, self.width) for text in values.tolist()]
        table = np.reshape(hashed, (len(values), self.width))  # of no texts too
        plain = np.where(column.missing[:, None], 0.0, table[inverse])
        return _block(
            len(column),
            plain=_indicated(plain, column.missing, self.indicator),
            missing=column.missing,
        )

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        buckets = [f"{self.name}: letters {place}" for place in range(self.width)]
        return (), (*buckets, *((f"{self.name} is missing",) if self.indicator else ()))


_WORD = re.compile(r"\w+")
_MOST_LETTERS = 2_000  # of one cell: beyond that it says little more


def _groups(text: str) -> Iterator[str]:
    for word in _WORD.findall(text[:_MOST_LETTERS].lower()):
        marked = f" {word} "
        yield from (marked[at : at + LETTERS] for at in range(len(marked) - LETTERS + 1))


@lru_cache(maxsize=2**16)
def _signed_bucket(group: str, width: int) -> tuple[int, float]:
    number = zlib.crc32(group.encode())
    return number % width, 1.0 if number & 2**31 else -1.0


def _hashed(text: str, width: int) -> Array:
    counts = np.zeros(width)
    for group in _groups(text):
        bucket, sign = _signed_bucket(group, width)
        counts[bucket] += sign
    return counts / max(float(np.linalg.norm(counts)), 1.0)


ENCODERS: Final[dict[str, Any]] = {
    "number": NumberEncoder,
    "boolean": BooleanEncoder,
    "category": CategoryEncoder,
    "date": DateEncoder,
    "text": TextEncoder,
}
RECORDS: Final = {kind.__name__: kind for kind in (*ENCODERS.values(), NumberNotation)}
