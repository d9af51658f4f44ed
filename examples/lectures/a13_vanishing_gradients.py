"""Gradients that vanish or explode with depth, and units that die: initialisers, norms, rates."""

import numpy as np

import chainrule as cr
from chainrule.explain import Bars, Chart, Line, Panel, Shown, signals
from chainrule.nn import Activation, BatchNorm, LeakyReLU, Linear, ReLU, Sigmoid, Tanh, initializers

DEEP = {  # an activation, and how weights are drawn
    "sigmoid + Glorot": (Sigmoid, initializers.glorot_uniform),
    "tanh + Glorot": (Tanh, initializers.glorot_uniform),
    "ReLU + He": (ReLU, initializers.he_normal),
    "ReLU + N(0, 1)": (ReLU, initializers.Normal(1.0)),
}
WAYS = {  # activation, batch norm, learning rate
    "ReLU": (ReLU, False, 0.3), "leaky ReLU": (LeakyReLU, False, 0.3),
    "batch norm": (ReLU, True, 0.3), "smaller rate": (ReLU, False, 0.01),
}  # fmt: skip


def at_the_start(activation, weights, depth, width, seed):
    """The gradient of every layer before training, for a random input and target."""
    layers = []
    for k in range(depth):
        layers += [Linear(width, width, weights=weights, name=f"{k + 1}"), Activation(activation())]
    draw = np.random.default_rng(seed)
    X, target = draw.normal(size=(2, 64, width))
    model = cr.Network(layers, seed=seed, dtype="float64")
    return signals(model, X, lambda output: (output - target) / len(X))


def dead_share(activation, normed, rate, width, seeds):
    """The share of hidden units that no training row wakes, after training."""
    X, y = cr.data.two_moons(300, seed=0)
    layers = []
    for n_in in (2, width):
        layers += [Linear(n_in, width), *[BatchNorm(width)] * normed, Activation(activation())]
    model = cr.Network([*layers, Linear(width, 1), Activation(Sigmoid())], seed=0)
    model.fit(X, y, loss="binary_cross_entropy", optimizer=cr.optim.Adam(rate), epochs=40,
              batch_size=50, members=seeds, seed=0, progress=False)  # fmt: skip
    found = [signals(model.member(k), X, lambda p: p - y[:, None]).dead for k in range(seeds)]
    return np.mean([list(dead.values())[:-1] for dead in found])


def vanishing_gradients(depth=8, width=64, seeds=20, hidden=32):
    numbers, curves = {}, []
    places = np.arange(1, depth + 1)
    for name, (activation, weights) in DEEP.items():
        found = [at_the_start(activation, weights, depth, width, seed) for seed in range(seeds)]
        numbers[f"{name}: gradient, first layer over last"] = np.median([f.ratio for f in found])
        sizes = np.array([f.gradients for f in found])
        curves.append(Line(places, np.median(sizes, axis=0), label=name))
        if name == "ReLU + N(0, 1)":
            outputs = np.median([f.activations for f in found], axis=0)
            numbers[f"{name}: outputs, last layer over first"] = outputs[-1] / outputs[0]
    shares = {name: dead_share(*way, hidden, 5) for name, way in WAYS.items()}
    numbers |= {f"dead units, {name}": share for name, share in shares.items()}
    numbers |= {f"dead units, {name} less ReLU": shares[name] - shares["ReLU"]
                for name in list(WAYS)[1:]}  # fmt: skip
    chart = Chart(
        Panel(*curves, title=f"norm of ∂L/∂W at the start, median of {seeds}", x="layer",
              y_scale="log", x_names={k: str(k) for k in places.tolist()}),
        Panel(Bars(range(len(WAYS)), list(shares.values()), numbers_on=True),
              title="share of dead units after training", x_names=dict(enumerate(WAYS))),
        title="Saturating layers lose the gradient, large weights blow it up", size=(480.0, 300.0),
    )  # fmt: skip
    return Shown(numbers, {"vanishing-gradients": chart})


if __name__ == "__main__":
    print(vanishing_gradients())
