"""The pages of deck D."""

from __future__ import annotations

from chainrule.explain.page import Page

DELTAS = ("δ¹", "δ²", "dL/dW¹", "dL/dW²", "dL/db¹", "dL/db²")
INITIALIZERS = (
    "uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
    "lecun_uniform", "lecun_normal", "orthogonal",
)  # fmt: skip

PAGES: tuple[Page, ...] = (
    Page(
        id="D1",
        name="delta-rule",
        claim="One backward sweep of deltas gives every derivative, and the graph gives the same.",
        slide="Back propagation: δ of the output layer, δ of the layers before, outer products",
        formula="δ^L = ∇_a L ⊙ g'(z^L) = (a^L − y) ⊙ σ(z^L) ⊙ (1 − σ(z^L))\n"
        "δ^(l−1) = (W^l)ᵀ δ^l ⊙ g'(z^(l−1)),  ∂L/∂W^l = δ^l (a^(l−1))ᵀ,  ∂L/∂b^l = δ^l\n"
        "as stored, W^l (in × out): δ^(l−1) = W^l δ^l ⊙ g'(z^(l−1)),  ∂L/∂W^l = a^(l−1) (δ^l)ᵀ",
        expected={f"{name} against the graph": "<= 1e-12" for name in DELTAS}
        | {f"δ_{k}^1 less the graph's": "0" for k in (1, 3)},
        slip="“g'(z^L) is the activation function applied elementwise” means its derivative; and"
        " the loop down to l = 1 computes δ^0 from z^0, which does not exist: it ends at l = 2.",
        questions={
            "Exercise: derive ∂L/∂b²": "∂z_j²/∂b_j² = 1, so it is δ² itself.",
            "Exercise: work out δ_1^1 and δ_3^1": "δ_k^1 = (δ_1² w_1k² + δ_2² w_2k²) g'(z_k^1):"
            " the sum over the paths to both outputs; both are printed and equal the graph's.",
            "Question: What do you notice?": "Each weight into a node of layer L touches a single"
            " δ_j^L, so that ∂L/∂w_jk = δ_j a_k.",
            "Do you see δ² and W² lurking anywhere?": "The sums are the rows of (W²)ᵀ δ².",
        },
        experiment="hidden=1: a chain, where δ^1 is a plain product.",
    ),
    Page(
        id="D2",
        name="sgd-training",
        claim="A new order each epoch, small batches, and the epoch that was best on other rows.",
        slide="Training a feed-forward neural network: remaining questions; mini-batch SGD",
        formula="W^l ← W^l − η ∂L/∂W^l, over the examples in random order",
        expected={"each row once an epoch": "1", "another order in another epoch": "1",
                  "restored loss less the best": "0 ± 1e-6"}
        | {f"variance of {name}, in standard errors": "<= 3" for name in INITIALIZERS},
        questions={
            "Can I batch this?": "Yes: the right panel compares batches of 1, of 20 and of all rows"
            " over ten epochs. Small ones make more and noisier steps an epoch.",
            "When do we stop?": "When rows that are not trained on have not improved for a while;"
            " the parameters of the best epoch come back (left panel).",
            "How do we initialize weights and biases?": "At random, so that units differ, with the"
            " variance that keeps signals of one size: 2/n_in for ReLU (He), 2/(n_in + n_out) for"
            " tanh and sigmoid (Glorot); biases at 0. A million draws of each are checked.",
        },
        experiment="patience=1 stops at the first setback: how far from the best?",
        decks="DE",
    ),
    Page(
        id="D3",
        name="dropout",
        claim="Dropout trains an ensemble of thinned networks and changes nothing in evaluation.",
        slide="Dropout: randomly set some neurons to zero in the forward pass",
        formula="a' = m ⊙ a / (1 − p),  m_j ∼ Bernoulli(1 − p);  in evaluation a' = a",
        expected={"keep rate, in standard errors": "<= 4",
                  "mean output, in standard errors": "<= 4", "evaluation changes nothing": "0",
                  "linear net: Monte-Carlo mean, in standard errors": "<= 4",
                  "spread outside the data / inside": "> 1"},
        questions={
            "Another interpretation?": "Each mask is another network with the same weights; the"
            " thin lines are forty of them. Their spread tells where there were no data."
        },
        experiment="rate=0.1: the ensemble agrees more, and is surer than it should be.",
    ),
    Page(
        id="D4",
        name="preprocessing",
        claim="Centred and whitened inputs let gradient descent walk straight to the minimum.",
        slide="Why preprocess the input data? Data preprocessing",
        formula="X − X.mean(axis=0),  X / np.std(X, axis=0),  PCA, whitening\n∂L/∂w_j = L'(f) x_j",
        expected={"centred: largest |mean|": "< 1e-9",
                  "normalised: largest |standard deviation − 1|": "< 1e-9",
                  "whitened: largest |covariance − identity|": "< 1e-6",
                  "raw: examples with one sign": "1", "centred: examples with one sign": "< 1",
                  "fitted on training rows only": "0", "saved with the model": "0"},
        questions={
            "Why preprocess the input data?": "∂L/∂w_j = L'(f) x_j: where all x_j are positive, all"
            " components have the sign of L'(f), so that each example moves all weights up or all"
            " down, and a direction between has to be reached in a zig-zag.",
        },
        experiment="steps=200: even then the raw inputs have not arrived.",
        decks="AD",
    ),
)  # fmt: skip
