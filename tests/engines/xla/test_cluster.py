"""Several processes: they train as one, and end together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")

import jax
from jax._src.clusters.k8s_cluster import K8sCluster

from chainrule.engines import processes
from chainrule.engines.xla.cluster import joined
from chainrule.engines.xla.library import in_words
from chainrule.errors import EngineError, ParameterError
from tests.engines.xla.test_devices import trained
from tests.engines.xla.worker import ALONE, FROZEN, LIMIT
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 900  # more than processes wait for each other: nothing here is decided by it


class Ended(NamedTuple):
    """How a process ended: its status, what it wrote, and when."""

    status: int
    out: str
    err: str
    after: float


def run(
    numbers: Sequence[int], count: int, *fault: str,
    worker: str = "worker", package: str = "tests.engines.xla",
) -> list[Ended]:  # fmt: skip
    """Start some of ``count`` processes, and wait for the end of all of them."""
    port, began = free_port(), time.monotonic()
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", f"{package}.{worker}"]
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


SLURM = {
    "SLURM_JOB_ID": "4095", "SLURM_STEP_NODELIST": "node[007-015],host2",
    "SLURM_NTASKS": "9", "SLURM_PROCID": "3", "SLURM_LOCALID": "0",
}  # fmt: skip
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}  # fmt: skip


class MeetingError(Exception):
    """Processes would meet here."""


def met(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[Any, ...]:
    """Host, port, number and count with which a process would meet the others."""

    def meet(*place: Any) -> None:
        raise MeetingError(*place[:4])

    monkeypatch.setattr(processes, "meet", meet)
    with pytest.raises(MeetingError) as found, joined(**settings):
        raise AssertionError("it joined")
    return found.value.args


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (SLURM, ("node007", 61439, 3, 9)),
        ({**SLURM, "JAX_COORDINATOR_PORT": "9000"}, ("node007", 9001, 3, 9)),
        (OPEN_MPI, ("10.96.0.1", 58528, 2, 4)),
    ],
    ids=["Slurm", "Slurm, a port", "Open MPI"],
)
def test_jobs_are_found(
    environment: dict[str, str], expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert met(monkeypatch) == expected
    assert met(monkeypatch, coordinator="host:7000", process_id=0) == ("host", 7001, 0, expected[3])


@pytest.fixture
def kubernetes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a pod of an indexed job finds: its interface, here without a server behind it."""
    for name in ("_pod", "_job", "_headless_svc", "_controller", "_namespace"):
        getattr(K8sCluster, name).__func__.cache_clear()
    pod = SimpleNamespace(
        metadata=SimpleNamespace(
            name="train-5", labels={"job-name": "train"},
            owner_references=[SimpleNamespace(controller=True, kind="Job")],
        ),
        spec=SimpleNamespace(subdomain="pods"),
    )  # fmt: skip
    job = SimpleNamespace(
        metadata=SimpleNamespace(name="train", labels={}), spec=SimpleNamespace(parallelism=8)
    )
    pods = SimpleNamespace(list_namespaced_pod=lambda **_: SimpleNamespace(items=[pod]))
    jobs = SimpleNamespace(read_namespaced_job=lambda **_: job)
    client = SimpleNamespace(
        CoreV1Api=lambda: pods, BatchV1Api=lambda: jobs,
        exceptions=SimpleNamespace(ApiException=ConnectionError),
    )  # fmt: skip
    config = SimpleNamespace(load_incluster_config=lambda: None)
    module = SimpleNamespace(client=client, config=config)
    monkeypatch.setitem(sys.modules, "kubernetes", module)
    monkeypatch.setattr(K8sCluster, "_namespace", lambda: "default")
    monkeypatch.setattr(socket, "gethostbyname", lambda _: "10.0.0.5")
    monkeypatch.setattr(np.random, "rand", np.zeros)  # how long JAX would wait for a name
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("HOSTNAME", "train-5")
    return module


def test_a_job_of_kubernetes_is_found(kubernetes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "5")
    assert met(monkeypatch) == ("train-0.pods", 55528, 5, 8)


def test_a_job_that_is_not_understood_is_said(
    kubernetes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOB_COMPLETION_INDEX", raising=False)
    said = "the job that this process belongs to is not understood: To enable automatic bootstrap"
    with pytest.raises(EngineError, match=said):
        met(monkeypatch)
    kubernetes.config.load_incluster_config = Path("no token").read_text
    with pytest.raises(EngineError, match=r"is not understood: .* 'no token'"):
        met(monkeypatch)


# What the client of Kubernetes raises where it finds no service account.
CONFIG_ERROR = type("ConfigException", (Exception,), {"__module__": "kubernetes.config"})


@pytest.mark.parametrize("error", [RuntimeError, ValueError, KeyError, OSError, CONFIG_ERROR])
def test_errors_of_what_jax_asks_are_said(error: type[Exception]) -> None:
    with pytest.raises(EngineError, match=r"^it failed: .*no account"), in_words("it failed: {}"):
        raise error("no account")


@pytest.mark.parametrize("error", [TypeError, AttributeError, AssertionError, Exception])
def test_mistakes_of_ours_are_not_taken_for_errors_of_jax(error: type[Exception]) -> None:
    with pytest.raises(error, match="a mistake") as found, in_words("it failed: {}"):
        raise error("a mistake")
    assert found.type is error


def test_jax_is_told_limits_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its own signs of life are awaited for longer: ours end all processes before."""
    told: list[Any] = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *x, **named: told.append((x, named)))
    monkeypatch.setattr(jax.distributed, "shutdown", lambda: told.append("shutdown"))
    port = free_port()
    place = {"SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
    for name, value in {**SLURM, **place, "JAX_COORDINATOR_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    with joined() as cluster:
        assert (cluster.number, cluster.count) == (0, 1)
    (positional, named), end = told
    assert positional == (f"localhost:{port}", 1, 0, [0])
    assert named["coordinator_bind_address"] == f"localhost:{port}"
    assert (named["initialization_timeout"], named["shutdown_timeout_seconds"]) == (45, 20)
    assert named["heartbeat_timeout_seconds"] == processes.AS_LONG_AS_IT_TAKES
    assert end == "shutdown"
    assert max(processes.MEETING, processes.SILENCE + processes.BEAT, processes.AFTER_FAILURE) < 60
