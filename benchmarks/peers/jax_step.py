"""JAX, one call of a compiled function for each step, and for what is no training."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import jax_networks
from benchmarks.tasks import CHECKED_EPOCHS, Job, Task, slices, some, timed


@partial(jax.jit, donate_argnums=0)
def step(carried: Any, X: Any, labels: Any, rows: Any) -> Any:
    """What follows after a step, and its loss."""
    return jax_networks.step(carried, X[rows], labels[rows])


class Training:
    """A network that is trained step by step."""

    def __init__(self, task: Task) -> None:
        self.X, self.labels = map(jnp.asarray, task.data())
        self.batch, self.carried = task.batch, jax_networks.start(task)
        self.rng = np.random.default_rng(0)

    def epoch(self, order: Any) -> list[Any]:
        """The losses, as arrays that are not waited for."""
        found = []
        for rows in slices(order.astype(np.int32), self.batch):
            self.carried, loss = step(self.carried, self.X, self.labels, rows)
            found.append(loss)
        return found

    def shuffled(self) -> None:
        """An epoch in an order of its own."""
        self.epoch(self.rng.permutation(len(self.X)))

    def finish(self) -> None:
        """Wait for what was started."""
        jax.block_until_ready(self.carried)

    def check(self) -> list[float]:
        """The mean loss of each of some epochs in the rows' own order."""
        order = np.arange(len(self.X))
        return [float(jnp.stack(self.epoch(order)).mean()) for _ in range(CHECKED_EPOCHS)]


def train(task: Task) -> Job:
    """Epochs, one after the other."""
    training = Training(task)
    return Job(
        timed(training.shuffled, training.finish),
        task.steps,
        lambda: Training(task.short()).check(),
    )


def predict(task: Task) -> Job:
    """One call for all rows, to an array of NumPy; from one as well if there is one row."""
    parameters = jax_networks.start(task)[0]
    x = task.features() if task.rows == 1 else jnp.array(task.features())
    compiled = jax.jit(lambda x: jax_networks.scores(parameters, x))
    return Job(timed(lambda: np.asarray(compiled(x))), 1, lambda: some(compiled(x)))


def _network(task: Task) -> Any:
    parameters = jax_networks.start(task)[0]
    return lambda x: jax_networks.scores(parameters, x, jnp.tanh)


def _at_a_point(function: Any, *arrays: Any) -> Job:
    run = jax.jit(function)
    return Job(timed(lambda: np.asarray(run(*arrays))), 1, lambda: np.ravel(run(*arrays)).tolist())


def value(task: Task) -> Job:
    """Outputs."""
    return _at_a_point(_network(task), task.features()[0])


def jacobian(task: Task) -> Job:
    """Derivatives of each output by each feature."""
    return _at_a_point(jax.jacrev(_network(task)), task.features()[0])


def hvp(task: Task) -> Job:
    """The second derivative of the outputs' sum along a direction."""
    network = _network(task)
    slope = jax.grad(lambda x: network(x).sum())

    def along(x: Any, v: Any) -> Any:
        return jax.jvp(slope, (x,), (v,))[1]

    return _at_a_point(along, task.features()[0], task.directions())


WORKS = {"train": train, "predict": predict, "value": value, "jacobian": jacobian, "hvp": hvp}
