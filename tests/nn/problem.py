"""Arrays that layers and losses are run on: plain NumPy, shared by tests and the golden script."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


def wave(*shape: int, phase: float = 0.0) -> Any:
    """Numbers between -1 and 1 without a pattern, the same everywhere."""
    size = int(np.prod(shape))
    return np.sin(np.arange(1.0, size + 1) ** 1.3 + phase).reshape(shape)


POINTS = np.array([-30.0, -4.0, -2.5, -1.25, -0.5, -0.01, 0.0, 0.01, 0.5, 1.25, 2.5, 4.0, 30.0])
"""Where activations are compared: far out, near 0, and at 0."""

BATCHES = [3.0 * wave(7, 4) + np.arange(4.0), 0.5 * wave(5, 4, phase=1.0) - 2.0]
SEEDS = [wave(*batch.shape, phase=2.0) for batch in BATCHES]
GAMMA, BETA = np.array([0.5, -1.0, 2.0, 1.5]), np.array([0.1, 0.2, -0.3, 0.0])
SLOPES = np.array([0.25, 0.0, 1.5, -0.5])


class LossCase(NamedTuple):
    """A loss with settings, on one prediction and target."""

    name: str
    settings: dict[str, Any]
    prediction: Any
    target: Any
    probabilities: bool = False


_REAL, _TARGET = 2.0 * wave(6, 3), 2.0 * wave(6, 3, phase=0.5)
_SHARE = 0.5 + 0.49 * wave(6, 3)
_CLASS_SHARE = np.exp(_REAL) / np.exp(_REAL).sum(axis=1, keepdims=True)
_LABELS = np.array([0, 2, 1, 1, 0, 2])
_BINARY = (wave(6, 3, phase=0.7) > 0).astype(float)
LOSS_CASES = [
    LossCase("squared_error", {}, _REAL, _TARGET),
    LossCase("absolute_error", {}, _REAL, _TARGET),
    LossCase("huber", {"delta": 1.0}, _REAL, _TARGET),
    LossCase("huber", {"delta": 0.3}, _REAL, _TARGET),
    LossCase("poisson", {}, np.exp(_REAL), np.arange(18.0).reshape(6, 3)),
    LossCase("gaussian_nll", {}, wave(6, 4), _TARGET[:, :2]),
    LossCase("binary_cross_entropy", {}, 5 * _REAL, _BINARY),
    LossCase("binary_cross_entropy", {}, 5 * _REAL, _SHARE),
    LossCase("binary_cross_entropy", {}, _SHARE, _BINARY, True),
    LossCase("cross_entropy", {}, 5 * _REAL, _LABELS),
    LossCase("cross_entropy", {}, 5 * _REAL, _CLASS_SHARE),
    LossCase("cross_entropy", {}, _CLASS_SHARE, _LABELS, True),
]
