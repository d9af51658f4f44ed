"""Dropout: units set to zero at random, the rest scaled up; nothing happens in evaluation."""

import numpy as np

import chainrule as cr
from chainrule import explain
from chainrule.explain import Chart, Points, Shown, dropout_masks, standard_errors
from chainrule.nn import Activation, Dropout, Linear


def dropout(rate=0.5, passes=10_000, epochs=400, seed=0):
    only = cr.Network([Dropout(rate)], seed=seed, dtype="float64")
    outputs = only.forward(np.ones((passes, 8)), training=True, seed=seed)
    numbers = {"keep rate": (outputs > 0).mean(), "mean output": outputs.mean(),
               "keep rate, in standard errors": standard_errors(outputs > 0, 1 - rate),
               "mean output, in standard errors": standard_errors(outputs, 1.0),
               "evaluation changes nothing": np.ptp(only.forward(np.ones((3, 8))))}  # fmt: skip
    draw = np.random.default_rng(seed)
    linear = cr.Network([Linear(4, 16), Dropout(rate), Linear(16, 1)], seed=seed, dtype="float64")
    row = draw.normal(size=(1, 4))
    sampled = linear.forward(np.repeat(row, passes, axis=0), training=True, seed=seed)
    apart = standard_errors(sampled, linear.predict(row)[0, 0])
    numbers["linear net: Monte-Carlo mean, in standard errors"] = apart
    x = np.sort(draw.uniform(-1, 1, 40))[:, None]
    y = np.sin(np.pi * x) + draw.normal(0, 0.1, (40, 1))
    layers = [Linear(1, 64), Activation("relu"), Dropout(rate), Linear(64, 1)]
    model, adam = cr.Network(layers, seed=seed), cr.optim.Adam(0.01)
    model.fit(x, y, optimizer=adam, epochs=epochs, seed=seed, progress=False)
    grid = np.linspace(-2, 2, 81)
    members = explain.dropout_members(model, grid[:, None], seed=seed)[..., 0]
    spread, near = members.std(axis=0), np.abs(grid) <= 1
    numbers["spread outside the data / inside"] = spread[~near].mean() / spread[near].mean()
    panel = explain.ensemble_panel(grid, members, Points(*x.T, *y.T, ink="class0", size=5.0), x="x")
    chart = Chart(panel, title="Masks are networks; they disagree where there were no data")
    return Shown(numbers, {"dropout-ensemble": chart, "dropout-masks": dropout_masks(rate)})


if __name__ == "__main__":
    print(dropout())
