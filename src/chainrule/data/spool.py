"""Rows on disk, in files without a name: written once in order, read in the order of each epoch."""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from chainrule.data.shards import BLOCK_ROWS, SHARDS, Order, Window, window_rows
from chainrule.engines.processes import gathered, place
from chainrule.errors import DataError
from chainrule.shapes import INT64, Array
from chainrule.training.data import all_finite
from chainrule.training.prefetch import prefetched
from chainrule.training.streaming import Portion


class _File:
    """The rows of one array, one behind the other."""

    def __init__(self, like: Array) -> None:
        self.dtype, self.row_shape = like.dtype, like.shape[1:]
        self.row_bytes = like.dtype.itemsize * int(np.prod(like.shape[1:]))
        self._file: Any = tempfile.TemporaryFile(  # noqa: SIM115 - closed with the spool
            prefix="chainrule-", buffering=0
        )
        self._map: mmap.mmap | None = None

    def write(self, rows: Array) -> None:
        """Add rows behind the others."""
        left = np.ascontiguousarray(rows, self.dtype).reshape(-1).view(np.uint8).data
        while left:
            left = left[self._file.write(left) :]

    @cached_property
    def rows(self) -> Array:
        """All rows, where the file is mapped into memory: nothing is read before it is used.

        Raises
        ------
        DataError
            If the address space has no room for them.
        """
        size = self._file.tell()
        if not size:
            return file_rows(self, 0)
        try:
            self._map = mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ)
        except OSError as reason:
            raise DataError(
                f"{size:,} bytes of encoded rows cannot be mapped into memory ({reason.strerror});"
                " raise the limit of the address space (ulimit -v), or train on fewer rows"
            ) from None
        return np.frombuffer(self._map, self.dtype).reshape(-1, *self.row_shape)

    def expect(self, blocks: Array) -> None:
        """Have blocks of rows read from the disk meanwhile, each from a number up to another."""
        narrow = BLOCK_ROWS * self.row_bytes < mmap.PAGESIZE  # whose neighbours are read anyway
        if self._map is not None and not narrow and hasattr(mmap, "MADV_WILLNEED"):
            for first, stop in (blocks * self.row_bytes).tolist():
                low = first - first % mmap.PAGESIZE
                self._map.madvise(mmap.MADV_WILLNEED, low, stop - low)

    def forget(self) -> None:
        """Let go of the memory of the rows that were used; they remain on the disk."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Give the disk space back, which a file has as long as it is mapped."""
        self._map = None
        self.__dict__.pop("rows", None)
        self._file.close()


