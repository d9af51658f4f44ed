"""The course of a mini-batch training: after each epoch scores, printing, callbacks, stopping."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from chainrule.errors import DataError
from chainrule.estimators.descent import Descent, Epochs, Patience, mean_of_finite
from chainrule.estimators.reporting import Reporter
from chainrule.estimators.scores import Score
from chainrule.estimators.warn import warn
from chainrule.graph.tree import unflatten
from chainrule.shapes import Array
from chainrule.training.best import mixed
from chainrule.training.snapshot import Snapshot

LEAST_RATE = 1e-6  # below which an adaptive rate ends the training
RATE_DIVISOR = 5.0


@dataclass(frozen=True)
class Rules:
    """What ends a training, and how its rate falls.

    Attributes
    ----------
    max_iter : int
    schedule : "constant", "invscaling" or "adaptive"
    rate, power : float
        The first rate, and the exponent of invscaling.
    once : bool
        Whether it is one epoch of ``partial_fit``.
    ends : float
        When the time is up, by :func:`time.monotonic`.
    verbose : int
    """

    max_iter: int
    schedule: str
    rate: float
    power: float
    once: bool
    ends: float
    verbose: int


@dataclass
class Record:
    """The attributes of an estimator that a training leaves behind, and goes on from.

    Attributes
    ----------
    losses, scores : list of float
        ``loss_curve_`` and ``validation_scores_``.
    norms, rates : list of float
        The mean norm of the gradient in each epoch, and the rate.
    rows : int
        ``t_``: how many rows were seen, in all epochs together.
    iterations : int
        ``n_iter_``
    patience : Patience
    best : Snapshot or None
        The network with the best score.
    bests : (members,) float64 or None
        The best score of each member.
    latest : (members,) float64
        The last loss of each member.
    """

    patience: Patience
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    rows: int = 0
    iterations: int = 0
    best: Snapshot | None = None
    bests: Array | None = None
    latest: Array = field(default_factory=lambda: np.full(1, np.inf))


class Course:
    """A training from its first epoch to its last.

    Parameters
    ----------
    descent : Descent
    record : Record
        Updated after each epoch.
    rules : Rules
    reporter : Reporter
    fitted : callable
        The attributes of an estimator with a network.
    score : callable or None
        Of the validation rows; the training stops by it, and its best network comes back.
    """

    def __init__(
        self,
        descent: Descent,
        record: Record,
        rules: Rules,
        reporter: Reporter,
        fitted: Callable[[Snapshot], dict[str, Any]],
        score: Score | None,
    ) -> None:
        self.descent, self.record, self.rules, self.reporter = descent, record, rules, reporter
        self._fitted, self._score = fitted, score
        if score is not None:
            record.best = descent.snapshot
            record.bests = np.full(record.best.members or 1, -record.patience.best)

    def run(self) -> None:
        """Run epochs until something ends them."""
        self.record.iterations = 0
        try:
            while not self._epochs():
                continue
        except KeyboardInterrupt:
            warn("Training interrupted by user.")

    @property
    def network(self) -> Snapshot:
        """What the training leaves behind: the best network by score, else the last."""
        return self.record.best or self.descent.snapshot

    def _epochs(self) -> bool:
        """Some epochs, and what follows each; whether the training is over."""
        found = self.descent.run(self._next_call())
        ended = False
        for place in range(len(found.losses)):
            ended = self._epoch(found, place)
        if not found.finite:
            return self._diverged()
        return ended or self._time_is_up()

    def _next_call(self) -> int:
        """Epochs in one call: as many as must run before anything is decided."""
        rules = self.rules
        watched = self._score is not None or self.reporter.active or rules.verbose
        if watched or rules.once or rules.schedule == "invscaling":
            return 1
        return min(rules.max_iter - self.record.iterations, self.record.patience.least)

    def _epoch(self, found: Epochs, place: int) -> bool:
        """What follows an epoch."""
        record, rules = self.record, self.rules
        record.iterations += 1
        record.rows += len(self.descent.rows[0])
        record.latest = np.atleast_1d(found.losses[place])
        record.losses.append(mean_of_finite(record.latest))
        record.norms.append(float(found.norms[place]))
        record.rates.append(self.descent.memory.learning_rate)
        if rules.verbose:
            print(f"Iteration {record.iterations}, loss = {record.losses[-1]:.8f}")
        self._observe(found.finite)
        self._lower_rate()
        wanted = self.reporter.iteration(lambda: self._fitted(self.descent.snapshot))
        ended = record.patience.ended and self._out_of_patience()
        if not (ended or wanted or rules.once) and record.iterations == rules.max_iter:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({rules.max_iter}) reached and the"
                " optimization hasn't converged yet.",
                ConvergenceWarning,
            )
        return ended or wanted or rules.once or record.iterations == rules.max_iter

    def _observe(self, finite: bool) -> None:
        """The score, or the loss, as patience sees it."""
        record = self.record
        if self._score is None:
            record.patience.observe(record.losses[-1])
            return
        network = self.descent.snapshot
        members = network.members or 1
        scores = self._score(network, self.descent.engine) if finite else np.full(members, np.nan)
        record.scores.append(mean_of_finite(scores))
        if self.rules.verbose:
            print(f"Validation score: {record.scores[-1]:f}")
        record.patience.observe(-record.scores[-1])
        self._keep(network, scores)

    def _keep(self, network: Snapshot, scores: Array) -> None:
        """Keep each member's best network."""
        record = self.record
        assert record.best is not None and record.bests is not None
        better = scores > record.bests
        if better.any():
            record.bests = np.where(better, scores, record.bests)
            record.best = chosen_members(better, network, record.best)

    def _lower_rate(self) -> None:
        if self.rules.schedule == "invscaling":
            rows = self.record.rows + 1
            self.descent.memory.learning_rate = self.rules.rate / rows**self.rules.power

    def _out_of_patience(self) -> bool:
        """Whether the training ends here; an adaptive rate falls first."""
        memory, patience = self.descent.memory, self.record.patience
        what = "Training loss" if self._score is None else "Validation score"
        text = (
            f"{what} did not improve more than tol={patience.tol:f} for {patience.limit}"
            " consecutive epochs."
        )
        if self.rules.schedule != "adaptive":
            return self._said(f"{text} Stopping.")
        if memory.learning_rate <= LEAST_RATE:
            return self._said(f"{text} Learning rate too small. Stopping.")
        memory.learning_rate /= RATE_DIVISOR
        patience.count = 0
        return not self._said(f"{text} Setting learning rate to {memory.learning_rate:f}")

    def _said(self, text: str) -> bool:
        """True, after printing ``text`` if somebody wants to read."""
        if self.rules.verbose:
            print(text)
        return True

    def _time_is_up(self) -> bool:
        if time.monotonic() < self.rules.ends:
            return False
        return self._said("The time limit has passed. Stopping.")

    def _diverged(self) -> bool:
        """The end where the loss is not finite: the best network comes back, or an error."""
        where = f"The loss was not finite in epoch {self.record.iterations}"
        if self.record.bests is not None and np.isfinite(self.record.bests).any():
            warn(f"{where}: the network of the best score before it is kept.", ConvergenceWarning)
            return True
        raise DataError(
            "Solver produced non-finite parameter weights. The input data may contain large values"
            f" and need to be preprocessed. ({where}; a smaller learning_rate_init or clip_norm may"
            " help too.)"
        )


def chosen_members(chosen: Array, new: Snapshot, old: Snapshot) -> Snapshot:
    """For each member the new network where it is chosen, else the old one."""
    like = [new.parameters, new.states]
    parameters, states = unflatten(like, mixed(chosen, new.leaves, old.leaves))
    return Snapshot(parameters, states, new.members)
