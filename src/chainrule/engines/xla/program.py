"""Epochs of a program as one function that JAX compiles: order, gathering, steps, records.

It has two forms. Where the data sets lie on the devices, a call is an epoch or a few, and the rows
are put in order there. Where they are too large, a call is the next few steps of an epoch, and the
rows come in the order they are needed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from chainrule.engines.base import Program
from chainrule.engines.xla.devices import Devices
from chainrule.engines.xla.function import traceable
from chainrule.engines.xla.library import jax, jnp, lax
from chainrule.engines.xla.threefry import fold_in, random_bits
from chainrule.graph.text import print_graph
from chainrule.shapes import FLOAT64, Array, bind_rows, fixed_shape, is_float

ITERATED: Final = (
    "carried", "batch", "shuffled", "merge_single_row", "drop_last", "replacement",
)  # fmt: skip
MOST_EPOCHS: Final = 16  # in a call: what Python does between two of them is shared by so many
MANY_STEPS: Final = 1000  # that take so long themselves that nothing is to be shared

State: TypeAlias = list[Any]
"""The carried values, on the devices."""


class Span(NamedTuple):
    """Steps that one call runs: ``full`` batches of the program's size, and a tail of fewer rows.

    Attributes
    ----------
    full : int
    batch, tail : int
        Rows of a step; a tail of 0 rows is none.
    """

    full: int
    batch: int
    tail: int

    @classmethod
    def of(cls, bounds: Array) -> Span:
        """The steps that begin and end at these rows: (steps, 2) int64."""
        sizes = (bounds[:, 1] - bounds[:, 0]).tolist()
        full = len(sizes) - (sizes[-1] != sizes[0])
        return cls(full, sizes[0], sizes[-1] if full < len(sizes) else 0)

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.full + bool(self.tail)


class Place(NamedTuple):
    """Where the steps of a call begin.

    Attributes
    ----------
    step : int
        Which step of its epoch the first one is.
    row : int
        Where its batch begins, in the order of the rows that are given.
    """

    step: Any
    row: Any


def signature(program: Program) -> str:
    """The same for programs whose steps do the same, whichever nodes they are made of."""
    text, constants = print_graph(program.step)
    return f"{[getattr(program, name) for name in ITERATED]}\n{text}\n{digest(constants)}"


def digest(arrays: Iterable[Array]) -> str:
    """Sixteen digits that are the same for the same numbers."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def row_order(program: Program, epoch_key: Any, rows: int) -> Any:
    """The order in which an epoch visits the rows, as in the reference engine; None for theirs.

    Random words are sorted together with their places: on processors five times as fast as a
    stable order of the words, 4 ms for 60,000 of them.
    """
    key = fold_in(epoch_key, np.uint64(0))
    if program.replacement:
        return random_bits(key, (rows,), 64) % np.uint64(rows)
    if program.shuffled:
        words = random_bits(key, (rows,), 32).astype(jnp.uint64) << np.uint64(32)
        sorted_words = jnp.sort(words | jnp.arange(rows, dtype=jnp.uint64))
        return sorted_words.astype(jnp.uint32)  # the places
    return None


class Records:
    """What is recorded of a step, as one row of real numbers and one of others.

    A loop writes a row in a fifth of the time that it takes to write five scalars.

    Parameters
    ----------
    program : Program
    rows : int
        Of a step.
    """

    def __init__(self, program: Program, rows: int) -> None:
        nodes = program.step.outputs[program.carried :]
        self._types = [(node.dtype, fixed_shape(bind_rows(node.shape, rows))) for node in nodes]
        self._wide = [FLOAT64 if is_float(dtype) else dtype for dtype, _ in self._types]

    def pack(self, values: Sequence[Any]) -> dict[str, Any]:
        """The numbers of a step, by element type."""
        rows: dict[str, list[Any]] = {}
        for dtype, value in zip(self._wide, values, strict=True):
            rows.setdefault(dtype.name, []).append(jnp.ravel(value).astype(dtype))
        return {name: jnp.concatenate(parts) for name, parts in rows.items()}

    def blank(self, *extents: int) -> dict[str, Any]:
        """Rows of zeros, with these axes in front."""
        sizes = dict.fromkeys([dtype.name for dtype in self._wide], 0)
        for (_, shape), dtype in zip(self._types, self._wide, strict=True):
            sizes[dtype.name] += math.prod(shape)
        return {name: jnp.zeros((*extents, size), name) for name, size in sizes.items()}

    def unpack(self, rows: Mapping[str, Array]) -> list[Array]:
        """Each record by itself, with axes (epochs, steps, ...), from rows with these axes."""
        found, used = [], dict.fromkeys(rows, 0)
        for (dtype, shape), wide in zip(self._types, self._wide, strict=True):
            first, size = used[wide.name], math.prod(shape)
            part = rows[wide.name][..., first : first + size]
            found.append(part.reshape(*part.shape[:2], *shape).astype(dtype))
            used[wide.name] += size
        return found


