"""Values go forwards through the circuit, derivatives come back."""

import chainrule as cr
from chainrule.explain import Shown, system


@system("C3", {"q": "3", "f": "-12", "df/dx": "-4", "df/dy": "-4", "df/dz": "3", "df/dq": "-4"})
def circuit(x: float = -2.0, y: float = 5.0, z: float = -4.0) -> Shown:
    """(x + y) z: an addition hands the gradient on, a multiplication swaps the factors."""
    X, Y, Z = cr.variable(x, name="x"), cr.variable(y, name="y"), cr.variable(z, name="z")
    q = (X + Y).named("q")
    f = (q * Z).named("f")
    slopes = cr.gradient(f, [X, Y, Z, q])
    return Shown(
        numbers={
            "q": q.value,
            "f": f.value,
            **{f"df/d{n}": s.value for n, s in zip("xyzq", slopes, strict=True)},
        },
        pictures={"circuit": cr.explain.circuit(f, title="f = (x + y) z")},
    )


if __name__ == "__main__":
    print(circuit())
