"""Bad input: one sentence, status 2, nothing half-written, what was there is kept."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shlex
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import write_csv
from chainrule.nn import Linear, Network
from chainrule.persist import read_file, write_file
from tests.cli.conftest import FAST, Run, flowers, refused

HEADER = "length,width,kind\n"
ROWS = "".join(f"{i}.5,{i % 3},{'ab'[i % 2]}\n" for i in range(20))

BAD_TABLES: dict[str, tuple[bytes, str]] = {
    "ragged": ((HEADER + ROWS + "1,2\n").encode(), "line 22: the header has 3 cells, this row 2"),
    "no target": ((HEADER + "1,2,\n" * 9).encode(), "no row has a target in column 'kind'"),
    "one class": ((HEADER + "1,2,a\n" * 30).encode(), "'kind'"),
    "empty": (b"", "the file is empty"),
    "header only": (HEADER.encode(), "a header but no rows"),
    "twice": (b"length,length,kind\n1,2,a\n", "two columns are called 'length'"),
    "no header": (b"1.5,2,3\n4,5,6\n", "holds numbers where column names are needed"),
    "binary": (bytes(range(1, 256)), "not UTF-8 text"),
    "NUL": ((HEADER + "1,2\0,a\n").encode(), "line 2: holds a NUL byte"),
    "no text": ((HEADER + "1,2,gr\x81n\n").encode("latin-1"), "line 2: not UTF-8 text"),
    "damaged gzip": (gzip.compress((HEADER + ROWS).encode())[:-9], "damaged gzip file"),
    "only the target": (b"kind\na\nb\n" * 9, "no column is left to learn from"),
    "an escape": ((HEADER + "1,2,a\n3,4,b\n" * 9).replace("width", "wi\x1b[2J").encode()
                  + b"1,2\n", "line 20"),
}  # fmt: skip


BAD_TARGETS = {
    "1e200": "the target 'kind' is 1e+200, and errors of that size have no square",
    "-1e308": "the target 'kind' is -1e+308, and errors of that size have no square",
    "inf": "the target 'kind' contains infinity (inf)",
    "-Infinity": "the target 'kind' contains infinity (-inf)",
    "1e999": "the target 'kind' contains infinity (inf)",
    "12 kg": '"12 kg"',
}  # fmt: skip


@pytest.mark.parametrize("written", BAD_TARGETS)
@pytest.mark.parametrize("given", ["t.csv", "*.csv"])
def test_a_bad_target_is_named_by_file_and_line(written: str, given: str, tmp_path: Path) -> None:
    numbers = [written if i == 17 else "" if i == 3 else f"{i + 0.5}" for i in range(31)]
    write_csv(tmp_path / "t.csv", {"length": range(31), "kind": numbers})
    said = refused("train", tmp_path / given, "--target", "kind", *FAST, "--out", tmp_path / "m")
    assert "t.csv, line 19: " in said and BAD_TARGETS[written] in said


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_bad_tables_are_not_trained_on(kind: str, tmp_path: Path) -> None:
    content, said = BAD_TABLES[kind]
    table, out = tmp_path / "t.csv", tmp_path / "m.chainrule"
    table.write_bytes(content)
    message = refused("train", table, "--target", "kind", *FAST, "--out", out)
    assert said in message
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target", "kin"], "did you mean 'kind'?"),
        (["--target", "\x1b[31mred"], r"\x1b[31mred"),
        (["--target", "kind", "--layers", "0"], "layers are whole numbers"),
        (["--target", "kind", "--layers", "99999999,99999999"], "parameters, more than"),
        (["--target", "kind", "--epochs", "0"], "train: --epochs must be an int >= 1, got 0"),
        (["--target", "kind", "--epochs", "-1"], "--epochs must be"),
        (["--target", "kind", "--bins", "100000000"], "--bins must be an int in [0, 65536], got"),
        (["--target", "kind", "--batch-size", "0"], "--batch-size must be"),
        (["--target", "kind", "--learning-rate", "-1"], "--learning-rate must be"),
        (["--target", "kind", "--learning-rate", "nan"], "--learning-rate must be"),
        (["--target", "kind", "--validation", "0"], "--validation must be"),
        (["--target", "kind", "--validation", "1"], "--validation must be"),
        (["--target", "kind", "--patience", "0"], "--patience must be"),
        (["--target", "kind", "--dropout", "1"], "--dropout must be"),
        (["--target", "kind", "--seed", "-1"], "seed"),
        (["--target", "kind", "--members", "0"], "--members must be"),
        (["--target", "kind", "--time-limit", "0"], "--time-limit must be"),
        (["--target", "kind", "--test", "1"], "--test must be"),
        (["--target", "kind", "--test", "nan"], "--test must be"),
        (["--target", "7"], "7"),
        (["--target", "kind", "--drop", "wdith"], "did you mean 'width'?"),
        (["--target", "kind", "--drop", "width", "--id", "width"], "both"),
        (["--target", "kind", "--drop", "kind"], "column 'kind' is the target: options such as"),
        (["--target", "-1", "--categorical", "kind"], "and --task says how it is learned"),
        (["--target", "kind", "--group", "widht"], "did you mean 'width'?"),
        (["--target", "kind", "--group", "kind"], "column 'kind' is the target; name another one"),
        (["--target", "kind", "--time", "kind", "--dry-run"], "name another one as the time"),
        (["--target", "kind", "--group", "kind", "--cv", "3"], "name another one as the group"),
        (["--target", "-1", "--group", "kind", "--test", "0"], "name another one as the group"),
        (["--target", "kind", "--cv", "3", "--test", "0.15"], "give one of them"),
        (["--target", "kind", "--schema", "flowers.csv"], "not a schema"),
        (["--target", "kind", "--resume"], "--resume needs --checkpoints DIR"),
        (["--target", "kind", "--checkpoints", "flowers.csv", "--out", "m"], "flowers.csv"),
        (["--target", "kind", "--out", "m", "--report", "m"], "choose another"),
        (["--target", "kind", "--task", "regression"], "is not a number"),
        (["--target", "kind", "--out", "no/such/folder/m"], "there is no such folder"),
        (["--target", "kind", "--out", "flowers.csv", "--force"], "this file is read"),
        (["--target", "kind", "--out", "."], "it is a folder"),
    ],
)
def test_bad_settings(
    options: list[str], said: str, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent)
    before = table.read_bytes()
    assert said in refused("train", table.name, "--epochs", "2", "--quiet", *options)
    assert [path.name for path in table.parent.iterdir()] == ["flowers.csv"]
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "nowhere.csv", "--target", "kind"],
        ["predict", "nowhere.chainrule", "nowhere.csv", "--out", "p.csv"],
        ["evaluate", "nowhere.chainrule", "nowhere.csv"],
        ["inspect", "nowhere.chainrule"],
    ],
)
def test_files_that_do_not_exist(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(*arguments).startswith("no such file or directory: nowhere.")
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_is_not_there_is_told_before_all_rows_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(HEADER + ROWS + "1,2\n")
    said = refused("train", tmp_path / "*.csv", "--target", "kind", "--drop", "wdith")
    assert said.startswith("unknown column 'wdith'; did you mean 'width'?")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("table", ["houses.csv", "*.csv", "."])
def test_model_and_table_the_wrong_way_round(
    command: str, table: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models)
    said = refused(command, table, "houses.chainrule")
    right = shlex.join(["chainrule", command, "houses.chainrule", table])
    assert said == f"'houses.chainrule' is the model, and comes first: {right}"
    assert "comes first" not in refused(command, table, "flowers.csv")


def test_existing_outputs_are_kept(run: Run, models: Path, table: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    model = models / "flowers.chainrule"
    for arguments in (
        ("train", table, "--target", "kind", *FAST, "--out", kept),
        ("predict", model, table, "--out", kept),
    ):
        assert "exists already, --force replaces it" in refused(*arguments)
        assert kept.read_text() == "mine"
    assert run("predict", model, table, "--out", kept, "--force").exit_code == 0
    assert kept.read_text().startswith("prediction,")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that is read-only")
def test_folders_that_may_not_be_written_to(models: Path, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    out = folder / "p.csv"
    assert "may not be written to" in refused(
        "predict", models / "flowers.chainrule", table, "--out", out
    )


def test_a_folder_that_may_not_be_written_to_is_refused_before_training(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chainrule.cli.settings.os.access", lambda path, mode: False)
    message = refused("train", table, "--target", "kind", *FAST, "--out", tmp_path / "m")
    assert "the folder may not be written to" in message
    assert not (tmp_path / "m").exists()


def test_a_full_disk_leaves_the_old_model(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m.chainrule"
    train = ("train", table, "--target", "kind", *FAST, "--out", out, "--force")
    assert run(*train).exit_code == 0
    before = out.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("chainrule.persist.atomic.os.fsync", full)
    assert f"no space left on device: {out}" in refused_after_output(run, *train)
    assert out.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"flowers.csv", "m.chainrule"}


def refused_after_output(run: Run, *arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2
    return result.stderr


# Tables that do not fit a model


def test_missing_columns_are_named(models: Path, tmp_path: Path) -> None:
    rows = flowers(5, seed=0)
    write_csv(tmp_path / "t.csv", {"length": rows["length"], "Width": rows["width"]})
    model = models / "flowers.chainrule"
    message = refused("predict", model, tmp_path / "t.csv", "--out", tmp_path / "p.csv")
    assert "needs the column 'width', which the table lacks; is it called 'Width' here?" in message
    assert not (tmp_path / "p.csv").exists()


def test_labels_none_of_which_was_learned(models: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {**flowers(3, seed=0), "kind": ["oak", "elm", "oak"]})
    message = refused("evaluate", models / "flowers.chainrule", tmp_path / "t.csv")
    assert "line 2: the target 'kind' is 'oak', which is none of the 3 classes" in message


def test_a_target_that_is_missing_from_the_table(models: Path, tmp_path: Path) -> None:
    rows = flowers(5, seed=0)
    write_csv(tmp_path / "t.csv", {"length": rows["length"], "width": rows["width"]})
    assert "'kind'" in refused("evaluate", models / "flowers.chainrule", tmp_path / "t.csv")


# Model files


def structure_of(content: bytes) -> tuple[dict[str, object], bytes]:
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def with_huge_shape(content: bytes) -> bytes:
    header, data = structure_of(content)
    name = next(name for name in header if name != "__metadata__")
    header[name]["shape"] = [2**40, 2**40]  # type: ignore[index]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"\0",
    "flipped bit": lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
    "huge header": lambda content: struct.pack("<Q", 2**62) + content[8:],
    "huge shape": with_huge_shape,
    "pickle": lambda content: pickle.dumps({"a": 1}),
    "text": lambda content: b"length,width\n1,2\n",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_model_files(kind: str, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "hostile.chainrule"
    path.write_bytes(HOSTILE[kind]((models / "flowers.chainrule").read_bytes()))
    table, out = models / "flowers.csv", tmp_path / "p.csv"
    for arguments in (
        ("inspect", path),
        ("evaluate", path, table),
        ("predict", path, table, "--out", out),
    ):
        assert refused(*arguments)
    assert not out.exists()


def test_a_pickle_is_never_run(models: Path, tmp_path: Path) -> None:
    class Owned:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "m.chainrule"
    path.write_bytes(pickle.dumps(Owned()))
    refused("inspect", path)
    assert not (tmp_path / "owned").exists()


def test_networks_without_their_table(tmp_path: Path) -> None:
    path = tmp_path / "m.chainrule"
    Network([Linear(2, 3, name="output")], seed=0).save(path)
    assert "it holds a network, not a table" in refused("evaluate", path, tmp_path / "t.csv")


DAMAGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "facts that are a list": lambda structure: structure.update(facts=[1]),
    "no rows": lambda structure: structure["facts"].pop("rows"),
    "rows that are text": lambda structure: structure["facts"].update(rows="many"),
    "rows below zero": lambda structure: structure["facts"].update(held_out=-1),
    "no target": lambda structure: structure.pop("target"),
    "no classes": lambda structure: structure.update(classes=[]),
    "one class too few": lambda structure: structure.update(classes=["a", "b"]),
    "no network": lambda structure: structure.update(network={}),
    "no trust": lambda structure: structure.update(trust=None),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_descriptions_that_make_no_sense(kind: str, models: Path, tmp_path: Path) -> None:
    arrays, structure = read_file(models / "flowers.chainrule")
    DAMAGES[kind](structure)
    path = tmp_path / "m.chainrule"
    write_file(path, arrays, structure, kind="table")
    assert refused("inspect", path) and refused("evaluate", path, models / "flowers.csv")


@pytest.mark.parametrize("recorded", [5, [], {"majority class": 3}, {"majority class": {"r": "x"}}])
def test_recorded_scores_that_are_none(
    run: Run, recorded: object, models: Path, tmp_path: Path
) -> None:
    arrays, structure = read_file(models / "flowers.chainrule")
    structure["facts"]["scores"] = recorded
    path = tmp_path / "m.chainrule"
    write_file(path, arrays, structure, kind="table")
    assert run("evaluate", path, models / "flowers.csv").exit_code == 0


def test_names_in_a_model_file_cannot_steer_the_terminal(
    run: Run, models: Path, tmp_path: Path
) -> None:
    rows = flowers(60, seed=0)
    hostile = {"a\x1b[2J": rows["length"], "\x9bc": rows["width"]}
    write_csv(tmp_path / "t.csv", {**hostile, "k\x07": [f"\x1b]0;{k}" for k in rows["kind"]]})
    path = tmp_path / "m.chainrule"
    trained = run("train", tmp_path / "t.csv", "--target", "k\x07", *FAST[:-1], "--out", path)
    shown = [run("inspect", path), run("evaluate", path, tmp_path / "t.csv"), trained]
    for result in shown:
        assert result.exit_code == 0, result.stderr
        for text in (result.stdout, result.stderr.replace("\r", "")):
            assert text.replace("\n", "").isprintable()


def test_numbers_that_leave_the_finite_ones(run: Run, tmp_path: Path) -> None:
    rows = {"x": np.linspace(-1, 1, 40), "y": np.linspace(-3, 3, 40) ** 3}
    write_csv(tmp_path / "t.csv", rows)
    result = run(
        "train", tmp_path / "t.csv", "--target", "y", "--learning-rate", "1e38", "--seed", "0",
        "--layers", "16,16,16", "--members", "1", "--quiet", "--epochs", "5",
        "--out", tmp_path / "m",
    )  # fmt: skip
    warning, error = result.stderr.splitlines()
    assert warning.startswith("chainrule: warning: training diverged: the loss was not finite")
    assert error.startswith("chainrule: no epoch was completed: the loss was not finite")
    assert result.exit_code == 2 and not (tmp_path / "m").exists()


def test_an_output_among_the_tables_that_are_read_is_refused(tmp_path: Path) -> None:
    folder, model = tmp_path / "tables", tmp_path / "m"
    folder.mkdir()
    write_csv(folder / "t.csv", flowers(40, 0))
    out, why = folder / "out.csv", "would be one of the tables that"
    trained = "train", folder, "--target", "kind", *FAST, "--out", model
    assert why in refused(*trained, "--report", folder / "report.csv")
    assert why in refused("predict", model, folder / "*.csv", "--out", out)
    assert not out.exists() and not model.exists()
