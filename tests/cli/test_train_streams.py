"""``chainrule train`` on tables that are read in blocks: several files, or a large one."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from chainrule.cli.tables import TableModel
from chainrule.data import write_csv
from chainrule.estimators import table_kept, table_streaming
from tests.cli.conftest import FAST, Run, refused
from tests.cli.test_train import facts, scores


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of one table."""
    found, draw = tmp_path / "data", np.random.default_rng(0)
    found.mkdir()
    for part in range(3):
        x = draw.normal(size=200).round(4)
        columns = {"x": x, "kind": draw.choice(["a", "b"], 200), "y": np.where(x > 0, "up", "down")}
        write_csv(found / f"{part}.csv", columns)
    return found


def test_files_of_a_pattern_are_one_table(run: Run, folder: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "m.chainrule", tmp_path / "m.html"
    pattern = folder / "*.csv"
    result = run("train", pattern, "--target", "y", *FAST, "--out", out, "--report", page)
    assert result.exit_code == 0, result.stderr
    said = facts(result.stdout.partition("\n\n")[0])
    assert said["task"] == "classification of 'y', 2 classes"
    trained, held, tested = (int(part.split()[0]) for part in said["rows"].split(", ")[:3])
    assert trained + held + tested == 600
    found = scores(result.stdout)
    assert found["test"] == ["this model", "linear model", "majority class"]
    assert float(found["accuracy"][1]) > 0.9
    assert float(found["accuracy"][0]) > float(found["accuracy"][2]) + 0.2
    assert "<html" in page.read_text()
    assert run("predict", out, folder / "0.csv").exit_code == 0


def test_the_linear_model_beside_a_stream_says_how_many_rows_it_knows(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it has all classes, also those that none of them is of."""
    monkeypatch.setattr(table_kept, "SAMPLE_ROWS", 100)
    for part in folder.iterdir():
        part.write_text(part.read_text() + "9.9,b,far\n" * 2)
    names = scores(run("train", folder, "--target", "y", *FAST).stdout)["test"]
    assert names == ["this model", "linear model of 100 rows", "majority class"]


def test_the_same_rows_in_one_large_file_give_the_same_model(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [(folder / f"{part}.csv").read_text().splitlines(keepends=True) for part in range(3)]
    large = tmp_path / "t.csv.gz"
    large.write_bytes(gzip.compress("".join([*parts[0], *parts[1][1:], *parts[2][1:]]).encode()))
    monkeypatch.setattr(table_streaming, "STREAMED_BYTES", 1_000)
    digests = []
    for place, table in enumerate((folder, large)):
        out = tmp_path / f"{place}.chainrule"
        assert run("train", table, "--target", "y", *FAST, "--out", out).exit_code == 0
        digests.append(TableModel.load(out).weights_digest())
    assert digests[0] == digests[1]


def test_a_streamed_training_goes_on_from_its_checkpoints(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole.chainrule", tmp_path / "m.chainrule"
    settings = ["--target", "y", "--layers", "8", "--seed", "1", "--quiet"]
    assert run("train", folder, *settings, "--epochs", 4, "--out", whole).exit_code == 0
    kept = ["--checkpoints", tmp_path / "run", "--epochs", 4, "--out", out]
    limited = run("train", folder, *settings, *kept, "--time-limit", "1e-6")
    assert limited.exit_code == 0
    assert TableModel.load(out).network.history.epochs < 4  # type: ignore[union-attr]
    resumed = run("train", folder, *settings, *kept, "--resume", "--force")
    assert resumed.exit_code == 0, resumed.stderr
    digests = [TableModel.load(path).weights_digest() for path in (whole, out)]
    assert digests[0] == digests[1]


def test_a_dry_run_says_what_the_columns_are(run: Run, folder: Path) -> None:
    result = run("train", folder, "--target", "y", "--dry-run")
    assert result.exit_code == 0
    said = facts(result.stdout.partition("\n\n")[2])
    assert said["rows"] == "600" and int(said["seed"]) >= 0
    assert "kind    category" in result.stdout


def test_a_dry_run_refuses_the_targets_that_training_refuses(run: Run, folder: Path) -> None:
    for part in sorted(folder.iterdir()):
        text = part.read_text().replace("down", "up")
        part.write_text(text)
    command = ("train", folder, "--target", "y", "--task", "classification")
    for option in (["--quiet"], ["--dry-run"]):
        assert "has one class only, 'up'" in refused(*command, *option)
    assert "is not a number" in refused(*command[:-1], "regression", "--dry-run")


def test_large_tables_are_divided_by_time_and_into_folds(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = run("train", folder, "--target", "y", *FAST, "--time", "x", "--epochs", "1")
    monkeypatch.setattr(table_streaming, "STREAMED_BYTES", 2**10)
    out = tmp_path / "m.chainrule"
    command = ("train", folder, "--target", "y", *FAST, "--epochs", "2", "--out", out, "--force")
    by_time = run(*command, "--time", "x")
    for said in (by_time, small):
        rows = facts(said.stdout.partition("\n\n")[0])["rows"].split(", ")
        assert rows[1:3] == ["102 held out to choose the epoch", "90 to test"]
    text = run(*command, "--cv", 3).stdout
    found = scores(text)
    assert found["mean of folds"] == ["this model", "linear model", "majority class"]
    assert "each of 3 folds is tested by 65,536 rows of it, at most" in " ".join(text.split())
    accuracy = TableModel.load(out).model.facts["scores"]["this model"]["accuracy"]
    assert accuracy > 0.8 and f"{accuracy:.4g} +- " in text
    other = [
        "--target",
        "kind",
        "--cv",
        3,
        "--time",
        "x",
        "--log",
        "json",
    ]  # of which all have both
    ordered = run(*command, *other).stderr
    assert ordered.count('"event": "start"') == 3  # two that are tested, and that of all rows
    groups = run(*command, "--cv", 3, "--group", "x", "--epochs", "1")
    assert groups.exit_code == 0, groups.stderr


def test_small_folders_have_all_rows_at_once(run: Run, folder: Path) -> None:
    """And their rows are numbered through all files."""
    seed = ["--target", "y", "--seed", "1"]
    said = facts(run("train", folder, *seed, "--cv", 2, "--dry-run").stdout.partition("\n\n")[2])
    assert said["rows"] == said["to learn from"] == "600"
    assert said["to test"] == "0 (each is tested in one of 2 folds)"
    said = facts(
        run("train", folder, *seed, "--time", "x", "--dry-run").stdout.partition("\n\n")[2]
    )
    assert "the latest by 'x'" in said["to test"]
    last = sorted(folder.iterdir())[-1]
    last.write_text(last.read_text() + "0.1,a,1e999\n")
    number = ["--task", "regression", "--cv", 2, "--dry-run"]
    assert "data, row 0: the target 'y'" in refused("train", folder, "--target", "y", *number)


def test_whole_groups_test(run: Run, folder: Path) -> None:
    groups = ["--group", "x", "--seed", "1", "--dry-run"]
    said = facts(run("train", folder, "--target", "y", *groups).stdout.partition("\n\n")[2])
    assert said["to test"].endswith("(" + said["to test"].split()[0] + " rows by groups of 'x')")


def test_a_folder_is_predicted_and_judged_like_its_files(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m.chainrule"
    run("train", folder, "--target", "y", *FAST, "--out", out)
    files = [run("predict", out, folder / f"{part}.csv").stdout.splitlines() for part in range(3)]
    together = run("predict", out, folder).stdout.splitlines()
    assert together == [*files[0], *files[1][1:], *files[2][1:]]
    first, *others = [(folder / f"{part}.csv").read_text() for part in range(3)]
    rows = [text.partition("\n")[2] for text in others]
    (tmp_path / "all.csv").write_text("".join([first, *rows]))
    alone = run("evaluate", out, tmp_path / "all.csv")
    assert run("evaluate", out, folder / "*.csv").stdout == alone.stdout


def test_no_file_of_a_pattern_is_replaced(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.chainrule"
    run("train", folder, "--target", "y", *FAST, "--out", out)
    for command in (["predict", out, folder], ["train", folder, "--target", "y"]):
        sentence = refused(*command, "--out", folder / "0.csv", "--force")
        assert "this file is read" in sentence


def test_files_without_rows_have_nothing_to_judge(run: Run, folder: Path, tmp_path: Path) -> None:
    out, empty = tmp_path / "m.chainrule", tmp_path / "empty"
    run("train", folder, "--target", "y", *FAST, "--out", out)
    empty.mkdir()
    for part in range(2):
        (empty / f"{part}.csv").write_text("x,kind,y\n")
    assert "no rows" in refused("evaluate", out, empty)


def test_a_pattern_without_files_is_refused(folder: Path) -> None:
    assert "names no tables" in refused("train", folder / "*.parquet", "--target", "y")
