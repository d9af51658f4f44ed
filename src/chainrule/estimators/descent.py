"""Mini-batch training of estimators: epochs of a compiled program, and when to stop them."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from chainrule.engines.base import Engine, Outcome
from chainrule.engines.reference import row_order
from chainrule.engines.registry import get_engine
from chainrule.errors import DataError
from chainrule.estimators.machine import WARM_UP_SECONDS, Machine, first_state, snapshot_from
from chainrule.estimators.sparse import SparseRows
from chainrule.graph.tree import flatten, map_tree, unflatten
from chainrule.optim import Optimizer
from chainrule.shapes import Array
from chainrule.training.methods import CALL_SECONDS
from chainrule.training.snapshot import Snapshot


@dataclass
class Memory:
    """What an optimizer remembers between calls of ``fit`` and ``partial_fit``.

    Attributes
    ----------
    rule : Optimizer
    state : tree of arrays
    learning_rate : float
        The rate of the next step, before a rule's own corrections.
    seed : int
        For orders of rows and masks of dropout.
    epochs : int
        How many have run.
    seconds : float
        What they would have taken on the reference engine, by estimate.
    """

    rule: Optimizer
    state: Any
    learning_rate: float
    seed: int
    epochs: int = 0
    seconds: float = 0.0

    def for_network(self, network: Snapshot) -> Memory:
        """Another one, in the network's types; a training that fails leaves this one as it was."""
        like = first_state(self.rule, network)
        state = map_tree(lambda old, new: old.astype(new.dtype, copy=False), self.state, like)
        return replace(self, state=state)


class Epochs(NamedTuple):
    """What some epochs gave.

    Attributes
    ----------
    losses : (epochs,) or (epochs, members) float64
        The mean over rows, with the penalty, in scikit-learn's units.
    norms : (epochs,) float64
        The gradient's mean norm.
    finite : bool
        Whether the last of them came to its end.
    """

    losses: Array
    norms: Array
    finite: bool


