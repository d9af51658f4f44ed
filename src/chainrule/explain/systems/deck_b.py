"""The pages of deck B."""

from __future__ import annotations

from chainrule.explain.page import Page

LIMITS = {"x²": "< 1e-6", "sin πx": "< 1e-6", "|x|": "< 3e-4", "step": "< 1e-4"}
XNOR = {
    **{"h1 of 00": "0", "h2 of 00": "1", "h1 of 01": "0", "h2 of 01": "0"},
    **{"h1 of 10": "0", "h2 of 10": "0", "h1 of 11": "1", "h2 of 11": "0"},
    **{"output of 00": "1", "output of 01": "0", "output of 10": "0", "output of 11": "1"},
    **{"inputs separable": "0", "hidden inputs separable": "0", "hidden outputs separable": "1"},
}
LEVEL = {
    "x² + y²: least eigenvalue": "2", "x² + y²: greatest eigenvalue": "2",
    "x² − y²: least eigenvalue": "-2", "x² − y²: greatest eigenvalue": "2",
    "x³ − 3xy²: least eigenvalue": "0", "x³ − 3xy²: greatest eigenvalue": "0",
    "x³ − 3xy²: rises around it": "3", "x³ − 3xy²: falls around it": "3",
}  # fmt: skip

PAGES: tuple[Page, ...] = (
    Page(
        id="B1",
        name="restaurant",
        claim="Features that a network learns do as well as sub-problems set by hand, or better.",
        slide="Decomposing the problem into predefined subproblems; learned intermediate features",
        formula="w1 · food quality + w2 · walkable + w3 · noisy\n"
        "h(x) = [h_1(x), ..., h_K(x)],  f(x) = wᵀ h(x)",
        expected={"difference in standard errors": "<= 2"},
        questions={
            "How should we parametrize the h_i's? Can they be linear?": "They cannot: a linear"
            " combination of linear features is linear again (A15), and the popularity is not."
        },
        experiment="interaction=0: now the popularity is exactly linear in the three sub-problems,"
        " which also had their own labels to learn from, and the hand-made model wins.",
    ),
    Page(
        id="B2",
        name="xnor",
        claim="Two hidden units recode two pixels, and then a line tells equal from unequal.",
        slide="Multilayer perceptron: recode the input",
        formula="fire when i1 = i2:  h1 = [i1 + i2 ≥ 2],  h2 = [−i1 − i2 ≥ 0],  o = [h1 + h2 ≥ 1]",
        expected=XNOR,
        questions={
            "Can we build a perceptron that fires when the two pixels have the same value?": "Not"
            " one alone: 0 ≥ θ, w1 + w2 ≥ θ, w1 < θ and w2 < θ add up to 0 < 0, whatever the sign"
            " of θ (A7). With two hidden units one can."
        },
        experiment="theta1=1 lets the first unit fire for one pixel too, and the line is gone.",
    ),
    Page(
        id="B3",
        name="function-approximation",
        claim="Three hidden units fit x², sin, |x| and a step, each in its own way.",
        slide="Approximation ability: f(x) = x², sin(x), |x|",
        formula="f(x) = Σ_k w_k h_k(x) = Σ_k w_k σ(v_kᵀ x)\ntanh z = 2 σ(2z) − 1",
        expected={f"error of {name}, {unit}": limit for unit in ("tanh", "logistic")
                  for name, limit in LIMITS.items()}
        | {f"tanh as logistic, {name}": "<= 1e-12" for name in LIMITS},
        slip="Two of the three slides say “logistic activation function” where Bishop's figure 5.3"
        " has tanh units in all panels; since tanh z = 2 σ(2z) − 1 both say the same.",
        experiment="hidden=1: which of the four can one unit do?",
    ),
    Page(
        id="B4",
        name="ten-parameters",
        claim="Ten parameters, and where a search ends depends on where it starts.",
        slide="Fitting the parameters of an MLP; how do we learn these parameters?",
        formula="f(x) = w0 + Σ_i w_i tanh(v_i x + b_i),  θ ∈ R^10\n"
        "θ̂ = argmin (1/n) Σ (f(x_i; θ) − y_i)²",
        expected={"parameters": "10", "symmetric copies": "48",
                  "spread of the loss over the copies": "<= 1e-9", "different minima": ">= 2",
                  "greatest loss of a minimum / least": "> 1.1"},
        questions={
            "What are the parameters we need to fit?": "b1, b2, b3, v1, v2, v3, w0, w1, w2, w3.",
            "Is f differentiable w.r.t. θ?": "Yes: a sum of products of tanh, which is smooth.",
            "Is the loss convex in θ?": "No: 48 parameters give the same function, by renaming"
            " units and flipping signs, and the middle between two of them is worse than both; and"
            " beside them there are minima of other losses. See E5 for a certificate.",
        },
        experiment="target=sin, target=square: how many different minima do these have?",
    ),
    Page(
        id="B5",
        name="mlp",
        claim="L hidden layers of m units and an affine layer: one function, three ways.",
        slide="Multilayer perceptron (MLP): formal definition",
        formula="h^(j)(o^(j−1)) = σ(W^(j) o^(j−1) + b^(j)),  a(o^(L)) = W^(L+1) o^(L) + b^(L+1)\n"
        "z = [W b] [x; 1];  as stored, W^(j) (in × out): z = W^(j)ᵀ o^(j−1) + b^(j)",
        expected={"parameters": "151", "m d + m + (L - 1)(m² + m) + k m + k": "151",
                  "parameters of ten-parameters": "10", "class against graph": "<= 1e-12",
                  "bordered against W x + b": "<= 1e-12", "linear goes with squared_error": "1",
                  "sigmoid goes with binary_cross_entropy": "1",
                  "softmax goes with cross_entropy": "1"},
        slip="“f_i's are outputs of the last hidden layer” means the affine layer behind it.",
        questions={
            "The last layer gives us a score. How do we perform classification?": "Through the"
            " softmax: its outputs are probabilities, and the cross-entropy is their loss."
        },
        experiment="d=1 m=3 L=1: the network of B4, with its ten parameters.",
        decks="ABE",
    ),
    Page(
        id="B6",
        name="computation-graph",
        claim="Least squares and ridge as graphs: every node computed once, every path counted.",
        slide="Functions as nodes in a graph; example: linear least squares; ridge regression",
        formula="ŷ = Σ_j w_j x_j + b,  r = y − ŷ,  ℓ = r²,  J = ℓ + λ wᵀw\n"
        "∂ℓ/∂w_j = −2 r x_j,  ∂ℓ/∂b = −2 r",
        expected={"ŷ": "0.5", "r": "2.5", "ℓ": "6.25", "dℓ/dw1": "-10", "dℓ/dw2": "-5",
                  "dℓ/db": "-5", "dJ/dw1": "-9.8", "dJ/dw2": "-5.4", "dJ/db": "-5",
                  "dℓ/dw1 + 2 r x1": "0", "dℓ/dw2 + 2 r x2": "0", "dℓ/db + 2 r": "0",
                  "dJ/dw1 - dℓ/dw1 - 2 λ w1": "0", "dJ/dw2 - dℓ/dw2 - 2 λ w2": "0",
                  "largest |∂b/∂a − M|": "0", "computed with results kept": "18"},
        slip="c ∈ R should be c ∈ R^n: b = Ma + c has as many components as M has rows.",
        questions={
            "If a_j ← a_j + δ, what is b_i?": "b_i + M_ij δ: the sensitivity ∂b_i/∂a_j is M_ij.",
            "How do we minimize computation?": "Each node keeps its result: J needs 18 nodes once"
            " each; without keeping them, 33 computations.",
        },
        experiment="ridge=10: the regularisation outweighs the data; see dJ/dw2 change its sign.",
        decks="BCE",
    ),
    Page(
        id="B7",
        name="non-convex",
        claim="The Hessian tells a saddle from a minimum, and says nothing where it is zero.",
        slide="Non-convex optimization: challenges",
        formula="∇f = 0 and the eigenvalues of ∇²f: all > 0 minimum, of both signs saddle,"
        " some 0 inconclusive\nx ← x − η clip(∇f)",
        expected={**LEVEL, "x⁴, step 1": "-30", "x⁴, step 2": "1050", "x⁴, step 3": "-46303950",
                  "steps until it overflows": "<= 8", "clipped, at the end": "< 0.2"},
        questions={
            "What if we converge to a bad local minimum?": "Start again elsewhere: B4 does it 64"
            " times at once."
        },
        experiment="rate=0.001: is clipping still needed from 10?",
    ),
    Page(
        id="B8",
        name="universal-approximation",
        claim="The wider one hidden layer, the closer it comes to a continuous function.",
        slide="Theorem (universal approximation theorem); deep neural networks",
        formula="F̂(x) = Σ_i w_i σ(v_iᵀ x + b_i),  |F̂(x) − F(x)| < ε for all x",
        expected={"greatest rise to the next width": "<= 1.1", "greatest error, width 64": "< 0.01",
                  "greatest error, width 1": "> 0.5"},
        slip="“For all x” is missing from the theorem; that the width is exponential in d is the"
        " worst case, and here d = 1.",
        questions={
            "Wider or deeper?": "At about 52 parameters both are shown; which is closer depends on"
            " the function and on what the search finds. The theorem only speaks of width."
        },
        experiment="restarts=1: the curve is no longer monotone, for the theorem does not say how"
        " to find the parameters.",
        decks="AB",
    ),
)  # fmt: skip
