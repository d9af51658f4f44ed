"""Dropout: units set to zero at random, the rest scaled up; nothing happens in evaluation."""

import numpy as np

import chainrule as cr
from chainrule.explain import Band, Chart, Line, Panel, Points, Shown, Threads, dropout_masks
from chainrule.nn import Activation, Dropout, Linear, ReLU


def in_standard_errors(draws, expected):
    """How far a mean lies from what it should be."""
    return abs(draws.mean() - expected) / (draws.std(ddof=1) / np.sqrt(draws.size))


def dropout(rate=0.5, passes=10_000, epochs=400, seed=0):
    layer, units = cr.Network([Linear(1, 8), Dropout(rate)], seed=seed, dtype="float64"), 8
    layer.layers[0].W, layer.layers[0].b = np.zeros((1, units)), np.ones(units)
    outputs = layer.forward(np.zeros((passes, 1)), training=True, seed=seed)
    numbers = {
        "keep rate": (outputs > 0).mean(),
        "keep rate, in standard errors": in_standard_errors(outputs > 0, 1 - rate),
        "mean output": outputs.mean(),
        "mean output, in standard errors": in_standard_errors(outputs, 1.0),
        "evaluation changes nothing": np.ptp(layer.forward(np.zeros((3, 1)))),
    }
    linear = cr.Network([Linear(4, 16), Dropout(rate), Linear(16, 1)], seed=seed, dtype="float64")
    row = np.random.default_rng(seed).normal(size=(1, 4))
    sampled = linear.forward(np.repeat(row, passes, axis=0), training=True, seed=seed)
    evaluated = linear.predict(row)[0, 0]
    numbers["linear net: Monte-Carlo mean, in standard errors"] = in_standard_errors(
        sampled, evaluated
    )

    x = np.sort(np.random.default_rng(seed).uniform(-1, 1, 40))
    y = np.sin(np.pi * x) + np.random.default_rng(seed + 1).normal(0, 0.1, 40)
    model = cr.Network([Linear(1, 64), Activation(ReLU()), Dropout(rate), Linear(64, 1)], seed=seed)
    model.fit(
        x[:, None], y, optimizer=cr.optim.Adam(0.01), epochs=epochs, seed=seed, progress=False
    )
    grid, samples = np.linspace(-2, 2, 81), 200
    many = model.forward(np.tile(grid, samples)[:, None], training=True, seed=seed)
    members = many.reshape(samples, len(grid))
    spread = members.std(axis=0)
    near = np.abs(grid) <= 1
    numbers["spread outside the data / inside"] = spread[~near].mean() / spread[near].mean()
    mean = members.mean(axis=0)
    chart = Chart(
        Panel(Threads(grid, members[:40], ink="note"),
              Band(grid, mean - 2 * spread, mean + 2 * spread, ink="class0"),
              Line(grid, mean, ink="class1", dash="solid", label="mean"),
              Points(x, y, ink="class0", marker="circle", size=5.0), x="x"),
        title="Every mask is another network; they disagree where there were no data",
    )  # fmt: skip
    return Shown(numbers, {"dropout-ensemble": chart, "dropout-masks": dropout_masks(rate)})


if __name__ == "__main__":
    print(dropout())
