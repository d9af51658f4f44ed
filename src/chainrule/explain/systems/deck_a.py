"""The pages of deck A."""

from __future__ import annotations

from chainrule.explain.page import Page

GATES = {"AND": "0001", "OR": "0111", "XOR": "0110", "XNOR": "1001"}
CORNERS = ("00", "01", "10", "11")

SLOPES = {  # of the activations, at -inf and +inf
    "sign": ("0", "0"), "identity": ("1", "1"), "logistic": ("0", "0"), "tanh": ("0", "0"),
    "hard tanh": ("0", "0"), "hard sigmoid": ("0", "0"), "ReLU": ("0", "1"),
    "leaky ReLU": ("0.01", "1"), "PReLU": ("0.25", "1"), "ELU": ("0", "1"),
    "SELU": ("0", "1.0507"), "CELU": ("0", "1"), "softplus": ("0", "1"), "softsign": ("0", "0"),
    "GELU": ("0", "1"), "GELU, tanh": ("0", "1"), "SiLU": ("0", "1"), "Mish": ("0", "1"),
}  # fmt: skip

PAGES: tuple[Page, ...] = (
    Page(
        id="A1",
        name="least-squares",
        claim="House prices by the closed form and by gradient descent: the same coefficients.",
        slide="Example of house price; least square estimation",
        formula="L(β) = 1/2 Σᵢ (xᵢᵀβ − yᵢ)² / n\nβ̂ = (XᵀX)⁻¹ Xᵀy",
        expected={
            "beta0": "-23.218574", "beta1": "0.05061840", "beta2": "90.813312",
            "beta3": "46.193838", "squared error sum": "13.96985",
            "steps to 1e-6 at rate 0.1": "880 ± 1 %", "steps to 1e-6 at rate 0.778": "122 ± 1",
            "reaches 1e-6 at rate 0.82": "0", "largest rate, standardised": "0.8156",
            "largest rate, raw": "4.2e-7 ± 1 %", "condition number, raw": "13801 ± 0.5",
            "duplicate column: descent from 0 less minimum-norm": "<= 1e-9",
            "200000 x 500: greatest error in standard errors": "<= 5",
            "likeliest less least squares": "<= 1e-9",
        },
        slip="What it calls the mean squared error carries a factor 1/2.",
        experiment="rates=0.5,0.81,0.8157: the last two look alike, and only one of them arrives.",
    ),
    Page(
        id="A2",
        name="bias-variance",
        claim="Expected squared error is bias² + variance + noise, and measuring it says the same.",
        slide="Bias-variance trade-off",
        formula="E_D,ε[(y − f̂(x; D))²] = Bias_D[f̂(x; D)]² + Var_D[f̂(x; D)] + σ²",
        expected={
            "noise": "0.09",
            "variance, degree 1": "0.0090 ± 5 %", "variance, degree 2": "0.0135 ± 5 %",
            "variance, degree 3": "0.0180 ± 5 %", "variance, degree 9": "0.0450 ± 5 %",
            "bias^2, degree 1": "0.231", "bias^2, degree 2": "0.231", "bias^2, degree 3": "0.006",
            "bias^2, degree 9": "< 1e-4",
            **{f"standard errors between sum and measured, degree {d}": "<= 3"
               for d in (1, 2, 3, 9)},
            "bias^2, degree 1, with 80 points": "0.231",
            "variance, degree 1, with 80 points": "0.00225 ± 5 %",
        },
        questions={
            "Linear, quadratic, cubic: which is too stiff, which too supple?":
            "The linear and the quadratic fit miss sin(πx) by 0.231 however many sets one draws;"
            " the cubic leaves 0.006; degree 9 leaves nothing and pays with five times the"
            " variance of the linear fit."
        },
        experiment="n=80: the variance falls to a quarter; the bias² only moves with the places,"
        " to 0.205, and never below 1/2 − 3/π² = 0.196.",
    ),
    Page(
        id="A3",
        name="logistic-regression",
        claim="The logit is linear in the features, so that each feature multiplies the odds.",
        slide="Logistic regression; why sigmoid?; maximum likelihood estimation",
        formula="log p/(1 − p) = f(x) = wᵀx,  p = 1/(1 + e^−f(x))\n"
        "log-likelihood = Σ y f(x) − log(1 + e^f(x))",
        expected={
            "odds p/(1 - p) of row 1, over e^f": "1 ± 1e-9",
            "separable by all 30 features": "1", "coefficients less scikit-learn's": "<= 1e-5",
            "both forms of the loss, relative difference": "<= 1e-12",
            "finite at logits +-1e4 in float32": "1",
        },
        slip="The cross-entropy lacks its minus sign, and p/(1 − p) is called the odds ratio: it is"
        " the odds; a ratio of odds is e^w, of one unit more of a feature.",
        questions={
            "Why sigmoid?": "Because the logarithm of the odds runs over all real numbers, as a"
            " linear function does; solving it for p gives the sigmoid.",
        },
        experiment="features=30: a plane separates the classes, so the likelihood has no maximum.",
        decks="AE",
    ),
    Page(
        id="A4",
        name="softmax-regression",
        claim="Softmax over two classes is the sigmoid of the difference; over more, a straight cut"
        " between any two.",
        slide="What about multiclass classification?",
        formula="p(y = k; β) = e^f_k(x) / Σ_j e^f_j(x)\nK = 2: sigmoid(f(x) − g(x))",
        expected={
            "softmax of (f, g) less sigmoid(f - g)": "<= 1e-12",
            "probabilities less scikit-learn's": "<= 1e-5",
        },
        slip="sigmoid(g − f) should be sigmoid(f − g), and the cross-entropy lacks its minus sign.",
        experiment="C=1000: less penalty, and nearly certain probabilities.",
        decks="ABCE",
    ),
    Page(
        id="A5",
        name="softmax-temperature",
        claim="A low temperature picks one class, a high one gives all the same chance.",
        slide="Softmax with different temperature",
        formula="p(y = k; β) = e^(f_k(x)/τ) / Σ_j e^(f_j(x)/τ)",
        expected={
            "p1 at T=1": "0.598", "p2 at T=1": "0.220", "p3 at T=1": "0.0895",
            "p4 at T=1": "0.0810", "p5 at T=1": "0.0110",
            "entropy at T=0.5": "0.529", "entropy at T=1": "1.109", "entropy at T=2": "1.439",
            "entropy at T=10": "1.601",
            "finite in float32 at T=0.01": "1", "naive form finite in float32 at T=0.01": "0",
            "finite in float64 at T=0.001": "1", "naive form finite in float64 at T=0.001": "0",
        },
        slip="Its program draws with plt, which it never imports.",
        questions={
            "Why we need to minus max?":
            "A common shift cancels in the quotient, and the largest exponent becomes 0: exp no"
            " longer overflows. Without it 2/0.01 = 200 is too much for float32, and 2/0.001 for"
            " float64."
        },
        experiment="T=0.05: the first class takes all, and the entropy is gone.",
    ),
    Page(
        id="A6",
        name="feature-expansion",
        claim="Products of features let a linear model draw a circle.",
        slide="Classification example: use non-linear terms",
        formula="(x₁, x₂) → (x₁², x₂², x₁x₂, x₁, x₂)\n(xᵀz + 1)² = φ(x)ᵀφ(z)",
        expected={
            "accuracy, linear": "<= 0.6", "accuracy, expanded": ">= 0.98",
            "kernel less inner products, relative": "<= 1e-12",
            "bags of words are separable": "1",
        },
        questions={
            "Can we automatically learn the best feature for each task?":
            "Yes: that is what hidden layers do; see what those of decision-boundary (A8) learn."
        },
        experiment="factor=0.9: the circles touch, and no feature map can tell them apart.",
        decks="AB",
    ),
    Page(
        id="A7",
        name="boolean-gates",
        claim="One unit computes AND or OR; XOR needs a unit that reads both.",
        slide="Boolean operations",
        formula="AND: fires where w₁x₁ + w₂x₂ ≥ θ, with w₁ = w₂ = 1, θ = 2\nXOR = OR and not AND",
        expected={
            **{f"{gate} of {corner}": bit
               for gate, bits in GATES.items() for corner, bit in zip(CORNERS, bits, strict=True)},
            "best single unit on AND": "1", "best single unit on OR": "1",
            "best single unit on XOR": "0.75", "best single unit on XNOR": "0.75",
            "sum of the inequalities, w1": "0", "sum of the inequalities, w2": "0",
            "sum of the inequalities, theta": "0",
        },
        slip="“θ negative” leaves θ = 0 unargued; adding the four inequalities covers both: with"
        " multipliers (1, 1, 1, 1) they say 0 > 0.",
        questions={
            "Can one unit compute XOR?":
            "No: 0 < θ, w₁ ≥ θ, w₂ ≥ θ and w₁ + w₂ < θ add up to 0 < 0. The best it can do is"
            " three corners of four."
        },
        experiment="theta=1: the unit of AND becomes OR. Which weights and theta make NAND?",
        decks="AB",
    ),
    Page(
        id="A8",
        name="decision-boundary",
        claim="A 2-10-10-1 network bends its boundary around two moons that no line separates.",
        slide="Decision boundary; decision boundary with uncertainty; what does this layer learn?",
        formula="x^(l) = σ(s^(l)),  s^(l) = W^(l)ᵀ x^(l−1)",
        expected={
            "parameters": "151", "training points": "500", "test points": "1000",
            "training accuracy": "1", "test accuracy": ">= 0.99",
            "last hidden outputs are separable": "1", "inputs are separable": "0",
            "spread of the logit, far over near": ">= 3",
        },
        questions={
            "What does this layer learn?":
            "Units of the first layer are half planes; those of the second combine them to bends."
            " Their outputs are new features in which a plane separates the moons.",
            "How sure is it?": "Members agree near the data and part far from it, so look at the"
            " spread of the logit: where they agree, that of the probability vanishes, however"
            " far away that is.",
        },
        experiment="noise=0.3: the moons overlap, and no network can be right everywhere.",
    ),
    Page(
        id="A9",
        name="activations",
        claim="Saturating activations lose their derivative on both sides, the others keep one.",
        slide="Non-linearities: old school, saturating; new school, non-saturating",
        formula="x = σ(s);  saturating: σ'(s) → 0 at +∞ and at −∞",
        expected={
            **{f"{name}: f' at {side}": slope for name, slopes in SLOPES.items()
               for side, slope in zip(("-inf", "+inf"), slopes, strict=True)},
            **{f"{name}: error of f'": "<= 1e-7" for name in SLOPES},
            "saturating": "6",
        },
        experiment="far=5: how far out does the derivative of each still help?",
        decks="AB",
    ),
    Page(
        id="A10",
        name="chain-rule",
        claim="The chain rule as symbols and as numbers; where paths meet again, they add up.",
        slide="Backpropagation: chain rule example",
        formula="y = w₂ e^(w₁x):  ∂y/∂w₂ = e^(w₁x),  ∂y/∂w₁ = w₂ e^(w₁x) x\n"
        "f = xyz with x = r, y = rs, z = s:  df/du = ∂f/∂r dr/du + ∂f/∂s ds/du",
        expected={
            "dy/dw1 - w2 x exp(w1 x)": "<= 1e-12", "dy/dw2 - exp(w1 x)": "<= 1e-12",
            "d sin(x^2)/dx - 2 x cos(x^2)": "<= 1e-12",
            "f": "36", "df/dr": "36", "df/ds": "24", "df/dr - 2 r s^2": "0",
            "df/ds - 2 r^2 s": "0", "df/du": "144", "df/dr dr/du + df/ds ds/du": "144",
        },
        questions={
            "Evaluate the parameter derivatives ∂y/∂w₁, ∂y/∂w₂.":
            "∂y/∂w₂ = e^(w₁x) and ∂y/∂w₁ = w₂ e^(w₁x) x; see the numbers above."
        },
        experiment="r=0: one derivative vanishes, and the other too. Why?",
        decks="AD",
    ),
    Page(
        id="A11",
        name="layer-backward",
        claim="Layer by layer, by hand or by the graph: every derivative is the same.",
        slide="Recapitulation: class Network, class Linear, backward",
        formula="gradient_w = inputᵀ error\ninput_error = error Wᵀ",
        expected={
            f"{layer}.{name}: {how} less graph": "<= 1e-12"
            for layer in ("input", "middle", "output") for name in "Wb"
            for how in ("layer", "by hand")
        },
        slip="Linear.backward forgets the bias: its derivative is the sum of the errors over rows.",
        experiment="rows=2: few rows, and still the same derivatives.",
        decks="ADE",
    ),
    Page(
        id="A12",
        name="symbol-to-symbol",
        claim="The derivative of f(f(f(w))) is a graph again; storing values saves computing f.",
        slide="Figure 6.10: the symbol-to-symbol approach to computing derivatives",
        formula="∂z/∂w = f'(y) f'(x) f'(w) = f'(f(f(w))) f'(f(w)) f'(w)",
        expected={
            "f computed for dz/dw, chain of 3, stored": "2",
            "f computed for dz/dw, chain of 3, recomputed": "3",
            "f computed for dz/dw, chain of 10, stored": "9",
            "f computed for dz/dw, chain of 10, recomputed": "45",
            **{f"error of derivative {k}": "<= 1e-6" for k in (1, 2, 3)},
        },
        experiment="long=20: what is stored grows by 10, what is computed anew by 145.",
    ),
    Page(
        id="A13",
        name="vanishing-gradients",
        claim="Saturating layers lose the gradient on the way back, large weights blow it up.",
        slide="Vanishing gradients; ReLU",
        formula="∂L/∂W^(l) = ⋯ ∂x^(L)/∂s^(L) ⋯ ∂x^(l+1)/∂s^(l+1) ⋯ ∂x^(l)/∂s^(l) ∂s^(l)/∂W^(l)",
        expected={
            "sigmoid + Glorot: gradient, first layer over last": "< 1e-3",
            "tanh + Glorot: gradient, first layer over last": "> 0.3",
            "ReLU + He: gradient, first layer over last": "> 0.05",
            "ReLU + N(0, 1): outputs, last layer over first": "> 1000",
            "dead units, leaky ReLU less ReLU": "< 0",
            "dead units, batch norm less ReLU": "< 0",
            "dead units, smaller rate less ReLU": "< 0",
        },
        questions={
            "How to avoid value all be negative?":
            "Give the unit a slope there (leaky ReLU), shift its inputs back around 0 (batch norm),"
            " or do not throw it so far (a smaller rate): each leaves fewer dead units."
        },
        experiment="depth=16: the sigmoid's gradient is gone long before the first layer.",
        decks="AD",
    ),
    Page(
        id="A14",
        name="batch-norm",
        claim="Batch norm keeps signals in range, so that even eight layers of sigmoids learn.",
        slide="Batch normalization; BatchNorm can stabilize training and smooths the landscape",
        formula="x̂ᵢ = (xᵢ − μ_B) / √(σ²_B + ε),  yᵢ = γ x̂ᵢ + β\n"
        "μ_B = 1/m Σ xᵢ,  σ²_B = 1/m Σ (xᵢ − μ_B)²",
        expected={
            "mean in training": "<= 1e-12",
            "variance in training, divided by m, less 1": "<= 1e-9",
            "evaluation less running averages": "<= 1e-9", "training less evaluation": "> 1",
            "training less evaluation after one exact pass": "<= 1e-9",
            "accuracy without, median of 10": "<= 0.6", "accuracy with, median of 10": ">= 0.95",
            "measured beta of a quadratic, over its curvature": "1 ± 1 %",
        },
        slip="Deck D explains batch norm by “internal covariate shift”, deck A shows Santurkar et"
        " al., who argue against it: the landscape is what changes.",
        questions={
            "Does batch norm smooth this landscape?":
            "Not in this net: without it the gradient has vanished, and what is flat is smooth."
            " With it there is something to follow. Use smoothness() on a net that learns without."
        },
        experiment="rate=0.05: smaller steps, and the range of the loss ahead narrows.",
        decks="AD",
    ),
    Page(
        id="A15",
        name="linear-collapse",
        claim="Layers without a non-linearity are one linear map: the product of their matrices.",
        slide="The non-linearities are essential",
        formula="y = W_L ⋯ W₂ W₁ x = W x",
        expected={"largest difference": "<= 1e-12", "rank of the product": "2"},
        questions={
            "What does depth buy without non-linearities?":
            "Nothing: a product of matrices is a matrix, of no higher rank than the narrowest."
        },
        experiment="width=1: the product has rank 1, and the plane falls onto a line.",
    ),
)  # fmt: skip
