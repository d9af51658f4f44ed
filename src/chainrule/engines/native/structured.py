"""Emitters for the engine's own fixed functions: conditions, open loops, variables on the stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from chainrule.engines.native.emitter import Emitter, Vector, function
from chainrule.engines.native.target import Target
from chainrule.records import dataclass

I64 = Vector("i64", 1)


@dataclass()
class Turn:
    """One turn of a loop without an index: the i1 whether another follows, and carried values."""

    again: str
    values: list[str]
    following: list[str]


class Structured(Emitter):
    """An emitter of code that is written once, not for each program: short before it is fast."""

    def binary(self, operation: str, left: str, right: str | int) -> str:
        """An instruction on two 64-bit integers."""
        return self.let(f"{operation} i64 {left}, {right}")

    def variable(self, first: str = "0") -> str:
        """A 64-bit word on the stack; for the beginning of a function."""
        place = self.let("alloca i64")
        self.store(I64, first, place)
        return place

    def increase(self, place: str) -> str:
        """Add one to a variable: the new value."""
        value = self.binary("add", self.load(I64, place), 1)
        self.store(I64, value, place)
        return value

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """A block that runs where the condition holds; it may return."""
        then, end = self.label("then"), self.label("end")
        self.do(f"br i1 {condition}, label %{then}, label %{end}")
        self.start(then)
        yield
        if not self.lines[-1].startswith("  ret"):
            self.do(f"br label %{end}")
        self.start(end)

    @contextmanager
    def forever(self) -> Iterator[str]:
        """A loop; gives the label of its end, for `leave_if`."""
        head, end = self.label("again"), self.label("end")
        self.do(f"br label %{head}")
        self.start(head)
        yield end
        self.do(f"br label %{head}")
        self.start(end)

    @contextmanager
    def turns(self, carried: Sequence[tuple[Vector, str]] = ()) -> Iterator[Turn]:
        """A loop that goes round as long as ``turn.again`` holds at the end of its body.

        Parameters
        ----------
        carried : sequence of (type, first value)
            Values that go from one turn to the next: set ``turn.following`` in the body.
        """
        body, end, before = self.label("body"), self.label("end"), self.block
        self.do(f"br label %{body}")
        self.start(body)
        entering = [self.fresh("c") for _ in carried]
        slot = len(self.lines)
        self.lines.extend([""] * len(carried))
        turn = Turn("false", entering, entering)
        yield turn
        latch = self.block
        self.do(f"br i1 {turn.again}, label %{body}, label %{end}")
        self.lines[slot : slot + len(carried)] = [
            f"  {name} = phi {type_} [ {first}, %{before} ], [ {last}, %{latch} ]"
            for (type_, first), name, last in zip(carried, entering, turn.following, strict=True)
        ]
        self.start(end)

    def leave_if(self, condition: str, end: str) -> None:
        """Go to ``end`` where the condition holds."""
        go_on = self.label("on")
        self.do(f"br i1 {condition}, label %{end}, label %{go_on}")
        self.start(go_on)


class Part(NamedTuple):
    """One function: its name, its parameters, what writes its body, its type, who sees it."""

    name: str
    parameters: str
    body: Callable[..., None]
    result: str = "void"
    linkage: str = "internal"


def functions(
    target: Target, parts: Sequence[Part], emitter: type[Structured]
) -> tuple[list[str], dict[str, str]]:
    """The text of each part, and the declarations of what they call."""
    texts: list[str] = []
    declarations: dict[str, str] = {}
    for part in parts:
        emit = emitter(target)
        part.body(emit)
        texts.append(function(part.name, part.parameters, emit, *part[3:]))
        declarations |= emit.declarations
    return texts, declarations
