"""z = f(f(f(w))): its derivative is a graph again; storing what is shared against recomputing."""

from functools import cache

import chainrule as cr
from chainrule.explain import Shown, circuit, symbols


def chain(w, depth):
    """f(f(...f(w))), f the sine."""
    return w if depth == 0 else cr.sin(chain(w, depth - 1))


def evaluations(output, stored):
    """How often f is computed on the way to a node, with its values stored or computed anew."""
    calls = []

    def value(node):
        if not node.operands:
            return node.value
        if node.op.name == "sin":
            calls.append(node)
        return node.op.numpy(*map(visit, node.operands))

    visit = cache(value) if stored else value
    visit(output)
    return len(calls)


def symbol_to_symbol(w=0.7, depth=3, long=10, step=1e-5):
    W = cr.variable(w, name="w")
    numbers = {}
    for n in (depth, long):
        (slope,) = cr.transforms.simplify([cr.gradient(chain(W, n), W)])
        for stored, how in ((True, "stored"), (False, "recomputed")):
            numbers[f"f computed for dz/dw, chain of {n}, {how}"] = evaluations(slope, stored)
    orders = [chain(W, depth).named("z")]
    for k in (1, 2, 3):
        orders.append(cr.gradient(orders[-1], W))
        around = []
        for W.value in (w + step, w - step):
            around.append(orders[-2].value)
        W.value = w
        difference = (around[0] - around[1]) / (2 * step)
        numbers |= {f"derivative {k}": orders[k].value,
                    f"error of derivative {k}": abs(difference / orders[k].value - 1)}  # fmt: skip
    (slope,) = cr.transforms.simplify(orders[1:2])
    return Shown(
        numbers,
        pictures={
            "derivative": circuit(slope.named("dz/dw"), title="dz/dw, a graph like any other"),
            "function": circuit(orders[0], title="z = f(f(f(w)))"),
        },
        notes=f"dz/dw = {symbols(orders[1])}",
    )


if __name__ == "__main__":
    print(symbol_to_symbol())
