"""Passes over large arrays by several threads: one alone waits for memory most of the time."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from itertools import pairwise
from typing import TypeVar

import numpy as np

from chainrule.engines.native.threads import thread_count
from chainrule.shapes import Array, Dtype

WORTH = 2**23  # bytes for each thread: a few milliseconds, of which its start takes a tenth

Result = TypeVar("Result")


def by_threads(work: Callable[[slice], Result], array: Array) -> list[Result]:
    """What ``work`` gives for parts of the rows of an array, the first ones first.

    It runs in several threads where the array is large; NumPy holds no interpreter lock. Each has
    the caller's context, and so NumPy's settings for errors.

    >>> import numpy as np
    >>> by_threads(lambda part: int(np.arange(4)[part].sum()), np.arange(4))
    [6]
    """
    count = min(thread_count(), len(array), array.nbytes // WORTH)
    if count <= 1:
        return [work(slice(None))]
    from concurrent.futures import ThreadPoolExecutor

    ends = [len(array) * each // count for each in range(count + 1)]
    with ThreadPoolExecutor(count) as pool:
        begun = [pool.submit(copy_context().run, work, slice(*each)) for each in pairwise(ends)]
        return [each.result() for each in begun]


def contiguous(array: Array, dtype: Dtype) -> Array:
    """The array itself if it is contiguous and of this type, else a copy.

    >>> import numpy as np
    >>> contiguous(np.arange(3.0)[::2], np.dtype("float32"))
    array([0., 2.], dtype=float32)
    """
    array = np.asarray(array)
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    found = np.empty(array.shape, dtype)

    def copy(part: slice) -> None:
        found[part] = array[part]

    by_threads(copy, array)
    return found