class Descent:
    """Epochs of mini-batch steps.

    A training begins on the reference engine, which starts at once, and changes to the one asked
    for after WARM_UP_SECONDS of estimated work, unless no more than that can be left. One that is
    sure to take longer begins on the one asked for. The estimate knows shapes only, no clock: the
    same training always changes at the same epoch.

    Parameters
    ----------
    machine : Machine
    carried : tree of arrays
        Without the optimizer's state, which ``memory`` has.
    rows : list of arrays
        Features, which may be SparseRows, targets, and weights if there are any.
    memory : Memory
        Updated with every call.
    batch : int
    shuffle : bool
    members : int or None
    engine : str or None
    units : float
        How many of the loss's units are one of scikit-learn's.
    least, most : int
        Epochs that there will be unless something stops them, and that there can be.
    """

    def __init__(
        self,
        machine: Machine,
        carried: Any,
        rows: Sequence[Any],
        memory: Memory,
        *,
        batch: int,
        shuffle: bool,
        members: int | None,
        engine: str | None,
        units: float,
        least: int,
        most: int,
    ) -> None:
        self.rows, self.memory, self.members, self.units = rows, memory, members, units
        self.carried = {**carried, "optimizer": memory.state}
        made = machine.program(memory.rule, self.carried, rows, members, batch)
        self.program = replace(made, shuffled=shuffle and batch < len(rows[0]))
        self._estimate = machine.epoch_seconds(self.program, len(rows[0]))
        self._wanted = engine
        self._warm_up = WARM_UP_SECONDS
        if most * self._estimate <= 2 * WARM_UP_SECONDS:
            self._warm_up *= 2
        elif least * self._estimate > 2 * WARM_UP_SECONDS:
            self._warm_up = 0.0

    @property
    def snapshot(self) -> Snapshot:
        """The network as it is now."""
        return snapshot_from(self.carried, self.members)

    @property
    def engine(self) -> str | None:
        """The engine of the next epoch."""
        return "reference" if self._warm_up_left > 0 else self._wanted

    @property
    def _warm_up_left(self) -> int:
        return max(0, int((self._warm_up - self.memory.seconds) / self._estimate))

    def run(self, most: int) -> Epochs:
        """Run some epochs, at least one and at most ``most``."""
        engine, memory = get_engine(self.engine), self.memory
        fitting = int(CALL_SECONDS * engine.speed / self._estimate)
        count = 1 if self._sparse else max(1, min(most, self._warm_up_left or fitting))
        scale = np.full_like(memory.state["scale"], memory.learning_rate)
        self.carried["optimizer"] = {**memory.state, "scale": scale}
        epochs = range(memory.epochs, memory.epochs + count)
        run = self._in_parts if self._sparse else self._whole
        outcome = run(engine, epochs)
        self.carried = unflatten(self.carried, outcome.carried)
        memory.state = self.carried["optimizer"]
        memory.epochs += count
        memory.seconds += count * self._estimate
        return self._read(outcome)

    @property
    def _sparse(self) -> bool:
        return isinstance(self.rows[0], SparseRows)

    def _whole(self, engine: Engine, epochs: range) -> Outcome:
        """Epochs over rows in memory."""
        carried, seed = flatten(self.carried), self.memory.seed
        return engine.run(self.program, carried, self.rows, seed=seed, epochs=epochs)

    def _in_parts(self, engine: Engine, epochs: range) -> Outcome:
        """An epoch whose rows become dense some steps at a time: the same bits."""
        count, seed = len(self.rows[0]), self.memory.seed
        bounds = self.program.bounds(count)
        order = row_order(self.program, seed, epochs.start, count)
        whole = max(1, self.rows[0].rows_of_a_part // self.program.batch)
        carried, records = flatten(self.carried), []
        for first in range(0, len(bounds), whole):
            low, high = bounds[first, 0], bounds[first : first + whole, 1][-1]
            chosen = slice(low, high) if order is None else order[low:high]
            rows = [np.ascontiguousarray(each[chosen]) for each in self.rows]
            program = replace(self.program, shuffled=False, before=first)
            outcome = engine.run(program, carried, rows, seed=seed, epochs=epochs)
            carried = outcome.carried
            records.append(outcome.records)
            if not outcome.finite:
                break
        return Outcome(carried, _joined(records, len(bounds)), outcome.finite)

    def until(self, tolerance: float, most: int) -> list[float]:
        """Run until the gradient's norm is a share of the first one's; the losses.

        Raises
        ------
        DataError
            If a loss is not finite.
        """
        losses: list[float] = []
        first = None
        while len(losses) < most:
            found = self.run(most - len(losses))
            if not found.finite:
                raise DataError(
                    f"the loss was not finite in iteration {len(losses) + len(found.losses)}; use"
                    " a smaller learning_rate"
                )
            first = found.norms[0] if first is None else first
            small = np.flatnonzero(found.norms <= tolerance * first)
            losses += found.losses.tolist()[: small[0] + 1 if len(small) else None]
            if len(small):
                break
        return losses

    def _read(self, outcome: Outcome) -> Epochs:
        loss, _, penalty, norm, _ = outcome.records
        bounds = np.array(self.program.bounds(len(self.rows[0])))
        shares = (bounds[:, 1] - bounds[:, 0]) / len(self.rows[0])
        total = loss.astype(np.float64) / self.units + penalty
        losses = np.tensordot(total, shares, (1, 0))
        norms = [mean_of_finite(each) for each in norm.mean(axis=1)]
        return Epochs(losses, np.array(norms), outcome.finite)


def mean_of_finite(values: Array) -> float:
    """The mean over the members that are still finite; NaN if none is.

    >>> mean_of_finite(np.array([1.0, np.nan, 2.0])), mean_of_finite(np.array(np.inf))
    (1.5, nan)
    """
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan


def _joined(parts: Sequence[Sequence[Array]], steps: int) -> list[Array]:
    """Records of an epoch from those of its parts; of steps that did not run NaN."""
    joined = [np.concatenate(each, axis=1) for each in zip(*parts, strict=True)]
    rest = steps - joined[0].shape[1]
    widths = [[(0, 0), (0, rest), *[(0, 0)] * (each.ndim - 2)] for each in joined]
    return [
        np.pad(each, width, constant_values=np.nan) if rest else each
        for each, width in zip(joined, widths, strict=True)
    ]


@dataclass
class Patience:
    """Counts epochs in a row that were not better than the best one by more than ``tol``.

    Attributes
    ----------
    tol : float
    limit : int or infinity
        More such epochs than this, and the patience is at its end.
    best : float
        The smallest value so far.
    count : int
    """

    tol: float
    limit: float
    best: float = math.inf
    count: int = 0

    def observe(self, value: float) -> bool:
        """Take in the value of an epoch; whether it is the best."""
        self.count = self.count + 1 if value > self.best - self.tol else 0
        better = value < self.best
        if better:
            self.best = value
        return better

    @property
    def ended(self) -> bool:
        """Whether there were too many."""
        return self.count > self.limit

    @property
    def least(self) -> int:
        """How many epochs there must be before it can end."""
        return sys.maxsize if self.limit == math.inf else max(1, int(self.limit) + 1 - self.count)
