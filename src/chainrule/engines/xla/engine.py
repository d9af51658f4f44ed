"""The xla engine: graphs and programs as functions that JAX compiles."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from chainrule.engines.base import BoundedCache, Executable, Outcome, Program, rows_of
from chainrule.engines.reference import row_order
from chainrule.engines.xla.cluster import await_verdict, current, facts, results_only
from chainrule.engines.xla.devices import PLATFORMS, PRECISIONS, Devices
from chainrule.engines.xla.function import traceable
from chainrule.engines.xla.library import first_sentence, jax, wide
from chainrule.engines.xla.program import Epoch, Span, State
from chainrule.errors import EngineError, unknown_name
from chainrule.graph.graph import Graph
from chainrule.ops import random
from chainrule.shapes import Array, is_float

KEPT_PROGRAMS: Final = 64
PORTIONS: Final = 4  # of streamed rows, that fit into the memory for data sets together

Bounds = Sequence[tuple[int, int]]


class _Work(NamedTuple):
    """A program and what it runs on."""

    program: Program
    rows: Sequence[Array]
    bounds: Bounds
    seed: int


class XlaEngine:
    """Graphs and programs compiled by XLA, for one or many devices.

    Parameters
    ----------
    device : {"cpu", "gpu", "tpu"}, optional
        The kind; by default what JAX prefers.
    devices : int >= 1, optional
        How many are used; all by default. The rows of each batch are divided among them.
    precision : {"float32", "tf32", "bfloat16"}
        Of the products of float32 matrices; sums are in float32 in any case.
    split_units : int >= 1
        Among how many devices the units of each layer are divided, where a network is too wide
        for one of them.
    data_bytes : int, optional
        How much of each device's memory data sets may take; larger ones are streamed. Half of
        it by default.

    Raises
    ------
    UnknownNameError
        For another kind of device, or another precision.
    """

    name = "xla"

    def __init__(
        self,
        device: str | None = None,
        *,
        devices: int | None = None,
        precision: str = "float32",
        split_units: int = 1,
        data_bytes: int | None = None,
    ) -> None:
        if device is not None and device not in PLATFORMS:
            raise unknown_name("device", device, PLATFORMS)
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS)
        self.device, self.precision = device, precision
        self._count, self._split_units, self._data_bytes = devices, split_units, data_bytes
        self._epochs: BoundedCache[Any, Epoch] = BoundedCache(KEPT_PROGRAMS)
        self._data: dict[int, Any] = {}
        self._agreed: Program | None = None

    @cached_property
    def devices(self) -> Devices:
        """Where programs run; found on first use."""
        return Devices.chosen(self.device, self._count, self._split_units)

    def compile(self, graph: Graph) -> Executable:
        """A function from the graph's input values to its output values, on one device."""
        compute = jax.jit(traceable(graph, self.precision))

        def run(arrays: Sequence[Array]) -> list[Array]:
            with _in_words(), wide(), jax.default_device(self.devices.local):
                return [np.array(value) for value in compute(list(arrays))]

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
        """Iterate a program over whole epochs; each is one call of compiled code.

        Arrays of rows are copied to the devices once, and must not change while they exist.
        """
        count = rows_of([node.type for node in program.step.inputs[:-1]], [*carried, *rows]) or 0
        work = _Work(program, rows, program.bounds(count), seed)
        one_epoch = self._streamed if self._is_large(rows) else self._resident
        with _in_words(), wide(), results_only():
            state, records = self._start(carried), []
            for epoch in epochs:
                self._agree(work, carried, epoch)
                state, found = one_epoch(work, state, epoch)
                records += found
                if current() and not self.devices.fetch([state.alive])[0]:
                    break  # before processes that stop after each epoch are left behind
            *last, alive = self.devices.fetch([*state.carried, state.alive])
            columns = [self.devices.fetch(column) for column in zip(*records, strict=True)]
        joined = [np.concatenate(column) for column in columns]
        return _outcome(last, bool(alive), joined, len(work.bounds))

    def _agree(self, work: _Work, carried: Sequence[Array], epoch: int) -> None:
        """Go on only if all processes of a cluster are about to do the same."""
        cluster = current()
        if cluster is not None:
            new = work.program is not self._agreed
            about = facts(work.program, carried, work.rows, work.seed) if new else {}
            cluster.agree({**about, "epoch": str(epoch + 1)})
            self._agreed = work.program

    def _start(self, carried: Sequence[Array]) -> State:
        put = self.devices.put
        arrays = [put(array, self.devices.by_units(array.shape)) for array in carried]
        return State(arrays, put(np.asarray(True), self.devices.everywhere))

    def _is_large(self, rows: Sequence[Array]) -> bool:
        limit = self.data_bytes
        return limit is not None and sum(array.nbytes for array in rows) > limit

    @cached_property
    def data_bytes(self) -> int | None:
        """How large data sets may be that lie on the devices; None where nothing limits them."""
        return self._data_bytes or self.devices.resident_bytes()

    def _resident(self, work: _Work, state: State, epoch: int) -> tuple[State, list[Any]]:
        """One epoch, over data sets that lie on the devices."""
        run = self._compiled(work.program, work.bounds, len(work.rows[0]), ordered=False)
        data = [self._on_devices(array) for array in work.rows]
        state, records = run(state, data, random.key(work.seed), epoch, 0)
        return state, [records]

    def _streamed(self, work: _Work, state: State, epoch: int) -> tuple[State, list[Any]]:
        """One epoch in portions: while the devices compute, the next rows are put in order."""
        order, found = row_order(work.program, work.seed, epoch, len(work.rows[0])), []
        steps = self._steps_a_portion(work)
        for first in range(0, len(work.bounds), steps):
            part = work.bounds[first : first + steps]
            low, high = part[0][0], part[-1][1]
            chosen = slice(low, high) if order is None else order[low:high]
            portion = [self.devices.put(x[chosen], self.devices.everywhere) for x in work.rows]
            run = self._compiled(work.program, part, high - low, ordered=True)
            state, records = run(state, portion, random.key(work.seed), epoch, first)
            found.append(records)
        return state, found

    def _steps_a_portion(self, work: _Work) -> int:
        row_bytes = sum(array.nbytes // len(array) for array in work.rows)
        wanted = (self.data_bytes or 0) // (PORTIONS * row_bytes * work.program.batch)
        return max(1, wanted)

    def _compiled(self, program: Program, bounds: Bounds, rows: int, *, ordered: bool) -> Epoch:
        span = Span.of(bounds)
        return self._epochs.get(
            (program, span, rows, ordered),
            lambda: Epoch(program, span, rows, self.devices, self.precision, ordered=ordered),
        )

    def _on_devices(self, array: Array) -> Any:
        """An array of rows on every device, for as long as it exists here."""
        if id(array) not in self._data:
            self._data[id(array)] = self.devices.put(array, self.devices.everywhere)
            weakref.finalize(array, self._data.pop, id(array), None)
        return self._data[id(array)]


def _outcome(carried: list[Array], finite: bool, columns: list[Array], steps: int) -> Outcome:
    """What a run gave; of steps after a loss that was not finite nothing is told."""
    *records, ran = columns
    count = int(ran.sum())
    begun = -(-count // steps)  # epochs
    for record in records:
        record[count:] = np.nan if is_float(record.dtype) else 0
    shaped = [record.reshape(-1, steps, *record.shape[1:])[:begun] for record in records]
    return Outcome(carried, shaped, finite)


@contextmanager
def _in_words() -> Iterator[None]:
    """Errors of XLA as one sentence."""
    try:
        yield
    except jax.errors.JaxRuntimeError as reason:
        said = first_sentence(reason)
        if "RESOURCE_EXHAUSTED" in said:
            raise EngineError(
                "the device has too little memory for this training; take smaller batches,"
                " a larger split_units, or a smaller data_bytes"
            ) from reason
        await_verdict()
        raise EngineError(f"XLA failed: {said}") from reason
