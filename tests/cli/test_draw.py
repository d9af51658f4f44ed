"""``chainrule draw``: the table, the picture, and everything that is no formula."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Run, refused


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[1:] if line]


def test_the_circuit_of_the_lecture(run: Run) -> None:
    result = run("draw", "(x+y)*z", "x=-2", "y=5", "z=-4")
    assert result.exit_code == 0 and result.stderr == ""
    assert rows(result.stdout) == [
        ["x", "−2", "−4"],
        ["y", "5", "−4"],
        ["t1", "t1", "=", "x", "+", "y", "3", "−4"],
        ["z", "−4", "3"],
        ["f", "f", "=", "t1", "×", "z", "−12", "1"],
    ]


def test_both_contributions_of_a_square(run: Run) -> None:
    assert "3 + 3 = 6" in run("draw", "x*x", "x=3").stdout


def test_a_second_name_of_an_equal_result_is_an_alias(run: Run) -> None:
    text = run("draw", "a=x+y; b=x+y; f=a*b", "x=1", "y=2").stdout
    assert "a = x + y" in text and "f = a × a" in text


def test_formulas_and_values_may_start_with_a_minus(run: Run) -> None:
    assert "f = −t1" in run("draw", "-x**2", "x=-3").stdout


def test_the_picture_is_written_and_kept(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "circuit.svg"
    assert run("draw", "x*y", "x=1", "y=2", "--svg", path).exit_code == 0
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    assert root.tag.endswith("svg") and root.find("{*}title").text == "x*y"
    before = path.read_bytes()
    assert "--force" in refused("draw", "x*x", "x=1", "--svg", path)
    assert path.read_bytes() == before
    assert run("draw", "x*x", "x=1", "--svg", path, "--force").exit_code == 0
    assert path.read_bytes() != before


def test_the_ledger_and_the_slides_are_written_and_kept(run: Run, tmp_path: Path) -> None:
    page, steps = tmp_path / "ledger.html", tmp_path / "steps"
    given = ("draw", "x*y", "x=1", "y=2", "--html", page, "--steps", steps)
    assert "5 slides" in run(*given).stdout
    assert 'data-rule="product"' in page.read_text(encoding="utf-8")
    assert len(list(steps.iterdir())) == 5
    assert "--force" in refused(*given)
    assert "--force" in refused("draw", "x*y", "x=1", "y=2", "--steps", steps)
    assert run(*given, "--force").exit_code == 0


def test_a_worksheet_is_printed(run: Run) -> None:
    text = run("draw", "x*y", "x=1", "y=2", "--worksheet").stdout
    assert "f = x × y = ___(1)" in text and "(1) 2" in text.partition("Answers")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["__import__('os').system('touch owned')"], "a formula may not hold"),
        (["x.__class__", "x=1"], "a formula may not hold 'x.__class__'"),
        (["x" + ".a" * 900, "x=1"], "a formula may not hold 'x.a.a"),
        (["(" * 300 + "x" + ")" * 300, "x=1"], "cannot read the formula"),
        (["x+", "x=1"], "cannot read the formula"),
        (["x+y", "x=1"], "needs a value for 'y'"),
        (["x+y", "x=1", "yy=2"], "unknown variable 'yy'; did you mean 'y'?"),
        (["expp(x)", "x=1"], "did you mean 'exp'?"),
        (["x", "x"], "'x' is not NAME=VALUE"),
        (["x", "x=one"], "a number is needed"),
        (["x", "x=1", "x=2"], "'x' is given twice"),
        (["x*\x1b[2J", "x=1"], "cannot read the formula"),
        (["x", "--svgg", "x=1"], "'--svgg' is not NAME=VALUE"),
        (["x*x", "x=1", "--svg", "missing/folder/a.svg"], "there is no such folder"),
        (["x*x", "x=1", "--html", "missing/folder/a.html"], "there is no such folder"),
    ],
)
def test_refusals(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused("draw", *arguments)
    assert list(tmp_path.iterdir()) == []
