"""The xla engine beside hand-written JAX, and two processes beside one.

Run ``python -m benchmarks.xla`` where JAX is installed; where it finds a GPU, the widest network is
trained there too. Both do the same: rows in an order of their own for each epoch, gradients and
their norm, Adam, a loss a step. Hand-written JAX is ``jit`` of ``scan`` with donated buffers: once
its order is ``jax.random.permutation`` on the device, where ours is, and once it comes from NumPy,
which another core finds meanwhile. Times are medians of several turns, and ratios those within
turns: a machine with other work changes its speed.

``python -m benchmarks.xla model`` prints the table of expected efficiency alone, ``steps`` and
``processes`` the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.peers import jax_scan, ours
from benchmarks.peers.jax_networks import loss
from benchmarks.tasks import BETA_1, BETA_2, EPSILON, RATE, Task, timed
from chainrule.engines.division import seconds_of_sum
from chainrule.engines.xla.cluster import joined
from chainrule.engines.xla.engine import XlaEngine

TASKS = {
    Task("train", (2, 10, 10, 1), 32): 200,
    Task("train", (64, 128, 10), 64): 30,
    Task("train", (784, 256, 128, 10), 128, steps=40): 16,
    Task("train", (784, 1024, 1024, 10), 256, steps=12): 8,
}
"""What is trained, and how many epochs a turn takes: one call of ``fit``, which has to begin."""
WIDE = Task("train", (784, 1024, 1024, 10), 1024, steps=20)
ON_GPU = Task("train", (784, 1024, 1024, 10), 4096, steps=15)
TURNS = 11
PROCESS_TURNS, EPOCHS = 9, 2
PORT = 23400


def step_with_norm(carried: Any, x: Any, labels: Any) -> Any:
    """The peer's step with the norm of the gradients, which ``fit`` records."""
    parameters, first, second, taken = carried
    value, gradients = jax.value_and_grad(loss)(parameters, x, labels)
    norm = jnp.sqrt(reduce(jnp.add, [jnp.sum(g * g) for g in gradients]))
    taken = taken + 1
    rate, share = RATE / (1 - BETA_1**taken), 1 / jnp.sqrt(1 - BETA_2**taken)
    first = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(first, gradients, strict=True)]
    second = [BETA_2 * v + (1 - BETA_2) * g * g for v, g in zip(second, gradients, strict=True)]
    moved = [
        p - rate * m / (share * jnp.sqrt(v) + EPSILON)
        for p, m, v in zip(parameters, first, second, strict=True)
    ]
    return (moved, first, second, taken), jnp.stack([value, norm])


class Ours(ours.Training):
    """The same network on the xla engine."""

    def __init__(self, task: Task, accumulate: int = 1, **settings: Any) -> None:
        super().__init__(task)
        self.accumulate, self.engine = accumulate, XlaEngine(**settings)
        self.fit(1)  # compiles

    def fit(self, epochs: int, *positional: Any, **settings: Any) -> Any:
        return super().fit(epochs, *positional, engine=self.engine, **settings)


class Peer(jax_scan.Training):
    """Hand-written JAX that shuffles on the device, as ours does."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.key = jax.random.key(0)
        self.epoch_of_key = jax.jit(self._epoch, donate_argnums=0)

    def _epoch(self, carried: Any, X: Any, labels: Any, key: Any) -> Any:
        key, mine = jax.random.split(key)
        order = jax.random.permutation(mine, len(X)).reshape(self.shape)
        return *jax_scan.one_epoch(step_with_norm, carried, X, labels, order), key

    def shuffled(self) -> None:
        self.carried, self.losses, self.key = self.epoch_of_key(
            self.carried, self.X, self.labels, self.key
        )


def compare(task: Task, epochs: int, **settings: Any) -> list[float]:
    """Microseconds a step of ours and of the two peers, and the ratios of neighbours in turn."""
    jax_scan.EPOCH = jax_scan.compiled(step_with_norm)
    peers = [Peer(task), jax_scan.Training(task)]
    runs = [Ours(task, **settings).seconds]
    runs += [timed(peer.shuffled, peer.finish) for peer in peers]
    for run in runs:
        run(1)
    turns = [[run(epochs) * 1e6 / (epochs * task.steps) for run in runs] for _ in range(TURNS)]
    times = [median(column) for column in zip(*turns, strict=True)]
    ratios = [median(turn[0] / turn[peer] for turn in turns) for peer in (1, 2)]
    return [*times, *ratios]


def say(task: Task, found: list[float], device: str) -> None:
    """One line of the table."""
    mine, on_device, by_numpy, *ratios = found
    times = f"{mine:,.1f} | {on_device:,.1f} | {by_numpy:,.1f}"
    print(f"| {task} | {device} | {times} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


# Several processes


class Group(NamedTuple):
    """Processes of one training, or of one each.

    Attributes
    ----------
    cores : tuple of tuples of int
        Of each process.
    accumulate : int
        How many steps an update has.
    alone : bool
        Whether each process trains by itself, on as many rows a step as it has of all.
    split_units : int, optional
        Among how many processes the units of each layer are divided, instead of the rows; by
        default as the engine chooses.
    """

    cores: tuple[tuple[int, ...], ...]
    accumulate: int = 1
    alone: bool = False
    split_units: int | None = None


def work(number: int, group: Group) -> None:
    """One process: some epochs for each line that it is given, and its seconds a step."""
    os.sched_setaffinity(0, group.cores[number])
    count = len(group.cores)
    several = count > 1 and not group.alone
    task = replace(WIDE, batch=WIDE.batch // count) if group.alone else WIDE
    address = f"127.0.0.1:{PORT + 2 * group.accumulate + 20 * (group.split_units or 0)}"
    with joined(address, number, count) if several else nullcontext():
        training = Ours(task, group.accumulate, split_units=group.split_units)
        print("ready", flush=True)
        for _ in sys.stdin:
            print(training.seconds(EPOCHS) / (EPOCHS * WIDE.steps), flush=True)


class Workers:
    """The processes of a group, each on cores of its own, that wait until an epoch is wanted."""

    def __init__(self, group: Group) -> None:
        self.started = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.xla", str(number), json.dumps(group)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
            for number in range(len(group.cores))
        ]  # fmt: skip
        self._heard()

    def _heard(self) -> list[str]:
        return [process.stdout.readline() for process in self.started]

    def seconds(self) -> float:
        """A step's time, in an epoch of all of them."""
        for process in self.started:
            process.stdin.write("\n")
            process.stdin.flush()
        return max(map(float, self._heard()))

    def end(self) -> None:
        """Wait for their end."""
        for process in self.started:
            process.stdin.close()
        for process in self.started:
            process.wait()


