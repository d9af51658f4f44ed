"""What the columns of a table are for, beside those that a model learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.data.frames import Frame
from chainrule.data.streams import TableStream
from chainrule.errors import ParameterError, unknown_name
from chainrule.estimators.table_split import is_the_target
from chainrule.estimators.table_weights import weights_in
from chainrule.shapes import Array


@dataclass(frozen=True)
class Roles:
    """What some columns are for, by their names.

    Attributes
    ----------
    target : str
    group, time : str, optional
        What decides which rows test and are held out.
    weight : str, optional
        What rows weigh.
    alike : tuple of str
        Columns in which copies of a row may differ, such as ids.
    """

    target: str
    group: str | None = None
    time: str | None = None
    weight: str | None = None
    alike: tuple[str, ...] = ()

    @classmethod
    def of(cls, stream: Any, target: str | int, **others: str | int | None) -> Roles:
        """Of columns that are there.

        Raises
        ------
        UnknownNameError, ParameterError
            If one is not, or is for two things that exclude each other.
        """
        name = _named(stream, target)
        found = {role: _named(stream, x) for role, x in others.items() if x is not None}
        for role, other in found.items():
            if other == name:
                raise is_the_target(name, role)
        if {"group", "time"} <= found.keys():
            raise ParameterError("hold out by group or by time, not by both")
        return cls(name, found.get("group"), found.get("time"), found.get("weight"))

    @property
    def rule(self) -> str:
        """By what rows are chosen, behind their number: "rows at random"."""
        if self.time is not None:
            return f"of the latest rows by {self.time!r}"
        return "rows at random" if self.group is None else f"rows by groups of {self.group!r}"

    def features(self, rows: Frame) -> Frame:
        """The columns that a model may learn from."""
        return rows.without(self.target, *([self.weight] if self.weight else []))

    def content(self, rows: Frame) -> Frame:
        """The columns, the target among them, in which copies of a row are equal."""
        return rows.without(*self.alike, *([self.weight] if self.weight else []))

    def weights(self, rows: Frame) -> Array | None:
        """What rows weigh: (n,) float64 from 0.

        Raises
        ------
        DataError
            If a cell is no such number: with its row.
        """
        return None if self.weight is None else weights_in(rows[self.weight], rows)

    def there(self, rows: Frame) -> Array:
        """Which rows have a target, and a weight above 0: (n,) bool."""
        weights, there = self.weights(rows), ~rows[self.target].missing
        return there if weights is None else there & (weights > 0)


def _named(stream: TableStream, target: str | int) -> str:
    names = stream.names
    if isinstance(target, int) and not isinstance(target, bool):
        if -len(names) <= target < len(names):
            return names[target]
    elif target in names:
        return target
    raise unknown_name(f"column of {stream.source}", target, names)
