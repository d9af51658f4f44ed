"""The table of elementwise operations: each op's one row in this engine.

A row takes the emitter, the types of the operands and of the result in registers, and the names of
the operands; it gives the name of the result. Truth values are ``i1`` in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.engines.native.lanes import Lanes, library
from chainrule.engines.native.mathematics import FUNCTIONS
from chainrule.engines.native.powers import inverse_root, power_of
from chainrule.engines.native.schedule import VIEWS
from chainrule.graph.node import Node
from chainrule.records import dataclass
from chainrule.shapes import Dtype


@dataclass(frozen=True)
class Site:
    """Where a row is applied.

    Attributes
    ----------
    emit : Emitter
    node : Node
    lanes : int
    """

    emit: Emitter
    node: Node
    lanes: int

    @property
    def type(self) -> Vector:
        """The result's type in registers."""
        return register_type(self.node.dtype, self.lanes)

    @property
    def operand(self) -> Vector:
        """The last operand's type in registers."""
        return register_type(self.node.operands[-1].dtype, self.lanes)

    @property
    def is_float(self) -> bool:
        """Whether the last operand is real."""
        return self.node.operands[-1].dtype.kind == "f"

    @property
    def is_unsigned(self) -> bool:
        """Whether the last operand is a number without sign."""
        return self.node.operands[-1].dtype.kind in "ub"

    def let(self, text: str) -> str:
        """A new value."""
        return self.emit.let(text)

    def choose(self, condition: str, a: str, b: str, type_: Vector | None = None) -> str:
        """a where the condition holds, else b."""
        t = type_ or self.type
        return self.let(f"select {t.mask} {condition}, {t} {a}, {t} {b}")

    def compare(self, predicate: str, a: str, b: str) -> str:
        """``fcmp`` or ``icmp`` of two operands."""
        return self.let(
            f"{'fcmp' if self.operand.is_float else 'icmp'} {predicate} {self.operand} {a}, {b}"
        )


def number_of(node: Node) -> float | None:
    """The number that a constant has everywhere; None for others."""
    while node.op.name in VIEWS:
        node = node.operands[0]
    return None if node.payload is None or node.payload.size != 1 else float(node.payload.item())


Row = Callable[..., str]
ROWS_OF_TABLE: dict[str, Row] = {}


def register_type(dtype: Dtype, lanes: int) -> Vector:
    """The type in registers; truth values are single bits there."""
    return Vector("i1", lanes) if dtype.kind == "b" else Vector.of(dtype, lanes)


def row(*names: str) -> Callable[[Row], Row]:
    """Enter a row into the table, under one name or several."""

    def enter(function: Row) -> Row:
        for name in names:
            ROWS_OF_TABLE[name] = function
        return function

    return enter


def lower(emit: Emitter, node: Node, operands: Sequence[str], lanes: int) -> str:
    """The value of an elementwise node, from those of its operands."""
    return ROWS_OF_TABLE[node.op.name](Site(emit, node, lanes), *operands)


# Arithmetic

_ARITHMETIC = {"add": ("fadd", "add"), "subtract": ("fsub", "sub"), "multiply": ("fmul", "mul")}


def _arithmetic(real: str, whole: str) -> Row:
    return lambda s, a, b: s.let(f"{real if s.is_float else whole} {s.type} {a}, {b}")


for _name, _pair in _ARITHMETIC.items():
    row(_name)(_arithmetic(*_pair))


@row("divide")
def divide(s: Site, a: str, b: str) -> str:
    """a / b, of real numbers."""
    return s.let(f"fdiv {s.type} {a}, {b}")


@row("negative")
def negative(s: Site, x: str) -> str:
    """-x."""
    return (
        s.let(f"fneg {s.type} {x}")
        if s.is_float
        else s.let(f"sub {s.type} {s.type.constant(0)}, {x}")
    )


