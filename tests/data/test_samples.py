"""Two moons, two circles, five houses: their shape, their seed, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.data import house_prices, two_circles, two_moons
from chainrule.errors import ParameterError


def test_points_lie_on_two_half_circles() -> None:
    points, labels = two_moons(501, noise=0.0, seed=3)
    upper, lower = points[labels == 0], points[labels == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, rtol=1e-12)
    np.testing.assert_allclose(np.hypot(*(lower - (1, 0.5)).T), 1, rtol=1e-12)
    assert upper[:, 1].min() >= 0 and lower[:, 1].max() <= 0.5
    assert len(upper) == 251 and len(lower) == 250


def test_noise_has_the_stated_deviation() -> None:
    noisy, labels = two_moons(20_000, noise=0.1, seed=0)
    plain, same = two_moons(20_000, noise=0.0, seed=0)
    error = (noisy - plain).std(axis=0)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(error, 0.1, rtol=4 / np.sqrt(2 * 20_000))


def test_no_line_separates_them() -> None:
    points, labels = two_moons(400, noise=0.0, seed=1)
    design = np.column_stack([points, np.ones(400)])
    weights = np.linalg.lstsq(design, 2.0 * labels - 1, rcond=None)[0]
    assert np.mean((design @ weights > 0) == labels) < 0.95


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(two_moons(9, seed=5)[0], two_moons(9, seed=5)[0])
    assert not np.array_equal(two_moons(9, seed=5)[0], two_moons(9, seed=6)[0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"n": 1}, "n must"), ({"n": 9, "noise": -1}, "noise"), ({"n": 9, "noise": np.nan}, "noise"),
     ({"n": 9, "noise": np.inf}, "noise"), ({"n": 9, "seed": -1}, "seed")],
)  # fmt: skip
def test_refusals(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        two_moons(**settings)  # type: ignore[arg-type]


def test_circles_lie_on_their_radii() -> None:
    points, labels = two_circles(501, factor=0.3, noise=0.0, seed=3)
    np.testing.assert_allclose(np.hypot(*points.T), np.where(labels == 0, 1.0, 0.3), rtol=1e-12)
    assert np.bincount(labels).tolist() == [251, 250]
    assert not np.array_equal(points, two_circles(501, factor=0.3, noise=0.0, seed=4)[0])
    noisy = two_circles(20_000, factor=0.3, noise=0.1, seed=3)[0]
    plain = two_circles(20_000, factor=0.3, noise=0.0, seed=3)[0]
    np.testing.assert_allclose((noisy - plain).std(axis=0), 0.1, rtol=4 / np.sqrt(2 * 20_000))


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"n": 1}, "n must"), ({"n": 9, "factor": 1.0}, "factor"), ({"n": 9, "factor": 0}, "factor"),
     ({"n": 9, "noise": -1}, "noise"), ({"n": 9, "seed": -1}, "seed")],
)  # fmt: skip
def test_circles_out_of_range_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        two_circles(**settings)  # type: ignore[arg-type]


def test_the_houses_are_those_of_the_slide() -> None:
    features, prices = house_prices()
    design = np.column_stack([np.ones(5), features])
    (_, *slopes), (squares,), *_ = np.linalg.lstsq(design, prices, rcond=None)
    np.testing.assert_allclose(slopes, [0.05061840, 90.813312, 46.193838], rtol=1e-6)
    np.testing.assert_allclose(squares, 13.96985, rtol=1e-6)
