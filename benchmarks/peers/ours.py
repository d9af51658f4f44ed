"""chainrule, through its public names."""

from __future__ import annotations

import math
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.tasks import (
    BETA_1,
    BETA_2,
    CHECKED_EPOCHS,
    EPSILON,
    GOOD_ACCURACY,
    MOST_EPOCHS,
    RATE,
    Job,
    Task,
    fitted,
    layers,
    some,
    timed,
)
from chainrule.nn import Activation, Linear, Network
from chainrule.optim import Adam
from chainrule.training import Callback, History

LONG_STEPS, LONG_RATE = 1_000_000, 0.03
YARDSTICK_EPOCHS = 10
ENOUGH = "good enough"


def network(task: Task, *, scores: bool = False) -> Network:
    """The task's network at its start; with ``scores``, without its sigmoid or softmax."""
    built: list[Any] = []
    pairs = layers(task.parameters())
    for W, _ in pairs:
        built += [Linear(*W.shape), Activation("relu")]
    built[-1:] = [] if scores else [Activation("softmax" if task.classes else "sigmoid")]
    model = Network(built, seed=0)
    for layer, (W, b) in zip(model.layers[::2], pairs, strict=True):
        layer.W, layer.b = W, b
    return model


class Training:
    """A network, or several members, that ``fit`` trains."""

    accumulate = 1  # steps an update

    def __init__(self, task: Task) -> None:
        self.task, self.rows, self.model = task, task.data(), network(task)
        self.preparation = math.inf  # seconds before the first step
        if task.members > 1:
            self.fit(0)
            self._start_members()

    def _start_members(self) -> None:
        starts = [self.task.parameters(member) for member in range(self.task.members)]
        pairs = layers([np.stack(arrays) for arrays in zip(*starts, strict=True)])
        for layer, (W, b) in zip(self.model.layers[::2], pairs, strict=True):
            layer.W, layer.b = W, b

    def fit(self, epochs: int, rate: float = RATE, **settings: Any) -> History:
        """Train for some epochs."""
        return self.model.fit(
            *self.rows, epochs=epochs, batch_size=self.task.batch, members=self.task.members,
            optimizer=Adam(
                rate, betas=(BETA_1, BETA_2), epsilon=EPSILON, accumulate=self.accumulate
            ),
            seed=self.task.seed, **settings,
        )  # fmt: skip

    def seconds(self, epochs: int) -> float:
        """What the epochs of a training take, without what precedes its first step.

        Of that the least that was ever seen is taken off: a disturbance counts against us.
        """
        began = perf_counter()
        self.fit(0)
        middle = perf_counter()
        self.fit(epochs)
        self.preparation = min(self.preparation, middle - began)
        return perf_counter() - middle - self.preparation

    def check(self) -> list[float]:
        """The mean loss of each of some epochs in the rows' own order."""
        return [float(loss) for loss in self.fit(CHECKED_EPOCHS, shuffle=False)["loss"]]


def train(task: Task) -> Job:
    """Epochs, one after the other."""
    return Job(Training(task).seconds, task.steps, lambda: Training(task.short()).check())


def predict(task: Task) -> Job:
    """One call of ``predict`` for all rows."""
    model, X = network(task, scores=True), task.features()
    return Job(timed(lambda: model.predict(X)), 1, lambda: some(model.predict(X)))


def _function(task: Task, hidden: Any) -> Any:
    """The network up to its scores, as a function to be compiled."""
    *inner, (W, b) = layers(task.parameters())

    def scores(x: Any) -> Any:
        for inner_W, inner_b in inner:
            x = hidden(x @ inner_W + inner_b)
        return x @ W + b

    return scores


def compiled(task: Task) -> Job:
    """One call of a compiled function for all rows."""
    x, run = task.features(), cr.compile(_function(task, cr.relu))
    return Job(timed(lambda: run(x)), 1, lambda: some(run(x)))


def _at_a_point(function: Any, *arrays: Any) -> Job:
    run = cr.compile(function)
    return Job(timed(lambda: run(*arrays)), 1, lambda: np.ravel(run(*arrays)).tolist())


def value(task: Task) -> Job:
    """Outputs."""
    return _at_a_point(_function(task, cr.tanh), task.features()[0])


def jacobian(task: Task) -> Job:
    """Derivatives of each output by each feature."""
    return _at_a_point(cr.jacobian(_function(task, cr.tanh)), task.features()[0])


def hvp(task: Task) -> Job:
    """The second derivative of the outputs' sum along a direction."""
    outputs = _function(task, cr.tanh)
    product = cr.hvp(lambda x: cr.sum(outputs(x)))
    return _at_a_point(product, task.features()[0], task.directions())


def digits(task: Task) -> dict[str, float]:
    """Train until test rows are told apart, in one call of ``fit``."""
    training, X, labels = Training(task), task.stored("X_test"), task.stored("y_test")

    def stop_when_good(run: Any) -> None:
        if np.mean(training.model.predict(X).argmax(axis=1) == labels) >= GOOD_ACCURACY:
            run.stop(ENOUGH)

    history = training.fit(MOST_EPOCHS, callbacks=[stop_when_good])
    if history.stopped != ENOUGH:
        raise RuntimeError(f"{MOST_EPOCHS} epochs were not enough: {history.stopped}")
    return {"epochs": history.epochs}


class Yardstick(Callback):
    """Beside each call into the engine, the epochs of a network that is always young.

    A machine changes its speed in the course of a million steps, by more than what is looked for.

    Attributes
    ----------
    ratios : list of float
        For each epoch its time by that of the young network's.
    """

    every_epoch = False

    def __init__(self, task: Task) -> None:
        self.young = Training(task)
        self.ratios: list[float] = []

    def epoch(self, run: Any) -> None:
        """Measure."""
        usual = np.median(self.young.fit(YARDSTICK_EPOCHS)["seconds"])
        self.ratios += [each / usual for each in run.history["seconds"][len(self.ratios) :]]


def long(task: Task) -> dict[str, float]:
    """A million steps at a rate that kills units: the last tenth's time beside the first's.

    Adam's moments of a unit that gives 0 for every row sink below the smallest normal number.
    """
    training, yardstick = Training(task), Yardstick(task)
    training.fit(1, rate=LONG_RATE)  # compiled
    epochs = LONG_STEPS // task.steps
    history = training.fit(epochs, rate=LONG_RATE, callbacks=[yardstick])
    seconds, tenth = np.array(history["seconds"]), history.epochs // 10
    first, last = yardstick.ratios[:tenth], yardstick.ratios[-tenth:]
    return {
        "slowdown": float(np.median(last) / np.median(first)),
        "dead units": dead_units(training.model, training.rows[0]),
        "us a step at first": float(np.median(seconds[:tenth]) / task.steps * 1e6),
    }


def dead_units(model: Network, X: Any) -> int:
    """Hidden units whose activation is 0 for every row."""
    model.forward(X)
    return int(sum((layer.input == 0).all(axis=0).sum() for layer in model.layers[2::2]))


WORKS = {
    "train": train,
    "predict": predict,
    "compiled": compiled,
    "value": value,
    "jacobian": jacobian,
    "hvp": hvp,
}


def fit(task: Task, dtype: str = "float64") -> dict[str, float]:
    """A whole fit of the estimators, with the defaults; compiled, or loaded, within it."""
    from chainrule.estimators import MLPClassifier, MLPRegressor

    return fitted(task, MLPClassifier, MLPRegressor, dtype)


ALONE = {
    "digits": digits, "long": long, "fit": fit, "fit float32": partial(fit, dtype="float32"),
}  # fmt: skip
