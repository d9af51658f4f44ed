"""scikit-learn's multi-layer perceptron, one epoch a call."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.tasks import (
    BETA_1,
    BETA_2,
    CHECKED_EPOCHS,
    EPSILON,
    RATE,
    Job,
    Task,
    fitted,
    layers,
    timed,
    until_good,
)


class GivenStart(MLPClassifier):
    """A classifier whose first parameters are the task's."""

    def begin(self, task: Task) -> GivenStart:
        """Keep the parameters until the first epoch asks for them."""
        self._start = iter(layers(task.parameters()))
        return self

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
        return next(self._start)


class Training:
    """A classifier that is trained epoch by epoch."""

    def __init__(self, task: Task, shuffle: bool = True) -> None:
        self.rows, self.classes = task.data(), np.arange(max(2, task.widths[-1]))
        self.model = GivenStart(
            task.widths[1:-1], batch_size=task.batch, alpha=0, shuffle=shuffle, random_state=0,
            learning_rate_init=RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON,
        ).begin(task)  # fmt: skip

    def epoch(self) -> None:
        """One epoch."""
        self.model.partial_fit(*self.rows, classes=self.classes)

    def check(self) -> list[float]:
        """The mean loss of each of some epochs."""
        for _ in range(CHECKED_EPOCHS):
            self.epoch()
        return [float(loss) for loss in self.model.loss_curve_]


def train(task: Task) -> Job:
    """Epochs, one after the other."""
    return Job(
        timed(Training(task).epoch),
        task.steps,
        lambda: Training(task.short(), shuffle=False).check(),
    )


def digits(task: Task) -> dict[str, float]:
    """Train until test rows are told apart."""
    training = Training(task)
    return {"epochs": until_good(task, training.epoch, training.model.predict)}


def fit(task: Task, dtype: str = "float64") -> dict[str, float]:
    """A whole fit, with the defaults."""
    return fitted(task, MLPClassifier, MLPRegressor, dtype)


WORKS = {"train": train}
ALONE = {"digits": digits, "fit": fit, "fit float32": partial(fit, dtype="float32")}
