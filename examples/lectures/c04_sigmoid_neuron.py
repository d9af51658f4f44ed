"""One neuron, as a chain of single gates and as one sigmoid gate."""

import chainrule as cr
from chainrule.explain import Shown


def sigmoid_neuron(w0=2.0, x0=-1.0, w1=-3.0, x1=-2.0, w2=-3.0):
    given = {"w0": w0, "x0": x0, "w1": w1, "x1": x1, "w2": w2}
    leaves = [cr.variable(value, name=name) for name, value in given.items()]
    first, second = leaves[0] * leaves[1], leaves[2] * leaves[3]
    total = first + second
    z = total + leaves[4]
    minus_z = -1 * z
    power = cr.exp(minus_z)
    denominator = power + 1
    f = (1 / denominator).named("f")
    one_gate = cr.sigmoid(z).named("f")

    gates = {"w0 x0": first, "w1 x1": second, "w0 x0 + w1 x1": total, "z": z, "-z": minus_z,
             "exp(-z)": power, "1 + exp(-z)": denominator, "f": f}  # fmt: skip
    back = {"df/df": f, "df/d(1 + exp(-z))": denominator, "df/dexp(-z)": power,
            "df/d(-z)": minus_z, "df/dz": z}  # fmt: skip
    by_gates, by_sigmoid = cr.gradient(f, leaves), cr.gradient(one_gate, leaves)
    apart = [abs(a.value - b.value) for a, b in zip(by_gates, by_sigmoid, strict=True)]
    return Shown(
        numbers={name: node.value for name, node in gates.items()}
        | {name: cr.gradient(f, node).value for name, node in back.items()}
        | {f"df/d{name}": slope.value for name, slope in zip(given, by_gates, strict=True)}
        | {"largest difference of the two forms": max(apart)},
        pictures={
            "sigmoid-neuron": cr.explain.circuit(f, title="A neuron, gate by gate"),
            "sigmoid-gate": cr.explain.circuit(one_gate, title="A neuron with a sigmoid gate"),
        },
    )


if __name__ == "__main__":
    print(sigmoid_neuron())
