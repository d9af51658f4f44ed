"""One neuron, as a chain of single gates and as one sigmoid gate."""

import chainrule as cr
from chainrule.explain import Shown, system

FORWARD = {"w0 x0": "-2", "w1 x1": "6", "w0 x0 + w1 x1": "4", "z": "1", "-z": "-1",
           "exp(-z)": "0.37", "1 + exp(-z)": "1.37", "f": "0.73"}  # fmt: skip
BACKWARD = {"df/df": "1", "df/d(1 + exp(-z))": "-0.53", "df/dexp(-z)": "-0.53",
            "df/d(-z)": "-0.20", "df/dz": "0.20"}  # fmt: skip
LEAVES = {"df/dw0": "-0.20", "df/dx0": "0.39", "df/dw1": "-0.39", "df/dx1": "-0.59",
          "df/dw2": "0.20", "largest difference of the two forms": "<= 1e-12"}  # fmt: skip


@system("C4", {**FORWARD, **BACKWARD, **LEAVES})
def sigmoid_neuron(
    w0: float = 2.0, x0: float = -1.0, w1: float = -3.0, x1: float = -2.0, w2: float = -3.0
) -> Shown:
    """1/(1 + exp(-(w0 x0 + w1 x1 + w2))): gate by gate, or the sigmoid as one gate, the same."""
    names = ("w0", "x0", "w1", "x1", "w2")
    leaves = [cr.variable(v, name=n) for n, v in zip(names, (w0, x0, w1, x1, w2), strict=True)]
    first, second = leaves[0] * leaves[1], leaves[2] * leaves[3]
    total = first + second
    z = total + leaves[4]
    minus_z = -1 * z
    power = cr.exp(minus_z)
    denominator = power + 1
    f = (1 / denominator).named("f")
    one_gate = cr.sigmoid(z).named("f")

    forward = [first, second, total, z, minus_z, power, denominator, f]
    backward = cr.gradient(f, [f, denominator, power, minus_z, z])
    by_gates, by_sigmoid = cr.gradient(f, leaves), cr.gradient(one_gate, leaves)
    differences = [abs(a.value - b.value) for a, b in zip(by_gates, by_sigmoid, strict=True)]
    return Shown(
        numbers={
            **{name: node.value for name, node in zip(FORWARD, forward, strict=True)},
            **{name: node.value for name, node in zip(BACKWARD, backward, strict=True)},
            **{f"df/d{name}": node.value for name, node in zip(names, by_gates, strict=True)},
            "largest difference of the two forms": max(differences),
        },
        pictures={
            "sigmoid-neuron": cr.explain.circuit(f, title="A neuron, gate by gate"),
            "sigmoid-gate": cr.explain.circuit(one_gate, title="A neuron with a sigmoid gate"),
        },
    )


if __name__ == "__main__":
    print(sigmoid_neuron())
