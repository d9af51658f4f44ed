"""Arithmetic on the lanes of a register: formulas in Python that emit instructions."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.engines.native.emitter import Emitter, Vector
from chainrule.records import dataclass

_PREDICATES = {"<": ("olt", "slt"), ">": ("ogt", "sgt"), "=": ("oeq", "eq")}


@dataclass(frozen=True, eq=False)
class Lanes:
    """One value in a register: real numbers, integers of their width, or truth values.

    Numbers of Python stand for themselves in every lane. Comparisons with NaN do not hold.

    >>> from chainrule.engines.native.target import TARGETS
    >>> x = Lanes(Emitter(TARGETS["avx2"]), Vector("float", 1), "%x")
    >>> y = 1 / (x * x)
    >>> for line in x.emit.lines:
    ...     print(line)
      %v1 = fmul float %x, %x
      %v2 = fdiv float 0x3FF0000000000000, %v1

    Attributes
    ----------
    emit : Emitter
    type : Vector
    name : str
        As the IR writes it.
    """

    emit: Emitter
    type: Vector
    name: str

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._two("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._two("sub", self, other)

    def __rsub__(self, other: float) -> Lanes:
        return self._two("sub", other, self)

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._two("mul", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._two("div", self, other)

    def __rtruediv__(self, other: float) -> Lanes:
        return self._two("div", other, self)

    def __neg__(self) -> Lanes:
        return self.named(self.emit.let(f"fneg {self.type} {self.name}"))

    def __lshift__(self, bits: int) -> Lanes:
        return self._two("shl", self, bits)

    def __rshift__(self, bits: int) -> Lanes:
        """Zeros come in from the left."""
        return self._two("lshr", self, bits)

    def __and__(self, other: Lanes | int) -> Lanes:
        return self._two("and", self, other)

    def __or__(self, other: Lanes | int) -> Lanes:
        return self._two("or", self, other)

    def __lt__(self, other: Lanes | float) -> Lanes:
        return self._compare("<", other)

    def __gt__(self, other: Lanes | float) -> Lanes:
        return self._compare(">", other)

    def same(self, other: Lanes | float) -> Lanes:
        """Whether both are equal."""
        return self._compare("=", other)

    def bits(self, type_: Vector) -> Lanes:
        """The same bits, read as another type."""
        return Lanes(self.emit, type_, self.emit.let(f"bitcast {self.type} {self.name} to {type_}"))

    def named(self, name: str) -> Lanes:
        """Another value of this type."""
        return Lanes(self.emit, self.type, name)

    def operand(self, other: Lanes | float) -> str:
        """How the IR writes a value, or a number in every lane."""
        return other.name if isinstance(other, Lanes) else self.type.constant(other)

    def _two(self, instruction: str, a: Lanes | float, b: Lanes | float) -> Lanes:
        prefix = "f" if self.type.is_float else ""
        text = f"{prefix}{instruction} {self.type} {self.operand(a)}, {self.operand(b)}"
        return self.named(self.emit.let(text))

    def _compare(self, relation: str, other: Lanes | float) -> Lanes:
        real = self.type.is_float
        predicate = _PREDICATES[relation][0 if real else 1]
        instruction = "fcmp" if real else "icmp"
        text = f"{instruction} {predicate} {self.type} {self.name}, {self.operand(other)}"
        return Lanes(self.emit, self.type.mask, self.emit.let(text))


def choose(condition: Lanes, a: Lanes | float, b: Lanes | float) -> Lanes:
    """``a`` where the condition holds, else ``b``; one of them is no plain number."""
    model = a if isinstance(a, Lanes) else b
    assert isinstance(model, Lanes)
    chosen = f"{model.type} {model.operand(a)}, {model.type} {model.operand(b)}"
    return model.named(model.emit.let(f"select {condition.type} {condition.name}, {chosen}"))


def multiply_add(a: Lanes, b: Lanes | float, c: Lanes | float) -> Lanes:
    """a b + c, rounded once where the processor can."""
    return a.named(a.emit.multiply_add(a.type, a.name, a.operand(b), a.operand(c)))


def polynomial(x: Lanes, coefficients: tuple[float, ...]) -> Lanes:
    """Horner's rule; the lowest power comes first."""
    *lower, above, highest = coefficients
    total = multiply_add(x, highest, above)
    for coefficient in reversed(lower):
        total = multiply_add(total, x, coefficient)
    return total


def clamp(x: Lanes, low: float | None, high: float | None) -> Lanes:
    """min(max(x, low), high) in the processor's own instructions; NaN stays NaN."""
    if low is not None:
        x = choose(x < low, low, x)
    return x if high is None else choose(x > high, high, x)


def absolute(x: Lanes) -> Lanes:
    """The size of x, without its sign."""
    return x.named(x.emit.intrinsic("llvm.fabs", x.type, x.name))


def with_sign(x: Lanes, sign: Lanes) -> Lanes:
    """x with the sign of another value, zeros and NaN included."""
    return x.named(x.emit.intrinsic("llvm.copysign", x.type, x.name, sign.name))


def converted(x: Lanes, instruction: str, type_: Vector) -> Lanes:
    """The same number as another type, by ``fpext``, ``fptrunc`` or ``trunc``."""
    text = f"{instruction} {x.type} {x.name} to {type_}"
    return Lanes(x.emit, type_, x.emit.let(text))


def library(function: str, *operands: Lanes) -> Lanes:
    """A function of the C library, lane by lane."""
    emit, type_ = operands[0].emit, operands[0].type
    scalar = type_.element
    full = function + ("f" if scalar == "float" else "")
    emit.declare_foreign(full, scalar, ", ".join([scalar] * len(operands)))

    def call(names: list[str]) -> str:
        return emit.let(f"call {scalar} @{full}({', '.join(f'{scalar} {n}' for n in names)})")

    if type_.lanes == 1:
        return operands[0].named(call([x.name for x in operands]))
    result = "poison"
    for lane in range(type_.lanes):
        value = call([emit.let(f"extractelement {type_} {x.name}, i64 {lane}") for x in operands])
        result = emit.let(f"insertelement {type_} {result}, {scalar} {value}, i64 {lane}")
    return operands[0].named(result)


def unless_any(condition: Lanes, usual: Lanes, otherwise: Callable[[], Lanes]) -> Lanes:
    """``usual``, but ``otherwise`` in lanes where the condition holds; that is rarely computed."""
    emit, mask = usual.emit, condition.type
    found = condition.name
    if mask.lanes > 1:
        whole = emit.let(f"bitcast {mask} {found} to i{mask.lanes}")
        found = emit.let(f"icmp ne i{mask.lanes} {whole}, 0")
    before, rare, end = emit.block, emit.label("rare"), emit.label("end")
    emit.do(f"br i1 {found}, label %{rare}, label %{end}")
    emit.start(rare)
    mixed = choose(condition, otherwise(), usual)
    last = emit.block
    emit.do(f"br label %{end}")
    emit.start(end)
    sources = f"[ {usual.name}, %{before} ], [ {mixed.name}, %{last} ]"
    return usual.named(emit.let(f"phi {usual.type} {sources}"))
