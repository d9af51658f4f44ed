"""The six-layer network of the lecture on two moons: boundary, uncertainty, what layers learn."""

import numpy as np

import chainrule as cr
from chainrule import explain
from chainrule.nn import Activation, Linear


def decision_boundary(hidden=10, noise=0.1, restarts=10, epochs=100, seed=0):
    X, y = cr.data.two_moons(500, noise=noise, seed=2 * seed)
    X_test, y_test = cr.data.two_moons(1000, noise=noise, seed=2 * seed + 1)
    layers = [Linear(2, hidden, name="input"), Activation("relu", name="relu1"),
              Linear(hidden, hidden, name="middle"), Activation("relu", name="relu2"),
              Linear(hidden, 1, name="output"), Activation("sigmoid", name="sigmoid")]  # fmt: skip
    model = cr.Network(layers, seed=seed)
    history = model.fit(X, y, optimizer=cr.optim.Adam(0.01), epochs=epochs, batch_size=50,
                        members=restarts, seed=seed, progress=False)  # fmt: skip
    losses = np.atleast_1d(history.step_losses[-1].mean(axis=0))  # of the last epoch
    best = model.member(int(losses.argmin()))
    unsure = explain.uncertainty(model, X, y, margin=3.0)
    far, near = unsure.spread_between(2.0, np.inf), unsure.spread_between(0.0, 0.2)
    numbers = {"parameters": explain.flat_parameters(best).size, "training points": len(X),
               "test points": len(X_test), "last training loss": losses.min(),
               "training accuracy": np.mean((best.predict(X)[:, 0] > 0.5) == y),
               "test accuracy": np.mean((best.predict(X_test)[:, 0] > 0.5) == y_test),
               "spread of the logit, far over near": far / near}  # fmt: skip
    for name, seen in (("last hidden outputs", explain.hidden_outputs(best, X)), ("inputs", X)):
        numbers[f"{name} are separable"] = explain.separating_plane(seen, y) is not None
    title = f"A 2-{hidden}-{hidden}-1 network bends around two moons"
    picture = explain.BoundaryPicture.of(best.predict, X, y, title=title)
    maps = {f"{k}-layer": explain.unit_maps(best, X, y, f"relu{place}")
            for place, k in ((1, "first"), (2, "second"))}  # fmt: skip
    pictures = {"boundary": picture, "uncertainty": unsure.figure(), **maps}
    return explain.Shown(numbers, pictures, notes=best.summary())


if __name__ == "__main__":
    print(decision_boundary())
