"""How parameters are moved: by a program of optimizer steps, or by L-BFGS on all rows at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule import optim
from chainrule.engines.base import BoundedCache, Outcome, Program
from chainrule.engines.registry import get_engine
from chainrule.errors import DataError, ParameterError
from chainrule.graph.cost import operations
from chainrule.graph.graph import Graph
from chainrule.graph.tree import flatten, map_tree, match_form, unflatten
from chainrule.nn.base import Mode
from chainrule.optim import LBFGS, Optimizer
from chainrule.shapes import Array
from chainrule.training.best import Leaves
from chainrule.training.loop import Method, Training
from chainrule.training.snapshot import Snapshot
from chainrule.training.steps import Rows, differentiated, placeholders, step_graphs
from chainrule.training.streaming import Portion
from chainrule.transforms import simplify

CALL_SECONDS = 0.25  # after which Ctrl-C should find Python again
GROWTH = 4  # of the epochs in a call, from one call to the next
PART_SECONDS = 2.0  # of a part of a long epoch
KEPT_PARTS = 16  # programs of parts: while they live, engines keep the work space of the last
NODE_SECONDS = 2e-6  # what evaluating a node takes on the reference engine, however small
OPERATION_SECONDS = 5e-10  # what each scalar operation adds


def method_of(optimizer: Any) -> Method:
    """How an optimizer, or the optimizer of a name, moves parameters."""
    rule = optim.get(optimizer)
    return QuasiNewton(rule) if isinstance(rule, LBFGS) else Steps(rule)


class Steps(Method):
    """Mini-batch training: one program, whose step holds the optimizer's update.

    Parameters
    ----------
    optimizer : Optimizer
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._parts: BoundedCache[tuple[bool, range, int], Program] = BoundedCache(KEPT_PARTS)

    def start(self, training: Training) -> Any:
        """The optimizer's state, for each member its own; the program is made."""
        order = _order(training)
        self.rows, self.plan = training.task.rows, training.plan
        self.engine = get_engine(self.plan.engine)  # which may prepare itself from now on
        self.bounds = order.bounds(training.task.n_rows)
        steps = self.steps = len(self.bounds)
        self.optimizer = self.optimizer.bind(steps, max(1, steps * self.plan.epochs))
        state = self._first_state(training.snapshot)
        carried = {**training.carried, "optimizer": state}
        graphs = step_graphs(
            training.model.architecture,
            training.task.objective,
            self.optimizer,
            carried,
            Rows.like(self.rows),
            training.members,
        )
        self.program = replace(order, **graphs._asdict(), carried=len(flatten(carried)))
        seconds = epoch_seconds(self.program, training.task.n_rows) / self.engine.speed
        fitting = 0 if training.task.stream else int(CALL_SECONDS / seconds)
        self.several = fitting > 1 and not training.watched
        self.chunk = fitting if self.several else 1
        long = self.engine.splits_epochs and seconds > PART_SECONDS
        self.part = max(1, int(steps * PART_SECONDS / seconds)) if long else steps
        if not self.several and training.keeper is None:  # else older optimizer states are kept
            self.program = replace(self.program, donated=len(flatten(state)))
        return state

    def _first_state(self, snapshot: Snapshot) -> Any:
        if not snapshot.members:
            return self.optimizer.init(snapshot.parameters)
        singles = [snapshot.member(each).parameters for each in range(snapshot.members)]
        states = [self.optimizer.init(parameters) for parameters in singles]
        return map_tree(lambda *leaves: np.stack(leaves), *states)

    def run(self, training: Training) -> None:
        """Run the program, ``chunk`` epochs a call: as many as the call's time allows.

        Of an epoch that takes long, a call runs some of the steps.
        """
        going = training.epoch + 1 < self.plan.epochs
        with closing(self._portions(training)) as portions:
            while going:
                first = training.epoch + 1
                epochs = range(first, min(first + self.chunk, self.plan.epochs))
                began = time.perf_counter()
                if training.step or self.part < self.steps or training.task.stream:
                    epochs = range(first, first + 1)
                    outcome = self._in_parts(training, epochs, portions)
                else:
                    outcome = self._outcome(flatten(training.carried), epochs)
                if self.several:
                    self._fit_chunk((time.perf_counter() - began) / len(epochs))
                going = training.take_in(outcome, began) and epochs.stop < self.plan.epochs

    def _in_parts(self, training: Training, epoch: range, portions: Iterator[Portion]) -> Outcome:
        """One epoch in several calls, between which Ctrl-C is heard and checkpoints are written.

        What the parts are depends on the clock; what they give does not.
        """
        while True:
            portion = next(portions)
            while training.step < portion.stop:
                outcome = self._part(training, epoch, portion)
                records = _joined(training.records, outcome.records)
                if not outcome.finite or records[0].shape[1] == self.steps:
                    return replace(outcome, records=records)
                training.take_part(outcome.carried, records)

    def _portions(self, training: Training) -> Generator[Portion, None, None]:
        """The rows that are still to come: all that there are, again and again, or as read."""
        stream, plan = training.task.stream, self.plan
        while stream is None:
            yield Portion(self.rows, 0, self.steps)
        epochs = range(training.epoch + 1, plan.epochs)
        yield from stream.portions(
            epochs, self.bounds, training.step, seed=plan.seed, shuffled=plan.shuffle
        )

    def _part(self, training: Training, epoch: range, portion: Portion) -> Outcome:
        """Some steps, all of them in one portion."""
        stop = min(training.step + self.part, portion.stop)
        began = time.perf_counter()
        outcome = self.engine.run(
            self._program(training, portion, stop), flatten(training.carried), portion.rows,
            seed=self.plan.seed, epochs=epoch,
        )  # fmt: skip
        if self.engine.splits_epochs:
            factor = PART_SECONDS / max(time.perf_counter() - began, PART_SECONDS / GROWTH)
            self.part = max(1, int((stop - training.step) * factor))
        return outcome

    def _program(self, training: Training, portion: Portion, stop: int) -> Program:
        """The program for the steps of a portion up to one of them.

        Programs are kept: engines give back the work space of one that is no more.
        """
        first = portion.first
        shuffled = self.program.shuffled and training.task.stream is None  # else they are already
        steps = range(training.step - first, stop - first)
        return self._parts.get(
            (shuffled, steps, first),
            lambda: replace(self.program, shuffled=shuffled, steps=steps, before=first),
        )

    def _fit_chunk(self, seconds: float) -> None:
        """What was estimated cautiously grows to what an epoch takes."""
        fitting = int(CALL_SECONDS / max(seconds, CALL_SECONDS / self.plan.epochs))
        self.chunk = max(1, min(fitting, GROWTH * self.chunk))

    def rerun(self, leaves: Leaves, epochs: range) -> Leaves:
        """The same epochs again, from the same carried values: the same bits."""
        return self._outcome(leaves, epochs).carried

    def _outcome(self, leaves: Leaves, epochs: range) -> Outcome:
        return self.engine.run(self.program, leaves, self.rows, seed=self.plan.seed, epochs=epochs)


