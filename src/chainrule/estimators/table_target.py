"""What is predicted: numbers on the scale that a network learns, or classes of any type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from chainrule.data import cells
from chainrule.data.frames import Column, Frame
from chainrule.data.labels import MANY_CLASSES
from chainrule.data.notation import NumberNotation, number_notation
from chainrule.errors import DataError, FileFormatError, ShapeError
from chainrule.shapes import FLOAT32, Array

MOST_CLASSES = 10_000
UNLEARNED: Final = -1  # in place of a class number
MOST = 1e150  # whose square float64 holds
_TRUTHS: Final = {"true": True, "false": False}
_MOST_LOG = 700.0  # whose exponential float64 holds


@dataclass(frozen=True)
class NumberTarget:
    """A number, as a network learns it: (t - center) / scale, where t may be its logarithm.

    Attributes
    ----------
    log : bool
    center, scale : float
        Of the training rows.
    low, high : float
        The least and the greatest of the training rows.
    """

    log: bool
    center: float
    scale: float
    low: float
    high: float

    @classmethod
    def fit(cls, y: Array, log: bool) -> NumberTarget:
        """Learn from the training rows' targets (n,) float64."""
        t = np.log(y) if log else y
        scale = float(t.std())
        usable = np.isfinite(scale) and scale > 0
        return cls(log, float(t.mean()), scale if usable else 1.0, float(y.min()), float(y.max()))

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> NumberTarget:
        """What a file holds.

        Raises
        ------
        FileFormatError
            If its numbers are none, or its scale is not above 0.
        """
        target = cls(**found)
        numbers = (target.center, target.scale, target.low, target.high)
        plain = type(target.log) is bool and all(type(x) in (int, float) for x in numbers)
        if not plain or not target.scale > 0:
            raise FileFormatError("the scale of its target is damaged")
        return target

    def encode(self, y: Array) -> Array:
        """(n, 1) float32."""
        t = np.log(np.maximum(y, np.finfo(np.float64).tiny)) if self.log else y
        return ((t - self.center) / self.scale).astype(FLOAT32)[:, None]

    def decode(self, z: Array) -> Array:
        """Numbers in the target's own unit, of any shape."""
        t = z.astype(np.float64) * self.scale + self.center
        return np.exp(np.minimum(t, _MOST_LOG)) if self.log else t

    def slope(self, z: Array) -> Array:
        """How much the number changes with z."""
        return self.scale * (self.decode(z) if self.log else np.ones(z.shape))


def require_a_target_each(column: Column, frame: Frame) -> None:
    """Refuse a target that has other rows than the table.

    Raises
    ------
    ShapeError
        If there are more or fewer.
    """
    if len(column) != len(frame):
        raise ShapeError(f"the table has {len(frame)} rows and the target {len(column)}")


def refuse_infinite(column: Column, frame: Frame) -> None:
    """Refuse infinity, which no missing value is, and nothing that can be learned.

    Raises
    ------
    DataError
        With the row.
    """
    if not column.is_text and column.values.dtype.kind == "f":
        _refuse_infinite(column.name, column.values, frame)


def _refuse_infinite(name: str, values: Array, frame: Frame) -> None:
    if (infinite := np.isinf(values)).any():
        row = int(np.argmax(infinite))
        raise DataError(
            f"{frame.place(row)}: the target {name!r} contains infinity ({values[row]:g}); correct"
            " it, or leave the cell empty"
        )


def numbers_of(column: Column, frame: Frame, notation: NumberNotation | None = None) -> Array:
    """A target as numbers (n,) float64, no row missing.

    Parameters
    ----------
    column : Column
    frame : Frame
        Of the same rows, for messages.
    notation : NumberNotation, optional
        How text writes its numbers; by default that is found out.

    Raises
    ------
    DataError
        If a cell is no number or beyond 1e150, or all are within 1e-150 of 0: with its row.
        If they are dates.
    """
    if column.values.dtype.kind == "M":
        raise DataError(
            f"{frame.source}: the target {column.name!r} holds dates, and a number is needed; give"
            " how long after one of them each is, or learn it as a class"
        )
    found = (
        column.values.astype(np.float64)
        if not column.is_text
        else _written(column, frame, notation)
    )
    _refuse_infinite(column.name, found, frame)
    row = int(np.argmax(np.abs(found))) if len(found) else 0
    largest = abs(found[row]) if len(found) else 0.0
    if largest > MOST or 0 < largest < 1 / MOST:
        side = f"below {MOST:g}" if largest > MOST else f"above {1 / MOST:g}"
        raise DataError(
            f"{frame.place(row)}: the target {column.name!r} is {found[row]:g}, and errors of that"
            f" size have no square; use a unit in which targets are {side}"
        )
    return found


