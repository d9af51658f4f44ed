"""Softmax at several temperatures: towards 0 it is a maximum, towards infinity a fair die."""

import numpy as np

import chainrule as cr
from chainrule.explain import Shown, entropy, softmax_temperatures


def naive(z, temperature):
    """The formula as it stands: exp overflows in float32 above 88, in float64 above 709."""
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(z / temperature)
        return e / e.sum()


def softmax_temperature(z=(2.0, 1.0, 0.1, 0.0, -2.0), T=(0.01, 0.5, 1.0, 2.0, 10.0)):
    scores, numbers = np.array(z), {}
    for t in T:
        for k, p in enumerate(cr.softmax(scores, temperature=t), 1):
            numbers[f"p{k} at T={t:g}"] = p
    for t in T:
        numbers[f"entropy at T={t:g}"] = entropy(cr.log_softmax(scores / t))
    for kind, t in (("float32", 0.01), ("float64", 0.001)):
        given = scores.astype(kind)
        stable = cr.softmax(given, temperature=t)
        numbers[f"finite in {kind} at T={t:g}"] = np.isfinite(stable).all()
        numbers[f"naive form finite in {kind} at T={t:g}"] = np.isfinite(naive(given, t)).all()
    return Shown(numbers, {"softmax-temperature": softmax_temperatures(scores, T)})


if __name__ == "__main__":
    print(softmax_temperature())
