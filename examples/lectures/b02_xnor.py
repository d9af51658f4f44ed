"""Two pixels of the same value: no line tells them apart, but two hidden units recode them."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Shown, plane_panel, separating_plane
from chainrule.nn import Activation, Linear

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
SAME = np.array([1, 0, 0, 1])


def fires(z):
    """1 where the threshold is reached."""
    return cr.where(z >= 0, 1.0, 0.0) * cr.ones_like(z)


def xnor(theta1=2.0, theta2=0.0, theta=1.0):
    layers = [Linear(2, 2, name="hidden"), Activation(fires, name="threshold"),
              Linear(2, 1, name="output"), Activation(fires)]  # fmt: skip
    model = cr.Network(layers, dtype="float64")
    model["hidden"].W = [[1.0, -1.0], [1.0, -1.0]]  # the units see s = i1 + i2, and -s
    model["hidden"].b = [-theta1, -theta2]
    model["output"].W, model["output"].b = [[1.0], [1.0]], [-theta]
    outputs, numbers, panels = model.forward(X)[:, 0], {}, []
    inner, hidden = X @ model["hidden"].W, model["output"].input
    for pixels, (h1, h2), output in zip(("00", "01", "10", "11"), hidden, outputs, strict=True):
        numbers |= {f"h1 of {pixels}": h1, f"h2 of {pixels}": h2, f"output of {pixels}": output}
    stages = {"inputs": (X, ("i₁", "i₂")), "hidden inputs": (inner, ("i₁ + i₂", "−i₁ − i₂")),
              "hidden outputs": (hidden, ("h₁", "h₂"))}  # fmt: skip
    for stage, (seen, names) in stages.items():
        numbers[f"{stage} separable"] = separating_plane(seen, SAME) is not None
        panels.append(plane_panel(seen, SAME, title=stage, names=names, named="same:"))
    title = "The hidden layer recodes the input, and then a line is enough"
    return Shown(numbers, {"xnor": Chart(*panels, title=title)})


if __name__ == "__main__":
    print(xnor())
