"""Pictures of what cannot be drawn honestly: one sentence, or a title that says what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import explain, nn
from chainrule.errors import ChainruleError, DataError, ParameterError, ShapeError

HOLES = np.array([[0.0, 1.0], [np.nan, 1.0], [2.0, 0.0]])
KINDS = np.array([0, 1, 1])
CASES: dict[str, tuple[Callable[[], Any], type[ChainruleError], str]] = {
    "scores": (lambda: explain.softmax_temperatures([1, np.nan], [1]), DataError, "the scores"),
    "temperature 0": (
        lambda: explain.softmax_temperatures([1, 2], [1, 0]), ParameterError, "above 0",
    ),
    "no temperature": (
        lambda: explain.softmax_temperatures([1, 2], []), ParameterError, "above 0",
    ),
    "level point": (
        lambda: explain.second_derivative_test(lambda p: p[0] ** 2, [np.nan]), DataError, "point",
    ),
    "slope": (
        lambda: explain.second_derivative_test(lambda p: 1 / p[0], [0.0]), DataError, "gradient",
    ),
    "predictions": (
        lambda: explain.decomposed([[np.nan, 1], [1, 2]], [1, 2]), DataError, "predictions",
    ),
    "half a box": (
        lambda: explain.convexity(lambda w: cr.log(w[0]), [-1.0], [1.0]), DataError, "smaller box",
    ),
    "empty set": (
        lambda: explain.convex_set(lambda p: p[:, 0] > 9, [-1], [1]), DataError, "0 lie in the set",
    ),
    "path": (
        lambda: explain.smoothness(lambda w: cr.log(w[0]), [[-1.0]], [0.1]), DataError, "a point",
    ),
    "start": (
        lambda: explain.optimizer_paths(cr.sum, {"SGD": cr.optim.SGD(0.1)}, [np.nan, 1], (0, 1)),
        DataError, "the start",
    ),
    "space": (
        lambda: explain.optimizer_paths(cr.sum, {"SGD": cr.optim.SGD(0.1)}, [1, 1, 1], (0, 1)),
        ShapeError, r"not from the shape \(3,\) by 1",
    ),
    "nobody": (lambda: explain.optimizer_paths(cr.sum, {}, [1, 1], (0, 1)), ShapeError, "by 0"),
    "no units": (lambda: explain.dropout_masks(0.5, 0), ParameterError, "at least 1, not 0 and 8"),
    "plane": (lambda: explain.separating_plane(HOLES, KINDS), DataError, "the rows of X"),
    "no points": (
        lambda: explain.BoundaryPicture.of(np.ravel, np.empty((0, 2)), []), DataError, "no points",
    ),
    "a model": (
        lambda: explain.BoundaryPicture.of(network(), [[0, 1]], [1]),  # type: ignore[arg-type]
        ParameterError, "Network is none; pass the Network's method predict",
    ),
    "labels": (
        lambda: explain.BoundaryPicture.of(np.ravel, [[0, 1]], [1, 0]), ShapeError, "one label",
    ),
    "a curve": (
        lambda: explain.loss_curves([0.3, 0.2]),  # type: ignore[arg-type]
        DataError, "no History but a list; pass what Network.fit",
    ),
    "an array": (
        lambda: explain.loss_curves(np.array([0.3, 0.2])),  # type: ignore[arg-type]
        DataError, "no History but a ndarray",
    ),
    "not fitted": (
        lambda: explain.loss_curves(network().history),  # type: ignore[arg-type]
        DataError, "no History but a NoneType; pass what Network.fit",
    ),
    "extent": (
        lambda: explain.optimizer_paths(cr.sum, {"SGD": cr.optim.SGD(0.1)}, [1, 1], (0, 1)),
        ShapeError, r"x_low, x_high, y_low, y_high\), not \(0, 1\)",
    ),
    "number": (lambda: explain.ledger(3.0), ParameterError, "a graph is a node"),  # type: ignore[arg-type]
    "one network": (
        lambda: explain.uncertainty(network(), HOLES[:1], KINDS[:1]), ParameterError, "members=10",
    ),
    "rows": (
        lambda: explain.loss_landscape(network(), HOLES, KINDS), DataError, "the rows of X",
    ),
}  # fmt: skip


def network() -> nn.Network:
    return nn.Network([nn.Linear(2, 1, name="only"), nn.Activation("sigmoid")], seed=0)


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_drawn_is_one_sentence(name: str) -> None:
    ask, kind, said = CASES[name]
    with pytest.raises(kind, match=said) as refused:
        ask()
    assert "\n" not in str(refused.value)


def test_a_network_that_was_not_trained_is_called_so() -> None:
    X, y = HOLES[[0, 2]], KINDS[:2]
    asked: list[Callable[[nn.Network], explain.Figure]] = [
        lambda model: explain.BoundaryPicture.of(model.predict, X, y),
        lambda model: explain.loss_landscape(model, X, y, steps=3),
        lambda model: explain.unit_maps(model, X, y, "only"),
    ]

    def said(model: nn.Network) -> list[bool]:
        return ["not trained yet" in ask(model).describe() for ask in asked]

    by_hand, several = network(), network()
    by_hand["only"].W = [[1.0], [-1.0]]
    assert (said(network()), said(by_hand)) == ([True] * 3, [False] * 3)
    several.fit(X, y, epochs=1, members=2, seed=0, progress=False)
    assert said(several.member(1)) == [False] * 3


def test_parameters_that_are_not_finite_are_no_landscape() -> None:
    model = network()
    model["only"].W = [[np.inf], [0.0]]
    with pytest.raises(DataError, match="the parameters hold NaN or infinity; train"):
        explain.loss_landscape(model, HOLES[:1], KINDS[:1])


def test_one_point_has_room_around_it_and_labels_may_be_words() -> None:
    def left(points: np.ndarray) -> np.ndarray:
        return points[:, 0] < 2

    assert explain.BoundaryPicture.of(left, [[2.0, 1.0]], [1]).extent == (1.0, 3.0, 0.0, 2.0)
    picture = explain.BoundaryPicture.of(left, [[1.0, 0], [3, 1], [1, 1]], ["yes", "no", "yes"])
    assert picture.labels.tolist() == [1, 0, 1]


# ------------------------------------------------------- what is found out, as a picture


def test_a_spectrum_is_drawn_under_its_verdict() -> None:
    found = explain.second_derivative_test(lambda p: p[0] ** 2 - 3 * p[1] ** 2, [0.0, 0.0])
    picture = found.figure()
    _, _, points = picture.data["panels"][0]["marks"]
    assert points["y"] == [-6.0, 2.0] and picture.title == "Saddle; the gradient has norm 0"
    assert picture.svg()


def test_a_segment_is_drawn_that_decides() -> None:
    found = explain.convexity(lambda w: (cr.tanh(w[0]) - 1) ** 2, [-6.0], [3.0])
    assert found.witness is not None
    a, b, middle = (float(point[0]) for point in found.witness)
    curve, chord, dot = found.figure().data["panels"][0]["marks"]
    there = a + np.array(curve["x"]) * (b - a)
    np.testing.assert_allclose(curve["y"], (np.tanh(there) - 1) ** 2)
    np.testing.assert_allclose(chord["y"], [(np.tanh(a) - 1) ** 2, (np.tanh(b) - 1) ** 2])
    np.testing.assert_allclose(dot["y"], [(np.tanh(middle) - 1) ** 2])
    assert dot["y"][0] > np.mean(chord["y"])
    assert found.figure().title.startswith("Not convex: ")


def test_of_a_set_the_segment_leaves_and_comes_back() -> None:
    found = explain.convex_set(lambda p: abs(np.hypot(*p.T) - 1) <= 0.2, [-2, -2], [2, 2])
    curve, _, dot = found.figure().data["panels"][0]["marks"]
    assert (curve["y"][0], dot["y"], curve["y"][-1]) == (1.0, [0.0], 1.0)


def test_what_lies_ahead_is_drawn_for_every_point() -> None:
    found = explain.smoothness(lambda w: 3 * (w @ w) / 2, [[1.0, 2.0], [0.5, 0.0]], [0.1, 0.2])
    panels = found.figure().data["panels"]
    assert panels[0]["marks"][0]["low"] == pytest.approx([7.5 * 0.4**2, 0.375 * 0.4**2])
    assert panels[0]["marks"][0]["high"] == pytest.approx([7.5 * 0.7**2, 0.375 * 0.7**2])
    assert panels[2]["marks"][0]["y"] == pytest.approx([3.0, 3.0])
