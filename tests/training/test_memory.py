"""How much memory a training step takes, by NumPy's own bookkeeping."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np

from chainrule.nn import Activation, Linear, Network
from chainrule.optim import SGD
from chainrule.optim.base import Optimizer

WIDTHS, BATCH, ROWS = (784, 1024, 1024, 10), 256, 1024


def network() -> Network:
    layers = []
    for n_in, n_out in itertools.pairwise(WIDTHS):
        layers += [Linear(n_in, n_out), Activation("relu" if n_out > 10 else "softmax")]
    return Network(layers, seed=0)


def peak_bytes(optimizer: Optimizer) -> int:
    """The most that training needs beyond the data and the parameters that were there before."""
    X = np.sin(np.arange(ROWS * WIDTHS[0], dtype=np.float32)).reshape(ROWS, WIDTHS[0])
    y = np.arange(ROWS) % 10
    model = network()
    tracemalloc.start()
    model.fit(X, y, optimizer=optimizer, epochs=1, batch_size=BATCH, seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def bound(slots: int) -> float:
    """DESIGN's: parameters x (4 + optimizer state) + activations of one batch, and 20 %."""
    parameters = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(WIDTHS))
    activations = BATCH * (WIDTHS[0] + 2 * sum(WIDTHS[1:]))
    return 1.2 * 4 * (parameters * (4 + slots) + activations)


def test_a_step_of_descent_stays_within_the_bound() -> None:
    assert peak_bytes(SGD(0.01)) <= bound(slots=0)


def test_the_data_is_read_in_place() -> None:
    """A data set larger than all else together is never copied."""
    X = np.zeros((200_000, 8), np.float32)
    X[::2] = 1
    y = X[:, :1].copy()
    model = Network([Linear(8, 1)], seed=0)
    tracemalloc.start()
    model.fit(X, y, epochs=1, batch_size=1000, shuffle=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 2


def test_predicting_many_rows_holds_no_layers_output_for_all_of_them() -> None:
    X = np.zeros((50_000, 4), np.float32)
    model = Network([Linear(4, 500), Activation("relu"), Linear(500, 1)], seed=0)
    model.predict(X[:600])
    tracemalloc.start()
    model.predict(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000 * 500 * 4 / 5