# How many hosts are worth it


FLOPS = 1e13  # of a host, a second
ROWS_A_HOST = 4096
SIZES = ((64, 128, 10), (784, 1024, 1024, 10), (1024, 8192, 8192, 1024))


def efficiency(widths: tuple[int, ...], hosts: int, batches: int = 1) -> float:
    """The share of the time in which hosts compute, where each has 4,096 rows a step.

    A row takes 6 floating-point operations a parameter; the sums are those that the engine chooses
    by.

    Parameters
    ----------
    batches : int
        How many times 4,096 rows a host has between two sums: in a step, or in accumulated ones.
    """
    parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))
    compute = 6 * parameters * ROWS_A_HOST * batches / FLOPS
    return compute / (compute + seconds_of_sum(4 * parameters, hosts))


def activations(widths: tuple[int, ...], batches: int) -> float:
    """GiB that a host's rows take in a step: features, and of each unit a value and a slope."""
    numbers = widths[0] + 2 * sum(widths[1:])
    return 4 * numbers * ROWS_A_HOST * batches / 2**30


def say_model() -> None:
    """The table of expected efficiency."""
    counts = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    print("| network, rows a host | GiB | " + " | ".join(map(str, counts)) + " |")
    print("|---" * (len(counts) + 2) + "|")
    for widths in SIZES:
        for batches in (1, 16):
            shares = [f"{efficiency(widths, hosts, batches):.0%}" for hosts in counts]
            name = f"{'-'.join(map(str, widths))}, {ROWS_A_HOST * batches:,}"
            gib = f"{activations(widths, batches):.2f}"
            print(f"| {name} | {gib} | " + " | ".join(shares) + " |")


def say_steps() -> None:
    """The table of training steps."""
    print("| network | device | us a step, ours | JAX | JAX, NumPy's order | ratio | ratio |")
    print("|---" * 7 + "|")
    for task, epochs in TASKS.items():
        say(task, compare(task, epochs, device="cpu", devices=1), "cpu")
    if jax.default_backend() == "gpu":
        say(ON_GPU, compare(ON_GPU, 20, device="gpu", devices=1), jax.devices()[0].device_kind)


def say_processes() -> None:
    """Two processes with a core each, beside one with both; all take turns."""
    cores = tuple(sorted(os.sched_getaffinity(0))[:2])
    each = tuple((core,) for core in cores)
    groups = {
        "": (Group((cores,)), Group(each)),
        ", rows divided": (Group((cores,)), Group(each, split_units=1)),
        ", four steps an update": (Group((cores,), 4), Group(each, 4)),
        ", two that share nothing": (Group((cores,)), Group(each, alone=True)),
    }
    workers = {group: Workers(group) for pair in groups.values() for group in pair}
    turns = [{group: each.seconds() for group, each in workers.items()}
             for _ in range(PROCESS_TURNS)]  # fmt: skip
    for one in workers.values():
        one.end()
    for name, pair in groups.items():
        times = [median(turn[group] for turn in turns) * 1e3 for group in pair]
        ratios = sorted(turn[pair[0]] / turn[pair[1]] for turn in turns)
        print(
            f"{WIDE}{name}: one process on two cores {times[0]:.0f} ms a step, two processes on one"
            f" core each {times[1]:.0f} ms: {median(ratios):.0%} of the throughput in the median of"
            f" {len(ratios)} turns, {ratios[0]:.0%} to {ratios[-1]:.0%}"
        )


PARTS = {"model": say_model, "steps": say_steps, "processes": say_processes}


def main(parts: list[str]) -> None:
    for name in parts or PARTS:
        PARTS[name]()
        print()


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].isdigit():
        work(int(sys.argv[1]), Group(*json.loads(sys.argv[2])))
    else:
        main(sys.argv[1:])
