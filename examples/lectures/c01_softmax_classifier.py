"""The scores of three images: which class is highest, and what the softmax loss says of them."""

import numpy as np

import chainrule as cr
from chainrule.explain import Bars, Chart, Panel, Points, Shown

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
SCORES = np.array([  # a row for each class, a column for each image
    [-3.45, -0.51, 3.42], [-8.87, 6.04, 4.64], [0.09, 5.31, 2.65], [2.9, -4.22, 5.1],
    [4.48, -4.19, 2.64], [8.02, 3.58, 5.55], [3.78, 4.49, -4.34], [1.06, -4.37, -1.5],
    [-0.36, -2.09, -4.79], [-0.72, -2.93, 6.14],
]).T  # fmt: skip
TRUE = ("cat", "automobile", "frog")


def softmax_classifier(scores=(3.2, 5.1, -1.7), true=0):
    labels = [CLASSES.index(name) for name in TRUE]
    losses = -cr.log_softmax(SCORES)[range(3), labels]
    best = SCORES.argmax(axis=1)
    s = np.array(scores)
    numbers = {f"highest score of image {k + 1}": SCORES[k, best[k]] for k in range(3)}
    numbers |= {f"highest class of image {k + 1} is {CLASSES[best[k]]}": 1 for k in range(3)}
    numbers |= {f"loss of image {k + 1}": losses[k] for k in range(3)}
    numbers["mean loss"] = losses.mean()
    numbers |= {f"exp(s{k + 1})": value for k, value in enumerate(np.exp(s))}
    numbers |= {f"p{k + 1}": value for k, value in enumerate(cr.softmax(s))}
    log_p = cr.log_softmax(s)[true]
    numbers[f"loss of class {true + 1}"] = -log_p
    numbers["with a logarithm to base 10"] = -log_p / np.log(10)

    places = np.arange(10)
    panels = [
        Panel(Bars(places, cr.softmax(SCORES[k]), ink="class0"),
              Points([labels[k]], [cr.softmax(SCORES[k])[labels[k]]], ink="class1", size=10.0,
                     marker="square", label="true class" * (k == 0)),
              title=f"{TRUE[k]}: loss {losses[k]:.2f}", y="p", y_range=(0, 1),
              x_names=dict(enumerate(CLASSES)))
        for k in range(3)
    ]  # fmt: skip
    chart = Chart(
        *panels, columns=1, size=(780.0, 180.0),
        title="The loss looks at one number only: the probability of the true class",
    )  # fmt: skip
    return Shown(numbers, {"softmax-classifier": chart})


if __name__ == "__main__":
    print(softmax_classifier())
