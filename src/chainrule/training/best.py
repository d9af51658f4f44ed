"""The best parameters of a training, each member's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from chainrule.shapes import Array

Leaves = Sequence[Array]
Rerun = Callable[[Leaves, range], Leaves]
"""``rerun(leaves, epochs)``: what those epochs make of the given carried values."""


class Best(NamedTuple):
    """The best parameters so far, each member's own.

    A call into an engine may run several epochs and gives the arrays after the last one only.
    Where the best epoch lies inside such a call, what the call started from is kept, and the
    epochs up to the best one are run again if its arrays are asked for: the same seed gives the
    same bits. Members do not depend on each other, so arrays from different calls can stand side
    by side.

    Attributes
    ----------
    values : (members,) float64
        The monitored number, smaller is better.
    epochs : (members,) int64
        When it was reached; -1 at the start.
    starts : (members,) int64
        The first epoch that has to be run again to come from ``leaves`` to the best arrays.
    leaves : sequence of arrays
        With a leading axis of members if there are any.
    """

    values: Array
    epochs: Array
    starts: Array
    leaves: Leaves

    @classmethod
    def at_start(cls, members: int, leaves: Leaves) -> Best:
        """What there is before the first epoch."""
        return cls(
            np.full(members, np.inf), np.full(members, -1), np.zeros(members, np.int64), leaves
        )

    def offered(self, values: Array, first: int, start: int, leaves: Leaves) -> Best:
        """The best of this and epochs from ``first`` on: they reached (epochs, members) ``values``.

        They can be run again from ``leaves``, at ``start``. This is a new record, so that an
        interruption finds the old one or the new one.
        """
        least = values.min(axis=0)
        better = np.asarray(least < self.values)
        if not better.any():
            return self
        return Best(
            np.where(better, least, self.values),
            np.where(better, first + values.argmin(axis=0), self.epochs),
            np.where(better, start, self.starts),
            mixed(better, leaves, self.leaves),
        )

    def with_leaves(self, count: int, carried: Leaves, rerun: Rerun) -> Best:
        """The same record for a training that keeps the first ``count`` of what is carried.

        Where nothing has to be run again, only parameters and states are kept.
        """
        if count == len(self.leaves):
            return self
        if count > len(self.leaves):  # whose rest is not asked for
            return self._replace(leaves=[*self.leaves, *carried[len(self.leaves) :]])
        return self._replace(leaves=self.collect(rerun)[:count], starts=self.epochs + 1)

    def collect(self, rerun: Rerun) -> Leaves:
        """The arrays of each member's best epoch."""
        found = self.leaves
        for start, epoch in dict.fromkeys(zip(self.starts, self.epochs, strict=True)):
            if start <= epoch:
                chosen = (self.starts == start) & (self.epochs == epoch)
                found = mixed(chosen, rerun(self.leaves, range(start, epoch + 1)), found)
        return found


def mixed(chosen: Array, new: Leaves, old: Leaves) -> Leaves:
    """``new`` arrays for the members that are chosen, ``old`` ones for the rest."""
    if chosen.all():
        return new
    if not chosen.any():
        return old
    return [
        np.where(chosen.reshape(-1, *(1,) * (np.ndim(n) - 1)), n, o)
        for n, o in zip(new, old, strict=True)
    ]
