"""House prices: the closed form, gradient descent, and what makes either of them hard."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Rule, Shown, line_panel, trajectory


def descend(X, y, rate, steps):
    """The greatest error of every step from 0, relative to the greatest coefficient; the last."""

    def loss(beta):  # the slide's: half of the mean squared error
        return cr.mean((X @ beta - y) ** 2) / 2

    best = np.linalg.pinv(X) @ y
    path = trajectory(loss, cr.optim.SGD(rate), np.zeros(X.shape[1]), steps)
    errors = np.abs(path[1:] - best).max(axis=1) / np.abs(best).max()
    return errors[errors < 1e3], path[-1]


def large(rows, columns, seed, block=10_000):
    """The error, in standard errors, of a fit whose X'X and X'y are added up block by block."""
    draw = np.random.default_rng(seed)
    truth, gram, moment = draw.normal(size=columns), np.zeros((columns, columns)), np.zeros(columns)
    for _ in range(rows // block):
        X = np.sqrt(12, dtype=np.float32) * (draw.random((block, columns), np.float32) - 0.5)
        y = X @ truth.astype(np.float32) + draw.standard_normal(block, dtype=np.float32)
        gram, moment = gram + X.T @ X, moment + X.T @ y
    return np.abs(np.linalg.solve(gram, moment) - truth).max() * np.sqrt(rows)


def least_squares(rates=(0.1, 0.778, 0.82), steps=1000, rows=200_000, columns=500, seed=0):
    houses, prices = cr.data.house_prices()
    X = np.c_[np.ones(len(houses)), houses]
    Z = np.c_[np.ones(len(houses)), (houses - houses.mean(axis=0)) / houses.std(axis=0)]
    beta = np.linalg.solve(X.T @ X, X.T @ prices)
    numbers = {f"beta{k}": value for k, value in enumerate(beta)}
    numbers["squared error sum"] = np.sum((X @ beta - prices) ** 2)
    curves = {}
    for rate in rates:
        errors, _ = descend(Z, prices, rate, steps)
        curves[f"rate {rate:g}"] = errors
        reached = np.flatnonzero(errors < 1e-6)
        numbers[f"reaches 1e-6 at rate {rate:g}"] = reached.size > 0
        numbers |= {f"steps to 1e-6 at rate {rate:g}": k + 1 for k in reached[:1]}
    for name, A in (("standardised", Z), ("raw", X)):
        numbers[f"largest rate, {name}"] = 2 / np.linalg.eigvalsh(A.T @ A / len(A)).max()
    numbers["condition number, raw"] = np.linalg.cond(X)
    twice = np.c_[Z, Z[:, 1]]
    apart = np.abs(descend(twice, prices, 0.5, 4 * steps)[1] - np.linalg.pinv(twice) @ prices)
    numbers["duplicate column: descent from 0 less minimum-norm"] = apart.max()
    numbers[f"{rows} x {columns}: greatest error in standard errors"] = large(rows, columns, seed)

    def surprise(b, s2):  # minus the logarithm of the likelihood of y | x ~ N(x'b, s2)
        return cr.sum((prices - Z @ b) ** 2 / (2 * s2) + cr.log(2 * np.pi * s2) / 2)

    at = np.zeros(4), 50.0
    likeliest = -np.linalg.solve(cr.hessian(surprise)(*at), cr.grad(surprise)(*at))  # Newton's step
    numbers["likeliest less least squares"] = np.abs(likeliest - np.linalg.pinv(Z) @ prices).max()
    panel = line_panel(curves, Rule(y=1e-6), x="step", y="relative error of the coefficients",
                       x_scale="log", y_scale="log", y_range=(1e-12, 1e3))  # fmt: skip
    title = f"Above a rate of {numbers['largest rate, standardised']:.4f} nothing converges"
    return Shown(numbers, {"least-squares": Chart(panel, title=title)})


if __name__ == "__main__":
    print(least_squares())
