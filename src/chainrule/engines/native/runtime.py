"""The engine's own code: the order of rows, calls by Python, threads.

Each is a module, for a process that needs it. Where no cache holds it, it is compiled in a thread
of its own while the first program is still being written: LLVM holds no interpreter lock.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from threading import Event, RLock, Thread
from typing import Any, Final

from chainrule.engines.native import calling, jit, parallel
from chainrule.engines.native.cache import is_cached
from chainrule.engines.native.emitter import module
from chainrule.engines.native.llvm import undivided
from chainrule.engines.native.structured import Structured, functions
from chainrule.engines.native.target import Target, host

Functions = tuple[list[str], dict[str, str]]


def _order(target: Target) -> Functions:
    from chainrule.engines.native import ordering

    return functions(target, ordering.PARTS, Structured)


def _calls(target: Target) -> Functions:
    return functions(target, calling.PARTS, calling.Shim)


def _threads(target: Target) -> Functions:
    from chainrule.engines.native import subnormals, waiting

    texts, declarations = functions(target, parallel.PARTS, parallel.Words)
    return [waiting.definitions(target), subnormals.definitions(target), *texts], declarations


ORDER, CALLS, THREADS = "order", "calls", "threads"
_FUNCTIONS: Final[dict[str, Callable[[Target], Functions]]] = {
    ORDER: _order,
    CALLS: _calls,
    THREADS: _threads,
}
NAMES = tuple(_FUNCTIONS)


def text(name: str, target: Target) -> str:
    """A module: what `ordering`, `calling` or `parallel` defines."""
    return module(target, *_FUNCTIONS[name](target))


def key(name: str) -> str:
    """What the cache knows a module by, beside the engine's sources."""
    return f"module {name}"


def runtime(name: str) -> jit.Code:
    """The code of a module, for this processor; the same in each call."""
    return _module(name).loaded()


@cache
def prepare(*names: str) -> None:
    """Begin to compile modules, except those in a cache; the caller goes on."""
    missing = [name for name in names if not is_cached(key(name), host())]
    if missing:
        compiler = _Compiler([_module(name) for name in missing])
        compiler.start()
        compiler.begun.wait()


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
    if name == CALLS:
        return [(each, getattr(ctypes.pythonapi, each)) for each in calling.API]
    if name == THREADS and sys.platform == "win32":
        from chainrule.engines.native import waiting

        return [(each, getattr(ctypes.windll.kernel32, each)) for each in waiting.WINDOWS_FUNCTIONS]
    return []


class _Compiler(Thread):
    """A thread that compiles modules, one after the other.

    Attributes
    ----------
    begun : Event
        From now on it hardly asks for the interpreter lock: it would wait for that until others
        give way.
    """

    def __init__(self, modules: Sequence[_Module]) -> None:
        super().__init__(name="chainrule-compiler")
        self.modules = modules
        self.begun = Event()

    def run(self) -> None:
        """Compile."""
        try:
            for each in self.modules:
                each.compiled(self.begun.set)
        finally:
            self.begun.set()
