"""How parameters are moved: by a program of optimizer steps, or by L-BFGS on all rows at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.engines.base import Outcome, Program
from chainrule.engines.registry import get_engine
from chainrule.errors import ParameterError
from chainrule.graph.graph import Graph
from chainrule.graph.tree import flatten, map_tree, unflatten
from chainrule.nn.base import Mode
from chainrule.optim import LBFGS, Optimizer
from chainrule.shapes import Array
from chainrule.training.loop import Training
from chainrule.training.steps import Rows, placeholders, step_graph
from chainrule.transforms import gradient, simplify


class Steps:
    """Mini-batch training: one program, whose step holds the optimizer's update.

    Parameters
    ----------
    optimizer : Optimizer
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def start(self, training: Training) -> Any:
        """The optimizer's state, for each member its own."""
        steps = len(self._program(training, None, 0).bounds(len(training.rows[0])))
        self.optimizer = self.optimizer.bind(steps, max(1, steps * training.plan.epochs))
        parameters = training.carried["parameters"]
        if not training.members:
            return self.optimizer.init(parameters)
        single = [map_tree(lambda leaf, i=i: leaf[i], parameters) for i in range(training.members)]
        return map_tree(
            lambda *leaves: np.stack(leaves), *[self.optimizer.init(each) for each in single]
        )

    def run(self, training: Training) -> None:
        """Run the program, an epoch a call."""
        graph = step_graph(
            training.model,
            training.objective,
            self.optimizer,
            training.carried,
            Rows.like(training.rows),
            training.members,
        )
        program = self._program(training, graph, len(flatten(training.carried)))
        engine, seed = get_engine(training.plan.engine), training.plan.seed
        for epoch in range(training.plan.epochs):
            began, carried = time.perf_counter(), flatten(training.carried)
            outcome = engine.run(
                program, carried, training.rows, seed=seed, epochs=range(epoch, epoch + 1)
            )
            if not training.finish_epoch(outcome, began):
                return

    def rate(self, state: Any) -> Any:
        """The learning rate of the next step."""
        return self.optimizer.rate(state)

    def _program(self, training: Training, step: Any, carried: int) -> Program:
        plan = training.plan
        return Program(
            step,
            carried,
            min(plan.batch_size, len(training.rows[0])),
            shuffled=plan.shuffle,
            merge_single_row=training.model.needs_batch_statistics,
            drop_last=plan.drop_last,
            replacement=plan.replacement,
        )


class QuasiNewton:
    """Full-batch training by L-BFGS: loss and gradient are graph, the search is SciPy's.

    An epoch is one iteration of the search.

    Parameters
    ----------
    optimizer : LBFGS
    """

    def __init__(self, optimizer: LBFGS) -> None:
        self.optimizer = optimizer

    def start(self, training: Training) -> Any:
        """Nothing is carried; what cannot be done is refused."""
        if training.members:
            raise ParameterError(
                "LBFGS trains one network at a time; leave members and restarts at 1"
            )
        if any(layer.needs_key for layer in training.model.layers):
            raise ParameterError(
                "LBFGS needs a loss without randomness; leave dropout out, or use Adam"
            )
        return {}

    def rate(self, state: Any) -> Any:
        """The length of the last step is the line search's affair: there is no rate."""
        return 1.0

    def run(self, training: Training) -> None:
        """Search, as many iterations as epochs were asked for."""
        parameters = training.carried["parameters"]
        evaluate = self._evaluator(training)
        began = time.perf_counter()

        def after_iteration(flat: Array, value: float) -> bool:
            nonlocal began
            loss, slope, penalty, states = evaluate(flat)
            records = [
                np.array([[each]])
                for each in (loss, len(training.rows[0]), penalty, np.linalg.norm(slope))
            ]
            carried = flatten({"parameters": _unflattened(flat, parameters), "states": states})
            go_on = training.finish_epoch(Outcome(carried, records), began)
            began = time.perf_counter()
            return not go_on or training.history.epochs >= training.plan.epochs

        def value_and_gradient(flat: Array) -> tuple[float, Array]:
            loss, slope, penalty, _ = evaluate(flat)
            return float(loss + penalty), slope

        if training.plan.epochs:
            found = self.optimizer.minimize(
                value_and_gradient, _flattened(parameters), after_iteration
            )
            if training.stop_reason is None and training.history.epochs < training.plan.epochs:
                training.stop(f"the search ended: {found.message.strip().lower()}")

    def _evaluator(self, training: Training) -> Callable[[Array], tuple[Any, Array, Any, Any]]:
        """Loss, gradient, penalty and states at a flat vector of parameters, over all rows."""
        inputs = placeholders(
            {name: training.carried[name] for name in ("parameters", "states")}, None
        )
        rows = Rows.like(training.rows)
        loss, penalty, states = training.objective.build(training.model, inputs, rows, Mode(True))
        (total,) = simplify([loss if penalty is None else loss + penalty])
        slopes = gradient(total, flatten(inputs["parameters"]))
        outputs = [
            loss,
            ops.zeros_like(loss) if penalty is None else penalty,
            *slopes,
            *flatten(dict(states)),
        ]
        graph = Graph((*flatten(inputs), *rows.nodes), tuple(simplify(outputs)))
        run = get_engine(training.plan.engine).compile(graph)
        carried, count = training.carried, len(slopes)

        def evaluate(flat: Array) -> tuple[Any, Array, Any, Any]:
            arrays = flatten(_unflattened(flat, carried["parameters"]))
            loss, penalty, *rest = run([*arrays, *flatten(carried["states"]), *training.rows])
            return (
                loss,
                _flattened(rest[:count]),
                penalty,
                unflatten(carried["states"], rest[count:]),
            )

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
