"""Decks D and E: the numbers of the lectures, and what has to hold beside them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.explain import agrees
from chainrule.explain.systems import find

# Typed from the table of the lectures, not read from the pages.
LECTURES = {
    "D1": {f"{name} against the graph": "<= 1e-12" for name in ("δ¹", "δ²", "dL/dW¹", "dL/dW²")}
    | {"δ_1^1 less the graph's": "0", "δ_3^1 less the graph's": "0"},
    "D2": {"restored loss less the best": "0 ± 1e-6"}
    | {f"variance of {name}, in standard errors": "<= 3" for name in
       ("uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
        "lecun_uniform", "lecun_normal", "orthogonal")},
    "D3": {"keep rate, in standard errors": "<= 4", "mean output, in standard errors": "<= 4",
           "evaluation changes nothing": "0",
           "linear net: Monte-Carlo mean, in standard errors": "<= 4"},
    "D4": {"centred: largest |mean|": "< 1e-9",
           "whitened: largest |covariance − identity|": "< 1e-6",
           "raw: examples with one sign": "1", "centred: examples with one sign": "< 1"},
    "E1": {"one example, by hand against graph": "<= 1e-12",
           "vectorised against loop": "<= 1e-12", "vectorised against graph": "<= 1e-12"},
    "E2": {f"{name}, by hand against graph": "<= 1e-12"
           for name in ("dz2", "dW2", "db2", "dz1", "dW1", "db1")},
    "E3": {"dJ/dw after one backward": "36", "dJ/dw after two": "72",
           "dJ/dw, cleared before": "36"},
    "E4": {"sweeps to 1e-6": "<= 60"},
    "E5": {"ring: ends inside": "1", "ring: middle inside": "0", "(x² - 1)² at -1": "0",
           "(x² - 1)² at 0": "1", "(x² - 1)² at 1": "0",
           "(tanh w - 1)²: mean of -6 and 0": "2.49998", "(tanh w - 1)²: at -3": "3.98025 ± 1e-5",
           "disc: counter-example found": "0", "least squares: certificate": "1"},
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


def test_the_delta_rule_holds_for_other_sizes() -> None:
    numbers = find("D1")(inputs=5, hidden=4, outputs=3, seed=7).numbers
    assert max(value for name, value in numbers.items() if "against" in name) <= 1e-12


def test_logistic_gradients_at_other_numbers() -> None:
    numbers = find("E1")(w1=0.0, w2=0.0, b=math.log(3), x1=4.0, x2=-2.0, y=0.0).numbers
    np.testing.assert_allclose(
        [numbers[name] for name in ("a", "dz", "dw1", "dw2", "db")], [0.75, 0.75, 3.0, -1.5, 0.75]
    )


def test_several_outputs_need_the_transpose() -> None:
    numbers = find("E2")(outputs=3).numbers
    assert max(value for name, value in numbers.items() if "by hand" in name) <= 1e-12


def test_a_step_too_long_gains_nothing_along_a_coordinate() -> None:
    assert find("E4")(rate=2.0).numbers["sweeps to 1e-6"] == math.inf
    coefficients = find("E4")().numbers
    np.testing.assert_allclose(coefficients["coefficient 0"], 374.2)  # the mean price


def test_accumulated_gradients_at_other_numbers() -> None:
    numbers = find("E3")(x=-1.5, w=4.0).numbers
    assert numbers["dJ/dw after one backward"] == 2 * 4.0 * 1.5**2
    assert numbers["dJ/dx, not cleared"] == 3 * 2 * 4.0**2 * -1.5
