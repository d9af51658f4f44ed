"""Layers that drop units at random while training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from chainrule import ops
from chainrule.errors import ParameterError
from chainrule.nn.base import Layer, Mode
from chainrule.optim.settings import BELOW_ONE, setting
from chainrule.records import dataclass

DRAWS = 2**16  # as finely as random.bernoulli tells probabilities apart


@dataclass(eq=False, repr=False)
class Dropout(Layer):
    """In training, x / (1 - rate) or, with probability ``rate``, 0.

    The mean stays what it was ("inverted" dropout), so that evaluation changes nothing.

    Parameters
    ----------
    rate : float in [0, 1)
    name : str, optional

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov 2014, Dropout: a
    simple way to prevent neural networks from overfitting, sections 4 and 10.
    """

    rate: float = setting(BELOW_ONE, 0.5)

    needs_key: ClassVar[bool] = True

    @property
    def keep(self) -> float:
        """The probability of being kept, as finely as it can be drawn."""
        return max(1, round((1 - self.rate) * DRAWS)) / DRAWS

    def forward(
        self, x: Any, parameters: Mapping[str, Any], state: Mapping[str, Any], mode: Mode
    ) -> tuple[Any, Mapping[str, Any]]:
        """``x`` with units dropped, of its shape; in evaluation ``x`` itself."""
        if not mode.training or self.rate == 0:
            return x, state
        if mode.key is None:
            raise ParameterError(f"{self.label} needs Mode(training=True, key=...) to draw from")
        kept = ops.random.bernoulli(mode.key, self.keep, ops.shape_of(x))
        return ops.where(kept, ops.multiply(x, 1 / self.keep), 0.0), state
