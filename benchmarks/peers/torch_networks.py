"""PyTorch: training as its documentation writes it, with the fused Adam and nothing waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.tasks import (
    BETA_1,
    BETA_2,
    CHECKED_EPOCHS,
    EPSILON,
    RATE,
    Job,
    Task,
    layers,
    slices,
    some,
    timed,
)

Wrap = Callable[[Any], Any]


def network(task: Task, hidden: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """The task's network at its start, up to its scores."""
    built: list[nn.Module] = []
    for W, b in layers(task.parameters()):
        linear = nn.Linear(*W.shape)
        linear.weight.data = torch.tensor(W.T).contiguous()
        linear.bias.data = torch.tensor(b)
        built += [linear, hidden()]
    return nn.Sequential(*built[:-1])


def loss_of(task: Task, model: Wrap) -> Callable[[Any, Any], Any]:
    """The mean loss of rows."""
    if task.classes:
        return lambda x, labels: functional.cross_entropy(model(x), labels)
    return lambda x, labels: functional.binary_cross_entropy_with_logits(model(x)[:, 0], labels)


class Training:
    """A network that is trained step by step.

    Parameters
    ----------
    task : Task
    wrap : callable
        What is done to the loss before it is used, such as compiling it.
    """

    def __init__(self, task: Task, wrap: Wrap) -> None:
        X, labels = task.data()
        self.X, self.labels = torch.from_numpy(X), torch.from_numpy(labels)
        if not task.classes:
            self.labels = self.labels.float()
        self.batch, self.model = task.batch, network(task)
        self.loss = wrap(loss_of(task, self.model))
        self.adam = torch.optim.Adam(
            self.model.parameters(), lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True
        )

    def epoch(self, order: Any) -> list[Any]:
        """The losses, as tensors."""
        return [self.step(self.X[rows], self.labels[rows]) for rows in slices(order, self.batch)]

    def step(self, x: Any, labels: Any) -> Any:
        """One step; its loss is not waited for."""
        loss = self.loss(x, labels)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss.detach()

    def shuffled(self) -> None:
        """An epoch in an order of its own."""
        self.epoch(torch.randperm(len(self.X)))

    def check(self) -> list[float]:
        """The mean loss of each of some epochs in the rows' own order."""
        order = torch.arange(len(self.X))
        return [float(torch.stack(self.epoch(order)).mean()) for _ in range(CHECKED_EPOCHS)]


def train(task: Task, wrap: Wrap) -> Job:
    """Epochs, one after the other."""
    return Job(
        timed(Training(task, wrap).shuffled),
        task.steps,
        lambda: Training(task.short(), wrap).check(),
    )


def predict(task: Task, wrap: Wrap) -> Job:
    """One call for all rows."""
    x, model = torch.tensor(task.features()), wrap(network(task))

    def scores() -> Any:
        with torch.inference_mode():
            return model(x).numpy()

    return Job(timed(scores), 1, lambda: some(scores()))
