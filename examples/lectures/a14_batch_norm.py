"""Batch norm: what it does to a batch, to a deep sigmoid net, and to the loss ahead."""

import numpy as np

import chainrule as cr
from chainrule.explain import Band, Chart, Line, Panel, Shown, smoothness, trajectory
from chainrule.nn import Activation, BatchNorm, Linear, Sigmoid


def layer_facts(rows, seed):
    """One layer, in training and in evaluation."""
    X = np.random.default_rng(seed).normal(3.0, 2.0, (rows, 4))
    model = cr.Network([BatchNorm(4, momentum=0.1, epsilon=1e-12)], dtype="float64", seed=seed)
    Y = model.forward(X, training=True)
    expected = (X - 0.1 * X.mean(0)) / np.sqrt(0.9 + 0.1 * X.var(0, ddof=1))
    exact = cr.Network([BatchNorm(4, momentum=1.0, epsilon=1e-12)], dtype="float64", seed=seed)
    exact.forward(X, training=True)  # one pass over all rows: their exact statistics
    return {
        "mean in training": np.abs(Y.mean(0)).max(),
        "variance in training, divided by m, less 1": np.abs(Y.var(0) - 1).max(),
        "evaluation less running averages": np.abs(model.forward(X) - expected).max(),
        "training less evaluation": np.abs(Y - model.forward(X)).max(),
        "training less evaluation after one exact pass": np.abs(
            Y - exact.forward(X) * np.sqrt(rows / (rows - 1))).max(),
    }  # fmt: skip


def accuracies(normed, width, members):
    """Of eight-layer sigmoid nets on two moons, trained side by side."""
    X, y = cr.data.two_moons(500, seed=0)
    layers = []
    for n_in in (2, *[width] * 6):
        layers += [Linear(n_in, width), *[BatchNorm(width)] * normed, Activation(Sigmoid())]
    model = cr.Network([*layers, Linear(width, 1), Activation(Sigmoid())], seed=0)
    model.fit(X, y, loss="binary_cross_entropy", optimizer=cr.optim.SGD(0.5), epochs=60,
              batch_size=50, members=members, seed=0, progress=False)  # fmt: skip
    return ((model.predict(X, members="all")[..., 0] > 0.5) == y).mean(axis=1)


def loss_of(normed, width, X, y):
    """The loss of an eight-layer sigmoid net as a function of one vector, and its size."""
    shapes = [(2, width), *[(width, width)] * 6, (width, 1)]

    def loss(vector):
        x, start = X, 0
        for n_in, n_out in shapes:
            W = cr.reshape(vector[start : start + n_in * n_out], (n_in, n_out))
            start += n_in * n_out
            s = x @ W
            if normed and n_out > 1:
                s = s - cr.mean(s, axis=0)
                s = s / cr.sqrt(cr.mean(s * s, axis=0) + 1e-5)
            x = cr.sigmoid(s)
        return cr.mean(cr.softplus(s) - y[:, None] * s)

    return loss, shapes


def batch_norm(width=16, seeds=10, steps=40, rate=0.5, curvature=7.0):
    numbers = layer_facts(200, 0)
    for normed, name in ((False, "without"), (True, "with")):
        numbers[f"accuracy {name}, median of {seeds}"] = np.median(accuracies(normed, width, seeds))
    bowl = smoothness(lambda w: curvature * (w @ w) / 2, [np.ones(5)], [0.1, 0.2])
    numbers["measured beta of a quadratic, over its curvature"] = bowl.beta[0] / curvature

    X, y = cr.data.two_moons(200, seed=0)
    rates, panels = rate * np.array([0.5, 1.0, 2.0, 4.0]), {k: [] for k in range(3)}
    for normed, name in ((False, "without"), (True, "with")):
        loss, shapes = loss_of(normed, width, X, y)
        found = []
        for seed in range(seeds):
            draw = np.random.default_rng(seed)
            glorot = [draw.normal(0, np.sqrt(2 / sum(shape)), shape).ravel() for shape in shapes]
            path = trajectory(loss, cr.optim.SGD(rate), np.concatenate(glorot), steps)
            found.append(smoothness(loss, path, rates))
        curves = [
            np.array([values(f) for f in found])
            for values in (
                lambda f: np.ptp(f.losses, axis=1),
                lambda f: f.changes.max(axis=1),
                lambda f: f.beta,
            )
        ]
        for k, curve in enumerate(curves):
            low, middle, high = np.quantile(curve, [0.1, 0.5, 0.9], axis=0)
            ink, dash = (("class0", "solid"), ("class1", "dashed"))[normed]
            when = range(len(middle))
            panels[k].append(Band(when, low, high, ink=ink))
            panels[k].append(Line(when, middle, ink=ink, dash=dash, label=name))
            said = ("range of the loss ahead", "change of the gradient", "effective beta")[k]
            numbers[f"{said}, {name}, median at the end"] = middle[-1]
    titles = ("range of the loss ahead", "change of the gradient ahead", "effective β-smoothness")
    chart = Chart(
        *[Panel(*panels[k], title=titles[k], x="step", y_scale="log") for k in panels],
        title="With batch norm there is a gradient to follow, and that changes the landscape",
        size=(330.0, 280.0),
    )  # fmt: skip
    return Shown(numbers, {"batch-norm": chart})


if __name__ == "__main__":
    print(batch_norm())
