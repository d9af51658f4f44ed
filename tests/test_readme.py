"""The programs of README.md run, and give the numbers that stand behind them."""

from __future__ import annotations

import ast
import io
import re
import shlex
import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.cli.app import app
from chainrule.data import two_moons

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.M | re.S)
COMMANDS = re.findall(r"^chainrule .*$", README, flags=re.M)


def run(program: str, names: dict[str, Any]) -> list[str]:
    """Run it: the numbers that comments claim of an expression and that it does not have."""
    tokens = tokenize.generate_tokens(io.StringIO(program).readline)
    comments = {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}
    wrong = []
    for statement in ast.parse(program).body:
        exec(compile(ast.Module([statement], []), "README.md", "exec"), names)
        claim = comments.get(statement.end_lineno or 0, "")
        if isinstance(statement, ast.Expr) and re.fullmatch(r"# [-\d., ]+", claim):
            found = np.ravel(eval(ast.unparse(statement.value), names)).tolist()
            if found != [float(each) for each in claim[1:].split(",")]:
                wrong.append(f"{ast.unparse(statement)} is {found}, not {claim[2:]}")
    return wrong


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_programs_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    X, y = two_moons(200, noise=0.1, seed=0)
    names: dict[str, Any] = {}
    for program in PROGRAMS:
        names |= {"X": X, "y": y, "X_new": X[:3]}
        assert run(program, names) == []
    assert len(PROGRAMS) == 4 and (tmp_path / "moons.chainrule").stat().st_size


@pytest.mark.parametrize("defect", ["f.value  # -12.5", "f.backward()\nx.grad, y.grad  # -4, 4"])
def test_a_number_that_is_not_true_is_caught(defect: str) -> None:
    (circuit,) = [program for program in PROGRAMS if "f.value" in program]
    start = circuit[: circuit.index("f.value")]
    assert len(run(start + defect, {})) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_take_these_options(command: str) -> None:
    _, name, *given = shlex.split(command)
    options = {option for each in app.commands[name].params for option in each.opts}
    assert {each for each in given if each.startswith("--")} <= options
