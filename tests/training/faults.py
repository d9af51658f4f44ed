"""Forty ways to keep a network from learning, each with the diagnosis that it deserves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.nn import Activation, BatchNorm, Dropout, Function, Linear, Network, Standardize
from chainrule.optim import SGD
from chainrule.training.findings import (
    CONSTANT_TARGET,
    DEAD,
    DIVERGENCE,
    EXPLODING,
    LEAKING_TARGET,
    UNSCALED,
    VANISHING,
)

Array = Any
ROWS, FEATURES = 300, 4


@dataclass
class Case:
    """A network, the rows it is to learn, and how."""

    model: Network
    X: Array
    y: Array
    settings: dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """A fault, and what the doctor is to say of it.

    Attributes
    ----------
    plant : callable
        Puts the fault into a healthy case.
    kind : str
    layer : str, optional
    operation : str, optional
    rows, columns : tuple of int, optional
        What must be named; anything where None.
    """

    plant: Callable[[Case], None]
    kind: str
    layer: str | None = None
    operation: str | None = None
    rows: tuple[int, ...] | None = None
    columns: tuple[int, ...] | None = None
    base: Callable[[], Case] | None = None


def features(seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(ROWS, FEATURES))


def stack(
    hidden: int = 2, activation: str = "relu", last: str | None = None, **more: Any
) -> Network:
    """Hidden layers ``linear1``, ``act1``, ..., and ``output``."""
    layers: list[Any] = []
    width = FEATURES
    for place in range(1, hidden + 1):
        layers += [
            Linear(width, 16, name=f"linear{place}"),
            Activation(activation, name=f"act{place}"),
        ]
        width = 16
    layers.append(Linear(width, more.pop("n_out", 1), name="output"))
    if last:
        layers.append(Activation(last, name="last"))
    return Network([*more.pop("first", ()), *layers], seed=1, **more)


def regression() -> Case:
    X = features()
    noise = np.random.default_rng(1).normal(size=ROWS)
    return Case(stack(), X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * noise, {"epochs": 5})


def classification() -> Case:
    X = features()
    noise = np.random.default_rng(1).normal(size=ROWS)
    y = (X[:, 0] + X[:, 1] ** 2 + noise > 1).astype(int) + (X[:, 2] + noise > 1)
    return Case(stack(last="softmax", n_out=3), X, y, {"epochs": 5})


def deep(activation: str, hidden: int) -> Callable[[], Case]:
    def make() -> Case:
        case = regression()
        case.model = stack(hidden, activation)
        return case

    return make


# How faults are planted


def column(place: int, change: Callable[[Array], Array]) -> Callable[[Case], None]:
    def plant(case: Case) -> None:
        case.X[:, place] = change(case.X[:, place])

    return plant


def cell(row: int, place: int, value: float) -> Callable[[Case], None]:
    def plant(case: Case) -> None:
        case.X[row, place] = value

    return plant


def target(change: Callable[[Array, Array], Array]) -> Callable[[Case], None]:
    def plant(case: Case) -> None:
        case.y = change(case.X, case.y)

    return plant


def leak(place: int, made: Callable[[Array], Array]) -> Callable[[Case], None]:
    def plant(case: Case) -> None:
        case.X[:, place] = made(case.y.astype(float))

    return plant


def weights(
    layer: str, change: Callable[[Array], Array], name: str = "W"
) -> Callable[[Case], None]:
    def plant(case: Case) -> None:
        setattr(case.model[layer], name, change(getattr(case.model[layer], name)))

    return plant


def settings(**changed: Any) -> Callable[[Case], None]:
    def plant(case: Case) -> None:
        case.settings |= changed

    return plant


def network(make: Callable[[], Network], **changed: Any) -> Callable[[Case], None]:
    def plant(case: Case) -> None:
        case.model = make()
        case.settings |= changed

    return plant


def both(*plants: Callable[[Case], None]) -> Callable[[Case], None]:
    def plant(case: Case) -> None:
        for each in plants:
            each(case)

    return plant


def steep(case: Case) -> None:
    """Every weight of the hidden layers a hundred times too large."""
    for layer in case.model.layers[:-1]:
        if isinstance(layer, Linear):
            layer.W = 100 * layer.W


def positive(case: Case) -> None:
    """No number below 0, so that a step moves every row's sum the same way."""
    case.X, case.y = np.abs(case.X), np.abs(case.y)
    case.model = stack(1)


