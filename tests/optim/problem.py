"""The problem that every optimizer is run on: a small network, its gradient by explicit formulas.

Plain NumPy, so that the script that writes the golden numbers and the tests share it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

INPUTS = np.sin(np.arange(16.0) ** 1.3).reshape(8, 2)
TARGETS = np.cos(np.arange(8.0) ** 1.7)


def start() -> dict[str, Any]:
    """A matrix and two vectors, nested, far from any minimum."""
    return {
        "hidden": {"W": np.cos(np.arange(6.0) * 2.1).reshape(2, 3), "b": np.full(3, 0.1)},
        "output": [np.array([1.0, -0.8, 0.6])],
    }


def gradients(parameters: dict[str, Any]) -> dict[str, Any]:
    """Derivatives of ``mean((tanh(X W + b) v - y) ** 2)``."""
    weight, bias, readout = *parameters["hidden"].values(), parameters["output"][0]
    hidden = np.tanh(INPUTS @ weight + bias)
    error = 2 * (hidden @ readout - TARGETS) / len(TARGETS)
    delta = np.outer(error, readout) * (1 - hidden * hidden)
    return {"hidden": {"W": INPUTS.T @ delta, "b": delta.sum(0)}, "output": [hidden.T @ error]}
