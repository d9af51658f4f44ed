"""How long to train, in which portions, and on what."""

from __future__ import annotations

import dataclasses
import secrets

import numpy as np

from chainrule.engines.base import EngineChoice
from chainrule.errors import ParameterError
from chainrule.optim.settings import COUNT, COUNT_FROM_ZERO, FLAG, Optional, check, setting
from chainrule.records import dataclass


@dataclass(frozen=True)
class Plan:
    """Settings of ``fit`` that say how the rows are gone through; checked when it is made.

    Parameters
    ----------
    epochs : int >= 0
    batch_size : int >= 1, or None for all rows
    shuffle, drop_last, replacement : bool
    members, restarts : int >= 1
    seed : int from 0 to 2**64 - 1
    engine : str, Engine or None

    Raises
    ------
    ParameterError
        If one is out of its range.

    Examples
    --------
    >>> Plan(epochs=-1)
    Traceback (most recent call last):
        ...
    chainrule.errors.ParameterError: fit: epochs must be an int >= 0, got -1
    """

    epochs: int = setting(COUNT_FROM_ZERO, 50)
    batch_size: int | None = setting(Optional(COUNT), 32)
    shuffle: bool = setting(FLAG, True)
    drop_last: bool = setting(FLAG, False)
    replacement: bool = setting(FLAG, False)
    members: int = setting(COUNT, 1)
    restarts: int = setting(COUNT, 1)
    seed: int = 0
    engine: EngineChoice = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if "kind" in field.metadata:
                given = getattr(self, field.name)
                value = check("fit", field.name, field.metadata["kind"], given)
                object.__setattr__(self, field.name, value)
        if self.members > 1 and self.restarts > 1:
            raise ParameterError("choose members (keep all) or restarts (keep the best), not both")

    @property
    def count(self) -> int:
        """How many networks train at once."""
        return max(self.members, self.restarts)


def new_seed(seed: int | None) -> int:
    """``seed``, or one drawn from the operating system.

    Raises
    ------
    ParameterError
        If it is no integer from 0 to 2**64 - 1.
    """
    if seed is None:
        return secrets.randbits(63)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise ParameterError(f"seed must be an integer from 0 to 2**64 - 1, got {seed!r}")
    return int(seed)
