"""The weights of rows, as people give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from chainrule.errors import DataError
from chainrule.shapes import Array, Dtype
from chainrule.training.data import as_weights


def weights_from(sample_weight: Any, rows: int, dtype: Dtype) -> Array:
    """The weight of each row, from one for each or one for all."""
    given = np.asarray(sample_weight, np.float64)
    if given.size and not given.any():
        raise DataError("the sample weights are all zero; nothing can be learned or measured")
    return as_weights(np.full(rows, given) if given.ndim == 0 else given, rows, dtype)


def class_factors(class_weight: Any, y: Any, weights: Array | None) -> Array | None:
    """A factor on the weight of each row by its class; None for none.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    y : (n,) labels, or (n, labels) of 0 and 1
        Of several labels the factors are multiplied.
    weights : (n,) array or None
        Balanced classes have equal sums of weights times factors.
    """
    if class_weight is None:
        return None
    labels = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return np.asarray(compute_sample_weight(class_weight, labels))
    labels = labels.ravel()
    counted = slice(None) if weights is None else weights > 0
    classes, places = np.unique(labels[counted], return_inverse=True)
    found = compute_class_weight(
        class_weight,
        classes=classes,
        y=labels[counted],
        sample_weight=None if weights is None else weights[counted],
    )
    factors = np.ones(len(labels))
    factors[counted] = found[places]
    return factors


def weighted(weights: Array | None, factors: Array | None) -> Array | None:
    """Weights times factors, where there are any."""
    if weights is None or factors is None:
        return factors if weights is None else weights
    return weights * factors
