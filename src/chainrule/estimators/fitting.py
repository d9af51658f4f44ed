"""One call of ``fit``: from rows and a network to the attributes of a fitted estimator."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple, cast

import numpy as np
from sklearn.model_selection import train_test_split

from chainrule.errors import DataError
from chainrule.estimators import layout
from chainrule.estimators.course import Course, Record, Rules
from chainrule.estimators.descent import Descent, Memory, Patience
from chainrule.estimators.lbfgs import Found, Search
from chainrule.estimators.lbfgs import search as search_minimum
from chainrule.estimators.machine import (
    Machine,
    carried_from,
    first_state,
    snapshot_from,
)
from chainrule.estimators.precision import BATCH
from chainrule.estimators.reporting import Reporter
from chainrule.estimators.rules import RateInVelocity, UncorrectedEpsilonAdam
from chainrule.estimators.scores import scorer_for
from chainrule.estimators.warn import warn
from chainrule.graph.tree import map_tree
from chainrule.optim import Optimizer
from chainrule.optim.schedules import Schedule
from chainrule.shapes import Array, Dtype
from chainrule.training.snapshot import Snapshot, finite_members


class Job(NamedTuple):
    """What is fitted.

    Attributes
    ----------
    estimator : Multilayer
        Its settings are read, and its attributes where a training goes on; nothing is written.
    machine : Machine
    goal : Goal
    network : Snapshot
        Where the training starts.
    reporter : Reporter
    first : bool
        Whether it goes on from no earlier call.
    dtype : element type
        Of the attributes; the machine may compute in another.
    ends : float
        When the time is up, by :func:`time.monotonic`.
    """

    estimator: Any
    machine: Machine
    goal: layout.Goal
    network: Snapshot
    reporter: Reporter
    first: bool
    dtype: Dtype
    ends: float = math.inf

    def attributes(self, network: Snapshot) -> dict[str, Any]:
        """What makes an estimator ready to predict."""
        found = layout.attributes_of(self.machine.architecture, network, self.dtype)
        return {
            **found,
            "n_layers_": len(found["coefs_"]) + 1,
            "n_outputs_": outputs_of(self.goal),
            "out_activation_": self.goal.activation,
            "training_dtype_": self.machine.architecture.dtype,
        }


def outputs_of(goal: layout.Goal) -> int:
    """``n_outputs_``: columns of targets, or classes."""
    return goal.loss.target_width(goal.outputs)


# Mini-batches


def descend(
    job: Job,
    rows: list[Array],
    held_out: list[Array] | None,
    generator: np.random.RandomState,
    once: bool,
) -> dict[str, Any]:
    """Train by mini-batches; the attributes that follow.

    Parameters
    ----------
    job : Job
    rows : list of arrays
    held_out : list of arrays or None
        Validation rows of the user's own.
    generator : RandomState
    once : bool
        Whether to stop after one epoch.
    """
    estimator, network = job.estimator, job.network
    if estimator.early_stopping and held_out is None:
        rows, held_out = divided(estimator, rows, generator)
    _require_weights(training=rows, validation=held_out or [])
    scored = held_out is not None
    record = _record(estimator, job.first, scored)
    batch = batch_of(estimator.batch_size, len(rows[0]))
    steps = -(-len(rows[0]) // batch)
    memory = _memory(estimator, network, generator, once and not job.first, steps)
    descent = Descent(
        job.machine,
        carried_from(network, estimator.alpha),
        rows,
        memory,
        batch=batch,
        shuffle=estimator.shuffle,
        members=network.members,
        engine=estimator.engine,
        units=job.goal.units,
        least=1 if once else min(estimator.max_iter, record.patience.least),
        most=estimator.max_iter,
    )
    score = None if held_out is None else scorer_for(estimator, held_out, job.machine)
    course = Course(descent, record, _rules(job, once), job.reporter, job.attributes, score)
    course.run()
    found = course.network
    if estimator.restarts > 1 and found.members is not None:
        best = _best_member(course.record)
        found = found.member(best)
        memory.state = map_tree(lambda leaf: leaf[best], memory.state)
    _require_finite(found)
    return {**job.attributes(found), **_attributes(course, scored), "_optimizer": memory}


def divided(
    estimator: Any, rows: list[Array], generator: np.random.RandomState
) -> tuple[list[Array], list[Array]]:
    """Training rows and validation rows: scikit-learn's own division for a generator."""
    train, held_out = train_test_split(
        np.arange(len(rows[0])),
        random_state=generator,
        test_size=estimator.validation_fraction,
        stratify=estimator._stratify(rows[1]),
    )
    if len(held_out) < 2:
        raise DataError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your"
            " dataset."
        )
    return [each.take(train, 0) for each in rows], [each.take(held_out, 0) for each in rows]


def _require_weights(**parts: list[Array]) -> None:
    """Refuse rows of which each weighs 0, if only by its class."""
    for name, rows in parts.items():
        if len(rows) > 2 and not rows[2].any():
            raise DataError(
                f"the weights of all {len(rows[2])} {name} rows are 0; leave out rows that weigh"
                " nothing, or choose the validation rows by X_val"
            )


def batch_of(batch_size: Any, rows: int) -> int:
    """Rows a step."""
    if batch_size == "auto":
        return min(BATCH, rows)
    if batch_size > rows:
        warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
    return min(int(batch_size), rows)


