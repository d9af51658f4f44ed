"""The summary slide of a two-layer network: six gradients by hand, and the same by the graph."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, ledger


def by_hand(x, y, W1, b1, W2, b2):
    """The slide's, for columns x (d, 1) and any number of outputs: W2ᵀ dz2, not dz2 w2ᵀ."""
    a1 = cr.sigmoid(W1 @ x + b1)
    a2 = cr.sigmoid(W2 @ a1 + b2)
    dz2 = a2 - y
    dz1 = W2.T @ dz2 * a1 * (1 - a1)
    return {"dz2": dz2, "dW2": dz2 @ a1.T, "db2": dz2, "dz1": dz1, "dW1": dz1 @ x.T, "db1": dz1}


def two_layer_backward(inputs=3, hidden=5, outputs=1, seed=0):
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(inputs, 1)), draw.integers(0, 2, (outputs, 1)).astype(float)
    shapes = {
        "W1": (hidden, inputs),
        "b1": (hidden, 1),
        "W2": (outputs, hidden),
        "b2": (outputs, 1),
    }
    W = {name: draw.normal(size=shape) for name, shape in shapes.items()}
    leaves = {name: cr.variable(value, name=name) for name, value in W.items()}
    z1 = (leaves["W1"] @ cr.constant(x).named("x") + leaves["b1"]).named("z1")
    a1 = cr.sigmoid(z1).named("a1")
    z2 = (leaves["W2"] @ a1 + leaves["b2"]).named("z2")
    a2 = cr.sigmoid(z2).named("a2")
    L = cr.sum(-y * cr.log(a2) - (1 - y) * cr.log(1 - a2)).named("L")
    nodes = {"dz2": z2, "dW2": leaves["W2"], "db2": leaves["b2"],
             "dz1": z1, "dW1": leaves["W1"], "db1": leaves["b1"]}  # fmt: skip
    graph = dict(zip(nodes, cr.gradient(L, list(nodes.values())), strict=True))
    hand = by_hand(x, y, **W)
    numbers = {f"{name}, by hand against graph":
               np.abs(hand[name] - graph[name].value).max() / np.abs(hand[name]).max()
               for name in nodes}  # fmt: skip
    # chainrule's networks keep W as (in x out): the same numbers, transposed.
    model = cr.Network([cr.nn.Linear(inputs, hidden, name="1"), cr.nn.Activation("sigmoid"),
                        cr.nn.Linear(hidden, outputs, name="2"), cr.nn.Activation("sigmoid")],
                       dtype="float64")  # fmt: skip
    for k in "12":
        model[k].W, model[k].b = W[f"W{k}"].T, W[f"b{k}"][:, 0]
    a = model.forward(x.T)
    model.backward((1 - y.T) / (1 - a) - y.T / a)
    numbers["layer by layer, (in x out) is the transpose"] = max(
        np.abs(model[k].gradient_w.T - hand[f"dW{k}"]).max() for k in "12")  # fmt: skip
    return Shown(numbers | {"L": L.value}, {"two-layer-backward": ledger(L, title="Two layers")})


if __name__ == "__main__":
    print(two_layer_backward())
