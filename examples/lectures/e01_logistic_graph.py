"""Logistic regression as a graph: dz = a - y, dw = (a - y) x, db = a - y, one row or many."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, circuit, leaves, relative_error


def loss(a, y):
    """The slide's: -y log a - (1 - y) log(1 - a)."""
    return -y * cr.log(a) - (1 - y) * cr.log(1 - a)


def logistic_graph(w1=0.5, w2=-1.0, b=0.2, x1=2.0, x2=1.0, y=1.0, rows=50, seed=0):
    W1, W2, B = leaves(w1=w1, w2=w2, b=b)
    z = (W1 * x1 + W2 * x2 + B).named("z")
    a = cr.sigmoid(z).named("a")
    L = loss(a, y).named("L")
    dz = a.value - y
    numbers = {"a": a.value, "L": L.value, "dz": dz, "dw1": dz * x1, "dw2": dz * x2, "db": dz}
    graph = [each.value for each in cr.gradient(L, [z, W1, W2, B])]
    by_hand = [numbers[name] for name in ("dz", "dw1", "dw2", "db")]
    numbers["one example, by hand against graph"] = relative_error(by_hand, graph)

    draw = np.random.default_rng(seed)
    X, Y, w = draw.normal(size=(3, rows)), draw.integers(0, 2, rows), draw.normal(size=3)
    dZ = cr.sigmoid(w @ X + b) - Y  # Z = w'X + b, A = sigma(Z), dZ = A - Y
    vectorised, looped = np.append(X @ dZ / rows, dZ.sum() / rows), np.zeros(4)
    for i in range(rows):
        dz = cr.sigmoid(w @ X[:, i] + b) - Y[i]
        looped += np.append(dz * X[:, i], dz) / rows
    slope = cr.grad(lambda w: cr.mean(loss(cr.sigmoid(w[:3] @ X + w[3]), Y)))
    numbers["vectorised against loop"] = relative_error(vectorised, looped)
    numbers["vectorised against graph"] = relative_error(vectorised, slope(np.append(w, b)))
    return Shown(numbers, {"logistic-graph": circuit(L, title="Logistic regression, one example")})


if __name__ == "__main__":
    print(logistic_graph())
