"""Powers of which one operand is known: what optimizers take each step, without the C library."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np

from chainrule.engines.native.elementary import exp
from chainrule.engines.native.lanes import Lanes, absolute, choose, multiply_add
from chainrule.engines.native.mathematics import square_root

DIGITS = 60  # of a logarithm, more than two numbers hold


def power_of(base: float, x: Lanes) -> Lanes:
    """base ** x for a positive finite base other than 1: exp(p + e) = exp(p) + e exp(p).

    p + e is the product of x and a logarithm in two parts, p = fl(x high), exactly but for the
    last digits of e (T. J. Dekker 1971, "A floating-point technique for extending the available
    precision").
    """
    high, low = _logarithm(base, np.float32 if x.type.element == "float" else np.float64)
    product = x * high
    result = exp(product)
    rest = multiply_add(x, low, multiply_add(x, high, -product))
    exact = multiply_add(result, rest, result)
    return choose(exact.same(exact), exact, result)  # infinite powers have no rest


def _logarithm(x: float, kind: type[np.floating]) -> tuple[float, float]:
    """log(x) as the sum of two numbers of a type, the second far smaller."""
    with localcontext(prec=DIGITS):
        exact = Decimal(x).ln()
        high = float(kind(float(exact)))
        return high, float(exact - Decimal(high))


def inverse_root(x: Lanes) -> Lanes:
    """x ** -0.5, as C defines it for zeros and infinities: 1 / sqrt(|x|), NaN below 0."""
    found = 1 / square_root(absolute(x))
    return choose(x < 0, choose(x > -math.inf, math.nan, found), found)
