"""What a picture is of: whether its numbers are finite, and whether its model was trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError, ParameterError


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


def require_function(found: Any, what: str) -> None:
    """Refuse what cannot be called; a model is asked for the method that is meant.

    Raises
    ------
    ParameterError
        If it is no function.
    """
    if not callable(found):
        kind = type(found).__name__
        method = f"; pass the {kind}'s method predict" if hasattr(found, "predict") else ""
        raise ParameterError(f"{what} is a function of points, and {kind} is none{method}")


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
    from chainrule.networks.network import Network, untrained  # the command line starts without

    owner = getattr(model, "__self__", model)
    as_drawn = isinstance(owner, Network) and untrained(owner)
    return " · ".join(filter(None, (title, "not trained yet" if as_drawn else "")))
