"""The formal multilayer perceptron: parameters counted, and three ways to write one function."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, circuit, flat_parameters, leaves
from chainrule.nn import Activation, Identity, Linear

LOSSES = {"linear": "squared_error", "sigmoid": "binary_cross_entropy", "softmax": "cross_entropy"}


def perceptron(d, m, L, k, output="linear", seed=0):
    """L hidden layers of m tanh units, and an affine last layer under its output function."""
    layers, last = [], Identity() if output == "linear" else output
    for place in range(1, L + 2):
        n_in, n_out = d if place == 1 else m, k if place > L else m
        layers += [Linear(n_in, n_out, name=f"W{place}"), Activation("tanh", name=f"h{place}")]
    return cr.Network([*layers[:-1], Activation(last)], seed=seed, dtype="float64")


def mlp(d=2, m=10, L=2, k=1, seed=0):
    model, x = perceptron(d, m, L, k, seed=seed), np.random.default_rng(seed).normal(size=(7, d))
    graph, bordered = cr.constant(x), x.T
    for place in range(1, L + 2):
        layer, h = model[f"W{place}"], cr.tanh if place <= L else Identity()
        graph = h(graph @ layer.W + layer.b)
        bordered = h(np.c_[layer.W.T, layer.b] @ np.r_[bordered, np.ones((1, 7))])  # [W b][x; 1]
    numbers = {"parameters": flat_parameters(model).size}
    numbers["m d + m + (L - 1)(m² + m) + k m + k"] = m * d + m + (L - 1) * (m * m + m) + k * m + k
    numbers["parameters of ten-parameters"] = flat_parameters(perceptron(1, 3, 1, 1)).size
    numbers["class against graph"] = np.abs(model.predict(x) - graph.value).max()
    numbers["bordered against W x + b"] = np.abs(model.predict(x) - bordered.T).max()
    for output, loss in LOSSES.items():  # the loss that suits the output is the default
        chosen = perceptron(d, m, L, 3, output).architecture.default_loss
        numbers[f"{output} goes with {loss}"] = chosen == loss
    row, W, b = leaves(x=x[:1], W=model["W1"].W, b=model["W1"].b)
    picture = circuit(cr.sum(cr.tanh(row @ W + b).named("h")), title="One layer: h = tanh(W x + b)")
    return Shown(numbers, {"mlp": picture}, notes=model.summary())


if __name__ == "__main__":
    print(mlp())
