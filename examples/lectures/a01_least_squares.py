"""House prices: the closed form, gradient descent, and what makes either of them hard."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Rule, Shown

HOUSES = np.array([[2104, 3, 1], [1600, 3, 0], [2400, 3, 0], [1416, 2, 0], [3000, 4, 1]], float)
PRICES = np.array([400, 330, 369, 232, 540], float)


def loss(beta, X, y):
    """The slide's: half of the mean squared error."""
    return cr.mean((X @ beta - y) ** 2) / 2


def descend(X, y, rate, steps):
    """The greatest error after every step from 0, relative to the greatest coefficient."""
    best, beta, slope = np.linalg.pinv(X) @ y, np.zeros(X.shape[1]), cr.compile(cr.grad(loss))
    distances = []
    for _ in range(steps):
        beta = beta - rate * slope(beta, X, y)
        distances.append(np.abs(beta - best).max() / np.abs(best).max())
        if not distances[-1] < 1e3:
            break
    return np.array(distances), beta


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
    ones = np.ones((len(HOUSES), 1))
    X, Z = np.hstack([ones, HOUSES]), np.hstack([ones, (HOUSES - HOUSES.mean(0)) / HOUSES.std(0)])
    beta = np.linalg.solve(X.T @ X, X.T @ PRICES)
    numbers = {f"beta{k}": value for k, value in enumerate(beta)}
    numbers["squared error sum"] = np.sum((X @ beta - PRICES) ** 2)
    curves = {}
    for rate in rates:
        curves[rate], _ = descend(Z, PRICES, rate, steps)
        reached = np.flatnonzero(curves[rate] < 1e-6)
        numbers[f"reaches 1e-6 at rate {rate:g}"] = reached.size > 0
        numbers |= {f"steps to 1e-6 at rate {rate:g}": k + 1 for k in reached[:1]}
    curvature = [np.linalg.eigvalsh(A.T @ A / len(A)).max() for A in (Z, X)]
    numbers |= {"largest rate, standardised": 2 / curvature[0],
                "largest rate, raw": 2 / curvature[1],
                "condition number, raw": np.linalg.cond(X)}  # fmt: skip
    twice = np.hstack([Z, Z[:, 1:2]])
    shortest = np.linalg.pinv(twice) @ PRICES
    numbers["duplicate column: descent from 0 less minimum-norm"] = np.abs(
        descend(twice, PRICES, 0.5, 4 * steps)[1] - shortest).max()  # fmt: skip
    numbers[f"{rows} x {columns}: greatest error in standard errors"] = large(rows, columns, seed)

    def surprise(b, s2):  # minus the logarithm of the likelihood of y | x ~ N(x'b, s2)
        return cr.sum((PRICES - Z @ b) ** 2 / (2 * s2) + cr.log(2 * np.pi * s2) / 2)

    start = np.zeros(4)
    newton = np.linalg.solve(cr.hessian(surprise)(start, 50.0), cr.grad(surprise)(start, 50.0))
    likeliest = start - newton  # one step of Newton's: the surprise is quadratic in b
    numbers["likeliest less least squares"] = np.abs(likeliest - np.linalg.pinv(Z) @ PRICES).max()
    chart = Chart(
        Panel(*[Line(np.arange(len(c)) + 1, c, label=f"rate {r:g}") for r, c in curves.items()],
              Rule(y=1e-6), x="step", y="relative error of the coefficients", x_scale="log",
              y_scale="log", y_range=(1e-12, 1e3)),
        title=f"Above a rate of {2 / curvature[0]:.4f} nothing converges",
    )  # fmt: skip
    return Shown(numbers, {"least-squares": chart})


if __name__ == "__main__":
    print(least_squares())
