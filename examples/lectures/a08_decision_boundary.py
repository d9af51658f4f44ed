"""The six-layer network of the lecture on two moons: boundary, uncertainty, what layers learn."""

import numpy as np

import chainrule as cr
from chainrule.explain import BoundaryPicture, Shown, separating_plane, uncertainty, unit_maps
from chainrule.nn import Activation, Linear, ReLU, Sigmoid


def decision_boundary(hidden=10, noise=0.1, restarts=10, epochs=100, seed=0):
    X, y = cr.data.two_moons(500, noise=noise, seed=2 * seed)
    X_test, y_test = cr.data.two_moons(1000, noise=noise, seed=2 * seed + 1)
    model = cr.Network(
        layers=[
            Linear(2, hidden, name="input"),
            Activation(ReLU(), name="relu1"),
            Linear(hidden, hidden, name="middle"),
            Activation(ReLU(), name="relu2"),
            Linear(hidden, 1, name="output"),
            Activation(Sigmoid(), name="sigmoid"),
        ],
        seed=seed,
    )
    history = model.fit(
        X, y, loss="binary_cross_entropy", optimizer=cr.optim.Adam(0.01), epochs=epochs,
        batch_size=50, members=restarts, seed=seed, progress=False,
    )  # fmt: skip
    losses = np.atleast_1d(history.step_losses[-1].mean(axis=0))
    best = model.member(int(np.argmin(losses)))

    def accuracy(points, labels):
        return np.mean((best.predict(points)[:, 0] > 0.5) == labels)

    unsure = uncertainty(model, X, y, margin=3.0)
    best.forward(X)  # every layer keeps its input
    plane = separating_plane(best["output"].input, y)
    numbers = {
        "parameters": sum(a.size for layer in best.parameters.values() for a in layer.values()),
        "training points": len(X),
        "test points": len(X_test),
        "training accuracy": accuracy(X, y),
        "test accuracy": accuracy(X_test, y_test),
        "last training loss": losses.min(),
        "last hidden outputs are separable": plane is not None,
        "inputs are separable": separating_plane(X, y) is not None,
        "spread of the logit, far over near": unsure.spread_between(2.0, np.inf)
        / unsure.spread_between(0.0, 0.2),
    }
    pictures = {
        "boundary": BoundaryPicture.of(
            lambda points: best.predict(points)[:, 0], X, y, title="Two moons, and 2-10-10-1"
        ),
        "uncertainty": unsure.figure(),
        "first-layer": unit_maps(best, X, y, "relu1"),
        "second-layer": unit_maps(best, X, y, "relu2"),
    }
    return Shown(numbers, pictures, notes=best.summary())


if __name__ == "__main__":
    print(decision_boundary())
