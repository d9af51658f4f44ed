"""What people call: leaves with values, derivatives of functions, compiled functions."""

from chainrule.expressions.compiled import compile
from chainrule.expressions.functions import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from chainrule.expressions.values import Variable, evaluate, gradient, variable

__all__ = [
    "Variable",
    "compile",
    "evaluate",
    "grad",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_grad",
    "variable",
    "vjp",
]
