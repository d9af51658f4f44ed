"""What a gate does to the gradient that arrives at it."""

import chainrule as cr
from chainrule.explain import Shown, system


@system("C5", {"f": "-20", "df/dx": "-8", "df/dy": "6", "df/dz": "2", "df/dw": "0",
               "first share": "3", "second share": "3", "d(x x)/dx": "6"})  # fmt: skip
def gate_patterns(x: float = 3.0, y: float = -4.0, z: float = 2.0, w: float = -1.0) -> Shown:
    """2 (x y + max(z, w)): add distributes, max routes, mul switches; x x is paid twice."""
    X, Y = cr.variable(x, name="x"), cr.variable(y, name="y")
    Z, W = cr.variable(z, name="z"), cr.variable(w, name="w")
    f = (2 * (X * Y + cr.maximum(Z, W))).named("f")
    slopes = cr.gradient(f, [X, Y, Z, W])

    square = (X * X).named("s")
    first, second = cr.explain.ledger(square).shares[square]
    return Shown(
        numbers={
            "f": f.value,
            **{f"df/d{name}": slope.value for name, slope in zip("xyzw", slopes, strict=True)},
            "first share": first,
            "second share": second,
            "d(x x)/dx": cr.gradient(square, X).value,
        },
        pictures={
            "gate-patterns": cr.explain.circuit(
                f, title="Add distributes, max routes, mul switches"
            ),
            "square": cr.explain.circuit(square, title="x is read twice: two gradients add up"),
        },
    )


if __name__ == "__main__":
    print(gate_patterns())
