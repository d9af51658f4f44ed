"""A model that no file would give back is not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chainrule.errors import DivergenceError
from chainrule.nn import Linear, Network


def test_a_model_with_values_that_are_not_finite_is_not_saved(tmp_path: Path) -> None:
    model = Network([Linear(2, 1, name="only")], seed=0)
    model["only"].W = np.array([[np.inf], [1.0]], np.float32)
    with pytest.raises(DivergenceError, match="'only' holds a W with values that are not finite"):
        model.save(tmp_path / "m.chainrule")
    assert list(tmp_path.iterdir()) == []
