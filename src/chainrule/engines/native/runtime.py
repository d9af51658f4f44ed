"""The engine's own code: calls by Python and the order of rows, what threads run, blocks of rows.

These are modules of their own, because most processes need no more than the first; each costs some
milliseconds beyond its size. Where no cache holds one, it is compiled in a thread of its own while
a program is written or compiled: LLVM holds no interpreter lock.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from threading import RLock
from typing import Any, Final

from chainrule.engines.native import calling, jit, parallel
from chainrule.engines.native.cache import is_cached
from chainrule.engines.native.emitter import module
from chainrule.engines.native.llvm import undivided
from chainrule.engines.native.structured import Structured, functions
from chainrule.engines.native.target import Target, host

Functions = tuple[list[str], dict[str, str]]


def _basis(target: Target) -> Functions:
    from chainrule.engines.native import ordering

    texts, declarations = functions(target, calling.PARTS, calling.Shim)
    more, others = functions(target, ordering.PARTS, Structured)
    return [*texts, *more], declarations | others


def _threads(target: Target) -> Functions:
    from chainrule.engines.native import ahead, subnormals, waiting

    parts = (*parallel.PARTS, *ahead.PARTS)
    texts, declarations = functions(target, parts, parallel.Words)
    return [waiting.definitions(target), subnormals.definitions(target), *texts], declarations


def _blocks(target: Target) -> Functions:
    from chainrule.engines.native import blocking

    return functions(target, blocking.PARTS, blocking.Blocks)


BASIS, THREADS, BLOCKS = "basis", "threads", "blocks"
_FUNCTIONS: Final[dict[str, Callable[[Target], Functions]]] = {
    BASIS: _basis,
    THREADS: _threads,
    BLOCKS: _blocks,
}
NAMES = tuple(_FUNCTIONS)


def text(name: str, target: Target) -> str:
    """A module: what `calling` and `ordering` define, or `parallel` and `ahead`, or `blocking`."""
    return module(target, *_FUNCTIONS[name](target))


def key(name: str) -> str:
    """What the cache knows a module by, beside the engine's sources."""
    return f"module {name}"


def runtime(name: str) -> jit.Code:
    """The code of a module, for this processor; the same in each call."""
    return _module(name).loaded()


@cache
def prepare(name: str) -> None:
    """Begin to compile a module, unless a cache holds it; the caller goes on."""
    if not is_cached(key(name), host()):
        jit.Compiler(_module(name).compiled).begin()


class _Module:
    """One of the modules: compiled by whoever comes first, others wait."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = RLock()
        self._object: bytes | None = None
        self._loaded: jit.Code | None = None

    def compiled(self, begins: Callable[[], None] = lambda: None) -> bytes:
        """Object code; ``begins`` is called before what takes long."""
        with undivided(), self._lock:  # so a child of fork finds the lock free
            if self._object is None:
                target = host()
                self._object = jit.to_object(text(self.name, target), target, begins)
            return self._object

    def loaded(self) -> jit.Code:
        """Its code in memory."""
        with undivided(), self._lock:
            if self._loaded is None:
                for name, found in _foreign(self.name):
                    jit.provide(name, found)
                self._loaded = jit.load_as(key(self.name), host(), self.compiled)
            return self._loaded


@cache
def _module(name: str) -> _Module:
    return _Module(name)


def _foreign(name: str) -> list[tuple[str, Any]]:
    """The functions of others that a module calls and LLVM would not find."""
    if name == BASIS:
        return [(each, getattr(ctypes.pythonapi, each)) for each in calling.API]
    if name == THREADS and sys.platform == "win32":
        from chainrule.engines.native import waiting

        return [(each, getattr(ctypes.windll.kernel32, each)) for each in waiting.WINDOWS_FUNCTIONS]
    return []
