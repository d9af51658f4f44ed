"""A classifier asked over the plane: where the grid lies, and both ways to show it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from chainrule.errors import DataError, ParameterError, ShapeError
from chainrule.explain import BoundaryPicture

POINTS = np.array([[0.0, 0.0], [2.0, 1.0], [2.0, 0.0], [0.0, 1.0]])
LABELS = np.array([0, 1, 1, 0])


def to_the_right(points: np.ndarray) -> np.ndarray:
    return (points[:, 0] > 1).astype(float)


def test_the_grid_covers_the_points_and_a_margin() -> None:
    picture = BoundaryPicture.of(to_the_right, POINTS, LABELS)
    x_low, x_high, y_low, y_high = picture.extent
    assert x_low < 0 < 2 < x_high and y_low < 0 < 1 < y_high
    assert (x_low + x_high, y_low + y_high) == (2, 1)


def test_rows_are_the_second_coordinate_and_columns_the_first() -> None:
    across = BoundaryPicture.of(to_the_right, POINTS, LABELS).probabilities
    assert (across[:, 0] == 0).all() and (across[:, -1] == 1).all()
    up = BoundaryPicture.of(lambda points: (points[:, 1] > 0.5) * 1.0, POINTS, LABELS)
    assert (up.probabilities[0] == 0).all() and (up.probabilities[-1] == 1).all()


def test_it_is_drawn_and_written() -> None:
    picture = BoundaryPicture.of(to_the_right, POINTS, LABELS, title="Left and right")
    assert ElementTree.fromstring(picture.svg()).find("{*}title").text == "Left and right"
    lines = picture.text().splitlines()
    assert len(lines) == 22 and all(line.startswith(".") and line.endswith("=") for line in lines)
    assert "\x1b" in picture.text("truecolor")


def test_three_classes_have_three_fields() -> None:
    def thirds(points: np.ndarray) -> np.ndarray:
        return np.eye(3)[np.clip(points[:, 0], 0, 2).astype(int)]

    picture = BoundaryPicture.of(thirds, POINTS, [0, 2, 2, 1])
    assert picture.probabilities.shape[2] == 3
    assert all(sign in picture.text() for sign in ".=#")


def test_one_column_is_the_probability_of_class_1() -> None:
    column = BoundaryPicture.of(lambda points: to_the_right(points)[:, None], POINTS, LABELS)
    assert column.svg() == BoundaryPicture.of(to_the_right, POINTS, LABELS).svg()


ROWS = np.random.default_rng(0).normal(size=(40, 5))
SIDES = (ROWS[:, 1] > 0).astype(int)


def second(rows: np.ndarray) -> np.ndarray:
    """A classifier of five features that looks at the second."""
    assert rows.shape[1] == 5
    return 1 / (1 + np.exp(-4 * rows[:, 1]))


def test_five_features_need_a_plane_and_the_refusal_offers_two() -> None:
    with pytest.raises(ShapeError, match=r"features=\(0, 1\).*'PCA'"):
        BoundaryPicture.of(second, ROWS, SIDES)


def test_a_slice_holds_the_other_features_at_their_means() -> None:
    seen = []
    picture = BoundaryPicture.of(
        lambda rows: (seen.append(rows), second(rows))[1],
        ROWS,
        SIDES,
        title="Two",
        features=(1, 4),
    )
    np.testing.assert_allclose(np.ptp(seen[0], axis=0)[[0, 2, 3]], 0)
    np.testing.assert_allclose(seen[0][0, [0, 2, 3]], ROWS.mean(axis=0)[[0, 2, 3]])
    np.testing.assert_array_equal(picture.points, ROWS[:, [1, 4]])
    assert picture.title == "Two · Slice: the other features at their means"
    assert "feature 4" in picture.svg()


def test_principal_axes_are_a_plane_too() -> None:
    picture = BoundaryPicture.of(second, ROWS, SIDES, features="PCA")
    variances = np.linalg.eigvalsh(np.cov(ROWS.T, bias=True))[::-1]
    np.testing.assert_allclose(picture.points.var(axis=0), variances[:2])
    assert "principal" in picture.svg()


@pytest.mark.parametrize("features", [(0, 0), (0, 5), (1, 2, 3), "pca"])
def test_planes_that_do_not_exist_are_refused(features: Any) -> None:
    with pytest.raises(ParameterError, match="features"):
        BoundaryPicture.of(second, ROWS, SIDES, features=features)


def test_points_and_models_that_are_not_finite_are_told() -> None:
    with pytest.raises(DataError, match="leave out those rows"):
        BoundaryPicture.of(second, [[0.0, np.nan], [1.0, 2.0]], [0, 1])
    broken = BoundaryPicture.of(lambda xy: np.full(len(xy), np.nan), ROWS[:, :2], SIDES)
    with pytest.raises(DataError, match="train it anew"):
        broken.svg()


def test_classes_are_called_by_their_names() -> None:
    points, words = [[0, 0], [1, 1], [2, 0]], ["no", "yes", "yes"]
    picture = BoundaryPicture.of(to_the_right, points, words)
    assert "1 point of no, 2 points of yes" in picture.describe()
    assert ">no</text>" in picture.svg() and ">yes</text>" in picture.svg()
    assert "class 0" in BoundaryPicture.of(to_the_right, points, [0, 1, 1]).svg()