@row("abs")
def absolute(s: Site, x: str) -> str:
    """|x|; the smallest integer stays what it is, as in NumPy."""
    if s.is_float:
        return s.emit.intrinsic("llvm.fabs", s.type, x)
    if s.is_unsigned:
        return x
    return s.choose(s.compare("slt", x, s.type.constant(0)), negative(s, x), x)


@row("sign")
def sign(s: Site, x: str) -> str:
    """-1, 0 or 1; NaN stays NaN."""
    zero, one = s.type.constant(0), s.type.constant(1)
    if not s.is_float:
        above = s.choose(s.compare("ne" if s.is_unsigned else "sgt", x, zero), one, zero)
        return (
            above
            if s.is_unsigned
            else s.choose(s.compare("slt", x, zero), s.type.constant(-1), above)
        )
    above = s.choose(s.compare("ogt", x, zero), one, zero)
    whole = s.choose(s.compare("olt", x, zero), s.type.constant(-1), above)
    return s.choose(s.compare("uno", x, x), x, whole)


@row("relu")
def relu(s: Site, x: str) -> str:
    """max(x, 0); NaN stays NaN."""
    predicate = "ugt" if s.is_unsigned or s.is_float else "sgt"
    return s.choose(s.compare(predicate, x, s.type.constant(0)), x, s.type.constant(0))


def _extreme(real: str, signed: str, unsigned: str) -> Row:
    def lower_extreme(s: Site, a: str, b: str) -> str:
        if s.is_float:
            return s.emit.intrinsic(real, s.type, a, b)
        return s.choose(s.compare(unsigned if s.is_unsigned else signed, a, b), a, b)

    return lower_extreme


row("maximum")(_extreme("llvm.maximum", "sgt", "ugt"))
row("minimum")(_extreme("llvm.minimum", "slt", "ult"))


@row("clip")
def clip(s: Site, x: str, low: str, high: str) -> str:
    """min(max(x, low), high)."""
    return ROWS_OF_TABLE["minimum"](s, ROWS_OF_TABLE["maximum"](s, x, low), high)


@row("where")
def where(s: Site, condition: str, a: str, b: str) -> str:
    """a where the condition holds, else b."""
    return s.choose(condition, a, b)


@row("stop_gradient")
def same(s: Site, x: str) -> str:
    """x itself."""
    return x


def _guarded(s: Site, b: str) -> tuple[str, str]:
    """Whether a divisor is 0, and one that is not."""
    zero = s.compare("eq", b, s.type.constant(0))
    return zero, s.choose(zero, s.type.constant(1), b)


@row("floor_divide", "remainder")
def floor_division(s: Site, a: str, b: str) -> str:
    """floor(a / b), or a - b floor(a / b); for integers 0 where b is 0."""
    quotient = s.node.op.name == "floor_divide"
    if s.is_float:
        return _real_floor_division(s, a, b, quotient)
    zero, divisor = _guarded(s, b)
    if s.is_unsigned:
        found = s.let(f"{'udiv' if quotient else 'urem'} {s.type} {a}, {divisor}")
        return s.choose(zero, s.type.constant(0), found)
    least = s.type.constant(-(2 ** (s.type.bits - 1)))
    minus = s.compare("eq", divisor, s.type.constant(-1))
    overflow = s.let(f"and {s.type.mask} {minus}, {s.compare('eq', a, least)}")
    divisor = s.choose(overflow, s.type.constant(1), divisor)
    rest = s.let(f"srem {s.type} {a}, {divisor}")
    whole = s.let(f"sdiv {s.type} {a}, {divisor}")
    opposite = s.compare("slt", s.let(f"xor {s.type} {rest}, {divisor}"), s.type.constant(0))
    adjust = s.let(f"and {s.type.mask} {s.compare('ne', rest, s.type.constant(0))}, {opposite}")
    if quotient:
        found = s.choose(adjust, s.let(f"sub {s.type} {whole}, {s.type.constant(1)}"), whole)
    else:
        found = s.choose(adjust, s.let(f"add {s.type} {rest}, {divisor}"), rest)
    return s.choose(zero, s.type.constant(0), found)


