"""The pages of deck C."""

from __future__ import annotations

from chainrule.explain.page import Page

NEURON_FORWARD = {"w0 x0": "-2", "w1 x1": "6", "w0 x0 + w1 x1": "4", "z": "1", "-z": "-1",
                  "exp(-z)": "0.37", "1 + exp(-z)": "1.37", "f": "0.73"}  # fmt: skip
NEURON_BACKWARD = {"df/df": "1", "df/d(1 + exp(-z))": "-0.53", "df/dexp(-z)": "-0.53",
                   "df/d(-z)": "-0.20", "df/dz": "0.20"}  # fmt: skip
NEURON_LEAVES = {"df/dw0": "-0.20", "df/dx0": "0.39", "df/dw1": "-0.39", "df/dx1": "-0.59",
                 "df/dw2": "0.20", "largest difference of the two forms": "<= 1e-12"}  # fmt: skip

PAGES: tuple[Page, ...] = (
    Page(
        id="C1",
        name="softmax-classifier",
        claim="The softmax loss looks at one number only: the probability of the true class.",
        slide="Recap: loss function; softmax classifier (multinomial logistic regression)",
        formula="L_i = −log(e^(s_{y_i}) / Σ_j e^(s_j)),  s = f(x_i; W) = W x_i + b",
        expected={
            "highest score of image 1": "8.02", "highest class of image 1 is dog": "1",
            "highest score of image 2": "6.04", "highest class of image 2 is automobile": "1",
            "highest score of image 3": "6.14", "highest class of image 3 is truck": "1",
            "loss of image 1": "5.170", "loss of image 2": "0.577", "loss of image 3": "11.294",
            "mean loss": "5.681", "exp(s1)": "24.5", "exp(s2)": "164.0", "exp(s3)": "0.18",
            "p1": "0.13", "p2": "0.87", "p3": "0.00", "loss of class 1": "2.0404",
            "with a logarithm to base 10": "0.89",
        },
        slip="Its loss 0.89 is a logarithm to base 10; the natural one gives 2.0404.",
        questions={
            "Define a loss function that quantifies our unhappiness with the scores.":
            "The mean of −log p of the true classes: 5.681 here, mostly for the frog, whose"
            " probability is 0.00001.",
            "Come up with a way of finding the parameters that minimize the loss.":
            "Gradient descent: see gradient-descent (C2).",
        },
        experiment="scores=3.2,5.1,-1.7 true=1: the loss of the class that already wins.",
    ),
    Page(
        id="C3",
        name="circuit",
        claim="Values go forwards through the circuit, derivatives come back.",
        slide="Back-propagation: computational graph",
        formula="f(x, y, z) = (x + y) z\n∂f/∂y = ∂f/∂q · ∂q/∂y",
        expected={"q": "3", "f": "-12", "df/dx": "-4", "df/dy": "-4", "df/dz": "3", "df/dq": "-4"},
        questions={
            "Want: ∂f/∂x, ∂f/∂y, ∂f/∂z": "−4, −4 and 3: the addition hands on ∂f/∂q = z = −4 to"
            " both of its inputs, and ∂f/∂z = q = 3."
        },
        experiment="z=4 turns the sign of two gradients: which, and why not the third?",
        decks="CE",
    ),
    Page(
        id="C4",
        name="sigmoid-neuron",
        claim="One neuron, as a chain of single gates or as one sigmoid gate: the same gradients.",
        slide="Another example: f(w, x) = 1 / (1 + e^−(w0 x0 + w1 x1 + w2))",
        formula="f(w, x) = 1 / (1 + e^−(w0 x0 + w1 x1 + w2))\ndσ(x)/dx = (1 − σ(x)) σ(x)",
        expected={**NEURON_FORWARD, **NEURON_BACKWARD, **NEURON_LEAVES},
        experiment="w2=20 saturates the neuron: every gradient all but vanishes.",
    ),
    Page(
        id="C5",
        name="gate-patterns",
        claim="Add distributes the gradient, max routes it, mul switches the factors.",
        slide="Patterns in backward flow",
        formula="f = 2 (x y + max(z, w))",
        expected={"f": "-20", "df/dx": "-8", "df/dy": "6", "df/dz": "2", "df/dw": "0",
                  "first share": "3", "second share": "3", "d(x x)/dx": "6"},
        questions={
            "mul gate: gradient... “switcher”?": "Each factor receives the other one's value"
            " times the gradient that arrives: of x y at 3 and −4, x gets −4 and y gets 3 times 2."
        },
        experiment="w=3 lets w win the maximum: the gradient of 2 changes sides.",
    ),
)  # fmt: skip
