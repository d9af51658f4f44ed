"""AND and OR by one unit each; XOR by a unit that reads both, and by no single unit."""

from itertools import product

import numpy as np

from chainrule.explain import Chart, Shown, plane_panel

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TRUTH = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0], "XNOR": [1, 0, 0, 1]}
# XOR asks: -theta < 0, theta - w2 <= 0, theta - w1 <= 0 and w1 + w2 - theta < 0.
XOR_ASKS = {"w1": [0, 0, -1, 1], "w2": [0, -1, 0, 1], "theta": [-1, 1, 1, -1]}


def unit(inputs, weights, theta):
    """Fires where the weighted sum reaches the threshold."""
    return (inputs @ np.array(weights) >= theta).astype(int)


def boolean_gates(w1=1.0, w2=1.0, theta=2.0):
    h = np.stack([unit(X, (1, 1), 1), unit(X, (1, 1), 2)], axis=1)  # OR and AND
    outputs = {"AND": unit(X, (w1, w2), theta), "OR": h[:, 0],
               "XOR": unit(h, (1, -1), 1), "XNOR": unit(h, (-1, 1), 0)}  # fmt: skip
    numbers = {
        f"{gate} of {a}{b}": outputs[gate][k] for gate in TRUTH for k, (a, b) in enumerate(X)
    }
    every = list(product(range(-2, 3), range(-2, 3), np.arange(-4.5, 5.0, 0.5)))
    for gate, target in TRUTH.items():  # these units meet every split of the corners
        right = max(np.mean(unit(X, w, t) == target) for *w, t in every)
        numbers[f"best single unit on {gate}"] = right
    numbers |= {f"sum of the inequalities, {name}": sum(row) for name, row in XOR_ASKS.items()}
    panels = [plane_panel(X, TRUTH[g], title=g, named="output") for g in ("AND", "OR", "XOR")]
    panels.append(plane_panel(h, TRUTH["XOR"], title="XOR of OR and AND", names=("OR", "AND")))
    title = "No line separates XOR; in the plane of OR and AND one does"
    return Shown(numbers, {"boolean-gates": Chart(*panels, title=title, columns=2)})


if __name__ == "__main__":
    print(boolean_gates())
