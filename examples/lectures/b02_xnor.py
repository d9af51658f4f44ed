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
    model = cr.Network(
        [Linear(2, 2, name="hidden"), Activation(fires, name="threshold"),
         Linear(2, 1, name="output"), Activation(fires, name="fires")],
        dtype="float64",
    )  # fmt: skip
    model["hidden"].W = [[1.0, -1.0], [1.0, -1.0]]  # the units see s = i1 + i2, and -s
    model["hidden"].b = [-theta1, -theta2]
    model["output"].W, model["output"].b = [[1.0], [1.0]], [-theta]
    outputs = model.forward(X)[:, 0]
    inner = model["threshold"].input - model["hidden"].b
    hidden = model["output"].input
    corners = [f"{int(a)}{int(b)}" for a, b in X]
    numbers = {f"h{k + 1} of {name}": hidden[row, k]
               for row, name in enumerate(corners) for k in (0, 1)}  # fmt: skip
    numbers |= {f"output of {name}": outputs[row] for row, name in enumerate(corners)}
    numbers |= {f"{what} separable": separating_plane(seen, SAME) is not None
                for what, seen in {"inputs": X, "hidden inputs": inner,
                                   "hidden outputs": hidden}.items()}  # fmt: skip
    chart = Chart(
        plane_panel(X, SAME, title="pixels", names=("i₁", "i₂")),
        plane_panel(inner, SAME, title="hidden inputs", names=("i₁ + i₂", "−i₁ − i₂")),
        plane_panel(hidden, SAME, title="hidden outputs", names=("h₁", "h₂")),
        title="The hidden layer recodes the input, and then a line is enough", columns=3,
    )  # fmt: skip
    return Shown(numbers, {"xnor": chart})


if __name__ == "__main__":
    print(xnor())