class Spool:
    """Encoded rows of a table on disk, for training: a :class:`RowSource`.

    The files lie in the folder for temporary files (``TMPDIR``), have no name, and are gone when
    the process ends, however it ends. Rows are read in windows of all shards while the engine
    computes on those before; see :class:`chainrule.data.shards.Order`.

    Parameters
    ----------
    sample : sequence of arrays
        Features, targets, and weights if there are any: some of the rows.

    Examples
    --------
    >>> X, y = np.arange(200.0)[:, None], np.arange(200.0)
    >>> with Spool([X[:10], y[:10]]) as spool:
    ...     spool.write(np.arange(200) * 64 // 200, [X, y])
    ...     bounds = np.array([[0, 128], [128, 200]])
    ...     for portion in spool.portions(0, bounds, 0, seed=0, shuffled=True):
    ...         print(portion.first, portion.stop, portion.rows[1][:4].tolist())
    0 2 [0.0, 6.0, 9.0, 11.0]
    """

    def __init__(self, sample: Sequence[Array]) -> None:
        self.sample = sample
        self._files = [_File(array) for array in sample]
        self._hashes = [[hashlib.sha256() for _ in self._files] for _ in range(SHARDS)]
        self._counts = np.zeros(SHARDS, np.int64)
        self._finite = True  # the features that were written
        self._others: list[Any] = []  # counts and digests of the shards that other processes have

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def __len__(self) -> int:
        return int(self._sizes.sum())

    def shared(self) -> None:
        """Say what this process has written, and hear what the others have: all its rows are."""
        mine = self._counts.tolist(), [[h.hexdigest() for h in each] for each in self._hashes]
        self._others = gathered(mine)
        del self._others[place()[0]]

    @property
    def _sizes(self) -> Array:
        """Rows of each shard, whoever has them."""
        found: Array = np.sum([self._counts, *[counts for counts, _ in self._others]], axis=0)
        return found

    @property
    def digest(self) -> str:
        """The same for the same rows in the same shards, whoever has them."""
        total = hashlib.sha256(self._sizes.tobytes())
        for shard, own in enumerate(self._hashes):
            there = [digests[shard] for counts, digests in self._others if counts[shard]]
            for each in there[0] if there else [h.hexdigest() for h in own]:
                total.update(each.encode())
        return f"{len(self)} rows on disk with SHA-256 {total.hexdigest()[:16]}"

    def write(self, shards: Array, arrays: Sequence[Array]) -> None:
        """Add rows, each with the shard that it is in; these never decrease.

        Raises
        ------
        DataError
            If the disk is full.
        """
        self._counts += np.bincount(shards, minlength=SHARDS)
        self._finite = self._finite and all_finite(np.asarray(arrays[0], self._files[0].dtype))
        try:
            for number, (file, rows) in enumerate(zip(self._files, arrays, strict=True)):
                file.write(rows)
                self._digest(number, shards, np.ascontiguousarray(rows, file.dtype))
        except OSError as reason:
            raise DataError(
                f"encoded rows cannot be written to {tempfile.gettempdir()!r}"
                f" ({reason.strerror}); set TMPDIR to a folder with more room"
            ) from None

    def _digest(self, number: int, shards: Array, rows: Array) -> None:
        present, starts = np.unique(shards, return_index=True)
        for shard, part in zip(present.tolist(), np.split(rows, starts[1:]), strict=True):
            self._hashes[shard][number].update(part.reshape(-1).view(np.uint8).data)

    @cached_property
    def _starts(self) -> Array:
        """The first row of each shard in the files."""
        return np.append(0, np.cumsum(self._counts))

    def portions(
        self, epoch: int, bounds: Array, first: int, *, seed: int, shuffled: bool
    ) -> Iterator[Portion]:
        """The rows of the steps from ``first`` on, in portions of about one chunk."""
        window = window_rows(sum(file.row_bytes for file in self._files))
        order = Order(tuple(self._sizes.tolist()), window, seed, shuffled)
        return self._portions(order, epoch, bounds, first)

    def _portions(self, order: Order, epoch: int, bounds: Array, first: int) -> Iterator[Portion]:
        """Chunks, cut where steps end; what is left goes before the next chunk."""
        begin = int(bounds[first, 0])
        number = order.chunk_of(begin)
        skipped = begin - int(order.starts[number])
        left, own = [file_rows(file, 0) for file in self._files], np.ones(0, bool)
        for places in prefetched(lambda: self._orders(order, epoch, number)):
            rows = [
                self._joined(file, rows, places, skipped)
                for file, rows in zip(self._files, left, strict=True)
            ]
            own = np.append(own, places.own[skipped:])
            skipped, end = 0, begin + len(rows[0])
            stop = int(np.searchsorted(bounds[:, 1], end, side="right"))
            if stop > first:
                cut = int(bounds[stop - 1, 1]) - begin
                mine = own[:cut] if self._others else None
                yield Portion([each[:cut] for each in rows], first, stop, mine, self._finite)
                left, begin, first = [each[cut:].copy() for each in rows], begin + cut, stop
                own = own[cut:]
            else:
                left = rows

    def _orders(self, order: Order, epoch: int, number: int) -> Iterator[_Places]:
        """Where the rows of the chunks lie, from one on."""
        while number < order.chunks:
            windows = order.chunk(epoch, number, np.flatnonzero(self._counts).tolist())
            count = int(order.starts[number + 1] - order.starts[number])
            places = _Places.of(windows, self._starts, count)
            for file in self._files:
                file.expect(places.blocks)
            yield places
            number += 1

    def _joined(self, file: _File, left: Array, places: _Places, skipped: int) -> Array:
        """Rows that are left and, behind them, those of a chunk from the row ``skipped`` on."""
        chosen = places.chosen[skipped:]
        found = file_rows(file, len(left) + len(chosen))
        found[: len(left)] = left
        rows = file.rows if len(file.rows) else self.sample[self._files.index(file)]
        np.take(rows, chosen, axis=0, out=found[len(left) :], mode="clip")  # needs no buffer
        file.forget()
        return found


class _Places(NamedTuple):
    """Where the rows of a chunk lie.

    Attributes
    ----------
    blocks : (m, 2) int64
        Where rows begin and end that lie next to each other in the files.
    chosen : (n,) int64
        The numbers of the rows in the files, in the order of the epoch; -1 for those that another
        process has.
    """

    blocks: Array
    chosen: Array

    @property
    def own(self) -> Array:
        """Which rows this process has: (n,) bool."""
        return self.chosen >= 0

    @classmethod
    def of(cls, windows: Sequence[Window], starts: Array, count: int) -> _Places:
        """From windows of shards, which begin at some rows of the files, in a chunk of rows."""
        if not windows:
            return cls(np.empty((0, 2), INT64), np.full(count, -1))
        there = windows[0].there
        places = np.full(there.shape[::-1], -1, INT64)
        blocks = np.concatenate([window.blocks + starts[window.shard] for window in windows])
        numbers, base = _numbers(blocks), 0
        for window in windows:
            stop = base + len(window.order)
            places[window.shard, : stop - base] = numbers[base:stop][window.order]
            base = stop
        whole = places.size == count
        return cls(blocks, places.T.reshape(-1) if whole else places.T[there])


def _numbers(blocks: Array) -> Array:
    """All numbers from one up to below another, one block behind the other.

    >>> _numbers(np.array([[3, 5], [0, 1]])).tolist()
    [3, 4, 0]
    """
    lengths = blocks[:, 1] - blocks[:, 0]
    offsets = blocks[:, 0] - np.append(0, np.cumsum(lengths[:-1]))
    found: Array = np.repeat(offsets, lengths) + np.arange(lengths.sum())
    return found


def file_rows(file: _File, count: int) -> Array:
    """Room for rows of a file."""
    return np.empty((count, *file.row_shape), file.dtype)
