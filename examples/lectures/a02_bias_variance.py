"""The expected squared error of polynomials is bias^2, variance and noise, over many data sets."""

import numpy as np

from chainrule.explain import Bars, Chart, Line, Panel, Points, Shown, Threads, decomposed


def truth(x):
    return np.sin(np.pi * x)


def fitted(x, Y, degree, where):
    """Least squares for every row of Y, and its values at ``where``."""
    features = np.polynomial.legendre.legvander
    return Y @ np.linalg.pinv(features(x, degree)).T @ features(where, degree).T


def bias_variance(n=20, sigma=0.3, sets=2000, degrees=(1, 2, 3, 9), seed=0):
    draw = np.random.default_rng(seed)
    x, fine = np.linspace(-1, 1, n), np.linspace(-1, 1, 201)
    Y, again = truth(x) + sigma * draw.normal(size=(2, sets, n))
    numbers, panels, parts = {"noise": sigma**2}, [], {}
    for d in degrees:
        made = fitted(x, Y, d, x)
        parts[d] = found = decomposed(made, truth(x))
        errors = ((again - made) ** 2).mean(axis=1)  # on new targets at the same places
        total = found.bias2.mean() + found.variance.mean() + sigma**2
        apart = abs(errors.mean() - total) / (errors.std(ddof=1) / np.sqrt(sets))
        numbers |= {f"bias^2, degree {d}": found.bias2.mean(),
                    f"variance, degree {d}": found.variance.mean(),
                    f"measured error, degree {d}": errors.mean(),
                    f"standard errors between sum and measured, degree {d}": apart}  # fmt: skip
        fits = fitted(x, Y, d, fine)
        panels.append(
            Panel(Threads(fine, fits[:150], ink="class0"),
                  Line(fine, truth(fine), ink="ink", dash="dashed", label="truth"),
                  Line(fine, fits.mean(axis=0), ink="class1", dash="solid", label="mean fit"),
                  title=f"degree {d}", x="x", y_range=(-2, 2))
        )  # fmt: skip
    small, large = degrees[0], 4 * n
    x4 = np.tile(x, 4)  # more data at the same places
    Y4 = truth(x4) + sigma * draw.normal(size=(sets, large))
    more = decomposed(fitted(x4, Y4, small, x4), truth(x4))
    numbers |= {f"bias^2, degree {small}, with {large} points": more.bias2.mean(),
                f"variance, degree {small}, with {large} points": more.variance.mean()}  # fmt: skip
    places = np.arange(len(degrees))
    bias2 = np.array([parts[d].bias2.mean() for d in degrees])
    variance = np.array([parts[d].variance.mean() for d in degrees])
    bars = Panel(
        Bars(places, np.full(len(places), sigma**2), ink="hairline", label="noise"),
        Bars(places, variance, sigma**2, ink="class0", label="variance"),
        Bars(places, bias2, sigma**2 + variance, ink="class1", label="bias²"),
        Points(places, [numbers[f"measured error, degree {d}"] for d in degrees], ink="ink",
               marker="cross", label="measured"),
        title="Expected squared error", x="degree", x_names=dict(enumerate(map(str, degrees))),
    )  # fmt: skip
    chart = Chart(
        *panels, bars, columns=3, size=(330.0, 250.0),
        title="A stiff model is wrong on average, a supple one varies with the data",
    )  # fmt: skip
    return Shown(numbers, {"bias-variance": chart})


if __name__ == "__main__":
    print(bias_variance())
