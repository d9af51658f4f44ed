"""Softmax regression: with two classes it is logistic regression, and it agrees with theirs."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import chainrule as cr
from chainrule.explain import BoundaryPicture, Shown


def fitted(X, y, C, seed):
    """Penalised as scikit-learn does: |W|^2 / 2 beside C times the sum of the losses."""
    layers = [cr.nn.Linear(X.shape[1], 3), cr.nn.Activation("softmax")]
    model = cr.Network(layers, seed=seed, dtype="float64")
    exact = cr.optim.LBFGS(gradient_tolerance=1e-10, value_tolerance=0.0)
    model.fit(X, y, optimizer=exact, epochs=200, batch_size=None, l2=1 / (2 * C * len(X)))
    return model.predict


def softmax_regression(C=1.0, seed=0):
    f, g = np.random.default_rng(seed).normal(0, 5, (2, 1000))
    first = cr.softmax(np.stack([f, g], axis=1))[:, 0]
    numbers = {"softmax of (f, g) less sigmoid(f - g)": np.abs(first - cr.sigmoid(f - g)).max()}
    numbers["softmax of (f, g) less sigmoid(g - f)"] = np.abs(first - cr.sigmoid(g - f)).max()
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    ours = fitted(X, y, C, seed)(X)
    theirs = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y).predict_proba(X)
    numbers["probabilities less scikit-learn's"] = np.abs(ours - theirs).max()
    numbers["cross-entropy"] = -np.log(ours[np.arange(len(y)), y]).mean()
    numbers["accuracy"] = np.mean(ours.argmax(axis=1) == y)
    title, names = "Softmax regression draws straight boundaries", ("petal length", "petal width")
    petals, kinds = fitted(X[:, 2:], y, C, seed), load_iris().target_names[y]
    picture = BoundaryPicture.of(petals, X[:, 2:], kinds, title=title, axis_names=names)
    return Shown(numbers, {"softmax-regression": picture})


if __name__ == "__main__":
    print(softmax_regression())
