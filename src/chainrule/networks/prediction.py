"""Predictions for rows of one kind, prepared once: most of a call for one row is Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from chainrule.engines.base import array_kind
from chainrule.nn.base import Layer
from chainrule.shapes import Array
from chainrule.training.data import all_finite

KEPT = 16  # kinds of rows


class Held(NamedTuple):
    """A layer's attributes, and the mappings of arrays that were among them at some time.

    Whenever an array is replaced, so is its mapping.
    """

    attributes: dict[str, Any]
    values: Mapping[str, Array]
    state: Mapping[str, Array]

    @classmethod
    def by(cls, layers: Sequence[Layer]) -> list[Held]:
        """What layers have at this time."""
        return [cls(vars(layer), layer.values, layer.state) for layer in layers]


class Prediction(NamedTuple):
    """What a network gives for plain arrays of one type and shape, while it keeps its arrays.

    Attributes
    ----------
    held : list of Held
        From before the arrays of ``run`` were read.
    check : callable
        Refuses rows that the first layer cannot take.
    run : callable
        Rows in, a list with their output out.
    """

    held: list[Held]
    check: Callable[[Array], None]
    run: Callable[[Any], list[Array]]


def prepared(known: Mapping[Any, Prediction], X: Any, *settings: Any) -> Prediction | None:
    """The prediction for arrays like ``X``, if there is one and it still holds.

    Needs no lock: while another thread publishes, some mappings are others.

    Parameters
    ----------
    known : dict of predictions by the kind of their rows and their settings
    X : object
        What ``predict`` was given.
    *settings
        What else it was given.

    Raises
    ------
    DataError
        If the first layer cannot take ``X``.
    """
    try:
        found = known.get((array_kind(X), *settings))
    except (AttributeError, TypeError):  # no array, or something that has no hash
        return None
    if found is None:
        return None
    for attributes, values, state in found.held:
        if attributes["values"] is not values or attributes["state"] is not state:
            return None
    if not all_finite(X):
        return None
    found.check(X)
    return found
