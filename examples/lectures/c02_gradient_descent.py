"""Gradient descent: the gradient checked, batches large and small, rates constant and decaying."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Points, Shown, trajectory
from chainrule.nn import Linear


def gradient_descent(rows=2048, features=8, noise=1.0, members=20, seed=0):
    draw = np.random.default_rng(seed)
    X, truth = draw.normal(size=(rows, features)), draw.normal(size=features)
    y = X @ truth + noise * draw.normal(size=rows)
    best = np.linalg.lstsq(X, y, rcond=None)[0]

    def loss(w):
        return cr.mean((X @ w - y) ** 2)

    w, h, slope = draw.normal(size=features), 1e-5, cr.compile(cr.grad(loss))
    steps = h * np.eye(features)
    numeric = np.array([(loss(w + e) - loss(w - e)) / (2 * h) for e in steps])
    numbers = {"numerical less analytic gradient, relative":
               np.linalg.norm(numeric - slope(w)) / np.linalg.norm(numeric)}  # fmt: skip

    each = 2 * (X @ w - y)[:, None] * X  # the gradient of every row
    single = ((each - each.mean(0)) ** 2).sum(axis=1).mean()
    sizes, variances = (1, 4, 16, 64, 256), []
    for B in sizes:
        batches = np.stack([each[draw.integers(0, rows, B)].mean(0) for _ in range(4000)])
        variances.append(((batches - each.mean(0)) ** 2).sum(axis=1).mean())
        numbers[f"B times variance of a batch of {B}, over that of a row"] = (
            B * variances[-1] / single
        )

    curvature = 2 * np.linalg.eigvalsh(X.T @ X / rows)
    largest, curves = 2 / curvature.max(), []
    for name, part in (("too small", 0.01), ("right", 0.5), ("too large", 1.02)):
        path = trajectory(loss, cr.optim.SGD(part * largest), w, 60)
        curves.append(
            Line(range(61), [loss(p) for p in path], label=f"{name}: {part * largest:.2g}")
        )
    path = trajectory(loss, cr.optim.SGD(0.5 * largest), w, 200)
    falls = -np.diff([loss(p) for p in path])
    flat = [np.linalg.norm(slope(p)) < 1e-6 for p in path]
    numbers |= {"steps until the gradient is below 1e-6": np.argmax(flat),
                "steps until the loss falls less than 1e-6": np.argmax(falls < 1e-6)}  # fmt: skip

    def apart(rate, size=16, steps=2000):
        """The mean distance of so many members to the solution, after every step."""

        def errors(W, X, y):
            return cr.sum(cr.mean((cr.sum(X * W[:, None, :], axis=2) - y) ** 2, axis=1))

        rule, W = cr.optim.SGD(rate), np.zeros((members, features))
        state, slopes, found = rule.init(W), cr.compile(cr.grad(errors)), []
        for _ in range(steps):
            drawn = draw.integers(0, rows, (members, size))
            W, state = rule.update(W, slopes(W, X[drawn], y[drawn]), state)
            found.append(np.linalg.norm(W - best, axis=1).mean())
        return np.array(found)

    constant = apart(0.1)
    decaying = apart(cr.optim.schedules.InverseTime(0.1, decay=0.1))
    hovers, settles = constant[-250:].mean(), decaying[-250:].mean()
    numbers |= {"distance at a constant rate": hovers, "distance at a rate of 1/t": settles,
                "constant over decaying": hovers / settles}  # fmt: skip

    batches = []
    for name, size in (("1", 1), ("32", 32), ("256", 256), ("all", None)):
        model = cr.Network([Linear(features, 1, bias=False)], seed=seed)
        history = model.fit(X, y, loss="squared_error", optimizer=cr.optim.SGD(0.01), epochs=6,
                            batch_size=size, seed=seed, progress=False)  # fmt: skip
        numbers[f"milliseconds an epoch, batch {name}"] = 1e3 * np.median(history["seconds"])
        together, losses = max(64 // (size or rows), 1), history.step_losses.ravel()
        whole = losses.size // together * together
        losses = losses[:whole].reshape(-1, together).mean(axis=1)
        batches.append(Line(np.arange(1, losses.size + 1) * together * (size or rows) / rows,
                            losses, width=1.2, label=f"batch {name}"
                            + f", means of {together}" * (together > 1)))  # fmt: skip
    when = np.arange(1, len(constant) + 1)
    chart = Chart(
        Panel(*curves, title="Step sizes, all rows", x="step", y="loss", y_scale="log"),
        Panel(*batches, title="Batches, rate 0.01", x="epoch", y="loss", y_scale="log"),
        Panel(Line(when, constant, label="constant rate"), Line(when, decaying, label="rate 1/t"),
              title="Distance to the solution, batch 16", x="step", x_scale="log", y_scale="log"),
        Panel(Points(sizes, np.array(variances) / single, ink="ink", label="measured"),
              Line(sizes, 1 / np.array(sizes), label="1/B"), title="Variance of the gradient",
              x="batch size B", x_scale="log", y_scale="log"),
        title="Small batches are quick and noisy; a falling rate takes the noise away", columns=2,
        size=(430.0, 270.0),
    )  # fmt: skip
    return Shown(numbers, {"gradient-descent": chart})


if __name__ == "__main__":
    print(gradient_descent())
