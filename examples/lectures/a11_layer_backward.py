"""Backward, layer by layer: by hand as on the slide, by Network.backward, and by the graph."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Points, Shown
from chainrule.nn import Activation, Linear, ReLU, Sigmoid

DERIVATIVES = {"relu1": lambda s: s > 0, "relu2": lambda s: s > 0,
               "sigmoid": lambda s: cr.sigmoid(s) * (1 - cr.sigmoid(s))}  # fmt: skip


def by_hand(model, error):
    """The slide's loop, with the bias that it forgets."""
    found = {}
    for layer in reversed(model.layers):
        if isinstance(layer, Linear):
            found[f"{layer.name}.W"] = layer.input.T @ error  # gradient_w
            found[f"{layer.name}.b"] = error.sum(axis=0)
            error = error @ layer.W.T  # input_error
        else:
            error = error * DERIVATIVES[layer.name](layer.input)
    return found


def by_graph(model, X, y):
    """The derivatives of the loss as a graph over variables."""
    variables, x = {}, X
    for layer in model.layers:
        if isinstance(layer, Linear):
            W, b = (
                cr.variable(value, name=f"{layer.name}.{n}") for n, value in layer.values.items()
            )
            variables |= {W.name: W, b.name: b}
            x = x @ W + b
        else:
            x = cr.sigmoid(x) if layer.name == "sigmoid" else cr.relu(x)
    loss = -cr.sum(y * cr.log(x) + (1 - y) * cr.log(1 - x))
    slopes = cr.evaluate(cr.gradient(loss, list(variables.values())))
    return dict(zip(variables, slopes, strict=True))


def layer_backward(rows=64, seed=0):
    model = cr.Network(
        [Linear(2, 10, name="input"), Activation(ReLU(), name="relu1"),
         Linear(10, 10, name="middle"), Activation(ReLU(), name="relu2"),
         Linear(10, 1, name="output"), Activation(Sigmoid(), name="sigmoid")],
        seed=seed, dtype="float64",
    )  # fmt: skip
    X, labels = cr.data.two_moons(rows, seed=seed)
    y = labels[:, None]
    p = model.forward(X)
    loss_grad = (p - y) / (p * (1 - p))
    model.backward(loss_grad)
    hand, graph = by_hand(model, loss_grad), by_graph(model, X, y)
    numbers, dots = {}, []
    for name in ("input", "middle", "output"):
        layer = model[name]
        ours = {f"{name}.W": layer.gradient_w, f"{name}.b": layer.gradient_b}
        for key, value in ours.items():
            scale = np.abs(graph[key]).max()
            numbers[f"{key}: layer less graph"] = np.abs(value - graph[key]).max() / scale
            numbers[f"{key}: by hand less graph"] = np.abs(hand[key] - graph[key]).max() / scale
        dots.append(Points(graph[f"{name}.W"].ravel(), layer.gradient_w.ravel(), label=f"{name}.W",
                           marker=("circle", "square", "triangle")[len(dots)]))  # fmt: skip
    reach = max(np.abs(dot.x).max() for dot in dots)
    chart = Chart(
        Panel(Line([-reach, reach], [-reach, reach], ink="note", width=1.0, dash="solid"), *dots,
              x="derivative from the graph", y="gradient_w of the layer", equal=True),
        title="By layers or by the graph: the same derivatives", size=(560.0, 460.0),
    )  # fmt: skip
    return Shown(numbers, {"layer-backward": chart})


if __name__ == "__main__":
    print(layer_backward())
