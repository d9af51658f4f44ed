"""What graphs cost, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ShapeError
from chainrule.graph.cost import operations
from chainrule.graph.graph import close
from chainrule.ops import random

A, B = cr.input((3, 4)), cr.input((4, 5))


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (A, 0),
        (cr.constant(np.ones(9)), 0),
        (A + 1.0, 12),
        (A + cr.input((2, 1, 4)), 24),
        (A @ B, 2 * 3 * 4 * 5),
        (B.T @ A.T, 2 * 3 * 4 * 5),
        (cr.ops.product(A, cr.input((3, 7)), transpose_a=True), 2 * 4 * 3 * 7),
        (cr.input((6, 3, 4)) @ B, 6 * 2 * 3 * 4 * 5),
        (cr.sum(A), 12),
        (cr.max(A, axis=0), 12),
        (cr.softmax(A), 12),
        (cr.cumulative_sum(A), 12),
        (cr.reshape(cr.flip(A), (-1,)), 0),
        (cr.take(A, [0, 2]), 8),
        (cr.scatter_add(A, [0, 2, 2], axis=0, size=100), 12),
        (cr.one_hot(cr.input((3,), int), 10), 3),
        (random.random_bits(cr.input((2,), np.uint32), (7,)), 7),
        (cr.exp(cr.input((cr.ROWS, 4))), 40),
        (cr.exp(A) + cr.exp(A), 24),
    ],
)
def test_operations_are_counted(node: Any, expected: int) -> None:
    assert operations(close([node]), rows=10) == expected


def test_rows_must_be_known() -> None:
    with pytest.raises(ShapeError, match="rows is not known"):
        operations(close([cr.exp(cr.input((cr.ROWS, 4)))]))
