"""What peers are asked to do, described so that each does the same: the same rows, the same start.

Read by every peer in its own environment, so that it needs nothing but NumPy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-8  # of Adam
CHECKED_EPOCHS = 3
LONG_EPOCH, CHECKED_STEPS = 100, 25  # rounding errors grow from step to step in wide networks
GOOD_ACCURACY, MOST_EPOCHS = 0.97, 200
FLIPPED = 0.1  # share of labels that are wrong, so that no loss goes to 0

Array = Any


@dataclass(frozen=True)
class Task:
    """One piece of work, in numbers that every peer understands.

    Parameters
    ----------
    kind : str
        What is done: a row in a peer's table of works.
    widths : tuple of int
        Features, hidden units of each layer, outputs. One output is a sigmoid's, several are a
        softmax's.
    batch : int
        Rows a step, or rows a call.
    steps : int
        Steps an epoch.
    members : int
        How many networks train at once.
    seed : int
        Of the first parameters.
    source : str
        A file of NumPy's with training rows ``X``, ``y`` and others ``X_test``, ``y_test``; if
        there is none, rows are drawn.
    """

    kind: str
    widths: tuple[int, ...]
    batch: int = 1
    steps: int = 100
    members: int = 1
    seed: int = 0
    source: str = ""

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.widths))}, batch {self.batch}"

    @property
    def operations(self) -> int:
        """Multiplications and additions of a step's products, or of one product."""
        products = [a * b for a, b in pairwise(self.widths)]
        passes = 3 * sum(products) - products[0]  # nobody needs the slope of the rows
        return 2 * self.batch * (passes if self.kind == "train" else sum(products))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.batch * self.steps

    @property
    def classes(self) -> bool:
        """Whether the output is a choice among classes."""
        return self.widths[-1] > 1

    def short(self) -> Task:
        """The same with few steps an epoch, for a check that rounding does not blur."""
        return replace(self, steps=CHECKED_STEPS) if self.steps > LONG_EPOCH else self

    def features(self) -> Array:
        """(rows, features) float32, normal."""
        rng = np.random.default_rng(0)
        return rng.standard_normal((self.rows, self.widths[0]), np.float32)

    def data(self) -> tuple[Array, Array]:
        """Features, and (rows,) int64 labels: the file's, or a linear rule's, some wrong."""
        if self.source:
            return self.stored("X"), self.stored("y")
        X, rng = self.features(), np.random.default_rng(1)
        count = max(2, self.widths[-1])
        labels = (X @ rng.standard_normal((self.widths[0], count), np.float32)).argmax(1)
        wrong = rng.random(self.rows) < FLIPPED
        labels[wrong] = rng.integers(0, count, wrong.sum())
        return X, labels

    def stored(self, name: str) -> Array:
        """An array of the file."""
        with np.load(self.source) as file:
            return file[name]

    def directions(self) -> Array:
        """(features,) float32: where to go from the first row."""
        return np.linspace(-1, 1, self.widths[0], dtype=np.float32)

    def parameters(self, member: int = 0) -> list[Array]:
        """Weights (in, out) and biases (out,), layer by layer, float32."""
        rng = np.random.default_rng([2, self.seed + member])
        found = []
        for n_in, n_out in pairwise(self.widths):
            for shape, scale in (((n_in, n_out), (2 / n_in) ** 0.5), ((n_out,), 0.1)):
                found.append(rng.standard_normal(shape, np.float32) * np.float32(scale))
        return found


def from_json(numbers: dict[str, Any]) -> Task:
    """The task that was sent to another process."""
    return Task(**{**numbers, "widths": tuple(numbers["widths"])})


class Job(NamedTuple):
    """A task that a peer has prepared.

    Attributes
    ----------
    seconds : callable
        Does the work so many times, and says how long that took.
    units : int
        Steps or calls in one time.
    check : callable
        Numbers that are the same for every peer that does the same work.
    """

    seconds: Callable[[int], float]
    units: int
    check: Callable[[], Sequence[float]]


def until_good(task: Task, epoch: Callable[[], object], classes: Callable[[Array], Array]) -> int:
    """Epochs until the task's test rows are told apart well enough.

    Parameters
    ----------
    task : Task
    epoch : callable
        Trains for an epoch.
    classes : callable
        The class of each row.
    """
    X, labels = task.stored("X_test"), task.stored("y_test")
    for count in range(1, MOST_EPOCHS + 1):
        epoch()
        if np.mean(classes(X) == labels) >= GOOD_ACCURACY:
            return count
    raise RuntimeError(f"{MOST_EPOCHS} epochs were not enough for an accuracy of {GOOD_ACCURACY}")


def fitted(task: Task, classifier: Any, regressor: Any, dtype: str, **chosen: Any) -> Any:
    """Fit an estimator of scikit-learn's kind: the seconds, and the score of the test rows.

    Parameters
    ----------
    task : Task
    classifier, regressor : estimator classes
    dtype : str
        Of the rows.
    chosen : settings beyond those that both have
    """
    X, y = task.stored("X").astype(dtype), task.stored("y")
    kind = regressor if y.dtype.kind == "f" else classifier
    epochs = int(task.stored("epochs"))
    model = kind(max_iter=epochs, n_iter_no_change=epochs, random_state=task.seed, **chosen)
    began = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        model.fit(X, y.astype(dtype) if kind is regressor else y)
    seconds = perf_counter() - began
    score = model.score(task.stored("X_test").astype(dtype), task.stored("y_test"))
    return {"fit seconds": seconds, "score": float(score)}


def timed(run: Callable[[], object], finish: Callable[[], object] | None = None) -> Any:
    """How long repeating ``run`` takes; ``finish`` waits for what is still under way."""

    def seconds(times: int) -> float:
        began = perf_counter()
        for _ in range(times):
            run()
        if finish:
            finish()
        return perf_counter() - began

    return seconds


def slices(order: Array, batch: int) -> Iterator[Array]:
    """Row numbers of one step after the other."""
    return (order[low : low + batch] for low in range(0, len(order), batch))


def some(outputs: Array) -> list[float]:
    """Of many rows the first and the last."""
    return [float(x) for x in (*outputs[0], *outputs[-1])]


def layers(parameters: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Weights and biases in pairs."""
    return list(zip(parameters[::2], parameters[1::2], strict=True))
