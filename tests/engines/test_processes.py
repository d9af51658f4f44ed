"""How processes meet and agree; here they are threads, each with an end of the connection."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any, cast

import numpy as np
import pytest

from chainrule.engines import processes
from chainrule.engines.processes import Cluster, meet
from chainrule.errors import EngineError
from tests.clock import PATIENCE
from tests.ports import free_port


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


def test_what_each_has_is_heard_by_all_however_long_it_is() -> None:
    port = free_port()

    def task(number: int) -> Any:
        cluster = meet("127.0.0.1", port, number, 3, "v1")
        found = [cluster.gather([number, "é" * 10**6]), cluster.gather(number)]
        cluster.leave()
        return found

    words = [[number, "é" * 10**6] for number in range(3)]
    assert each(task, 3) == [[words, [0, 1, 2]]] * 3


def test_time_in_which_the_whole_machine_stands_still_is_not_silence() -> None:
    """It is over at once for everybody who waits, however long it was."""
    one, other = socket.socketpair()
    link = processes.Link(one, 5.0)
    pieces = [TimeoutError, TimeoutError, b'{"alive": true}\n']

    class Standing:
        def recv(self, _: int) -> bytes:
            piece = pieces.pop(0)
            if isinstance(piece, bytes):
                return piece
            raise piece

    link._connection = cast(Any, Standing())
    assert link.receive() == {"alive": True}
    pieces[:] = [TimeoutError] * processes.PIECES
    assert link.receive() is None
    for each in (link._out, one, other):
        each.close()


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
    ("number", "count", "version", "said"),
    [
        (1, 3, "v1", "process 1 has another count than process 0 (3 instead of 2)"),
        (1, 2, "v2", "process 1 has another version than process 0 (v2 instead of v1)"),
    ],
)
def test_processes_that_do_not_fit_are_refused(
    number: int, count: int, version: str, said: str
) -> None:
    port = free_port()

    def task(which: int) -> Cluster:
        mine = (number, count, version) if which else (0, 2, "v1")
        return meet("127.0.0.1", port, *mine)

    assert all(said in answer for answer in each(task, 2))


def test_two_processes_of_one_number_are_refused() -> None:
    port = free_port()

    def task(which: int) -> Cluster:
        return meet("127.0.0.1", port, min(which, 1), 3, "v1")

    assert all("two processes have the number 1" in answer for answer in each(task, 3))


def said_to_strangers(port: int, messages: list[bytes]) -> list[bytes]:
    """What each of some who are no process of ours hears, while two that are meet."""

    def hears(message: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stranger:
            with suppress(ConnectionError):  # where it was closed before all was read
                stranger.sendall(message)
                return stranger.recv(200)
            return b""

    def task(which: int) -> Any:
        cluster = meet("127.0.0.1", port, which, 2, "v1")
        cluster.leave()
        return cluster.number

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(task, 0)
        while True:
            with suppress(ConnectionRefusedError):  # until process 0 listens
                heard = [hears(message) for message in messages]
                break
        second = pool.submit(task, 1)
        assert (first.result(), second.result()) == (0, 1)
    return heard


OURS = {"number": 1, "count": 2, "version": "v1", "token": ""}


@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"[1, 2]\n",
        b"\xff\xfe\n",
        b"9" * (2 * processes.LONGEST),
        *[
            json.dumps({**OURS, name: value}).encode() + b"\n"
            for name, value in [("number", "1"), ("number", True), ("number", -1), ("token", 0)]
        ],
    ],
    ids=lambda message: str(message[:20]),
)
def test_somebody_else_who_knocks_is_ignored(message: bytes) -> None:
    assert said_to_strangers(free_port(), [message]) == [b""]


def test_a_process_with_another_token_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processes.TOKEN, "secret")
    message = json.dumps({**OURS, "token": "guess"}).encode() + b"\n"
    (heard,) = said_to_strangers(free_port(), [message])
    assert b"process 1 has another CHAINRULE_CLUSTER_TOKEN than process 0" in heard


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_coordinator_on_this_machine_is_reached_from_this_machine_only(host: str) -> None:
    with processes._listening(host, free_port()) as server:
        assert server.getsockname()[0] == "127.0.0.1"
    with processes._listening("host.example", free_port()) as server:
        assert server.getsockname()[0] == "0.0.0.0"


def test_what_was_said_before_a_process_was_through_is_heard() -> None:
    """However late somebody listens."""
    port, both = free_port(), Barrier(2)

    def task(number: int) -> Any:
        cluster = meet("127.0.0.1", port, number, 2, "v1")
        found = None
        if number == 0:
            cluster.share("a seed")
        both.wait(PATIENCE)
        if number == 1:
            cluster._links[0].finished.wait(PATIENCE)
            found = cluster.share(None)
            with pytest.raises(EngineError, match="process 0 was through before the others"):
                cluster.share(None)
        cluster.leave()
        return found

    assert each(task, 2) == [None, "a seed"]


def test_something_else_at_the_coordinators_address_is_named() -> None:
    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b'{"server": "another"}\n')

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        port = server.getsockname()[1]
        pool.submit(answer, server)
        with pytest.raises(EngineError, match=f"port {port}, is no process 0; start all"):
            meet("127.0.0.1", port, 1, 2, "v1")


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


def test_what_accidents_change_changes_the_checksum() -> None:
    rows = np.random.default_rng(0).standard_normal((9000, 7)).astype(np.float32)
    late, early, swapped = rows.copy(), rows.copy(), rows.copy()
    late[-1, -1] += 1
    early[3, 2] = np.nextafter(early[3, 2], np.float32(np.inf))
    swapped[[0, 5000]] = swapped[[5000, 0]]
    given = [rows, late, early, swapped, rows[::-1], rows[:, ::-1], rows[:-1], rows.astype(float)]
    assert len({processes._checksum([each]) for each in given}) == len(given)
    assert processes._checksum([rows]) == processes._checksum([np.asfortranarray(rows)])
    assert processes._checksum([rows[:5], rows]) != processes._checksum([rows, rows[:5]])
    for few in (np.float64(3), np.arange(3), np.zeros((0, 4)), np.array([True, False])):
        assert processes._checksum([np.asarray(few)]) == processes._checksum([np.asarray(few)])
