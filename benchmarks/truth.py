"""What every peer must find, in double precision, from formulas of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from benchmarks.peers.numpy_by_hand import Training, scores
from benchmarks.tasks import Array, Task, layers, some

SMALL = 1e-30  # of an imaginary step: derivatives to the last bit


@cache
def expected(task: Task) -> Sequence[float]:
    """The numbers by which a job shows that it is the task's."""
    return KINDS[task.kind](task)


def trained(task: Task) -> list[float]:
    """The mean loss of each of some epochs, over all members."""
    members = [Training(task.short(), np.float64, member).check() for member in range(task.members)]
    return [float(loss) for loss in np.mean(members, axis=0)]


def predicted(task: Task) -> list[float]:
    """Scores of the first and the last row."""
    return some(scores(_parameters(task), task.features()[[0, -1]].astype(np.float64)))


def multiplied(task: Task) -> list[float]:
    """The first and the last row by the matrix."""
    return some(task.features()[[0, -1]].astype(np.float64) @ _parameters(task)[0])


def value(task: Task) -> list[float]:
    """Outputs at the first row."""
    return [float(y) for y in _outputs(task, task.features()[0].astype(np.float64))]


def jacobian(task: Task) -> list[float]:
    """Derivatives of each output by each feature, row by row."""
    point, n = task.features()[0].astype(np.float64), task.widths[0]
    columns = [_outputs(task, point + 1j * SMALL * e).imag / SMALL for e in np.eye(n)]
    return [float(x) for x in np.ravel(np.transpose(columns))]


def hessian_vector_product(task: Task) -> list[float]:
    """The second derivative of the outputs' sum along a direction."""
    step = 1j * SMALL * task.directions().astype(np.float64)
    return [float(x) for x in _slope(task, task.features()[0] + step).imag / SMALL]


def _parameters(task: Task) -> list[Array]:
    return [p.astype(np.float64) for p in task.parameters()]


def _outputs(task: Task, x: Array) -> Array:
    return scores(_parameters(task), x, np.tanh)


def _slope(task: Task, x: Array) -> Array:
    """The gradient of the outputs' sum, for complex points as well."""
    *inner, (last, _) = layers(_parameters(task))
    hidden = []
    for W, b in inner:
        x = np.tanh(x @ W + b)
        hidden.append(x)
    slope = last.sum(axis=1)
    for (W, _), y in zip(reversed(inner), reversed(hidden), strict=True):
        slope = W @ (slope * (1 - y * y))
    return slope


KINDS: dict[str, Callable[[Task], list[float]]] = {
    "train": trained,
    "predict": predicted,
    "compiled": predicted,
    "product": multiplied,
    "value": value,
    "jacobian": jacobian,
    "hvp": hessian_vector_product,
}
