"""What a training is: two with the same facts give the same bits, epoch for epoch."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from chainrule.engines.registry import get_engine
from chainrule.errors import ParameterError
from chainrule.nn.base import Layer
from chainrule.shapes import Array
from chainrule.training.plan import Plan
from chainrule.training.task import Task

PLANNED = ("seed", "batch_size", "shuffle", "drop_last", "replacement", "members", "restarts")
"""What a plan says beside the number of epochs: a training may be asked to go further."""


def facts_of(layers: Sequence[Layer], task: Task, plan: Plan, optimizer: Any) -> dict[str, Any]:
    """The facts, by what messages call them; each is something that JSON takes.

    Parameters
    ----------
    layers : sequence of Layer
    task : Task
    plan : Plan
    optimizer : Optimizer
        It knows how long training takes where that matters.
    """
    objective = task.objective
    return {
        **{f"layer {layer.name!r}": described(layer) for layer in layers},
        "loss": described(objective.loss),
        "regularization": described(objective.regularization),
        "training rows": digest(task.rows) if task.stream is None else task.stream.source.digest,
        "validation rows": digest(task.validation or ()),
        **{name: getattr(plan, name) for name in PLANNED},
        "optimizer": described(optimizer),  # which knows its steps: those of rows and batches
        "engine": get_engine(plan.engine).name,
    }


def require_same(found: dict[str, Any], wanted: dict[str, Any], source: str) -> None:
    """Refuse the facts of another training.

    Raises
    ------
    ParameterError
        With the first fact that differs.
    """
    for name in {**wanted, **found}:
        then, now = (facts.get(name, "missing") for facts in (found, wanted))
        if then != now:
            raise ParameterError(
                f"the checkpoints in {source!r} are of another training, whose {name} was {then}"
                f" and is {now} here; use the same settings, or another folder"
            )


def described(value: Any) -> str:
    """A record and what it sets apart from defaults, in words: the same for the same value.

    Arrays are told by their digests, functions by their names, other objects by what they hold;
    nothing is shortened, and no memory address is among it.

    Examples
    --------
    >>> from chainrule.optim import SGD
    >>> described(SGD(0.1)), described(len), described([1, {"a": None}])
    ('SGD(learning_rate=0.1)', 'len', "[1, {'a': None}]")
    """
    if isinstance(value, np.ndarray):
        return digest([value])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _record(value)
    if isinstance(value, (tuple, list)):
        opening, closing = "()" if isinstance(value, tuple) else "[]"
        return f"{opening}{', '.join(map(described, value))}{closing}"
    if isinstance(value, dict):
        pairs = [f"{key!r}: {described(each)}" for key, each in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, partial):
        return f"partial({described((value.func, value.args, value.keywords))})"
    if callable(value) and hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    if callable(value) or repr(value) == object.__repr__(value):
        return f"{type(value).__qualname__}{described(getattr(value, '__dict__', {}))}"
    return repr(value)


def _record(value: Any) -> str:
    """A dataclass by its fields that are not the defaults."""
    pairs = [(field, described(getattr(value, field.name))) for field in dataclasses.fields(value)]
    told = [f"{field.name}={text}" for field, text in pairs if text != described(field.default)]
    return f"{type(value).__name__}({', '.join(told)})"


def digest(arrays: Sequence[Array]) -> str:
    """Shapes, element types and SHA-256 of data sets.

    Examples
    --------
    >>> digest([np.zeros((2, 3))])[:26]
    'float64[2, 3] with SHA-256'
    """
    if not arrays:
        return "none"
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    shapes = " and ".join(f"{array.dtype}{list(array.shape)}" for array in arrays)
    return f"{shapes} with SHA-256 {total.hexdigest()[:16]}"
