"""Exponentials, logarithms, erf, sine and cosine on all lanes at once, without branches.

Each function brings its operand into a small interval by exact steps, takes a polynomial there
(``polynomials.py``), and undoes the steps by writing exponent bits. Nothing needs rounding
instructions, gathers or integers of 64 bits with a sign, which old processors lack; without fused
multiply-add the same formulas hold. NaN passes through every one.

The methods are those of W. J. Cody and W. Waite 1980, "Software Manual for the Elementary
Functions" (reduction by a constant in parts), and of fdlibm (Sun 1993; the forms of log and log1p).
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.engines.native.emitter import Vector
from chainrule.engines.native.lanes import (
    Lanes,
    absolute,
    choose,
    clamp,
    converted,
    library,
    multiply_add,
    polynomial,
    unless_any,
    with_sign,
)
from chainrule.engines.native.polynomials import (
    CONSTANTS,
    ERF_ENDS,
    ERF_SPLIT,
    HALF_PI,
    TANH_SPLIT,
    Constants,
)
from chainrule.records import dataclass

INFINITY = math.inf
SMALL_SIGMOID = -60.0  # exp(-x) is far above 1 and far from overflow
LARGEST_ANGLE = 1e5  # beyond it, the quotient by pi / 2 no longer fits its exact products


@dataclass(frozen=True)
class Format:
    """How a type of IEEE 754 is laid out, and where functions reach its ends.

    Attributes
    ----------
    fraction : int
        Bits after the point.
    bias : int
        What is added to the exponent.
    exp_low, exp_high : float
        exp rounds to 0 below, and overflows above.
    expm1_low : float
        expm1 rounds to -1 below.
    erf_high : float
        erf rounds to 1 above.
    constants : Constants
    """

    fraction: int
    bias: int
    exp_low: float
    exp_high: float
    expm1_low: float
    erf_high: float
    constants: Constants

    @property
    def rounder(self) -> float:
        """Added to a number, it leaves the nearest integer in the last bits of the sum."""
        return 1.5 * 2.0**self.fraction

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.fraction

    @property
    def root_half(self) -> int:
        """The bits of the square root of 1/2."""
        real, whole = (np.float32, np.int32) if self.fraction == 23 else (np.float64, np.int64)
        return int(real(math.sqrt(0.5)).view(whole))

    @property
    def smallest(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)


FORMATS = {
    "float": Format(23, 127, -104.0, 89.0, -20.0, ERF_ENDS[0], CONSTANTS["float"]),
    "double": Format(52, 1023, -746.0, 710.0, -40.0, ERF_ENDS[1], CONSTANTS["double"]),
}


def _format(x: Lanes) -> Format:
    return FORMATS[x.type.element]


# Exponentials


@dataclass(frozen=True)
class _Reduced:
    """exp(x) = 2^n (1 + p) with an integer n.

    ``count`` holds n + offset in its last bits; above them may lie others.
    """

    n: Lanes
    count: Lanes
    p: Lanes

    def power(self) -> Lanes:
        """2^(n + offset - bias): the count becomes the exponent."""
        return (self.count << _format(self.n).fraction).bits(self.n.type)


def _reduce(x: Lanes, offset: int) -> _Reduced:
    """n = round(x / log 2), r = x - n log 2, and p = expm1(r) as a polynomial."""
    form = _format(x)
    high, low = form.constants.ln2
    rounder = form.rounder + offset
    shifted = multiply_add(x, math.log2(math.e), rounder)
    n = shifted - rounder
    r = multiply_add(n, -low, multiply_add(n, -high, x))
    p = multiply_add(r * r, polynomial(r, form.constants.exp), r)
    return _Reduced(n, shifted.bits(x.type.integer), p)


def exp(x: Lanes) -> Lanes:
    """e to the power x, subnormal results included."""
    form = _format(x)
    reduced = _reduce(clamp(x, form.exp_low, form.exp_high), 2 * form.bias)
    return _scaled(reduced.p + 1, reduced)


def _scaled(y: Lanes, reduced: _Reduced) -> Lanes:
    """y 2^n, where 2^n itself may lie outside of the normal numbers: by two factors of its root.

    The first product is exact, so that a subnormal result is rounded once. AVX-512 has an
    instruction for it, with the same result.
    """
    if y.emit.target.vector_bytes == 64 and y.type.bits * y.type.lanes == 512:
        return _scaled_by_instruction(y, reduced.n)
    fraction = _format(y).fraction
    half = reduced.count >> 1  # (n + 2 bias) / 2: an exponent with its bias; so is the rest
    rest = reduced.count - half
    return y * (half << fraction).bits(y.type) * (rest << fraction).bits(y.type)


def _scaled_by_instruction(y: Lanes, n: Lanes) -> Lanes:
    suffix, mask = ("ps", "i16") if y.type.element == "float" else ("pd", "i8")
    name, t = f"llvm.x86.avx512.mask.scalef.{suffix}.512", y.type
    y.emit.declare(name, f"declare {t} @{name}({t}, {t}, {t}, {mask}, i32)")
    operands = f"{t} {y.name}, {t} {n.name}, {t} zeroinitializer, {mask} -1, i32 4"
    return y.named(y.emit.let(f"call {t} @{name}({operands})"))


def expm1(x: Lanes) -> Lanes:
    """exp(x) - 1 = 2^n p + (2^n - 1), from halves so that 2^n does not overflow first."""
    form = _format(x)
    reduced = _reduce(clamp(x, form.expm1_low, form.exp_high), form.bias - 1)
    half = reduced.power()
    whole = multiply_add(half, reduced.p, half - 0.5) * 2
    return with_sign(choose(reduced.n.same(0), reduced.p, whole), x)


def tanh(x: Lanes) -> Lanes:
    """x + x^3 P(x^2) near 0, then 1 - 2 / (exp(2 |x|) + 1) with the sign of x."""
    form = _format(x)
    size = absolute(x)
    z = size * size
    near = multiply_add(size * z, polynomial(z, form.constants.tanh), size)
    reduced = _reduce(clamp(size + size, None, -form.expm1_low), form.bias)
    power = reduced.power()
    far = 1 - 2 / multiply_add(power, reduced.p, power + 1)
    return with_sign(choose(size < TANH_SPLIT, near, far), x)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + exp(-x)), with 1 + 2^n + 2^n p below; both are halved often where 2^n is large."""
    form = _format(x)
    reduced = _reduce(clamp(-x, form.expm1_low, -form.exp_low), form.bias)
    small, shift = x < SMALL_SIGMOID, (form.bias + 1) // 2
    above = choose(small, 2.0**-shift, x.named(x.operand(1.0)))
    power = choose(small, reduced.count - shift, reduced.count) << form.fraction
    scale = power.bits(x.type)
    return above / (multiply_add(scale, reduced.p, above) + scale)


