"""Backpropagation by deltas: two outer products, two exercises, and the same from the graph."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, ledger


def deltas(x, y, W, b):
    """The slide's algorithm: z and a forwards, delta backwards; W is (out x in)."""
    a, zs = [x], []
    for weights, bias in zip(W, b, strict=True):
        zs.append(weights @ a[-1] + bias)
        a.append(cr.sigmoid(zs[-1]))
    slope = [cr.sigmoid(z) * (1 - cr.sigmoid(z)) for z in zs]  # g'(z)
    delta = (a[-1] - y) * slope[-1]  # of the last layer
    found = [delta]
    for weights, g in zip(reversed(W[1:]), reversed(slope[:-1]), strict=True):  # down to layer 1
        found.insert(0, delta := weights.T @ delta * g)
    return a, slope, found


def delta_rule(inputs=2, hidden=3, outputs=2, seed=0):
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=inputs), draw.uniform(size=outputs)
    W = [draw.normal(size=(hidden, inputs)), draw.normal(size=(outputs, hidden))]
    b = [draw.normal(size=hidden), draw.normal(size=outputs)]
    a, slope, delta = deltas(x, y, W, b)

    columns = [W[0], W[1], b[0][:, None], b[1][:, None]]
    leaves = [
        cr.variable(v, name=n) for n, v in zip(("W1", "W2", "b1", "b2"), columns, strict=True)
    ]
    z1 = (leaves[0] @ cr.constant(x[:, None]).named("a0") + leaves[2]).named("z1")
    z2 = (leaves[1] @ cr.sigmoid(z1).named("a1") + leaves[3]).named("z2")
    L = (cr.sum((cr.sigmoid(z2).named("a2") - y[:, None]) ** 2) / 2).named("L")
    graph = [np.squeeze(node.value) for node in cr.gradient(L, [z1, z2, *leaves])]
    hand = [*delta, np.outer(delta[0], a[0]), np.outer(delta[1], a[1]), delta[0], delta[1]]
    names = ("δ¹", "δ²", "dL/dW¹", "dL/dW²", "dL/db¹", "dL/db²")
    numbers = {f"{name} against the graph": np.abs(mine - theirs).max() / np.abs(theirs).max()
               for name, mine, theirs in zip(names, hand, graph, strict=True)}  # fmt: skip
    for k in (0, 2):  # the exercise: δ_1^1 and δ_3^1, as sums over the paths to both outputs
        paths = sum(delta[1][j] * W[1][j, k] * slope[0][k] for j in range(outputs))
        numbers |= {f"δ_{k + 1}^1": paths, f"δ_{k + 1}^1 less the graph's": paths - graph[0][k]}
    return Shown(numbers, {"delta-rule": ledger(L, title="L = ½ Σ (y − a²)²: two layers")})


if __name__ == "__main__":
    print(delta_rule())
