"""``chainrule train`` in several processes: who writes, what is refused, how it goes on."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")

from chainrule.data import write_csv
from tests.cli.conftest import houses
from tests.engines.xla.test_cluster import Ended, check_said
from tests.engines.xla.test_cluster import run as run_processes

FEW = [
    *("--target", "price", "--layers", "8", "--members", "1", "--bins", "0"),
    *("--epochs", "4", "--seed", "1"),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of houses; beside it one with another name of a column."""
    folder = tmp_path_factory.mktemp("tables")
    columns = houses(160, seed=0)
    write_csv(folder / "houses.csv", columns)
    write_csv(folder / "other.csv", {name.replace("g", "k"): x for name, x in columns.items()})
    return folder / "houses.csv"


def called(table: Path, *options: object, **faults: Any) -> dict[str, Any]:
    """How a process is called, and what goes wrong in it."""
    return {"options": [str(table), *FEW, *map(str, options)], **faults}


def train(*calls: dict[str, Any], only: int | None = None) -> list[Ended]:
    """As many processes as there are calls; or one of them, for which the others never come."""
    numbers = range(len(calls)) if only is None else [only]
    words = json.dumps(calls)
    return run_processes(numbers, len(calls), words, worker="cluster_worker", package="tests.cli")


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Ended], Path]:
    """A training of two processes, and the folder that has a folder for the files of each."""
    folder = tmp_path_factory.mktemp("whole")
    calls = []
    for name in ("0", "1"):
        (folder / name).mkdir()
        kinds = {"out": "m.chainrule", "report": "m.html", "write-schema": "m.json"}
        files = [x for kind, file in kinds.items() for x in (f"--{kind}", folder / name / file)]
        calls.append(called(table, *files, "--checkpoints", folder / name / "run"))
    return train(*calls), folder


def test_one_process_writes_and_speaks(whole: tuple[list[Ended], Path]) -> None:
    (first, second), folder = whole
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert "best epoch" in first.out and "area" in first.err
    assert second.out == ""
    ours = [line for line in second.err.splitlines() if not line.startswith("[Gloo]")]
    assert ours == []
    written = sorted(each.name for each in (folder / "0").iterdir())
    assert written == ["m.chainrule", "m.html", "m.json", "run"]
    assert list((folder / "1").iterdir()) == []


def results(ended: Ended) -> str:
    """What is said of a model, without the names of files."""
    lines = ended.out.splitlines()
    return "\n".join(line for line in lines if not line.startswith(("written", "report")))


@pytest.mark.parametrize(
    ("count", "again"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.slow)], ids=str
)
def test_a_training_that_was_killed_goes_on_with_other_processes(
    count: int, again: int, table: Path, tmp_path: Path, whole: tuple[list[Ended], Path]
) -> None:
    files = ["--checkpoints", tmp_path / "run", "--out", tmp_path / "m.chainrule"]
    calls = [called(table, *files) for _ in range(count)]
    *others, last = train(*calls[:-1], called(table, *files, killed=2))
    assert last.status == -signal.SIGKILL
    for each in others:
        check_said(each, f"process {count - 1} of {count} ended")
    assert not (tmp_path / "m.chainrule").exists()
    assert any((tmp_path / "run" / "first").iterdir())
    resumed = train(*[called(table, *files, "--resume") for _ in range(again)])
    assert [each.status for each in resumed] == [0] * again, resumed[0].err
    assert results(resumed[0]) == results(whole[0][0])
    assert (tmp_path / "m.chainrule").exists()


def test_columns_that_differ_are_named(table: Path) -> None:
    for ended in train(called(table), called(table.with_name("other.csv"))):
        check_said(ended, "process 1 has another column 1 than process 0 ('ake' instead of 'age')")


@pytest.mark.slow
def test_columns_of_shares_that_differ_are_named(table: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet files need pyarrow")
    csv = pytest.importorskip("pyarrow.csv", reason="Parquet files need pyarrow")
    whole = csv.read_csv(table)
    parquet.write_table(whole, tmp_path / "0.parquet", row_group_size=20)
    parquet.write_table(whole.select(["age", "price"]), tmp_path / "1.parquet", row_group_size=20)
    for ended in train(*[called(tmp_path / f"{number}.parquet") for number in (0, 1)]):
        check_said(ended, "another number of columns than process 0 (2 instead of 3)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "faults", "said"),
    [
        (["--layers", "9"], {}, "process 1 has another --layers than process 0 (9 instead of 8)"),
        ([], {"version": "0.4.1"}, "process 1 has another version than process 0 (JAX 0.4.1 inst"),
    ],
)
def test_programs_and_versions_that_differ_are_named(
    options: list[str], faults: dict[str, Any], said: str, table: Path
) -> None:
    for ended in train(called(table), called(table, *options, **faults)):
        check_said(ended, said)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--device", "tpu"], "there is no device 'tpu' that JAX can use"),
        (["--split-units", "3"], "2 devices cannot be divided by split_units=3"),
    ],
)
def test_devices_that_are_missing_are_named(options: list[str], said: str, table: Path) -> None:
    for ended in train(called(table, *options), called(table, *options)):
        check_said(ended, said)


@pytest.mark.slow
def test_what_fails_in_one_process_is_said_by_all(table: Path) -> None:
    said = "the device has too little memory for this training"
    first, second = train(called(table), called(table, full=True))
    check_said(first, f"process 1 of 2 failed: {said}")
    check_said(second, f"chainrule: {said}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("only", "said"),
    [(0, "process 1 of 2 did not arrive in 2 s"), (1, "process 0 cannot be reached at 127.0.0.1")],
)
def test_a_process_that_does_not_arrive_is_named(only: int, said: str, table: Path) -> None:
    (ended,) = train(*[called(table, patience=2.0)] * 2, only=only)
    check_said(ended, said)


@pytest.mark.slow
def test_the_limits_that_users_get_end_a_process_that_waits(table: Path) -> None:
    (ended,) = train(*[called(table, limits=True)] * 2, only=0)
    check_said(ended, "process 1 of 2 did not arrive in 45 s")


@pytest.mark.slow
def test_units_are_divided_among_processes(table: Path, whole: tuple[list[Ended], Path]) -> None:
    first, second = train(*[called(table, "--split-units", "2")] * 2)
    assert (first.status, second.status) == (0, 0), first.err
    assert results(first) == results(whole[0][0])
