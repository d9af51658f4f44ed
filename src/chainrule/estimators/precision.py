"""What a training computes in: as many digits as can change what is learned, and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite

from chainrule.estimators.passes import by_threads
from chainrule.estimators.sparse import features
from chainrule.shapes import FLOAT32, Dtype

LARGEST = 2.0**20  # beyond it float32 keeps fewer than four binary digits after the point
BLOCK_BYTES = 2**20  # of rows that are looked at while they are in the cache
FEWEST = 1000  # rows: where there are fewer, a training takes no time worth saving
BATCH = 200  # rows, where batch_size is "auto"
# Settings whose effect float32 keeps: a smaller rate moves no weight, the square of a smaller
# epsilon is nothing, and greater ones overflow.
_RANGES = {
    "learning_rate_init": (1 / LARGEST, LARGEST),
    "alpha": (0.0, LARGEST),
    "epsilon": (2.0**-60, LARGEST),
}


def as_trained(
    estimator: Any,
    rows: Sequence[Any],
    held_out: Sequence[Any] | None,
    dtype: Dtype,
    *,
    goes_on: bool,
    begins: bool,
) -> tuple[Dtype, list[Any], list[Any] | None]:
    """The element type in which ``fit`` moves weights, and its rows in that type.

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
        Features, targets or labels, and weights if there are any.
    held_out : the same of validation rows, or None
    dtype : element type
        What was asked for, or that of the rows.
    goes_on : bool
        Whether the training goes on from an earlier call, in ``training_dtype_``.
    begins : bool
        Whether it begins with the first of many parts, whatever they will be.

    Raises
    ------
    ValueError
        scikit-learn's, where a feature is NaN or infinite: they are looked at here, at once.
    """
    few = not begins and dtype != FLOAT32 and _may_be_short(estimator, rows[0].shape[0], goes_on)
    short = _cast(rows, FLOAT32, shortened) if few else [None]
    held_short = _cast(held_out or (), FLOAT32, shortened) if few else []
    if all(each is not None for each in (*short, *held_short)):
        return FLOAT32, short, None if held_out is None else held_short
    assert_all_finite(rows[0], estimator_name=type(estimator).__name__, input_name="X")
    held = None if held_out is None else _cast(held_out, dtype, features)
    return dtype, _cast(rows, dtype, features), held


def _cast(rows: Sequence[Any], dtype: Dtype, cast: Callable[[Any, Dtype], Any]) -> list[Any]:
    """Rows as the graph takes them: labels, a column of integers, stay what they are."""
    return [x if x.ndim == 1 and x.dtype.kind != "f" else cast(x, dtype) for x in rows]


def _may_be_short(estimator: Any, rows: int, goes_on: bool) -> bool:
    """Whether few digits suffice for all that is known before numbers are looked at."""
    before = getattr(estimator, "training_dtype_", None) if goes_on else None
    few = _may_be_few(estimator, rows) if before is None else before == FLOAT32
    settings = all(low <= getattr(estimator, n) <= high for n, (low, high) in _RANGES.items())
    return estimator.dtype is None and few and settings


def _may_be_few(estimator: Any, rows: int) -> bool:
    """Whether few digits suffice for a training that begins: chance decides what it learns."""
    by_chance = estimator.solver != "lbfgs" and estimator.shuffle
    batch = BATCH if estimator.batch_size == "auto" else estimator.batch_size
    return by_chance and rows > max(batch, FEWEST - 1)


def shortened(x: Any, dtype: Dtype) -> Any:
    """Rows in a shorter type; None if it does not hold them and the sums of their squares well.

    They are looked at while they are copied: one pass over large arrays instead of three.

    >>> import numpy as np
    >>> cases = [-3.0, 1e5], [-1e7, 1.0], [1e-20, np.nan], [0.0]
    >>> [shortened(np.array(case), np.dtype("float32")) for case in cases]
    [array([-3.e+00,  1.e+05], dtype=float32), None, None, array([0.], dtype=float32)]
    """
    sparse = hasattr(x, "toarray")
    values = x.data if sparse else x
    short = np.empty(values.shape, dtype)
    step = max(1, BLOCK_BYTES // max(1, values[:1].nbytes))

    def copy(part: slice) -> float:
        found, source, target = 0.0, values[part], short[part]
        for low in range(0, len(source), step):
            block = target[low : low + step]
            with np.errstate(over="ignore"):
                block[...] = source[low : low + step]
            found = np.max([found, block.max(initial=0), -block.min(initial=0)])
            if not found <= LARGEST:
                break
        return float(found)

    size = np.max(by_threads(copy, values))
    nothing = size == 0 and not values.any()  # numbers that are too small for the type are 0 there
    if not (nothing or 1 / LARGEST <= size <= LARGEST):
        return None
    return features(x, dtype) if sparse else short
