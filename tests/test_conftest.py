"""The guards that every test runs under notice what they are there for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import untouched_random_state


@pytest.mark.parametrize("draw", [np.random.random, np.random.standard_normal, np.random.seed])
def test_a_draw_from_the_global_generator_is_noticed(draw: object) -> None:
    assert callable(draw)
    before = np.random.get_state()
    try:
        with pytest.raises(AssertionError, match="random state"), untouched_random_state():
            draw()
    finally:
        np.random.set_state(before)


def test_a_generator_of_ones_own_is_welcome() -> None:
    with untouched_random_state():
        np.random.default_rng(0).random()
