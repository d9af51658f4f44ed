"""Pick a dimension, step along it: five house prices, one coordinate at a time."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Rule, Shown

HOUSES = np.array([[2104, 3, 1], [1600, 3, 0], [2400, 3, 0], [1416, 2, 0], [3000, 4, 1]], float)
PRICES = np.array([400, 330, 369, 232, 540], float)


def coordinate_descent(rate=1.0, sweeps=80):
    Z = np.column_stack([np.ones(len(HOUSES)), (HOUSES - HOUSES.mean(0)) / HOUSES.std(0)])
    best = np.linalg.lstsq(Z, PRICES, rcond=None)[0]
    slope = cr.compile(cr.grad(lambda theta: cr.mean((Z @ theta - PRICES) ** 2) / 2))
    theta, distances, path = np.zeros(4), [], []
    for _ in range(sweeps):
        for j in range(len(theta)):  # pick a dimension
            theta[j] -= rate * slope(theta)[j]
            path.append(theta.copy())
        distances.append(np.abs(theta - best).max() / np.abs(best).max())
        if not np.isfinite(distances[-1]):
            break
    reached = np.flatnonzero(np.array(distances) <= 1e-6)
    needed = reached[0] + 1 if reached.size else np.inf
    area, beds = np.array(path)[:, 1:3].T
    return Shown(
        numbers={"sweeps to 1e-6": needed, "error after all sweeps": distances[-1]}
        | {f"coefficient {k}": value for k, value in enumerate(theta)},
        pictures={"coordinate-descent": Chart(
            Panel(Line(np.arange(len(distances)) + 1, distances), Rule(y=1e-6), x="sweep",
                  y="relative error", y_scale="log"),
            Panel(Line(area, beds, width=1.2), x="living area", y="beds",
                  title="every step is level or upright"),
            title="One coordinate at a time comes to the same place",
        )},
    )  # fmt: skip


if __name__ == "__main__":
    print(coordinate_descent())
