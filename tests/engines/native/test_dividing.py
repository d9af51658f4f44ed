"""Code in two modules does what it does in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.base import BoundedCache
from chainrule.engines.native import build, dividing, jit
from chainrule.engines.native.cache import OFF, VARIABLE
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.layout import object_codes, packed, unpacked
from chainrule.engines.native.target import TARGETS, host
from chainrule.engines.native.writing import Written, write_graph
from chainrule.graph.graph import Graph, close
from chainrule.networks import Network
from chainrule.nn import Activation, Linear
from chainrule.optim import SGD
from chainrule.training.history import History

ALWAYS, NEVER = 0, 2**60


@pytest.fixture(name="divide")
def _divide(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Sets the length from which code is divided; gives the modules of each compilation."""
    to_objects, counts = jit.to_objects, list[int]()

    def counted(texts: list[str], *others: Any) -> list[bytes]:
        counts.append(len(texts))
        return to_objects(texts, *others)

    def divide(worth: int) -> list[int]:
        monkeypatch.setenv(VARIABLE, OFF)
        monkeypatch.setattr(build, "_loaded", BoundedCache(8))
        monkeypatch.setattr(build, "to_objects", counted)
        monkeypatch.setattr(dividing, "WORTH", worth)
        counts.clear()
        return counts

    return divide


def trained(rate: float = 0.1) -> tuple[History, list[bytes]]:
    """A training, and all the parameters that it leaves."""
    layers = [Linear(6, 9), Activation("tanh"), Linear(9, 3), Activation("softmax")]
    model = Network(layers, seed=0)
    rows = np.random.default_rng(0).standard_normal((61, 6)).astype(np.float32)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 16, "seed": 0, "engine": "native"}
    history = model.fit(
        rows, np.arange(61) % 3, optimizer=SGD(rate, momentum=0.9), progress=False, **options
    )
    values = [array for layer in model.layers for array in layer.values.values()]
    return history, [array.tobytes() for array in values]


def test_halves_give_the_same_bits(divide: Callable[[int], list[int]]) -> None:
    found = {}
    for worth, modules in ((NEVER, 1), (ALWAYS, 2)):
        counts = divide(worth)
        history, values = trained()
        found[worth] = history.step_losses.tobytes(), values
        assert counts == [modules]
    assert found[NEVER] == found[ALWAYS]


def test_a_function_may_be_cut_between_any_groups(
    divide: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    w, labels = cr.input((6, 4), "float32"), cr.input((50,), "int64")
    rows = cr.input((50, 6), "float32")
    y = cr.tanh(cr.softmax(rows @ w) @ cr.matrix_transpose(w))
    picked = cr.sum(cr.take(y, labels, axis=0), axis=0)
    outputs = y, cr.max(y, axis=0), cr.mean(picked), cr.cumulative_sum(y, axis=0)
    graph = Graph((rows, w, labels), outputs)
    x = np.linspace(-1, 1, 300, dtype=np.float32).reshape(50, 6)
    arrays = [x, np.ones((6, 4), np.float32), np.arange(50)[::-1].copy()]

    def computed() -> list[bytes]:
        return [np.asarray(each).tobytes() for each in NativeEngine().compile(graph)(arrays)]

    divide(NEVER)
    expected, number, tried = computed(), 0, 1
    while number < tried:
        divide(ALWAYS)
        seen: list[int] = []

        def chosen(places: list[int], _: Any, number: int = number, seen: Any = seen) -> int:
            seen.append(len(places))
            return places[number]

        monkeypatch.setattr(dividing, "_middle", chosen)
        assert computed() == expected
        (tried,) = seen
        number += 1
    assert tried > 4, "there was little to cut"


def test_a_step_that_ends_early_ends_both_halves(divide: Callable[[int], list[int]]) -> None:
    found = {}
    for worth in (NEVER, ALWAYS):
        divide(worth)
        history, found[worth] = trained(rate=1e30)
        assert 0 < len(history.step_losses) < 8, "all steps were finite"
    assert found[NEVER] == found[ALWAYS]


def written() -> tuple[Graph, Written]:
    graph = close([cr.tanh(cr.input((size,), "float32")) for size in range(60, 70)])
    return graph, write_graph(graph, TARGETS["avx2"])


def test_what_is_large_is_divided_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dividing, "WORTH", NEVER)
    (whole,) = written()[1].texts
    monkeypatch.setattr(dividing, "WORTH", ALWAYS)
    _, halves = written()
    larger, smaller = map(len, halves.texts)
    assert smaller <= larger < 0.7 * len(whole)
    assert written()[1].texts == halves.texts, "the same text gives the same object code"


def test_objects_are_kept_behind_their_layout() -> None:
    graph, found = written()
    objects = [b"first", b"", b"third"]
    content = packed(found.layout, graph, objects)
    assert object_codes(content) == objects
    assert unpacked(content, graph) == found.layout


def test_where_no_thread_can_be_had_one_compiles_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = written()
    expected = [jit.to_object(text, host()) for text in found.texts]

    def refused(self: jit.Compiler) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(jit.Compiler, "start", refused)
    assert jit.to_objects([*found.texts, *found.texts], host()) == expected * 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_a_thread_cannot_compile_is_refused() -> None:
    _, found = written()
    text = found.texts[0]
    for texts in (["define nonsense", text], [text, "define nonsense"]):
        with pytest.raises(RuntimeError, match="parsing error"):
            jit.to_objects(texts, TARGETS["avx2"])
    assert jit.to_objects([text, text], host()) == [jit.to_object(text, host())] * 2
