"""The chain rule on three formulas: as symbols, as numbers, and as a sum over paths."""

import chainrule as cr
from chainrule.explain import Shown, circuit, symbols


def chain_rule(w1=0.5, w2=2.0, x=1.5, r=2.0, s=3.0):
    w1, w2, x = (cr.variable(v, name=n) for n, v in (("w1", w1), ("w2", w2), ("x", x)))
    y = (w2 * cr.exp(w1 * x)).named("y")
    by_w1, by_w2 = cr.gradient(y, [w1, w2])
    wave = cr.sin(x**2)
    by_x = cr.gradient(wave, x)

    r, s = cr.variable(r, name="r"), cr.variable(s, name="s")
    f = (r * (r * s) * s).named("f")  # f = x y z with x = r, y = rs, z = s
    by_r, by_s = cr.gradient(f, [r, s])

    u = cr.variable(1.0, name="u")
    of_u = (r.value * u) * ((r.value * u) * (s.value * u)) * (s.value * u)
    paths = by_r.value * r.value + by_s.value * s.value  # dr/du = r, ds/du = s at u = 1

    exp = cr.exp(w1 * x)
    written = {"dy/dw1": by_w1, "dy/dw2": by_w2, "d sin(x^2)/dx": by_x}
    return Shown(
        numbers={name: node.value for name, node in written.items()}
        | {"dy/dw1 - w2 x exp(w1 x)": (by_w1 - w2 * x * exp).value,
           "dy/dw2 - exp(w1 x)": (by_w2 - exp).value,
           "d sin(x^2)/dx - 2 x cos(x^2)": (by_x - 2 * x * cr.cos(x**2)).value,
           "f": f.value, "df/dr": by_r.value, "df/ds": by_s.value,
           "df/dr - 2 r s^2": (by_r - 2 * r * s**2).value,
           "df/ds - 2 r^2 s": (by_s - 2 * r**2 * s).value,
           "df/du": cr.gradient(of_u, u).value, "df/dr dr/du + df/ds ds/du": paths},
        pictures={
            "two-parameters": circuit(y, title="y = w₂ exp(w₁ x)"),
            "two-paths": circuit(f, title="r and s are read twice: two paths, two shares, one sum"),
        },
        notes="\n".join(f"{name} = {symbols(node)}" for name, node in written.items()),
    )  # fmt: skip


if __name__ == "__main__":
    print(chain_rule())
