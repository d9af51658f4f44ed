"""(x + y) z: an addition hands the gradient on, a multiplication swaps the factors."""

import chainrule as cr
from chainrule.explain import Shown


def circuit(x=-2.0, y=5.0, z=-4.0):
    X, Y, Z = cr.variable(x, name="x"), cr.variable(y, name="y"), cr.variable(z, name="z")
    q = (X + Y).named("q")
    f = (q * Z).named("f")
    slopes = dict(zip("xyzq", cr.gradient(f, [X, Y, Z, q]), strict=True))
    return Shown(
        numbers={"q": q.value, "f": f.value}
        | {f"df/d{name}": slope.value for name, slope in slopes.items()},
        pictures={"circuit": cr.explain.circuit(f, title="f = (x + y) z")},
    )


if __name__ == "__main__":
    print(circuit())
