"""Penalties on weights, added to the loss; and max-norm, a projection after each update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import reduce
from typing import Any, Final

from chainrule import ops
from chainrule.nn import serialization
from chainrule.optim.settings import FROM_ZERO, POSITIVE, Settings, setting
from chainrule.records import dataclass


@dataclass(frozen=True)
class Penalty(Settings, ABC):
    """``strength`` times a sum over all elements of the penalized parameters.

    Parameters
    ----------
    strength : float >= 0
    """

    strength: float = setting(FROM_ZERO, 0.0)

    @abstractmethod
    def element(self, weight: Any) -> Any:
        """What one element adds."""

    def __call__(self, weights: Iterable[Any]) -> Any:
        """The penalty of some arrays or nodes, a scalar; 0 if there are none."""
        sums = [ops.sum(self.element(weight)) for weight in weights]
        return self.strength * reduce(ops.add, sums) if sums else 0.0


class L1(Penalty):
    """strength sum |w|, which sets weights to 0 (Tibshirani 1996).

    Examples
    --------
    >>> import numpy as np
    >>> float(L1(0.1)([np.array([1.0, -2.0])]).round(6))
    0.3
    """

    def element(self, weight: Any) -> Any:
        """|w|."""
        return ops.abs(weight)


class L2(Penalty):
    """strength sum w^2, without 1/2: its gradient is 2 strength w (Hoerl and Kennard 1970).

    An optimizer's ``weight_decay`` of 2 strength does the same; scikit-learn's ``alpha`` is
    2 strength times the number of rows of a batch.
    """

    def element(self, weight: Any) -> Any:
        """w^2."""
        return ops.square(weight)


@dataclass(frozen=True)
class MaxNorm(Settings):
    """Holds the weights into each unit to a Euclidean norm, by shrinking them after an update.

    Parameters
    ----------
    limit : float > 0

    References
    ----------
    N. Srivastava et al. 2014, Dropout, section 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> MaxNorm(1.0)(np.array([[3.0, 0.3], [4.0, 0.4]]))
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    limit: float = setting(POSITIVE, 3.0)

    def __call__(self, weight: Any) -> Any:
        """Weights (n_in, n_out) whose columns are at most ``limit`` long."""
        square = ops.sum(ops.square(weight), axis=0, keepdims=True)
        norm = ops.sqrt(ops.maximum(square, self.limit**2))
        return weight * (self.limit / norm)


KINDS: Final[serialization.Kinds] = {kind.__name__: kind for kind in (L1, L2, MaxNorm)}
