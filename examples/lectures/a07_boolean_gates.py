"""AND and OR by one unit each; XOR by a unit that reads both, and by no single unit."""

from itertools import product

import numpy as np

from chainrule.explain import Chart, Line, Panel, Points, Shown

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TRUTH = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0], "XNOR": [1, 0, 0, 1]}


def unit(inputs, weights, theta):
    """Fires where the weighted sum reaches the threshold."""
    return (inputs @ np.array(weights) >= theta).astype(int)


def best_single_unit(target, grid=(-2, -1, 0, 1, 2)):
    """The greatest accuracy of any unit; half steps of theta meet every split of the corners."""
    thetas = np.arange(-4.5, 5.0, 0.5)
    return max(np.mean(unit(X, w, t) == target) for *w, t in product(grid, grid, thetas))


def boolean_gates(w1=1.0, w2=1.0, theta=2.0):
    h = np.stack([unit(X, (1, 1), 1), unit(X, (1, 1), 2)], axis=1)  # OR and AND
    outputs = {"AND": unit(X, (w1, w2), theta), "OR": h[:, 0],
               "XOR": unit(h, (1, -1), 1), "XNOR": unit(h, (-1, 1), 0)}  # fmt: skip
    numbers = {f"{name} of {a}{b}": outputs[name][k] for name in TRUTH
               for k, (a, b) in enumerate(X)}  # fmt: skip
    numbers |= {f"best single unit on {name}": best_single_unit(TRUTH[name]) for name in TRUTH}
    # XOR asks, of (w1, w2, theta): 0 < theta; w2 >= theta; w1 >= theta; w1 + w2 < theta.
    below_zero = np.array([[0, 0, -1], [0, -1, 1], [-1, 0, 1], [1, 1, -1]])
    certificate = np.ones(4) @ below_zero
    for name, value in zip(("w1", "w2", "theta"), certificate, strict=True):
        numbers[f"sum of the inequalities, {name}"] = value

    def panel(title, plane, target, *lines, x="x₁", y="x₂"):
        kinds = [Points(*plane[np.array(target) == c].T, ink=f"class{c}", size=11.0,
                        marker=("circle", "square")[c]) for c in (0, 1)]  # fmt: skip
        drawn = [Line(*line, ink="ink", dash="solid") for line in lines]
        return Panel(
            *drawn,
            *kinds,
            title=title,
            x=x,
            y=y,
            x_range=(-0.5, 1.6),
            equal=True,
            y_range=(-0.5, 1.6),
            x_names={0: "0", 1: "1"},
            y_names={0: "0", 1: "1"},
        )

    ends = np.array([-0.5, 1.6])
    chart = Chart(
        panel("AND: x₁ + x₂ ≥ 2", X, TRUTH["AND"], (ends, 1.5 - ends)),
        panel("OR: x₁ + x₂ ≥ 1", X, TRUTH["OR"], (ends, 0.5 - ends)),
        panel("XOR: two lines", X, TRUTH["XOR"], (ends, 0.5 - ends), (ends, 1.5 - ends)),
        panel("XOR, seen by OR and AND", h, TRUTH["XOR"], (ends, ends - 0.5), x="OR", y="AND"),
        title="No line separates XOR; in the plane of OR and AND one does", columns=4,
        size=(230.0, 260.0),
    )  # fmt: skip
    return Shown(numbers, {"boolean-gates": chart})


if __name__ == "__main__":
    print(boolean_gates())
