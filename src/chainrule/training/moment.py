"""All that a training needs to go on from where it is, and how a file holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.errors import FileFormatError
from chainrule.shapes import Array
from chainrule.training.best import Best
from chainrule.training.history import History

Facts: TypeAlias = dict[str, Any]
Memory: TypeAlias = tuple[str, Mapping[str, Array]]
"""The kind of a callback, and the numbers that it remembers."""

_CARRIED, _BEST, _RECORD, _HISTORY, _CALLBACK = "carried", "best", "record", "history", "callback"


class Moment(NamedTuple):
    """A training between two calls into an engine.

    Attributes
    ----------
    facts : dict of str to JSON
        What the training is; one with other facts cannot go on from here.
    carried : list of arrays
        Parameters, states, the optimizer's state: the leaves of what steps hand on.
    best : Best
    latest : (members,) float64
        The monitored number after the last epoch.
    history : History
        Of the epochs that were finished, and perhaps of later ones.
    epochs : int
        How many epochs were finished.
    step : int
        How many steps of the epoch after them were done.
    records : list of arrays
        What those steps left, with axes (1, steps, ...).
    stopped : str or None
        Why the training had come to an end, if it had.
    memories : list of Memory
    """

    facts: Facts
    carried: Sequence[Array]
    best: Best
    latest: Array
    history: History
    epochs: int
    step: int
    records: Sequence[Array]
    stopped: str | None
    memories: Sequence[Memory]

    def packed(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and structure of a file, for :func:`chainrule.persist.write_file`."""
        history, columns = self.history.until(self.epochs).packed()
        arrays = {
            **_numbered(_CARRIED, self.carried),
            **_numbered(_BEST, [self.best.values, self.best.epochs, self.best.starts]),
            **_numbered(f"{_BEST}.leaf", self.best.leaves),
            **_numbered(_RECORD, self.records),
            "latest": self.latest,
            **{f"{_HISTORY}.{name}": column for name, column in columns.items()},
        }
        for place, (_, memory) in enumerate(self.memories):
            arrays |= {f"{_CALLBACK}.{place}.{name}": array for name, array in memory.items()}
        return arrays, {
            "training": self.facts,
            "step": self.step,
            "stopped": self.stopped,
            "history": history,
            "callbacks": [kind for kind, _ in self.memories],
        }

    @classmethod
    def unpacked(cls, arrays: Mapping[str, Array], structure: Mapping[str, Any]) -> Moment:
        """What :meth:`packed` took apart, checked as far as it can be without its training.

        Raises
        ------
        FileFormatError
            If the parts do not describe a moment of a training.
        """
        try:
            return _unpacked(dict(arrays), structure)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as reason:
            text = f"no {reason}" if isinstance(reason, KeyError) else str(reason)
            raise FileFormatError(f"it does not describe a training: {text}") from reason


def _unpacked(arrays: dict[str, Array], structure: Mapping[str, Any]) -> Moment:
    facts, step, stopped = (structure[name] for name in ("training", "step", "stopped"))
    if not isinstance(facts, dict) or type(step) is not int or step < 0:
        raise FileFormatError("its facts or its place are of the wrong type")
    if stopped is not None and type(stopped) is not str:
        raise FileFormatError("it does not say why it stopped")
    kinds = structure["callbacks"]
    if type(kinds) is not list or not all(type(kind) is str for kind in kinds):
        raise FileFormatError("its callbacks have no names")
    memories = [(kind, _named(arrays, f"{_CALLBACK}.{place}.")) for place, kind in enumerate(kinds)]
    leaves, carried = _series(arrays, f"{_BEST}.leaf"), _series(arrays, _CARRIED)
    values, epochs, starts = _series(arrays, _BEST)
    best = Best(values, epochs, starts, leaves)
    records, latest = _series(arrays, _RECORD), arrays.pop("latest")
    history = History.unpacked(structure["history"], _named(arrays, f"{_HISTORY}."))
    if arrays:
        raise FileFormatError(f"its array {next(iter(arrays))!r} belongs to nothing")
    _check(best, latest, history)
    if bool(records) != bool(step) or any(each.shape[:2] != (1, step) for each in records):
        raise FileFormatError("its place in the epoch is not that of its records")
    return Moment(
        facts, carried, best, latest, history, history.epochs, step, records, stopped, memories
    )


def _check(best: Best, latest: Array, history: History) -> None:
    """Refuse numbers of the members that do not go together."""
    count = (len(latest),)
    for array, kind in zip((*best[:3], latest), "fiif", strict=True):
        if array.shape != count or array.dtype.kind != kind:
            raise FileFormatError("its members' numbers do not go together")
    last = history.epochs - 1
    if not ((best.epochs >= -1) & (best.epochs <= last) & (best.starts >= 0)).all():
        raise FileFormatError("its best epochs never ran")


def _numbered(name: str, arrays: Sequence[Array]) -> dict[str, Array]:
    return {f"{name}.{place}": np.asarray(array) for place, array in enumerate(arrays)}


def _series(arrays: dict[str, Array], name: str) -> list[Array]:
    """The arrays called ``name.0``, ``name.1``, ..., taken out of ``arrays``."""
    found: list[Array] = []
    while (array := arrays.pop(f"{name}.{len(found)}", None)) is not None:
        found.append(array)
    return found


def _named(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    """The arrays whose names begin so, taken out of ``arrays``, by the rest of their names."""
    names = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays.pop(name) for name in names}
