"""Full-batch training of estimators by L-BFGS: value and gradient are graph, the search SciPy's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from chainrule.engines.base import Executable
from chainrule.estimators.machine import Machine
from chainrule.graph.tree import flatten, unflatten
from chainrule.shapes import Array

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
    """

    parameters: Any
    value: float
    iterations: int


class Packing:
    """A tree of arrays as one float64 vector, and back."""

    def __init__(self, like: Any) -> None:
        self.like = like
        self.leaves = flatten(like)
        self._ends = np.cumsum([leaf.size for leaf in self.leaves])

    def packed(self, leaves: Sequence[Array]) -> Array:
        """One vector."""
        return np.concatenate([leaf.ravel() for leaf in leaves]).astype(np.float64)

    def parts(self, flat: Array) -> list[Array]:
        """The leaves, in their own shapes and types."""
        parts = np.split(flat, self._ends[:-1])
        return [
            part.reshape(leaf.shape).astype(leaf.dtype)
            for part, leaf in zip(parts, self.leaves, strict=True)
        ]


def search(
    machine: Machine,
    carried: Any,
    rows: Sequence[Array],
    limits: Search,
    report: Report,
    engine: str | None = None,
) -> Found:
    """Where L-BFGS comes to from the carried parameters, with a warning if it has to give up.

    Parameters
    ----------
    machine : Machine
    carried : tree of arrays
        ``parameters`` and ``states``.
    rows : list of arrays
    limits : Search
    report : callable
        Called after each iteration.
    engine : str or None
    """
    packing = Packing(carried["parameters"])
    result = minimize(
        objective(machine.value_and_slopes(carried, rows, engine), packing, carried, rows),
        packing.packed(packing.leaves),
        jac=True,
        method="L-BFGS-B",
        callback=_reporting(report, packing),
        options=limits.options,
    )
    warn_unless_converged(result, limits.max_iterations)
    parameters = unflatten(packing.like, packing.parts(result.x))
    return Found(parameters, float(result.fun), min(int(result.nit), limits.max_iterations))


def objective(
    run: Executable, packing: Packing, carried: Any, rows: Sequence[Array]
) -> Callable[[Array], tuple[float, Array]]:
    """Value and gradient at a vector."""
    states = flatten(carried["states"])

    def evaluate(flat: Array) -> tuple[float, Array]:
        loss, penalty, *slopes = run([*packing.parts(flat), *states, *rows])
        return float(loss) + float(penalty), packing.packed(slopes[: len(packing.leaves)])

    return evaluate


def _reporting(report: Report, packing: Packing) -> Callable[..., None]:
    def after_iteration(intermediate_result: Any) -> None:  # SciPy reads the argument's name
        parameters = unflatten(packing.like, packing.parts(intermediate_result.x))
        if report(parameters, float(intermediate_result.fun)):
            raise StopIteration

    return after_iteration


def warn_unless_converged(result: Any, max_iterations: int) -> None:
    """Say so, as scikit-learn does, if a search ended before a tolerance was met."""
    if result.status not in (0, 99):  # 99: a callback wanted it
        warnings.warn(
            f"lbfgs failed to converge after {result.nit} iteration(s)"
            f" (status={result.status}): {result.message}; increase the number of iterations"
            f" (max_iter={max_iterations}) or scale the data",
            ConvergenceWarning,
            stacklevel=5,
        )
