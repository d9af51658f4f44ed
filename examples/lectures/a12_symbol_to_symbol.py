"""z = f(f(f(w))): its derivative is a graph again; storing what is shared against recomputing."""

import chainrule as cr
from chainrule.explain import Shown, circuit, evaluations, leaves, relative_error, symbols


def chain(w, depth):
    """f(f(...f(w))), f the sine."""
    return w if depth == 0 else cr.sin(chain(w, depth - 1))


def symbol_to_symbol(w=0.7, depth=3, long=10, step=1e-5):
    (W,) = leaves(w=w)
    numbers = {}
    for n in (depth, long):
        (slope,) = cr.transforms.simplify([cr.gradient(chain(W, n), W)])
        for how, stored in (("stored", True), ("recomputed", False)):
            times = evaluations(slope, stored=stored)["sin"]
            numbers[f"f computed for dz/dw, chain of {n}, {how}"] = times
    orders = [chain(W, depth).named("z")]
    for k in (1, 2, 3):
        orders.append(cr.gradient(orders[-1], W))
        W.value = w + step
        above = orders[-2].value
        W.value = w - step
        below = orders[-2].value
        W.value = w
        difference = (above - below) / (2 * step)
        numbers[f"derivative {k}"] = orders[k].value
        numbers[f"error of derivative {k}"] = relative_error(difference, orders[k].value)
    (slope,) = cr.transforms.simplify(orders[1:2])
    pictures = {"derivative": circuit(slope.named("dz/dw"), title="dz/dw, a graph like any other"),
                "function": circuit(orders[0], title="z = f(f(f(w)))")}  # fmt: skip
    return Shown(numbers, pictures, notes=f"dz/dw = {symbols(orders[1])}")


if __name__ == "__main__":
    print(symbol_to_symbol())
