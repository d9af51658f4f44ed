"""L-BFGS, SciPy's: host code around a function that gives the full-batch loss and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Any, NamedTuple, NoReturn

import numpy as np

from chainrule.errors import DivergenceError, ParameterError, missing_extra
from chainrule.optim.settings import COUNT, FROM_ZERO, Settings, setting
from chainrule.records import dataclass
from chainrule.shapes import Array

ValueAndGradient = Callable[[Array], tuple[float, Array]]
Callback = Callable[[Array, float], bool | None]


class Minimum(NamedTuple):
    """Where L-BFGS ended.

    Attributes
    ----------
    parameters : (n,) float64
    value : float
    iterations : int
    converged : bool
        Whether a tolerance was met.
    message : str
        Why it ended, in SciPy's words.
    """

    parameters: Array
    value: float
    iterations: int
    converged: bool
    message: str


@dataclass(frozen=True)
class LBFGS(Settings):
    r"""A quasi-Newton method on the whole training set, with a line search in place of a rate.

    .. math:: \theta \leftarrow \theta - \alpha H g

    with :math:`H` an estimate of the inverse Hessian from the last ``memory`` steps.

    Parameters
    ----------
    max_iterations : int >= 1
    gradient_tolerance : float >= 0
        Converged when no element of the gradient is larger.
    value_tolerance : float >= 0
        Converged when an iteration lowers the value by no more than this fraction of it (or, for
        values below 1, by no more than this).
    memory : int >= 1
        Steps remembered; each costs two vectors of the parameters' size.
    max_line_search : int >= 1
        Evaluations in one line search.

    References
    ----------
    Byrd, Lu, Nocedal, Zhu (1995), A limited memory algorithm for bound constrained optimization;
    run without bounds by ``scipy.optimize.minimize(method="L-BFGS-B")``.

    Examples
    --------
    >>> import numpy as np
    >>> found = LBFGS().minimize(lambda x: (((x - 3) ** 2).sum(), 2 * (x - 3)), np.zeros(2))
    >>> found.parameters.round(6), found.converged
    (array([3., 3.]), True)
    """

    max_iterations: int = setting(COUNT, 200)
    _: KW_ONLY
    gradient_tolerance: float = setting(FROM_ZERO, 1e-5)
    value_tolerance: float = setting(FROM_ZERO, 2.220446049250313e-09)
    memory: int = setting(COUNT, 10)
    max_line_search: int = setting(COUNT, 20)

    def minimize(
        self,
        value_and_gradient: ValueAndGradient,
        start: Array,
        callback: Callback | None = None,
    ) -> Minimum:
        """The minimum that is found from ``start``.

        Parameters
        ----------
        value_and_gradient : function of an (n,) float64 array
            Gives the value, a float, and the gradient, an (n,) array of floats.
        start : (n,) array of floats
        callback : function of the parameters and the value, or None
            Called after each iteration; if it returns True, the search ends.

        Raises
        ------
        DivergenceError
            If the value is not finite at the start.
        MissingExtraError
            If SciPy is not installed.
        """
        try:
            from scipy.optimize import minimize
        except ImportError as reason:
            raise missing_extra("LBFGS", "sklearn") from reason

        def after_iteration(intermediate_result: Any) -> None:  # SciPy reads the argument's name
            if callback and callback(intermediate_result.x.copy(), float(intermediate_result.fun)):
                raise StopIteration

        result = minimize(
            _in_float64(value_and_gradient),
            np.asarray(start, np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=after_iteration,
            options=self._options(),
        )
        if not np.isfinite(result.fun):
            raise DivergenceError(
                f"LBFGS found no finite value: it is {float(result.fun)} at the start; "
                "scale the inputs or start from smaller parameters"
            )
        return Minimum(
            result.x, float(result.fun), int(result.nit), bool(result.success), str(result.message)
        )

    def update(self, *_: Any) -> NoReturn:
        """Nothing: L-BFGS evaluates the loss several times a step.

        Raises
        ------
        ParameterError
            Always.
        """
        raise ParameterError(
            "LBFGS has no update(parameters, gradients, state): it evaluates the full-batch loss "
            "several times a step; call minimize(value_and_gradient, start) or model.fit"
        )

    def _options(self) -> dict[str, Any]:
        return {
            "maxiter": self.max_iterations,
            "maxfun": self.max_iterations * (1 + self.max_line_search),
            "gtol": self.gradient_tolerance,
            "ftol": self.value_tolerance,
            "maxcor": self.memory,
            "maxls": self.max_line_search,
        }


def _in_float64(value_and_gradient: ValueAndGradient) -> ValueAndGradient:
    """The Fortran-born routine takes float64 only, and may reuse the array it passes."""

    def evaluate(flat: Array) -> tuple[float, Array]:
        value, gradient = value_and_gradient(flat.copy())
        return float(value), np.asarray(gradient, np.float64)

    return evaluate
