"""Backpropagation by deltas: two outer products, two exercises, and the same from the graph."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, leaves, ledger, relative_error


def delta_rule(inputs=2, hidden=3, outputs=2, seed=0):
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(inputs, 1)), draw.uniform(size=(outputs, 1))
    W1, b1 = draw.normal(size=(hidden, inputs)), draw.normal(size=(hidden, 1))
    W2, b2 = draw.normal(size=(outputs, hidden)), draw.normal(size=(outputs, 1))
    a1 = cr.sigmoid(W1 @ x + b1)
    a2 = cr.sigmoid(W2 @ a1 + b2)
    slope1 = a1 * (1 - a1)  # g'(z)
    delta2 = (a2 - y) * a2 * (1 - a2)
    delta1 = W2.T @ delta2 * slope1  # the loop ends here: there is no z of layer 0
    hand = {"δ¹": delta1, "δ²": delta2, "dL/dW¹": delta1 @ x.T, "dL/dW²": delta2 @ a1.T,
            "dL/db¹": delta1, "dL/db²": delta2}  # fmt: skip

    w1, w2, c1, c2 = leaves(W1=W1, W2=W2, b1=b1, b2=b2)
    z1 = (w1 @ cr.constant(x).named("a0") + c1).named("z1")
    z2 = (w2 @ cr.sigmoid(z1).named("a1") + c2).named("z2")
    L = (cr.sum((cr.sigmoid(z2).named("a2") - y) ** 2) / 2).named("L")
    graph = [node.value for node in cr.gradient(L, [z1, z2, w1, w2, c1, c2])]
    numbers = {f"{name} against the graph": relative_error(mine, theirs)
               for (name, mine), theirs in zip(hand.items(), graph, strict=True)}  # fmt: skip
    for k in range(0, hidden, 2):  # the exercise: δ_1^1, δ_3^1 as sums over paths to all outputs
        paths = sum(delta2[j, 0] * W2[j, k] * slope1[k, 0] for j in range(outputs))
        numbers |= {f"δ_{k + 1}^1": paths, f"δ_{k + 1}^1 less the graph's": paths - graph[0][k, 0]}
    return Shown(numbers, {"delta-rule": ledger(L, title="L = ½ Σ (y − a²)²: two layers")})


if __name__ == "__main__":
    print(delta_rule())
