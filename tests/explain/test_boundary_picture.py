"""A classifier asked over the plane: where the grid lies, and both ways to show it."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

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
