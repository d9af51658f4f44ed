"""Four functions, three hidden units each: the fit is a sum of three bent lines."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Shown, fit_curves, function_panel
from chainrule.nn import Activation, Linear, Sigmoid, Tanh

TARGETS = {"x²": np.square, "sin πx": lambda x: np.sin(np.pi * x), "|x|": np.abs,
           "step": lambda x: np.heaviside(x, 0.5)}  # fmt: skip
UNITS = {"tanh": Tanh(), "logistic": Sigmoid()}


def network(theta, unit, hidden):
    """The network f(x) = w0 + sum w_i h(v_i x + b_i) with these parameters."""
    model = cr.Network(
        [Linear(1, hidden, name="hidden"), Activation(unit), Linear(hidden, 1, name="output")],
        dtype="float64",
    )  # fmt: skip
    w, v, b = np.split(theta[1:], 3)
    model["hidden"].W, model["hidden"].b = v[None, :], b
    model["output"].W, model["output"].b = w[:, None], theta[:1]
    return model


def function_approximation(hidden=3, restarts=64, points=50, seed=0):
    x, draw = np.linspace(-1, 1, points), np.random.default_rng(seed)
    scales = np.repeat([1.0, 1.0, 4.0, 2.0], [1, hidden, hidden, hidden])
    starts = draw.normal(size=(restarts, 3 * hidden + 1)) * scales
    numbers, panels = {}, []
    for kind, unit in UNITS.items():

        def curve(x, theta, unit=unit):
            w, v, b = (theta[..., 1 + k * hidden : 1 + (k + 1) * hidden] for k in range(3))
            return theta[..., 0] + cr.sum(w * unit(v * x[:, None] + b), axis=-1)

        for name, target in TARGETS.items():
            best = fit_curves(curve, x, target(x), starts, iterations=100).best
            model = network(best, unit, hidden)
            fit = model.predict(x[:, None])[:, 0]
            numbers[f"error of {name}, {kind}"] = np.mean((fit - target(x)) ** 2)
            if kind == "tanh":  # tanh z = 2 sigma(2 z) - 1
                w, v, b = np.split(best[1:], 3)
                same = np.concatenate([best[:1] - w.sum(), 2 * w, 2 * v, 2 * b])
                gap = np.abs(network(same, Sigmoid(), hidden).predict(x[:, None])[:, 0] - fit).max()
                numbers[f"tanh as logistic, {name}"] = gap / np.abs(best).max()
                panels.append(function_panel(model, x, target(x), title=name))
    title = "Three hidden units (dashed) add up to the fit (solid)"
    return Shown(numbers, {"function-approximation": Chart(*panels, title=title, columns=2)})


if __name__ == "__main__":
    print(function_approximation())
