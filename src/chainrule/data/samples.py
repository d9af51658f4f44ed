"""Data sets drawn from a seed: small problems whose shape is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chainrule.errors import ParameterError

MOON_DISTANCE = (1.0, 0.5)  # of the second moon's centre from the first
HOUSES = (  # living area in square feet, beds, pool, price in thousands of dollars
    (2104, 3, 1, 400), (1600, 3, 0, 330), (2400, 3, 0, 369), (1416, 2, 0, 232), (3000, 4, 1, 540),
)  # fmt: skip

Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def house_prices() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Five houses of the lectures.

    Returns
    -------
    features : (5, 3) float64
        Living area in square feet, number of beds, 1 with a pool and 0 without.
    prices : (5,) float64
        In thousands of dollars.

    Examples
    --------
    >>> features, prices = house_prices()
    >>> features[0].tolist(), prices.mean().item()
    ([2104.0, 3.0, 1.0], 374.2)
    """
    table = np.array(HOUSES, dtype=np.float64)
    return table[:, :-1], table[:, -1]


def two_circles(n: int, *, factor: float = 0.5, noise: float = 0.05, seed: int = 0) -> Points:
    """A circle around a smaller one: a line cannot separate them, a circle does.

    Parameters
    ----------
    n : int
        Number of points, at least 2; half of them on each circle.
    factor : float
        Radius of the inner circle, more than 0 and less than 1; that of the outer one is 1.
    noise : float
        Standard deviation of the normal noise on both coordinates, at least 0.
    seed : int
        Non-negative; the same seed draws the same points (Philox, Salmon et al. 2011).

    Returns
    -------
    points : (n, 2) float64
    labels : (n,) int64
        0 for the outer circle, 1 for the inner; they alternate.

    Raises
    ------
    ParameterError
        If a number is outside its range.

    Examples
    --------
    >>> points, labels = two_circles(4, noise=0.0, seed=1)
    >>> np.hypot(*points.T).round(12), labels.tolist()
    (array([1. , 0.5, 1. , 0.5]), [0, 1, 0, 1])
    """
    if not 0 < factor < 1:
        raise ParameterError(f"two_circles: factor must be between 0 and 1, got {factor}")
    draw = _checked("two_circles", n, noise, seed)
    labels, angles = np.arange(n) % 2, 2 * np.pi * draw.random(n)
    radius = np.where(labels == 0, 1.0, factor)[:, None]
    points = radius * np.column_stack([np.cos(angles), np.sin(angles)])
    return points + noise * draw.standard_normal((n, 2)), labels


def two_moons(n: int, *, noise: float = 0.1, seed: int = 0) -> Points:
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
    draw = _checked("two_moons", n, noise, seed)
    labels = np.arange(n) % 2
    angles = np.pi * draw.random(n)
    upper = np.column_stack([np.cos(angles), np.sin(angles)])
    points = np.where(labels[:, None] == 0, upper, MOON_DISTANCE - upper)
    return points + noise * draw.standard_normal((n, 2)), labels


def _checked(name: str, n: int, noise: float, seed: int) -> np.random.Generator:
    """The generator of a data set, once its numbers are in their ranges."""
    if n < 2:
        raise ParameterError(f"{name}: n must be at least 2, got {n}")
    if not 0 <= noise < np.inf:
        raise ParameterError(f"{name}: noise must be finite and at least 0, got {noise}")
    if seed < 0:
        raise ParameterError(f"{name}: seed must be at least 0, got {seed}")
    return np.random.Generator(np.random.Philox(seed))
