"""Text to machine code: what is wrong is refused, what is loaded stays while it is used."""

from __future__ import annotations

import ctypes
import gc
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.engines.native import jit, runtime
from chainrule.engines.native.emitter import Emitter, function, module
from chainrule.engines.native.target import host
from chainrule.engines.native.writing import write_graph
from chainrule.graph.graph import close
from tests.engines.native.holes import UNFILLED

NUMBER = ctypes.c_int64
PRODUCT = close([cr.tanh(cr.input((cr.ROWS, 20)) @ cr.input((20, 30)))])


def constant(value):
    """A module whose only function returns a number."""
    emit = Emitter(host())
    emit.do(f"ret i64 {value}")
    return module(host(), [function("answer", "", emit, "i64")], {})


def test_text_that_is_not_llvm_is_refused():
    with pytest.raises(RuntimeError, match="parsing error"):
        jit.to_object("define nonsense", host())


def test_a_function_outlives_the_name_of_its_code():
    answer = jit.Code([jit.to_object(constant(42), host())], host()).function("answer", NUMBER)
    gc.collect()
    others = [jit.load(constant(n), host()).function("answer", NUMBER) for n in range(20)]
    assert answer() == 42
    assert [other() for other in others] == list(range(20))


def test_code_that_nobody_can_call_is_unmapped_when_other_code_is_loaded():
    code = jit.load(constant(1), host())
    engine = code._engine
    del code
    gc.collect()
    jit.load(constant(2), host())
    assert engine.closed


def test_many_threads_compile_at_once():
    found = {}

    def compile_some(first):
        for n in range(first, first + 10):
            found[n] = jit.load(constant(n), host()).function("answer", NUMBER)()

    threads = [threading.Thread(target=compile_some, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(n == value for n, value in found.items())


def test_provide():
    answer = ctypes.CFUNCTYPE(NUMBER)(lambda: 17)
    jit.provide("chainrule_test_answer", answer)
    emit = Emitter(host())
    emit.declare_foreign("chainrule_test_answer", "i64", "")
    emit.do(f"ret i64 {emit.let('call i64 @chainrule_test_answer()')}")
    code = module(host(), [function("ask", "", emit, "i64")], emit.declarations)
    assert jit.Code([jit.to_object(code, host())], host()).function("ask", NUMBER)() == 17


def all_is_compiled():
    """Wait for what was begun, by earlier tests too, and was not needed yet."""
    for thread in threading.enumerate():
        if isinstance(thread, jit.Compiler):
            thread.join(300)
            assert not thread.is_alive()


def usual():
    """What others in this process would get, when all of ours is compiled."""
    all_is_compiled()
    program = write_graph(PRODUCT, host()).texts[0]
    with jit.bindings() as llvm, llvm.parse_assembly(program) as module:
        return jit.machine(host()).emit_assembly(module)


def test_options_of_llvm_are_put_back():
    """Others in the process generate the code they would have."""
    before, program = usual(), write_graph(PRODUCT, host()).texts[0]
    ours = jit.to_assembly(program, host())
    assert usual() == before
    with pytest.raises(RuntimeError), jit.generating(program, host()):
        raise RuntimeError("stopped half-way")
    assert usual() == before
    assert ours != before, "the options do nothing"


@pytest.mark.parametrize("one_block", [True, False])
@pytest.mark.skipif(sys.platform != "linux", reason="maps memory as Linux does")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="instructions that reach 2 GiB")
def test_memory_full_of_holes(one_block):
    """Programs are loaded where no hole holds all of one and the next is 3 GiB away.

    LLVM's own way of placing them, the planted defect, ends the process.
    """
    script = Path(__file__).parent / "holes.py"
    command = [sys.executable, script, str(int(one_block))]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    if done.returncode == UNFILLED:
        pytest.skip("the system limits addresses")
    if one_block:
        assert (done.returncode, done.stdout) == (0, b"loaded\n"), done.stderr.decode()
    else:
        assert done.returncode < 0, "it was not ended by a signal"


def test_functions_of_libraries_are_called_by_their_address():
    """Whatever an instruction's reach: no code asks for a jump beside it."""
    x = cr.input((cr.ROWS, 20))
    texts = write_graph(close([cr.sin(x), cr.gelu(x), cr.sum(x, axis=0)]), host()).texts
    for written in (*texts, *(runtime.text(name, host()) for name in runtime.NAMES)):
        assert "@PLT" not in jit.to_assembly(written, host())
    direct = texts[0].replace(" nonlazybind", "")
    assert "@PLT" in jit.to_assembly(direct, host()), "nothing is called"
