"""What an engine is: it compiles graphs, and runs programs.

A **program** is a step graph and how it is iterated: which outputs feed which inputs of the next
step, which inputs are rows of data sets, and in which order the rows come. The reference engine
runs it with a Python loop; a compiling engine makes one function of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from operator import attrgetter
from threading import Lock
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np

from chainrule.errors import DtypeError, ParameterError, ShapeError
from chainrule.graph.graph import Graph
from chainrule.records import dataclass
from chainrule.shapes import ROWS, Array, TensorType, is_float

Executable = Callable[[Sequence[Array]], list[Array]]
"""A compiled graph: the values of its inputs in, the values of its outputs out."""

Direct = Callable[..., list[Array]]
"""The same for arrays of known types and shapes, an argument for each input."""

Finite = Callable[..., list[Array] | None]
"""The same, or None where something is wrong with the last of them."""


@runtime_checkable
class Directed(Protocol):
    """A compiled graph that has a quicker way where types and shapes are known."""

    def direct(self, arrays: Sequence[Array], kept: int = 0) -> Direct:
        """The function for plain arrays of the types and shapes of these."""

    def finite(self, arrays: Sequence[Array], kept: int = 0) -> Finite | None:
        """The same, if it can be had, for a last array that may hold NaN: then it gives None."""


@runtime_checkable
class Blockwise(Protocol):
    """A compiled graph that can take many rows at once, each of them for itself."""

    def by_blocks(self, arrays: Sequence[Array], finite: bool) -> list[Array] | None:
        """The values of the outputs; None if that cannot be done, or something is wrong.

        Parameters
        ----------
        arrays : sequence of arrays
            No row of them may have a part in what another row gives.
        finite : bool
            Whether NaN and infinities in the rows are something wrong.
        """


def direct(run: Executable, arrays: Sequence[Array], kept: int = 0) -> Direct:
    """``run`` for calls that are repeated: types and shapes are looked at now, and not again.

    Parameters
    ----------
    run : Executable
    arrays : sequence of arrays
        Each call must be given arrays (and no subclass's) of the same types and shapes.
    kept : int
        So many of the first arrays stay where they are; calls are given the others.
    """
    if isinstance(run, Directed):
        return run.direct(arrays, kept)
    first = arrays[:kept]
    return lambda *given: run([*first, *given])


@dataclass(frozen=True)
class Program:
    """A step graph and how it is iterated.

    Attributes
    ----------
    step : Graph
        Inputs, in this order: the carried values, the row inputs, ``key``. Outputs, in this
        order: the next carried values, then what is recorded of each step, the loss first.
    carried : int
        How many inputs (and outputs) are carried from step to step.
    batch : int
        Rows a step.
    shuffled : bool
        Whether each epoch has an order of its own, from the seed and the epoch's number.
    merge_single_row : bool
        Whether a tail of one row joins the batch before it.
    drop_last : bool
        Whether a tail shorter than ``batch`` is left out.
    replacement : bool
        Whether rows are drawn anew for each step, so that some come twice.
    steps : range or None
        The steps of each epoch that are run; all of them if None.
    before : int
        How many steps of the epoch were run on other rows: those that are given follow them.
    donated : int
        How many of the carried values, the last ones, the caller gives away: an engine may put
        the next ones in their place.
    single : Graph or None
        Where the step is that of many members, whose axis comes first in all that is carried and
        recorded: the step of one of them, with a key of its own (``random.split``).
    """

    step: Graph
    carried: int
    batch: int
    shuffled: bool = True
    merge_single_row: bool = False
    drop_last: bool = False
    replacement: bool = False
    steps: range | None = None
    before: int = 0
    donated: int = 0
    single: Graph | None = None

    @property
    def first_step(self) -> int:
        """The number of the first step of an epoch that is run."""
        return self.before + (0 if self.steps is None else self.steps.start)

    def bounds(self, rows: int) -> Array:
        """Where the batch of each step that is run begins and ends: (steps, 2) int64.

        Raises
        ------
        ParameterError
            If there are no rows, or a batch would have none.
        """
        if rows < 1 or self.batch < 1:
            raise ParameterError(f"batches of {self.batch} cannot be taken from {rows} rows")
        low = np.arange(0, rows, self.batch, dtype=np.int64)
        last = rows - int(low[-1])
        if len(low) > 1 and self.drop_last and last < self.batch:
            low, rows = low[:-1], int(low[-1])
        elif len(low) > 1 and self.merge_single_row and last == 1 < self.batch:
            low = low[:-1]
        found = np.stack([low, np.append(low[1:], rows)], axis=1)
        return found if self.steps is None else found[self.steps.start : self.steps.stop]


class Span(NamedTuple):
    """Steps that one call runs: ``full`` batches of the program's size, and a tail of fewer rows.

    Attributes
    ----------
    full : int
    batch, tail : int
        Rows of a step; a tail of 0 rows is none.
    steps : int
        How many there are.
    """

    full: int
    batch: int
    tail: int
    steps: int

    @classmethod
    def of(cls, bounds: Array) -> Span:
        """The steps that begin and end at these rows: (steps, 2) int64."""
        sizes = (bounds[:, 1] - bounds[:, 0]).tolist()
        full = len(sizes) - (sizes[-1] != sizes[0])
        return cls(full, sizes[0], sizes[-1] if full < len(sizes) else 0, len(sizes))


@dataclass(frozen=True)
class Outcome:
    """What running a program gave.

    Attributes
    ----------
    carried : list of arrays
        The carried values after the last step.
    records : list of arrays
        For each step output an array with axes (epochs, steps, ...), not to be written to; of a
        step whose loss is not finite the loss alone.
    finite : bool
        False if the loss of no member was, after some step; the carried values are those before it.
    """

    carried: list[Array]
    records: list[Array]
    finite: bool = True


class Engine(Protocol):
    """An engine: a name, and two methods.

    Attributes
    ----------
    name : str
    splits_epochs : bool
        Whether programs may name some of the steps of an epoch.
    speed : float
        A cautious guess of how many times faster than the reference engine it is.
    """

    name: str
    splits_epochs: bool
    speed: float

    def compile(self, graph: Graph) -> Executable:
        """A function from the graph's input values to its output values."""

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


EngineChoice: TypeAlias = str | Engine | None
"""An engine by name, or with settings of its own; None for the one of the environment."""


Key = TypeVar("Key")
Value = TypeVar("Value")


array_kind = attrgetter("__class__", "dtype", "shape")
"""What a call must know of an array, in a key that is made quickly."""


def remember(kept: dict[Any, Value], key: Any, value: Value, limit: int) -> None:
    """Keep a value in a dict of at most ``limit``; when that is full, it begins anew."""
    if len(kept) >= limit:
        kept.clear()
    kept[key] = value


class BoundedCache(Generic[Key, Value]):
    """The most recently used results, at most ``limit`` of them; safe to use from many threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._items: OrderedDict[Key, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """What is stored under ``key``, made if it is not there."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
                return self._items[key]
        value = make()
        with self._lock:
            self._items[key] = value
            while len(self._items) > self.limit:
                self._items.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._items)


