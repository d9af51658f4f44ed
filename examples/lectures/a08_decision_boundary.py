"""The six-layer network of the lecture on two moons that no line separates."""

import numpy as np

import chainrule as cr
from chainrule.explain import BoundaryPicture, Shown
from chainrule.nn import Activation, Linear, ReLU, Sigmoid


def decision_boundary(
    hidden: int = 10, noise: float = 0.1, restarts: int = 10, epochs: int = 60, seed: int = 0
) -> Shown:
    """Network(2-10-10-1) on two moons: the boundary bends where hidden units switch on."""
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
        batch_size=50, restarts=restarts, seed=seed, progress=False,
    )  # fmt: skip

    def accuracy(points: np.ndarray, labels: np.ndarray) -> float:
        return float(np.mean((model.predict(points)[:, 0] > 0.5) == labels))

    picture = BoundaryPicture.of(
        lambda points: model.predict(points)[:, 0], X, y, title="Two moons, and 2-10-10-1"
    )
    return Shown(
        numbers={
            "parameters": sum(a.size for p in model.parameters.values() for a in p.values()),
            "training points": len(X),
            "test points": len(X_test),
            "training accuracy": accuracy(X, y),
            "test accuracy": accuracy(X_test, y_test),
            "last training loss": float(history["loss"][-1]),
        },
        pictures={"boundary": picture},
        notes=model.summary(),
    )


if __name__ == "__main__":
    print(decision_boundary())
