"""Programs with the units of a layer in halves: moved into that layout and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chainrule.engines.base import Outcome, Program
from chainrule.engines.native.halving import Halved, apart, joined
from chainrule.engines.native.heap import Heap
from chainrule.engines.native.running import CompiledProgram
from chainrule.engines.native.target import Target
from chainrule.shapes import Array


class CompiledHalves:
    """A program whose carried values lie in halves, as machine code.

    Parameters
    ----------
    program : Program
    found : Halved
        What `halved` gives for it.
    target : Target
    heap : Heap
    """

    def __init__(self, program: Program, found: Halved, target: Target, heap: Heap) -> None:
        self.axes = found.axes
        self.compiled = CompiledProgram(replace(program, step=found.step), target, heap)

    def run(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
        epochs: range,
    ) -> Outcome | None:
        """Run some epochs; None if a computed index was outside its axis."""
        pairs = zip(carried, self.axes, strict=True)
        moved = [x if axis is None else apart(x, axis) for x, axis in pairs]
        outcome = self.compiled.run(program, moved, rows, seed, epochs)
        if outcome is None:
            return None
        back = zip(outcome.carried, self.axes, strict=True)
        whole = [x if axis is None else joined(x, axis) for x, axis in back]
        return Outcome(whole, outcome.records, finite=outcome.finite)
