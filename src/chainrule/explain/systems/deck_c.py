"""The pages of deck C."""

from __future__ import annotations

from chainrule.explain.page import Page

NEURON_FORWARD = {"w0 x0": "-2", "w1 x1": "6", "w0 x0 + w1 x1": "4", "z": "1", "-z": "-1",
                  "exp(-z)": "0.37", "1 + exp(-z)": "1.37", "f": "0.73"}  # fmt: skip
NEURON_BACKWARD = {"df/df": "1", "df/d(1 + exp(-z))": "-0.53", "df/dexp(-z)": "-0.53",
                   "df/d(-z)": "-0.20", "df/dz": "0.20"}  # fmt: skip
NEURON_LEAVES = {"df/dw0": "-0.20", "df/dx0": "0.39", "df/dw1": "-0.39", "df/dx1": "-0.59",
                 "df/dw2": "0.20", "largest difference of the two forms": "<= 1e-12"}  # fmt: skip

ENDS_OF_PYTORCH = {  # version 2.13, float64: where each rule stands after 100 steps
    "SGD on bowl": ("-3.055553964501726e-10", "2.037035976334486e-10"),
    "Momentum on bowl": ("0.004277116681773983", "-0.0028514111211826528"),
    "Nesterov on bowl": ("9.134281849949369e-08", "-6.089521233299584e-08"),
    "Adagrad on bowl": ("-0.21781629353906057", "0.027386881823377573"),
    "RMSProp on bowl": ("3.806221484483091e-89", "-4.306811048610431e-74"),
    "Adam on bowl": ("-0.00659748276201584", "0.00293667568110255"),
    "AdamW on bowl": ("-0.00599851613165713", "0.0030129298373098934"),
    "SGD on ravine": ("-0.08559451426573034", "4.978412222288915e-61"),
    "Momentum on ravine": ("0.004456239328975002", "-0.0013517982658751422"),
    "Nesterov on ravine": ("0.0014885813118980541", "2.4735485014797223e-33"),
    "Adagrad on ravine": ("-0.4063295330653984", "0.004514316999988469"),
    "RMSProp on ravine": ("-1.5064529926590605e-46", "4.0087627437720067e-29"),
    "Adam on ravine": ("-0.001654111512433811", "-0.0019140636424690182"),
    "AdamW on ravine": ("-0.0022563513990126686", "-0.002004828606305803"),
    "SGD on Rosenbrock": ("-0.9925514916828945", "0.9931633916557654"),
    "Momentum on Rosenbrock": ("-0.23030236910904892", "0.05767022813583077"),
    "Nesterov on Rosenbrock": ("-0.5073452342878003", "0.2645318450727466"),
    "Adagrad on Rosenbrock": ("-1.0402151015974557", "1.08833894537707"),
    "RMSProp on Rosenbrock": ("-0.8221470598173649", "0.6828491241533156"),
    "Adam on Rosenbrock": ("-0.907633009069284", "0.8290034093531102"),
    "AdamW on Rosenbrock": ("-0.8713048127606969", "0.7652576850704679"),
    "SGD on saddle": ("-0.025305479038274476", "0.5050494818426942"),
    "Momentum on saddle": ("-0.005043935544596187", "53655.806305120735"),
    "Nesterov on saddle": ("-0.0008693687255652614", "224845.86354286922"),
    "Adagrad on saddle": ("-0.6974839264554008", "1.3642841800078958"),
    "RMSProp on saddle": ("-1.2500068837668933e-16", "14.44142784091796"),
    "Adam on saddle": ("-0.009672281276025799", "6.876485108833354"),
    "AdamW on saddle": ("-0.009309128735907099", "6.71390939817669"),
}  # fmt: skip

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
        id="C2",
        name="gradient-descent",
        claim="Small batches are quick and noisy, and a falling rate takes the noise away.",
        slide="Optimization: gradient descent, mini-batches, the effects of step size",
        formula="df(x)/dx = lim_{h→0} (f(x + h) − f(x)) / h\nweights += −step_size · weights_grad",
        expected={
            "numerical less analytic gradient, relative": "<= 1e-7",
            **{f"B times variance of a batch of {B}, over that of a row": "1 ± 5 %"
               for B in (1, 4, 16, 64, 256)},
            "constant over decaying": ">= 10",
        },
        questions={
            "while True: when to stop?": "When the gradient is small, when the loss stops falling,"
            " when the steps are used up, or, best, when the loss on held-out rows rises (D2).",
        },
        experiment="noise=0: without noise in the targets a constant rate arrives, too.",
        decks="ACDE",
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
    Page(
        id="C6",
        name="optimizers",
        claim="Momentum swings through a ravine, rules that scale the gradient cut across it.",
        slide="Mini-batch gradient descent: more fancy update formulas",
        formula="momentum: v ← ρ v + ∇f,  w ← w − η v\n"
        "Adam: w ← w − η m̂ / (√v̂ + ε)",
        expected={
            **{f"{path}: {coordinate} after 100 steps": f"{end} ± 1e-9"
               for path, ends in ENDS_OF_PYTORCH.items()
               for coordinate, end in zip("xy", ends, strict=True)},
            "y of SGD that starts on the ridge of the saddle": "0",
        },
        questions={
            "There are also more fancy update formulas (momentum, Adagrad, RMSProp, Adam, ...)":
            "All of them, step by step as PyTorch takes them: the ends of 100 steps agree to 1e-9."
        },
        experiment="steps=1000: who finds the end of Rosenbrock's valley?",
        decks="BC",
    ),
)  # fmt: skip
