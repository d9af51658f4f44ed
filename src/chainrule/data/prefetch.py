"""Work ahead: what will be needed next is made by a thread while the last is used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from queue import Full, Queue
from typing import Any, TypeVar

Item = TypeVar("Item")

_WAIT = 0.1  # seconds, after which a thread that waits looks whether it is still needed


def prefetched(make: Callable[[], Iterator[Item]], ahead: int = 1) -> Generator[Item, None, None]:
    """The items of an iterator that runs in a thread of its own, at most ``ahead`` ahead.

    An error of the iterator is raised here, behind the items before it. The thread ends when this
    generator does.

    Examples
    --------
    >>> list(prefetched(lambda: iter(range(3))))
    [0, 1, 2]
    """
    ready: Queue[tuple[Any, BaseException | None, bool]] = Queue(ahead)
    stopped = threading.Event()
    worker = threading.Thread(target=_work, args=(make, ready, stopped), daemon=True)
    worker.start()
    try:
        while True:
            item, error, last = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield item
            del item
    finally:
        stopped.set()
        worker.join()


def _work(make: Callable[[], Iterator[Any]], ready: Queue[Any], stopped: threading.Event) -> None:
    end: tuple[Any, BaseException | None, bool] = (None, None, True)
    items = None
    try:
        items = make()
        for item in items:
            if not _put(ready, (item, None, False), stopped):
                break
    except BaseException as error:  # noqa: BLE001 - it is raised where the items are used
        end = (None, error, True)
    finally:
        if isinstance(items, Generator):
            items.close()  # files are closed by the thread that opened them
    _put(ready, end, stopped)


def _put(ready: Queue[Any], entry: Any, stopped: threading.Event) -> bool:
    """Hand over, unless nobody wants it any more."""
    while not stopped.is_set():
        try:
            ready.put(entry, timeout=_WAIT)
        except Full:
            continue
        return True
    return False
