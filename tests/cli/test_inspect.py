"""``chainrule inspect``: the passes of the engine that would run a model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")

from chainrule import persist
from chainrule.cli.tables import weights_digest
from chainrule.nn import Linear, Network
from tests.cli.conftest import Run, refused
from tests.cli.test_train import facts


def test_a_table_in_place_of_a_model(tmp_path: Path) -> None:
    path = tmp_path / "a b.csv"
    path.write_text("a,b\n1,2\n")
    assert f"chainrule train '{path}' --target COLUMN --dry-run says" in refused("inspect", path)
    assert "--dry-run" not in refused("inspect", path.rename(tmp_path / "t.chainrule"))


@pytest.mark.parametrize("held_out", [True, False])
def test_networks_that_a_program_saved(run: Run, tmp_path: Path, held_out: bool) -> None:
    path, X = tmp_path / "line.chainrule", np.arange(6.0)[:, None]
    network = Network([Linear(1, 1, name="line")], seed=0)
    network.save(path)
    blank = run("inspect", path).stdout
    assert "2 parameters, float32" in blank and "epochs" not in blank
    validation = (X, X) if held_out else None
    network.fit(X / 5, X / 5, epochs=3, seed=7, validation=validation, engine="reference")
    network.save(path)
    layers, _, rest = run("inspect", path).stdout.partition("\n\n")
    said = facts(rest)
    assert layers.splitlines()[2].split()[:2] == ["line", "Linear"]
    assert ("held-out loss" in said, "training loss" in said) == (held_out, not held_out)
    assert said["seed"] == "7"
    assert said["of the weights"] == weights_digest(network)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "SHA-256" in refused("inspect", path)


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


def test_a_file_is_opened_once(
    run: Run, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Network([Linear(1, 1, name="line")], seed=0).save(tmp_path / "line.chainrule")
    opened: list[object] = []
    real = persist.open_regular

    def counted(path: str) -> BinaryIO:
        opened.append(path)
        return real(path)

    for module in (persist, persist.format):
        monkeypatch.setattr(module, "open_regular", counted)
    for path in (models / "houses.chainrule", tmp_path / "line.chainrule"):
        opened.clear()
        assert run("inspect", path).exit_code == 0
        assert opened == [str(path)]


@pytest.mark.parametrize("command", ["inspect", "predict", "evaluate"])
@pytest.mark.parametrize("start", [b"", b"day,price\n"], ids=["zeros", "text"])
def test_of_a_long_file_that_is_no_model_little_is_read(
    command: str, start: bytes, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(2**30 if size is None or size < 0 else size)
            return super().read(size)

    path = tmp_path / "long.chainrule"
    with path.open("wb") as file:
        file.write(start)
        try:
            file.truncate(2**30)
        except OSError:
            pytest.skip("this file system takes no sparse file of a gigabyte")
    for module in (persist, persist.format):
        monkeypatch.setattr(module, "open_regular", Counted)
    table = [] if command == "inspect" else [models / "houses.csv"]
    assert repr(str(path)) in refused(command, path, *table)
    assert set(asked) <= {8, 0}  # of the table too, which could be the model
