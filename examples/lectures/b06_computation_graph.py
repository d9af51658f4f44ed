"""Least squares and ridge as graphs: forwards in topological order, backwards in reverse."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, circuit

A, M, C = np.array([1.0, -2.0, 0.5]), np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]]), [0.5, -1.0]


def visits(node, cached):
    """How many nodes are computed to get a value, with results kept or computed anew."""
    done, count, stack = set(), 0, [node]
    while stack:
        each = stack.pop()
        if not (cached and each in done):
            done.add(each)
            count += 1
            stack += each.operands
    return count


def computation_graph(w1=1.0, w2=-2.0, b=0.5, x1=2.0, x2=1.0, y=3.0, ridge=0.1):
    w = [cr.variable(w1, name="w1"), cr.variable(w2, name="w2")]
    B, x = cr.variable(b, name="b"), (x1, x2)
    prediction = (w[0] * x1 + w[1] * x2 + B).named("ŷ")
    r = (y - prediction).named("r")
    loss = (r * r).named("loss")
    penalty = (ridge * (w[0] * w[0] + w[1] * w[1])).named("R")
    J = (loss + penalty).named("J")
    slopes, ridged = cr.gradient(loss, [*w, B]), cr.gradient(J, [*w, B])
    sensitivities = cr.jacobian(lambda a: cr.constant(M) @ a + np.array(C))(A)
    numbers = {"ŷ": prediction.value, "r": r.value, "ℓ": loss.value, "J": J.value}
    for name, slope, with_ridge in zip(("w1", "w2", "b"), slopes, ridged, strict=True):
        numbers |= {f"dℓ/d{name}": slope.value, f"dJ/d{name}": with_ridge.value}
    numbers |= {
        f"dℓ/dw{j + 1} + 2 r x{j + 1}": slopes[j].value + 2 * r.value * x[j] for j in (0, 1)
    }
    numbers["dℓ/db + 2 r"] = slopes[2].value + 2 * r.value
    for j in (0, 1):
        added = ridged[j].value - slopes[j].value
        numbers[f"dJ/dw{j + 1} - dℓ/dw{j + 1} - 2 λ w{j + 1}"] = added - 2 * ridge * w[j].value
    numbers["largest |∂b/∂a − M|"] = np.abs(sensitivities - M).max()
    kept, anew = visits(J, cached=True), visits(J, cached=False)
    numbers |= {"nodes of J": len(cr.explain.ledger(J).order),
                "computed with results kept": kept, "computed without": anew}  # fmt: skip
    return Shown(
        numbers,
        pictures={
            "least-squares": circuit(loss, title="loss = (y − ŷ)²"),
            "ridge": circuit(J, title="J = (y − ŷ)² + λ wᵀw: each w is read three times"),
        },
    )


if __name__ == "__main__":
    print(computation_graph())
