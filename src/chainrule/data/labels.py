"""Targets that are classes: when they are, which there are, and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from chainrule.data import cells
from chainrule.data.cells import Texts
from chainrule.errors import DataError

Task: TypeAlias = Literal["regression", "binary", "multiclass"]
Key: TypeAlias = int | float | str

MANY_CLASSES = 20


def infer_task(
    values: npt.ArrayLike, *, name: str = "target", place: Callable[[int], str] | None = None
) -> Task:
    """What kind of task a target sets.

    - Text (any value is not a number), or booleans: classes.
    - Two different whole numbers: classes.
    - Whole numbers, at most 20 different ones, each there twice on average: classes.
    - Other numbers: regression.

    Two classes are binary, more multiclass. ``1`` and ``1.0`` are the same number.

    Parameters
    ----------
    values : (n,) array-like of numbers, booleans or text
        The target, no value missing.
    name : str
        What error messages call it.
    place : callable, optional
        Where a row stands, for messages: a frame's ``place``.

    Raises
    ------
    DataError
        If a value is missing, all are the same, or text has more than 20 different values that
        are not there twice on average: such a column names rows, or holds a misspelt number.

    Examples
    --------
    >>> infer_task(["yes", "no", "no"]), infer_task([0, 1, 2, 0, 1, 2]), infer_task([0.5, 1, 2])
    ('binary', 'multiclass', 'regression')
    """
    labels = _labels(values, name)
    distinct = cells.distinct(labels)[0].tolist()
    keys = _keys(distinct)
    count = len({*keys})
    if count == 1:
        raise DataError(f"{name!r} is {cells.quoted(distinct[0])} in every row: nothing to learn")
    many, rare = count > MANY_CLASSES, 2 * count > len(labels)
    if _are_numbers(keys):
        if not _are_whole(keys) or (count > 2 and (many or rare)):
            return "regression"
    elif many and rare:
        words = next(text for text in distinct if cells.number(text) is None)
        where = f"{place(int(np.argmax(labels == words)))}: " if place else ""
        raise DataError(
            f"{where}{name!r} has {count} different values in {len(labels)} rows, too many for"
            f" classes, and {cells.quoted(words)} is not a number: correct it, or choose another"
            " target"
        )
    return "binary" if count == 2 else "multiclass"


@dataclass(frozen=True)
class Labels:
    """The classes of a target, in sorted order: numbers by size, otherwise text by code point.

    Parameters
    ----------
    classes : tuple of str
        The text of each class, as it was first met.

    Examples
    --------
    >>> labels = fit_labels(["b", "a", "b"])
    >>> labels.classes, labels.encode(["a", "b"]), labels.decode([1, 0]).tolist()
    (('a', 'b'), array([0, 1]), ['b', 'a'])
    """

    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.classes)

    def encode(self, values: npt.ArrayLike, *, name: str = "target") -> npt.NDArray[np.int64]:
        """Number of each value's class, (n,) int64 in [0, len(self)).

        Raises
        ------
        DataError
            If a value is missing or not one of the classes.
        """
        distinct, first_rows, inverse = np.unique(
            _labels(values, name), return_index=True, return_inverse=True
        )
        codes = {key: code for code, key in enumerate(_keys(self.classes))}
        keys = _keys_like(distinct.tolist(), _are_numbers([*codes]))
        unknown = [row for row, key in zip(first_rows, keys, strict=True) if key not in codes]
        if unknown:
            row = int(min(unknown))
            raise DataError(
                f"{name!r} has the label {cells.quoted(str(np.asarray(values)[row]))} in row "
                f"{row + 1}, which is none of the {len(self)} classes that were learned"
            )
        return np.array([codes[key] for key in keys], dtype=np.int64)[inverse]

    def decode(self, codes: npt.ArrayLike) -> Texts:
        """The original text of classes with the given numbers, in any shape."""
        classes: Texts = np.array(self.classes, dtype=cells.TEXT)
        return classes[np.asarray(codes, dtype=np.int64)]


def fit_labels(values: npt.ArrayLike, *, name: str = "target") -> Labels:
    """The classes that occur in ``values``.

    Parameters
    ----------
    values : (n,) array-like of text, numbers or booleans
        If all are numbers, classes are told apart by value: ``1`` and ``1.0`` are one.
    name : str
        What error messages call the target.

    Raises
    ------
    DataError
        If a value is missing or there is one class only.

    Examples
    --------
    >>> fit_labels(["10", "9", "9.0"]).classes
    ('9', '10')
    """
    distinct, first_rows = np.unique(_labels(values, name), return_index=True)
    by_first_row = distinct[np.argsort(first_rows)].tolist()
    classes: dict[Key, str] = {}
    for key, text in zip(_keys(by_first_row), by_first_row, strict=True):
        classes.setdefault(key, text)
    if len(classes) == 1:
        raise DataError(f"{name!r} is {cells.quoted(by_first_row[0])} in every row: one class only")
    return Labels(tuple(classes[key] for key in sorted(classes)))


def _labels(values: npt.ArrayLike, name: str) -> Texts:
    """One-dimensional values as text, none of them missing."""
    labels = cells.texts(values)
    if labels.size == 0:
        raise DataError(f"{name!r} has no rows")
    row = cells.first_missing(labels)
    if row is not None:
        raise DataError(f"{name!r} has a missing value in row {row + 1}: every row needs a target")
    return labels


def _keys(labels: Sequence[str]) -> list[Key]:
    """What tells labels apart: their numbers if all are numbers, otherwise their text."""
    return _keys_like(labels, all(cells.number(label) is not None for label in labels))


def _keys_like(labels: Sequence[str], numeric: bool) -> list[Key]:
    """Numbers where ``numeric`` and the label is one, text elsewhere."""
    if not numeric:
        return [*labels]
    return [label if (value := cells.number(label)) is None else value for label in labels]


def _are_numbers(keys: Sequence[Key]) -> bool:
    return not any(isinstance(key, str) for key in keys)


def _are_whole(keys: Sequence[Key]) -> bool:
    return all(isinstance(key, int) or float(key).is_integer() for key in keys)
