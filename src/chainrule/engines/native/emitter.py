"""Writing LLVM IR as text: values get names, loops get blocks, constants get exact spellings."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Final

import numpy as np

from chainrule.engines.native.target import Target
from chainrule.records import dataclass
from chainrule.shapes import Dtype

NAMES: Final = {
    "bool": "i8", "int8": "i8", "uint8": "i8", "int16": "i16", "uint16": "i16",
    "int32": "i32", "uint32": "i32", "int64": "i64", "uint64": "i64",
    "float32": "float", "float64": "double",
}  # fmt: skip

FOLDS: Final[dict[str, Callable[[int, int], int]]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "sdiv": operator.floordiv,
    "srem": operator.mod, "smin": min, "smax": max,
}  # fmt: skip
# What LLVM calls on its own account, like memcpy, is called by its address too.
BY_ADDRESS: Final = (
    "!llvm.module.flags = !{!0}",
    '!0 = !{i32 7, !"RtLibUseGOT", i32 1}',
)
_NEAR: Final = 2  # of a prefetch: the second-level cache
NEUTRAL: Final = {"add": "0", "sub": "0", "mul": "1", "sdiv": "1"}  # as second operand


@dataclass(frozen=True)
class Vector:
    """A type of value in registers: ``lanes`` elements of one type; one lane is a plain scalar.

    >>> print(Vector("float", 8), Vector("i64", 1))
    <8 x float> i64
    """

    element: str
    lanes: int

    @classmethod
    @cache
    def of(cls, dtype: Dtype, lanes: int) -> Vector:
        """The type of ``lanes`` elements of a NumPy type; truth values in memory are bytes."""
        return cls(NAMES[dtype.name], lanes)

    def __str__(self) -> str:
        return self.element if self.lanes == 1 else f"<{self.lanes} x {self.element}>"

    @property
    def is_float(self) -> bool:
        """Whether the elements are real numbers."""
        return self.element in ("float", "double")

    @property
    def bits(self) -> int:
        """The width of an element."""
        return {"float": 32, "double": 64}.get(self.element) or int(self.element[1:])

    @property
    def mask(self) -> Vector:
        """The type of a comparison's result."""
        return Vector("i1", self.lanes)

    @property
    def integer(self) -> Vector:
        """Integers of the same width."""
        return Vector(f"i{self.bits}", self.lanes)

    def constant(self, value: float) -> str:
        """``value`` in every lane."""
        scalar = _scalar(self.element, value)
        return scalar if self.lanes == 1 else f"splat ({self.element} {scalar})"

    @property
    def suffix(self) -> str:
        """How names of overloaded intrinsics spell this type."""
        kind = {"float": "f32", "double": "f64"}.get(self.element, self.element)
        return f"v{self.lanes}{kind}" if self.lanes > 1 else kind

    def first(self, count: int) -> str:
        """The mask of the first ``count`` lanes."""
        lanes = (f"i1 {_scalar('i1', lane < count)}" for lane in range(self.lanes))
        return f"<{', '.join(lanes)}>"


def _scalar(element: str, value: float) -> str:
    """The exact spelling: LLVM writes floats as the bits of the double of equal value."""
    if element == "i1":
        return "true" if value else "false"
    if element in ("float", "double"):
        exact = float(np.float32(value)) if element == "float" else float(value)
        return f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"
    return str(int(value))


