"""The command as a process: status, streams, start-up, Ctrl-C, terminals without colour."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from chainrule.cli import status
from chainrule.cli.tables import TableModel
from chainrule.data import write_csv
from chainrule.training import Checkpoints
from tests.cli.conftest import FAST, Run, flowers, refused
from tests.clock import PATIENCE

SOURCE = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chainrule", *map(str, arguments)],
        capture_output=True, encoding="utf-8", env={**ENVIRONMENT, **environment}, timeout=PATIENCE,
        check=False,
    )  # fmt: skip


def test_help_lists_every_command_and_version_is_the_packages(run: Run) -> None:
    shown = run("--help").stdout
    for command in ("draw", "evaluate", "inspect", "predict", "show", "train"):
        assert f"\n  {command} " in shown
        assert run(command, "--help").exit_code == 0
    assert run("--version").stdout == f"chainrule {version('chainrule')}\n"


def test_unknown_commands_and_options_are_usage_errors(run: Run) -> None:
    for arguments in (["tarin"], ["train"], ["train", "t.csv"], ["show", "--jsn"]):
        result = run(*arguments)
        assert result.exit_code == 2 and "Traceback" not in result.output


def test_the_process_has_the_status_and_the_streams() -> None:
    good = process("draw", "x*x", "x=3")
    assert (good.returncode, good.stderr) == (0, "") and "3 + 3 = 6" in good.stdout
    bad = process("draw", "x*y", "x=3")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "chainrule: the formula needs a value for 'y'; add y=1, for example\n"


def test_debug_shows_the_traceback() -> None:
    bad = process("--debug", "draw", "x*y", "x=3")
    assert bad.returncode != 0 and "Traceback" in bad.stderr and "FormulaError" in bad.stderr


def test_a_terminal_without_the_signs_gets_other_ones() -> None:
    found = process("draw", "x-3", "x=-3", PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert found.returncode == 0 and "?3" in found.stdout


def test_no_colour_where_nobody_looks() -> None:
    assert "\x1b" not in process("show", "circuit", COLORTERM="truecolor").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("no_colour", "coloured"), [("", True), ("1", False)])
def test_colour_on_a_terminal_unless_unwanted(no_colour: str, coloured: bool) -> None:
    import pty

    parent, child = pty.openpty()
    environment = {**ENVIRONMENT, "NO_COLOR": no_colour, "TERM": "xterm-256color", "COLORTERM": ""}
    running = subprocess.Popen(
        [sys.executable, "-m", "chainrule", "draw", "x*x", "x=3"],
        stdout=child, stderr=child, env=environment,
    )  # fmt: skip
    os.close(child)
    shown = b""
    try:
        while chunk := os.read(parent, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        assert running.wait(PATIENCE) == 0
    os.close(parent)
    assert running.wait(PATIENCE) == 0
    assert (b"\x1b[38;5;" in shown) is coloured


def test_who_reads_no_more_is_no_error_to_report(models: Path) -> None:
    write_csv(models / "many.csv", flowers(20_000, seed=4))
    command = [sys.executable, "-m", "chainrule", "predict", models / "flowers.chainrule"]
    running = subprocess.Popen(
        [*command, models / "many.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )  # fmt: skip
    assert running.stdout is not None and running.stderr is not None
    assert running.stdout.readline().startswith(b"prediction,")
    running.stdout.close()
    assert running.stderr.read() == b""
    running.stderr.close()
    assert running.wait(PATIENCE) == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
@pytest.mark.parametrize("command", ["draw", "predict"])
def test_a_full_device_is_said(command: str, models: Path) -> None:
    files = [models / "flowers.chainrule", models / "flowers.csv"]
    table = files if command == "predict" else ["1+2"]
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "chainrule", command, *table],
            stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, encoding="utf-8",
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr == "chainrule: no space left on device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize(
    ("number", "ended", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_signals_keep_the_best_model_and_a_checkpoint(
    number: int, ended: int, word: str, tmp_path: Path
) -> None:
    write_csv(tmp_path / "t.csv", flowers(2000, seed=0))
    out, kept = tmp_path / "m.chainrule", tmp_path / "kept"
    running = subprocess.Popen(
        [sys.executable, "-u", "-c", INTERRUPTING, "train", tmp_path / "t.csv", "--target", "kind",
         "--epochs", "1000000", "--patience", "1000000", "--out", out, "--checkpoints", kept,
         "--quiet", "--layers", "16", "--members", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, encoding="utf-8",
    )  # fmt: skip
    assert running.stderr is not None
    try:
        assert "an epoch" in running.stderr.readline()
        time.sleep(0.3)
        running.send_signal(number)
        stdout, stderr = running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
    assert running.returncode == ended, stderr
    advice = "; the same command with --resume --force goes on from the newest checkpoint"
    assert "interrupted" in stdout and stderr.splitlines()[-1] == f"chainrule: {word}{advice}"
    history = TableModel.load(out).network.history
    assert history.epochs > 0 and history.interrupted
    moment = Checkpoints(kept / "first").newest()
    assert history.epochs - 1 <= moment.epochs <= history.epochs  # an epoch may be half taken in
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "m.chainrule", "kept"}


def interrupt(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_reading_says_to_begin_again(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schema may be written by then, which the same command would have to replace."""
    kept, written = tmp_path / "kept", tmp_path / "schema.json"
    command = ("train", table, "--target", "kind", *FAST, "--out", tmp_path / "m.chainrule")
    within = "chainrule.estimators.table_learning.Problem.of_different_rows"
    monkeypatch.setattr(within, interrupt)  # no module has a name of its own for a method
    assert run(*command).stderr == "chainrule: interrupted\n"
    again = "chainrule: interrupted; nothing was learned yet, run the same command again"
    assert run(*command, "--checkpoints", kept).stderr == f"{again}\n"
    with_schema = run(*command, "--checkpoints", kept, "--write-schema", written)
    assert written.exists() and with_schema.stderr == f"{again} with --force\n"


