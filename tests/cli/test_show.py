"""``chainrule show``: the systems, their numbers beside the lectures', their programs."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chainrule.explain import Page, Shown, System, agrees
from chainrule.explain.systems import find, systems
from tests.cli.conftest import Run, refused

# Typed from the tables of the lectures, not read from the programs.
LECTURES = {
    "circuit": {"q": "3", "f": "-12", "df/dx": "-4", "df/dy": "-4", "df/dz": "3", "df/dq": "-4"},
    "sigmoid-neuron": {
        "w0 x0": "-2", "w1 x1": "6", "w0 x0 + w1 x1": "4", "z": "1", "-z": "-1",
        "exp(-z)": "0.37", "1 + exp(-z)": "1.37", "f": "0.73", "df/df": "1",
        "df/d(1 + exp(-z))": "-0.53", "df/dexp(-z)": "-0.53", "df/d(-z)": "-0.20", "df/dz": "0.20",
        "df/dw0": "-0.20", "df/dw1": "-0.39", "df/dw2": "0.20", "df/dx0": "0.39", "df/dx1": "-0.59",
        "largest difference of the two forms": "<= 1e-12",
    },
    "gate-patterns": {
        "f": "-20", "df/dx": "-8", "df/dy": "6", "df/dz": "2", "df/dw": "0",
        "first share": "3", "second share": "3", "d(x x)/dx": "6",
    },
    "decision-boundary": {
        "parameters": "151", "training points": "500", "test points": "1000",
        "training accuracy": "1", "test accuracy": ">= 0.99",
        "last hidden outputs are separable": "1", "inputs are separable": "0",
        "spread of the logit, far over near": ">= 3",
    },
}  # fmt: skip
IDS = {"circuit": "C3", "sigmoid-neuron": "C4", "gate-patterns": "C5", "decision-boundary": "A8"}


def test_every_system_is_in_the_table_of_the_lectures() -> None:
    known = {entry.name: entry for entry in systems()}
    assert {name: known[name].id for name in IDS} == IDS
    assert {name: dict(known[name].expected) for name in LECTURES} == LECTURES


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are written without being asked."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", LECTURES)
def test_numbers_are_those_of_the_lectures(name: str) -> None:
    shown = find(name)()
    for number, printed in LECTURES[name].items():
        assert agrees(shown.numbers[number], printed), (number, shown.numbers[number])
    assert shown.misses() == []
    for picture in shown.pictures.values():
        assert ElementTree.fromstring(picture.svg()).tag.endswith("svg")
        assert picture.text()


@pytest.mark.parametrize("name", ["circuit", "C3", "c3", "CIRCUIT"])
def test_names_and_ids_work_in_any_case(run: Run, name: str) -> None:
    result = run("show", name)
    assert result.exit_code == 0
    assert result.stdout.count("✓") == len(LECTURES["circuit"]) and "✗" not in result.stdout


def test_without_a_name_all_are_listed_by_deck(run: Run) -> None:
    lines = [line for line in run("show").stdout.splitlines() if line[0] != " "]
    heads = [tuple(line.split()[:2]) for line in lines if not line.startswith("Deck ")]
    assert heads == [(entry.id, entry.name) for entry in systems()]
    assert set(IDS.items()) <= {(name, id) for id, name in heads}
    decks = [line[5] for line in lines if line.startswith("Deck ")]
    assert decks == sorted({id[0] for id, _ in heads})


def test_the_list_as_json(run: Run) -> None:
    found = json.loads(run("show", "--json").stdout)
    assert [(row["id"], row["name"]) for row in found] == [(s.id, s.name) for s in systems()]


@pytest.mark.parametrize("option", [["--code"], ["--out", "folder"], ["--svg", "a.svg"]])
def test_what_needs_a_system_says_so(option: list[str]) -> None:
    assert refused("show", *option).startswith("say which system")


def test_settings_change_the_numbers_and_drop_the_comparison(run: Run) -> None:
    result = run("show", "circuit", "x=1", "--json")
    assert json.loads(result.stdout)["numbers"]["f"] == -24.0
    assert "✓" not in run("show", "circuit", "x=1").stdout


def test_json_is_nothing_but_json(run: Run) -> None:
    found = json.loads(run("show", "C3", "--json").stdout)
    numbers = {name: float(printed) for name, printed in LECTURES["circuit"].items()}
    assert found["numbers"] == numbers and found["lectures"] == LECTURES["circuit"]
    assert found["id"] == "C3" and found["settings"] == {"x": -2.0, "y": 5.0, "z": -4.0}
    assert found["files"] == [os.path.join("chainrule-show", "circuit.svg")]
    assert Path(found["files"][0]).read_text(encoding="utf-8").startswith("<svg")


def test_a_number_that_differs_from_the_lectures_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page("C3", "circuit", "Wrong.", "", "", {"f": "-13"})
    wrong = System(page, lambda: Shown({"f": -12.0}))
    monkeypatch.setattr("chainrule.explain.systems.find", lambda name: wrong)
    result = run("show", "circuit")
    assert result.exit_code == 1
    assert "✗" in result.stdout and "the lectures print -13" in result.stderr


@pytest.mark.parametrize("name", ["circuit", "gate-patterns", "sigmoid-neuron"])
def test_the_printed_program_runs_on_its_own(run: Run, name: str, tmp_path: Path) -> None:
    code = run("show", name, "--code").stdout
    program = tmp_path / "program.py"
    program.write_text(code, encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-X", "utf8", program], capture_output=True, encoding="utf-8", check=True,
        cwd=tmp_path, env=environment(),
    )  # fmt: skip
    assert found.stdout == f"{find(name)()}\n"


def environment() -> dict[str, str]:
    source = Path(__file__).resolve().parents[2] / "src"
    return {**os.environ, "PYTHONPATH": str(source)}


def test_pictures_and_numbers_are_written(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "neuron"
    assert run("show", "C4", "--out", folder).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "numbers.json", "sigmoid-gate.svg", "sigmoid-neuron.svg",
    ]  # fmt: skip
    assert "--force" in refused("show", "C4", "--out", folder)
    assert run("show", "C4", "--out", folder, "--force").exit_code == 0
    assert run("show", "C3", "--svg", tmp_path / "c.svg").exit_code == 0
    assert (tmp_path / "c.svg").read_text(encoding="utf-8").startswith("<svg")


def test_settings_may_be_several_numbers(run: Run) -> None:
    found = json.loads(run("show", "A5", "z=2,1,0.1", "T=0.5", "--json").stdout)
    assert found["settings"] == {"z": [2.0, 1.0, 0.1], "T": [0.5]}
    weights = [math.exp(score / 0.5) for score in (2, 1, 0.1)]
    assert found["numbers"]["p1 at T=0.5"] == pytest.approx(weights[0] / sum(weights), rel=1e-12)


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("html", b"<!DOCTYPE html>")])
def test_pictures_in_other_formats(run: Run, tmp_path: Path, kind: str, start: bytes) -> None:
    assert run("show", "C3", "--format", kind, "--theme", "dark").exit_code == 0
    assert (tmp_path / "chainrule-show" / f"circuit.{kind}").read_bytes().startswith(start)
    assert run("show", "C3", "--format", kind).exit_code == 0  # its own folder: replaced


def test_without_matplotlib_numbers_and_the_line_that_installs_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("show", "A5")
    assert result.exit_code == 0 and "0.598" in result.stdout
    assert 'pip install "chainrule[plots]"' in result.stderr
    assert not list(tmp_path.iterdir())
    assert "chainrule[plots]" in refused("show", "A5", "--out", tmp_path / "asked-for")


def test_notebooks_hold_the_page_and_run(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "gates.ipynb"
    assert run("show", "A7", "--notebook", path).exit_code == 0
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert "# A7 boolean-gates" in cells[0]["source"] and "0 > 0" in cells[0]["source"]
    space: dict[str, object] = {"__name__": "notebook"}
    for cell in cells[1:3]:
        exec(cell["source"], space)
    assert isinstance(space["shown"], Shown) and space["shown"].pictures
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert "--force" in refused("show", "A7", "--notebook", path)


def test_a_page_says_slip_question_and_experiment(run: Run) -> None:
    said = run("show", "A5").stdout
    for part in ("Deck A", "plt, which it never imports", "Why we need to minus max?", "Try"):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["circut"], "unknown system 'circut'; did you mean 'circuit'?"),
        (["circuit", "xx=3"], "unknown setting of circuit 'xx'; did you mean 'x'?"),
        (["circuit", "x=three"], "x is a number"),
        (["A5", "T=0.5,cold"], "T is a number, or several with commas"),
        (["A8", "restarts=2.5"], "restarts is a whole number"),
        (["A8", "noise=-1"], "noise must be finite and at least 0"),
        (["A8", "hidden=0"], "Linear"),
        (["circuit", "x"], "is not NAME=VALUE"),
        (["circuit", "--svg", "no/where.svg"], "there is no such folder"),
    ],
)
def test_refusals(arguments: list[str], said: str) -> None:
    assert said in refused("show", *arguments)


@pytest.mark.parametrize(
    ("value", "printed", "expected"),
    [
        (-0.5344, "-0.53", True), (-0.5351, "-0.53", False), (3.0, "3", True), (3.4, "3", False),
        (0.0, "0", True), (0.99, ">= 0.99", True), (0.9899, ">= 0.99", False),
        (0.0094, "0.0090 ± 5 %", True), (0.0095, "0.0090 ± 5 %", False), (123.0, "122 ± 1", True),
        (123.1, "122 ± 1", False), (2.0, "< 2", False), (2.0, "> 1.9", True),
        (0.20000001, "0.20", True), (float("nan"), "0.20", False), (float("nan"), ">= 0.99", False),
    ],
)  # fmt: skip
def test_what_agrees_with_a_printed_number(value: float, printed: str, expected: bool) -> None:
    assert agrees(value, printed) is expected
