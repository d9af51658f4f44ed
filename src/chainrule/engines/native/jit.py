"""From LLVM IR as text to machine code in memory, with no mid-level pipeline: codegen level 2."""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from threading import Event, Thread
from typing import Any

from chainrule.engines.native.cache import cached_object
from chainrule.engines.native.llvm import bindings, undivided
from chainrule.engines.native.target import Target

CODEGEN_LEVEL = 2  # level 0 gives code 5 times slower, the mid-level pipeline takes 0.3 s more
# Options of LLVM's, for the whole process. Loop strength reduction is a third of the time, the
# machine scheduler a twentieth; without them the code is as fast, or faster by up to 6 %.
OMITTED = "-disable-lsr=true", "-enable-misched=false"
USUAL = "-disable-lsr=false", "-enable-misched=true"
# LLVM maps each section for itself: in a process whose address space is full of holes, code and
# constants land further apart than instructions reach, and LLVM ends the process. llvmlite's memory
# manager takes one block for all sections. It is llvmlite's choice on Arm; where neither was tried
# here, the choice stays with it.
ONE_BLOCK = True if sys.platform == "linux" else None

# Code that nobody can call any more. It is unmapped when the next is loaded, because Python would
# lose a Ctrl-C that came while it deletes an object, and would wait there for who compiles.
_left: deque[Any] = deque()


def _nothing() -> None:
    pass


def machine(target: Target) -> Any:
    """LLVM's code generator for a target."""
    with bindings() as llvm:
        return llvm.Target.from_triple(target.triple).create_target_machine(
            cpu=target.cpu,
            features=target.features,
            opt=CODEGEN_LEVEL,
            reloc="pic",
            codemodel="small",
        )


@contextmanager
def generating(text: str, target: Target) -> Iterator[tuple[Any, Any]]:
    """A code generator, and a module that LLVM's verifier has seen, in a context of its own."""
    with undivided(), ExitStack() as held:
        with bindings() as llvm:
            context = held.enter_context(llvm.create_context())
            generator = held.enter_context(machine(target))
            module = held.enter_context(llvm.parse_assembly(text, context))
            module.verify()
            held.enter_context(_passes.omitted())
        yield generator, module


class _Passes:
    """Those that cost more than they give: off while any thread generates code."""

    def __init__(self) -> None:
        self._generators = 0

    @contextmanager
    def omitted(self) -> Iterator[None]:
        """For as long as code is generated."""
        self._count(1, OMITTED)
        try:
            yield
        finally:
            self._count(-1, USUAL)

    def _count(self, more: int, options: tuple[str, ...]) -> None:
        with bindings() as llvm:
            others = self._generators if more > 0 else self._generators - 1
            self._generators += more
            for option in () if others else options:
                llvm.set_option("chainrule", option)


_passes = _Passes()


@undivided()  # what is deleted when it returns is deleted inside, where no Ctrl-C gets lost
def to_object(text: str, target: Target, begins: Callable[[], None] = _nothing) -> bytes:
    """Object code of a module's text; ``begins`` is called before what takes long."""
    with generating(text, target) as (generator, module):
        begins()
        return _emitted(generator, module)


def to_objects(texts: Sequence[str], target: Target) -> list[bytes]:
    """Object code of modules, all at once: of each but the last in a thread of its own."""
    compilers = [Compiler(partial(to_object, text, target)) for text in texts[:-1]]
    for compiler in compilers:
        compiler.begin()
    last = to_object(texts[-1], target)
    return [*(compiler.result() for compiler in compilers), last]


class Compiler(Thread):
    """A thread that compiles a module.

    Parameters
    ----------
    make : callable
        Gives object code; calls its argument before what takes long.

    Attributes
    ----------
    begun : Event
        From now on it asks for no interpreter lock: it would wait for that until others give way.
    """

    def __init__(self, make: Callable[[Callable[[], None]], bytes]) -> None:
        super().__init__(name="chainrule-compiler")
        self.begun = Event()
        self._make = make
        self._made: bytes | None = None

    def begin(self) -> None:
        """Start, and go on when the interpreter is free again."""
        try:
            self.start()
        except RuntimeError:  # the system's limit, or the interpreter is ending: `result` compiles
            return
        self.begun.wait()

    def run(self) -> None:
        """Compile; what fails is reported as of any thread, and fails again in `result`."""
        try:
            self._made = self._make(self.begun.set)
        finally:
            self.begun.set()

    def result(self) -> bytes:
        """Object code; where no thread made it, made here, or this fails for the same reason."""
        if self.ident is not None:
            self.join()
        return self._make(_nothing) if self._made is None else self._made


@cache
def _interface() -> tuple[Any, Any]:
    """llvmlite's interface to LLVM, and the function that gives object code, without its lock.

    Modules of other contexts may be worked on at the same time.
    """
    with bindings() as llvm:
        locked = llvm.ffi.lib.LLVMPY_TargetMachineEmitToMemory
        emit = ctypes.CDLL(llvm.ffi.lib._name).LLVMPY_TargetMachineEmitToMemory
    emit.argtypes, emit.restype = locked.argtypes, locked.restype
    return llvm.ffi, emit


def _emitted(generator: Any, module: Any) -> bytes:
    """Object code; nobody who holds the lock of the bindings is waited for."""
    interface, emit = _interface()
    library = interface.lib
    with interface.OutputString() as message:
        memory = emit(generator, module, True, message)
        if not memory:
            raise RuntimeError(str(message))
    try:
        start, size = library.LLVMPY_GetBufferStart(memory), library.LLVMPY_GetBufferSize(memory)
        return ctypes.string_at(start, size)
    finally:
        library.LLVMPY_DisposeMemoryBuffer(memory)


def to_assembly(text: str, target: Target) -> str:
    """The same code in the processor's language."""
    with generating(text, target) as (generator, module):
        assembly: str = generator.emit_assembly(module)
    return assembly


def provide(name: str, function: Any) -> None:
    """Let compiled code call ``function``, a function of a library that `ctypes` has loaded."""
    with bindings() as llvm:
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)


class Code:
    """Machine code in memory: mapped while this object or a function made by it is alive.

    It stays mapped until other code is loaded after that, and when the interpreter ends, because a
    daemon thread may still be inside.

    Parameters
    ----------
    objects : sequence of bytes
        Object code; the objects may call each other's functions.
    target : Target
    """

    def __init__(self, objects: Sequence[bytes], target: Target) -> None:
        with bindings() as llvm:
            while _left:
                _left.popleft().close()
            engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine(target), ONE_BLOCK)
            for each in objects:
                engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(each))
            engine.finalize_object()
        self._engine = engine
        weakref.finalize(self, _left.append, engine).atexit = False

    def address(self, name: str) -> int:
        """Where a function begins; the caller keeps this object alive while it uses that."""
        with bindings():
            found: int = self._engine.get_function_address(name)
        return found

    def function(self, name: str, result: Any, *parameters: Any) -> Callable[..., Any]:
        """A function that Python can call, by `ctypes`; it holds no GIL while it runs."""
        found: Any = ctypes.CFUNCTYPE(result, *parameters)(self.address(name))
        found.code = self  # whoever can call it keeps it mapped
        return found  # type: ignore[no-any-return]


def load(text: str, target: Target) -> Code:
    """The code of a module's text, from the object cache where it is there."""
    return load_as(text, target, lambda: to_object(text, target))


def load_as(name: str, target: Target, make: Callable[[], bytes]) -> Code:
    """The code of a module that the engine's sources define; made where the cache lacks it."""
    return Code([cached_object(name, target, make)], target)
