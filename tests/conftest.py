"""What every test shares: reproducible examples, shared data, an untouched random state."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from chainrule.errors import GraphError
from chainrule.graph.graph import close
from chainrule.graph.node import Node
from chainrule.graph.verify import verify_node
from chainrule.transforms.passes import observers

# Same examples in every run; look for new ones with `pytest --hypothesis-profile=explore`.
# Machines differ in speed, so no example has a deadline.
settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", settings.get_profile("fixed"), derandomize=False, max_examples=1000
)
settings.load_profile("fixed")

SHARED = "CHAINRULE_SHARED"

# Tests run on the engine that defines the language, unless they name another; those of the native
# engine compare it with this one.
os.environ.setdefault("CHAINRULE_ENGINE", "reference")

# Shells let what they start in the background ignore Ctrl-C, children included; tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that is too large for the repository; tests without it are skipped."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    folder = Path(os.environ.get(SHARED, beside))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the shared data: set {SHARED} to the folder that holds data/")
    return folder


@pytest.fixture(autouse=True, scope="session")
def every_pass_gives_a_legal_graph() -> Iterator[None]:
    """The verifier runs on what every pass from graph to graph gives, in every test."""
    observers.append(_verify_pass)
    yield
    observers.remove(_verify_pass)


# Nodes never change, so that a legal one is legal in the graphs of all further passes.
_legal: WeakSet[Node] = WeakSet()


def _verify_pass(name: str, outputs: list[Node]) -> None:
    """The leaves that are free are the inputs of the closed graph, so that its nodes can err."""
    if not outputs:
        return
    try:
        for node in close(outputs).nodes:
            if node not in _legal:
                verify_node(node)
                _legal.add(node)
    except GraphError as reason:
        raise AssertionError(f"{name} gave an illegal graph: {reason}") from reason


@pytest.fixture(autouse=True)
def global_random_state_is_left_alone() -> Iterator[None]:
    """Nothing in the package or its tests may draw from NumPy's global generator."""
    with untouched_random_state():
        yield


@pytest.fixture
def no_collections() -> Iterator[None]:
    """The garbage collector's callbacks, hypothesis has one, would swallow a Ctrl-C."""
    gc.disable()
    yield
    gc.enable()


@contextmanager
def untouched_random_state() -> Iterator[None]:
    """Fail where the block moves NumPy's global generator."""
    before = _random_state()
    yield
    assert _random_state() == before, "NumPy's global random state was touched"


def _random_state() -> tuple[object, ...]:
    name, key, *rest = np.random.get_state()
    return name, np.asarray(key).tobytes(), *rest
