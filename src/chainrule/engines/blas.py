"""Holding BLAS to one thread: a product that is split among threads sums in another order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any, Final

SPLIT_FROM: Final = 8192
"""Multiply-adds below which no product is split.

OpenBLAS takes one thread up to 9216 for a matrix and a vector, 59296 for a matrix and its own
transpose, and 2**18 for other products (interface/gemv.c, syrk.c and gemm.c of release 0.3).
"""

Libraries = tuple[Any, AbstractContextManager[Any]]

_found: list[Libraries] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A context in which BLAS uses one thread, whoever else enters or leaves it meanwhile."""
    each, shared = _libraries()
    with each.limit(limits=1) if each is not None else nullcontext(), shared:
        yield


def _libraries() -> Libraries:
    """Those that were found first: threads that look at the same time count in one place."""
    if not _found:
        _found.append(_looked_for())
    return _found[0]


def _looked_for() -> Libraries:
    """The libraries whose number of threads is a setting of each thread, and the others."""
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    own = [x for x in blas.lib_controllers if getattr(x, "threading_layer", None) == "openmp"]
    shared = [x for x in blas.lib_controllers if x not in own]
    each = blas.select(filepath=[x.filepath for x in own]) if own else None
    return each, _SharedLimit(shared)


class _SharedLimit:
    """One thread for libraries with one setting for the whole process.

    The first to enter sets it and the last to leave restores it. threadpoolctl's own context
    would restore it with the first to leave, while others still compute.
    """

    def __init__(self, libraries: list[Any]) -> None:
        self._libraries = libraries
        self._lock = Lock()
        self._inside = 0
        self._before: list[int] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = [library.get_num_threads() for library in self._libraries]
                self._set([1] * len(self._libraries))
            self._inside += 1

    def __exit__(self, *failure: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._set(self._before)

    def _set(self, counts: list[int]) -> None:
        for library, count in zip(self._libraries, counts, strict=True):
            # newer threadpoolctl ignores all threads but the first that ever set a number
            release = getattr(library, "clear_controlling_thread", lambda force: None)
            release(force=True)
            library.set_num_threads(count)
            release(force=True)
