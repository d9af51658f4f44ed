"""The xla engine: graphs and programs as functions that JAX compiles."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from chainrule.engines import base
from chainrule.engines import processes as group
from chainrule.engines.base import BoundedCache, Executable, Outcome, Program, Span, rows_of
from chainrule.engines.reference import row_order
from chainrule.engines.xla.devices import PLATFORMS, PRECISIONS, Devices
from chainrule.engines.xla.function import Traceable
from chainrule.engines.xla.library import first_sentence, jax, wide
from chainrule.engines.xla.program import Call, State, state_shardings
from chainrule.errors import EngineError, unknown_name
from chainrule.graph.graph import Graph
from chainrule.ops import random
from chainrule.shapes import Array

KEPT_PROGRAMS: Final = 64
RESIDENT_SHARE: Final = 0.5  # of a device's memory may be data sets; the rest is for training
PORTIONS: Final = 4  # of streamed rows, that fit into the memory for data sets together

Parts: TypeAlias = list[list[Any]]  # the records of epochs, in the parts that they ran in


class _Work(NamedTuple):
    """A program and what it runs on."""

    program: Program
    signature: str
    rows: Sequence[Array]
    bounds: Array
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
    split_units : int >= 1, optional
        Among how many devices the units of each layer are divided, where a network is too wide
        for one of them; by default the number with which sums over devices should take least time.
    data_bytes : int, optional
        How much of each device's memory data sets may take; larger ones are streamed. Half of
        it by default.

    Raises
    ------
    UnknownNameError
        For another kind of device, or another precision.
    """

    name = "xla"
    splits_epochs = False
    speed = 10.0

    def __init__(
        self, device: str | None = None, *, devices: int | None = None, precision: str = "float32",
        split_units: int | None = None, data_bytes: int | None = None,
    ) -> None:  # fmt: skip
        if device is not None and device not in PLATFORMS:
            raise unknown_name("device", device, PLATFORMS)
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS)
        self.device, self.precision = device, precision
        self._count, self._split_units, self._data_bytes = devices, split_units, data_bytes
        self._compilations: BoundedCache[Any, Call] = BoundedCache(KEPT_PROGRAMS)
        self._signatures: BoundedCache[Program, str] = BoundedCache(KEPT_PROGRAMS)
        self._data: dict[int, Any] = {}
        self._agreed: Program | None = None

    @cached_property
    def devices(self) -> Devices:
        """Where programs run; found on first use."""
        return Devices.chosen(self.device, self._count, self._split_units)

    def compile(self, graph: Graph) -> Executable:
        """A function from the graph's input values to its output values, on one device."""
        compute = jax.jit(Traceable(graph, self.precision))

        def run(arrays: Sequence[Array]) -> list[Array]:
            with _in_words(), wide(), jax.default_device(self.devices.local):
                return [np.array(value) for value in compute(list(arrays))]

        return run

    def run(
        self, program: Program, carried: Sequence[Array], rows: Sequence[Array], *,
        seed: int, epochs: range,
    ) -> Outcome:  # fmt: skip
        """Iterate a program over whole epochs; each is one call of compiled code.

        Arrays of rows are copied to the devices once, and must not change while they exist.
        """
        count = rows_of([node.type for node in program.step.inputs[:-1]], [*carried, *rows]) or 0
        named = self._signatures.get(program, lambda: group.signature(program))
        work = _Work(program, named, rows, program.bounds(count), seed)
        with _in_words(), wide(), group.results_only():
            return self._run(work, carried, epochs)

    def _run(self, work: _Work, carried: Sequence[Array], epochs: range) -> Outcome:
        state, finite = self._start(work.program, carried), True
        told: list[list[Array]] = []
        for newest, records in self._calls(work, carried, state, epochs):
            state = newest
            told.append(records)
            finite = not base.dead_steps(records[0]).any()
            if not finite:
                break
        columns = [np.concatenate(parts) for parts in zip(*told, strict=True)]
        if finite:
            return Outcome(self.devices.fetch(state), columns)
        epoch, step = divmod(int(np.argmax(base.dead_steps(columns[0]))), len(work.bounds))
        columns = [base.told_until(x[: epoch + 1], step + (x is columns[0])) for x in columns]
        kept = self._again(work, carried, epochs[: epoch + 1], step)
        return Outcome(self.devices.fetch(kept), columns, finite=False)

    def _again(self, work: _Work, carried: Sequence[Array], epochs: range, steps: int) -> State:
        """What is carried into a step of the last of these epochs, whose loss is not finite.

        All is run once more up to there: to keep what each step began with would cost as much
        memory as the training, or half of its time.
        """
        state = self._start(work.program, carried)
        for part in self._parted(work, epochs[:-1]):
            state, _ = self._call(work, state, part)
        if steps:
            state, _ = self._call(work._replace(bounds=work.bounds[:steps]), state, epochs[-1:])
        return state

    def _calls(
        self, work: _Work, carried: Sequence[Array], state: State, epochs: range
    ) -> Iterator[tuple[State, list[Array]]]:
        """Records of epochs, each while later ones run already, and the newest state.

        In a cluster, where all agree before a call, the next one does not run yet.
        """
        waiting: deque[tuple[range, Parts]] = deque()
        for part in self._parted(work, epochs):
            self._agree(work, carried, part)
            state, records = self._call(work, state, part)
            waiting.append((part, records))
            while len(waiting) > (group.current() is None):
                yield state, self._told(*waiting.popleft())
        for each in waiting:
            yield state, self._told(*each)

    def _parted(self, work: _Work, epochs: range) -> Iterator[range]:
        """As many epochs as a call may have; in a cluster one, as others may be asked for less."""
        single = self._is_large(work.rows) or group.current() is not None
        most = 1 if single else self._compiled(work, work.bounds, len(work.rows[0])).most
        return (epochs[first : first + most] for first in range(0, len(epochs), most))

    def _told(self, epochs: range, parts: Parts) -> list[Array]:
        """The records of epochs, each with axes (epochs, steps, ...)."""
        fetched = map(self.devices.fetch, parts)
        return [np.concatenate(x, axis=1)[: len(epochs)] for x in zip(*fetched, strict=True)]

    def _agree(self, work: _Work, carried: Sequence[Array], epochs: range) -> None:
        """Go on only if all processes of a cluster are about to do the same."""
        cluster = group.current()
        if cluster is not None:
            new = work.program is not self._agreed
            about = group.facts(work.signature, carried, work.rows, work.seed) if new else {}
            cluster.agree({**about, "epoch": str(epochs.start + 1)})
            self._agreed = work.program

    def _start(self, program: Program, carried: Sequence[Array]) -> State:
        """The carried values as a call takes them, which never writes over arrays of ours."""
        if group.current() is None:  # JAX copies them itself, in a tenth of the time
            return list(carried)
        return self.devices.put(carried, state_shardings(program, self.devices))

    def _call(self, work: _Work, state: State, epochs: range) -> tuple[State, Parts]:
        """The state after some epochs, and their records in parts."""
        run = self._streamed if self._is_large(work.rows) else self._resident
        return run(work, state, epochs)

    def _is_large(self, rows: Sequence[Array]) -> bool:
        return sum(array.nbytes for array in rows) > self.data_bytes

    @cached_property
    def data_bytes(self) -> float:
        """How large data sets may be on each device; infinite where nothing limits them."""
        limit: float = (self.devices.local.memory_stats() or {}).get("bytes_limit", np.inf)
        return self._data_bytes or limit * RESIDENT_SHARE

    def _resident(self, work: _Work, state: State, epochs: range) -> tuple[State, Parts]:
        """Epochs over data sets that lie on the devices."""
        run = self._compiled(work, work.bounds, len(work.rows[0]))
        data = [self._on_devices(array) for array in work.rows]
        place = work.program.first_step, int(work.bounds[0, 0])
        state, records = run(state, data, random.key(work.seed), epochs, *place)
        return state, [records]

    def _streamed(self, work: _Work, state: State, epochs: range) -> tuple[State, Parts]:
        """An epoch in portions: while the devices compute, the next rows are put in order."""
        order, found = row_order(work.program, work.seed, epochs.start, len(work.rows[0])), []
        steps = self._steps_a_portion(work)
        for first in range(0, len(work.bounds), steps):
            part = work.bounds[first : first + steps]
            low, high = int(part[0, 0]), int(part[-1, 1])
            chosen = slice(low, high) if order is None else order[low:high]
            portion = self._everywhere([array[chosen] for array in work.rows])
            run = self._compiled(work, part, high - low, ordered=True)
            place = work.program.first_step + first, 0
            state, records = run(state, portion, random.key(work.seed), epochs, *place)
            found.append(records)
        return state, found

    def _steps_a_portion(self, work: _Work) -> int:
        row_bytes = sum(array.nbytes // len(array) for array in work.rows)
        return max(1, int(self.data_bytes / (PORTIONS * row_bytes * work.program.batch)))

    def _compiled(self, work: _Work, bounds: Array, rows: int, *, ordered: bool = False) -> Call:
        """Compiled once for all trainings of the same network and settings."""
        program, span = work.program, Span.of(bounds)
        return self._compilations.get(
            (work.signature, span, rows, ordered),
            lambda: Call(program, span, rows, self.devices, self.precision, ordered=ordered),
        )

    def _everywhere(self, arrays: Sequence[Array]) -> list[Any]:
        if any(isinstance(array, group.Spread) for array in arrays):
            return self.devices.together(arrays)
        return self.devices.put(arrays, [self.devices.everywhere] * len(arrays))

    def _on_devices(self, array: Array) -> Any:
        """An array of rows on every device, for as long as it exists here."""
        if id(array) not in self._data:
            (self._data[id(array)],) = self._everywhere([array])
            weakref.finalize(array, self._data.pop, id(array), None)
        return self._data[id(array)]


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
        group.await_verdict()
        raise EngineError(f"XLA failed: {said}") from reason
