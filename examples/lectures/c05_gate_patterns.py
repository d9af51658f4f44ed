"""2 (x y + max(z, w)): add distributes, max routes, mul switches; x x is paid twice."""

import chainrule as cr
from chainrule.explain import Shown


def gate_patterns(x=3.0, y=-4.0, z=2.0, w=-1.0):
    given = {"x": x, "y": y, "z": z, "w": w}
    X, Y, Z, W = leaves = [cr.variable(value, name=name) for name, value in given.items()]
    f = (2 * (X * Y + cr.maximum(Z, W))).named("f")
    square = (X * X).named("s")
    first, second = cr.explain.ledger(square).shares[square]
    slopes = dict(zip(given, cr.gradient(f, leaves), strict=True))
    return Shown(
        numbers={"f": f.value}
        | {f"df/d{name}": slope.value for name, slope in slopes.items()}
        | {"first share": first, "second share": second}
        | {"d(x x)/dx": cr.gradient(square, X).value},
        pictures={
            "gate-patterns": cr.explain.circuit(
                f, title="Add distributes, max routes, mul switches"
            ),
            "square": cr.explain.circuit(square, title="x is read twice: two gradients add up"),
        },
    )


if __name__ == "__main__":
    print(gate_patterns())
