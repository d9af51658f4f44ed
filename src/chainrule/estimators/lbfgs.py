"""Full-batch training of estimators by L-BFGS: value and gradient are graph, the search SciPy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from chainrule.engines.base import Executable
from chainrule.engines.blas import one_blas_thread
from chainrule.estimators.machine import WARM_UP_SECONDS, Machine
from chainrule.estimators.risk import STRENGTH
from chainrule.estimators.sparse import SparseRows
from chainrule.estimators.warn import warn
from chainrule.graph.tree import flatten, unflatten
from chainrule.shapes import Array

Evaluate = Callable[[Array], tuple[float, Array]]
"""Gives value and gradient at a vector."""

Report = Callable[[Any, float], bool]
"""Takes the parameters and the value after an iteration; whether to stop."""


class Search(NamedTuple):
    """Limits and tolerances of a search.

    Attributes
    ----------
    max_iterations, max_evaluations : int
    gradient_tolerance, value_tolerance : float
    max_line_search : int
    """

    max_iterations: int
    max_evaluations: int = 15_000
    gradient_tolerance: float = 1e-4
    value_tolerance: float = 2.220446049250313e-09
    max_line_search: int = 20

    @property
    def options(self) -> dict[str, Any]:
        """As SciPy calls them."""
        return {
            "maxiter": self.max_iterations,
            "maxfun": self.max_evaluations,
            "gtol": self.gradient_tolerance,
            "ftol": self.value_tolerance,
            "maxls": self.max_line_search,
        }


class Found(NamedTuple):
    """Where a search ended.

    Attributes
    ----------
    parameters : tree of arrays
    value : float
    iterations : int
    engine : str or None
        What evaluated loss and gradient.
    """

    parameters: Any
    value: float
    iterations: int
    engine: str | None


class Packing:
    """A tree of arrays as one float64 vector, and back.

    Attributes
    ----------
    leaves : list of arrays
    size : int
        How many numbers there are.
    """

    def __init__(self, like: Any) -> None:
        self.like = like
        self.leaves = flatten(like)
        ends = np.cumsum([leaf.size for leaf in self.leaves]).tolist()
        self.size = ends[-1]
        self._places = [
            (slice(end - leaf.size, end), leaf.shape, leaf.dtype)
            for end, leaf in zip(ends, self.leaves, strict=True)
        ]

    def packed(self, leaves: Sequence[Array]) -> Array:
        """One vector."""
        return np.concatenate([leaf.ravel() for leaf in leaves]).astype(np.float64)

    def parts(self, flat: Array) -> list[Array]:
        """The leaves, in their own shapes and types."""
        return [flat[place].reshape(shape).astype(dtype) for place, shape, dtype in self._places]


def search(
    machine: Machine,
    carried: Any,
    rows: Sequence[Array],
    limits: Search,
    report: Report | None,
    engine: str | None = None,
    l1: float = 0.0,
) -> Found:
    """Where L-BFGS comes to from the carried parameters, with a warning if it has to give up.

    A search that could be over before machine code is there runs on the reference engine.

    Parameters
    ----------
    machine : Machine
    carried : tree of arrays
        ``parameters`` and ``states``.
    rows : list of arrays
    limits : Search
    report : callable or None
        Called after each iteration.
    engine : str or None
    l1 : float >= 0
        Times the sum of absolute weights is added; weights become exactly 0.
    """
    longest = machine.evaluation_seconds(carried, rows) * limits.max_iterations
    engine = "reference" if longest <= WARM_UP_SECONDS else engine
    packing = Packing(carried["parameters"])
    evaluate = objective(
        machine.value_and_slopes(carried, rows, engine), packing, carried["states"], rows
    )
    weights = sum(leaf.size for leaf in machine.architecture.penalized(carried["parameters"]))
    space: Space = Halves(l1, weights) if l1 else Space()
    with one_blas_thread():  # once for all evaluations
        result = minimize(
            space.objective(evaluate),
            space.entered(packing.packed(packing.leaves)),
            jac=True,
            method="L-BFGS-B",
            bounds=space.bounds(packing.size),
            callback=None if report is None else _reporting(report, packing, space),
            options=limits.options,
        )
    warn_unless_converged(result, limits.max_iterations)
    parameters = unflatten(packing.like, packing.parts(space.left(result.x)))
    iterations = min(int(result.nit), limits.max_iterations)
    return Found(parameters, float(result.fun), iterations, engine)


class Space:
    """The variables of a search: the parameters themselves."""

    def entered(self, flat: Array) -> Array:
        """Variables from parameters."""
        return flat

    def left(self, variables: Array) -> Array:
        """Parameters from variables."""
        return variables

    def bounds(self, size: int) -> Any:
        """The least and the greatest value of each variable; None for no bounds."""
        return None

    def objective(self, evaluate: Evaluate) -> Evaluate:
        """Value and gradient by the variables."""
        return evaluate


class Halves(Space):
    """Weights as differences of two variables that are not negative.

    Their sum is the absolute value where it counts, so that a smooth search with bounds finds the
    minimum with an L1 penalty: w = p - q, |w| = p + q (R. Tibshirani 1996, Regression shrinkage and
    selection via the lasso, section 6).

    Parameters
    ----------
    strength : float
    weights : int
        The first so many parameters are weights.
    """

    def __init__(self, strength: float, weights: int) -> None:
        self.strength, self.weights = strength, weights

    def entered(self, flat: Array) -> Array:
        weights, rest = np.split(flat, [self.weights])
        return np.concatenate([np.maximum(weights, 0), np.maximum(-weights, 0), rest])

    def left(self, variables: Array) -> Array:
        above, below, rest = np.split(variables, [self.weights, 2 * self.weights])
        return np.concatenate([above - below, rest])

    def bounds(self, size: int) -> Any:
        free = size - self.weights
        return [(0, None)] * (2 * self.weights) + [(None, None)] * free

    def objective(self, evaluate: Evaluate) -> Evaluate:
        def with_penalty(variables: Array) -> tuple[float, Array]:
            value, slope = evaluate(self.left(variables))
            weights, rest = np.split(slope, [self.weights])
            sizes = variables[: 2 * self.weights].sum()
            slopes = [weights + self.strength, self.strength - weights, rest]
            return value + self.strength * float(sizes), np.concatenate(slopes)

        return with_penalty


def objective(run: Executable, packing: Packing, states: Any, rows: Sequence[Array]) -> Evaluate:
    """Value and gradient at a vector of parameters; sparse rows are made dense in parts."""
    parts = _parts(rows)
    if len(parts) > 1:  # each has a penalty of its own, by its share of the rows
        states = {**states, STRENGTH: states[STRENGTH] / len(parts)}
    carried = flatten(states)

    def evaluate(flat: Array) -> tuple[float, Array]:
        parameters = packing.parts(flat)
        total, slope = 0.0, np.zeros(packing.size)
        for share, place in parts:
            part = rows if place is None else [each[place] for each in rows]
            loss, penalty, *slopes = run([*parameters, *carried, *part])
            total += share * (float(loss) + float(penalty))
            slope += share * packing.packed(slopes[: len(packing.leaves)])
        return total, slope

    return evaluate


def _parts(rows: Sequence[Any]) -> list[tuple[float, slice | None]]:
    """What is evaluated at once, with its share of the weights: all of it, unless it is sparse."""
    X, *others = rows
    if not isinstance(X, SparseRows):
        return [(1.0, None)]
    weights = others[1] if len(others) > 1 else np.ones(len(X))
    total = float(weights.sum()) or 1.0
    shares: list[tuple[float, slice | None]] = []
    for low in range(0, len(X), X.rows_of_a_part):
        place = slice(low, low + X.rows_of_a_part)
        shares.append((float(weights[place].sum()) / total, place))
    return [each for each in shares if each[0] > 0] or shares[:1]  # of weights that are all 0


def _reporting(report: Report, packing: Packing, space: Space) -> Callable[..., None]:
    def after_iteration(intermediate_result: Any) -> None:  # SciPy reads the argument's name
        parts = packing.parts(space.left(intermediate_result.x))
        parameters = unflatten(packing.like, parts)
        if report(parameters, float(intermediate_result.fun)):
            raise StopIteration

    return after_iteration


def warn_unless_converged(result: Any, max_iterations: int) -> None:
    """Say so, as scikit-learn does, if a search ended before a tolerance was met."""
    if result.status not in (0, 99):  # 99: a callback wanted it
        warn(
            f"lbfgs failed to converge after {result.nit} iteration(s)"
            f" (status={result.status}): {result.message}; increase the number of iterations"
            f" (max_iter={max_iterations}) or scale the data",
            ConvergenceWarning,
        )
