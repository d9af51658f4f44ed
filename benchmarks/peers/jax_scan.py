"""JAX, a whole epoch in one call: ``jit`` of ``scan``, with buffers given away."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np

from benchmarks.peers import jax_networks
from benchmarks.tasks import CHECKED_EPOCHS, Job, Task, timed


@partial(jax.jit, donate_argnums=0)
def epoch(carried: Any, X: Any, labels: Any, order: Any) -> Any:
    """What follows after an epoch, and the losses; ``order`` has axes (steps, batch)."""
    return jax.lax.scan(
        lambda carried, rows: jax_networks.step(carried, X[rows], labels[rows]), carried, order
    )


class Training:
    """A network that is trained epoch by epoch."""

    def __init__(self, task: Task) -> None:
        self.X, self.labels = map(jax.numpy.array, task.data())
        self.shape = (task.steps, task.batch)
        self.carried, self.rng = jax_networks.start(task), np.random.default_rng(0)
        self.losses: Any = None

    def epoch(self, order: Any) -> None:
        """An epoch in this order."""
        rows = order.reshape(self.shape).astype(np.int32)
        self.carried, self.losses = epoch(self.carried, self.X, self.labels, rows)

    def shuffled(self) -> None:
        """An epoch in an order of its own; NumPy finds one in less time than JAX."""
        self.epoch(self.rng.permutation(len(self.X)))

    def finish(self) -> None:
        """Wait for what was started."""
        jax.block_until_ready(self.carried)

    def check(self) -> list[float]:
        """The mean loss of each of some epochs in the rows' own order."""
        found = []
        for _ in range(CHECKED_EPOCHS):
            self.epoch(np.arange(len(self.X)))
            found.append(float(self.losses.mean()))
        return found


def train(task: Task) -> Job:
    """Epochs, one after the other."""
    training = Training(task)
    return Job(timed(training.shuffled, training.finish), task.steps, Training(task).check)


WORKS = {"train": train}
