"""Least squares and ridge as graphs: forwards in topological order, backwards in reverse."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, circuit, evaluations, leaves, slopes

A, M, C = np.array([1.0, -2.0, 0.5]), np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]]), [0.5, -1.0]


def computation_graph(w1=1.0, w2=-2.0, b=0.5, x1=2.0, x2=1.0, y=3.0, ridge=0.1):
    W1, W2, B = leaves(w1=w1, w2=w2, b=b)
    prediction = (W1 * x1 + W2 * x2 + B).named("ŷ")
    r = (y - prediction).named("r")
    loss = (r * r).named("ℓ")
    J = (loss + (ridge * (W1 * W1 + W2 * W2)).named("R")).named("J")
    numbers = {node.name: node.value for node in (prediction, r, loss, J)}
    numbers |= slopes(loss, [W1, W2, B]) | slopes(J, [W1, W2, B])
    numbers |= {"dℓ/dw1 + 2 r x1": numbers["dℓ/dw1"] + 2 * r.value * x1,
                "dℓ/dw2 + 2 r x2": numbers["dℓ/dw2"] + 2 * r.value * x2,
                "dℓ/db + 2 r": numbers["dℓ/db"] + 2 * r.value}  # fmt: skip
    for name, w in (("w1", w1), ("w2", w2)):
        added = numbers[f"dJ/d{name}"] - numbers[f"dℓ/d{name}"]
        numbers[f"dJ/d{name} - dℓ/d{name} - 2 λ {name}"] = added - 2 * ridge * w
    sensitivities = cr.jacobian(lambda a: cr.constant(M) @ a + np.array(C))(A)
    numbers["largest |∂b/∂a − M|"] = np.abs(sensitivities - M).max()
    for stored, how in ((True, "with results kept"), (False, "without")):
        numbers[f"computed {how}"] = sum(evaluations(J, stored=stored).values())
    title = "J = (y − ŷ)² + λ wᵀw: each w is read three times"
    pictures = {"least-squares": circuit(loss, title="ℓ = (y − ŷ)²"),
                "ridge": circuit(J, title=title)}  # fmt: skip
    return Shown(numbers, pictures)


if __name__ == "__main__":
    print(computation_graph())
