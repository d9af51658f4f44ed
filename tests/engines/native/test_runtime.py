"""The engine's own modules: compiled in a thread of their own, once, with or without a cache."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chainrule.engines.native import jit, runtime
from chainrule.engines.native.cache import OFF, VARIABLE, is_cached
from chainrule.engines.native.llvm import undivided
from chainrule.engines.native.target import host
from tests.clock import PATIENCE
from tests.forking import forks, holds_in_a_child

USES = """
import chainrule as cr, numpy as np
from chainrule.engines.native import jit, runtime
from chainrule.engines.native.cache import is_cached
from chainrule.engines.native.target import host

made, to_object = [], jit.to_object


def seen(text, *rest):
    made.extend(name for name in runtime.NAMES if text == runtime.text(name, host()))
    return to_object(text, *rest)


jit.to_object = seen
before = is_cached(runtime.key(runtime.BASIS), host())
twice = cr.compile(lambda x: 2 * x, engine="native")
print(before, twice(np.ones(2)).tolist(), made.count(runtime.BASIS), made.count(runtime.THREADS))
"""
FORK = """
import os, warnings
from chainrule.engines.native import runtime

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, from 3.12 on
runtime.prepare(runtime.BASIS)
runtime.prepare(runtime.THREADS)
child = os.fork()
if child == 0:
    both = runtime.runtime(runtime.BASIS).address("call"), runtime.runtime(runtime.THREADS)
    os._exit(0 if all(both) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def _printed(source: str, cache: object) -> str:
    environment = {**os.environ, VARIABLE: str(cache)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    ).stdout.strip()


def test_is_compiled_once_and_found_by_the_next_process(tmp_path):
    assert _printed(USES, tmp_path) == "False [2.0, 2.0] 1 0"
    assert _printed(USES, tmp_path) == "True [2.0, 2.0] 0 0"


def test_is_compiled_once_without_a_cache():
    assert _printed(USES, OFF) == "False [2.0, 2.0] 1 0"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_of_fork_has_it_though_the_thread_is_not_there():
    assert _printed(FORK, OFF) == "0"


def test_what_the_thread_cannot_compile_is_refused_where_it_is_needed(monkeypatch):
    """Its own message is seen, and whoever waits for it goes on."""
    module = runtime._Module(runtime.BASIS)
    compiler = jit.Compiler(module.compiled)

    def fails(*_):
        raise RuntimeError("no code")

    monkeypatch.setattr(jit, "to_object", fails)
    with pytest.raises(RuntimeError, match="no code"):
        compiler.run()
    assert compiler.begun.is_set()
    with pytest.raises(RuntimeError, match="no code"):
        module.compiled()


def test_several_threads_generate_code_at_once():
    """Each of them waits, in the midst of it, until all the others are there."""
    texts = [runtime.text(name, host()) for name in runtime.NAMES]
    alone, together = [jit.to_object(text, host()) for text in texts], threading.Barrier(len(texts))

    def made(text):
        return jit.to_object(text, host(), lambda: together.wait(timeout=PATIENCE))

    with ThreadPoolExecutor(len(texts)) as pool:
        assert list(pool.map(made, texts)) == alone


@forks
def test_a_fork_waits_until_code_is_generated():
    """No child finds a module's lock in the hands of a thread that it does not have."""
    begun, done, forked = threading.Event(), threading.Event(), []

    def generates():
        with undivided():
            begun.set()
            done.wait(timeout=PATIENCE)
            forked.append("not yet")

    def found():
        with undivided():
            return forked

    thread = threading.Thread(target=generates)
    thread.start()
    begun.wait(timeout=PATIENCE)
    timer = threading.Timer(0.05, done.set)
    timer.start()
    assert holds_in_a_child(found)
    thread.join()
    timer.join()


def test_a_cache_that_is_off_holds_nothing(monkeypatch):
    monkeypatch.setenv(VARIABLE, OFF)
    assert not is_cached(runtime.key(runtime.BASIS), host())
