"""Clipping: PyTorch's numbers by its formula, zero and huge gradients, empty trees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule import ops
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.graph import Graph
from chainrule.graph.tree import flatten
from chainrule.optim.clipping import clip_by_global_norm, clip_by_value, global_norm

values = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
    elements=st.floats(-1e3, 1e3),
)  # fmt: skip
gradients = st.lists(values, max_size=3)
limits = st.floats(1e-3, 1e3)


@given(tree=gradients, limit=limits)
def test_global_norm_clipping_is_pytorchs_formula(tree: list[Any], limit: float) -> None:
    norm = math.hypot(*[float(element) for leaf in tree for element in leaf.flat])
    factor = min(1.0, limit / (norm + 1e-6))
    np.testing.assert_allclose(float(global_norm(tree)), norm, rtol=1e-14)
    for clipped, leaf in zip(clip_by_global_norm(tree, limit), tree, strict=True):
        np.testing.assert_allclose(clipped, leaf * factor, rtol=1e-13)


@given(tree=gradients, limit=limits)
def test_value_clipping_is_numpys(tree: list[Any], limit: float) -> None:
    for clipped, leaf in zip(clip_by_value(tree, limit), tree, strict=True):
        np.testing.assert_array_equal(clipped, np.clip(leaf, -limit, limit))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0.0, "tiny", 1e-20, 1.0, 1e20, "max"])
def test_norms_neither_overflow_nor_vanish(dtype: Any, size: Any) -> None:
    limits = np.finfo(dtype)
    named = {"tiny": limits.tiny, "max": limits.max / 4}
    largest = dtype(named.get(size, size))
    tree = {"W": np.full((2, 2), largest), "b": np.zeros(3, dtype)}
    norm = global_norm(tree)
    assert norm.dtype == dtype
    np.testing.assert_allclose(norm, 2 * largest, rtol=1e-6)
    clipped = clip_by_global_norm(tree, 1.0)
    assert clipped["W"].dtype == dtype
    assert np.all(np.isfinite(clipped["W"]))
    assert float(global_norm(clipped)) <= 1.0 + 1e-6


def test_what_is_not_finite_is_seen() -> None:
    assert float(global_norm([np.array([1.0, np.inf])])) == np.inf
    assert np.isnan(global_norm([np.array([1.0, np.nan])]))
    assert np.isnan(global_norm([np.array([np.inf]), np.array([np.nan])]))


def test_an_empty_tree_has_norm_zero() -> None:
    assert float(global_norm({})) == 0.0
    assert float(global_norm([np.zeros((0, 3))])) == 0.0


def test_mixed_types_stay_what_they_are() -> None:
    tree = [np.full(2, 3.0, np.float32), np.full(2, 4.0)]
    assert [leaf.dtype.name for leaf in clip_by_global_norm(tree, 1.0)] == ["float32", "float64"]


def test_nodes_give_what_arrays_give() -> None:
    arrays = [np.array([[3.0, -4.0]]), np.array(12.0), np.zeros((0, 2))]
    inputs = [ops.input(array.shape) for array in arrays]
    for function in (
        lambda tree: clip_by_global_norm(tree, 1.0),
        lambda tree: clip_by_value(tree, 3.5),
        global_norm,
    ):
        built, expected = flatten(function(inputs)), flatten(function(arrays))
        found = ReferenceEngine().compile(Graph(tuple(inputs), tuple(built)))(arrays)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-15)
