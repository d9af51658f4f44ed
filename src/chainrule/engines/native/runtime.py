"""The engine's own code, which every process needs: calls by Python, threads, the order of rows.

It is one module, because each costs some milliseconds beyond its size. Where no cache holds it,
it is compiled in a thread of its own while the first program is still being written: LLVM holds
no interpreter lock.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from threading import Event, Thread

from chainrule.engines.native import calling, jit, parallel
from chainrule.engines.native.cache import is_cached
from chainrule.engines.native.emitter import module
from chainrule.engines.native.llvm import bindings
from chainrule.engines.native.structured import Structured, functions
from chainrule.engines.native.target import Target, host

NAME = "module runtime"  # what the cache knows it by, beside the engine's sources


def text(target: Target) -> str:
    """The module: what `calling`, `parallel` and `ordering` define."""
    from chainrule.engines.native import ordering, subnormals, waiting

    texts = [waiting.definitions(target), subnormals.definitions(target)]
    declarations: dict[str, str] = {}
    for parts, emitter in (
        (calling.PARTS, calling.Shim),
        (parallel.PARTS, parallel.Words),
        (ordering.PARTS, Structured),
    ):
        written, declared = functions(target, parts, emitter)
        texts += written
        declarations |= declared
    return module(target, texts, declarations)


def runtime() -> jit.Code:
    """The code, for this processor; the same in each call."""
    with bindings():  # others wait, and so does whoever comes while the thread compiles
        return _loaded()


@cache
def prepare() -> None:
    """Begin to compile it, unless a cache holds it; the caller goes on."""
    if not is_cached(NAME, host()):
        _thread().start()
        _thread().begun.wait()


class _Compiler(Thread):
    """The thread that compiles, and what it has made.

    Attributes
    ----------
    begun : Event
        From now on it asks for no interpreter lock: it would wait for that until others give way.
    code : bytes or None
        Set before the bindings are free again: a fork has all of it or none.
    """

    def __init__(self) -> None:
        super().__init__(name="chainrule-compiler")
        self.begun = Event()
        self.code: bytes | None = None

    def run(self) -> None:
        """Compile."""
        try:
            with bindings():
                self.code = jit.to_object(text(host()), host(), self.begun.set)
        finally:
            self.begun.set()


@cache
def _thread() -> _Compiler:
    return _Compiler()


@cache
def _loaded() -> jit.Code:
    for name in calling.API:
        jit.provide(name, getattr(ctypes.pythonapi, name))
    if sys.platform == "win32":
        from chainrule.engines.native import waiting

        for name in waiting.WINDOWS_FUNCTIONS:
            jit.provide(name, getattr(ctypes.windll.kernel32, name))
    return jit.load_as(NAME, host(), _object)


def _object() -> bytes:
    """What the thread has made; where none was started, or in a child of fork, made here."""
    return _thread().code or jit.to_object(text(host()), host())
