"""Results become JSON, tables and a picture; the command line brings all of it together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import heat_map, report
from benchmarks.__main__ import keeper, known_results, measure, options
from benchmarks.catalogue import BATCHES, OURS, WIDTHS, Goal, Work, cell_name, faster
from benchmarks.processes import ROOT
from benchmarks.runner import Measured

WORK = Work("Title", "step", {"case": []}, [faster("case", 2.0), faster("elsewhere", 1.0)])
FOUND = {
    "case": {
        OURS: Measured([{"seconds": 1e-6}, {"seconds": 3e-6}, {"seconds": 2e-6}], first=0.5),
        "Peer": Measured([{"seconds": 2e-6}, {"seconds": 9e-6}, {"seconds": 8e-6}], first=2.0),
        "Other": Measured(absent="no compiler"),
    }
}
PAGE = f"# Page\n\nby hand\n\n{report.BEGIN}\nold\n{report.END}\n\nmore by hand\n"


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (1.234e-6, "seconds", "1.23 us"),
        (5e-10, "seconds", "0.0005 us"),
        (0.0456, "seconds", "45.6 ms"),
        (1.5, "seconds", "1.5 s"),
        (123.4, "peak MiB", "123"),
    ],
)
def test_numbers_as_people_read_them(value: float, name: str, text: str) -> None:
    assert report.shown(value, name) == text


def test_what_is_kept_of_results() -> None:
    kept = json.loads(json.dumps(report.summary(WORK, FOUND, 3)))
    case = kept["cases"]["case"]
    assert case[OURS]["median"] == {"seconds": 2e-6} and case[OURS]["times ours"] == 1
    assert case["Peer"]["times ours"] == 3 and case["Peer"]["rounds"] == {
        "seconds": [2e-6, 9e-6, 8e-6]
    }
    assert case["Other"] == {"absent": "no compiler"}
    (goal,) = kept["goals"]  # the other case was not measured
    assert goal["value"] == 3 and goal["bound"] == ">= 2" and goal["reached"]


def test_what_was_kept_is_recalled() -> None:
    kept = json.loads(json.dumps(report.summary(WORK, FOUND, 3)))
    found = report.recalled(kept)
    assert found == FOUND
    assert report.summary(WORK, found, 3) == kept


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    """The second case fails; what the first one gave is kept, and is not measured again."""
    work = Work("Title", "step", {"first": [], "second": []}, [faster("first", 1.0)])
    (tmp_path / "benchmarks.md").touch()
    given = options(["--out", str(tmp_path), "--resume"])
    assert known_results(given) == {}

    class Session:
        def __init__(self, failing: bool) -> None:
            self.failing, self.asked = failing, 0

        def compare(self, *_: object) -> dict[str, Measured]:
            self.asked += 1
            if self.failing and self.asked == 2:
                raise KeyboardInterrupt
            return FOUND["case"]

    with pytest.raises(KeyboardInterrupt):
        measure(Session(True), "one", work, {}, keeper(given, "one"))  # type: ignore[arg-type]
    known = known_results(given)["one"]
    assert [*known] == ["first"]
    session = Session(False)
    found = measure(session, "one", work, known, keeper(given, "one"))  # type: ignore[arg-type]
    assert session.asked == 1 and [*found["cases"]] == ["first", "second"]
    assert found["goals"][0]["value"] == 3


def test_tables() -> None:
    work = report.summary(WORK, FOUND, 3)
    lines = report.work_table(work).splitlines()
    assert lines[2] == f"| {OURS} | 2 us          | 1          | 500 ms         |"
    assert "(no compiler)" in lines[4]
    two = {**work, "cases": {"first": work["cases"]["case"], "second": work["cases"]["case"]}}
    assert report.work_table(two).count("8 us (x 3)") == 2
    assert "| 3        | yes     |" in report.goals_table({"work": work})
    assert "no" in report.goals_table({"work": report.summary(_out_of_reach(), FOUND, 3)})


def _out_of_reach() -> Work:
    return Work("Title", "step", {"case": []}, [Goal("text", 1, lambda found: 2, at_least=False)])


def test_the_page_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    for sections in (["one", "two"], ["three"]):
        report.write_page(path, sections)
    assert path.read_text() == PAGE.replace("\nold\n", "\nthree\n")
    assert all(mark in (ROOT / "docs" / "benchmarks.md").read_text() for mark in _marks())


def _marks() -> tuple[str, str]:
    return report.BEGIN, report.END


def test_new_results_take_the_place_of_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    report.merged(path, {"a": {"value": 1}, "b": {"value": 2}})
    assert report.merged(path, {"b": {"value": 3}}) == {"a": {"value": 1}, "b": {"value": 3}}
    assert json.loads(path.read_text()) == {"a": {"value": 1}, "b": {"value": 3}}


def test_the_heat_map(tmp_path: Path) -> None:
    peer = {"times ours": 4.0}
    case = {OURS: {"times ours": 1.0}, "A": peer, "B": {"absent": "why"}, "C": {"times ours": 7.0}}
    ratios = heat_map.grid_ratios({cell_name(WIDTHS[1], BATCHES[2]): case})
    assert ratios[2, 1] == 4 and np.isnan(ratios).sum() == len(WIDTHS) * len(BATCHES) - 1
    assert "| 4 " in heat_map.grid_table(ratios).splitlines()[3]
    for name in ("a.svg", "b.svg"):
        heat_map.draw(np.where(np.isnan(ratios), 0.5, ratios), tmp_path / name)
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.md").write_text(PAGE)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks"),
            *"train --net 2-4-1 --batch 8 --steps 5 --rounds 1 --seconds 0.01".split(),
            *("--peers", "native,numpy,onnx", "--peers-python", sys.executable),
            *("--out", str(tmp_path)),
        ],
        cwd=ROOT, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "benchmarks.md").read_text()
    assert "2-4-1, batch 8" in page and "old" not in page and "more by hand" in page
    assert json.loads((tmp_path / "benchmarks.json").read_text())["train"]["goals"]


@pytest.mark.parametrize("arguments", [["nothing"], ["train", "--peers", "nobody"]])
def test_names_that_are_not_known_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        options(arguments)
    assert f"there is no {'peer' if arguments[1:] else 'work'}" in capsys.readouterr().err


def test_resuming_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        options(["grid", "--resume"])
    assert "--resume needs --out" in capsys.readouterr().err


def test_a_folder_without_the_page_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        options(["train", "--out", str(tmp_path / "nowhere")])
    assert "--out needs a folder with benchmarks.md" in capsys.readouterr().err
