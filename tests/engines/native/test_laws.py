"""Law 2 for the native engine: it computes what the reference engine defines.

Every operation on its own samples, random graphs, and whole training programs, for the processor at
hand and for narrower ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.native import lowering
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.routines import ROUTINES
from chainrule.engines.native.schedule import DECOMPOSITIONS, VIEWS
from chainrule.engines.native.target import TARGETS, Target, host
from chainrule.engines.native.values import COMBINING
from chainrule.graph.graph import Graph
from chainrule.shapes import FLOAT32, FLOAT64
from chainrule.testing import check_engines
from tests.graphs import random_graph
from tests.ops.samples import OPERATIONS, samples

NARROWER = [TARGETS[name] for name in ("avx2", "sse2", "scalar")]


def runs_here(target: Target) -> bool:
    mine = dict.fromkeys(host().features.split(","))
    return all(feature in mine for feature in target.features.split(",") if feature)


def check_operation(engine: Any, name: str, dtype: Any) -> None:
    for sample in samples(name, dtype):
        leaves = sample.leaves()
        graph = Graph(leaves, (sample.on(leaves),))
        check_engines(graph, *sample.arrays, engine=engine)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_agrees_with_the_reference(name: str, dtype: Any) -> None:
    check_operation(NativeEngine(), name, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("target", NARROWER, ids=lambda target: target.name)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_agrees_on_narrower_processors(name: str, target: Target) -> None:
    if not runs_here(target):
        pytest.skip(f"this processor cannot run {target.name} code")
    check_operation(NativeEngine(target), name, FLOAT32)


@pytest.mark.parametrize("target", NARROWER, ids=lambda target: target.name)
@pytest.mark.parametrize("name", ["tanh", "where", "sum", "matmul", "take"])
def test_some_operations_agree_on_narrower_processors(name: str, target: Target) -> None:
    if not runs_here(target):
        pytest.skip(f"this processor cannot run {target.name} code")
    check_operation(NativeEngine(target), name, FLOAT32)


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_agree_with_the_reference(seed: int) -> None:
    drawn = random_graph(seed, size=20, dtype=FLOAT32 if seed % 2 else FLOAT64)
    check_engines(drawn.graph, *drawn.values, engine=NativeEngine())


def test_every_operation_has_a_lowering() -> None:
    known = {*lowering.ROWS_OF_TABLE, *COMBINING, *ROUTINES, *DECOMPOSITIONS, *VIEWS, "matmul"}
    assert [name for name in OPERATIONS if name not in known] == []


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_an_error(label: int) -> None:
    labels = cr.input((cr.ROWS,), "int64")
    graph = Graph((labels,), (cr.one_hot(labels, 3, "float32"),))
    with pytest.raises(IndexError, match="outside"):
        NativeEngine().compile(graph)([np.array([0, label])])


def test_a_wrong_row_of_the_table_is_caught(
    monkeypatch: pytest.MonkeyPatch, no_old_code: None
) -> None:
    table = {**lowering.ROWS_OF_TABLE, "cos": lowering.ROWS_OF_TABLE["sin"]}
    monkeypatch.setattr(lowering, "ROWS_OF_TABLE", table)
    with pytest.raises(AssertionError, match="native"):
        check_operation(NativeEngine(), "cos", FLOAT64)
