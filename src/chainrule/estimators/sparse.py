"""Sparse rows that would take much memory as dense ones: they are made dense a part at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.estimators.passes import contiguous
from chainrule.shapes import Array, Dtype

DENSE_BYTES = 2**27  # what sparse rows may take when they are made dense all at once
PART_BYTES = 2**25  # and a part of them


class SparseRows:
    """A matrix of SciPy's, whose rows are dense arrays when they are asked for.

    Parameters
    ----------
    matrix : CSR matrix or array

    Attributes
    ----------
    shape : tuple of int
    dtype : element type
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        self.shape: tuple[int, ...] = matrix.shape
        self.dtype: Dtype = matrix.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        """The rows of a slice, or of row numbers, as a dense array."""
        found: Array = self.matrix[rows].toarray()
        return found

    def take(self, rows: Array, axis: int = 0) -> SparseRows:
        """Some of the rows, which stay sparse."""
        return SparseRows(self.matrix[rows])

    @property
    def rows_of_a_part(self) -> int:
        """How many rows are made dense at once, at least 1."""
        return max(1, PART_BYTES // max(1, self.shape[1] * self.dtype.itemsize))


def in_parts(run: Callable[[Array], Array], X: Any) -> Array:
    """What ``run`` gives for rows, (n, k) or (members, n, k); for SparseRows part by part."""
    if not isinstance(X, SparseRows):
        return run(X)
    step = X.rows_of_a_part
    return np.concatenate([run(X[low : low + step]) for low in range(0, len(X), step)], axis=-2)


def features(X: Any, dtype: Dtype) -> Any:
    """Rows of the network's type: an array, or SparseRows where that would take much memory."""
    if not hasattr(X, "toarray"):
        return contiguous(X, dtype)
    if X.shape[0] * X.shape[1] * np.dtype(dtype).itemsize <= DENSE_BYTES:
        return np.ascontiguousarray(X.toarray(), dtype)
    return SparseRows(X.tocsr().astype(dtype, copy=False))
