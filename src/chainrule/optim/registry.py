"""Optimizers by name."""

from __future__ import annotations

from typing import Final

from chainrule.errors import ParameterError, unknown_name
from chainrule.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from chainrule.optim.adaptive import Adadelta, Adagrad, RMSProp
from chainrule.optim.base import Optimizer
from chainrule.optim.descent import ASGD, SGD, Momentum, Nesterov, Rprop
from chainrule.optim.lbfgs import LBFGS

RULES: Final[tuple[type[Optimizer], ...]] = (
    SGD, Momentum, Nesterov, Adagrad, Adadelta, RMSProp,
    Adam, AdamW, Adamax, NAdam, RAdam, Rprop, ASGD,
)  # fmt: skip
OPTIMIZERS: Final[dict[str, type[Optimizer] | type[LBFGS]]] = {
    kind.__name__.lower(): kind for kind in (*RULES, LBFGS)
}


def get(optimizer: str | Optimizer | LBFGS) -> Optimizer | LBFGS:
    """The optimizer of a name, with its defaults; an optimizer as it is.

    Raises
    ------
    UnknownNameError
        If there is no optimizer of that name.
    ParameterError
        If ``optimizer`` is neither a name nor an optimizer.

    Examples
    --------
    >>> get("adam") == Adam()
    True
    >>> get("adem")
    Traceback (most recent call last):
        ...
    chainrule.errors.UnknownNameError: unknown optimizer 'adem'; did you mean 'adam'? (known: ...
    """
    if isinstance(optimizer, (Optimizer, LBFGS)):
        return optimizer
    if not isinstance(optimizer, str):
        raise ParameterError(
            f"optimizer must be a name or an optimizer such as Adam(1e-3), got {optimizer!r}"
        )
    if optimizer.lower() not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS)
    return OPTIMIZERS[optimizer.lower()]()
