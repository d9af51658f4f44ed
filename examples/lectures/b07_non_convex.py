"""Saddles, flat places and steep ones: what a Hessian tells, and what it cannot."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Shown, Surface, rises_and_falls
from chainrule.explain import second_derivative_test as hessian_test
from chainrule.optim import SGD
from chainrule.optim.clipping import clip_by_global_norm

SURFACES = {
    "x² + y²": lambda p: p[0] ** 2 + p[1] ** 2,
    "x² − y²": lambda p: p[0] ** 2 - p[1] ** 2,
    "x³ − 3xy²": lambda p: p[0] ** 3 - 3 * p[0] * p[1] ** 2,
}


def descend(start, rate, steps, limit=None):
    """Gradient descent on x⁴, with gradients clipped to a norm or not; stops when it overflows."""
    slope, optimizer = cr.grad(lambda x: x**4), SGD(rate)

    @cr.compile
    def step(x, state):
        g = slope(x)
        return optimizer.update(x, clip_by_global_norm(g, limit) if limit else g, state)

    path, state = [np.float64(start)], optimizer.init(np.float64(start))
    while len(path) <= steps and np.isfinite(path[-1]):
        x, state = step(path[-1], state)
        path.append(x)
    return np.array(path)


def non_convex(start=10.0, rate=0.01, limit=1.0, steps=2000):
    numbers, panels = {}, []
    away = np.linspace(-1, 1, 61)
    for name, fn in SURFACES.items():
        found = hessian_test(fn, [0.0, 0.0])
        rises, falls = rises_and_falls(fn, [0.0, 0.0])
        least, greatest = found.eigenvalues
        numbers |= {f"{name}: least eigenvalue": least, f"{name}: greatest eigenvalue": greatest}
        numbers |= {f"{name}: rises around it": rises, f"{name}: falls around it": falls}
        values = fn(np.stack(np.meshgrid(away, away)))
        panels.append(Panel(
            Surface(values, (-1, 1, -1, 1), np.linspace(-0.8, 0.8, 9).tolist(), colours="none"),
            title=f"{name}: {found.verdict}", x="x", y="y", equal=True,
        ))  # fmt: skip
    wild, calm = descend(start, rate, steps), descend(start, rate, steps, limit)
    numbers |= {f"x⁴, step {k}": wild[k] for k in (1, 2, 3)}
    numbers |= {"steps until it overflows": len(wild) - 1, "clipped, at the end": calm[-1]}
    shown = wild[np.abs(wild) < 1e10]
    panels.append(Panel(Line(np.arange(len(shown)) + 1, np.abs(shown), label="plain"),
                        Line(np.arange(len(calm)) + 1, np.abs(calm), label="clipped"),
                        title=f"|x| on x⁴ from {start:g}", x="step", x_scale="log",
                        y_scale="log"))  # fmt: skip
    title = "The second partial derivative test; and a step on too steep a slope"
    return Shown(numbers, {"non-convex": Chart(*panels, title=title, columns=2)})


if __name__ == "__main__":
    print(non_convex())
