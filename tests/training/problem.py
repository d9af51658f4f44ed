"""The training that chainrule, a hand-written loop and PyTorch all run: data and first weights.

Formulas in place of random numbers, so that every library finds the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS, FEATURES, HIDDEN, CLASSES = 22, 3, 4, 3
EPOCHS, BATCH = 5, 8

Array = Any


def wave(*shape: int, speed: float, size: float = 1.0) -> Array:
    """Numbers between -size and size that do not repeat soon."""
    return size * np.sin(speed * (1 + np.arange(np.prod(shape)))).reshape(shape)


def data() -> tuple[Array, Array]:
    """Features and labels."""
    X = wave(ROWS, FEATURES, speed=0.7)
    labels = (np.arange(ROWS) * 7 // 3) % CLASSES
    return X, labels


def weights() -> list[Array]:
    """W and b of the first layer, then of the second."""
    return [
        wave(FEATURES, HIDDEN, speed=1.1, size=0.8),
        wave(HIDDEN, speed=0.3, size=0.1),
        wave(HIDDEN, CLASSES, speed=1.7, size=0.8),
        wave(CLASSES, speed=0.5, size=0.1),
    ]
