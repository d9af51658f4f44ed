"""Several processes: they train as one, and end together."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")

from chainrule.engines.xla.cluster import joined
from chainrule.errors import ParameterError
from tests.engines.xla.test_devices import trained
from tests.engines.xla.worker import ALONE, FROZEN, LIMIT

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 900  # more than processes wait for each other: nothing here is decided by it


class Ended(NamedTuple):
    """How a process ended: its status, what it wrote, and when."""

    status: int
    out: str
    err: str
    after: float


def free_port() -> int:
    """A free port with a free one behind it, of those that no connection is given by chance."""
    for port in random.SystemRandom().sample(range(12000, 30000, 2), 100):
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("", port))
            second.bind(("", port + 1))
            return port
    raise AssertionError("no two free ports next to each other")


def run(numbers: Sequence[int], count: int, *fault: str, worker: str = "worker") -> list[Ended]:
    """Start some of ``count`` processes, and wait for the end of all of them."""
    port, began = free_port(), time.monotonic()
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", f"tests.engines.xla.{worker}"]
    started = [
        subprocess.Popen(
            [*command, str(number), str(count), str(port), *fault],
            cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number in numbers
    ]  # fmt: skip
    found = []
    try:
        for process in started:
            out, err = process.communicate(timeout=SECONDS)
            found.append(Ended(process.returncode, out, err, time.monotonic() - began))
            if FROZEN in fault and len(started) > 1:
                started[1].send_signal(signal.SIGKILL)
    finally:
        for process in started:
            process.kill()
            process.wait()
    return found


def check_said(ended: Ended, said: str) -> None:
    """Refused with one sentence, and nothing else of ours."""
    ours = [line for line in ended.err.splitlines() if line.startswith("chainrule: ")]
    assert (ended.status, len(ours)) == (2, 1), ended.err
    assert said in ours[0]
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_train_as_one(count: int) -> None:
    expected, history = trained("reference", "float64", epochs=3)
    first, *others = run(range(count), count)
    assert [first.status, *[each.status for each in others]] == [0] * count, first.err
    found = json.loads(first.out)  # nothing else is on standard output
    np.testing.assert_allclose(found["losses"], history.step_losses, rtol=1e-11)
    assert found["sum"] == pytest.approx(expected.layers[0].values["W"].sum(), rel=1e-9)
    assert all(each.out == "" for each in others)


def test_a_process_that_is_killed_ends_the_others() -> None:
    first, second = run([0, 1], 2, "killed")
    assert second.status == -signal.SIGKILL
    check_said(first, "process 1 of 2 ended")
    assert "--resume" in first.err


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["failed", FROZEN])
def test_a_process_that_fails_or_is_silent_ends_the_others(fault: str) -> None:
    first, _ = run([0, 1], 2, fault)
    check_said(first, "process 1 of 2 ended, or was silent")


@pytest.mark.slow
def test_a_process_that_is_through_before_the_others_is_noticed() -> None:
    first, _ = run([0, 1], 2, "through early")
    check_said(first, "process 1 was through before the others")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("other data", "process 1 has another data set than process 0 (203 x 6 float64, checksum"),
        pytest.param("another program", "another program than", marks=pytest.mark.slow),
    ],
)
def test_processes_that_would_train_something_else_are_refused(fault: str, said: str) -> None:
    for ended in run([0, 1], 2, fault):
        check_said(ended, said)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "process 1, 2 of 3 did not arrive in 10 s"), (1, "process 0 cannot be reached")],
)
def test_a_process_that_never_arrives_is_not_waited_for(number: int, said: str) -> None:
    (ended,) = run([number], 3, ALONE)
    check_said(ended, said)
    assert ended.after > LIMIT


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("host", 0, 2), "a coordinator is HOST:PORT, got 'host'"),
        (("host:70000", 0, 2), "a coordinator is HOST:PORT, got 'host:70000'"),
        (("host:1234", 2, 2), "2 processes are numbered from 0, and 2 is none"),
        ((None, None, None), "no job of Slurm, MPI or Kubernetes was found; name --coordinator"),
    ],
)
def test_addresses_and_numbers_that_are_none_are_refused(settings: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said), joined(*settings):
        raise AssertionError("it joined")