class Call:
    """Some epochs of a program, or some steps of one, compiled for a number of rows.

    Parameters
    ----------
    program : Program
    span : Span
        Which steps a call runs.
    rows : int
        Of the data sets that a call is given.
    devices : Devices
    precision : str
    ordered : bool
        Whether the rows come in the order that they are needed; then a call has one epoch.

    Attributes
    ----------
    most : int
        How many epochs a call may run.
    """

    def __init__(
        self,
        program: Program,
        span: Span,
        rows: int,
        devices: Devices,
        precision: str,
        *,
        ordered: bool,
    ) -> None:
        self.program, self.span, self.rows, self.devices = program, span, rows, devices
        self.ordered = ordered
        self.step = traceable(program.step, precision)
        self.records = Records(program, span.batch)
        self.most = 1 if ordered or span.steps > MANY_STEPS else MOST_EPOCHS
        inputs = program.step.inputs[: program.carried]
        shardings = [devices.by_units(fixed_shape(node.shape)) for node in inputs]
        everywhere = devices.everywhere
        self.compiled = jax.jit(
            self._run,
            in_shardings=(shardings, everywhere, everywhere, everywhere, everywhere, everywhere),
            out_shardings=(shardings, everywhere),
            donate_argnums=0,
        )

    def __call__(
        self, state: State, rows: Sequence[Any], seed: Any, epochs: range, place: Place
    ) -> tuple[State, dict[str, Any]]:
        """Run the steps of epochs: the state after them, and what they record.

        The memory of the state that it is given is used for the one that it gives.
        """
        where = Place(np.uint64(place.step), np.int64(place.row))
        numbers = np.uint64(epochs.start), np.uint64(len(epochs)), where
        found: tuple[State, dict[str, Any]] = self.compiled(state, list(rows), seed, *numbers)
        return found

    def _run(
        self, state: State, rows: list[Any], seed: Any, epoch: Any, count: Any, place: Place
    ) -> Any:
        """Records have axes (most, steps, ...); what is behind the number of epochs is 0."""
        if self.most == 1:
            state, records = self._epoch(state, rows, fold_in(seed, epoch), place)
            return state, {name: each[None] for name, each in records.items()}

        def following(index: Any, before: Any) -> tuple[State, dict[str, Any]]:
            state, kept = before
            state, records = self._epoch(state, rows, fold_in(seed, epoch + index), place)
            return state, {name: kept[name].at[index].set(records[name]) for name in kept}

        blank = self.records.blank(self.most, self.span.steps)
        return lax.fori_loop(np.uint64(0), count, following, (state, blank))

    def _epoch(self, state: State, rows: list[Any], key: Any, place: Place) -> Any:
        order = None if self.ordered else row_order(self.program, key, self.rows)
        full, batch, tail = self.span
        numbers = place.step + np.uint64(1) + jnp.arange(self.span.steps, dtype=jnp.uint64)
        keys = fold_in(jnp.broadcast_to(key, (self.span.steps, 2)), numbers)

        def step(state: State, start: Any, key: Any, size: int) -> tuple[State, dict[str, Any]]:
            given = [self._batch(array, order, start, size) for array in rows]
            values = self.step([*state, *given, key])
            carried = self.program.carried
            return values[:carried], self.records.pack(values[carried:])

        starts = place.row + jnp.arange(full, dtype=jnp.int64) * batch
        state, records = lax.scan(
            lambda state, x: step(state, x[0], x[1], batch), state, (starts, keys[:full])
        )
        if tail:
            state, last = step(state, place.row + full * batch, keys[full], tail)
            records = {
                name: jnp.append(rows, last[name][None], axis=0) for name, rows in records.items()
            }
        return state, records

    def _batch(self, array: Any, order: Any, start: Any, size: int) -> Any:
        """The rows of one step, divided among the devices."""
        if order is None:
            batch = lax.dynamic_slice_in_dim(array, start, size)
        else:
            places = self._divided(lax.dynamic_slice_in_dim(order, start, size))
            batch = array.at[places].get(mode="promise_in_bounds")
        return self._divided(batch)

    def _divided(self, batch: Any) -> Any:
        if self.devices.count == 1:
            return batch
        return lax.with_sharding_constraint(batch, self.devices.by_rows)
