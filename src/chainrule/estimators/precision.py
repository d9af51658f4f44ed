"""What a training computes in: as many digits as can change what is learned, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.estimators.passes import by_threads
from chainrule.shapes import FLOAT32, Array, Dtype

LARGEST = 2.0**20  # beyond it float32 keeps fewer than four binary digits after the point
BLOCK_BYTES = 2**18  # of rows that are looked at while they are in the cache
FEWEST = 1000  # rows: where there are fewer, a training takes no time worth saving
BATCH = 200  # rows, where batch_size is "auto"
# Settings whose effect float32 keeps: a smaller rate moves no weight, the square of a smaller
# epsilon is nothing, and greater ones overflow.
_RANGES = {
    "learning_rate_init": (1 / LARGEST, LARGEST),
    "alpha": (0.0, LARGEST),
    "epsilon": (2.0**-60, LARGEST),
}


def of_training(estimator: Any, rows: Sequence[Any], dtype: Dtype, goes_on: bool) -> Dtype:
    """The element type in which ``fit`` moves weights.

    A thousand float64 rows or more that are shuffled into batches are learned in float32: their
    order is left to chance, and so is what is learned, in either type. All else is computed in the
    type of the rows: few rows; trainings without chance, which agree with scikit-learn's step by
    step; L-BFGS, whose line search needs the digits; and numbers or settings that float32 would cut
    short. A training that goes on does so in the type in which it began, unless numbers come that
    need more digits: then it keeps those.

    Parameters
    ----------
    estimator : Multilayer
    rows : sequence of arrays or sparse matrices
        Features, targets or labels, and weights if there are any; the same of validation rows.
    dtype : element type
        What was asked for, or that of the rows.
    goes_on : bool
        Whether the training goes on from an earlier call, in ``training_dtype_``.
    """
    before = getattr(estimator, "training_dtype_", None) if goes_on else None
    few = _may_be_few(estimator, rows[0].shape[0]) if before is None else before == FLOAT32
    if estimator.dtype is not None or dtype == FLOAT32 or not few:
        return dtype
    settings = all(low <= getattr(estimator, n) <= high for n, (low, high) in _RANGES.items())
    values = (each.data if hasattr(each, "toarray") else each for each in rows)
    return FLOAT32 if settings and all(map(_is_moderate, values)) else dtype


def _may_be_few(estimator: Any, rows: int) -> bool:
    """Whether few digits suffice for a training that begins: chance decides what it learns."""
    by_chance = estimator.solver != "lbfgs" and estimator.shuffle
    batch = BATCH if estimator.batch_size == "auto" else estimator.batch_size
    return by_chance and rows > max(batch, FEWEST - 1)


def _is_moderate(values: Array) -> bool:
    """Whether float32 holds values and the sums of their squares with digits to spare.

    >>> import numpy as np
    >>> [_is_moderate(np.array(each)) for each in ([-3.0, 1e5], [-1e7, 1.0], [1e-20, 0.0], [0.0])]
    [True, False, False, True]
    """
    step = max(1, BLOCK_BYTES // max(1, values[:1].nbytes))

    def largest(part: slice) -> float:
        found, rows = 0.0, values[part]
        for low in range(0, len(rows), step):
            block = rows[low : low + step]
            found = max(found, float(block.max(initial=0)), -float(block.min(initial=0)))
            if found > LARGEST:
                break
        return found

    size = max(by_threads(largest, values))
    return size == 0 or 1 / LARGEST <= size <= LARGEST
