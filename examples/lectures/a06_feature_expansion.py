"""Products of features make a linear model bend; bag of words is a feature map fixed by hand."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Shown, class_panel, relative_error, separating_plane
from chainrule.nn import Linear, PolynomialFeatures

GOOD = ["a great great film", "a great story well told", "well told and great fun"]
DULL = ["a dull film", "dull and long", "a long story not told well at all dull"]


def expanded(x):
    """The features whose inner product is (x'z + 1)^2."""
    a, b = x.T
    return np.c_[a**2, b**2, np.sqrt(2) * np.c_[a * b, a, b], np.ones_like(a)]


def feature_expansion(points=1000, factor=0.5, noise=0.05, degree=2, seed=0):
    X, y = cr.data.two_circles(points, factor=factor, noise=noise, seed=seed)
    models = {"linear": [Linear(2, 1)]}
    models["expanded"] = [PolynomialFeatures(degree), Linear(degree * (degree + 3) // 2, 1)]
    panels, phi, kernel = [], expanded(X), (X @ X.T + 1) ** 2
    numbers = {"kernel less inner products, relative": relative_error(phi @ phi.T, kernel)}
    for name, layers in models.items():
        model = cr.Network([*layers, cr.nn.Activation("sigmoid")], seed=seed)
        model.fit(X, y, optimizer=cr.optim.LBFGS(), epochs=100, batch_size=None)
        numbers[f"accuracy, {name}"] = right = np.mean((model.predict(X)[:, 0] > 0.5) == y)
        panels.append(class_panel(model.predict, X, y, title=f"{name}: accuracy {right:.2f}"))
    words = sorted(set(" ".join(GOOD + DULL).split()))
    counts = [[sentence.split().count(word) for word in words] for sentence in GOOD + DULL]
    plane = separating_plane(counts, [1] * len(GOOD) + [0] * len(DULL))
    numbers["bags of words are separable"] = plane is not None
    title = "A plane in the products is a circle in the features"
    return Shown(numbers, {"feature-expansion": Chart(*panels, title=title)})


if __name__ == "__main__":
    print(feature_expansion())
