"""Some rows of a table that is read in blocks: which test, which are held out, and a sample.

What is drawn decides, so that memory is bounded and any number of processes keeps the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from chainrule.data.factored import joined
from chainrule.data.frames import Frame
from chainrule.data.gathering import packed_frame, unpacked_frame
from chainrule.errors import DataError
from chainrule.estimators.table_drawing import Rule, drawn
from chainrule.estimators.table_repeats import are_of_counts
from chainrule.estimators.table_roles import Roles
from chainrule.shapes import INT64, Array

SAMPLE_ROWS: Final = 2**16  # quantiles of so many are right to 0.2 % of the rows
HELD_OUT_ROWS: Final = 2**14  # that choose the epoch, at most
TEST_ROWS: Final = 2**16  # at most
SPARE: Final = 4  # times the rows that are kept, before those of the highest draws are let go


class Kept:
    """The rows of the lowest draws, at most so many; rows of one draw are together.

    Of a draw that more rows have, the first are kept, if it is the lowest.

    Parameters
    ----------
    most : int
    low, high : float
        Draws that count lie from ``low`` to below ``high``.
    """

    def __init__(self, most: int, low: float, high: float) -> None:
        self.most, self.low, self.high = most, low, high
        self._parts: list[tuple[Frame, Array, Array]] = []
        self._let_go: Counter[float] = Counter()  # rows by their draw

    def offer(self, frame: Frame, draws: Array, numbers: Array) -> None:
        """Keep those rows of a frame that are among the lowest so far."""
        chosen = self.holds(draws)
        if chosen.any():
            self._parts.append((frame.rows(chosen), draws[chosen], numbers[chosen]))
        if sum(len(part) for _, part, _ in self._parts) > SPARE * self.most:
            self._prune()

    def holds(self, draws: Array) -> Array:
        """Which draws count."""
        found: Array = (draws >= self.low) & (draws < self.high)
        return found

    def _prune(self) -> None:
        """Let the rows of the highest draws go, before the others are joined: that is slow."""
        if len(self._parts) == 1 and len(self._parts[0][1]) <= self.most:
            return
        draws, numbers = (
            np.concatenate(each) for each in zip(*[part[1:] for part in self._parts], strict=True)
        )
        if len(draws) > self.most:
            lowest, beyond = np.partition(draws, [0, self.most])[[0, self.most]].tolist()
            self.high = max(beyond, math.nextafter(lowest, 1.0))
            fitting = np.flatnonzero(draws < self.high)
            first = np.argsort(numbers[fitting])
            self._let_go.update(draws[fitting[first[self.most :]]].tolist())
            chosen = np.zeros(len(draws), bool)
            chosen[fitting[first[: self.most]]] = True
            self._choose(chosen)
        self._parts = [self._together()]

    def _choose(self, chosen: Array) -> None:
        """Let go all rows but some, of all parts one behind the other."""
        ends = np.cumsum([len(draws) for _, draws, _ in self._parts])
        self._parts = [
            (frame.rows(mine), draws[mine], numbers[mine])
            for mine, (frame, draws, numbers) in zip(
                np.split(chosen, ends[:-1]), self._parts, strict=True
            )
        ]

    @property
    def count(self) -> int:
        """How many rows count: those kept, and those of the only draw that were too many."""
        if self._parts:
            self._prune()
        kept = sum(len(draws) for _, draws, _ in self._parts)
        return kept + sum(n for draw, n in self._let_go.items() if self.low <= draw < self.high)

    def _together(self) -> tuple[Frame, Array, Array]:
        frames, draws, numbers = zip(*self._parts, strict=True)
        return joined(frames), np.concatenate(draws), np.concatenate(numbers)

    def packed(self) -> list[Any]:
        """What was kept, as JSON can say it."""
        if not self._parts:
            return [self.high, {}]
        self._prune()
        frame, draws, numbers = self._together()
        gone = {draw.hex(): many for draw, many in self._let_go.items()}
        return [self.high, gone, packed_frame(frame), draws.tolist(), numbers.tolist()]

    def replaced(self, parts: Sequence[Sequence[Any]]) -> None:
        """Have what all processes have kept; of each of them only what all would keep."""
        self._parts, self.high = [], min(high for high, *_ in parts)
        self._let_go = Counter()
        for _, gone, *kept in parts:
            self._let_go.update({float.fromhex(draw): many for draw, many in gone.items()})
            if kept:
                frame, draws, numbers = kept
                self.offer(unpacked_frame(frame), np.array(draws), np.array(numbers, INT64))

    def rows(self, like: Frame) -> Frame:
        """What was kept, in the order of the table; no rows of ``like`` if there is nothing."""
        if not self._parts:
            return like.rows(slice(0, 0))
        self._prune()
        frame, _, numbers = self._together()
        return frame.rows(np.argsort(numbers))


class Division:
    """Rows that test, that are held out and that are trained on, of which some are kept.

    Parameters
    ----------
    rule : callable
        What rows draw, as :func:`by_row`.
    seed : int
    tested, held : float
        Rows with draws below these test, or are held out.
    roles : Roles
    apart : float
        Rows with draws below this are not trained on where more test or are held out than are kept;
        others then are.

    Attributes
    ----------
    kinds : tuple of Kept
        Rows that test, that are held out, and a sample of the others.
    offered : int
        Rows that were looked at.
    """

    def __init__(
        self, rule: Rule, seed: int, tested: float, held: float, roles: Roles, apart: float = 0.0
    ) -> None:
        self.rule, self._seed, self._roles = rule, seed, roles
        self.kinds = (
            Kept(TEST_ROWS, 0.0, tested), Kept(HELD_OUT_ROWS, tested, held),
            Kept(SAMPLE_ROWS, 0.0, 1.0),
        )  # fmt: skip
        self._shares = tested, held - tested
        self._trained_from, self._apart = held, apart
        self.offered = self._left_out = 0

    def _draws(self, rows: Frame, numbers: Array) -> Array:
        return self.rule(self._seed, numbers, self._roles.content(rows))

    def offer(self, rows: Frame, numbers: Array) -> None:
        """Look at further rows."""
        draws = self._draws(rows, numbers)
        for kept in self.kinds[:2]:
            kept.offer(rows, draws, numbers)
        rest = draws >= self._trained_from
        self.kinds[2].offer(rows.rows(rest), drawn(self._seed, numbers[rest]), numbers[rest])
        self.offered += len(rows)
        self._left_out += int((~(draws >= self._apart)).sum())

    @property
    def learned_from(self) -> int:
        """How many of the rows that were looked at are trained on."""
        beside = [kept.count for kept in self.kinds[:2] if kept.low >= self._apart]
        return self.offered - self._left_out - sum(beside)

    def sets_apart(self, rows: Frame, numbers: Array) -> Array:
        """Which rows are not trained on, (n,) bool."""
        draws = self._draws(rows, numbers)
        found: Array = self.kinds[0].holds(draws) | self.kinds[1].holds(draws)
        return found | ~(draws >= self._apart)

    def repeats(self, like: Frame) -> bool:
        """Whether rows repeat by nature, as those that are held out say, or else those that test.

        Parameters
        ----------
        like : Frame
        """
        rows = next((kept for kept in self.kinds[1::-1] if kept.count), self.kinds[2]).rows(like)
        features = self._roles.features(self._roles.content(rows))
        return are_of_counts([*features.columns, rows[self._roles.target]])

    def require_groups(self, source: str) -> None:
        """Refuse groups of which none is among those that test or are held out.

        Raises
        ------
        DataError
            With their column.
        """
        for kept, wanted in zip(self.kinds[:2], self._shares, strict=True):
            if self._roles.group is not None and wanted and not kept.count:
                raise DataError(
                    f"{source}: column {self._roles.group!r} has so few groups that none of them"
                    f" is among the {wanted:.0%} that are held out; try a larger share, or another"
                    " seed"
                )

    def packed(self) -> list[Any]:
        """What was counted and kept, as JSON can say it."""
        return [self.offered, self._left_out, *[kept.packed() for kept in self.kinds]]

    def replaced(self, parts: Sequence[Sequence[Any]]) -> None:
        """Have what all processes have counted and kept."""
        offered, left_out, *kinds = zip(*parts, strict=True)
        self.offered, self._left_out = sum(offered), sum(left_out)
        for kept, each in zip(self.kinds, kinds, strict=True):
            kept.replaced(each)
