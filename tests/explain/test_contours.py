"""Level lines against functions whose level lines are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import RegularGridInterpolator

from chainrule.explain.contours import contours

GRID = np.linspace(-1, 1, 41)
X, Y = np.meshgrid(GRID, GRID)


def test_a_circle_is_one_closed_line_of_the_right_radius() -> None:
    (line,) = contours(X**2 + Y**2, 0.49)
    assert line[0] == line[-1]
    radii = np.hypot(*(np.array(line).T / 20 - 1))
    assert radii == pytest.approx(0.7, abs=2e-3)


def test_a_plane_gives_one_open_straight_line() -> None:
    (line,) = contours(X + 2 * Y, 0.3)
    x, y = np.array(line).T / 20 - 1
    assert x + 2 * y == pytest.approx(0.3, abs=1e-12)
    assert line[0] != line[-1]


def test_two_hills_give_two_closed_lines() -> None:
    hills = np.exp(-30 * ((X - 0.5) ** 2 + Y**2)) + np.exp(-30 * ((X + 0.5) ** 2 + Y**2))
    lines = contours(hills, 0.5)
    assert [line[0] == line[-1] for line in lines] == [True, True]


@pytest.mark.parametrize("level", [0.4, 0.6])
def test_a_saddle_is_cut_on_the_side_of_its_centre(level: float) -> None:
    lines = contours(np.array([[1.0, 0.0], [0.0, 1.0]]), level)
    assert len(lines) == 2
    around_low = level < 0.5  # the centre is 0.5: above the level, so the low corners are cut off
    ends = {frozenset((round(x, 9), round(y, 9)) for x, y in line) for line in lines}
    near, far = 1 - level, level
    low_corners = {frozenset({(near, 0.0), (1.0, far)}), frozenset({(0.0, near), (far, 1.0)})}
    high_corners = {frozenset({(near, 0.0), (0.0, near)}), frozenset({(1.0, far), (far, 1.0)})}
    assert ends == (low_corners if around_low else high_corners)


@given(
    arrays(np.int8, st.tuples(st.integers(2, 7), st.integers(2, 7)), elements=st.integers(-4, 4))
)
def test_every_point_lies_on_the_level_and_every_sign_change_is_crossed(field: np.ndarray) -> None:
    samples = field.astype(np.float64)
    lines = contours(samples, 0.5)
    axes = tuple(np.arange(size) for size in samples.shape)
    value = RegularGridInterpolator(axes, samples)
    points = [(y, x) for line in lines for x, y in line]
    if points:
        assert value(points) == pytest.approx(0.5)
    above = samples >= 0.5
    crossed = (above[1:] != above[:-1]).sum() + (above[:, 1:] != above[:, :-1]).sum()
    assert len(set(points)) == crossed


def test_a_flat_field_has_no_level_line() -> None:
    assert contours(np.zeros((4, 5)), 0.0) == []
