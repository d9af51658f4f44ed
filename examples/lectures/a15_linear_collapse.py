"""Layers without a non-linearity are one linear map: the product of their matrices."""

from functools import reduce
from itertools import pairwise

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Shown
from chainrule.nn import Activation, Linear, Tanh


def network(width, depth, seed, bent):
    """2 inputs, hidden layers, 2 outputs; tanh between them if ``bent``."""
    sizes = [2, *[width] * depth, 2]
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [Linear(n_in, n_out), Activation(Tanh())]
    return cr.Network([x for x in layers[:-1] if bent or isinstance(x, Linear)], seed=seed,
                      dtype="float64")  # fmt: skip


def linear_collapse(width=8, depth=3, seed=0):
    straight, bent = (network(width, depth, seed, bent) for bent in (False, True))
    layers = list(straight.layers)
    for k, layer in enumerate(layers):
        layer.b = np.random.default_rng(seed + k).normal(size=layer.b.shape)
    W = reduce(np.matmul, [layer.W for layer in layers])
    b = reduce(lambda b, layer: b @ layer.W + layer.b, layers, np.zeros(2))
    X = np.random.default_rng(seed).normal(size=(200, 2))

    ticks, fine = np.linspace(-1, 1, 9), np.linspace(-1, 1, 41)
    lines = [np.stack([fine, np.full(41, t)], 1) for t in ticks]
    lines += [line[:, ::-1] for line in lines]

    def grid(title, f):
        drawn = [Line(*f(line).T, ink="class0" if k < 9 else "class1", width=1.2,
                      dash="solid") for k, line in enumerate(lines)]  # fmt: skip
        return Panel(*drawn, title=title)

    chart = Chart(
        grid("The input plane", lambda line: line),
        grid(f"{depth + 1} linear layers", straight.predict),
        grid("The same with tanh between them", bent.predict),
        title="Without a non-linearity any number of layers only stretch, shear, turn and shift",
    )
    return Shown({"layers": len(layers), "rank of the product": np.linalg.matrix_rank(W),
                  "largest difference": np.abs(straight.predict(X) - (X @ W + b)).max()},
                 {"linear-collapse": chart})  # fmt: skip


if __name__ == "__main__":
    print(linear_collapse())
