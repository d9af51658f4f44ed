"""The pages of deck A."""

from __future__ import annotations

from chainrule.explain.page import Page

PAGES: tuple[Page, ...] = (
    Page(
        id="A8",
        name="decision-boundary",
        claim="A 2-10-10-1 network bends its boundary around two moons that no line separates.",
        slide="Decision boundary; decision boundary with uncertainty; what does this layer learn?",
        formula="x^(l) = σ(s^(l)),  s^(l) = W^(l)ᵀ x^(l−1)",
        expected={"parameters": "151", "training points": "500", "test points": "1000",
                  "test accuracy": ">= 0.99"},
        experiment="noise=0.3: the moons overlap, and no network can be right everywhere.",
    ),
)  # fmt: skip
