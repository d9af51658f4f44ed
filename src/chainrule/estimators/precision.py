"""What a training computes in: as many digits as can change what is learned, and no more."""

from __future__ import annotations

from typing import Any

from chainrule.shapes import FLOAT32, Array, Dtype

LARGEST = 2.0**20  # beyond it float32 keeps fewer than four binary digits after the point
BLOCK_BYTES = 2**18  # of rows that are looked at while they are in the cache
FEWEST = 1000  # rows: where there are fewer, a training takes no time worth saving
BATCH = 200  # rows, where batch_size is "auto"


def of_training(estimator: Any, X: Any, y: Array, dtype: Dtype) -> Dtype:
    """The element type in which ``fit`` moves weights.

    A thousand float64 rows or more that are shuffled into batches are learned in float32: their
    order is left to chance, and so is what is learned, in either type. All else is computed in the
    type of the rows: few rows; trainings without chance, which agree with scikit-learn's step by
    step; L-BFGS, whose line search needs the digits; and numbers that float32 would cut short.

    Parameters
    ----------
    estimator : Multilayer
    X : (n, features) array or sparse matrix
    y : (n, k) float64, or (n,) labels
    dtype : element type
        What was asked for, or that of the rows.
    """
    by_chance = estimator.solver != "lbfgs" and estimator.shuffle
    batch = BATCH if estimator.batch_size == "auto" else estimator.batch_size
    if estimator.dtype is not None or not by_chance or len(y) <= max(batch, FEWEST - 1):
        return dtype
    values = X.data if hasattr(X, "toarray") else X
    return FLOAT32 if all(map(_is_moderate, (values, y))) else dtype


def _is_moderate(values: Array) -> bool:
    """Whether float32 holds values and the sums of their squares with digits to spare.

    >>> import numpy as np
    >>> _is_moderate(np.array([-3.0, 1e5])), _is_moderate(np.array([-1e7]))
    (True, False)
    """
    step = max(1, BLOCK_BYTES // max(1, values[:1].nbytes))
    blocks = (values[low : low + step] for low in range(0, len(values), step))
    return all(max(each.max(initial=0), -each.min(initial=0)) <= LARGEST for each in blocks)