def _real_floor_division(s: Site, a: str, b: str, quotient: bool) -> str:
    """NumPy's algorithm: from fmod, so that quotient and remainder belong together."""
    zero = s.type.constant(0)
    rest = library("fmod", Lanes(s.emit, s.type, a), Lanes(s.emit, s.type, b)).name
    opposite = s.let(
        f"xor {s.type.mask} {s.compare('olt', rest, zero)}, {s.compare('olt', b, zero)}"
    )
    adjust = s.let(f"and {s.type.mask} {s.compare('une', rest, zero)}, {opposite}")
    fixed = s.choose(adjust, s.let(f"fadd {s.type} {rest}, {b}"), rest)
    signed_zero = s.emit.intrinsic("llvm.copysign", s.type, zero, b)
    remainder = s.choose(s.compare("oeq", fixed, zero), signed_zero, fixed)
    if not quotient:
        return remainder
    exact = s.let(f"fdiv {s.type} {s.let(f'fsub {s.type} {a}, {remainder}')}, {b}")
    down = s.emit.intrinsic("llvm.floor", s.type, exact)
    far = s.compare("ogt", s.let(f"fsub {s.type} {exact}, {down}"), s.type.constant(0.5))
    rounded = s.choose(far, s.let(f"fadd {s.type} {down}, {s.type.constant(1)}"), down)
    ratio = s.let(f"fdiv {s.type} {a}, {b}")
    tiny = s.emit.intrinsic("llvm.copysign", s.type, zero, ratio)
    found = s.choose(s.compare("oeq", exact, zero), tiny, rounded)
    return s.choose(s.compare("oeq", b, zero), ratio, found)


def _integer_power(s: Site, a: str, b: str) -> str:
    """Squaring, once for each bit of the exponent; negative exponents give 0, or +-1."""
    one, zero = s.type.constant(1), s.type.constant(0)
    result, factor, left = one, a, b
    for _ in range(s.type.bits - 1):
        odd = s.compare("ne", s.let(f"and {s.type} {left}, {one}"), zero)
        result = s.choose(odd, s.let(f"mul {s.type} {result}, {factor}"), result)
        factor = s.let(f"mul {s.type} {factor}, {factor}")
        left = s.let(f"lshr {s.type} {left}, {one}")
    if s.is_unsigned:
        return result
    minus_one = s.compare("eq", a, s.type.constant(-1))
    odd = s.compare("ne", s.let(f"and {s.type} {b}, {one}"), zero)
    turned = s.choose(odd, s.type.constant(-1), one)
    inverse = s.choose(s.compare("eq", a, one), one, s.choose(minus_one, turned, zero))
    return s.choose(s.compare("slt", b, zero), inverse, result)


# Rounding


def _rounding(intrinsic: str) -> Row:
    return lambda s, x: s.emit.intrinsic(intrinsic, s.type, x) if s.is_float else x


for _name, _intrinsic in {
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "round": "roundeven",
}.items():
    row(_name)(_rounding(f"llvm.{_intrinsic}"))


# Comparisons, logic, bits

_PREDICATES = {
    "equal": ("oeq", "eq", "eq"), "not_equal": ("une", "ne", "ne"), "less": ("olt", "slt", "ult"),
    "less_equal": ("ole", "sle", "ule"), "greater": ("ogt", "sgt", "ugt"),
    "greater_equal": ("oge", "sge", "uge"),
}  # fmt: skip


def _comparison(real: str, signed: str, unsigned: str) -> Row:
    return lambda s, a, b: s.compare(
        real if s.is_float else unsigned if s.is_unsigned else signed, a, b
    )


for _name, _predicates in _PREDICATES.items():
    row(_name)(_comparison(*_predicates))

_BITS = {
    "logical_and": "and", "logical_or": "or", "logical_xor": "xor",
    "bitwise_and": "and", "bitwise_or": "or", "bitwise_xor": "xor",
}  # fmt: skip


def _bits(instruction: str) -> Row:
    return lambda s, a, b: s.let(f"{instruction} {s.type} {a}, {b}")


