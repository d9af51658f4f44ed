"""Gradients start at nothing and are added to: backward twice counts twice."""

import chainrule as cr
from chainrule.explain import Shown, circuit


def accumulate(x=3.0, w=2.0):
    X, W = cr.variable(x, name="x"), cr.variable(w, name="w")
    y = (W * X).named("y")
    J = (y * y).named("J")
    numbers = {"gradient at first": 0.0 if W.grad is None else W.grad}
    J.backward()
    numbers |= {"dJ/dw after one backward": W.grad, "dJ/dx after one backward": X.grad}
    J.backward()
    numbers |= {"dJ/dw after two": W.grad, "dJ/dx after two": X.grad}
    W.grad = None
    J.backward()
    numbers |= {"dJ/dw, cleared before": W.grad, "dJ/dx, not cleared": X.grad}
    # Two losses, one after the other, add up to the gradient of their sum.
    W.grad = X.grad = None
    J.backward()
    y.backward()
    numbers["J and y, less (J + y)"] = W.grad - cr.gradient(J + y, W).value
    return Shown(numbers, {"accumulate": circuit(J, title="y is read twice: += at work inside")})


if __name__ == "__main__":
    print(accumulate())
