"""Ten parameters, many minima: where a search ends depends on where it starts."""

import numpy as np

import chainrule as cr
from chainrule import explain
from chainrule.explain import Chart, Panel, Points, Shown, hessian_spectrum, symmetric_copies

TARGETS = {"abs": np.abs, "sin": lambda x: np.sin(np.pi * x), "square": np.square}
f = explain.unit_sum(
    "tanh"
)  # w0 + sum w_i tanh(v_i x + b_i), theta = (w0, w1, ..., v1, ..., b1, ..., b3)


def same(theta, other):
    """Whether two parameters are copies of each other."""
    nearest = min(np.abs(copy - other).max() for copy in symmetric_copies(theta))
    return nearest < 1e-3 * np.abs(other).max()


def ten_parameters(target="abs", restarts=64, points=50, seed=0):
    x = np.linspace(-1, 1, points)
    y = TARGETS[target](x)

    def loss(theta):
        return cr.mean((f(x, theta) - y) ** 2)

    fits = explain.fit_units(x, y, restarts=restarts, iterations=400, seed=seed)
    slope, minima, ended = cr.grad(loss), [], 0
    for theta in fits.parameters[np.argsort(fits.losses)]:
        if np.linalg.norm(slope(theta)) <= 1e-6 and hessian_spectrum(loss, theta)[0] >= -1e-8:
            ended += 1
            if not any(same(theta, other) for other in minima):
                minima.append(theta)
    losses = [float(loss(theta)) for theta in minima]
    alike = [float(loss(theta)) for theta in symmetric_copies(minima[0])]
    numbers = {"parameters": fits.parameters.shape[1], "symmetric copies": len(alike),
               "spread of the loss over the copies": np.ptp(alike) / losses[0],
               "restarts that ended in a minimum": ended, "different minima": len(minima),
               "of them curved in every direction":
                   sum(hessian_spectrum(loss, theta)[0] > 1e-9 for theta in minima),
               "greatest loss of a minimum / least": losses[-1] / losses[0]}  # fmt: skip
    ranks = Points(np.arange(restarts) + 1, np.sort(fits.losses), ink="class0", size=5.0)
    best_and_worst = {f"loss {losses[k]:.2g}": f(x, minima[k]) for k in (0, -1)}
    chart = Chart(
        Panel(ranks, x="restart, in order of loss", y="loss", y_scale="log"),
        explain.line_panel(best_and_worst, Points(x, y, ink="class0", size=4.0), across=x, x="x",
                           title="the best minimum and the worst"),
        title="Many starts, many minima",
    )  # fmt: skip
    return Shown(numbers, {"ten-parameters": chart})


if __name__ == "__main__":
    print(ten_parameters())
