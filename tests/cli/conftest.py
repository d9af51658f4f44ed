"""Tables and models that the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from chainrule.cli import learn
from chainrule.cli.app import app
from chainrule.data import write_csv

Run = Callable[..., Result]
FAST = (
    "--epochs", "20", "--layers", "16", "--members", "2", "--learning-rate", "0.02",
    "--seed", "1", "--quiet",
)  # fmt: skip


def run_app(*arguments: object) -> Result:
    """The result of ``chainrule`` with these arguments; an unexpected exception is raised."""
    result = CliRunner().invoke(app, list(map(str, arguments)), prog_name="chainrule")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def short_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """The linear model beside a model trains no longer than the model."""
    monkeypatch.setattr(learn, "OF_LENGTH", ())


@pytest.fixture
def run(short_comparison: None) -> Run:
    return run_app


def refused(*arguments: object) -> str:
    """The one sentence that ``chainrule`` says when it refuses these arguments."""
    result = run_app(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("chainrule: "), result.stderr
    assert lines[0].isprintable() and "Traceback" not in result.stderr
    return lines[0].removeprefix("chainrule: ")


def flowers(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Two measurements and a kind in words, which they decide."""
    draw = np.random.default_rng(seed)
    length, width = draw.uniform(0, 10, rows).round(3), draw.uniform(0, 5, rows).round(3)
    kind = np.where(length > 6, "rose", np.where(width > 2.5, "tulip", "lily"))
    return {"length": length, "width": width, "kind": kind}


def houses(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Areas and ages, and a price far from 0 that depends on both."""
    draw = np.random.default_rng(seed)
    area, age = draw.uniform(40, 200, rows).round(1), draw.integers(0, 60, rows)
    return {"area": area, "age": age, "price": (2e6 + 3000 * area - 1000 * age).round(2)}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of flowers."""
    path = tmp_path / "flowers.csv"
    write_csv(path, flowers(240, seed=0))
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with flowers.csv, houses.csv and a model of each."""
    folder = tmp_path_factory.mktemp("models")
    for name, rows, target in (
        ("flowers", flowers(240, 0), "kind"),
        ("houses", houses(240, 0), "price"),
    ):
        write_csv(folder / f"{name}.csv", rows)
        result = run_app(
            "train",
            folder / f"{name}.csv",
            "--target",
            target,
            *FAST,
            "--out",
            folder / f"{name}.chainrule",
        )
        assert result.exit_code == 0, result.output
    return folder
