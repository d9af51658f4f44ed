"""The order in which a training visits rows that are not in memory: the same for everybody.

The rows of a table, as they stand in its files, are cut into 64 virtual shards of equal length.
Each shard is shuffled by itself, in windows that fit into memory, and an epoch takes one row from
each shard in turn. So a batch holds rows from 64 places of the table, however it is sorted; and
which rows it holds depends on the seed and the epoch alone, whether one process reads all shards
or many read some each.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ParameterError
from chainrule.ops import random
from chainrule.shapes import INT64, Array

SHARDS = 64
BLOCK_ROWS = 256  # that are next to each other in a shard and are read together
BUFFER_BYTES = 2**24  # of the rows that are shuffled together, beyond one of each shard


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

    Whole blocks; of wide rows fewer than a block, and at least one.

    >>> window_rows(256), window_rows(2**14), window_rows(2**30)
    (1024, 16, 1)
    """
    rows = max(1, BUFFER_BYTES // (SHARDS * row_bytes))
    return rows - rows % BLOCK_ROWS if rows > BLOCK_ROWS else rows


class Window(NamedTuple):
    """Some rows of one shard, that follow each other in an epoch.

    Attributes
    ----------
    shard : int
    blocks : (m, 2) int64
        Where rows begin and end that lie next to each other in the shard.
    order : (n,) int64
        The rows of all blocks, one block behind the other, in the order of the epoch.
    there : (window, SHARDS) bool
        Where each shard has samples in the chunk, which come row by row.
    """

    shard: int
    blocks: Array
    order: Array
    there: Array

    @property
    def samples(self) -> Array:
        """Their places among the samples of their chunk: (n,) int64."""
        numbers = np.cumsum(self.there, dtype=INT64).reshape(self.there.shape) - 1
        return numbers[: len(self.order), self.shard]

    @property
    def rows(self) -> Array:
        """The places of the rows in the shard, in the order of the epoch: (n,) int64."""
        found: Array = np.concatenate([np.arange(*block) for block in self.blocks])[self.order]
        return found


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
        first = number * self.window
        counts = np.clip(np.array(self.sizes) - first, 0, self.window)
        there = np.arange(counts.max())[:, None] < counts
        mine = np.array([shard for shard in shards if counts[shard]], INT64)
        found = (
            self._shuffled(epoch, number, mine, counts)
            if self.shuffled
            else [
                (np.array([[first, first + counts[shard]]]), np.arange(counts[shard]))
                for shard in mine
            ]
        )
        return [
            Window(shard, blocks, order, there)
            for shard, (blocks, order) in zip(mine.tolist(), found, strict=True)
        ]

    def _shuffled(self, epoch: int, number: int, shards: Array, counts: Array) -> list[Any]:
        """Blocks and order of window ``number`` of some shards, in an epoch."""
        keys, blocks = _shuffled_blocks(self.sizes, self.seed, epoch)
        numbers = np.full_like(shards, number + 1)
        places = _permutations(random.fold_in(keys[shards], numbers), counts[shards])
        first = number * self.window
        return [
            (blocks[shard].between(first, first + len(place)), place)
            for shard, place in zip(shards.tolist(), places, strict=True)
        ]


def _permutations(keys: Array, counts: Array) -> list[Array]:
    """For each key the numbers below a count in random order, as :func:`random.permutation`.

    Words are sorted together with their places: several times as fast as their stable order.
    """
    most = int(counts.max(initial=0))
    places = np.arange(most, dtype=np.uint64)
    words = random.random_bits(keys, (most,), 32).astype(np.uint64) << np.uint64(32) | places
    words[places >= counts[:, None]] = np.iinfo(np.uint64).max  # behind all others
    words.sort(axis=1)
    found = (words & np.uint64(2**32 - 1)).view(INT64)
    return [row[:count] for row, count in zip(found, counts.tolist(), strict=True)]


class _Blocks(NamedTuple):
    """The blocks of a shard in the order of an epoch.

    Attributes
    ----------
    bounds : (n, 2) int64
        Where they begin and end in the shard.
    ends : list of int
        Where they end in the order of the epoch.
    """

    bounds: Array
    ends: list[int]

    @classmethod
    def of(cls, size: int, order: Array) -> _Blocks:
        """Of a shard with ``size`` rows."""
        starts = order * BLOCK_ROWS
        stops = np.minimum(starts + BLOCK_ROWS, size)
        return cls(np.stack([starts, stops], axis=1), np.cumsum(stops - starts).tolist())

    def between(self, first: int, stop: int) -> Array:
        """Where rows begin and end in the shard that have places of the epoch: (m, 2) int64."""
        low, high = bisect_right(self.ends, first), bisect_left(self.ends, stop)
        found: Array = self.bounds[low : high + 1].copy()
        found[0, 0] += first - (self.ends[low - 1] if low else 0)
        found[-1, 1] -= self.ends[high] - stop
        return found


@lru_cache(2)
def _shuffled_blocks(sizes: tuple[int, ...], seed: int, epoch: int) -> tuple[Array, list[_Blocks]]:
    """For each shard a key, and its blocks in the order of an epoch."""
    shards = np.arange(SHARDS)
    stream = random.fold_in(random.key(seed), random.Stream.SHARDS)
    keys = np.broadcast_to(random.fold_in(stream, epoch), (SHARDS, 2))
    keys = random.fold_in(keys, shards)
    counts = -(-np.array(sizes) // BLOCK_ROWS)
    orders = _permutations(random.fold_in(keys, np.zeros_like(shards)), counts)
    return keys, [_Blocks.of(size, order) for size, order in zip(sizes, orders, strict=True)]
