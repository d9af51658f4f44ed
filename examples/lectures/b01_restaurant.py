"""How popular is a restaurant? Sub-problems set by hand, against features that are learned."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Panel, Points, Shown
from chainrule.nn import Activation, Linear, Standardize, Tanh

ZIPS = 6
PARTS = {"food quality": [0, 1, 2], "walkable": list(range(5, 5 + ZIPS)), "noisy": [3, 4]}


def restaurants(n, draw, interaction):
    """#dishes, price, wine option, #seats, size and a column for each zip code; what they cause."""
    dishes, price, wine = draw.uniform(5, 80, n), draw.uniform(8, 60, n), draw.integers(0, 2, n)
    seats, size, code = (
        draw.uniform(10, 120, n),
        draw.uniform(40, 300, n),
        draw.integers(0, ZIPS, n),
    )
    quality = np.tanh((price - 25) / 10) + 0.5 * wine - ((dishes - 35) / 40) ** 2
    walkable = np.linspace(-1, 1, ZIPS)[code]
    noisy = np.tanh(4 * seats / size - 2)
    X = np.column_stack([dishes, price, wine, seats, size, np.eye(ZIPS)[code]])
    hidden = np.column_stack([quality, walkable, noisy]) + draw.normal(0, 0.1, (n, 3))
    y = hidden @ [2.0, 1.0, -1.5] + interaction * quality * walkable
    return X, hidden, y + draw.normal(0, 0.1, n)


def perceptron(inputs, units, seed):
    hidden = [Linear(inputs, units), Activation(Tanh()), Linear(units, units), Activation(Tanh())]
    return cr.Network([Standardize(), *hidden, Linear(units, 1)], seed=seed)


def restaurant(interaction=1.0, rows=600, units=12, members=10, epochs=40, seed=0):
    draw = np.random.default_rng(seed)
    X, causes, y = restaurants(rows, draw, interaction)
    X_test, _, y_test = restaurants(2000, draw, interaction)
    rate = cr.optim.schedules.Cosine(0.02)

    def trained(columns, target, width):
        model = perceptron(len(columns), width, seed)
        model.fit(X[:, columns], target, optimizer=cr.optim.Adam(rate), epochs=epochs,
                  members=members, seed=seed, progress=False)  # fmt: skip
        return [model.predict(each[:, columns], members="all")[..., 0] for each in (X, X_test)]

    parts = [trained(columns, causes[:, k], units // 2) for k, columns in enumerate(PARTS.values())]
    seen, unseen = (np.stack(each, axis=-1) for each in zip(*parts, strict=True))
    predefined = []
    for train, test in zip(seen, unseen, strict=True):  # popularity is linear in the sub-problems
        weights = np.linalg.lstsq(np.column_stack([train, np.ones(rows)]), y, rcond=None)[0]
        predefined.append(np.column_stack([test, np.ones(len(test))]) @ weights)
    learned = trained(list(range(X.shape[1])), y, units)[1]
    errors = [np.mean((np.array(each) - y_test) ** 2, axis=1) for each in (predefined, learned)]
    gap = errors[1] - errors[0]
    standard_error = gap.std(ddof=1) / np.sqrt(members)
    names = {1.0: "set by hand", 2.0: "learned"}
    points = [Points(np.full(members, k) + np.linspace(-0.15, 0.15, members), each, ink=ink,
                     marker=marker) for (k, each), ink, marker in
              zip(zip(names, errors, strict=True), ("class0", "class1"), ("circle", "square"),
                  strict=True)]  # fmt: skip
    return Shown(
        numbers={
            "error, sub-problems set by hand": errors[0].mean(),
            "error, learned features": errors[1].mean(),
            "standard error of the difference": standard_error,
            "difference in standard errors": gap.mean() / standard_error,
            "variance of the popularity": y_test.var(),
        },
        pictures={"restaurant": Chart(
            Panel(*points, y="squared error on new restaurants", x_names=names, x_range=(0.5, 2.5)),
            title="Learned features find what a decomposition by hand leaves out",
        )},
    )  # fmt: skip


if __name__ == "__main__":
    print(restaurant())