def two_targets(X: Array, y: Array) -> Array:
    return np.column_stack([y, np.full(len(y), 7.0)])


def exponential() -> Network:
    return Network(
        [Linear(FEATURES, 16, name="linear1"), Activation("exp", name="act1"),
         Linear(16, 1, name="output")], seed=1,
    )  # fmt: skip


def logarithm() -> Network:
    return Network(
        [Linear(FEATURES, 16, name="linear1"), Function(ops.log, name="log"),
         Linear(16, 1, name="output")], seed=1,
    )  # fmt: skip


def batched() -> Network:
    return Network(
        [Linear(FEATURES, 16, name="linear1"), BatchNorm(16, name="norm"),
         Activation("relu", name="act1"), Dropout(0.2), Linear(16, 1, name="output")], seed=1,
    )  # fmt: skip


def standardized() -> Network:
    return stack(first=(Standardize(name="standardize"),))


RECKLESS = {"optimizer": SGD(1e4), "loss": "squared_error"}

FAULTS: dict[str, Fault] = {
    # constant targets
    "every target is 3": Fault(target(lambda X, y: 0 * y + 3), CONSTANT_TARGET, columns=(0,)),
    "every target is 0": Fault(target(lambda X, y: 0 * y), CONSTANT_TARGET, columns=(0,)),
    "targets differ by rounding": Fault(
        target(lambda X, y: 1000 + 1e-7 * y), CONSTANT_TARGET, columns=(0,)
    ),
    "the second of two targets": Fault(
        both(network(lambda: stack(n_out=2)), target(two_targets)), CONSTANT_TARGET, columns=(1,)
    ),
    # leaking targets
    "a copy": Fault(leak(2, lambda y: y), LEAKING_TARGET, columns=(2,)),
    "another unit": Fault(leak(1, lambda y: 1.8 * y + 32), LEAKING_TARGET, columns=(1,)),
    "the opposite": Fault(leak(0, lambda y: -y), LEAKING_TARGET, columns=(0,)),
    "the exponential": Fault(leak(3, np.exp), LEAKING_TARGET, columns=(3,)),
    "two of them": Fault(
        both(leak(0, lambda y: 2 * y), leak(3, np.tanh)), LEAKING_TARGET, columns=(0, 3)
    ),
    "the class": Fault(leak(1, lambda y: y), LEAKING_TARGET, columns=(1,), base=classification),
    "the class in another order": Fault(
        leak(2, lambda y: np.array([1.0, -1.0, 0.5])[y.astype(int)]),
        LEAKING_TARGET, columns=(2,), base=classification,
    ),
    "a score that was made from the class": Fault(
        leak(0, lambda y: y + 0.3 * np.sin(np.arange(len(y)))),
        LEAKING_TARGET, columns=(0,), base=classification,
    ),
    # unscaled columns
    "an income": Fault(
        column(1, lambda x: 40_000 + 9_000 * x), UNSCALED, "linear1", "matmul", columns=(1,)
    ),
    "a year": Fault(column(0, lambda x: 2000 + x), UNSCALED, "linear1", columns=(0,)),
    "nanometres in metres": Fault(column(2, lambda x: 1e-9 * x), UNSCALED, columns=(2,)),
    "two units": Fault(
        both(column(0, lambda x: 1e4 * x), column(3, lambda x: 1e6 * x)), UNSCALED, columns=(0, 3)
    ),
    "for classes": Fault(
        column(2, lambda x: 500 * x), UNSCALED, "linear1", columns=(2,), base=classification
    ),
    "a typing error": Fault(
        cell(123, 1, 1e6), UNSCALED, "linear1", rows=(123,), columns=(1,)
    ),
    "two typing errors": Fault(
        both(cell(7, 3, 1e5), cell(200, 3, -3e5)), UNSCALED, rows=(7, 200), columns=(3,)
    ),
    "a price in cents": Fault(target(lambda X, y: 1e6 + 1e5 * y), UNSCALED),
    # dead units
    "biases far below 0": Fault(
        weights("linear1", lambda b: b - 50, "b"), DEAD, "act1", "ReLU"
    ),
    "biases far below 0, further on": Fault(
        weights("linear2", lambda b: b - 50, "b"), DEAD, "act2", "ReLU"
    ),
    "for classes, too": Fault(
        weights("linear2", lambda b: b - 50, "b"), DEAD, "act2", "ReLU", base=classification
    ),
    "weights that are 0": Fault(
        both(weights("linear1", lambda W: 0 * W), weights("linear1", lambda b: b - 1, "b")),
        DEAD, "act1", "ReLU",
    ),
    "three of four": Fault(
        weights("linear1", lambda b: b - 50 * (np.arange(16) < 12), "b"), DEAD, "act1", "ReLU"
    ),
    "tanh at its ends": Fault(
        weights("linear1", lambda W: 500 * W), DEAD, "act1", "Tanh", base=deep("tanh", 2)
    ),
    "sigmoids at their ends": Fault(
        weights("linear2", lambda b: b + 30, "b"), DEAD, "act2", "Sigmoid", base=deep("sigmoid", 2)
    ),
    "steps that were far too large": Fault(
        both(positive, settings(optimizer=SGD(20.0), epochs=3, batch_size=None)),
        DEAD, "act1", "ReLU",
    ),
    # vanishing gradients
    "ten layers of sigmoids": Fault(
        lambda case: None, VANISHING, operation="Sigmoid", base=deep("sigmoid", 10)
    ),
    "twenty layers of sigmoids": Fault(
        lambda case: None, VANISHING, operation="Sigmoid", base=deep("sigmoid", 20)
    ),
    "weights that are nearly 0": Fault(
        both(weights("linear2", lambda W: 1e-5 * W), settings(epochs=0)),
        VANISHING, "linear1", "matmul",
    ),
    "weights that are nearly 0, at the end": Fault(
        both(weights("output", lambda W: 1e-6 * W), settings(epochs=0)),
        VANISHING, "linear2", "matmul",
        base=deep("leaky_relu", 2),
    ),
    # exploding gradients
    "weights that are far too large": Fault(
        weights("linear2", lambda W: 5000 * W), EXPLODING, "linear1", "matmul"
    ),
    "large weights in six layers": Fault(
        steep, EXPLODING, operation="matmul", base=deep("relu", 6)
    ),
    "large weights at the end": Fault(
        weights("output", lambda W: 2e4 * W), EXPLODING, "linear2", base=deep("leaky_relu", 2)
    ),
    # divergence
    "a rate far too large": Fault(settings(**RECKLESS, epochs=40), DIVERGENCE),
    "a rate far too large, with batch norm": Fault(
        network(batched, optimizer=SGD(1e36), epochs=40), DIVERGENCE
    ),
    "an exponential": Fault(
        network(exponential, optimizer=SGD(1.0), epochs=40), DIVERGENCE, "act1"
    ),
    "a logarithm of what is below 0": Fault(
        network(logarithm), DIVERGENCE, "log", "log"
    ),
    "one cell that is too much for float32": Fault(
        cell(42, 2, 1e30), DIVERGENCE, rows=(42,), columns=(2,)
    ),
}  # fmt: skip
