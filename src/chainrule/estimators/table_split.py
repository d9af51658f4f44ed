"""Rows to train on and rows to hold out: at random, by groups, or the latest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from chainrule.data.cells import Texts, distinct
from chainrule.data.frames import Column, Frame
from chainrule.data.notation import NumberNotation, date_format, moments, number_notation
from chainrule.data.split import split
from chainrule.errors import DataError, ParameterError
from chainrule.shapes import Array

FEWEST_ROWS = 10  # below this nothing is held out


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows are trained on and which are held out.

    Attributes
    ----------
    train, held_out : (n,) int64
        No row is in both; ``held_out`` is empty where there are too few rows.
    how : str
        In words.
    """

    train: Array
    held_out: Array
    how: str

    def of_all(self, kinds: Array) -> Split:
        """The same of all rows, if one of each kind was split.

        Parameters
        ----------
        kinds : (n,) int64
            For each row the number of the one that stood for it.

        Examples
        --------
        >>> found = Split(np.array([0, 2]), np.array([1]), "").of_all(np.array([0, 1, 1, 2, 0]))
        >>> found.train.tolist(), found.held_out.tolist()
        ([0, 3, 4], [1, 2])
        """
        train, held_out = (
            np.flatnonzero(np.isin(kinds, chosen)) for chosen in (self.train, self.held_out)
        )
        return replace(self, train=train, held_out=held_out)


def columns_apart(
    frame: Frame, target: str, group: str | None, time: str | None
) -> dict[str, Column | None]:
    """The columns that rows are held out by, as :func:`split_rows` takes them.

    Parameters
    ----------
    frame : Frame
        Without the target.
    target, group, time : str
        Names of columns.

    Raises
    ------
    UnknownNameError, ParameterError
        If there is no such column, or it is the target.
    """
    for role, name in (("group", group), ("time", time)):
        if name == target and name not in frame.names:
            raise is_the_target(name, role)
    named = {"groups": group, "times": time}
    return {key: None if name is None else frame[name] for key, name in named.items()}


def is_the_target(name: str, role: str) -> ParameterError:
    """What to raise where a column is asked for that is the target."""
    return ParameterError(f"column {name!r} is the target; name another one as the {role}")


def split_rows(
    rows: int,
    fraction: float,
    seed: int,
    *,
    classes: Array | None = None,
    groups: Column | None = None,
    times: Column | None = None,
) -> Split:
    """Hold out a share of the rows.

    Parameters
    ----------
    rows : int
    fraction : float in (0, 1)
    seed : int
    classes : (n,) int64, optional
        Of which the same shares are held out, and each stays among the training rows.
    groups : Column, optional
        Rows of one group are never on both sides.
    times : Column, optional
        The latest rows are held out.

    Raises
    ------
    ParameterError
        If both groups and times are given.
    DataError
        If there is only one group.
    """
    if groups is not None and times is not None:
        raise ParameterError("hold out by group or by time, not by both")
    if groups is not None:
        return _by_group(groups, fraction, seed)
    if times is not None:
        return _by_time(times, fraction)
    if rows < FEWEST_ROWS:
        return Split(np.arange(rows), np.empty(0, np.int64), "none: too few rows")
    fitting = classes if classes is not None and _divisible(classes, fraction) else None
    train, held_out = split(rows, fraction, seed, stratify=fitting)
    return Split(np.sort(train), np.sort(held_out), f"{fraction:.0%} at random")


def _divisible(classes: Array, fraction: float) -> bool:
    """Whether every class can keep a row to train on."""
    n = len(classes)
    return min(max(round(n * fraction), 1), n - 1) <= n - len(np.unique(classes))


def _by_group(groups: Column, fraction: float, seed: int) -> Split:
    names, members = distinct(groups.as_texts())
    if len(names) < 2:
        raise DataError(f"column {groups.name!r} has one group only: nothing can be held out")
    draw = np.random.Generator(np.random.Philox(seed)).permutation(len(names))
    sizes = np.cumsum(np.bincount(members, minlength=len(names))[draw])
    count = int(np.clip(np.searchsorted(sizes, fraction * len(members)) + 1, 1, len(names) - 1))
    held = np.isin(members, draw[:count])
    how = f"{count} of {len(names)} groups of {groups.name!r}"
    return Split(np.flatnonzero(~held), np.flatnonzero(held), how)


def _by_time(times: Column, fraction: float) -> Split:
    values = in_time(times)
    order = np.argsort(values, kind="stable")
    cut = values[order[int(len(order) * (1 - fraction))]]
    held = values >= cut
    if held.all():
        raise DataError(f"column {times.name!r} has one moment only: nothing can be held out")
    return Split(np.flatnonzero(~held), np.flatnonzero(held), f"the latest by {times.name!r}")


def in_time(times: Column) -> Array:
    """Values that put rows in the order of time: moments or numbers, also those that text writes.

    Raises
    ------
    DataError
        If they are neither, or one is missing.
    """
    refuse_missing_times(times)
    if not times.is_text:
        return times.values
    return written_times(times.distinct().tolist(), times.name).values(times.values)


def refuse_missing_times(times: Column, frame: Frame | None = None) -> None:
    """Refuse a row without a time.

    Raises
    ------
    DataError
        With the row: its place in ``frame``, which holds it, if that is given.
    """
    if times.missing.any():
        row = int(np.argmax(times.missing))
        place = f"row {row}" if frame is None else frame.place(row)
        raise DataError(f"column {times.name!r} orders rows, and is missing in {place}")


@dataclass(frozen=True)
class Written:
    """How text writes the times of rows.

    Attributes
    ----------
    form : NumberNotation or str
        That of numbers, or the format of dates.
    """

    form: NumberNotation | str

    def values(self, texts: Texts) -> Array:
        """Numbers or moments; NaN or NaT where a text is none."""
        if isinstance(self.form, NumberNotation):
            return self.form.numbers(texts)
        return moments(texts, self.form)


def written_times(distinct: list[str], name: str) -> Written:
    """How the different texts of a column write times.

    Raises
    ------
    DataError
        If they are neither dates nor numbers.
    """
    found = number_notation(distinct) or date_format(distinct)
    if found is None:
        raise DataError(f"column {name!r} holds neither dates nor numbers to order rows by")
    return Written(found)


def count_duplicates(train: Array, held_out: Array) -> int:
    """How many held-out rows are among the training rows, equal in every feature.

    >>> count_duplicates(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[3.0, 4.0], [1.0, 4.0]]))
    1
    """
    known = {_digest(row) for row in train}
    return sum(_digest(row) in known for row in held_out)


def _digest(row: Array) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
