"""How far two results lie apart, in the unit that tells whether it matters."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def relative_error(found: npt.ArrayLike, true: npt.ArrayLike) -> float:
    """The greatest difference of two arrays, over the greatest size of the true one.

    Parameters
    ----------
    found, true : arrays of one shape

    Examples
    --------
    >>> relative_error([1.0, 4.1], [1.0, 4.0]).__round__(6)
    0.025
    """
    wanted = np.asarray(true, dtype=np.float64)
    difference = float(np.abs(np.asarray(found, dtype=np.float64) - wanted).max())
    size = float(np.abs(wanted).max())
    if not size:
        return math.inf if difference else 0.0
    return difference / size


def standard_errors(draws: npt.ArrayLike, expected: float) -> float:
    """How many standard errors the mean of independent draws lies from what it should be.

    Parameters
    ----------
    draws : array of at least 2 numbers
    expected : float

    Examples
    --------
    >>> standard_errors([1.0, 3.0], expected=1.0)
    1.0
    """
    drawn = np.asarray(draws, dtype=np.float64).ravel()
    return float(abs(drawn.mean() - expected) / (drawn.std(ddof=1) / np.sqrt(drawn.size)))
