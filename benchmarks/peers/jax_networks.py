"""Networks, losses and Adam in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.tasks import BETA_1, BETA_2, EPSILON, RATE, Task, layers


def start(task: Task, member: int = 0) -> Any:
    """Parameters, Adam's two moments, and the number of steps that were taken."""
    parameters = [jnp.array(p) for p in task.parameters(member)]
    moments = [[jnp.zeros_like(p) for p in parameters] for _ in range(2)]
    return parameters, *moments, jnp.zeros((), jnp.int32)


def scores(parameters: Any, x: Any, hidden: Any = jax.nn.relu) -> Any:
    """The network's outputs before their sigmoid or softmax."""
    *inner, (W, b) = layers(parameters)
    for inner_W, inner_b in inner:
        x = hidden(x @ inner_W + inner_b)
    return x @ W + b


def loss(parameters: Any, x: Any, labels: Any) -> Any:
    """The mean loss."""
    z = scores(parameters, x)
    if z.shape[-1] == 1:
        return jnp.mean(jax.nn.softplus(z[:, 0]) - labels * z[:, 0])
    logarithms = jax.nn.log_softmax(z)
    return -jnp.mean(jnp.take_along_axis(logarithms, labels[:, None], 1))


def step(carried: Any, x: Any, labels: Any) -> Any:
    """What follows ``start`` after a step, and the step's loss."""
    parameters, first, second, taken = carried
    value, gradients = jax.value_and_grad(loss)(parameters, x, labels)
    taken = taken + 1
    rate = RATE / (1 - BETA_1**taken)
    share = 1 / jnp.sqrt(1 - BETA_2**taken)
    first = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(first, gradients, strict=True)]
    second = [BETA_2 * v + (1 - BETA_2) * g * g for v, g in zip(second, gradients, strict=True)]
    moved = [
        p - rate * m / (share * jnp.sqrt(v) + EPSILON)
        for p, m, v in zip(parameters, first, second, strict=True)
    ]
    return (moved, first, second, taken), value