def rows_of(types: Sequence[TensorType], arrays: Sequence[Array]) -> int | None:
    """How many rows ROWS stands for, from the values of the inputs.

    Raises
    ------
    ShapeError
        If an input has another shape than its value, or two disagree on the rows.
    DtypeError
        If an input has another element type than its value.
    """
    rows: int | None = None
    for type_, array in zip(types, arrays, strict=True):
        dtype, shape = type_
        if array.dtype != dtype:
            raise DtypeError(f"an input of type {type_} was given elements of type {array.dtype}")
        if array.shape == shape:
            continue
        if len(shape) != array.ndim or shape[:1] != (ROWS,) or shape[1:] != array.shape[1:]:
            raise ShapeError(f"an input of type {type_} was given shape {array.shape}")
        if rows not in (None, len(array)):
            raise ShapeError(f"inputs disagree on the number of rows: {rows} and {len(array)}")
        rows = len(array)
    return rows


def dead_steps(losses: Array) -> Array:
    """For each step of epochs, (epochs, steps, ...), whether its loss is finite for no member."""
    return np.asarray(~np.isfinite(losses.reshape(*losses.shape[:2], -1)).any(axis=2))


def told_until(record: Array, count: int) -> Array:
    """A record of epochs, of the last of which only so many steps are told."""
    record[-1, count:] = np.nan if is_float(record.dtype) else 0
    return record