for _name, _instruction in _BITS.items():
    row(_name)(_bits(_instruction))


@row("logical_not")
def logical_not(s: Site, x: str) -> str:
    """Whether x does not hold."""
    return s.let(f"xor {s.type} {x}, {s.type.constant(1)}")


@row("bitwise_invert")
def bitwise_invert(s: Site, x: str) -> str:
    """All bits turned."""
    return s.let(f"xor {s.type} {x}, {s.type.constant(1 if s.type.element == 'i1' else -1)}")


@row("isnan")
def isnan(s: Site, x: str) -> str:
    """Whether x is not a number."""
    return s.compare("uno", x, x)


@row("isinf", "isfinite")
def isinf(s: Site, x: str) -> str:
    """Whether |x| is infinite, or below infinity."""
    predicate = "oeq" if s.node.op.name == "isinf" else "olt"
    size = s.emit.intrinsic("llvm.fabs", s.operand, x)
    return s.compare(predicate, size, s.operand.constant(float("inf")))


@row("bitwise_left_shift", "bitwise_right_shift")
def shift(s: Site, a: str, b: str) -> str:
    """a shifted by b bits; beyond its width only the sign is left."""
    left = s.node.op.name == "bitwise_left_shift"
    inside = s.compare("ult", b, s.type.constant(s.type.bits))
    if left or s.is_unsigned:
        safe = s.choose(inside, b, s.type.constant(0))
        moved = s.let(f"{'shl' if left else 'lshr'} {s.type} {a}, {safe}")
        return s.choose(inside, moved, s.type.constant(0))
    return s.let(f"ashr {s.type} {a}, {s.choose(inside, b, s.type.constant(s.type.bits - 1))}")


@row("astype")
def convert(s: Site, x: str) -> str:
    """x as another type; real to integer saturates, NaN gives 0."""
    source, target = s.node.operands[0].dtype, s.node.dtype
    a, b = s.operand, s.type
    if target.kind == "b":
        return s.compare("une" if a.is_float else "ne", x, a.constant(0))
    if source.kind == "f" and target.kind == "f":
        return x if a == b else s.let(f"{'fpext' if b.bits > a.bits else 'fptrunc'} {a} {x} to {b}")
    if source.kind == "f":
        return _saturated(s, x, a, b, target)
    if target.kind == "f":
        return s.let(f"{'uitofp' if source.kind in 'ub' else 'sitofp'} {a} {x} to {b}")
    if a.bits == b.bits:
        return x
    widen = "zext" if source.kind in "ub" else "sext"
    return s.let(f"{'trunc' if b.bits < a.bits else widen} {a} {x} to {b}")


def _saturated(s: Site, x: str, a: Vector, b: Vector, target: Dtype) -> str:
    kind = "fptoui" if target.kind == "u" else "fptosi"
    lanes = f"v{a.lanes}" if a.lanes > 1 else ""
    name = f"llvm.{kind}.sat.{lanes}{b.element}.{lanes}{'f32' if a.element == 'float' else 'f64'}"
    s.emit.declare(name, f"declare {b} @{name}({a})")
    return s.let(f"call {b} @{name}({a} {x})")


# Functions that take more than a few instructions


def _mathematics(function: Callable[..., str]) -> Row:
    return lambda s, *operands: function(s.emit, s.type, *operands)


for _name, _function in FUNCTIONS.items():
    row(_name)(_mathematics(_function))


@row("power")
def power(s: Site, a: str, b: str) -> str:
    """a**b: of real numbers the C library's, but what optimizers take; of integers by squaring."""
    if not s.is_float:
        return _integer_power(s, a, b)
    base, exponent = (number_of(x) for x in s.node.operands)
    if exponent == -0.5:
        return inverse_root(Lanes(s.emit, s.type, a)).name
    if base is not None and 0 < base < float("inf") and base != 1 and s.emit.target.fma:
        return power_of(base, Lanes(s.emit, s.type, b)).name
    return FUNCTIONS["power"](s.emit, s.type, a, b)
