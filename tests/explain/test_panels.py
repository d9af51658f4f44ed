"""Panels that come up again and again, named leaves, comparisons, and sums of units."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ParameterError, ShapeError, UnknownNameError
from chainrule.explain import (
    Chart,
    agreement_panel,
    circuit,
    class_bars,
    class_panel,
    derivative_panel,
    ensemble_panel,
    entropy,
    evaluations,
    fit_units,
    leaves,
    line_panel,
    relative_error,
    slopes,
    softmax_temperatures,
    standard_errors,
    symmetric_copies,
    trajectory,
    unit_network,
    unit_sum,
    warped_grid,
)


def test_leaves_are_named_and_slopes_are_called_as_on_paper() -> None:
    x, y, z = leaves(x=-2.0, y=5.0, z=-4.0)
    q = (x + y).named("q")
    assert slopes((q * z).named("f"), [x, y, z, q]) == {
        "df/dx": -4, "df/dy": -4, "df/dz": 3, "df/dq": -4,
    }  # fmt: skip


def test_slopes_of_what_has_no_name_are_refused() -> None:
    (x,) = leaves(x=1.0)
    with pytest.raises(ParameterError, match="named"):
        slopes(x * x, [x])


def test_errors_are_relative_to_the_greatest_true_number() -> None:
    assert relative_error([1.0, 4.5], [1.0, -4.0]) == 8.5 / 4
    assert relative_error([0.0], [0.0]) == 0.0 and relative_error([1.0], [0.0]) == math.inf


def test_standard_errors_are_those_of_the_textbook() -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, 100)
    t = (draws.mean() - 2.5) / (draws.std(ddof=1) / 10)
    assert standard_errors(draws, 2.5) == pytest.approx(abs(t))


@pytest.mark.parametrize("depth", [1, 3, 10])
def test_evaluations_of_a_chain_are_a_sum_where_nothing_is_kept(depth: int) -> None:
    w = cr.variable(0.7)
    node = w
    for _ in range(depth):
        node = cr.sin(node)
    (slope,) = cr.transforms.simplify([cr.gradient(node, w)])
    kept, anew = evaluations(slope), evaluations(slope, stored=False)
    assert kept.get("sin", 0) == depth - 1
    assert anew.get("sin", 0) == depth * (depth - 1) // 2


def test_entropy_of_certainty_is_nothing_and_of_a_fair_die_is_greatest() -> None:
    assert entropy([0.0, -np.inf]) == 0.0
    assert entropy(np.log(np.full(6, 1 / 6))) == pytest.approx(math.log(6))


def test_temperatures_take_a_vector_of_scores() -> None:
    chart = softmax_temperatures([2.0, 1.0, 0.1], [0.5, 5.0])
    first = chart.data["panels"][0]["marks"][0]["y"]
    np.testing.assert_allclose(first, cr.softmax(np.array([2.0, 1.0, 0.1]) / 0.5))
    with pytest.raises(ShapeError, match="vector"):
        softmax_temperatures([[1.0, 2.0]], [1.0])


def test_a_warped_grid_is_where_the_map_takes_it() -> None:
    turned = warped_grid(lambda points: points @ np.array([[0.0, 1.0], [-1.0, 0.0]]))
    plain = warped_grid(lambda points: points)
    for moved, line in zip(turned.marks, plain.marks, strict=True):
        np.testing.assert_allclose(moved.numbers["x"], -line.numbers["y"])
        np.testing.assert_allclose(moved.numbers["y"], line.numbers["x"])
    with pytest.raises(ShapeError, match="choose two outputs"):
        warped_grid(lambda points: points[:, :1])


def test_values_and_derivatives_have_their_inks() -> None:
    panel = derivative_panel(lambda x: x**2, np.linspace(-1, 1, 5))
    values, derivative = panel.marks
    assert (values.ink, derivative.ink) == ("forward", "gradient")
    np.testing.assert_allclose(derivative.numbers["y"], 2 * values.numbers["x"])


def test_panels_hold_what_they_are_given() -> None:
    draw = np.random.default_rng(0)
    members = draw.normal(size=(60, 5))
    panel = ensemble_panel(range(5), members)
    np.testing.assert_allclose(panel.marks[2].numbers["y"], members.mean(axis=0))
    assert panel.marks[0].numbers["ys"].shape == (40, 5)
    lines = line_panel({"a": [3.0, 2.0]})
    np.testing.assert_array_equal(lines.marks[0].numbers["x"], [1, 2])
    bars = class_bars([0.2, 0.8], ["no", "yes"], 1, title="two")
    np.testing.assert_array_equal(bars.marks[1].numbers["y"], [0.8])
    panels = [panel, lines, bars, agreement_panel({"W": (members, members)}),
              class_panel(lambda xy: xy[:, 0], draw.normal(size=(6, 2)), [0, 1] * 3)]  # fmt: skip
    assert Chart(*panels, title="All").svg().startswith("<svg")


def test_a_sum_of_units_is_its_network_and_its_copies() -> None:
    x, theta = np.linspace(-1, 1, 7), np.random.default_rng(0).normal(size=10)
    curve = unit_sum("tanh")(x, theta)
    np.testing.assert_allclose(unit_network(theta).predict(x[:, None])[:, 0], curve, rtol=1e-12)
    copies = list(symmetric_copies(theta))
    assert len({copy.tobytes() for copy in copies}) == 48
    for copy in copies:
        np.testing.assert_allclose(unit_sum("tanh")(x, copy), curve, rtol=1e-12, atol=1e-12)


def test_units_that_do_not_exist_and_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="logistic"):
        unit_sum("logistics")
    with pytest.raises(UnknownNameError, match="tanh"):
        unit_network(np.zeros(4), "tan")
    with pytest.raises(ShapeError, match="3 m \\+ 1"):
        unit_network(np.zeros(5))


def test_starts_of_units_come_from_the_seed() -> None:
    x = np.linspace(-1, 1, 20)
    first, again, other = (fit_units(x, x**2, restarts=2, iterations=3, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.parameters, again.parameters)
    assert not np.array_equal(first.parameters, other.parameters)


def test_a_path_ends_where_it_overflows_unless_it_is_clipped() -> None:
    def steep(x: cr.Node) -> cr.Node:
        return x[0] ** 4

    wild = trajectory(steep, cr.optim.SGD(0.01), [10.0], 100)
    assert len(wild) <= 9 and not np.isfinite(wild[-1]).all() and np.isfinite(wild[:-1]).all()
    calm = trajectory(steep, cr.optim.SGD(0.01), [10.0], 100, clip_norm=1.0)
    np.testing.assert_allclose(calm[:3, 0], [10.0, 9.99, 9.98], atol=1e-6)


def test_an_array_of_leaves_is_drawn() -> None:
    W, x = leaves(W=np.eye(2), x=np.ones(2))
    assert "W" in circuit(cr.sum(W @ x)).text()
