"""Centred, scaled, turned, whitened; and why all-positive inputs make the search zig-zag."""

import tempfile
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.explain import (
    Chart,
    Line,
    Panel,
    Points,
    Shown,
    Surface,
    preprocessing_picture,
    preprocessing_stages,
)
from chainrule.nn import Linear, Whiten


def descend(X, y, rate, steps, start):
    """Gradient descent on two weights, and the gradients of single examples at the start."""
    loss = lambda w: cr.mean((X @ w - y) ** 2)  # noqa: E731
    slope, path = cr.compile(cr.grad(loss)), [np.array(start)]
    for _ in range(steps):
        path.append(path[-1] - rate * slope(path[-1]))
    each = 2 * (X @ path[0] - y)[:, None] * X
    one_sign = np.mean((np.sign(each) == np.sign(each[:, :1])).all(axis=1))
    return np.array(path), one_sign, loss


def preprocessing(rows=200, steps=25, seed=0):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(rows, 2)) @ [[0.6, 0.3], [0.0, 0.4]] + [3.0, 2.0]
    X = X[(X > 0).all(axis=1)]
    stages = preprocessing_stages(X)
    truth = np.array([1.0, -1.0])
    numbers = {
        "centred: largest |mean|": np.abs(stages["zero-centred"].mean(axis=0)).max(),
        "normalised: largest |standard deviation − 1|":
            np.abs(stages["normalised"].std(axis=0) - 1).max(),
        "whitened: largest |covariance − identity|":
            np.abs(np.cov(stages["whitened"].T, bias=True) - np.eye(2)).max(),
    }  # fmt: skip
    panels = []
    for name, stage in (("raw", "raw"), ("centred", "zero-centred"), ("whitened", "whitened")):
        Z = stages[stage]
        largest = np.linalg.eigvalsh(2 * Z.T @ Z / len(Z))[-1]
        path, one_sign, loss = descend(Z, Z @ truth, 1.8 / largest, steps, (-0.5, 0.2))
        numbers |= {f"{name}: examples with one sign": one_sign,
                    f"{name}: distance left": np.linalg.norm(path[-1] - truth)}  # fmt: skip
        away = np.linspace(-2.5, 2.5, 41)
        field = np.array([[float(loss(np.array([u, v]))) for u in away] for v in away])
        levels = np.geomspace(field.max() / 500, field.max(), 8)[:-1].tolist()
        panels.append(Panel(Surface(field, (-2.5, 2.5, -2.5, 2.5), levels, colours="none"),
                            Line(*path.T, ink="class1", dash="solid", width=1.4),
                            Points(*truth[:, None], ink="ink", marker="cross"),
                            title=name, x="w₁", y="w₂", equal=True))  # fmt: skip

    train, held_out = X[: len(X) // 2], X[len(X) // 2 :] + 5
    model = cr.Network([Whiten(name="whiten"), Linear(2, 1)], seed=seed, dtype="float64")
    model.fit(train, train @ truth, epochs=3, validation=(held_out, held_out @ truth), seed=seed,
              progress=False)  # fmt: skip
    matrix = Whiten().fit(train)["matrix"]
    with tempfile.TemporaryDirectory() as folder:
        model.save(path := Path(folder, "m.chainrule"))
        again = cr.load(path).predict(held_out)
    numbers |= {
        "fitted on training rows only": np.abs(model["whiten"].state["matrix"] - matrix).max(),
        "saved with the model": np.abs(again - model.predict(held_out)).max(),
    }
    title = "All-positive inputs: every example pulls both weights the same way"
    return Shown(numbers, {"preprocessing": preprocessing_picture(X),
                           "zig-zag": Chart(*panels, title=title)})  # fmt: skip


if __name__ == "__main__":
    print(preprocessing())
