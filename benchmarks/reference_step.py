"""A training step on the reference engine beside the same step written by hand in NumPy.

Run ``python benchmarks/reference_step.py [rounds]``. The hand-written loop is a good one: buffers
are allocated once and every operation writes in place; the compiled one has to find the same from
the graph. Both shuffle, gather batches, record loss and gradient norm, and update with Adam in
float32, with one BLAS thread, from equal parameters; that their parameters still agree after an
epoch without shuffling is checked first. Epochs alternate in one process, so that a machine that
changes its speed changes both; the ratio is the median over pairs.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from chainrule.engines.base import Outcome, Program
from chainrule.engines.blas import one_blas_thread
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph
from chainrule.graph.tree import flatten, map_tree, match_form
from chainrule.optim import Adam
from chainrule.shapes import Array
from chainrule.transforms import simplify

GOAL_RATIO = 1.5
STEPS = 100  # an epoch
RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-8


class Case(NamedTuple):
    """A network of relu layers with a softmax, or for one output a sigmoid, and its batch."""

    widths: tuple[int, ...]
    batch: int

    @property
    def classes(self) -> bool:
        """Whether the output is a choice among classes."""
        return self.widths[-1] > 1

    @property
    def layers(self) -> Iterator[tuple[int, int]]:
        """Inputs and outputs of each linear layer."""
        return zip(self.widths[:-1], self.widths[1:], strict=True)

    def data(self) -> tuple[Array, Array]:
        """Rows and labels for an epoch."""
        rng = np.random.default_rng(0)
        rows = self.batch * STEPS
        X = rng.normal(size=(rows, self.widths[0])).astype(np.float32)
        return X, rng.integers(0, max(2, self.widths[-1]), rows)

    def parameters(self) -> list[Array]:
        """Weights and biases, layer by layer."""
        rng = np.random.default_rng(1)
        shapes = [shape for n_in, n_out in self.layers for shape in ((n_in, n_out), (n_out,))]
        return [rng.normal(scale=0.1, size=shape).astype(np.float32) for shape in shapes]


CASES = (Case((64, 128, 10), 64), Case((2, 10, 10, 1), 32))


class Compiled:
    """The step as a graph that was only written forwards."""

    def __init__(self, case: Case) -> None:
        self.case, (X, labels) = case, case.data()
        self.rows, self.engine = [X, labels], ReferenceEngine()
        self.optimizer = Adam(RATE, betas=(BETA_1, BETA_2), epsilon=EPSILON)
        parameters = case.parameters()
        self.carried = flatten([parameters, self.optimizer.init(parameters)])
        self.graph = self.step(parameters)

    def step(self, parameters: Sequence[Array]) -> Graph:
        """The parameters and Adam's state after a step, the loss, the norm of the gradient."""
        like = [parameters, self.optimizer.init(parameters)]
        inputs = map_tree(lambda array: cr.input(array.shape, array.dtype), like)
        x = cr.input((cr.ROWS, self.case.widths[0]), np.float32)
        labels, key = cr.input((cr.ROWS,), np.int64), cr.input((2,), np.uint32)
        (loss,) = simplify([self.loss(inputs[0], x, labels)])
        slopes = cr.gradient(loss, inputs[0])
        norm = cr.sqrt(sum(cr.sum(slope * slope) for slope in slopes))
        moved = self.optimizer.update(inputs[0], slopes, inputs[1])
        outputs = simplify([*flatten(match_form(list(moved), like)), loss, norm])
        return Graph((*flatten(inputs), x, labels, key), tuple(outputs))

    def loss(self, parameters: Sequence[Any], x: Any, labels: Any) -> Any:
        """The mean loss of the network at the rows ``x``."""
        pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
        for W, b in pairs[:-1]:
            x = cr.relu(x @ W + b)
        scores = x @ pairs[-1][0] + pairs[-1][1]
        if self.case.classes:
            chosen = cr.one_hot(labels, self.case.widths[-1], np.float32)
            return cr.mean(-cr.sum(chosen * cr.log(cr.softmax(scores)), axis=-1))
        y, p = cr.astype(labels, np.float32)[:, None], cr.sigmoid(scores)
        return cr.mean(-(y * cr.log(p) + (1 - y) * cr.log(1 - p)))

    def run(self, *, shuffled: bool = True) -> Outcome:
        """One epoch."""
        program = Program(self.graph, len(self.carried), self.case.batch, shuffled=shuffled)
        return self.engine.run(program, self.carried, self.rows, seed=0, epochs=range(1))