def _decay(x: Lanes) -> Lanes:
    """exp(-|x|)."""
    form = _format(x)
    reduced = _reduce(clamp(-absolute(x), form.exp_low, None), 2 * form.bias)
    return _scaled(reduced.p + 1, reduced)


def softplus(x: Lanes) -> Lanes:
    """max(x, 0) + log1p(exp(-|x|))."""
    return choose(x > 0, x, 0) + _log1p_finite(_decay(x))


def logaddexp(a: Lanes, b: Lanes) -> Lanes:
    """max(a, b) + log1p(exp(-|a - b|)); equal operands, infinities too, need no difference."""
    larger = choose(a > b, a, b)
    total = larger + _log1p_finite(_decay(a - b))
    return choose(a.same(b), a + math.log(2), total)


# Logarithms


@dataclass(frozen=True)
class _Split:
    """x = 2^k m with m in [sqrt 1/2, sqrt 2).

    ``exponent`` holds the bits of 2^k above those of 1, where the fraction begins.
    """

    k: Lanes
    exponent: Lanes


def _split(x: Lanes, enlarged: Lanes | None = None) -> _Split:
    """Of positive normal numbers; k forgets the 2^fraction by which some lanes were enlarged."""
    form = _format(x)
    bits = x.bits(x.type.integer)
    biased = (bits + (form.one - form.root_half)) >> form.fraction
    above = 2**form.fraction  # its last bits take an integer as they are
    count = (biased | ((form.bias + form.fraction) << form.fraction)).bits(x.type)
    k = count - float(above + form.bias)
    if enlarged is not None:
        k = choose(enlarged, k - form.fraction, k)
    return _Split(k, biased << form.fraction)


def _log_tail(f: Lanes) -> tuple[Lanes, Lanes]:
    """(h, t) with log(1 + f) = f - (h - t), h = f^2 / 2, for f in [sqrt 1/2 - 1, sqrt 2 - 1]."""
    s = f / (f + 2)
    z = s * s
    half = f * f * 0.5
    return half, s * multiply_add(z, polynomial(z, _format(f).constants.log), half)


def _natural(f: Lanes, k: Lanes) -> Lanes:
    """log(1 + f) + k log 2, small terms first."""
    high, low = _format(f).constants.ln2
    half, tail = _log_tail(f)
    return multiply_add(k, high, f - (half - multiply_add(k, low, tail)))


def _parts(x: Lanes) -> tuple[Lanes, Lanes]:
    """(f, k) with x = 2^k (1 + f), subnormal numbers included."""
    form = _format(x)
    tiny = x < form.smallest
    normal = choose(tiny, x * 2.0**form.fraction, x)
    split = _split(normal, tiny)
    m = (normal.bits(x.type.integer) - split.exponent + form.one).bits(x.type)
    return m - 1, split.k


def _with_ends(y: Lanes, x: Lanes) -> Lanes:
    """A logarithm of x: infinity and NaN stay, 0 gives -infinity, below is NaN."""
    y = choose(x < INFINITY, y, x)
    y = choose(x.same(0), -INFINITY, y)
    return choose(x < 0, math.nan, y)


