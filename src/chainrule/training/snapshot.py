"""All arrays of a network at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.tree import map_tree
from chainrule.shapes import Array

Tree = dict[str, dict[str, Array]]
"""Arrays by the name of their layer, and by their own."""


class Snapshot(NamedTuple):
    """Parameters and states, which belong together.

    Attributes
    ----------
    parameters, states : dict of dict of arrays
        By layer and name; with a leading axis of members if there are any.
    members : int or None
        How many networks these are; None for a single one.
    """

    parameters: Tree
    states: Tree
    members: int | None = None

    @property
    def leaves(self) -> list[Array]:
        """All arrays, parameters first."""
        layers = (*self.parameters.values(), *self.states.values())
        return [array for arrays in layers for array in arrays.values()]  # in `flatten`'s order

    def member(self, index: int) -> Snapshot:
        """One of the members, as a single network; a single network is its own only member."""
        if self.members is None:
            return self
        return Snapshot(*map_tree(lambda leaf: leaf[index], [self.parameters, self.states]))

    @classmethod
    def of_members(cls, singles: Sequence[Snapshot]) -> Snapshot:
        """Single networks side by side, along a new leading axis."""
        both: list[Any] = [[each.parameters, each.states] for each in singles]
        parameters, states = map_tree(lambda *leaves: np.stack(leaves), *both)
        return cls(parameters, states, len(singles))


def finite_members(leaves: Sequence[Array], members: int | None) -> Array:
    """For each member, whether all of its numbers are finite: (members,) bool."""
    count = members or 1
    found = np.ones(count, np.bool_)
    for leaf in leaves:
        if leaf.dtype.kind == "f":
            found &= np.isfinite(leaf.reshape(count, -1)).all(axis=1)
    return found
