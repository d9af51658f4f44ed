"""Penalties and max-norm: values, derivatives, and that a projection changes only what it must."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chainrule import ops
from chainrule.errors import ParameterError
from chainrule.nn import L1, L2, MaxNorm
from tests.nn.problem import wave
from tests.nn.running import run, value_and_gradient

WEIGHTS = [wave(3, 2), wave(2, 2, phase=1.0)]


def test_penalties_and_their_gradients() -> None:
    nodes = [ops.input(w.shape) for w in WEIGHTS]
    feed = dict(zip(nodes, WEIGHTS, strict=True))
    l1, *slopes = value_and_gradient(L1(0.3)(nodes), feed)
    np.testing.assert_allclose(l1, 0.3 * sum(abs(w).sum() for w in WEIGHTS), rtol=1e-14)
    for slope, w in zip(slopes, WEIGHTS, strict=True):
        np.testing.assert_allclose(slope, 0.3 * np.sign(w), rtol=1e-14)
    l2, *slopes = value_and_gradient(L2(0.3)(nodes), feed)
    np.testing.assert_allclose(l2, 0.3 * sum(np.square(w).sum() for w in WEIGHTS), rtol=1e-14)
    for slope, w in zip(slopes, WEIGHTS, strict=True):
        np.testing.assert_allclose(slope, 2 * 0.3 * w, rtol=1e-14)  # the lectures' 2 lambda w


def test_no_weights_no_penalty() -> None:
    assert L2(1.0)([]) == 0.0


def test_penalties_keep_the_element_type() -> None:
    assert L2(0.1)([WEIGHTS[0].astype(np.float32)]).dtype == np.float32
    assert MaxNorm(0.1)(WEIGHTS[0].astype(np.float32)).dtype == np.float32


@given(
    arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3)),
    st.floats(0.01, 100.0),
)
def test_max_norm_projects(w: np.ndarray, limit: float) -> None:
    node = ops.input(w.shape)
    (found,) = run([MaxNorm(limit)(node)], {node: w})
    before, after = np.linalg.norm(w, axis=0), np.linalg.norm(found, axis=0)
    np.testing.assert_allclose(after, np.minimum(before, limit), rtol=1e-9, atol=1e-12)
    inside = before <= limit
    np.testing.assert_allclose(found[:, inside], w[:, inside], rtol=1e-15)
    np.testing.assert_allclose(found * before, w * after, rtol=1e-9, atol=1e-9)  # same directions


def test_refusals() -> None:
    with pytest.raises(ParameterError, match=r"L1: strength must be a float >= 0, got -0\.1"):
        L1(-0.1)
    with pytest.raises(ParameterError, match="MaxNorm: limit must be a float > 0, got 0"):
        MaxNorm(0)