def rule_of(estimator: Any) -> Optimizer:
    """The update rule, its rate 1: the rate is carried along."""
    if isinstance(estimator.solver, Optimizer):
        return estimator.solver
    schedule = estimator.learning_rate
    settings = {
        "learning_rate": schedule if isinstance(schedule, Schedule) else 1.0,
        "clip_norm": estimator.clip_norm,
        "clip_value": estimator.clip_value,
    }
    if estimator.solver == "sgd":
        momentum, nesterov = float(estimator.momentum), bool(estimator.nesterovs_momentum)
        return RateInVelocity(momentum=momentum, nesterov=nesterov, **settings)
    betas = float(estimator.beta_1), float(estimator.beta_2)
    return UncorrectedEpsilonAdam(betas=betas, epsilon=float(estimator.epsilon), **settings)


def _memory(
    estimator: Any,
    network: Snapshot,
    generator: np.random.RandomState,
    goes_on: bool,
    steps: int,
) -> Memory:
    """A new optimizer, or the one that ``partial_fit`` goes on with."""
    if goes_on and hasattr(estimator, "_optimizer"):
        return cast("Memory", estimator._optimizer).for_network(network)
    rule = rule_of(estimator).bind(steps, steps * estimator.max_iter)
    own_rate = isinstance(estimator.solver, Optimizer) or isinstance(rule.learning_rate, Schedule)
    rate = 1.0 if own_rate else float(estimator.learning_rate_init)
    seed = int(generator.randint(layout.SEEDS))
    return Memory(rule, first_state(rule, network), rate, seed)


def _rules(job: Job, once: bool) -> Rules:
    estimator = job.estimator
    schedule = estimator.learning_rate
    falls = estimator.solver == "sgd" and not isinstance(schedule, Schedule)
    return Rules(
        max_iter=estimator.max_iter,
        schedule=schedule if falls else "constant",
        rate=estimator.learning_rate_init,
        power=estimator.power_t,
        once=once,
        ends=job.ends,
        verbose=int(estimator.verbose),
    )


def _record(estimator: Any, first: bool, scored: bool) -> Record:
    """What earlier calls left behind."""
    patience = Patience(estimator.tol, estimator.n_iter_no_change)
    if first:
        return Record(patience)
    best = getattr(estimator, "best_validation_score_" if scored else "best_loss_", None)
    if best is not None:
        patience.best = -best if scored else best
        patience.count = getattr(estimator, "_no_improvement_count", 0)
    history = getattr(estimator, "history_", {})
    return Record(
        patience,
        losses=list(getattr(estimator, "loss_curve_", ())),
        scores=list(getattr(estimator, "validation_scores_", None) or ()),
        norms=list(history.get("gradient_norm", ())),
        rates=list(history.get("learning_rate", ())),
        rows=getattr(estimator, "t_", 0),
    )


def _best_member(record: Record) -> int:
    """The member with the best score, or else the smallest loss."""
    worth = -record.latest if record.bests is None else record.bests
    return int(np.argmax(np.nan_to_num(worth, nan=-np.inf)))


def _attributes(course: Course, scored: bool) -> dict[str, Any]:
    record, patience = course.record, course.record.patience
    history = {"loss": record.losses, "gradient_norm": record.norms, "learning_rate": record.rates}
    if scored:
        history["validation_score"] = record.scores
    return {
        "loss_": record.losses[-1] if record.losses else math.nan,
        "loss_curve_": record.losses,
        "best_loss_": None if scored else patience.best,
        "validation_scores_": record.scores if scored else None,
        "best_validation_score_": -patience.best if scored else None,
        "n_iter_": record.iterations,
        "t_": record.rows,
        "history_": {name: np.array(column) for name, column in history.items()},
        "_no_improvement_count": patience.count,
        "_prediction_engine": course.descent.engine,
    }


# L-BFGS


def search(job: Job, rows: list[Array]) -> dict[str, Any]:
    """Train by L-BFGS, each member by itself in its share of the time; the attributes after it."""
    singles = [job.network.member(each) for each in range(job.network.members or 1)]
    found = []
    for done, network in enumerate(singles):
        now = time.monotonic()
        ends = now + (job.ends - now) / (len(singles) - done)
        found.append(_searched(job._replace(network=network, ends=ends), rows))
    if job.estimator.restarts > 1:
        found = [min(found, key=lambda each: each.value)]
    networks = [
        snapshot_from({"parameters": each.parameters, "states": single.states}, None)
        for each, single in zip(found, singles, strict=False)
    ]
    several = len(networks) > 1
    return {
        **job.attributes(Snapshot.of_members(networks) if several else networks[0]),
        "loss_": float(np.mean([each.value for each in found])),
        "n_iter_": max(each.iterations for each in found),
        "t_": 0,
        "_prediction_engine": found[0].engine,
    }


def _searched(job: Job, rows: list[Array]) -> Found:
    estimator, network = job.estimator, job.network
    limits = Search(estimator.max_iter, estimator.max_fun, estimator.tol)

    def report(parameters: Any, value: float) -> bool:
        if estimator.verbose:
            print(f"loss = {value:.8f}")
        wanted = job.reporter.iteration(
            lambda: job.attributes(network._replace(parameters=parameters))
        )
        return wanted or time.monotonic() > job.ends

    carried = carried_from(network, estimator.alpha)
    listening = estimator.verbose or job.reporter.active or job.ends < math.inf
    found = search_minimum(
        job.machine, carried, rows, limits, report if listening else None, estimator.engine
    )
    _require_finite(network._replace(parameters=found.parameters))
    return found


def _require_finite(network: Snapshot) -> None:
    finite = finite_members(network.leaves, network.members)
    if not finite.all():
        raise DataError(
            "Solver produced non-finite parameter weights. The input data may contain large"
            f" values and need to be preprocessed. ({(~finite).sum()} of {len(finite)} networks.)"
        )
