"""Rows to train on and rows to hold out, drawn by a seed."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError, ParameterError, ShapeError

Rows: TypeAlias = npt.NDArray[np.int64]


def split(
    n: int, fraction: float, seed: int, *, stratify: npt.ArrayLike | None = None
) -> tuple[Rows, Rows]:
    """Draw which of ``n`` rows to train on and which to hold out.

    Parameters
    ----------
    n : int
        Number of rows, at least 2.
    fraction : float
        Share of the rows to hold out, in (0, 1); rounded to whole rows, at least one on each side.
    seed : int
        Non-negative; the same seed draws the same rows (the Philox generator of Salmon et al.,
        "Parallel random numbers: as easy as 1, 2, 3", 2011).
    stratify : (n,) array-like of labels, optional
        Hold out the same share of each class, but leave each at least one row to train on; the
        shares agree within one row unless a class is too small for that.

    Returns
    -------
    train, held_out : (n_train,) and (n_held_out,) int64
        Indices, every row in exactly one of the two, in random order.

    Raises
    ------
    ParameterError
        If ``fraction`` or ``seed`` is outside its range.
    DataError
        If there are fewer than two rows, or too few for every class to stay among the training
        rows.
    ShapeError
        If ``stratify`` does not hold one label for each row.

    Examples
    --------
    >>> train, held_out = split(8, 0.25, seed=0, stratify=list("aaaabbbb"))
    >>> sorted("aaaabbbb"[row] for row in held_out)
    ['a', 'b']
    """
    if not 0 < fraction < 1:
        raise ParameterError(f"fraction must lie between 0 and 1, both excluded, got {fraction}")
    if seed < 0:
        raise ParameterError(f"seed must be at least 0, got {seed}")
    if n < 2:
        raise DataError(f"cannot split {n} rows in two parts; at least 2 are needed")
    n_held_out = min(max(round(n * fraction), 1), n - 1)
    draw = np.random.Generator(np.random.Philox(seed)).permutation(n)
    turns = np.arange(n) if stratify is None else _turns(np.asarray(stratify), draw, n_held_out)
    held_out = np.zeros(n, dtype=bool)
    held_out[np.argsort(turns, kind="stable")[:n_held_out]] = True
    return draw[~held_out], draw[held_out]


def _turns(labels: npt.NDArray[np.generic], draw: Rows, n_held_out: int) -> npt.NDArray[np.float64]:
    """When each drawn row is to be held out: a class of c rows at 1/2c, 3/2c, ..., its last last.

    Taking rows by these turns takes from every class in proportion to its size.
    """
    if labels.shape != draw.shape:
        raise ShapeError(f"stratify has shape {labels.shape} but there are {len(draw)} rows")
    _, classes, counts = np.unique(labels[draw], return_inverse=True, return_counts=True)
    if n_held_out > len(draw) - len(counts):
        raise DataError(
            f"cannot hold out {n_held_out} of {len(draw)} rows and still train on each of "
            f"{len(counts)} classes; hold out a smaller fraction or do not stratify"
        )
    by_class = np.argsort(classes, kind="stable")
    place = np.empty(len(draw))
    place[by_class] = np.arange(len(draw)) - np.repeat(np.cumsum(counts) - counts, counts)
    size = counts[classes]
    turns: npt.NDArray[np.float64] = (place + 0.5) / size + (place == size - 1)
    return turns
