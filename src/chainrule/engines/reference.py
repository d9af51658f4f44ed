"""The reference engine: NumPy, node by node. It is the definition of the language.

A graph becomes a plan once for each number of rows (see ``plan.py``); a program is a Python loop
around the plan of its step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import repeat
from typing import Any, Final

import numpy as np

from chainrule.engines.base import BoundedCache, Executable, Outcome, Program, rows_of
from chainrule.engines.blas import one_blas_thread
from chainrule.engines.plan import Plan, make_plan
from chainrule.graph.graph import Graph
from chainrule.ops import random
from chainrule.shapes import Array, is_float

CACHED_PLANS: Final = 64  # of programs
PLANS_OF_A_GRAPH: Final = 8  # for as many numbers of rows


class ReferenceEngine:
    """NumPy, node by node; BLAS is held to one thread, so that equal seeds give equal bits."""

    name = "reference"
    splits_epochs = True
    speed = 1.0

    def __init__(self) -> None:
        self._plans: BoundedCache[tuple[Graph, int | None], Plan] = BoundedCache(CACHED_PLANS)

    def plan(self, graph: Graph, rows: int | None = None) -> Plan:
        """The plan of a program's step for a number of rows, made once."""
        return self._plans.get((graph, rows), lambda: make_plan(graph, rows))

    def compile(self, graph: Graph) -> Executable:
        """A function from the graph's input values to its output values."""
        types = [node.type for node in graph.inputs]
        plans: BoundedCache[int | None, Plan] = BoundedCache(PLANS_OF_A_GRAPH)

        def run(arrays: Sequence[Array]) -> list[Array]:
            rows = rows_of(types, arrays)
            plan = plans.get(rows, lambda: make_plan(graph, rows))
            with _quiet(plan):
                values = plan(arrays)
            for place in plan.borrowed:
                values[place] = values[place].copy()
            return [_writable(np.asarray(value)) for value in values]

        return run

    def run(
        self,
        program: Program,
        carried: Sequence[Array],
        rows: Sequence[Array],
        *,
        seed: int,
        epochs: range,
    ) -> Outcome:
        """Iterate a program over whole epochs."""
        count = rows_of([node.type for node in program.step.inputs[:-1]], [*carried, *rows]) or 0
        bounds = program.bounds(count).tolist()
        steps = {size: _Step(self.plan(program.step, size), program, rows, size)
                 for size in dict.fromkeys(high - low for low, high in bounds)}  # fmt: skip
        state, records, finite = list(carried), [], True
        with _quiet(*[step.plan for step in steps.values()]):
            for (low, high), order, key in _schedule(program, count, seed, epochs):
                chosen = slice(low, high) if order is None else order[low:high]
                values = steps[high - low](state, chosen, key)
                records.append(values[program.carried :])
                finite = _any_finite(values[program.carried])
                if not finite:
                    loss, *others = records[-1]
                    records[-1] = [loss, *map(_missing, others)]
                    break
                state = values[: program.carried]
        return Outcome(
            [np.asarray(value) for value in state], stack_records(records, len(bounds)), finite
        )


def _writable(array: Array) -> Array:
    """``array``, copied if it is one element shown many times."""
    return array if array.flags.writeable else array.copy()


def _schedule(
    program: Program, rows: int, seed: int, epochs: range
) -> Iterator[tuple[tuple[int, int], Array | None, Array]]:
    """For each step of all epochs where its batch lies, in which order of the rows, and its key."""
    bounds = program.bounds(rows).tolist()
    first = program.first_step
    keys = keys_of(seed, epochs, first + len(bounds))[:, first:]
    for epoch, each in zip(epochs, keys, strict=True):
        order = row_order(program, seed, epoch, rows)
        yield from zip(bounds, repeat(order), each)


@contextmanager
def _quiet(*plans: Plan) -> Iterator[None]:
    """What plans run in: infinities and NaN are values, and products sum in one order."""
    with np.errstate(all="ignore"):
        if any(plan.splits_products for plan in plans):
            with one_blas_thread():
                yield
        else:
            yield


class _Step:
    """A program's step for one size of batch, with its memory, for the time of one run."""

    def __init__(self, plan: Plan, program: Program, rows: Sequence[Array], size: int) -> None:
        self.plan, self.rows = plan, rows
        self.workspace = plan.workspace()
        passing = program.step.inputs[program.carried :]  # what the next step writes over
        self.copied = [place for place, home in enumerate(plan.homes) if home in passing]
        self.batch = [np.empty((size, *array.shape[1:]), array.dtype) for array in rows]

    def __call__(self, state: Sequence[Any], chosen: Any, key: Array) -> list[Any]:
        """The outputs of one step."""
        batch = map(_gathered, self.rows, repeat(chosen), self.batch)
        values = self.plan.execute(self.workspace, [*state, *batch, key])
        for place in self.copied:
            values[place] = values[place].copy()
        return values


def _gathered(array: Array, chosen: slice | Array, out: Array) -> Array:
    """The chosen rows, in ``out`` if they are not next to each other."""
    if isinstance(chosen, slice):
        return array[chosen]
    if not array.flags.c_contiguous:  # take would copy all of it first
        return array[chosen]
    return array.take(chosen, 0, out, "clip")  # checks of the range are not needed: 1.5 us of 3.5


def _any_finite(loss: Any) -> bool:
    return math.isfinite(loss) if loss.ndim == 0 else bool(np.isfinite(loss).any())


@lru_cache(maxsize=16)
def _epoch_key(seed: int, epoch: int) -> Array:
    key: Array = random.fold_in(random.key(seed), epoch)
    key.flags.writeable = False
    return key


def keys_of(seed: int, epochs: range, steps: int) -> Array:
    """The random key of each step of some epochs, at once: (epochs, steps, 2) uint32."""
    count, numbers = len(epochs), np.arange(1, steps + 1)
    by_epoch = random.fold_in(np.tile(random.key(seed), (count, 1)), np.array(epochs, np.int64))
    keys = random.fold_in(np.repeat(by_epoch, steps, axis=0), np.tile(numbers, count))
    return np.asarray(keys).reshape(count, steps, 2)


def row_order(program: Program, seed: int, epoch: int, rows: int) -> Array | None:
    """The order in which an epoch visits the rows; None for the order they are in."""
    if not (program.shuffled or program.replacement):
        return None
    key = random.fold_in(_epoch_key(seed, epoch), 0)
    order: Array
    if program.replacement:
        order = random.random_bits(key, (rows,), 64) % np.uint64(rows)
    else:
        order = random.permutation(key, rows)
    return order.astype(np.int64)


def _missing(like: Array) -> Array:
    """NaN, or 0 where there is none."""
    return np.full_like(like, np.nan if is_float(like.dtype) else 0)


def stack_records(records: Sequence[Sequence[Any]], steps: int) -> list[Array]:
    """For each record an array with axes (epochs, steps, ...); what did not run is NaN, or 0."""
    missing = -len(records) % steps
    columns = [np.asarray(column) for column in zip(*records, strict=True)]
    rests = [_missing(np.empty((missing, *column.shape[1:]), column.dtype)) for column in columns]
    padded = [np.concatenate(pair) for pair in zip(columns, rests, strict=True)]
    return [column.reshape(-1, steps, *column.shape[1:]) for column in padded]
