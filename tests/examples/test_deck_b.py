"""Deck B: the numbers of the lectures, and what has to hold beside them."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.explain import agrees
from chainrule.explain.systems import find

LIMITS = {"x²": "< 1e-6", "sin πx": "< 1e-6", "|x|": "< 3e-4", "step": "< 1e-4"}

# Typed from the table of the lectures, not read from the pages.
LECTURES = {
    "B1": {"difference in standard errors": "<= 2"},
    "B2": {
        "h1 of 00": "0", "h2 of 00": "1", "h1 of 01": "0", "h2 of 01": "0", "h1 of 10": "0",
        "h2 of 10": "0", "h1 of 11": "1", "h2 of 11": "0", "hidden inputs separable": "0",
        "hidden outputs separable": "1",
    },
    "B3": {f"error of {f}, {unit}": limit for f, limit in LIMITS.items()
           for unit in ("tanh", "logistic")}
    | {f"tanh as logistic, {f}": "<= 1e-12" for f in LIMITS},
    "B4": {"symmetric copies": "48", "different minima": ">= 2",
           "greatest loss of a minimum / least": "> 1.1"},
    "B5": {"parameters": "151", "parameters of ten-parameters": "10",
           "class against graph": "<= 1e-12", "bordered against W x + b": "<= 1e-12"},
    "B6": {"dℓ/dw1 + 2 r x1": "0", "dℓ/dw2 + 2 r x2": "0", "dℓ/db + 2 r": "0",
           "dJ/dw1 - dℓ/dw1 - 2 λ w1": "0", "dJ/dw2 - dℓ/dw2 - 2 λ w2": "0"},
    "B7": {"x² − y²: least eigenvalue": "-2", "x² − y²: greatest eigenvalue": "2",
           "x² + y²: least eigenvalue": "2", "x³ − 3xy²: least eigenvalue": "0",
           "x³ − 3xy²: greatest eigenvalue": "0", "x³ − 3xy²: rises around it": "3",
           "x³ − 3xy²: falls around it": "3", "x⁴, step 1": "-30", "x⁴, step 2": "1050",
           "x⁴, step 3": "-4.6e7 ± 1 %", "steps until it overflows": "<= 8",
           "clipped, at the end": "< 0.2"},
    "B8": {"greatest rise to the next width": "<= 1.1"},
}  # fmt: skip


@pytest.mark.parametrize("id", LECTURES)
def test_numbers_are_those_of_the_lectures(id: str) -> None:
    found = find(id)()
    wrong = {
        name: (found.numbers[name], printed)
        for name, printed in LECTURES[id].items()
        if not agrees(found.numbers[name], printed)
    }
    assert wrong == {} and found.misses() == []
    assert all(picture.describe() for picture in found.pictures.values())


def test_a_hand_made_model_wins_where_its_decomposition_is_right() -> None:
    numbers = find("B1")(interaction=0.0, members=4).numbers
    assert numbers["difference in standard errors"] > 0


def test_another_threshold_breaks_the_xnor() -> None:
    assert find("B2")(theta1=1.0).numbers["hidden outputs separable"] == 0


@pytest.mark.parametrize(("d", "m", "L", "k"), [(1, 3, 1, 1), (2, 10, 2, 1), (4, 5, 3, 2)])
def test_the_formula_of_the_parameters_counts_them(d: int, m: int, L: int, k: int) -> None:
    numbers = find("B5")(d=d, m=m, L=L, k=k).numbers
    assert numbers["parameters"] == numbers["m d + m + (L - 1)(m² + m) + k m + k"]
    assert numbers["bordered against W x + b"] <= 1e-12


def test_ridge_at_other_numbers() -> None:
    numbers = find("B6")(w1=0.3, w2=1.1, b=-0.2, x1=-1.5, x2=0.7, y=0.4, ridge=2.0).numbers
    r = 0.4 - (0.3 * -1.5 + 1.1 * 0.7 - 0.2)
    np.testing.assert_allclose(
        [numbers["dJ/dw1"], numbers["dJ/dw2"], numbers["dJ/db"]],
        [-2 * r * -1.5 + 4 * 0.3, -2 * r * 0.7 + 4 * 1.1, -2 * r],
    )
