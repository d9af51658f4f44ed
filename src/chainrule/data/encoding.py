"""Tables as arrays for a network: learned from the training rows, the same ever after."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from chainrule.data.cells import TEXT, Texts, printable, texts
from chainrule.data.encoders import (
    ENCODERS,
    FLAGS,
    MOST_LEVELS,
    RECORDS,
    Block,
    CategoryEncoder,
    ColumnEncoder,
    counted,
)
from chainrule.data.factored import Factored
from chainrule.data.frames import Column, Frame
from chainrule.data.scaling import State, scaling_of
from chainrule.data.schema import Schema
from chainrule.data.totals import Totals
from chainrule.engines.processes import gathered
from chainrule.errors import DataError, FileFormatError
from chainrule.nn import serialization
from chainrule.shapes import FLOAT32, INT64, Array

MOST_COUNTED = 20 * MOST_LEVELS  # values of a column that are counted at a time
EXACT: Final[dict[str, Callable[[list[Any]], Any]]] = {"low": min, "high": max, "indicator": any}
"""What encoders know of all rows, and how it is put together from what is known of some each."""
_COUNTED: Final = re.compile(r"x\d+")  # what columns without a header are called
MOST_SCALED = 1e30  # float32 holds it, and its square fits into float64


class Encoded(NamedTuple):
    """Rows as a network takes them.

    Attributes
    ----------
    X : (n, numbers + plain + categories) float32
        Scaled numbers, then numbers near 0 and 1, then category numbers.
    flags : dict of str to (n,) bool
        For each of :data:`chainrule.data.encoders.FLAGS`, the rows where a column raised it.
    """

    X: Array
    flags: dict[str, Array]


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """How a table becomes an array.

    Attributes
    ----------
    schema : Schema
    encoders : tuple of ColumnEncoder
        One for each column that is learned from.
    scaling : str
        A name of :data:`chainrule.data.scaling.SCALINGS`.
    state : dict of arrays
        What the scaling learned.
    """

    schema: Schema
    encoders: tuple[ColumnEncoder, ...]
    scaling: str
    state: State

    @classmethod
    def fit(cls, schema: Schema, frame: Frame, scaling: str = "robust") -> TableEncoder:
        """Learn from training rows.

        Raises
        ------
        DataError
            If no column is left to learn from, or the frame lacks one.

        Examples
        --------
        >>> from chainrule.data.frames import as_frame
        >>> from chainrule.data.schema import infer_schema
        >>> frame = as_frame({"x": [1.0, None, 3.0, 5.0], "kind": ["a", "b", "b", "a"]})
        >>> encoder = TableEncoder.fit(infer_schema(frame), frame)
        >>> encoder.encode(frame).X.tolist()
        [[-2.0, 0.0, 1.0], [0.0, 1.0, 2.0], [0.0, 0.0, 2.0], [2.0, 0.0, 1.0]]
        >>> encoder.encode(as_frame({"kind": ["c"], "x": [9.0]})).flags["unknown"].tolist()
        [True]
        """
        scaler = scaling_of(scaling)
        encoders = tuple([ENCODERS[spec.kind].fit(spec, frame[spec.name]) for spec in schema.used])
        if not encoders:
            reasons = "; ".join(f"{c.name}: {c.note or c.kind}" for c in schema.columns[:5])
            why = printable(reasons) or "there is none"
            raise DataError(f"no column is left to learn from ({why})")
        numbers = _joined([each.block(frame[each.name]) for each in encoders]).numbers
        return cls(schema, encoders, scaling, scaler.learn(numbers) if numbers.size else {})

    def refined(self, frames: Iterable[Frame], *, shared: bool = False) -> TableEncoder:
        """The encoder when it has learned from all training rows, of which it knows a sample.

        Categories, by how often they occur, ranges, whether values are missing, and means and
        deviations of standard scaling are those of all rows; what stands for a missing value and
        the other scalings stay those of the sample.

        Parameters
        ----------
        frames : iterable of Frame
            All training rows, in blocks.
        shared : bool
            Whether other processes have other rows, of which this one hears.
        """
        found = list(self.encoders)
        counts = {e.name: _Counts() for e in found if isinstance(e, CategoryEncoder)}
        relearn = scaling_of(self.scaling).relearn if self.state else None
        totals = Totals(self.state["center"]) if relearn else None
        for frame in frames:
            for place, each in enumerate(found):
                column = frame[each.name]
                used = column.used()[0] if isinstance(column, Factored) else column
                found[place] = each.widened(used)
                if each.name in counts:
                    counts[each.name].add(column)
            if totals is not None:
                totals.add(len(frame), self._counted_numbers(frame))
        if shared:
            found = _together(found, counts)
            if totals is not None:
                totals.replaced(gathered(totals.packed()))
        encoders = [
            CategoryEncoder.of_counts(e.name, *counts[e.name].sorted(), e.indicator)
            if isinstance(e, CategoryEncoder)
            else e
            for e in found
        ]
        state = relearn(totals, self.state) if relearn and totals else self.state
        return replace(self, encoders=tuple(encoders), state=state)

    def _counted_numbers(self, frame: Frame) -> list[tuple[Array, Array | None]]:
        """Of each column that is scaled its values before that, and how often each occurs."""
        found: list[tuple[Array, Array | None]] = []
        for each in self.encoders:
            if each.names[0]:
                column = frame[each.name]
                used, times = column.used() if isinstance(column, Factored) else (column, None)
                found += [(values, times) for values in each.encode(used).numbers.T]
        return found

    def encode(self, frame: Frame) -> Encoded:
        """The rows of a table that has the columns, in any order, and perhaps others.

        Raises
        ------
        DataError
            If a column is missing.
        """
        for each in self.encoders:
            if each.name not in frame:
                raise DataError(f"{frame.source}: {_lacking(each.name, frame.names)}")
        block = _joined([each.block(frame[each.name]) for each in self.encoders])
        scaled = block.numbers
        if scaled.size:
            with np.errstate(over="ignore"):
                scaled = scaling_of(self.scaling).apply(block.numbers, self.state)
        near = np.clip(scaled, -MOST_SCALED, MOST_SCALED)
        X = np.concatenate([near, block.plain, block.codes], axis=1).astype(FLOAT32)
        return Encoded(X, block.flags)

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns of the array are called."""
        pairs = [each.names for each in self.encoders]
        numbers = [name for pair in pairs for name in pair[0]]
        plain = [name for pair in pairs for name in pair[1]]
        return (*numbers, *plain, *[each.name for each in self.encoders if each.levels])

    @property
    def n_numbers(self) -> int:
        """How many columns of the array are scaled numbers: they come first."""
        return sum(len(each.names[0]) for each in self.encoders)

    @property
    def n_plain(self) -> int:
        """How many columns follow that are near 0 and 1 by nature."""
        return sum(len(each.names[1]) for each in self.encoders)

    @property
    def levels(self) -> tuple[int, ...]:
        """How many category numbers each of the last columns has."""
        return tuple([each.levels for each in self.encoders if each.levels])

    # As JSON and arrays

    def packed(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What a file holds."""
        return {
            "schema": self.schema.to_json(),
            "encoders": [serialization.encode(each) for each in self.encoders],
            "scaling": self.scaling,
        }, self.state

    @classmethod
    def unpacked(cls, facts: Mapping[str, Any], state: State) -> TableEncoder:
        """The encoder that :meth:`packed` took apart.

        Raises
        ------
        FileFormatError, UnknownNameError
            If its parts do not fit together.
        """
        encoders = tuple(
            [
                serialization.decode(_with_records(each), RECORDS, "column encoder")
                for each in facts["encoders"]
            ]
        )
        found = cls(Schema.from_json(facts["schema"]), encoders, facts["scaling"], dict(state))
        if [each.name for each in encoders] != [column.name for column in found.schema.used]:
            raise FileFormatError("its encoders are not those of its columns")
        nothing = [Column(e.name, texts([""]), np.ones(1, bool)) for e in encoders]
        row = found.encode(Frame("a row of nothing", tuple(nothing))).X
        fitting = all(each.shape[-1:] == (found.n_numbers,) for each in found.state.values())
        if not fitting or row.shape != (1, len(found.names)) or not np.isfinite(row).all():
            raise FileFormatError("its encoders or its scaling do not fit its columns")
        return found


def _with_records(described: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the records inside them made."""
    return {
        name: serialization.decode(value, RECORDS, "notation") if isinstance(value, dict) else value
        for name, value in described.items()
    }


def _together(found: list[ColumnEncoder], counts: dict[str, _Counts]) -> list[ColumnEncoder]:
    """The encoders when they have learned from the rows of all processes; ``counts`` too."""
    mine = [{name: getattr(e, name) for name in EXACT if hasattr(e, name)} for e in found]
    learned, times = zip(
        *gathered([mine, {n: dict(c.counts) for n, c in counts.items()}]), strict=True
    )
    for name, each in counts.items():
        each.counts = sum([Counter(part[name]) for part in times], Counter())
    return [
        replace(e, **{name: EXACT[name]([part[name] for part in parts]) for name in parts[0]})
        for e, parts in zip(found, zip(*learned, strict=True), strict=True)
    ]


class _Counts:
    """How often each value of a column occurs; of very many, the rare ones may be forgotten."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, column: Column) -> None:
        """Count the values of further rows."""
        values, times = counted(column)
        self.counts.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
        if len(self.counts) > MOST_COUNTED:
            self.counts = Counter(dict(self.counts.most_common(MOST_COUNTED // 2)))

    def sorted(self) -> tuple[Texts, Array]:
        """The values in sorted order, and how often each occurs."""
        values = np.array([*self.counts], dtype=TEXT)
        order, times = (
            np.argsort(values, kind="stable"),
            np.array([*self.counts.values()], np.int64),
        )
        return values[order], times[order]


def _joined(blocks: list[Block]) -> Block:
    flags = {
        name: np.any([block.flags[name] for block in blocks if name in block.flags], axis=0)
        if any(name in block.flags for block in blocks)
        else np.zeros(len(blocks[0].plain), bool)
        for name in FLAGS
    }
    parts = [np.concatenate([block[place] for block in blocks], axis=1) for place in range(3)]
    return Block(parts[0], parts[1], parts[2].astype(INT64), flags)


def _lacking(name: str, names: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; is it called {close[0]!r} here?" if close else ""
    if _COUNTED.fullmatch(name) and not any(map(_COUNTED.fullmatch, names)):
        hint = "; it was trained without a header: say that there is none here either (--no-header)"
    return f"the model needs the column {name!r}, which the table lacks{hint}"
