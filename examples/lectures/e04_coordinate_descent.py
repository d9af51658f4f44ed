"""Pick a dimension, step along it: five house prices, one coordinate at a time."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Rule, Shown, line_panel, relative_error


def coordinate_descent(rate=1.0, sweeps=80):
    houses, prices = cr.data.house_prices()
    Z = np.c_[np.ones(len(houses)), (houses - houses.mean(axis=0)) / houses.std(axis=0)]
    best = np.linalg.lstsq(Z, prices, rcond=None)[0]
    slope = cr.compile(cr.grad(lambda theta: cr.mean((Z @ theta - prices) ** 2) / 2))
    theta, errors, path = np.zeros(4), [], []
    for _ in range(sweeps):
        for j in range(len(theta)):  # pick a dimension
            theta[j] -= rate * slope(theta)[j]
            path.append(theta.copy())
        errors.append(relative_error(theta, best))
        if not np.isfinite(errors[-1]):
            break
    reached = np.flatnonzero(np.array(errors) <= 1e-6)
    numbers = {"sweeps to 1e-6": reached[0] + 1 if reached.size else np.inf,
               "error after all sweeps": errors[-1]}  # fmt: skip
    numbers |= {f"coefficient {k}": value for k, value in enumerate(theta)}
    area, beds = np.array(path)[:, 1:3].T
    chart = Chart(
        line_panel({"": errors}, Rule(y=1e-6), x="sweep", y="relative error", y_scale="log"),
        Panel(Line(area, beds, width=1.2), x="living area", y="beds",
              title="every step is level or upright"),
        title="One coordinate at a time comes to the same place",
    )  # fmt: skip
    return Shown(numbers, {"coordinate-descent": chart})


if __name__ == "__main__":
    print(coordinate_descent())
