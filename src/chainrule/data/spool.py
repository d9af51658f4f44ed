"""Rows on disk, in files without a name: written once in order, read in the order of each epoch."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from chainrule.data.shards import SHARDS, Order, Window, window_rows
from chainrule.errors import DataError
from chainrule.shapes import Array
from chainrule.training.streaming import Portion


class _File:
    """The rows of one array, one behind the other."""

    def __init__(self, like: Array) -> None:
        self.dtype, self.row_shape = like.dtype, like.shape[1:]
        self.row_bytes = like.dtype.itemsize * int(np.prod(like.shape[1:]))
        self.hash = hashlib.sha256()
        self._file: Any = tempfile.TemporaryFile(  # noqa: SIM115 - closed with the spool
            prefix="chainrule-", buffering=0
        )

    def write(self, rows: Array) -> None:
        """Add rows behind the others."""
        left = np.ascontiguousarray(rows, self.dtype).reshape(-1).view(np.uint8).data
        self.hash.update(left)
        while left:
            left = left[self._file.write(left) :]

    def read(self, first: int, rows: Array) -> None:
        """Fill ``rows`` with those from ``first`` on."""
        self._file.seek(first * self.row_bytes)
        left = rows.reshape(-1).view(np.uint8).data
        while left:
            size = self._file.readinto(left)
            if not size:
                raise DataError("a temporary file of rows was cut short")
            left = left[size:]

    def close(self) -> None:
        """Give the disk space back."""
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
        self._counts = np.zeros(SHARDS, np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def __len__(self) -> int:
        return int(self._counts.sum())

    @property
    def digest(self) -> str:
        """The same for the same rows in the same shards."""
        total = hashlib.sha256(self._counts.tobytes())
        for file in self._files:
            total.update(file.hash.digest())
        return f"{len(self)} rows on disk with SHA-256 {total.hexdigest()[:16]}"

    def write(self, shards: Array, arrays: Sequence[Array]) -> None:
        """Add rows, each with the shard that it is in; these never decrease.

        Raises
        ------
        DataError
            If the disk is full.
        """
        self._counts += np.bincount(shards, minlength=SHARDS)
        try:
            for file, rows in zip(self._files, arrays, strict=True):
                file.write(rows)
        except OSError as reason:
            raise DataError(
                f"encoded rows cannot be written to {tempfile.gettempdir()!r}"
                f" ({reason.strerror}); set TMPDIR to a folder with more room"
            ) from None

    @cached_property
    def _starts(self) -> Array:
        """The first row of each shard in the files."""
        return np.append(0, np.cumsum(self._counts))

    def portions(
        self, epoch: int, bounds: Array, first: int, *, seed: int, shuffled: bool
    ) -> Iterator[Portion]:
        """The rows of the steps from ``first`` on, in portions of about one chunk."""
        window = window_rows(sum(file.row_bytes for file in self._files))
        order = Order(tuple(self._counts.tolist()), window, seed, shuffled)
        return self._portions(order, epoch, bounds, first)

    def _portions(self, order: Order, epoch: int, bounds: Array, first: int) -> Iterator[Portion]:
        """Chunks, cut where steps end; what is left goes before the next chunk."""
        number, sample = order.chunk_of(int(bounds[first, 0])), int(bounds[first, 0])
        left, begin = [file_rows(file, 0) for file in self._files], sample
        while first < len(bounds):
            chunk = self._chunk(order, epoch, number)
            skipped = max(begin + len(left[0]) - int(order.starts[number]), 0)
            rows = [np.concatenate([a, b[skipped:]]) for a, b in zip(left, chunk, strict=True)]
            number += 1
            end = begin + len(rows[0])
            stop = int(np.searchsorted(bounds[:, 1], end, side="right"))
            if stop > first:
                cut = int(bounds[stop - 1, 1]) - begin
                yield Portion([each[:cut] for each in rows], first, stop)
                left, begin, first = [each[cut:].copy() for each in rows], begin + cut, stop
            else:
                left = rows

    def _chunk(self, order: Order, epoch: int, number: int) -> list[Array]:
        """The rows of a chunk, in the order of the epoch."""
        windows = order.chunk(epoch, number)
        count = sum(len(window.order) for window in windows)
        found = [file_rows(file, count) for file in self._files]
        for window in windows:
            for file, rows in zip(self._files, found, strict=True):
                self._fill(file, rows, window)
        return found

    def _fill(self, file: _File, rows: Array, window: Window) -> None:
        """Put the rows of a window where they belong; those of a block are read at once."""
        buffer, base, low = file_rows(file, len(window.order)), int(self._starts[window.shard]), 0
        for first, stop in window.blocks.tolist():
            high = low + stop - first
            file.read(base + first, buffer[low:high])
            low = high
        places = np.empty_like(window.order)
        places[window.order] = window.samples
        rows[places] = buffer


def file_rows(file: _File, count: int) -> Array:
    """Room for rows of a file."""
    return np.empty((count, *file.row_shape), file.dtype)
