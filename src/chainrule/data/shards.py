"""The order in which a training visits rows that are not in memory: the same for everybody.

The rows of a table, as they stand in its files, are cut into 64 virtual shards of equal length.
Each shard is shuffled by itself, in windows that fit into memory, and an epoch takes one row from
each shard in turn. So a batch holds rows from 64 places of the table, however it is sorted; and
which rows it holds depends on the seed and the epoch alone, whether one process reads all shards
or many read some each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from chainrule.errors import ParameterError
from chainrule.ops import random
from chainrule.shapes import INT64, Array

SHARDS = 64
BLOCK_ROWS = 256  # that are next to each other in a shard and are read together
BUFFER_BYTES = 2**26  # of the rows that are shuffled together, at most


def share(process: int, processes: int) -> range:
    """The virtual shards of one process among several.

    Parameters
    ----------
    process : int
        Its number, from 0.
    processes : int from 1 to 64

    Raises
    ------
    ParameterError
        If there is no such process, or a process would have no shard.

    Examples
    --------
    >>> share(1, 4), [len(share(each, 3)) for each in range(3)]
    (range(16, 32), [21, 21, 22])
    """
    if not 1 <= processes <= SHARDS:
        raise ParameterError(
            f"{SHARDS} shards are read by 1 to {SHARDS} processes, not {processes}"
        )
    if not 0 <= process < processes:
        raise ParameterError(f"{processes} processes are numbered from 0, and {process} is none")
    return range(SHARDS * process // processes, SHARDS * (process + 1) // processes)


def rows_of(shards: range, rows: int) -> range:
    """The numbers of the rows in some shards, next to each other, of a table with ``rows`` rows.

    >>> rows_of(range(64), 1000), rows_of(range(32), 1000)
    (range(0, 1000), range(0, 500))
    """
    return range(rows * shards.start // SHARDS, rows * shards.stop // SHARDS)


def shard_of(numbers: Array, rows: int) -> Array:
    """The shard of each row, by its number: (n,) int64.

    >>> shard_of(np.array([0, 14, 15, 999]), 1000).tolist()
    [0, 0, 1, 63]
    """
    ends = np.array([rows_of(range(each, each + 1), rows).stop for each in range(SHARDS)])
    return np.searchsorted(ends, numbers, side="right")


def window_rows(row_bytes: int) -> int:
    """How many rows of each shard are shuffled together, for rows of so many bytes.

    >>> window_rows(256), window_rows(2**30)
    (4096, 256)
    """
    return max(1, BUFFER_BYTES // (SHARDS * BLOCK_ROWS * row_bytes)) * BLOCK_ROWS


class Window(NamedTuple):
    """Some rows of one shard, that follow each other in an epoch.

    Attributes
    ----------
    shard : int
    rows : (n,) int64
        Their places in the shard, in the order of the epoch.
    samples : (n,) int64
        Their places among the samples of their chunk.
    """

    shard: int
    rows: Array
    samples: Array


@dataclass(frozen=True)
class Order:
    """The order of the samples in every epoch.

    Sample (k, v), the k-th of shard v, comes before (k', v') if k < k', or k = k' and v < v'. The
    samples with k in [c w, (c + 1) w), w being the window, are **chunk** c. Within a shard whole
    blocks of rows are put in a new order for each epoch, and then the rows of each window.

    Parameters
    ----------
    sizes : tuple of 64 ints
        Rows of the shards.
    window : int >= 1
        Rows of a shard that are shuffled together.
    seed : int
    shuffled : bool
        Whether shards are shuffled; if not, their rows come as they stand in the table.

    Examples
    --------
    >>> order = Order((2,) * 63 + (1,), window=256, seed=0)
    >>> len(order), order.chunks
    (127, 1)
    >>> [(w.shard, w.samples.tolist()) for w in order.chunk(0, 0, range(62, 64))]
    [(62, [62, 126]), (63, [63])]
    """

    sizes: tuple[int, ...]
    window: int
    seed: int
    shuffled: bool = True

    def __post_init__(self) -> None:
        if len(self.sizes) != SHARDS or min(self.sizes) < 0 or self.window < 1:
            raise ParameterError(f"an order needs the sizes of {SHARDS} shards and a window >= 1")

    def __len__(self) -> int:
        """Samples of an epoch."""
        return sum(self.sizes)

    @property
    def chunks(self) -> int:
        """How many chunks an epoch has."""
        return -(-max(self.sizes) // self.window)

    @cached_property
    def starts(self) -> Array:
        """The first sample of each chunk, and behind the last: (chunks + 1,) int64."""
        ends = np.arange(self.chunks + 1)[:, None] * self.window
        starts: Array = np.minimum(ends, np.array(self.sizes)).sum(axis=1)
        return starts

    def chunk_of(self, sample: int) -> int:
        """The chunk of a sample, by its place in the epoch."""
        return int(np.searchsorted(self.starts, sample, side="right")) - 1

    def chunk(self, epoch: int, number: int, shards: Sequence[int] = range(SHARDS)) -> list[Window]:
        """The rows of a chunk, those of some shards: every process computes its own."""
        samples = self._samples(number)
        found = []
        for shard in shards:
            mine = samples[samples[:, shard] >= 0, shard]
            if len(mine):
                rows = self._rows(epoch, shard, number * self.window, len(mine))
                found.append(Window(shard, rows, mine))
        return found

    def _samples(self, number: int) -> Array:
        """The sample of each place in a window and each shard; -1 where a shard has no such row."""
        counts = np.clip(np.array(self.sizes) - number * self.window, 0, self.window)
        there = np.arange(counts.max())[:, None] < counts
        numbers = np.cumsum(there, dtype=INT64).reshape(there.shape) - 1
        return np.where(there, numbers, -1)

    def _rows(self, epoch: int, shard: int, first: int, count: int) -> Array:
        """Rows ``first`` and following of a shard, in an epoch."""
        if not self.shuffled:
            return np.arange(first, first + count)
        key = random.fold_in(random.fold_in(random.key(self.seed), random.Stream.SHARDS), epoch)
        key = random.fold_in(key, shard)
        rows = np.concatenate(list(self._blocks(key, shard, first, first + count)))
        places = random.permutation(random.fold_in(key, 1 + first // self.window), count)
        shuffled: Array = rows[places]
        return shuffled

    def _blocks(self, key: Array, shard: int, first: int, stop: int) -> Iterator[Array]:
        """What lies between two places of a shard whose blocks are in a new order."""
        size = self.sizes[shard]
        order = random.permutation(random.fold_in(key, 0), -(-size // BLOCK_ROWS))
        starts = np.asarray(order, INT64) * BLOCK_ROWS
        ends = np.cumsum(np.minimum(BLOCK_ROWS, size - starts))
        low = int(np.searchsorted(ends, first, side="right"))
        high = int(np.searchsorted(ends, stop, side="left"))
        for place in range(low, high + 1):
            before = int(ends[place - 1]) if place else 0
            begin = max(first, before) - before
            end = min(stop, int(ends[place])) - before
            yield np.arange(starts[place] + begin, starts[place] + end)
