"""Softmax at several temperatures: towards 0 it is a maximum, towards infinity a fair die."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Points, Shown, format_number


def naive(z, temperature):
    """The formula as it stands: exp overflows in float32 above 88, in float64 above 709."""
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(z / temperature)
        return e / e.sum()


def softmax_temperature(z=(2.0, 1.0, 0.1, 0.0, -2.0), T=(0.01, 0.5, 1.0, 2.0, 10.0)):
    scores, classes = np.array(z), np.arange(1, len(z) + 1)
    p = {t: cr.softmax(scores, temperature=t) for t in T}
    entropy = {t: -np.sum(p[t] * cr.log_softmax(scores / t)) for t in T}
    cases = {"float32 at T=0.01": (scores.astype(np.float32), 0.01),
             "float64 at T=0.001": (scores, 0.001)}  # fmt: skip
    numbers = {f"p{k} at T={t:g}": p[t][k - 1] for t in T for k in classes}
    numbers |= {f"entropy at T={t:g}": entropy[t] for t in T}
    for name, (given, t) in cases.items():
        numbers[f"finite in {name}"] = np.isfinite(cr.softmax(given, temperature=t)).all()
        numbers[f"naive form finite in {name}"] = np.isfinite(naive(given, t)).all()

    ts = np.geomspace(0.05, 20, 200)
    of_all = [cr.log_softmax(scores / t) for t in ts]
    curves = [Line(classes, p[t], label=f"T = {t:g}") for t in T]
    dots = [Points(classes, p[t], ink="ink", size=3.0) for t in T]
    chart = Chart(
        Panel(*curves, *dots, title="Probabilities", x="class", y="p",
              x_names={k + 1: f"z = {format_number(score)}" for k, score in enumerate(z)}),
        Panel(Line(ts, [-np.sum(np.exp(q) * q) for q in of_all], ink="ink"),
              Points(T, [entropy[t] for t in T], ink="class0", label="the T on the left"),
              title="Entropy", x="temperature T", y="nats", x_scale="log"),
        title="A low temperature picks one class, a high one gives all of them the same chance",
        size=(460.0, 320.0),
    )  # fmt: skip
    return Shown(numbers, {"softmax-temperature": chart})


if __name__ == "__main__":
    print(softmax_temperature())
