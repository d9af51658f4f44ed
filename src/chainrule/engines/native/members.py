"""Programs of members side by side: moved into that layout and out of it, on several threads.

No member needs anything of another one, so that parts of them run a whole call in threads of their
own, without ever waiting for each other. A member's bits are the same in any part.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from chainrule.engines.base import BoundedCache, Outcome, Program, rows_of
from chainrule.engines.native.heap import Heap
from chainrule.engines.native.interleaving import members_of, side_by_side
from chainrule.engines.native.running import CompiledProgram, Run
from chainrule.engines.native.target import Target
from chainrule.engines.native.threads import at_once, thread_count
from chainrule.graph.cost import operations
from chainrule.shapes import FLOAT32, Array, TensorType

WORTH = 60_000_000  # operations of a call, some 2 ms: another part costs a third of one in Python
KEPT_PARTS = 128

Cut: TypeAlias = tuple[int, int]  # the first of some members, and the first behind them


class CompiledMembers:
    """A program whose members lie side by side as machine code.

    Parameters
    ----------
    program : Program
    whole : Program
        What `interleaved` gives for it.
    target : Target
    heap : Heap
    """

    def __init__(self, program: Program, whole: Program, target: Target, heap: Heap) -> None:
        self.graph, self.target, self.heap = program.step, target, heap
        self.members = members_of(program)
        self._steps = {self.members: whole.step}  # by how many members do it
        self._records = [node.type for node in whole.step.outputs[whole.carried :]]
        self._work = operations(program.step, program.batch)
        self._parts: BoundedCache[Cut, CompiledProgram] = BoundedCache(KEPT_PARTS)
        self._undivided: weakref.WeakSet[Program] = weakref.WeakSet()

    def run(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
        epochs: range,
    ) -> Outcome | None:
        """Run some epochs; None if a computed index was outside its axis."""
        rows_of([node.type for node in self.graph.inputs[:-1]], [*carried, *rows])
        steps = len(program.bounds(len(rows[0]))) * len(epochs)
        cuts = self._cuts(program, steps * self._work)
        kept = self._kept(len(epochs), steps // len(epochs))
        found = self._run_parts(cuts, program, carried, rows, seed, epochs, kept)
        if len(cuts) > 1 and not all(each is None or each.finite for each in found):
            self._undivided.add(program)  # steps go on while the loss of any member is finite
            return self.run(program, carried, rows, seed, epochs)
        outcomes = [each for each in found if each is not None]
        return self._together(outcomes, kept) if len(outcomes) == len(found) else None

    def _cuts(self, program: Program, work: float) -> list[Cut]:
        """The members of each part."""
        if work < WORTH or program in self._undivided:
            return [(0, self.members)]
        return cut(self.members, thread_count(), self.target.lanes(FLOAT32))

    def _run_parts(
        self,
        cuts: Sequence[Cut],
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        seed: int,
        epochs: range,
        kept: Sequence[Array | None],
    ) -> list[Outcome | None]:
        """What each part gives; its records lie among those of all members."""

        def begin(part: Cut) -> Run:
            compiled = self._parts.get(part, lambda: self._compiled(program, part))
            mine = [_with_axis(x[slice(*part)], 0, -1) for x in carried]
            numbers = np.arange(*part, dtype=np.uint32)
            among = [None if x is None else x[..., slice(*part)] for x in kept]
            return compiled.begin(program, [*mine, numbers], rows, seed, epochs, among)

        runs = [begin(part) for part in cuts]
        if len(runs) == 1:
            runs[0].call()
        else:
            at_once([run.one_of_several() for run in runs])
        return [run.outcome() for run in runs]

    def _kept(self, epochs: int, steps: int) -> list[Array | None]:
        """Where the records of all members go; None for what they share."""
        return [
            self.heap.array(TensorType(dtype, (epochs, steps, *shape))) if shape else None
            for dtype, shape in self._records
        ]

    def _together(self, outcomes: Sequence[Outcome], kept: Sequence[Array | None]) -> Outcome:
        """What parts gave, with the members' axis where everybody else has it."""
        first, *_ = outcomes
        carried = zip(*[outcome.carried[:-1] for outcome in outcomes], strict=True)
        records = [
            _repeated(mine, self.members) if all_ is None else all_[: len(mine)]
            for mine, all_ in zip(first.records, kept, strict=True)
        ]
        return Outcome([_joined(parts) for parts in carried], records, finite=first.finite)

    def _compiled(self, program: Program, part: Cut) -> CompiledProgram:
        """The code of some members."""
        count = part[1] - part[0]
        if count not in self._steps:
            step = side_by_side(program, count)
            assert step is not None, "the step of all members has been built"
            self._steps[count] = step
        carried = program.carried + 1  # and their numbers
        given = replace(program, step=self._steps[count], carried=carried, single=None)
        return CompiledProgram(given, self.target, self.heap)


def cut(members: int, most: int, lanes: int) -> list[Cut]:
    """At most so many parts of whole vectors, about as many in each.

    None has a single member: sums over rows that lie side by side have an order of their own.

    >>> cut(32, 2, 16), cut(40, 3, 8), cut(33, 4, 16), cut(17, 4, 16)
    ([(0, 16), (16, 32)], [(0, 8), (8, 24), (24, 40)], [(0, 16), (16, 33)], [(0, 17)])
    """
    lanes = max(2, lanes)
    vectors = max(1, -(-(members - 1) // lanes))  # a member too many goes with those before it
    count = min(vectors, most)
    ends = [lanes * (vectors * each // count) for each in range(count)]
    return list(pairwise([*ends, members]))


def _joined(parts: Sequence[Array]) -> Array:
    """Arrays whose last axis is the members' as one array with that axis first."""
    moved = [_with_axis(x, -1, 0) for x in parts]
    shape = sum(len(x) for x in moved), *moved[0].shape[1:]
    return np.concatenate(moved, out=np.empty(shape, moved[0].dtype))


def _repeated(record: Array, members: int) -> Array:
    """A record that all members share, as one of each: a view that cannot be written to."""
    return np.broadcast_to(record[..., None], (*record.shape, members))


def _with_axis(array: Array, source: int, target: int) -> Array:
    """`numpy.moveaxis` for one axis, without its checks: a call has dozens of arrays."""
    axes = list(range(array.ndim))
    moved = axes.pop(source)
    axes.insert(target if target >= 0 else len(axes), moved)
    return array.transpose(axes)
