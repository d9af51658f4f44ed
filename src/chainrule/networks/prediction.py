"""Predictions for rows of one kind, prepared once: most of a call for one row is Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt

from chainrule.engines.base import EngineChoice, Finite, array_kind
from chainrule.networks.architecture import Architecture
from chainrule.nn.base import Layer
from chainrule.shapes import Array
from chainrule.training.data import all_finite
from chainrule.training.evaluation import BLOCK_ROWS, Evaluator
from chainrule.training.snapshot import Snapshot

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


def check_of(layer: Layer) -> Callable[[Array], None] | None:
    """How a first layer refuses rows; None if it takes all that are finite."""
    return None if type(layer).check_rows is Layer.check_rows else layer.check_rows


def outputs(
    architecture: Architecture,
    evaluate: Evaluator,
    snapshot: Snapshot,
    X: npt.ArrayLike,
    engine: EngineChoice,
) -> tuple[Array, Array]:
    """``X`` as rows, and what comes of them; many are looked at where they are computed with.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If ``X`` is not what the network takes.
    """
    if _lies_ready(X, architecture) and len(X) > BLOCK_ROWS:
        found = evaluate.many(snapshot, X, engine, finite=True)
        if found is not None:
            return X, found
    rows = architecture.as_rows(X, fewest=0)
    return rows, evaluate(snapshot, [rows], engine)[0]


def _lies_ready(X: Any, architecture: Architecture) -> TypeGuard[Array]:
    """Whether ``X`` can be read as rows where it lies, if its numbers are finite."""
    return (
        type(X) is np.ndarray
        and X.dtype == architecture.dtype
        and X.flags.c_contiguous
        and X.ndim > 1
        and architecture.input_shape in (None, X.shape[1:])
        and check_of(architecture.layers[0]) is None
    )


class Prediction(NamedTuple):
    """What a network gives for plain arrays of one type and shape, while it keeps its arrays.

    Attributes
    ----------
    held : list of Held
        From before the arrays of ``run`` were read.
    check : callable, optional
        Refuses rows that the first layer cannot take, if there are any.
    run : callable
        Rows in, a list with their output out; None if the rows need a closer look.
    """

    held: list[Held]
    check: Callable[[Array], None] | None
    run: Finite


def prepared(
    known: Mapping[Any, Prediction], X: Any, members: str | None, engine: EngineChoice
) -> Prediction | None:
    """The prediction for arrays like ``X``, if there is one and it still holds.

    Needs no lock: while another thread publishes, some mappings are others.

    Parameters
    ----------
    known : dict of predictions by the kind of their rows and their settings
    X, members, engine
        What ``predict`` was given.

    Raises
    ------
    DataError
        If the first layer cannot take ``X``.
    """
    try:
        found = known.get((array_kind(X), members, engine))
    except (AttributeError, TypeError):  # no array, or something that has no hash
        return None
    if found is None:
        return None
    for attributes, values, state in found.held:
        if attributes["values"] is not values or attributes["state"] is not state:
            return None
    if found.check is not None:
        if not all_finite(X):
            return None
        found.check(X)
    return found
