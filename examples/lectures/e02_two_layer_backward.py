"""The summary slide of a two-layer network: six gradients by hand, and the same by the graph."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, leaves, ledger, relative_error
from chainrule.nn import Activation, Linear


def two_layer_backward(inputs=3, hidden=5, outputs=1, seed=0):
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(inputs, 1)), draw.integers(0, 2, (outputs, 1)).astype(float)
    W1, b1 = draw.normal(size=(hidden, inputs)), draw.normal(size=(hidden, 1))
    W2, b2 = draw.normal(size=(outputs, hidden)), draw.normal(size=(outputs, 1))
    a1 = cr.sigmoid(W1 @ x + b1)
    dz2 = cr.sigmoid(W2 @ a1 + b2) - y
    dz1 = W2.T @ dz2 * a1 * (1 - a1)  # W2ᵀ dz2 for any number of outputs, not dz2 w2ᵀ
    hand = {"dz2": dz2, "dW2": dz2 @ a1.T, "db2": dz2, "dz1": dz1, "dW1": dz1 @ x.T, "db1": dz1}
    w1, c1, w2, c2 = leaves(W1=W1, b1=b1, W2=W2, b2=b2)
    z1 = (w1 @ cr.constant(x).named("x") + c1).named("z1")
    z2 = (w2 @ cr.sigmoid(z1).named("a1") + c2).named("z2")
    a = cr.sigmoid(z2).named("a2")
    L = cr.sum(-y * cr.log(a) - (1 - y) * cr.log(1 - a)).named("L")
    graph, numbers = cr.gradient(L, [z2, w2, c2, z1, w1, c1]), {"L": L.value}
    for (name, mine), theirs in zip(hand.items(), graph, strict=True):
        numbers[f"{name}, by hand against graph"] = relative_error(mine, theirs.value)
    layers = [Linear(inputs, hidden, name="1"), Activation("sigmoid"),
              Linear(hidden, outputs, name="2"), Activation("sigmoid")]  # fmt: skip
    model = cr.Network(layers, dtype="float64")  # keeps W as (in x out): transposed
    model["1"].W, model["1"].b, model["2"].W, model["2"].b = W1.T, b1[:, 0], W2.T, b2[:, 0]
    p = model.forward(x.T)
    model.backward((p - y.T) / (p * (1 - p)))
    errors = [relative_error(model[k].gradient_w.T, hand[f"dW{k}"]) for k in "12"]
    numbers["layer by layer, (in x out) is the transpose"] = max(errors)
    return Shown(numbers, {"two-layer-backward": ledger(L, title="Two layers")})


if __name__ == "__main__":
    print(two_layer_backward())
