"""What holds for every optimizer: forms and types are kept, nodes give what arrays give."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule import ops
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import DataError, DtypeError, ParameterError, ShapeError
from chainrule.graph.graph import Graph
from chainrule.graph.tree import flatten, unflatten
from chainrule.optim import (
    LBFGS,
    OPTIMIZERS,
    RULES,
    SGD,
    Adam,
    Optimizer,
    get,
    schedules,
)
from tests.optim import problem

# every optimizer as it comes, and with what it can do switched on
EVERYTHING: dict[str, Any] = {
    "weight_decay": 0.1,
    "maximize": True,
    "clip_value": 0.5,
    "clip_norm": 0.5,
    "momentum": 0.9,
    "dampening": 0.1,
    "amsgrad": True,
    "centered": True,
}


def _full(kind: type[Optimizer]) -> Optimizer:
    names = {field.name for field in dataclasses.fields(kind)}
    chosen = {name: value for name, value in EVERYTHING.items() if name in names}
    if kind.__name__ == "Nesterov":
        del chosen["dampening"]
    return kind(**chosen)


KINDS = [*[kind() for kind in RULES], *[_full(kind) for kind in RULES]]
optimizers = pytest.mark.parametrize(
    "optimizer",
    KINDS,
    ids=[f"{kind.__name__}-{how}" for how in ("plain", "full") for kind in RULES],
)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


@st.composite
def trees(draw: Any) -> Any:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    leaf = shapes.map(
        lambda shape: np.linspace(-1, 2, math.prod(shape), dtype=dtype).reshape(shape)
    )
    branch = st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from("Wbg"), inner, max_size=2)
            | st.tuples(inner, inner)
        ),
        max_leaves=4,
    )
    return draw(branch)


def _forms(tree: Any) -> Any:
    """The tree with (dtype, shape) for each array."""
    return unflatten(tree, [(leaf.dtype.name, leaf.shape) for leaf in flatten(tree)])


@optimizers
@settings(max_examples=15)
@given(parameters=trees())
def test_forms_types_and_shapes_are_kept(optimizer: Optimizer, parameters: Any) -> None:
    state = optimizer.init(parameters)
    before = [leaf.copy() for leaf in flatten([parameters, state])]
    moved, after = optimizer.update(parameters, parameters, state)
    assert _forms(moved) == _forms(parameters)
    assert _forms(after) == _forms(state)
    assert all(isinstance(leaf, np.ndarray) for leaf in flatten([moved, after]))
    for leaf, copy in zip(flatten([parameters, state]), before, strict=True):
        np.testing.assert_array_equal(leaf, copy, "what is given stays as it was")
    assert int(after["step"]) == 1 and after["step"].dtype == np.int64


@optimizers
def test_nodes_give_what_arrays_give(optimizer: Optimizer) -> None:
    parameters = problem.start()
    state = optimizer.init(parameters)
    for _ in range(7):
        gradients = problem.gradients(parameters)
        given_arrays = [parameters, gradients, state]
        expected = optimizer.update(*given_arrays)
        arrays = flatten(given_arrays)
        inputs = [ops.input(array.shape, array.dtype) for array in arrays]
        built = flatten(optimizer.update(*unflatten(given_arrays, inputs)))
        found = ReferenceEngine().compile(Graph(tuple(inputs), tuple(built)))(arrays)
        for ours, theirs in zip(found, flatten(expected), strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-300)
        parameters, state = expected


@optimizers
def test_float32_follows_float64(optimizer: Optimizer) -> None:
    wide, narrow = problem.start(), _narrow(problem.start())
    wide_state, narrow_state = optimizer.init(wide), optimizer.init(narrow)
    for _ in range(5):
        gradients = problem.gradients(wide)
        wide, wide_state = optimizer.update(wide, gradients, wide_state)
        narrow, narrow_state = optimizer.update(narrow, _narrow(gradients), narrow_state)
    for ours, theirs in zip(flatten(narrow), flatten(wide), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def _narrow(tree: Any) -> Any:
    return unflatten(tree, [leaf.astype(np.float32) for leaf in flatten(tree)])


@optimizers
def test_scale_is_a_factor_on_the_rate(optimizer: Optimizer) -> None:
    parameters = problem.start()
    state = optimizer.init(parameters)
    halved = dataclasses.replace(optimizer, learning_rate=optimizer.learning_rate / 2)
    gradients = problem.gradients(parameters)
    by_scale, _ = optimizer.update(parameters, gradients, state | {"scale": np.array(0.5)})
    by_rate, _ = halved.update(parameters, gradients, halved.init(parameters))
    for ours, theirs in zip(flatten(by_scale), flatten(by_rate), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)


def test_schedule_counts_the_steps_taken() -> None:
    optimizer = SGD(schedules.Exponential(1.0, 0.5))
    parameter, state = np.array(0.0), optimizer.init(np.array(0.0))
    values = []
    for _ in range(4):
        parameter, state = optimizer.update(parameter, np.array(-1.0), state)
        values.append(float(parameter))
    assert values == [1.0, 1.5, 1.75, 1.875]
    assert float(optimizer.rate(state)) == 0.0625


def test_a_bound_schedule_knows_its_epochs() -> None:
    optimizer = Adam(schedules.StepDecay(1.0, every=2)).bind(steps_per_epoch=5, total_steps=50)
    rates = [float(optimizer.rate({"step": np.array(step), "scale": 1.0})) for step in (0, 9, 10)]
    np.testing.assert_allclose(rates, [1.0, 1.0, 0.1])
    assert Adam(0.1).bind(5, 50) == Adam(0.1)


def test_an_overflow_shows_in_the_numbers_only() -> None:
    optimizer = SGD(10.0)
    parameter = np.array([1e308])
    moved, _ = optimizer.update(parameter, -parameter, optimizer.init(parameter))
    assert moved[0] == np.inf


def test_nothing_is_broadcast() -> None:
    optimizer, parameters = SGD(), {"b": np.zeros((3, 1))}
    with pytest.raises(ShapeError, match=r"shape \(3, 1\) got a gradient of shape \(3,\)"):
        optimizer.update(parameters, {"b": np.zeros(3)}, optimizer.init(parameters))


def test_gradients_in_another_order_of_keys_find_their_parameters() -> None:
    optimizer = SGD(1.0, momentum=0.5)
    parameters = {"a": np.zeros(1), "b": np.zeros(2)}
    state = optimizer.init(parameters)
    state["slots"] = dict(reversed(state["slots"].items()))
    moved, _ = optimizer.update(parameters, {"b": np.ones(2), "a": np.zeros(1)}, state)
    assert moved["a"].tolist() == [0.0] and moved["b"].tolist() == [-1.0, -1.0]


@pytest.mark.parametrize(
    ("gradients", "state_of"),
    [
        ({"W": np.zeros(2)}, {"W": np.zeros(2), "b": np.zeros(2)}),
        ([np.zeros(2), np.zeros(2)], {"W": np.zeros(2), "b": np.zeros(2)}),
        ({"W": np.zeros(2), "b": np.zeros(2)}, {"W": np.zeros(2)}),
        ({"W": np.zeros(2), "b": np.zeros(2)}, [np.zeros(2)]),
    ],
)
def test_other_forms_are_refused(gradients: Any, state_of: Any) -> None:
    parameters = {"W": np.zeros(2), "b": np.zeros(2)}
    with pytest.raises(DataError, match="'W', 'b'"):
        Adam().update(parameters, gradients, Adam().init(state_of))


def test_a_state_of_another_length_is_refused() -> None:
    with pytest.raises(DataError, match="sequence of 2 parameters"):
        Adam().update([np.zeros(2)] * 2, [np.zeros(2)] * 2, Adam().init([np.zeros(2)]))


def test_integers_are_refused() -> None:
    with pytest.raises(DtypeError, match="float type, got one of int64"):
        Adam().init([np.zeros(2, np.int64)])


def test_plain_numbers_are_parameters_too() -> None:
    optimizer = SGD(0.5)
    moved, _ = optimizer.update([1.0], [2.0], optimizer.init([1.0]))
    assert moved[0].shape == () and float(moved[0]) == 0.0


def test_every_optimizer_has_its_name() -> None:
    assert list(OPTIMIZERS) == [kind.__name__.lower() for kind in (*RULES, LBFGS)]
    for name, kind in OPTIMIZERS.items():
        assert get(name) == kind()
        assert get(name.upper()) == kind()
    chosen = Adam(0.5)
    assert get(chosen) is chosen
    with pytest.raises(ParameterError, match=r"a name or an optimizer such as Adam\(1e-3\)"):
        get(Adam)
