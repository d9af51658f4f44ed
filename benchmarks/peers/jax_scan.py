"""JAX, a whole epoch in one call: ``jit`` of ``scan``, with buffers given away."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np

from benchmarks.peers import jax_networks
from benchmarks.tasks import CHECKED_EPOCHS, Job, Task, timed, until_good


def one_epoch(step: Any, carried: Any, X: Any, labels: Any, order: Any) -> Any:
    """What follows after an epoch, and the losses; ``order`` has axes (steps, batch)."""
    return jax.lax.scan(lambda carried, rows: step(carried, X[rows], labels[rows]), carried, order)


def compiled(step: Any) -> Any:
    """An epoch of such steps."""
    return jax.jit(partial(one_epoch, step), donate_argnums=0)


EPOCH = compiled(jax_networks.step)
EPOCH_OF_MEMBERS = compiled(jax.vmap(jax_networks.step, in_axes=(0, None, None)))


class Training:
    """A network that is trained epoch by epoch."""

    def __init__(self, task: Task) -> None:
        self.X, self.labels = map(jax.numpy.asarray, task.data())
        self.shape = (task.steps, task.batch)
        starts = [jax_networks.start(task, member) for member in range(task.members)]
        many = task.members > 1
        self.run = EPOCH_OF_MEMBERS if many else EPOCH
        self.carried = jax.tree.map(lambda *x: jax.numpy.stack(x), *starts) if many else starts[0]
        self.rng, self.losses = np.random.default_rng(0), None

    def epoch(self, order: Any) -> None:
        """An epoch in this order."""
        rows = order.reshape(self.shape).astype(np.int32)
        self.carried, self.losses = self.run(self.carried, self.X, self.labels, rows)

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
    return Job(
        timed(training.shuffled, training.finish),
        task.steps,
        lambda: Training(task.short()).check(),
    )


def digits(task: Task) -> dict[str, float]:
    """Train until test rows are told apart."""
    training, scores = Training(task), jax.jit(jax_networks.scores)
    return {
        "epochs": until_good(
            task, training.shuffled, lambda X: np.argmax(scores(training.carried[0], X), axis=1)
        )
    }


WORKS = {"train": train}
ALONE = {"digits": digits}
