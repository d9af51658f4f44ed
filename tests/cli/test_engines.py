"""Options of ``chainrule train`` that say on what it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import FAST, Run, flowers, refused, write_csv


@pytest.fixture(scope="module")
def jax() -> None:
    """Imported before a test watches NumPy's global generator, from which the import draws."""
    pytest.importorskip("jax", reason="the xla engine needs JAX")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "flowers.csv"
    write_csv(path, flowers(120, seed=0))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--device", "gpu"], "--device is a setting of the xla engine; add --engine xla"),
        (["--engine", "native", "--precision", "tf32"], "--precision is a setting of the xla"),
        (["--cluster"], "--cluster is a setting of the xla engine"),
        (["--process-id", "0"], "--process-id is a setting of the xla engine"),
        (["--engine", "xla", "--device", "gpy"], "unknown device 'gpy'; did you mean 'gpu'?"),
        (["--engine", "xla", "--precision", "half"], "unknown precision 'half'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options: list[str], said: str, table: Path) -> None:
    assert said in refused("train", table, "--target", "kind", *FAST, *options)


@pytest.mark.usefixtures("jax")
def test_a_cluster_that_is_not_there_is_refused(table: Path) -> None:
    where = ["--coordinator", "nowhere", "--process-id", "0", "--processes", "2"]
    message = refused("train", table, "--target", "kind", *FAST, "--engine", "xla", *where)
    assert message == "a coordinator is HOST:PORT, got 'nowhere'"


@pytest.mark.slow
@pytest.mark.usefixtures("jax")
def test_a_table_is_learned_on_the_xla_engine(run: Run, table: Path) -> None:
    options = ["train", table, "--target", "kind", *FAST]
    ours, reference = (run(*options, "--engine", engine) for engine in ("xla", "reference"))
    assert ours.exit_code == 0, ours.stderr
    assert ours.stdout.splitlines()[:4] == reference.stdout.splitlines()[:4]
