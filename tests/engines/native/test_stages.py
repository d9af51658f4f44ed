"""The passes as text: golden files for a fixed target, and folders of CHAINRULE_DUMP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

import chainrule as cr
from chainrule.engines.native.build import DUMP
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.stages import NAMES, SHORT, printed, stages
from chainrule.engines.native.target import TARGETS
from chainrule.engines.native.writing import write_graph
from chainrule.graph.graph import Graph, close
from tests.laws.test_cost import NETWORKS, with_gradients

GOLDEN = Path(__file__).parents[2] / "golden"
TARGET = TARGETS["avx2"]


def passes(graph: Graph) -> dict[str, str]:
    return {stage.name: stage.text for stage in stages(graph, write_graph(graph, TARGET), TARGET)}


def golden_text(name: str) -> str:
    graph = with_gradients(*NETWORKS[name]())
    found = stages(graph, write_graph(graph, TARGET), TARGET)
    return printed(stage for stage in found if stage.name in SHORT) + "\n"


@pytest.mark.parametrize("name", NETWORKS)
def test_printed_passes_are_as_before(name: str) -> None:
    golden = (GOLDEN / f"{name}.native").read_text(encoding="utf-8")
    assert golden_text(name) == golden, (
        "the passes have changed; if that is meant: python -m tests.engines.native.test_stages"
    )


def affine() -> Graph:
    """relu(x w + b), and the mean of each row."""
    shapes = (cr.ROWS, 16), (16, 8), (8,)
    x, w, b = (cr.input(shape, "float32") for shape in shapes)
    y = cr.relu(x @ w + b)
    return Graph((x, w, b), (y, cr.mean(y, axis=1)))


def test_every_pass_says_what_it_decided() -> None:
    found = passes(affine())
    assert list(found) == list(NAMES)
    assert "%5 = relu(%4) : float32[ROWS,8]" in found["graph"]
    assert found["schedule"].splitlines()[0] == "0 product [ROWS, 8]"
    assert "leaves %5" in found["schedule"]
    assert "0 input %0 : float32[ROWS,16], 64 bytes a row" in found["buffers"]
    assert "product rows x 16 x 8: A as it is, B as it is, tiles of" in found["buffers"]
    assert found["loops"].startswith("compute(ptr table, i64 rows, ptr status)")
    assert "fma" in found["loops"]
    assert "define external void @compute" in found["llvm"]
    assert "vfmadd" in found["assembly"]


def test_what_a_group_alone_reads_is_not_left_in_memory() -> None:
    first = passes(affine())["schedule"].partition("\n1 ")[0]
    assert "leaves %5" in first
    assert "leaves %3" not in first
    assert "%4 = add" in first


@pytest.mark.parametrize("cache", ["on", "off"])
def test_passes_are_left_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    if cache == "off":
        monkeypatch.setenv("CHAINRULE_CACHE", "off")
    monkeypatch.setenv(DUMP, str(tmp_path))
    x = np.ones((3, 16), np.float32)
    for _ in range(2):  # also where the object code is in the cache
        NativeEngine(TARGET).compile(affine())([x, x[:, :8].repeat(6, 0)[:16], x[0, :8]])
    (folder,) = tmp_path.iterdir()
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert sorted(files) == [f"{number}-{name}.txt" for number, name in enumerate(NAMES)]
    assert files["2-schedule.txt"] == passes(affine())["schedule"] + "\n"


def test_a_folder_that_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(DUMP, str(tmp_path / "file"))
    with pytest.raises(OSError, match="file"):
        NativeEngine(TARGET).compile(affine())


def test_narrower_code_is_longer_in_steps() -> None:
    graph = close([cr.tanh(cr.input((64,), "float32"))])
    loops: dict[str, Any] = {}
    for name in ("avx512", "avx2", "sse2", "neon"):
        target = TARGETS[name]
        found = {x.name: x.text for x in stages(graph, write_graph(graph, target), target)}
        loops[name] = [line for line in found["loops"].splitlines() if "for i" in line]
    assert loops["avx512"] == ["  for i in 0 .. 64 by 16"]
    assert loops["avx2"] == ["  for i in 0 .. 64 by 8"]
    assert loops["sse2"] == loops["neon"] == ["  for i in 0 .. 64 by 4"]


if __name__ == "__main__":
    for network_name in NETWORKS:
        text = golden_text(network_name)
        (GOLDEN / f"{network_name}.native").write_text(text, encoding="utf-8")
