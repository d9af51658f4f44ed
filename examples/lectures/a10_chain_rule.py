"""The chain rule on three formulas: as symbols, as numbers, and as a sum over paths."""

import chainrule as cr
from chainrule.explain import Shown, circuit, leaves, slopes, symbols


def chain_rule(w1=0.5, w2=2.0, x=1.5, r=2.0, s=3.0):
    w1, w2, x, r, s, u = leaves(w1=w1, w2=w2, x=x, r=r, s=s, u=1.0)
    exp = cr.exp(w1 * x)
    y = (w2 * exp).named("y")
    by_w1, by_w2 = cr.gradient(y, [w1, w2])
    by_x = cr.gradient(cr.sin(x**2), x)
    written = {"dy/dw1": by_w1, "dy/dw2": by_w2, "d sin(x^2)/dx": by_x}
    numbers = {name: node.value for name, node in written.items()}
    numbers["dy/dw1 - w2 x exp(w1 x)"] = (by_w1 - w2 * x * exp).value
    numbers["dy/dw2 - exp(w1 x)"] = (by_w2 - exp).value
    numbers["d sin(x^2)/dx - 2 x cos(x^2)"] = (by_x - 2 * x * cr.cos(x**2)).value

    f = (r * (r * s) * s).named("f")  # f = x y z with x = r, y = rs, z = s
    by_r, by_s = cr.gradient(f, [r, s])
    numbers |= {"f": f.value} | slopes(f, [r, s])
    numbers["df/dr - 2 r s^2"] = (by_r - 2 * r * s**2).value
    numbers["df/ds - 2 r^2 s"] = (by_s - 2 * r**2 * s).value
    ru, su = r.value * u, s.value * u  # now r and s are functions of u, which is 1
    numbers |= slopes((ru * (ru * su) * su).named("f"), [u])
    numbers["df/dr dr/du + df/ds ds/du"] = (by_r * r + by_s * s).value
    pictures = {
        "two-parameters": circuit(y, title="y = w₂ exp(w₁ x)"),
        "two-paths": circuit(f, title="r and s are read twice: two paths, two shares, one sum"),
    }
    notes = "\n".join(f"{name} = {symbols(node)}" for name, node in written.items())
    return Shown(numbers, pictures, notes=notes)


if __name__ == "__main__":
    print(chain_rule())
