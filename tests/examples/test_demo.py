"""The demo runs, says what was asked of it in that order, and fails where a comparison fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import Shown, System

pytest.importorskip("sklearn", reason="the demo needs the extra sklearn")
from examples import demo

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo prints where nobody looks, and the folder that it ran in."""
    folder = tmp_path_factory.mktemp("demo")
    found = subprocess.run(
        [sys.executable, "-X", "utf8", REPOSITORY / "examples" / "demo.py"], cwd=folder, check=True,
        capture_output=True, encoding="utf-8", timeout=300,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
    )  # fmt: skip
    assert found.stderr == ""
    return found.stdout, folder / "out"


@pytest.mark.slow
def test_everything_is_told_in_order(told: tuple[str, Path]) -> None:
    wanted = (
        "f = q × z    −12         1",
        "✓ f = −12, as on the slide",
        "151 parameters, float32",
        "✓ test accuracy: ",
        "loss and its gradient by 151 parameters",
        "✓ largest error of 151 derivatives",
        "became (p − y) / n",
        "$ chainrule train",
        "best epoch",
        "stopped because",
        "$ chainrule predict",
        "softmax regression",
        "always the commonest digit",
        "✓ test accuracy 0.9",
        "read ",
        "scikit-learn",
        "✓ trained twice from one seed",
        "SHA-256 ",
        "written",
        "Next:",
    )
    places, text = [], told[0]
    for words in wanted:
        place = text.find(words, places[-1] if places else 0)
        assert place >= 0, words
        places.append(place)


@pytest.mark.slow
def test_the_accuracy_is_that_of_the_written_predictions(told: tuple[str, Path]) -> None:
    text, out = told
    predicted = cr.data.read_table(out / "predictions.csv").target("prediction")
    truth = cr.data.read_table(out / "test.csv").target("digit")
    accuracy = float(re.search(r"✓ test accuracy ([\d.]+)", text).group(1))
    assert accuracy == round(float(np.mean(predicted == truth)), 4) >= 0.97
    assert len(truth) == 449


@pytest.mark.slow
def test_lines_are_narrow_and_plain(told: tuple[str, Path]) -> None:
    lines = told[0].splitlines()
    paths = [line for line in lines if line.startswith("  ") and str(sys.prefix)[-8:] in line]
    for line in lines:
        assert "\x1b" not in line
        assert len(line) <= 88 or line in paths or "draw " in line or "show " in line
        assert not any(unicodedata.east_asian_width(sign) in "WF" for sign in line)


@pytest.mark.slow
def test_the_pictures_are_drawn(told: tuple[str, Path]) -> None:
    for name in ("circuit.svg", "boundary.svg"):
        text = (told[1] / name).read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag.endswith("svg")


def test_a_comparison_that_fails_ends_the_demo() -> None:
    with pytest.raises(SystemExit, match="this does not hold"):
        demo.tick("two and two are five", 2 + 2 == 5)


def test_a_number_that_is_not_the_slides_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    right = demo.find("circuit")
    wrong = System(right.page, lambda: Shown({**right().numbers, "f": -11.9}, right().pictures))
    monkeypatch.setattr(demo, "find", lambda name: wrong)
    with pytest.raises(SystemExit, match=r"f = −11\.9, as on the slide: this does not hold"):
        demo.circuit()


def test_a_wrong_derivative_is_seen() -> None:
    variables, loss = demo.lecture_network(seed=1)
    slopes = [slope.value.copy() for slope in cr.gradient(loss, variables)]
    assert demo.largest_error(variables, loss, slopes) < 1e-8
    slopes[2][3, 4] += 1e-5
    assert demo.largest_error(variables, loss, slopes) > 9e-6


def test_the_first_and_the_third_part_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    demo.circuit()
    demo.derivatives()
    assert capsys.readouterr().out.count("✓") == 8
