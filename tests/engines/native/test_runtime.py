"""The engine's own module: compiled in a thread of its own, once, with or without a cache."""

import os
import subprocess
import sys

import pytest

from chainrule.engines.native import jit, runtime
from chainrule.engines.native.cache import OFF, VARIABLE, is_cached
from chainrule.engines.native.target import host

USES = """
import chainrule as cr, numpy as np
from chainrule.engines.native import jit, runtime
from chainrule.engines.native.cache import is_cached
from chainrule.engines.native.target import host

made, to_object = [], jit.to_object


def seen(text, *rest):
    made.append("@call" in text and "@worker" in text)
    return to_object(text, *rest)


jit.to_object = seen
before = is_cached(runtime.NAME, host())
twice = cr.compile(lambda x: 2 * x, engine="native")
print(before, twice(np.ones(2)).tolist(), sum(made))
"""
FORK = """
import os
from chainrule.engines.native import runtime

runtime.prepare()
child = os.fork()
if child == 0:
    os._exit(0 if runtime.runtime().address("call") else 1)
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
        timeout=300,
    ).stdout.strip()


def test_is_compiled_once_and_found_by_the_next_process(tmp_path):
    assert _printed(USES, tmp_path) == "False [2.0, 2.0] 1"
    assert _printed(USES, tmp_path) == "True [2.0, 2.0] 0"


def test_is_compiled_once_without_a_cache():
    assert _printed(USES, OFF) == "False [2.0, 2.0] 1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_of_fork_has_it_though_the_thread_is_not_there():
    assert _printed(FORK, OFF) == "0"


def test_what_the_thread_cannot_compile_is_refused_where_it_is_needed(monkeypatch):
    """Its own message is seen, and whoever waits for it goes on."""
    compiler = runtime._Compiler()

    def fails(*_):
        raise RuntimeError("no code")

    monkeypatch.setattr(jit, "to_object", fails)
    monkeypatch.setattr(runtime, "_thread", lambda: compiler)
    with pytest.raises(RuntimeError, match="no code"):
        compiler.run()
    assert compiler.begun.is_set()
    with pytest.raises(RuntimeError, match="no code"):
        runtime._object()


def test_a_cache_that_is_off_holds_nothing(monkeypatch):
    monkeypatch.setenv(VARIABLE, OFF)
    assert not is_cached(runtime.NAME, host())
