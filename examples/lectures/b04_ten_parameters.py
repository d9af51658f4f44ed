"""Ten parameters, many minima: where a search ends depends on where it starts."""

from itertools import permutations, product

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Points, Shown, fit_curves, hessian_spectrum

TARGETS = {"abs": np.abs, "sin": lambda x: np.sin(np.pi * x), "square": np.square}


def f(x, theta):
    """w0 + sum w_i tanh(v_i x + b_i), theta = (w0, w1, w2, w3, v1, v2, v3, b1, b2, b3)."""
    h = cr.tanh(theta[..., 4:7] * x[:, None] + theta[..., 7:10])
    return theta[..., 0] + cr.sum(theta[..., 1:4] * h, axis=-1)


def copies(theta):
    """The 3! 2^3 = 48 parameters of one function: units in any order, each with either sign."""
    w, v, b = np.split(theta[1:], 3)
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        kept = list(order)
        yield np.concatenate([theta[:1], *(np.array(signs) * part[kept] for part in (w, v, b))])


def ten_parameters(target="abs", restarts=64, points=50, seed=0):
    x, draw = np.linspace(-1, 1, points), np.random.default_rng(seed)
    y = TARGETS[target](x)

    def loss(theta):
        return cr.mean((f(x, theta) - y) ** 2)

    scales = np.repeat([1.0, 1.0, 4.0, 2.0], [1, 3, 3, 3])
    fits = fit_curves(f, x, y, draw.normal(size=(restarts, 10)) * scales, iterations=400)
    slope, found, ended = cr.grad(loss), [], 0
    for k in np.argsort(fits.losses):
        theta = fits.parameters[k]
        level = np.linalg.norm(slope(theta)) <= 1e-6
        least = hessian_spectrum(loss, theta)[0] if level else -np.inf
        if least >= -1e-8:
            ended += 1
            if not any(np.abs(each - other).max() < 1e-3 * np.abs(other).max()
                       for other, *_ in found for each in copies(theta)):  # fmt: skip
                found.append((theta, fits.losses[k], least))
    losses = np.array([value for _, value, _ in found])
    alike = [float(loss(each)) for each in copies(found[0][0])]
    return Shown(
        numbers={
            "parameters": fits.parameters.shape[1],
            "symmetric copies": len(alike),
            "spread of the loss over the copies": np.ptp(alike) / losses[0],
            "restarts that ended in a minimum": ended,
            "different minima": len(found),
            "of them curved in every direction": sum(least > 1e-9 for *_, least in found),
            "greatest loss of a minimum / least": losses[-1] / losses[0],
        },
        pictures={"ten-parameters": picture(x, y, fits, found)},
    )


def picture(x, y, fits, found):
    ranks = np.arange(len(fits.losses)) + 1
    lines = [Line(x, np.asarray(f(x, theta)), label=f"loss {value:.2g}")
             for theta, value, _ in (found[0], found[-1])]  # fmt: skip
    return Chart(
        Panel(Points(ranks, np.sort(fits.losses), ink="class0", marker="circle", size=5.0),
              x="restart, in order of loss", y="loss", y_scale="log"),
        Panel(Points(x, y, ink="class0", marker="circle", size=4.0), *lines,
              x="x", title="the best minimum and the worst"),
        title="Many starts, many minima",
    )  # fmt: skip


if __name__ == "__main__":
    print(ten_parameters())
