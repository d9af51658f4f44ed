"""NumPy as one writes it when every microsecond counts: buffers made once, updates in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.tasks import (
    BETA_1,
    BETA_2,
    CHECKED_EPOCHS,
    EPSILON,
    RATE,
    Array,
    Job,
    Task,
    layers,
    slices,
    some,
    timed,
    until_good,
)

PIECE = 1000  # rows at a time


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0)


class Training:
    """Networks of relu layers trained with Adam.

    Parameters
    ----------
    task : Task
    dtype : type
        Of all parameters; float64 gives the numbers that peers are held to.
    member : int
        Whose first parameters it has.
    """

    def __init__(self, task: Task, dtype: type = np.float32, member: int = 0) -> None:
        X, self.labels = task.data()
        self.X = X.astype(dtype, copy=False)
        self.batch, self.classes = task.batch, task.classes
        self.parameters = [p.astype(dtype) for p in task.parameters(member)]
        self.first, self.second, self.scratch, self.gradients = (
            [np.zeros_like(p) for p in self.parameters] for _ in range(4)
        )
        wide = [np.empty((task.batch, width), dtype) for width in task.widths]
        self.activations, self.deltas = wide, [np.empty_like(a) for a in wide]
        self.positive = [np.empty(a.shape, bool) for a in wide]
        self.chosen = np.empty(task.batch, self.labels.dtype)
        self.places = np.arange(task.batch)
        self.rng, self.taken = np.random.default_rng(0), 0

    def epoch(self, order: Array) -> list[float]:
        """The loss of each step."""
        found = []
        for rows in slices(order, self.batch):
            self.X.take(rows, 0, self.activations[0], "clip")
            self.labels.take(rows, 0, self.chosen, "clip")
            self.forward()
            found.append(self.loss())
            self.backward()
            self.update()
        return found

    def shuffled(self) -> list[float]:
        """An epoch in an order of its own."""
        with np.errstate(all="ignore"):
            return self.epoch(self.rng.permutation(len(self.X)))

    def check(self) -> list[float]:
        """The mean loss of each of some epochs in the rows' own order."""
        order = np.arange(len(self.X))
        return [float(np.mean(self.epoch(order))) for _ in range(CHECKED_EPOCHS)]

    def forward(self) -> None:
        """Activations, up to the scores before the last activation."""
        a, last = self.activations, len(self.activations) - 2
        for place in range(last + 1):
            np.matmul(a[place], self.parameters[2 * place], out=a[place + 1])
            a[place + 1] += self.parameters[2 * place + 1]
            if place < last:
                np.maximum(a[place + 1], 0, out=a[place + 1])

    def loss(self) -> float:
        """The mean loss; the derivative by the scores is left in the last delta."""
        scores, delta = self.activations[-1], self.deltas[-1]
        total = (
            self._cross_entropy(scores, delta) if self.classes else self._logistic(scores, delta)
        )
        delta /= self.batch
        return total / self.batch

    def _cross_entropy(self, z: Array, delta: Array) -> float:
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=delta)
        sums = delta.sum(axis=1, keepdims=True)
        loss = float(np.log(sums).sum() - z[self.places, self.chosen].sum())
        delta /= sums
        delta[self.places, self.chosen] -= 1
        return loss

    def _logistic(self, z: Array, delta: Array) -> float:
        y = self.chosen[:, None]
        loss = float(np.logaddexp(0, z).sum() - z[y == 1].sum())
        np.negative(z, out=delta)
        np.exp(delta, out=delta)
        delta += 1
        np.divide(1, delta, out=delta)
        delta -= y
        return loss

    def backward(self) -> None:
        """Gradients of all parameters."""
        for place in reversed(range(len(self.activations) - 1)):
            a, delta = self.activations[place], self.deltas[place + 1]
            np.matmul(a.T, delta, out=self.gradients[2 * place])
            np.add.reduce(delta, axis=0, out=self.gradients[2 * place + 1])
            if place:
                np.matmul(delta, self.parameters[2 * place].T, out=self.deltas[place])
                np.greater(a, 0, out=self.positive[place])
                self.deltas[place] *= self.positive[place]

    def update(self) -> None:
        """Adam."""
        self.taken += 1
        rate = RATE / (1 - BETA_1**self.taken)
        share = (1 - BETA_2**self.taken) ** -0.5
        parts = (self.parameters, self.gradients, self.first, self.second, self.scratch)
        for arrays in zip(*parts, strict=True):
            _move(*arrays, rate, share)


def _move(p: Array, g: Array, m: Array, v: Array, s: Array, rate: float, share: float) -> None:
    m *= BETA_1
    np.multiply(g, 1 - BETA_1, out=s)
    m += s
    v *= BETA_2
    np.multiply(g, g, out=s)
    s *= 1 - BETA_2
    v += s
    np.sqrt(v, out=s)
    s *= share
    s += EPSILON
    np.divide(m, s, out=s)
    s *= rate
    p -= s


def scores(parameters: Sequence[Array], x: Array, hidden: Any = relu) -> Array:
    """The network's outputs before their sigmoid or softmax."""
    *inner, (W, b) = layers(parameters)
    for inner_W, inner_b in inner:
        x = hidden(x @ inner_W + inner_b)
    return x @ W + b


class Prediction:
    """Rows through a network, some at a time, so that what is between stays in the cache."""

    def __init__(self, task: Task) -> None:
        self.X, self.parameters = task.features(), task.parameters()
        self.pieces = list(slices(self.X, PIECE))
        self.scores = np.empty((task.rows, task.widths[-1]), np.float32)
        self.hidden = [np.empty((PIECE, width), np.float32) for width in task.widths[1:-1]]

    def __call__(self) -> Array:
        """(rows, outputs) scores."""
        *inner, (last, bias) = layers(self.parameters)
        for piece, scores in zip(self.pieces, slices(self.scores, PIECE), strict=True):
            x = piece
            for (W, b), buffer in zip(inner, self.hidden, strict=True):
                x = np.matmul(x, W, out=buffer[: len(piece)])
                x += b
                np.maximum(x, 0, out=x)
            np.add(np.matmul(x, last, out=scores), bias, out=scores)
        return self.scores


def train(task: Task) -> Job:
    """Epochs, one after the other."""
    return Job(timed(Training(task).shuffled), task.steps, lambda: Training(task.short()).check())


def predict(task: Task) -> Job:
    """One call for all rows."""
    predict_all = Prediction(task) if task.rows > 1 else _one_row(task)
    return Job(timed(predict_all), 1, lambda: some(predict_all()))


def product(task: Task) -> Job:
    """Rows by one matrix: what the BLAS of NumPy makes of the machine."""
    x, (W, _) = task.features(), task.parameters()
    out = np.empty((task.rows, task.widths[-1]), np.float32)
    return Job(timed(lambda: np.matmul(x, W, out=out)), 1, lambda: some(np.matmul(x, W)))


def _one_row(task: Task) -> Callable[[], Array]:
    x, pairs = task.features(), layers(task.parameters())
    (W1, b1), (W2, b2) = pairs
    return lambda: np.maximum(x @ W1 + b1, 0) @ W2 + b2


def digits(task: Task) -> dict[str, float]:
    """Train until test rows are told apart."""
    training = Training(task)
    return {
        "epochs": until_good(
            task, training.shuffled, lambda X: scores(training.parameters, X).argmax(axis=1)
        )
    }


WORKS = {"train": train, "predict": predict, "product": product}
ALONE = {"digits": digits}
