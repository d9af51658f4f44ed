"""The formal multilayer perceptron: parameters counted, and three ways to write one function."""

from itertools import pairwise

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, circuit
from chainrule.nn import Activation, Linear, Sigmoid, Softmax, Tanh

OUTPUTS = {"linear": "squared_error", "sigmoid": "binary_cross_entropy", "softmax": "cross_entropy"}


def perceptron(d, m, L, k, output="linear", seed=0):
    """L hidden layers of m tanh units, and an affine last layer under its output function."""
    sizes, layers = [d, *[m] * L, k], []
    for place, (before, after) in enumerate(pairwise(sizes), 1):
        layers += [Linear(before, after, name=f"W{place}"), Activation(Tanh(), name=f"h{place}")]
    last = {"linear": [], "sigmoid": [Activation(Sigmoid())], "softmax": [Activation(Softmax())]}
    return cr.Network([*layers[:-1], *last[output]], seed=seed, dtype="float64")


def counted(model):
    return sum(array.size for layer in model.parameters.values() for array in layer.values())


def mlp(d=2, m=10, L=2, k=1, seed=0):
    model = perceptron(d, m, L, k, seed=seed)
    x = np.random.default_rng(seed).normal(size=(7, d))
    graph, bordered = x, x.T
    for place in range(1, L + 2):
        W, b = model[f"W{place}"].W, model[f"W{place}"].b
        last = place == L + 1
        s = cr.constant(graph) @ W + b
        graph = (s if last else cr.tanh(s)).value
        z = np.column_stack([W.T, b]) @ np.vstack([bordered, np.ones(len(x))])  # [W b][x; 1]
        bordered = z if last else np.tanh(z)
    given = model.predict(x)
    numbers = {
        "parameters": counted(model),
        "m d + m + (L - 1)(m² + m) + k m + k": m * d + m + (L - 1) * (m * m + m) + k * m + k,
        "parameters of ten-parameters": counted(perceptron(1, 3, 1, 1)),
        "class against graph": np.abs(given - graph).max(),
        "bordered against W x + b": np.abs(given - bordered.T).max(),
    }
    for output, loss in OUTPUTS.items():  # the loss that suits the output is the default
        each = perceptron(d, m, L, 3, output, seed)
        numbers[f"{output} goes with {loss}"] = each.architecture.default_loss == loss
    row, W, b = (cr.variable(value, name=name) for name, value in
                 (("x", x[:1]), ("W", model["W1"].W), ("b", model["W1"].b)))  # fmt: skip
    row = cr.sum(cr.tanh(row @ W + b).named("h"))
    return Shown(numbers, {"mlp": circuit(row, title="One layer: h = tanh(W x + b)")},
                 notes=model.summary())  # fmt: skip


if __name__ == "__main__":
    print(mlp())
