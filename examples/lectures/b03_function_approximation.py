"""Four functions, three hidden units each: the fit is a sum of three bent lines."""

import numpy as np

from chainrule.explain import Chart, Shown, fit_units, function_panel, unit_network

TARGETS = {"x²": np.square, "sin πx": lambda x: np.sin(np.pi * x), "|x|": np.abs,
           "step": lambda x: np.heaviside(x, 0.5)}  # fmt: skip


def function_approximation(hidden=3, restarts=64, points=50, seed=0):
    x, numbers, panels = np.linspace(-1, 1, points), {}, []
    for name, target in TARGETS.items():
        y = target(x)
        for unit in ("tanh", "logistic"):
            theta = fit_units(x, y, hidden, unit, restarts=restarts, seed=seed).best
            model = unit_network(theta, unit)
            fit = model.predict(x[:, None])[:, 0]
            numbers[f"error of {name}, {unit}"] = np.mean((fit - y) ** 2)
            if unit == "tanh":  # tanh z = 2 sigma(2 z) - 1
                w0, (w, v, b) = theta[0], np.split(theta[1:], 3)
                same = unit_network([w0 - w.sum(), *2 * w, *2 * v, *2 * b], "logistic")
                difference = np.abs(same.predict(x[:, None])[:, 0] - fit).max()
                numbers[f"tanh as logistic, {name}"] = difference / np.abs(theta).max()
                panels.append(function_panel(model, x, y, title=name))
    title = "Three hidden units (dashed) add up to the fit (solid)"
    return Shown(numbers, {"function-approximation": Chart(*panels, title=title, columns=2)})


if __name__ == "__main__":
    print(function_approximation())