class Handwritten:
    """The step as one would write it in NumPy, when every microsecond counts."""

    def __init__(self, case: Case) -> None:
        self.X, self.labels = case.data()
        self.batch, self.classes = case.batch, case.classes
        self.parameters = case.parameters()
        self.first, self.second, self.scratch, self.gradients = (
            [np.zeros_like(p) for p in self.parameters] for _ in range(4)
        )
        wide = [np.empty((case.batch, width), np.float32) for width in case.widths]
        self.activations, self.deltas = wide, [np.empty_like(a) for a in wide]
        self.positive = [np.empty(a.shape, bool) for a in wide]
        self.chosen = np.empty(case.batch, self.labels.dtype)
        self.places = np.arange(case.batch)
        self.rng, self.taken = np.random.default_rng(0), 0

    def run(self, *, shuffled: bool = True) -> tuple[list[float], list[float]]:
        """One epoch: losses and gradient norms."""
        count = len(self.X)
        order = self.rng.permutation(count) if shuffled else np.arange(count)
        found, norms = [], []
        with np.errstate(all="ignore"), one_blas_thread():
            for low in range(0, count, self.batch):
                rows = order[low : low + self.batch]
                self.X.take(rows, 0, self.activations[0], "clip")
                self.labels.take(rows, 0, self.chosen, "clip")
                self.forward()
                found.append(self.loss())
                norms.append(self.backward())
                self.update()
        return found, norms

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

    def backward(self) -> float:
        """Gradients of all parameters; their joint norm."""
        square = 0.0
        for place in reversed(range(len(self.activations) - 1)):
            a, delta = self.activations[place], self.deltas[place + 1]
            dW, db = self.gradients[2 * place], self.gradients[2 * place + 1]
            np.matmul(a.T, delta, out=dW)
            np.add.reduce(delta, axis=0, out=db)
            square += float(np.vdot(dW, dW) + np.vdot(db, db))
            if place:
                np.matmul(delta, self.parameters[2 * place].T, out=self.deltas[place])
                np.greater(a, 0, out=self.positive[place])
                self.deltas[place] *= self.positive[place]
        return float(np.sqrt(square))

    def update(self) -> None:
        """Adam."""
        self.taken += 1
        rate = RATE / (1 - BETA_1**self.taken)
        share = (1 - BETA_2**self.taken) ** -0.5
        parts = (self.parameters, self.gradients, self.first, self.second, self.scratch)
        for arrays in zip(*parts, strict=True):
            self._move(*arrays, rate, share)

    def _move(
        self, p: Array, g: Array, m: Array, v: Array, s: Array, rate: float, share: float
    ) -> None:
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


def disagreement(case: Case) -> float:
    """The largest difference of a parameter after one epoch in the rows' own order."""
    compiled, handwritten = Compiled(case), Handwritten(case)
    found = compiled.run(shuffled=False).carried
    handwritten.run(shuffled=False)
    pairs = zip(found, handwritten.parameters, strict=False)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def seconds(run: Callable[[], object]) -> float:
    """How long one call takes."""
    began = perf_counter()
    run()
    return perf_counter() - began


def measure(case: Case, rounds: int) -> tuple[Sequence[float], Sequence[float]]:
    """Seconds a step of both, epochs alternating; the first pair warms up."""
    compiled, handwritten = Compiled(case), Handwritten(case)
    pairs = [(seconds(compiled.run), seconds(handwritten.run)) for _ in range(rounds + 1)]
    ours, theirs = zip(*pairs[1:], strict=True)
    return [each / STEPS for each in ours], [each / STEPS for each in theirs]


def main(rounds: int = 15) -> None:
    """Print one line a case."""
    for case in CASES:
        name = "-".join(map(str, case.widths))
        ours, theirs = measure(case, rounds)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(
            f"{name}, batch {case.batch}: reference {statistics.median(ours) * 1e6:.0f} us a step,"
            f" by hand {statistics.median(theirs) * 1e6:.0f} us, ratio {ratio:.2f}"
            f" (goal for the first: at most {GOAL_RATIO}; median of {rounds} pairs;"
            f" parameters differ by {disagreement(case):.1e} after an epoch)"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
