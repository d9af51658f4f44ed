"""chainrule, through its public names."""

from __future__ import annotations

from time import perf_counter

from benchmarks.tasks import BETA_1, BETA_2, CHECKED_EPOCHS, EPSILON, RATE, Job, Task, layers
from chainrule.nn import Activation, Linear, Network
from chainrule.optim import Adam


def network(task: Task) -> Network:
    """The task's network at its start."""
    built = []
    pairs = layers(task.parameters())
    for W, _ in pairs:
        built += [Linear(*W.shape), Activation("relu")]
    built[-1] = Activation("softmax" if task.classes else "sigmoid")
    model = Network(built, seed=0)
    for layer, (W, b) in zip(model.layers[::2], pairs, strict=True):
        layer.W, layer.b = W, b
    return model


class Training:
    """A network that ``fit`` trains."""

    def __init__(self, task: Task) -> None:
        self.task, self.model = task, network(task)
        self.rows = task.data()

    def fit(self, epochs: int, shuffle: bool = True) -> list[float]:
        """The mean loss of each epoch."""
        optimizer = Adam(RATE, betas=(BETA_1, BETA_2), epsilon=EPSILON)
        history = self.model.fit(
            *self.rows, optimizer=optimizer, epochs=epochs, batch_size=self.task.batch,
            shuffle=shuffle, seed=0,
        )  # fmt: skip
        return history["loss"] if epochs else []

    def seconds(self, epochs: int) -> float:
        """What the epochs of a training take, without what precedes its first step."""
        began = perf_counter()
        self.fit(0)
        middle = perf_counter()
        self.fit(epochs)
        return (perf_counter() - middle) - (middle - began)

    def check(self) -> list[float]:
        """The mean loss of each of some epochs in the rows' own order."""
        return [float(loss) for loss in self.fit(CHECKED_EPOCHS, shuffle=False)]


def train(task: Task) -> Job:
    """Epochs, one after the other."""
    return Job(Training(task).seconds, task.steps, Training(task).check)


WORKS = {"train": train}
