"""How processes meet and agree; here they are threads, each with an end of the connection."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from chainrule.engines import processes
from chainrule.engines.processes import Cluster, meet
from chainrule.errors import EngineError


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def each(task: Callable[[int], Any], count: int) -> list[Any]:
    """What ``task`` gives, or raises, in as many threads."""

    def caught(number: int) -> Any:
        try:
            return task(number)
        except EngineError as error:
            return str(error)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(caught, range(count)))


def test_they_agree_share_and_part() -> None:
    port = free_port()

    def task(number: int) -> tuple[int, Any]:
        cluster = meet("127.0.0.1", port, number, 3, "v1")
        cluster.agree({"program": "a"})
        shared = cluster.share({"seed": number})
        cluster.leave()
        return cluster.number, shared

    assert each(task, 3) == [(0, {"seed": 0}), (1, {"seed": 0}), (2, {"seed": 0})]


def test_what_differs_is_said_in_all_of_them() -> None:
    port = free_port()

    def task(number: int) -> None:
        cluster = meet("127.0.0.1", port, number, 3, "v1")
        try:
            cluster.agree({"program": "a", "seed": "7" if number == 2 else "8"})
        finally:
            cluster.leave()

    said = "process 2 has another seed than process 0 (7 instead of 8); all processes must"
    assert all(answer.startswith(said) for answer in each(task, 3))


@pytest.mark.parametrize(
    ("number", "count", "versions", "said"),
    [
        (1, 3, "v1", "process 1 has another count than process 0 (3 instead of 2)"),
        (1, 2, "v2", "process 1 has another versions than process 0 (v2 instead of v1)"),
    ],
)
def test_processes_that_do_not_fit_are_refused(
    number: int, count: int, versions: str, said: str
) -> None:
    port = free_port()

    def task(which: int) -> Cluster:
        mine = (number, count, versions) if which else (0, 2, "v1")
        return meet("127.0.0.1", port, *mine)

    assert all(said in answer for answer in each(task, 2))


def test_two_processes_of_one_number_are_refused() -> None:
    port = free_port()

    def task(which: int) -> Cluster:
        return meet("127.0.0.1", port, min(which, 1), 3, "v1")

    assert all("two processes have the number 1" in answer for answer in each(task, 3))


def test_somebody_else_who_knocks_is_ignored() -> None:
    port = free_port()

    def task(which: int) -> Any:
        if which == 2:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as stranger:
                stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
                with suppress(ConnectionError):  # where it was closed before all was read
                    return stranger.recv(100)
                return b""
        cluster = meet("127.0.0.1", port, which, 2, "v1")
        cluster.leave()
        return cluster.number

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(task, 0)
        assert pool.submit(task, 2).result() == b""
        second = pool.submit(task, 1)
        assert (first.result(), second.result()) == (0, 1)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EngineError, match=f"cannot listen at port {port}"):
            meet("127.0.0.1", port, 0, 2, "v1")


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MEETING", 0.3)
    with pytest.raises(EngineError, match=r"process 1, 2 of 3 did not arrive in 0.3 s; start all"):
        meet("127.0.0.1", free_port(), 0, 3, "v1")
    with pytest.raises(EngineError, match=r"process 0 cannot be reached at 127.0.0.1"):
        meet("127.0.0.1", free_port(), 1, 3, "v1")
