"""The pages of deck E."""

from __future__ import annotations

from chainrule.explain.page import Page

GRADIENTS = ("dz2", "dW2", "db2", "dz1", "dW1", "db1")

PAGES: tuple[Page, ...] = (
    Page(
        id="E1",
        name="logistic-graph",
        claim="The long chain through log and sigmoid collapses to a − y, for one row or many.",
        slide="The computation graph of logistic regression; backward propagation: summary",
        formula="dz = a − y,  dw = (a − y) x,  db = a − y\n"
        "Z = wᵀX + b,  A = σ(Z),  dZ = A − Y,  dw = (1/n) X dZᵀ,  db = (1/n) Σ dz^(i)",
        expected={"dz": "-0.4501660", "dw1": "-0.9003320", "dw2": "-0.4501660",
                  "one example, by hand against graph": "<= 1e-12",
                  "vectorised against loop": "<= 1e-12", "vectorised against graph": "<= 1e-12"},
        questions={
            "∂L/∂z?": "(−y/a + (1 − y)/(1 − a)) · a (1 − a) = a − y: the sigmoid's own derivative"
            " cancels both denominators."
        },
        experiment="y=0 turns the sign of every gradient.",
    ),
    Page(
        id="E2",
        name="two-layer-backward",
        claim="Six gradients of a two-layer network, by the summary slide and by the graph.",
        slide="Computation graph of a 2-layer neural network; backward propagation: summary",
        formula="dz2 = a2 − y,  dW2 = dz2 a1ᵀ,  db2 = dz2\n"
        "dz1 = W2ᵀ dz2 * a1 (1 − a1),  dW1 = dz1 xᵀ,  db1 = dz1\n"
        "as stored, W (in × out): dW2 = a1 dz2ᵀ,  dz1 = W2 dz2 * a1 (1 − a1),  dW1 = x dz1ᵀ",
        expected={f"{name}, by hand against graph": "<= 1e-12" for name in GRADIENTS}
        | {"layer by layer, (in x out) is the transpose": "<= 1e-12"},
        slip="The deck's ∂L/∂W = A (∂L/∂Z)ᵀ is that of W stored (in x out) and contradicts its own"
        " z = W a + b, whose derivative is the transpose, dz aᵀ; and dz2 w2ᵀ holds for one output"
        " only, where W2ᵀ dz2 holds for any number.",
        questions={
            "In order to find the gradient with respect to the weights of the other layers?": "We"
            " need ∂L/∂Z of each layer, and dz1 = W2ᵀ dz2 * g'(z1) passes it on."
        },
        experiment="outputs=3: the slide's dz2 w2ᵀ no longer has a meaning, W2ᵀ dz2 has.",
    ),
    Page(
        id="E3",
        name="accumulate",
        claim="Gradients start at nothing and are added to, inside the graph and between calls.",
        slide="Backpropagation (layerwise): init 0, then +=",
        formula="init: ∂J/∂x = 0, ∂J/∂w = 0;  ∂J/∂x += ∂J/∂y ∂y/∂x,  ∂J/∂w += ∂J/∂y ∂y/∂w",
        expected={"gradient at first": "0", "dJ/dw after one backward": "36",
                  "dJ/dx after one backward": "24", "dJ/dw after two": "72",
                  "dJ/dx after two": "48", "dJ/dw, cleared before": "36",
                  "dJ/dx, not cleared": "72", "J and y, less (J + y)": "0"},
        questions={
            "Why += and not =?": "A value that is read twice receives two gradients (y in J = y y)"
            " and a parameter that stands in two losses does so as well."
        },
        experiment="x=-3: which of the numbers keep their sign, and why?",
    ),
    Page(
        id="E4",
        name="coordinate-descent",
        claim="Picking one dimension at a time and stepping along it arrives too.",
        slide="Gradient descent: pick a dimension, move a small amount in that dimension",
        formula="θ_j ← θ_j − η d/dθ_j Loss(θ)",
        expected={"sweeps to 1e-6": "<= 60", "error after all sweeps": "<= 1e-6"},
        questions={
            "How small is “a small amount”?": "On standardised columns the curvature along every"
            " coordinate is 1, so that the rate 1 goes to the lowest point of each line exactly."
        },
        experiment="rate=2: each step lands as high as it started, and nothing is gained.",
    ),
    Page(
        id="E5",
        name="convexity",
        claim="One segment shows that something is not convex; a Hessian can show that it is.",
        slide="Aside: convex sets and functions",
        formula="θ x + (1 − θ) y ∈ C;  f(θ x + (1 − θ) y) ≤ θ f(x) + (1 − θ) f(y)",
        expected={"ring: ends inside": "1", "ring: middle inside": "0",
                  "(x² - 1)² at -1": "0", "(x² - 1)² at 0": "1", "(x² - 1)² at 1": "0",
                  "(tanh w - 1)²: mean of -6 and 0": "2.49998",
                  "(tanh w - 1)²: at -3": "3.98025 ± 1e-5",
                  "logistic: largest |Hessian − X'SX|": "<= 1e-12",
                  "logistic: least eigenvalue of X'SX": ">= 0",
                  "disc: counter-example found": "0", "ring: counter-example found": "1",
                  "least squares: certificate": "1",
                  "least squares: counter-example found": "0",
                  "(tanh w - 1)²: counter-example found": "1",
                  "(x² - 1)²: counter-example found": "1"},
        questions={
            "Is the composition of convex functions convex?": "Not by itself: u² and x² − 1 are,"
            " and (x² − 1)² is 0, 1, 0 at −1, 0, 1.",
            "Is the loss of a network convex?": "(tanh w − 1)² is that of one unit on one example:"
            " at −3 it is 3.98, above the 2.50 of the chord from −6 to 0.",
        },
        experiment="seed=1 draws other segments; the certificates do not change.",
        decks="BE",
    ),
)  # fmt: skip
