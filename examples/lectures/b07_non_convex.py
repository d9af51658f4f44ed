"""Saddles, flat places and steep ones: what a Hessian tells, and what it cannot."""

from chainrule import explain
from chainrule.optim import SGD

SURFACES = {
    "x² + y²": lambda p: p[0] ** 2 + p[1] ** 2,
    "x² − y²": lambda p: p[0] ** 2 - p[1] ** 2,
    "x³ − 3xy²": lambda p: p[0] ** 3 - 3 * p[0] * p[1] ** 2,
}


def quartic(x):
    return x[0] ** 4


def non_convex(start=10.0, rate=0.01, limit=1.0, steps=2000):
    numbers, panels = {}, []
    for name, fn in SURFACES.items():
        found = explain.second_derivative_test(fn, [0.0, 0.0])
        least, greatest = found.eigenvalues
        numbers |= {f"{name}: least eigenvalue": least, f"{name}: greatest eigenvalue": greatest}
        rises, falls = explain.rises_and_falls(fn, [0.0, 0.0])
        numbers |= {f"{name}: rises around it": rises, f"{name}: falls around it": falls}
        panels.append(explain.path_panel(fn, {}, (-1, 1, -1, 1), title=f"{name}: {found.verdict}"))
    wild = explain.trajectory(quartic, SGD(rate), [start], steps)[:, 0]
    calm = explain.trajectory(quartic, SGD(rate), [start], steps, clip_norm=limit)[:, 0]
    numbers |= {"steps until it overflows": len(wild) - 1, "clipped, at the end": calm[-1]}
    numbers |= {f"x⁴, step {k}": wild[k] for k in (1, 2, 3)}
    sizes = {"plain": abs(wild[abs(wild) < 1e10]), "clipped": abs(calm)}
    logarithmic = {"x": "step", "x_scale": "log", "y_scale": "log"}
    panels.append(explain.line_panel(sizes, title=f"|x| on x⁴ from {start:g}", **logarithmic))
    title = "The second partial derivative test; and a step on too steep a slope"
    return explain.Shown(numbers, {"non-convex": explain.Chart(*panels, title=title, columns=2)})


if __name__ == "__main__":
    print(non_convex())