class Emitter:
    """The body of one LLVM function, line by line.

    Attributes
    ----------
    target : Target
    lines : list of str
    block : str
        The label of the current block, for phi nodes.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lines: list[str] = []
        self.declarations: dict[str, str] = {}
        self.block = "entry"
        self._count = 0
        self._found: dict[str, str] = {}  # address arithmetic of this block, by expression
        self._sums: dict[str, tuple[str, int]] = {}  # a name and a number that make another name

    def fresh(self, hint: str = "v") -> str:
        """A name that is not used yet."""
        self._count += 1
        return f"%{hint}{self._count}"

    def let(self, expression: str, hint: str = "v", *, pure: bool = False) -> str:
        """A new value: the result of an instruction.

        One that is ``pure``, that depends on its operands alone, is written once in a block.
        """
        if pure and expression in self._found:
            return self._found[expression]
        name = self.fresh(hint)
        self.lines.append(f"  {name} = {expression}")
        if pure:
            self._found[expression] = name
        return name

    @contextmanager
    def at(self, place: int) -> Iterator[None]:
        """Write instead of the line ``place``, which was kept free in a block that leads here."""
        lines, found = self.lines, self._found
        self.lines, self._found = [lines[place]] if lines[place] else [], {}
        yield
        lines[place] = "\n".join(self.lines)
        self.lines, self._found = lines, found

    def do(self, instruction: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {instruction}")

    def start(self, label: str) -> None:
        """Begin a block; ``label`` without the percent sign."""
        self.lines.append(f"{label}:")
        self.block = label
        self._found.clear()

    def label(self, hint: str) -> str:
        """A label that is not used yet."""
        self._count += 1
        return f"{hint}{self._count}"

    def declare(self, name: str, signature: str) -> None:
        """Make sure the module holds ``signature``, such as ``declare float @name(float)``."""
        self.declarations[name] = signature

    def declare_foreign(self, name: str, result: str, parameters: str) -> None:
        """Make sure the module holds a function of a library, called by an address in a table.

        Code lies anywhere, and a direct call reaches 2 GiB.
        """
        self.declare(name, f"declare {result} @{name}({parameters}) nonlazybind")

    def intrinsic(
        self, name: str, type_: Vector, *operands: str, others: Sequence[Vector] = ()
    ) -> str:
        """A call of an LLVM intrinsic overloaded by ``type_``, such as ``llvm.fma``."""
        full = f"{name}.{type_.suffix}"
        types = [type_] * (len(operands) - len(others)) + list(others)
        self.declare(full, f"declare {type_} @{full}({', '.join(map(str, types))})")
        arguments = ", ".join(f"{t} {x}" for t, x in zip(types, operands, strict=True))
        return self.let(f"call {type_} @{full}({arguments})")

    def multiply_add(self, type_: Vector, a: str, b: str, c: str) -> str:
        """a * b + c: one instruction where the processor has it, else two."""
        if self.target.fma:
            return self.intrinsic("llvm.fma", type_, a, b, c)
        return self.let(f"fadd {type_} {self.let(f'fmul {type_} {a}, {b}')}, {c}")

    def pointer(self, base: str, index: str, element: str) -> str:
        """The address of ``base[index]``; places that are a number apart have one base."""
        if index in self._sums:
            index, further = self._sums[index]
            return self.pointer(self.pointer(base, index, element), str(further), element)
        if index == "0":
            return base
        return self.let(f"getelementptr {element}, ptr {base}, i64 {index}", "p", pure=True)

    def load(self, type_: Vector, pointer: str) -> str:
        """The elements at an address, with no more alignment than one element has."""
        return self.let(f"load {type_}, ptr {pointer}, align {type_.bits // 8}")

    def store(self, type_: Vector, value: str, pointer: str) -> None:
        """Write the elements to an address."""
        self.do(f"store {type_} {value}, ptr {pointer}, align {type_.bits // 8}")

    def splat(self, type_: Vector, scalar: str) -> str:
        """A scalar value in every lane."""
        if type_.lanes == 1:
            return scalar
        first = self.let(f"insertelement {type_} poison, {type_.element} {scalar}, i64 0")
        zeros = f"<{type_.lanes} x i32> zeroinitializer"
        return self.let(f"shufflevector {type_} {first}, {type_} poison, {zeros}")

    def masked_load(self, type_: Vector, pointer: str, mask: str | None) -> str:
        """The elements in the lanes of ``mask``; 0 in the others, whose memory is not touched."""
        if mask is None:
            return self.load(type_, pointer)
        name = f"llvm.masked.load.{type_.suffix}.p0"
        self.declare(name, f"declare {type_} @{name}(ptr, i32, {type_.mask}, {type_})")
        place = f"ptr {pointer}, i32 {type_.bits // 8}"
        return self.let(
            f"call {type_} @{name}({place}, {type_.mask} {mask}, {type_} zeroinitializer)"
        )

    def masked_store(self, type_: Vector, value: str, pointer: str, mask: str | None) -> None:
        """Write the lanes in ``mask``; the memory of the others is not touched."""
        if mask is None:
            self.store(type_, value, pointer)
            return
        name = f"llvm.masked.store.{type_.suffix}.p0"
        self.declare(name, f"declare void @{name}({type_}, ptr, i32, {type_.mask})")
        place = f"ptr {pointer}, i32 {type_.bits // 8}"
        self.do(f"call void @{name}({type_} {value}, {place}, {type_.mask} {mask})")

    def integer(self, operation: str, x: str, y: str) -> str:
        """An i64 from two: add, sub, mul, sdiv, srem, smin or smax; literals are folded."""
        if x.isdigit() and y.isdigit():
            return str(FOLDS[operation](int(x), int(y)))
        if operation in ("add", "mul") and x.isdigit():
            x, y = y, x
        if y == NEUTRAL.get(operation):
            return x
        if operation == "mul" and y == "0":
            return y
        if operation in ("smin", "smax"):
            return self.intrinsic(f"llvm.{operation}", Vector("i64", 1), x, y)
        if operation == "mul" and y.isdigit() and x in self._sums:
            x, more = self._sums[x]
            return self.integer("add", self.integer("mul", x, y), str(more * int(y)))
        made = self.let(f"{operation} i64 {x}, {y}", "n", pure=True)
        if operation == "add" and y.isdigit():
            first, before = self._sums.get(x, (x, 0))
            self._sums[made] = first, before + int(y)
        return made

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What happens only if the i1 ``condition`` holds."""
        then, end = self.label("then"), self.label("end")
        self.do(f"br i1 {condition}, label %{then}, label %{end}")
        self.start(then)
        yield
        self.do(f"br label %{end}")
        self.start(end)

    @contextmanager
    def loop(
        self, start: str, stop: str, step: int = 1, carried: Sequence[tuple[Vector, str]] = ()
    ) -> Iterator[Loop]:
        """A loop ``for index in range(start, stop, step)``, possibly empty; of one turn, its body.

        Parameters
        ----------
        carried : sequence of (type, first value)
            Values that go from one turn to the next: set ``loop.following`` in the body; after the
            loop they are ``loop.results``.
        """
        if start.isdigit() and stop.isdigit() and int(start) < int(stop) <= int(start) + step:
            given = [value for _, value in carried]
            loop = Loop(start, given, given)
            yield loop
            loop.values = loop.following
            return
        head, body, end = self.label("head"), self.label("body"), self.label("end")
        before = self.block
        self.do(f"br label %{head}")
        self.start(head)
        index, following = self.fresh("i"), self.fresh("n")
        entering = [self.fresh("c") for _ in carried]
        slot = len(self.lines)
        self.lines.extend([""] * (1 + len(carried)))
        test = self.let(f"icmp slt i64 {index}, {stop}")
        self.do(f"br i1 {test}, label %{body}, label %{end}")
        self.start(body)
        loop = Loop(index, entering, entering)
        yield loop
        self.lines.append(f"  {following} = add i64 {index}, {step}")
        latch = self.block
        self.do(f"br label %{head}")
        self.lines[slot] = f"  {index} = phi i64 [ {start}, %{before} ], [ {following}, %{latch} ]"
        pairs = zip(carried, entering, loop.following, strict=True)
        for place, ((type_, first), name, last) in enumerate(pairs, slot + 1):
            self.lines[place] = (
                f"  {name} = phi {type_} [ {first}, %{before} ], [ {last}, %{latch} ]"
            )
        self.start(end)


