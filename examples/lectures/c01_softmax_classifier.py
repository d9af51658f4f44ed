"""The scores of three images: which class is highest, and what the softmax loss says of them."""

import numpy as np

import chainrule as cr
from chainrule.explain import Chart, Shown, class_bars

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
SCORES = np.array([  # a row for each image, a column for each class
    [-3.45, -8.87, 0.09, 2.9, 4.48, 8.02, 3.78, 1.06, -0.36, -0.72],
    [-0.51, 6.04, 5.31, -4.22, -4.19, 3.58, 4.49, -4.37, -2.09, -2.93],
    [3.42, 4.64, 2.65, 5.1, 2.64, 5.55, -4.34, -1.5, -4.79, 6.14],
])  # fmt: skip
TRUE = ("cat", "automobile", "frog")


def softmax_classifier(scores=(3.2, 5.1, -1.7), true=0):
    numbers, panels, losses = {}, [], []
    for k, (s, name) in enumerate(zip(SCORES, TRUE, strict=True), 1):
        place, best = CLASSES.index(name), s.argmax()
        losses.append(-cr.log_softmax(s)[place])
        numbers[f"highest score of image {k}"] = s[best]
        numbers[f"highest class of image {k} is {CLASSES[best]}"] = 1
        numbers[f"loss of image {k}"] = losses[-1]
        panels.append(class_bars(cr.softmax(s), CLASSES, place, label="true class" * (k == 1),
                                 title=f"{name}: loss {losses[-1]:.2f}"))  # fmt: skip
    numbers["mean loss"] = np.mean(losses)
    s = np.array(scores)
    numbers |= {f"exp(s{k})": value for k, value in enumerate(np.exp(s), 1)}
    numbers |= {f"p{k}": value for k, value in enumerate(cr.softmax(s), 1)}
    numbers[f"loss of class {true + 1}"] = loss = -cr.log_softmax(s)[range(len(s)).index(true)]
    numbers["with a logarithm to base 10"] = loss / np.log(10)
    title = "The loss looks at one number only: the probability of the true class"
    chart = Chart(*panels, columns=1, size=(780.0, 180.0), title=title)
    return Shown(numbers, {"softmax-classifier": chart})


if __name__ == "__main__":
    print(softmax_classifier())
