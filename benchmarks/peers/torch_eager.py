"""PyTorch, one operation after the other."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import func, nn

from benchmarks.peers import torch_networks
from benchmarks.tasks import Job, Task, timed, until_good


def _as_it_is(function: Any) -> Any:
    return function


def _point(task: Task) -> tuple[Any, Any, Any]:
    """The network, a point and a direction."""
    model = torch_networks.network(task, nn.Tanh).requires_grad_(False)
    return model, torch.tensor(task.features()[0]), torch.tensor(task.directions())


def _at_a_point(run: Any) -> Job:
    return Job(timed(run), 1, lambda: run().ravel().tolist())


def value(task: Task) -> Job:
    """Outputs."""
    model, x, _ = _point(task)
    return _at_a_point(lambda: model(x))


def jacobian(task: Task) -> Job:
    """Derivatives of each output by each feature."""
    model, x, _ = _point(task)
    derivative = func.jacrev(model)
    return _at_a_point(lambda: derivative(x))


def hvp(task: Task) -> Job:
    """The second derivative of the outputs' sum along a direction."""
    model, x, v = _point(task)
    slope = func.grad(lambda x: model(x).sum())
    return _at_a_point(lambda: func.jvp(slope, (x,), (v,))[1])


def digits(task: Task) -> dict[str, float]:
    """Train until test rows are told apart."""
    training = torch_networks.Training(task, _as_it_is)

    def classes(X: Any) -> Any:
        with torch.inference_mode():
            return training.model(torch.from_numpy(X)).argmax(dim=1).numpy()

    return {"epochs": until_good(task, training.shuffled, classes)}


WORKS = {
    "train": partial(torch_networks.train, wrap=_as_it_is),
    "predict": partial(torch_networks.predict, wrap=_as_it_is),
    "value": value,
    "jacobian": jacobian,
    "hvp": hvp,
}
ALONE = {"digits": digits}