def copy(emit: Emitter, target: str, source: str, size: str) -> None:
    """Copy ``size`` bytes; the two places do not overlap."""
    name = "llvm.memcpy.p0.p0.i64"
    emit.declare(name, f"declare void @{name}(ptr, ptr, i64, i1)")
    emit.do(f"call void @{name}(ptr {target}, ptr {source}, i64 {size}, i1 false)")


def mask_below(emit: Emitter, type_: Vector, count: str) -> str:
    """The mask of the lanes whose number is less than the i64 ``count``."""
    numbers = Vector("i32", type_.lanes)
    inside = emit.integer("smin", emit.integer("smax", count, "0"), str(type_.lanes))
    bound = emit.splat(numbers, emit.let(f"trunc i64 {inside} to i32"))
    lanes = ", ".join(f"i32 {lane}" for lane in range(type_.lanes))
    return emit.let(f"icmp slt {numbers} <{lanes}>, {bound}")


def prefetch(emit: Emitter, place: str, *, write: bool = False) -> None:
    """Ask for the cache line at an address, which need not be one, in the second-level cache.

    To ``write`` there, others' copies of the line must go.
    """
    name = "llvm.prefetch.p0"
    emit.declare(name, f"declare void @{name}(ptr, i32, i32, i32)")
    emit.do(f"call void @{name}(ptr {place}, i32 {int(write)}, i32 {_NEAR}, i32 1)")


def clear(emit: Emitter, target: str, size: str) -> None:
    """Set ``size`` bytes to 0."""
    emit.declare("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    emit.do(f"call void @llvm.memset.p0.i64(ptr {target}, i8 0, i64 {size}, i1 false)")


@dataclass()
class Loop:
    """One loop: its index, the carried values in this turn, and what they are in the next.

    After the loop, ``values`` are the final ones: phi nodes of its head.
    """

    index: str
    values: list[str]
    following: list[str]


def function(
    name: str, parameters: str, body: Emitter, result: str = "void", linkage: str = "external"
) -> str:
    """The text of a function; nothing is ever thrown through it, so no tables for that."""
    lines = "\n".join(body.lines)
    return f"define {linkage} {result} @{name}({parameters}) nounwind {{\nentry:\n{lines}\n}}\n"


def module(target: Target, functions: Sequence[str], declarations: dict[str, str]) -> str:
    """The text of a module."""
    declared = "\n".join([*declarations.values(), *BY_ADDRESS])
    return f'target triple = "{target.triple}"\n\n{declared}\n\n' + "\n".join(functions)