def _joined(before: Sequence[Array], after: Sequence[Array]) -> list[Array]:
    """Records of the steps of one epoch, (1, steps, ...), one part behind the other."""
    if not before:
        return list(after)
    return [np.concatenate(pair, axis=1) for pair in zip(before, after, strict=True)]


def _order(training: Training) -> Program:
    """The program before its step is known: how rows are gone through."""
    plan = training.plan
    count = training.task.n_rows
    batch_size = count if plan.batch_size is None else min(plan.batch_size, count)
    in_pairs = any(layer.needs_batch_statistics for layer in training.model.layers)
    if in_pairs and batch_size < 2:
        raise DataError("batch normalisation needs at least two rows in every batch to train on")
    return Program(
        Graph((), ()),
        carried=0,
        batch=batch_size,
        shuffled=plan.shuffle,
        merge_single_row=in_pairs,
        drop_last=plan.drop_last,
        replacement=plan.replacement,
    )


def epoch_seconds(program: Program, rows: int) -> float:
    """A cautious estimate of an epoch's seconds, from the graph and the shapes alone."""
    work = operations(program.step, program.batch) * OPERATION_SECONDS
    return len(program.bounds(rows)) * (work + len(program.step.nodes) * NODE_SECONDS)


class Evaluation(NamedTuple):
    """The objective at one vector of parameters.

    Attributes
    ----------
    loss, penalty : float
    slope : (n,) float64
        The gradient of their sum.
    states : list of arrays
        The layers' states after this pass over the rows.
    """

    loss: float
    penalty: float
    slope: Array
    states: Leaves


