"""Convex sets and functions: certificates where there are any, counter-examples where not."""

import numpy as np

import chainrule as cr
from chainrule import explain
from chainrule.explain import Chart, Line, Panel, Points, Shown


def disc(points):
    return np.hypot(*points.T) <= 1


def ring(points):
    return np.abs(np.hypot(*points.T) - 0.9) <= 0.15


def bent(w):
    """The squared error of tanh w at target 1."""
    return (cr.tanh(w) - 1) ** 2


def convexity(seed=0):
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(30, 2)), draw.integers(0, 2, 30)
    found = {
        "disc": explain.convex_set(disc, [-1, -1], [1, 1]),
        "ring": explain.convex_set(ring, [-1.1, -1.1], [1.1, 1.1]),
        "least squares": explain.convexity(lambda w: cr.mean((X @ w - y) ** 2), [-3, -3], [3, 3]),
        "(tanh w - 1)²": explain.convexity(lambda w: bent(w[0]), [-6.0], [3.0]),
        "(x² - 1)²": explain.convexity(lambda x: (x[0] ** 2 - 1) ** 2, [-1.5], [1.5]),
    }
    ends = np.array([[1.0, 0.0], [-1.0, 0.0]])

    def cross_entropy(w):
        return cr.sum(cr.softplus(X @ w) - y * (X @ w))

    w = draw.normal(size=2)
    a = cr.sigmoid(X @ w)
    by_hand = X.T @ (X * (a * (1 - a))[:, None])  # X'SX
    numbers = {
        "ring: ends inside": ring(ends).all(), "ring: middle inside": ring(ends.mean(0)[None])[0],
        **{f"(x² - 1)² at {x}": float((x**2 - 1) ** 2) for x in (-1, 0, 1)},
        "(tanh w - 1)²: mean of -6 and 0": (bent(-6.0) + bent(0.0)) / 2,
        "(tanh w - 1)²: at -3": bent(-3.0),
        "logistic: largest |Hessian − X'SX|": np.abs(cr.hessian(cross_entropy)(w) - by_hand).max(),
        "logistic: least eigenvalue of X'SX": np.linalg.eigvalsh(by_hand)[0],
        **{f"{name}: counter-example found": each.convex is False for name, each in found.items()},
        "least squares: certificate": found["least squares"].convex is True,
    }  # fmt: skip
    grid = np.linspace(-6.5, 3, 200)
    turns = np.linspace(0, 2 * np.pi, 200)
    circles = [Line(r * np.cos(turns), r * np.sin(turns), ink="ink", dash="solid", width=1.2)
               for r in (0.75, 1.05)]  # fmt: skip
    chart = Chart(
        Panel(Line(grid, bent(grid)), Line([-6, 0], bent(np.array([-6.0, 0.0]))),
              Points([-3], [bent(-3.0)], ink="ink", marker="circle"), x="w",
              title="(tanh w − 1)²: the middle lies above the chord"),
        Panel(*circles, Line(*ends.T, ink="class1", dash="dashed"),
              Points([0.0], [0.0], ink="class1", marker="square"), equal=True,
              title="a ring: the middle lies outside"),
        title="One segment is enough to show that something is not convex",
    )  # fmt: skip
    notes = "\n".join(f"{name}: {each.because}" for name, each in found.items())
    return Shown(numbers, {"convexity": chart}, notes=notes)


if __name__ == "__main__":
    print(convexity())
