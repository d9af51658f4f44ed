"""Logistic regression as a graph: dz = a - y, dw = (a - y) x, db = a - y, one row or many."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, circuit


def loss(a, y):
    """The slide's: -y log a - (1 - y) log(1 - a)."""
    return -y * cr.log(a) - (1 - y) * cr.log(1 - a)


def one_example(w, b, x, y):
    """The slide's gradients of one example, and those of the graph."""
    W1, W2, B = cr.variable(w[0], name="w1"), cr.variable(w[1], name="w2"), cr.variable(b, name="b")
    z = (W1 * x[0] + W2 * x[1] + B).named("z")
    a = cr.sigmoid(z).named("a")
    L = loss(a, y).named("L")
    by_graph = np.array([each.value for each in cr.gradient(L, [z, W1, W2, B])])
    error = a.value - y
    return np.array([error, error * x[0], error * x[1], error]), by_graph, L, a


def logistic_graph(w1=0.5, w2=-1.0, b=0.2, x1=2.0, x2=1.0, y=1.0, rows=50, seed=0):
    by_hand, by_graph, L, a = one_example((w1, w2), b, (x1, x2), y)
    numbers = {"a": a.value, "L": L.value}
    numbers |= dict(zip(("dz", "dw1", "dw2", "db"), by_hand, strict=True))
    numbers["one example, by hand against graph"] = np.abs(by_hand / by_graph - 1).max()

    draw = np.random.default_rng(seed)
    X, Y, w = draw.normal(size=(3, rows)), draw.integers(0, 2, rows), draw.normal(size=3)
    dZ = cr.sigmoid(w @ X + b) - Y  # Z = w'X + b, A = sigma(Z), dZ = A - Y
    dw, db = X @ dZ / rows, dZ.sum() / rows
    looped = np.zeros(4)
    for i in range(rows):
        dz = cr.sigmoid(w @ X[:, i] + b) - Y[i]
        looped += np.append(dz * X[:, i], dz)
    J = cr.value_and_grad(lambda w, b: cr.mean(loss(cr.sigmoid(w @ X + b), Y)), argnums=(0, 1))
    graph_w, graph_b = J(w, np.float64(b))[1]
    vectorised, by_graph = np.append(dw, db), np.append(graph_w, graph_b)
    numbers |= {
        "vectorised against loop": np.abs(vectorised / (looped / rows) - 1).max(),
        "vectorised against graph": np.abs(vectorised / by_graph - 1).max(),
    }
    return Shown(numbers, {"logistic-graph": circuit(L, title="Logistic regression, one example")})


if __name__ == "__main__":
    print(logistic_graph())
