"""Layers without a non-linearity are one linear map: the product of their matrices."""

from itertools import pairwise

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Shown, warped_grid
from chainrule.nn import Activation, Linear


def network(width, depth, seed, *between):
    """2 inputs, hidden layers, 2 outputs, and what stands between them."""
    layers = []
    for n_in, n_out in pairwise([2, *[width] * depth, 2]):
        layers += [Linear(n_in, n_out, biases="normal"), *map(Activation, between)]
    return cr.Network(layers, seed=seed, dtype="float64")


def linear_collapse(width=8, depth=3, seed=0):
    straight, bent = network(width, depth, seed), network(width, depth, seed, "tanh")
    W, b = np.eye(2), np.zeros(2)
    for layer in straight.layers:
        W, b = W @ layer.W, b @ layer.W + layer.b
    X = np.random.default_rng(seed).normal(size=(200, 2))
    difference = np.abs(straight.predict(X) - (X @ W + b)).max()
    numbers = {"layers": len(straight.layers), "rank of the product": np.linalg.matrix_rank(W),
               "largest difference": difference}  # fmt: skip
    chart = Chart(
        warped_grid(lambda points: points, title="The input plane"),
        warped_grid(straight.predict, title=f"{depth + 1} linear layers"),
        warped_grid(bent.predict, title="The same with tanh behind each"),
        title="Without a non-linearity any number of layers only stretch, shear, turn and shift",
    )
    return Shown(numbers, {"linear-collapse": chart})


if __name__ == "__main__":
    print(linear_collapse())
