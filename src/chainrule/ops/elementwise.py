"""Elementwise operations: everything known about each, in one record.

A partial derivative is a function of ``(y, *operands)``, with ``y`` the result; a number where
it is constant; ``FLAT`` where the function is piecewise constant, so that its derivative is zero
almost everywhere; ``None`` where the operand is no real number and no path leads through it.
The conventions at kinks are PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from chainrule.errors import DtypeError, GraphError
from chainrule.graph.op import (
    NONZERO,
    POSITIVE,
    REALS,
    Algebra,
    Interval,
    Kind,
    Op,
    Partial,
    register,
)
from chainrule.ops import special
from chainrule.ops.build import Operation, cast
from chainrule.shapes import BOOL, INT64, Dtype, TensorType, as_float, broadcast_shapes, promote

FLAT: Final = 0.0
NONE = Algebra.NONE
COMMUTATIVE, ASSOCIATIVE = Algebra.COMMUTATIVE, Algebra.ASSOCIATIVE
IDEMPOTENT, ODD, EVEN = Algebra.IDEMPOTENT, Algebra.ODD, Algebra.EVEN
LINEAR, MULTILINEAR = Algebra.LINEAR, Algebra.MULTILINEAR
UNIT = Interval(-0.9, 0.9)
INSIDE = Interval(0.1, 0.9)  # between two integers
DIVISOR = Interval(0.8, 1.0)  # goes once into the dividends that go with it


# How operands are converted before an operation sees them


def _common(*dtypes: Dtype) -> tuple[Dtype, ...]:
    return (promote(*dtypes),) * len(dtypes)


def _numbers(*dtypes: Dtype) -> tuple[Dtype, ...]:
    found = promote(*dtypes)
    return (INT64 if found == BOOL else found,) * len(dtypes)


def _floats(*dtypes: Dtype) -> tuple[Dtype, ...]:
    return (as_float(promote(*dtypes)),) * len(dtypes)


def _bools(*dtypes: Dtype) -> tuple[Dtype, ...]:
    return (BOOL,) * len(dtypes)


def _condition(_: Dtype, *dtypes: Dtype) -> tuple[Dtype, ...]:
    return (BOOL, *_common(*dtypes))


def _integers(*dtypes: Dtype) -> tuple[Dtype, ...]:
    found = promote(*dtypes)
    if found.kind not in "iu":
        raise DtypeError(f"integers are needed, got {found.name}")
    return (found,) * len(dtypes)


Coercion = Callable[..., tuple[Dtype, ...]]


def elementwise(
    name: str,
    numpy: Callable[..., Any],
    doc: str,
    derivative: Partial | tuple[Partial, ...] = None,
    *,
    coerce: Coercion = _floats,
    gives: Dtype | None = None,
    domain: Interval | tuple[Interval, ...] = REALS,
    flags: Algebra = NONE,
    symbol: str = "",
) -> Operation:
    """Register an elementwise operation and return the function that applies it.

    ``numpy`` takes the operands and, optionally, an output array in last place.
    """

    def infer(*types: TensorType) -> TensorType:
        if len(types) != len(partials):
            raise GraphError(f"{name} takes {len(partials)} operands, got {len(types)}")
        shape = broadcast_shapes(*[shape for _, shape in types])
        return TensorType(gives or types[-1].dtype, shape)

    partials = derivative if isinstance(derivative, tuple) else (derivative,)
    domains = domain if isinstance(domain, tuple) else (domain,) * len(partials)
    op = Op(
        name,
        Kind.ELEMENTWISE,
        infer,
        numpy,
        partials=partials,
        coerce=coerce,
        into=numpy,
        algebra=flags,
        domain=domains,
        symbol=symbol or name,
        summary=doc,
    )
    return Operation(register(op))


def _indicator(condition: Any, like: Any) -> Any:
    return cast(condition, like.dtype)


# Signs, exponentials, logarithms, powers

negative = elementwise(
    "negative", np.negative, "-x", -1.0, coerce=_numbers, flags=ODD | LINEAR, symbol="−"
)
abs = elementwise(
    "abs", np.abs, "The absolute value; derivative 0 at 0.",
    lambda y, x: sign(x), coerce=_numbers, domain=NONZERO, flags=EVEN | IDEMPOTENT, symbol="|x|",
)  # fmt: skip
sign: Operation = elementwise(
    "sign", special.sign, "-1, 0 or 1; NaN stays NaN.",
    FLAT, coerce=_numbers, domain=NONZERO, flags=ODD | IDEMPOTENT,
)  # fmt: skip
exp = elementwise("exp", np.exp, "e to the power x.", lambda y, x: y)
expm1 = elementwise("expm1", np.expm1, "exp(x) - 1, exact near 0.", lambda y, x: y + 1)
log = elementwise("log", np.log, "The natural logarithm.", lambda y, x: 1 / x, domain=POSITIVE)
log1p = elementwise(
    "log1p", np.log1p, "log(1 + x), exact near 0.", lambda y, x: 1 / (1 + x), domain=UNIT
)
log2 = elementwise(
    "log2", np.log2, "The logarithm to base 2.",
    lambda y, x: 1 / (x * math.log(2.0)), domain=POSITIVE,
)  # fmt: skip
log10 = elementwise(
    "log10", np.log10, "The logarithm to base 10.",
    lambda y, x: 1 / (x * math.log(10.0)), domain=POSITIVE,
)  # fmt: skip
sqrt = elementwise(
    "sqrt", np.sqrt, "The square root.", lambda y, x: 0.5 / y, domain=POSITIVE, symbol="√"
)

# Trigonometric and hyperbolic functions

sin = elementwise("sin", np.sin, "The sine of an angle in radians.", lambda y, x: cos(x), flags=ODD)
cos: Operation = elementwise(
    "cos", np.cos, "The cosine of an angle in radians.", lambda y, x: -sin(x), flags=EVEN
)
tan = elementwise(
    "tan", np.tan, "The tangent of an angle in radians.",
    lambda y, x: 1 + y * y, domain=Interval(-1.2, 1.2), flags=ODD,
)  # fmt: skip
asin = elementwise(
    "asin", np.arcsin, "The angle whose sine is x.",
    lambda y, x: 1 / sqrt((1 - x) * (1 + x)), domain=UNIT, flags=ODD,
)  # fmt: skip
acos = elementwise(
    "acos", np.arccos, "The angle whose cosine is x.",
    lambda y, x: -1 / sqrt((1 - x) * (1 + x)), domain=UNIT,
)  # fmt: skip
atan = elementwise(
    "atan", np.arctan, "The angle whose tangent is x.", lambda y, x: 1 / (1 + x * x), flags=ODD
)
sinh = elementwise("sinh", np.sinh, "The hyperbolic sine.", lambda y, x: cosh(x), flags=ODD)
cosh: Operation = elementwise(
    "cosh", np.cosh, "The hyperbolic cosine.", lambda y, x: sinh(x), flags=EVEN
)
tanh = elementwise("tanh", np.tanh, "The hyperbolic tangent.", lambda y, x: 1 - y * y, flags=ODD)
asinh = elementwise(
    "asinh", np.arcsinh, "The inverse hyperbolic sine.", lambda y, x: 1 / sqrt(1 + x * x), flags=ODD
)
acosh = elementwise(
    "acosh", np.arccosh, "The inverse hyperbolic cosine, for x >= 1.",
    lambda y, x: 1 / sqrt((x - 1) * (x + 1)), domain=Interval(1.2, 3.0),
)  # fmt: skip
atanh = elementwise(
    "atanh", np.arctanh, "The inverse hyperbolic tangent.",
    lambda y, x: 1 / ((1 - x) * (1 + x)), domain=UNIT, flags=ODD,
)  # fmt: skip

# The atoms of networks, in forms that never overflow

erf = elementwise(
    "erf", special.erf, "2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
    lambda y, x: 2 / math.sqrt(math.pi) * exp(-(x * x)), flags=ODD,
)  # fmt: skip
sigmoid = elementwise(
    "sigmoid", special.sigmoid, "The logistic function 1 / (1 + exp(-x)).",
    lambda y, x: y * (1 - y), symbol="σ",
)  # fmt: skip
softplus = elementwise(
    "softplus", special.softplus, "log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|)).",
    lambda y, x: sigmoid(x),
)  # fmt: skip
relu = elementwise(
    "relu", special.relu, "max(x, 0), with derivative 0 at 0.",
    lambda y, x: _indicator(greater(x, 0), x), domain=NONZERO, flags=IDEMPOTENT,
)  # fmt: skip
logaddexp = elementwise(
    "logaddexp", np.logaddexp, "log(exp(a) + exp(b)).",
    (lambda y, a, b: sigmoid(a - b), lambda y, a, b: sigmoid(b - a)), flags=COMMUTATIVE,
)  # fmt: skip

# Arithmetic


def _power_by_base(y: Any, a: Any, b: Any) -> Any:
    """b a^(b-1), and 0 where b = 0, so that 0**0 has finite derivatives of every order."""
    return where(equal(b, 0), 0, b * power(a, where(equal(b, 0), 1, b - 1)))


def _power_by_exponent(y: Any, a: Any, b: Any) -> Any:
    """y log a, and 0 where a = 0 <= b."""
    at_zero = logical_and(equal(a, 0), greater_equal(b, 0))
    return where(at_zero, 0, y * log(where(at_zero, 1, a)))


add = elementwise(
    "add", np.add, "a + b", (1.0, 1.0),
    coerce=_numbers, flags=COMMUTATIVE | ASSOCIATIVE | LINEAR, symbol="+",
)  # fmt: skip
subtract = elementwise(
    "subtract", np.subtract, "a - b", (1.0, -1.0), coerce=_numbers, flags=LINEAR, symbol="−"
)
multiply = elementwise(
    "multiply", np.multiply, "a * b", (lambda y, a, b: b, lambda y, a, b: a),
    coerce=_numbers, flags=COMMUTATIVE | ASSOCIATIVE | MULTILINEAR, symbol="×",
)  # fmt: skip
divide = elementwise(
    "divide", np.divide, "a / b", (lambda y, a, b: 1 / b, lambda y, a, b: -(y / b)),
    domain=(REALS, POSITIVE), symbol="/",
)  # fmt: skip
power = elementwise(
    "power", special.power, "a to the power b; 0**0 is 1 and has finite derivatives.",
    (_power_by_base, _power_by_exponent),
    coerce=_numbers, domain=(POSITIVE, REALS), symbol="^",
)  # fmt: skip
floor_divide = elementwise(
    "floor_divide", special.floor_divide, "floor(a / b); for integers 0 where b is 0.",
    (FLAT, FLAT), coerce=_numbers, domain=(Interval(1.2, 1.4), DIVISOR), symbol="//",
)  # fmt: skip
remainder = elementwise(
    "remainder", special.remainder, "a - b * floor(a / b); for integers 0 where b is 0.",
    (1.0, lambda y, a, b: -floor(a / b)),
    coerce=_numbers, domain=(Interval(1.2, 1.4), DIVISOR), symbol="mod",
)  # fmt: skip
atan2 = elementwise(
    "atan2", np.arctan2, "The angle of the point (b, a).",
    (lambda y, a, b: b / (a * a + b * b), lambda y, a, b: -a / (a * a + b * b)),
    domain=(REALS, POSITIVE),
)  # fmt: skip
hypot = elementwise(
    "hypot", np.hypot, "sqrt(a^2 + b^2) without overflow.",
    (lambda y, a, b: a / y, lambda y, a, b: b / y), domain=(REALS, POSITIVE), flags=COMMUTATIVE,
)  # fmt: skip

# Choices; ties share the derivative equally


def _share(wins: Operation, a: Any, b: Any) -> Any:
    """1 where a wins, 1/2 where it ties."""
    return where(equal(a, b), 0.5, _indicator(wins(a, b), a))


maximum = elementwise(
    "maximum", special.maximum, "The larger of a and b; NaN wins.",
    (lambda y, a, b: _share(greater, a, b), lambda y, a, b: _share(greater, b, a)),
    coerce=_common, flags=COMMUTATIVE | ASSOCIATIVE | IDEMPOTENT, symbol="max",
)  # fmt: skip
minimum = elementwise(
    "minimum", special.minimum, "The smaller of a and b; NaN wins.",
    (lambda y, a, b: _share(less, a, b), lambda y, a, b: _share(less, b, a)),
    coerce=_common, flags=COMMUTATIVE | ASSOCIATIVE | IDEMPOTENT, symbol="min",
)  # fmt: skip
where = elementwise(
    "where", special.where, "a where the condition holds, else b.",
    (None, lambda y, c, a, b: _indicator(c, a), lambda y, c, a, b: _indicator(logical_not(c), a)),
    coerce=_condition, symbol="where",
)  # fmt: skip
clip = elementwise(
    "clip", special.clip, "x, but at least low and at most high; the derivative passes at both.",
    (
        lambda y, x, low, high: _indicator(logical_and(low <= x, x <= high), x),
        lambda y, x, low, high: _indicator(logical_and(x < low, low <= high), x),
        lambda y, x, low, high: _indicator(logical_or(x > high, low > high), x),
    ),
    coerce=_common, domain=(Interval(-0.4, 0.4), Interval(-1.0, -0.5), Interval(0.5, 1.0)),
)  # fmt: skip

# Rounding: piecewise constant

floor: Operation = elementwise(
    "floor", special.floor, "The largest integer <= x.",
    FLAT, coerce=_numbers, domain=INSIDE, flags=IDEMPOTENT,
)  # fmt: skip
ceil = elementwise(
    "ceil", special.ceil, "The smallest integer >= x.",
    FLAT, coerce=_numbers, domain=INSIDE, flags=IDEMPOTENT,
)  # fmt: skip
trunc = elementwise(
    "trunc", special.trunc, "x without its fraction.",
    FLAT, coerce=_numbers, domain=INSIDE, flags=IDEMPOTENT | ODD,
)  # fmt: skip
round = elementwise(
    "round", special.round, "The nearest integer; halves go to the even one.",
    FLAT, coerce=_numbers, domain=Interval(0.6, 0.9), flags=IDEMPOTENT | ODD,
)  # fmt: skip


# Comparisons and logic: truth values, through which no derivative leads


def _comparison(
    name: str, numpy: Callable[..., Any], doc: str, symbol: str, flags: Algebra = NONE
) -> Operation:
    return elementwise(
        name, numpy, doc, (None, None), coerce=_common, gives=BOOL, flags=flags, symbol=symbol
    )


equal = _comparison("equal", np.equal, "Whether a = b.", "=", COMMUTATIVE)
not_equal = _comparison("not_equal", np.not_equal, "Whether a and b differ.", "≠", COMMUTATIVE)
less: Operation = _comparison("less", np.less, "Whether a < b.", "<")
less_equal = _comparison("less_equal", np.less_equal, "Whether a <= b.", "≤")
greater: Operation = _comparison("greater", np.greater, "Whether a > b.", ">")
greater_equal = _comparison("greater_equal", np.greater_equal, "Whether a >= b.", "≥")


def _logic(
    name: str, numpy: Callable[..., Any], doc: str, flags: Algebra = NONE, arity: int = 2
) -> Operation:
    return elementwise(name, numpy, doc, (None,) * arity, coerce=_bools, gives=BOOL, flags=flags)


_LOGIC = COMMUTATIVE | ASSOCIATIVE
logical_and: Operation = _logic(
    "logical_and", np.logical_and, "Whether both hold.", _LOGIC | IDEMPOTENT
)
logical_or: Operation = _logic(
    "logical_or", np.logical_or, "Whether either holds.", _LOGIC | IDEMPOTENT
)
logical_xor = _logic("logical_xor", np.logical_xor, "Whether exactly one holds.", _LOGIC)
logical_not: Operation = _logic("logical_not", np.logical_not, "Whether it does not hold.", arity=1)


def _test(name: str, numpy: Callable[..., Any], doc: str) -> Operation:
    return elementwise(name, numpy, doc, None, gives=BOOL)


isnan = _test("isnan", np.isnan, "Whether x is not a number.")
isinf = _test("isinf", np.isinf, "Whether x is infinite.")
isfinite = _test("isfinite", np.isfinite, "Whether x is neither infinite nor NaN.")


def _bitwise(
    name: str, numpy: Callable[..., Any], doc: str, flags: Algebra = NONE, arity: int = 2
) -> Operation:
    return elementwise(name, numpy, doc, (None,) * arity, coerce=_integers, flags=flags)


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "The bits set in both.", _LOGIC | IDEMPOTENT)
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "The bits set in either.", _LOGIC | IDEMPOTENT)
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "The bits set in exactly one.", _LOGIC)
bitwise_invert = _bitwise("bitwise_invert", np.invert, "Every bit turned over.", arity=1)
bitwise_left_shift = _bitwise(
    "bitwise_left_shift", special.left_shift, "a * 2**b; 0 once all bits are out."
)
bitwise_right_shift = _bitwise("bitwise_right_shift", special.right_shift, "floor(a / 2**b).")

stop_gradient = elementwise(
    "stop_gradient", np.positive, "x itself, where every derivative ends on purpose.",
    coerce=_numbers, flags=IDEMPOTENT,
)  # fmt: skip
