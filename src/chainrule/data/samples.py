"""Data sets drawn from a seed: small problems whose shape is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chainrule.errors import ParameterError

MOON_DISTANCE = (1.0, 0.5)  # of the second moon's centre from the first


def two_moons(
    n: int, *, noise: float = 0.1, seed: int = 0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Two half circles that reach into each other: no line separates them.

    Parameters
    ----------
    n : int
        Number of points, at least 2; half of them in each moon.
    noise : float
        Standard deviation of the normal noise on both coordinates, at least 0.
    seed : int
        Non-negative; the same seed draws the same points (Philox, Salmon et al. 2011).

    Returns
    -------
    points : (n, 2) float64
    labels : (n,) int64
        0 for the upper moon, 1 for the lower; they alternate.

    Raises
    ------
    ParameterError
        If a number is outside its range.

    Examples
    --------
    >>> points, labels = two_moons(4, noise=0.0, seed=1)
    >>> np.round(np.hypot(*points[0]), 12).item(), labels.tolist()
    (1.0, [0, 1, 0, 1])
    """
    if n < 2:
        raise ParameterError(f"two_moons: n must be at least 2, got {n}")
    if not 0 <= noise < np.inf:
        raise ParameterError(f"two_moons: noise must be finite and at least 0, got {noise}")
    if seed < 0:
        raise ParameterError(f"two_moons: seed must be at least 0, got {seed}")
    draw = np.random.Generator(np.random.Philox(seed))
    labels = np.arange(n) % 2
    angles = np.pi * draw.random(n)
    upper = np.column_stack([np.cos(angles), np.sin(angles)])
    points = np.where(labels[:, None] == 0, upper, MOON_DISTANCE - upper)
    return points + noise * draw.standard_normal((n, 2)), labels