class QuasiNewton(Method):
    """Full-batch training by L-BFGS: loss and gradient are graph, the search is SciPy's.

    An epoch is one iteration of the search.

    Parameters
    ----------
    optimizer : LBFGS
    """

    resumable = False

    def __init__(self, optimizer: LBFGS) -> None:
        self.optimizer = optimizer

    def start(self, training: Training) -> Any:
        """Nothing is carried; what cannot be done is refused."""
        if training.task.stream is not None:
            raise ParameterError("LBFGS takes rows that are in memory; use Adam")
        if training.members:
            raise ParameterError(
                "LBFGS trains one network at a time; leave members and restarts at 1"
            )
        if any(layer.needs_key for layer in training.model.layers):
            raise ParameterError(
                "LBFGS needs a loss without randomness; leave dropout out, or use Adam"
            )
        if training.task.objective.regularization.projection:
            raise ParameterError("LBFGS has no steps to project; leave max_norm out, or use Adam")
        return {}

    def run(self, training: Training) -> None:
        """Search, as many iterations as epochs were asked for."""
        epochs, evaluate = training.plan.epochs, self._evaluator(training)
        like = training.carried["parameters"]
        began = time.perf_counter()

        def after_iteration(flat: Array, value: float) -> bool:
            nonlocal began
            found = evaluate(flat)
            norm = np.linalg.norm(found.slope)
            records = [np.array([[x]]) for x in (found.loss, 1.0, found.penalty, norm)]
            carried = [*flatten(_unflattened(flat, like)), *found.states]
            goes_on = training.take_in(Outcome(carried, records), began)
            began = time.perf_counter()
            return not goes_on or training.history.epochs >= epochs

        def value_and_gradient(flat: Array) -> tuple[float, Array]:
            found = evaluate(flat)
            return found.loss + found.penalty, found.slope

        if epochs:
            found = self.optimizer.minimize(value_and_gradient, _flattened(like), after_iteration)
            if training.stop_reason is None and training.history.epochs < epochs:
                training.stop(f"the search ended: {found.message.strip().lower()}")

    def _evaluator(self, training: Training) -> Callable[[Array], Evaluation]:
        """The objective over all rows, at a flat vector of parameters."""
        carried = {name: training.carried[name] for name in ("parameters", "states")}
        inputs, rows = placeholders(carried, None), Rows.like(training.task.rows)
        scalars, slopes, states = differentiated(
            training.model.architecture, training.task.objective, inputs, rows, Mode(True)
        )
        outputs = simplify([*scalars, *slopes, *flatten(match_form(states, carried["states"]))])
        graph = Graph((*flatten(inputs), *rows.nodes), tuple(outputs))
        run = get_engine(training.plan.engine).compile(graph)
        last: list[tuple[Array, Evaluation]] = []  # the search asks again where an iteration ends

        def evaluate(flat: Array) -> Evaluation:
            if not last or not np.array_equal(last[0][0], flat):
                arrays = flatten(_unflattened(flat, carried["parameters"]))
                found = run([*arrays, *flatten(carried["states"]), *training.task.rows])
                loss, penalty, rest = float(found[0]), float(found[1]), found[2:]
                slope = _flattened(rest[: len(slopes)])
                last[:] = [(flat.copy(), Evaluation(loss, penalty, slope, rest[len(slopes) :]))]
            return last[0][1]

        return evaluate


def _flattened(tree: Any) -> Array:
    return np.concatenate([np.ravel(leaf) for leaf in flatten(tree)]).astype(np.float64)


def _unflattened(flat: Array, like: Any) -> Any:
    """A flat vector cut into arrays of the shapes and types of ``like``."""
    leaves = flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = np.split(flat, ends[:-1])
    return unflatten(
        like, [p.reshape(x.shape).astype(x.dtype) for p, x in zip(parts, leaves, strict=True)]
    )