def log(x: Lanes) -> Lanes:
    """The natural logarithm."""
    return _with_ends(_natural(*_parts(x)), x)


def log2(x: Lanes) -> Lanes:
    """The logarithm to base 2; exact for powers of 2."""
    f, k = _parts(x)
    return _with_ends(_times_constant(f, _format(x).constants.log2_e, k), x)


def log10(x: Lanes) -> Lanes:
    """The logarithm to base 10."""
    f, k = _parts(x)
    constants = _format(x).constants
    high, low = constants.log10_2
    small = _times_constant(f, constants.log10_e, k * low)
    return _with_ends(multiply_add(k, high, small), x)


def _times_constant(f: Lanes, constant: tuple[float, ...], added: Lanes) -> Lanes:
    """log(1 + f) c + a, as the exact product of two short numbers and small terms."""
    half, tail = _log_tail(f)
    keep = ~((1 << (_format(f).fraction // 2 + 1)) - 1)
    short = ((f - half).bits(f.type.integer) & keep).bits(f.type)
    rest = f - short - half + tail
    high, low = constant
    return multiply_add(short, high, added) + multiply_add(rest, high + low, short * low)


def _log1p_finite(x: Lanes) -> Lanes:
    """log(1 + x) for finite x > -1: f = x 2^-k + (2^-k - 1) loses nothing of x."""
    form = _format(x)
    split = _split(x + 1)
    shrunk = (x.bits(x.type.integer) - split.exponent + form.one).bits(x.type)
    inverse = 2 * form.one - split.exponent
    inverse = choose(inverse > 0, inverse, 0)
    f = shrunk + (inverse.bits(x.type) - 1)
    return _natural(f, split.k)


def log1p(x: Lanes) -> Lanes:
    """log(1 + x), exact near 0."""
    return with_sign(_with_ends(_log1p_finite(x), x + 1), x)


# The error function


def erf(x: Lanes) -> Lanes:
    """x + x P(x^2) near 0, then 1 - exp(t Q(t)) for t = |x|, until it rounds to 1."""
    form = _format(x)
    size = absolute(x)
    near = multiply_add(size, polynomial(size * size, form.constants.erf), size)
    t = clamp(size, None, form.erf_high)
    reduced = _reduce(t * polynomial(t, form.constants.erfc), form.bias)
    far = 1 - (reduced.p + 1) * reduced.power()
    return with_sign(choose(size < ERF_SPLIT, near, far), x)


# Sine, cosine and tangent


@dataclass(frozen=True)
class _Turned:
    """x = q pi / 2 + r, |r| <= pi / 4: sine and cosine of r, and the last bits of q."""

    sine: Lanes
    cosine: Lanes
    quarter: Lanes


def _turn(x: Lanes) -> _Turned:
    """The reduction runs in float64 for both types, where all but the last product are exact."""
    wide = Vector("double", x.type.lanes)
    angle = converted(x, "fpext", wide) if x.type.element == "float" else x
    rounder = FORMATS["double"].rounder
    shifted = multiply_add(angle, 2 / math.pi, rounder)
    turns, quarter = shifted - rounder, shifted.bits(wide.integer)
    for part in HALF_PI:
        angle = multiply_add(turns, -part, angle)
    if x.type.element == "float":
        angle = converted(angle, "fptrunc", x.type)
        quarter = converted(quarter, "trunc", x.type.integer)
    return _Turned(*_sine_and_cosine(angle), quarter)


def _sine_and_cosine(r: Lanes) -> tuple[Lanes, Lanes]:
    constants, z = _format(r).constants, r * r
    sine = multiply_add(r * z, polynomial(z, constants.sin), r)
    cosine = 1 - (z * 0.5 - z * z * polynomial(z, constants.cos))
    return with_sign(sine, r), cosine


def _wave(turned: _Turned, ahead: int) -> Lanes:
    """The sine, ``ahead`` quarters of a turn later."""
    quarter = turned.quarter + ahead
    odd = (quarter & 1).same(1)
    y = choose(odd, turned.cosine, turned.sine)
    return choose((quarter & 2).same(2), -y, y)


def sin(x: Lanes) -> Lanes:
    """The sine; of very large angles by the C library."""
    return _angles(x, _wave(_turn(x), 0), "sin")


def cos(x: Lanes) -> Lanes:
    """The cosine; of very large angles by the C library."""
    return _angles(x, _wave(_turn(x), 1), "cos")


def tan(x: Lanes) -> Lanes:
    """The tangent; of very large angles by the C library."""
    turned = _turn(x)
    odd = (turned.quarter & 1).same(1)
    above = choose(odd, -turned.cosine, turned.sine)
    return _angles(x, above / choose(odd, turned.sine, turned.cosine), "tan")


def _angles(x: Lanes, y: Lanes, function: str) -> Lanes:
    far = absolute(x) > LARGEST_ANGLE
    return unless_any(far, y, lambda: library(function, x))
