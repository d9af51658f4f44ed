"""A program's epoch as one function that JAX compiles: order, gathering, steps, records.

It has two forms. Where the data sets lie on the devices, a call is an epoch, and the rows are put
in order there. Where they are too large, a call is the next few steps of an epoch, and the rows
come in the order they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.engines.base import Program
from chainrule.engines.xla.devices import Devices
from chainrule.engines.xla.function import traceable
from chainrule.engines.xla.library import jax, jnp, lax
from chainrule.engines.xla.threefry import fold_in, random_bits
from chainrule.shapes import fixed_shape


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
    def of(cls, bounds: Sequence[tuple[int, int]]) -> Span:
        """The steps that begin and end at these rows."""
        sizes = [high - low for low, high in bounds]
        full = len(sizes) - (sizes[-1] != sizes[0])
        return cls(full, sizes[0], sizes[-1] if full < len(sizes) else 0)

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.full + bool(self.tail)


class State(NamedTuple):
    """What goes from step to step.

    Attributes
    ----------
    carried : list of arrays
    alive : bool array
        Whether a loss was finite in every step so far; then ``carried`` stands still.
    """

    carried: list[Any]
    alive: Any


def row_order(program: Program, epoch_key: Any, rows: int) -> Any:
    """The order in which an epoch visits the rows, as in the reference engine; None for theirs."""
    key = fold_in(epoch_key, np.uint64(0))
    if program.replacement:
        return random_bits(key, (rows,), 64) % np.uint64(rows)
    if program.shuffled:
        return jnp.argsort(random_bits(key, (rows,), 32), stable=True)
    return None


class Epoch:
    """Some steps of a program, compiled for a number of rows.

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
        Whether the rows come in the order that they are needed.
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
        inputs = program.step.inputs[: program.carried]
        state = State(
            [devices.by_units(fixed_shape(node.shape)) for node in inputs], devices.everywhere
        )
        self.compiled = jax.jit(
            self._run, donate_argnums=0, out_shardings=(state, devices.everywhere)
        )

    def __call__(self, state: State, rows: Sequence[Any], seed: Any, epoch: int, first: int) -> Any:
        """Run the steps from number ``first``; gives the state, and the records of each step."""
        return self.compiled(state, list(rows), seed, np.uint64(epoch), np.uint64(first))

    def _run(self, state: State, rows: list[Any], seed: Any, epoch: Any, first: Any) -> Any:
        epoch_key = fold_in(seed, epoch)
        order = None if self.ordered else row_order(self.program, epoch_key, self.rows)
        if order is not None:
            order = order.astype(jnp.uint32 if self.rows < 2**32 else jnp.uint64)

        def one(state: State, number: Any, size: int) -> tuple[State, Any]:
            start = number.astype(jnp.int64) * self.span.batch
            batch = [self._batch(array, order, start, size) for array in rows]
            return self._step(state, batch, fold_in(epoch_key, first + number + np.uint64(1)))

        full, batch, tail = self.span
        numbers = jnp.arange(full, dtype=jnp.uint64)
        state, records = lax.scan(lambda state, number: one(state, number, batch), state, numbers)
        if tail:
            state, last = one(state, np.uint64(full), tail)
            records = [
                jnp.append(r, each[None], axis=0) for r, each in zip(records, last, strict=True)
            ]
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

    def _step(self, state: State, batch: Sequence[Any], key: Any) -> tuple[State, list[Any]]:
        """One step; its records, the last of them whether it counts."""
        values = self.step([*state.carried, *batch, key])
        carried, records = values[: self.program.carried], values[self.program.carried :]
        alive = state.alive & jnp.isfinite(records[0]).any()
        kept = [jnp.where(alive, new, old) for new, old in zip(carried, state.carried, strict=True)]
        return State(kept, alive), [*records, state.alive]
