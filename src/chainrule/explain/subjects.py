"""What a picture is of: whether its numbers are finite, and whether its model was trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError


def require_finite(
    values: npt.ArrayLike, what: str, remedy: str = "leave out those rows, or fill them in"
) -> None:
    """Refuse numbers of which no honest picture could be drawn.

    Raises
    ------
    DataError
        If one is NaN or infinite.
    """
    if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
        raise DataError(f"{what} hold NaN or infinity; {remedy}")


def titled(title: str, model: Any) -> str:
    """The title, and that the network's parameters are those it was made with, where that is so.

    Parameters
    ----------
    title : str
    model : object
        A network, or a method of one; of anything else it is not known.

    Examples
    --------
    >>> from chainrule.nn import Linear, Network
    >>> titled("The fit", Network([Linear(1, 1)], seed=0).predict)
    'The fit · not trained yet'
    """
    owner = getattr(model, "__self__", model)
    untrained = "not trained yet" if getattr(owner, "untrained", False) else ""
    return " · ".join(filter(None, (title, untrained)))
