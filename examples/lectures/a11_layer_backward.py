"""Backward, layer by layer: by hand as on the slide, by Network.backward, and by the graph."""

import chainrule as cr
from chainrule.explain import Chart, Shown, agreement_panel, ledger, loss_graph, relative_error
from chainrule.nn import Activation, Linear


def by_hand(layers, error):
    """The slide's loop, with the bias that it forgets: for each layer, gradients of W and b."""
    for layer in reversed(layers):
        if isinstance(layer, Linear):
            yield layer, layer.input.T @ error, error.sum(axis=0)
            error = error @ layer.W.T  # input_error
        else:  # ReLU
            error = error * (layer.input > 0)


def layer_backward(rows=64, seed=0):
    layers = [Linear(2, 10, name="input"), Activation("relu"), Linear(10, 10, name="middle"),
              Activation("relu"), Linear(10, 1, name="output"), Activation("sigmoid")]  # fmt: skip
    model = cr.Network(layers, seed=seed, dtype="float64")
    X, y = cr.data.two_moons(rows, seed=seed)
    p = model.forward(X)
    model.backward((p - y[:, None]) / (p * (1 - p)) / rows)
    graph = {node.name: slope for node, slope in ledger(loss_graph(model, X, y)).gradients.items()}
    numbers, pairs = {}, {}
    for layer, W, b in by_hand(model.layers[:-1], (p - y[:, None]) / rows):  # through the sigmoid
        for name, mine, theirs in (("W", W, layer.gradient_w), ("b", b, layer.gradient_b)):
            true = graph[f"{layer.name}.{name}"]
            numbers[f"{layer.name}.{name}: layer less graph"] = relative_error(theirs, true)
            numbers[f"{layer.name}.{name}: by hand less graph"] = relative_error(mine, true)
        pairs[f"{layer.name}.W"] = graph[f"{layer.name}.W"], layer.gradient_w
    panel = agreement_panel(pairs, x="derivative from the graph", y="gradient_w of the layer")
    title = "By layers or by the graph: the same derivatives"
    return Shown(numbers, {"layer-backward": Chart(panel, title=title, size=(560.0, 460.0))})


if __name__ == "__main__":
    print(layer_backward())
