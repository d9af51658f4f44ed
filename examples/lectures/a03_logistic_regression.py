"""Logistic regression by maximum likelihood: odds, a stable loss, and data that has no maximum."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import chainrule as cr
from chainrule.explain import Chart, Line, Panel, Points, Rule, Shown, separating_plane


def minus_log_likelihood(w, X, y):
    """With softplus(f) = max(f, 0) + log1p(exp(-abs(f))), which never overflows."""
    f = X @ w
    return -cr.sum(y * f - cr.softplus(f))


def as_written(f, y):
    """The same as on the slide, and with the minus sign that it lacks."""
    p = 1 / (1 + cr.exp(-f))
    return -cr.sum(y * cr.log(p) + (1 - y) * cr.log(1 - p))


def likeliest(X, y, steps=15):
    """Newton's method from 0; the Hessian is X'SX."""
    slope, curvature = cr.grad(minus_log_likelihood), cr.hessian(minus_log_likelihood)
    w = np.zeros(X.shape[1])
    for _ in range(steps):
        w = w - np.linalg.solve(curvature(w, X, y), slope(w, X, y))
    return w


def logistic_regression(features=10):
    data = load_breast_cancer()
    Z, y = (data.data - data.data.mean(0)) / data.data.std(0), data.target.astype(float)
    numbers = {f"separable by all {Z.shape[1]} features": separating_plane(Z, y) is not None}
    X = np.hstack([Z[:, :features], np.ones((len(Z), 1))])
    if separating_plane(X, y) is not None:
        return Shown(numbers, notes="A plane separates the classes: the likelihood grows for ever"
                     " with the weights, so there is no maximum to find.")  # fmt: skip
    w = likeliest(X, y)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000, solver="newton-cholesky")
    theirs.fit(X[:, :-1], y)
    f = X @ w
    numbers["coefficients less scikit-learn's"] = np.abs(
        w - np.append(theirs.coef_, theirs.intercept_)).max()  # fmt: skip
    p = cr.sigmoid(f)
    odds = p / (1 - p)
    numbers |= {f"odds p/(1 - p) of row {k + 1}": odds[k] for k in range(3)}
    numbers["odds p/(1 - p) of row 1, over e^f"] = odds[0] / np.exp(f[0])
    numbers |= {f"odds ratio e^w, {data.feature_names[k]}": np.exp(w[k]) for k in range(features)}
    numbers["accuracy"] = np.mean((f > 0) == y)
    numbers["both forms of the loss, relative difference"] = abs(
        cr.value_and_grad(as_written)(f, y)[0] / minus_log_likelihood(w, X, y) - 1)  # fmt: skip
    huge, labels = np.array([1e4, -1e4, 1e4, -1e4], np.float32), np.array([1, 0, 0, 1], np.float32)
    loss, slope = cr.value_and_grad(as_written)(huge, labels)
    numbers["finite at logits +-1e4 in float32"] = np.isfinite([loss, *slope]).all()
    signs = 2 * y - 1  # the recap slide: labels -1 and +1, f = w'x - b, squared loss
    squared = np.linalg.lstsq(X, signs, rcond=None)[0]
    numbers["accuracy with squared loss"] = np.mean((X @ squared > 0) == y)

    order, line = np.argsort(w[:-1]), np.linspace(-12, 12, 200)
    jitter = np.random.default_rng(0).uniform(-0.04, 0.04, len(y))
    chart = Chart(
        Panel(Line(line, cr.sigmoid(line), ink="ink", label="σ(f)"),
              *[Points(f[y == c], y[y == c] + jitter[y == c], ink=f"class{c}", size=4.0,
                       marker=("circle", "square")[c], label=data.target_names[c])
                for c in (0, 1)],
              x="logit f(x) = log odds", y="p(y = 1 | x)", x_range=(-12, 12)),
        Panel(Points(np.exp(w[order]), range(features), ink="ink"), Rule(x=1.0, label="no effect"),
              x="odds ratio eʷ per standard deviation", x_scale="log",
              y_names={k: data.feature_names[j] for k, j in enumerate(order)}),
        title="The logit is linear in the features: each multiplies the odds", size=(480.0, 340.0),
    )  # fmt: skip
    return Shown(numbers, {"logistic-regression": chart})


if __name__ == "__main__":
    print(logistic_regression())
