"""``chainrule inspect``: the passes of the engine that would run a model."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

from tests.cli.conftest import Run, refused


def test_the_plan_is_that_of_the_native_engine_where_it_runs(
    run: Run, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_ENGINE", "native")
    plan = run("inspect", models / "flowers.chainrule", "--plan").stdout
    headings = [line for line in plan.splitlines() if line.startswith("# ")]
    assert headings == ["# schedule", "# buffers", "# loops"]
    assert "matmul" in plan


def test_one_pass_alone(run: Run, models: Path) -> None:
    found = run("inspect", models / "houses.chainrule", "--pass", "llvm").stdout
    assert found.startswith("# llvm\ntarget triple")
    assert "define external void @compute" in found


def test_a_pass_that_there_is_not(models: Path) -> None:
    told = refused("inspect", models / "houses.chainrule", "--pass", "lvm")
    assert "unknown pass 'lvm'; did you mean 'llvm'?" in told