def _written(column: Column, frame: Frame, notation: NumberNotation | None) -> Array:
    """The numbers that text writes."""
    distinct = column.distinct().tolist()
    notation = notation or number_notation(distinct, decimal_comma=frame.decimal_comma)
    found = np.full(len(column), np.nan) if notation is None else notation.numbers(column.values)
    if np.isnan(found).any():
        rows = np.flatnonzero(np.isnan(found)).tolist()
        row = next((each for each in rows if cells.fault(column.values[each])), rows[0])
        text = cells.quoted(column.values[row])
        raise DataError(
            f"{frame.place(row)}: the target {column.name!r} is {text}, which is not a number;"
            " correct it, or learn it as a class"
        )
    return found


@dataclass(frozen=True)
class ClassTarget:
    """Classes, in sorted order.

    Attributes
    ----------
    classes : tuple
        All of them text, or all numbers, or truth values.
    """

    classes: tuple[Any, ...]

    @classmethod
    def fit(cls, column: Column) -> ClassTarget:
        """The classes that occur.

        Raises
        ------
        DataError
            If there is one only, or too many.
        """
        found = [*dict.fromkeys(cells.distinct(_labels(column))[0].tolist())]
        if len(found) < 2:
            known = f"has one class only, {found[0]!r}" if found else "has no rows"
            raise DataError(f"the target {column.name!r} {known}: nothing to learn")
        if len(found) > MANY_CLASSES and any(isinstance(x, float) and x % 1 for x in found):
            raise DataError(
                f"Unknown label type: the target {column.name!r} is continuous, with {len(found)}"
                " different numbers; learn it with TableRegressor"
            )
        if len(found) > MOST_CLASSES:
            raise DataError(f"the target {column.name!r} has {len(found)} classes, too many")
        return cls(tuple([_plain(each) for each in found]))

    def encode(self, column: Column, frame: Frame) -> Array:
        """Class numbers (n,) int64.

        Raises
        ------
        DataError
            If a label is none of the classes: with its row.
        """
        codes = self.codes(column)
        if (codes == UNLEARNED).any():
            row = int(np.argmax(codes == UNLEARNED))
            label = _labels(column.rows([row])).tolist()[0]
            raise DataError(
                f"{frame.place(row)}: the target {column.name!r} is {label!r}, which is none of"
                f" the {len(self.classes)} classes that were learned"
            )
        return codes

    def codes(self, column: Column) -> Array:
        """Class numbers (n,) int64; UNLEARNED for labels that are none of the classes.

        Examples
        --------
        >>> from chainrule.data.frames import as_column
        >>> ClassTarget((0, 1)).codes(as_column(["1", "0.0", "other"], "y")).tolist()
        [1, 0, -1]
        >>> ClassTarget((False, True)).codes(as_column(["True", "false"], "y")).tolist()
        [1, 0]
        >>> ClassTarget(("false", "true")).codes(as_column([True, False], "y")).tolist()
        [1, 0]
        """
        of_text = isinstance(self.classes[0], str)
        distinct, inverse = np.unique(_labels(column, text=of_text), return_inverse=True)
        labels = distinct.tolist()
        places = {each: place for place, each in enumerate(self.classes)}
        if column.is_text and not of_text:  # a word among numbers makes all of them text
            labels = [_TRUTHS.get(label.lower(), cells.number(label)) for label in labels]
        elif of_text and column.values.dtype.kind == "b":  # files spell truth in several ways
            labels = [label.lower() for label in labels]
            places = {each.lower(): place for each, place in places.items()}
        found = [places.get(label, UNLEARNED) for label in labels]
        return np.array(found, np.int64)[inverse]

    def decode(self, codes: Array) -> Array:
        """The classes of numbers."""
        return self.array[codes]

    @property
    def array(self) -> Array:
        """The classes as an array: of objects where they are text."""
        kinds = {type(each) for each in self.classes}
        return np.array(self.classes, dtype=object if str in kinds else None)

    @classmethod
    def from_json(cls, classes: Sequence[Any]) -> ClassTarget:
        """The classes that a file holds.

        Raises
        ------
        FileFormatError
            If they are not at least two different labels of one kind.
        """
        kinds = [str if isinstance(each, str) else float for each in classes]
        plain = all(isinstance(each, (str, int, float)) for each in classes)
        if not plain or len({*kinds}) != 1 or len({*classes}) != len(classes) or len(classes) < 2:
            raise FileFormatError("its classes are not two or more labels of one kind")
        return cls(tuple(classes))


def _labels(column: Column, text: bool = False) -> Array:
    if column.is_text or text:
        return column.as_texts()
    if column.values.dtype.kind == "M":
        return column.values.astype(str).astype(cells.TEXT)
    return column.values


def _plain(label: Any) -> Any:
    """A label as JSON keeps it: whole numbers as integers."""
    is_whole = isinstance(label, float) and label.is_integer()
    return int(label) if is_whole else label
