"""Products of features make a linear model bend; bag of words is a feature map fixed by hand."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Panel, Shown, Surface, class_points, separating_plane
from chainrule.nn import Activation, Linear, PolynomialFeatures, Sigmoid

SENTENCES = {
    "a great great film": 1, "a great story well told": 1, "well told and great fun": 1,
    "a dull film": 0, "dull and long": 0, "a long story not told well at all dull": 0,
}  # fmt: skip


def circles(n, factor, noise, draw):
    """Half of the points on the unit circle, half on a smaller one."""
    labels, angles = np.arange(n) % 2, draw.uniform(0, 2 * np.pi, n)
    radius = np.where(labels == 0, 1.0, factor)[:, None]
    points = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return points + noise * draw.normal(size=(n, 2)), labels


def expanded(x):
    """The features whose inner product is (x'z + 1)^2."""
    a, b = x.T
    ones, root = np.ones_like(a), np.sqrt(2)
    return np.stack([a**2, b**2, root * a * b, root * a, root * b, ones], axis=1)


def feature_expansion(points=1000, factor=0.5, noise=0.05, degree=2, seed=0):
    X, y = circles(points, factor, noise, np.random.default_rng(seed))
    models = {
        "linear": [Linear(2, 1)],
        "expanded": [PolynomialFeatures(degree), Linear((degree + 1) * (degree + 2) // 2 - 1, 1)],
    }
    numbers, panels = {}, []
    for name, layers in models.items():
        model = cr.Network([*layers, Activation(Sigmoid())], seed=seed)
        model.fit(X, y, loss="binary_cross_entropy", optimizer=cr.optim.LBFGS(), epochs=100,
                  batch_size=None, progress=False)  # fmt: skip
        numbers[f"accuracy, {name}"] = np.mean((model.predict(X)[:, 0] > 0.5) == y)
        field = Surface.of(model.predict, (-1.4, 1.4, -1.4, 1.4), (0.5,), thick=True)
        title = f"{name}: accuracy {numbers[f'accuracy, {name}']:.2f}"
        panels.append(Panel(field, *class_points(X, y, size=4.0), title=title, equal=True))
    kernel = (X @ X.T + 1) ** 2
    products = expanded(X) @ expanded(X).T
    apart = np.abs(products - kernel).max() / kernel.max()
    numbers["kernel less inner products, relative"] = apart

    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    counts = [[sentence.split().count(word) for word in words] for sentence in SENTENCES]
    plane = separating_plane(counts, list(SENTENCES.values()))
    numbers |= {"words counted": len(words), "bags of words are separable": plane is not None}
    chart = Chart(
        *panels, title="A plane in the products is a circle in the features", size=(340.0, 340.0)
    )
    return Shown(numbers, {"feature-expansion": chart})


if __name__ == "__main__":
    print(feature_expansion())
