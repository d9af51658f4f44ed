"""Softmax regression: with two classes it is logistic regression, and it agrees with theirs."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import chainrule as cr
from chainrule.explain import BoundaryPicture, Shown
from chainrule.nn import Activation, Linear, Softmax


def softmax_regression(C=1.0, seed=0):
    f, g = np.random.default_rng(seed).normal(0, 5, (2, 1000))
    pairs = cr.softmax(np.stack([f, g], axis=1))
    data = load_iris()
    X, y = (data.data - data.data.mean(0)) / data.data.std(0), data.target

    exact = cr.optim.LBFGS(gradient_tolerance=1e-10, value_tolerance=0.0)

    def fitted(X):
        """Penalised as scikit-learn does: |W|^2 / 2 beside C times the sum of the losses."""
        model = cr.Network(
            [Linear(X.shape[1], 3), Activation(Softmax())], seed=seed, dtype="float64"
        )
        model.fit(X, y, loss="cross_entropy", optimizer=exact, epochs=200,
                  batch_size=None, l2=1 / (2 * C * len(X)), progress=False)  # fmt: skip
        return model

    ours = fitted(X).predict(X)
    theirs = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y).predict_proba(X)
    petals = fitted(X[:, 2:])
    picture = BoundaryPicture.of(
        petals.predict, X[:, 2:], y, title="Softmax regression draws straight boundaries",
        axis_names=("petal length, standardised", "petal width"),
    )  # fmt: skip
    return Shown(
        {"softmax of (f, g) less sigmoid(f - g)": np.abs(pairs[:, 0] - cr.sigmoid(f - g)).max(),
         "softmax of (f, g) less sigmoid(g - f)": np.abs(pairs[:, 0] - cr.sigmoid(g - f)).max(),
         "probabilities less scikit-learn's": np.abs(ours - theirs).max(),
         "cross-entropy": -np.log(ours[np.arange(len(y)), y]).mean(),
         "accuracy": np.mean(ours.argmax(axis=1) == y)},
        {"softmax-regression": picture},
    )  # fmt: skip


if __name__ == "__main__":
    print(softmax_regression())
