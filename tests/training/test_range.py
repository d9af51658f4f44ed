"""Numbers beyond the network's element type are refused before anything is learned, by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.errors import DataError
from chainrule.nn import Activation, Linear, Network

X = np.random.default_rng(0).normal(size=(20, 3))


def targets(row: int, value: float, columns: int = 1) -> Any:
    y = np.ones((20, columns))
    y[row, -1] = value
    return y if columns > 1 else y[:, 0]


@pytest.mark.parametrize(
    ("loss", "y", "said"),
    [
        ("squared_error", targets(7, 1e39), r"1e\+39 in row 7, more than float32 holds"),
        ("squared_error", targets(7, -1e25), r"in row 7, whose squared_error is more than float32"),
        ("squared_error", targets(3, 1e39, 2), r"1e\+39 in row 3, column 1, more than float32"),
        ("squared_error", targets(3, 1e25, 2), r"in row 3, column 1, whose squared_error"),
        ("huber", targets(2, 1e39), "in row 2, more than"),
        ("squared_error", targets(4, np.inf), r"needs targets finite, but y\[4\] is inf"),
    ],
)
def test_targets_beyond_float32(loss: str, y: Any, said: str) -> None:
    model = Network([Linear(3, y.shape[1] if y.ndim > 1 else 1)], seed=0)
    before = [leaf.tobytes() for leaf in model.snapshot().leaves]
    with pytest.raises(DataError, match=said):
        model.fit(X, y, loss=loss, epochs=1)
    assert [leaf.tobytes() for leaf in model.snapshot().leaves] == before


def test_float64_holds_them() -> None:
    model = Network([Linear(3, 1)], seed=0, dtype="float64")
    assert model.fit(X, targets(7, 1e39), epochs=1).epochs == 1


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_what_does_not_square_may_be_larger(loss: str) -> None:
    assert Network([Linear(3, 1)], seed=0).fit(X, targets(7, 1e25), loss=loss, epochs=1).epochs == 1


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_positive_targets_of_ordinary_size(loss: str) -> None:
    model = Network([Linear(3, 1), Activation("exp")], seed=0)
    assert model.fit(X, targets(7, 1e4), loss=loss, epochs=1).epochs == 1


def test_weights_beyond_float32() -> None:
    weights = np.ones(20)
    weights[5] = 1e39
    with pytest.raises(DataError, match=r"sample_weight\[5\] is 1e\+39, more than float32 holds"):
        Network([Linear(3, 1)], seed=0).fit(X, targets(0, 1), sample_weight=weights)


def test_weights_that_float32_holds_as_zeros() -> None:
    weights = np.full(20, 1e-300)
    with pytest.raises(DataError, match="too small, the largest is 1e-300 and float32 holds it as"):
        Network([Linear(3, 1)], seed=0).fit(X, targets(0, 1), sample_weight=weights)
