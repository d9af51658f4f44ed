"""The activations: values, derivatives, and what is left of the derivative far from 0."""

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.explain import Chart, Line, Panel, Shown

ACTIVATIONS = {
    "sign": nn.Sign(), "identity": nn.Identity(), "logistic": nn.Sigmoid(), "tanh": nn.Tanh(),
    "hard tanh": nn.HardTanh(), "hard sigmoid": nn.HardSigmoid(), "ReLU": nn.ReLU(),
    "leaky ReLU": nn.LeakyReLU(), "PReLU": nn.PReLU(), "ELU": nn.ELU(), "SELU": nn.SELU(),
    "CELU": nn.CELU(), "softplus": nn.Softplus(), "softsign": nn.Softsign(), "GELU": nn.GELU(),
    "GELU, tanh": nn.GELU("tanh"), "SiLU": nn.SiLU(), "Mish": nn.Mish(),
}  # fmt: skip
KINKS = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])


def slope(f, x):
    """The derivative at each x, from the graph."""
    s = cr.variable(x)
    return cr.gradient(cr.sum(f(s)), s).value


def activations(far=1e6, step=1e-5):
    s = np.linspace(-4, 4, 321) + 0.003
    s = s[np.abs(s[:, None] - KINKS).min(axis=1) > 2 * step]
    numbers, panels = {}, []
    for name, f in ACTIVATIONS.items():
        derivative, difference = slope(f, s), (f(s + step) - f(s - step)) / (2 * step)
        error = np.abs(derivative - difference).max() / np.abs(derivative).max().clip(1.0)
        left, right = slope(f, np.array([-far, far]))
        numbers |= {f"{name}: f' at -inf": left, f"{name}: f' at +inf": right,
                    f"{name}: error of f'": error}  # fmt: skip
        kind = ", saturating" if abs(left) + abs(right) < 1e-6 else ""
        last = name == "Mish"
        panels.append(
            Panel(Line(s, f(s), ink="forward", label="f" * last),
                  Line(s, derivative, ink="gradient", dash="dashed", label="f ′" * last),
                  title=name + kind, x_range=(-4, 4), y_range=(-1.6, 3.2))
        )  # fmt: skip
    numbers["saturating"] = sum(f.saturating for f in ACTIVATIONS.values())
    chart = Chart(*panels, title="Saturating activations lose their derivative on both sides",
                  columns=6, size=(190.0, 170.0), share=True)  # fmt: skip
    return Shown(numbers, {"activations": chart})


if __name__ == "__main__":
    print(activations())