@pytest.mark.parametrize("folds", [(), ("--cv", 2)])
def test_ctrl_c_before_a_model_is_written_says_to_resume_only(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folds: tuple[object]
) -> None:
    kept, out = tmp_path / "kept", tmp_path / "m.chainrule"
    command = ("train", table, "--target", "kind", *FAST, *folds, "--out", out)
    with monkeypatch.context() as patch:
        patch.setattr("chainrule.training.history.History.append", interrupt)
        result = run(*command, "--checkpoints", kept)
    advice = "; the same command with --resume goes on from the newest checkpoint"
    assert result.stderr == f"chainrule: interrupted{advice}\n" and not out.exists()
    resumed = run(*command, "--checkpoints", kept, "--resume")
    assert resumed.exit_code == 0 and out.exists()


def test_help_says_what_each_status_means(run: Run) -> None:
    said = " ".join(run("--help").stdout.split())
    assert "Exit status: 0;" in said
    for each in (status.UNLIKE, status.REFUSED, status.INTERRUPTED, status.TERMINATED):
        assert str(each) in said


# Says on standard error when the first epoch is over, so that the test does not guess.
INTERRUPTING = """
import sys
from chainrule.cli import main
from chainrule.training.history import History
append = History.append
def announced(self, *arguments):
    append(self, *arguments)
    if self.epochs == 1:
        print("an epoch", file=sys.stderr, flush=True)
History.append = announced
main()
"""


def test_warnings_are_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def warned(name: str) -> None:
        warnings.warn("beware\nof \x1b[31mthis", UserWarning, stacklevel=1)
        raise FileNotFoundError(2, "No such file or directory", "x")

    monkeypatch.setattr("chainrule.explain.systems.find", warned)
    result = run("show", "circuit")
    assert result.stderr.splitlines() == [
        r"chainrule: warning: beware\nof \x1b[31mthis",
        "chainrule: no such file or directory: x",
    ]


def test_memory_errors_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    def large(name: str) -> None:
        raise MemoryError

    monkeypatch.setattr("chainrule.explain.systems.find", large)
    assert refused("show", "circuit") == "there is not enough memory for this"


def test_the_command_starts_without_what_it_does_not_need() -> None:
    heavy = (
        "rich",
        "scipy",
        "sklearn",
        "matplotlib",
        "safetensors",
        "chainrule.networks",
        "chainrule.nn",
    )
    code = f"import sys, chainrule.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env=ENVIRONMENT,
        check=True,
    )
    assert found.stdout == "[]\n"
