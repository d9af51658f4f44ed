"""One hidden layer approximates as closely as it is wide; deeper instead of wider."""

from itertools import pairwise

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Points, Shown, fit_curves


def target(x):
    return np.sin(2 * np.pi * x) + np.abs(x)


def layered(widths):
    """A curve of tanh layers of these widths, and how many parameters it has."""
    sizes = [1, *widths, 1]
    shapes = list(pairwise(sizes))

    def curve(x, theta):
        h, start = x[:, None], 0
        for place, (a, b) in enumerate(shapes):
            W = cr.reshape(theta[..., start : start + a * b], (*theta.shape[:-1], a, b))
            c = theta[..., start + a * b : start + a * b + b]
            z = cr.sum(cr.expand_dims(h, -1) * W, axis=-2) + c
            h, start = (z if place == len(shapes) - 1 else cr.tanh(z)), start + a * b + b
        return h[..., 0]

    return curve, sum(a * b + b for a, b in shapes)


def starts(widths, restarts, x, draw):
    """Random units whose bends lie in [-1, 1]; the last layer is that of least squares."""
    sizes, rows = [1, *widths], []
    for _ in range(restarts):
        h, parts = x[:, None], []
        for place, (a, b) in enumerate(pairwise(sizes)):
            W = draw.normal(size=(a, b)) * (2 + b / 2 if place == 0 else 2 * a**-0.5)
            c = -W[0] * draw.uniform(-1, 1, b) if place == 0 else draw.normal(size=b)
            h, parts = np.tanh(h @ W + c), [*parts, W.ravel(), c]
        last = np.linalg.lstsq(np.column_stack([h, np.ones(len(x))]), target(x), rcond=1e-6)[0]
        rows.append(np.concatenate([*parts, last]))
    return np.array(rows)


def universal_approximation(restarts=16, points=201, work=400, seed=0):
    x, grid = np.linspace(-1, 1, points), np.linspace(-1, 1, 1001)
    draw, numbers, widths = np.random.default_rng(seed), {}, [1, 2, 4, 8, 16, 32, 64]
    errors, sizes, best = {}, {}, {}
    for shape in [*((width,) for width in widths), (17,), (4, 4, 4)]:
        curve, sizes[shape] = layered(shape)
        found = fit_curves(curve, x, target(x), starts(shape, restarts, x, draw),
                           iterations=min(30, work // max(shape))).parameters  # fmt: skip
        fitted = np.array([curve(grid, theta) for theta in found])
        worst = np.abs(fitted - target(grid)).max(axis=1)
        errors[shape], best[shape] = worst.min(), fitted[worst.argmin()]
    by_width = np.array([errors[(width,)] for width in widths])
    numbers = {f"greatest error, width {k}": e for k, e in zip(widths, by_width, strict=True)}
    numbers["greatest rise to the next width"] = (by_width[1:] / by_width[:-1]).max()
    for shape in [(17,), (4, 4, 4)]:
        name = f"{len(shape)} hidden layers of {shape[0]}" if len(shape) > 1 else "1 hidden layer"
        numbers |= {f"parameters, {name}": sizes[shape], f"greatest error, {name}": errors[shape]}
    drawn = [Line(grid, best[(k,)], label=f"width {k}") for k in (2, 8)]
    chart = Chart(
        Panel(Line(grid, target(grid), ink="note", dash="solid", width=5.0, label="target"), *drawn,
              x="x", title="sin 2πx + |x|"),
        Panel(Line(widths, by_width, ink="class0"), Points(widths, by_width, ink="class0",
              marker="circle"), x="hidden units", y="greatest error", x_scale="log",
              y_scale="log", x_names={float(k): str(k) for k in widths}),
        title="The wider the layer, the closer it can come",
    )  # fmt: skip
    return Shown(numbers, {"universal-approximation": chart})


if __name__ == "__main__":
    print(universal_approximation())
