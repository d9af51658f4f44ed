"""The activations: values, derivatives, and what is left of the derivative far from 0."""

import numpy as np

from chainrule import nn
from chainrule.explain import Chart, Shown, derivative_panel, elementwise_derivative

ACTIVATIONS = {
    "sign": nn.Sign(), "identity": nn.Identity(), "logistic": nn.Sigmoid(), "tanh": nn.Tanh(),
    "hard tanh": nn.HardTanh(), "hard sigmoid": nn.HardSigmoid(), "ReLU": nn.ReLU(),
    "leaky ReLU": nn.LeakyReLU(), "PReLU": nn.PReLU(), "ELU": nn.ELU(), "SELU": nn.SELU(),
    "CELU": nn.CELU(), "softplus": nn.Softplus(), "softsign": nn.Softsign(), "GELU": nn.GELU(),
    "GELU, tanh": nn.GELU("tanh"), "SiLU": nn.SiLU(), "Mish": nn.Mish(),
}  # fmt: skip
KINKS = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])


def activations(far=1e6, step=1e-5):
    s = np.linspace(-4, 4, 321) + 0.003
    s = s[np.abs(s[:, None] - KINKS).min(axis=1) > 2 * step]
    numbers, panels = {}, []
    for name, f in ACTIVATIONS.items():
        slope = elementwise_derivative(f)
        left, right = slope(np.array([-far, far]))
        difference = (f(s + step) - f(s - step)) / (2 * step)
        scale = np.abs(difference).max().clip(1.0)
        numbers |= {f"{name}: f' at -inf": left, f"{name}: f' at +inf": right}
        numbers[f"{name}: error of f'"] = np.abs(slope(s) - difference).max() / scale
        kind = ", saturating" if abs(left) + abs(right) < 1e-6 else ""
        panels.append(derivative_panel(f, s, labels=name == "Mish", title=name + kind,
                                       x_range=(-4, 4), y_range=(-1.6, 3.2)))  # fmt: skip
    numbers["saturating"] = sum(f.saturating for f in ACTIVATIONS.values())
    title = "Saturating activations lose their derivative on both sides"
    chart = Chart(*panels, title=title, columns=6, size=(165.0, 165.0), share=True)
    return Shown(numbers, {"activations": chart})


if __name__ == "__main__":
    print(activations())
