"""Several processes of one training: they meet, watch each other, and end together.

They are connected as a star, by a socket each to process 0. A process that ends or is silent ends
the others, whatever they are waiting for; what they have to agree on goes the same way.

The network is taken to be one's own: messages are readable, and JAX's own are, too. Whoever else
connects by mistake is refused: by what it says, its length, and a token where one is set.
"""

from __future__ import annotations

import atexit
import hashlib
import hmac
import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Final, NoReturn
from zlib import crc32

import numpy as np

from chainrule.engines.base import Program
from chainrule.errors import ChainruleError, EngineError, ParameterError
from chainrule.graph.text import print_graph
from chainrule.shapes import Array

if TYPE_CHECKING:  # imported where a connection is made: most processes are alone
    import socket

MEETING: Final = 45.0  # seconds in which all processes arrive
SILENCE: Final = 20.0  # seconds without a sign of life after which a process counts as ended
KNOCKING: Final = 2.0  # seconds for somebody who connects to say who it is
PIECES: Final = 10  # that silence is counted in
AS_LONG_AS_IT_TAKES: Final = 3600.0  # seconds to wait where who is gone is noticed by reading
BEAT: Final = 4.0  # seconds between two signs of life
LONGEST: Final = 2**16  # bytes of a message of somebody who is not known yet
TOKEN: Final = "CHAINRULE_CLUSTER_TOKEN"  # where all processes have the same word, if they have one
AFTER_FAILURE: Final = 2 * SILENCE  # seconds in which it comes to light which process caused it
THROUGH: Final = object()  # is heard when a process has nothing more to say
THREADS: Final = Path("/proc/self/task")
LOOKING: Final = 1.0  # seconds in which a new thread begins to wait
LEAST_PRIORITY: Final = 19
JOBS: Final = 4096  # of Slurm that have a port of their own, the last ones there are
FIRST_OF_JOBS: Final = 2**16 - JOBS
COLUMNS: Final = 4093  # words that a checksum adds others to
REFUSED, INTERRUPTED = 2, 130  # statuses of a process that ends early
ITERATED: Final = "carried batch shuffled merge_single_row drop_last replacement".split()
AGAIN: Final = "start all processes again, with --resume where there are checkpoints"


class Link:
    """A connection to another process; a message is a line of JSON."""

    def __init__(self, connection: socket.socket, patience: float) -> None:
        self._connection, self._sending, self._left = connection, threading.Lock(), b""
        self._out = connection.dup()  # with a patience of its own, as messages may be long
        self._out.settimeout(AS_LONG_AS_IT_TAKES)
        self._bear(patience, LONGEST)
        self.heard: Queue[Any] = Queue()
        self.finished = threading.Event()

    def _bear(self, silence: float, longest: float) -> None:
        self._connection.settimeout(silence / PIECES)
        self._longest = longest

    def trust(self, patience: float) -> None:
        """Bear silence for so long, and messages of any length: it is one of ours."""
        self._bear(patience, math.inf)

    def send(self, **message: Any) -> None:
        """Send; a connection that is gone is noticed by who reads from it."""
        with suppress(OSError), self._sending:
            self._out.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """The next message; None if none will come, or it is no message of ours."""
        try:
            line = self._line()
            return None if line is None else dict(json.loads(line))
        except (OSError, ValueError, TypeError):
            return None

    def _line(self) -> bytes | None:
        parts, length = [self._left], 0
        while b"\n" not in parts[-1]:
            parts.append(self._more())
            length += len(parts[-1])
            if not parts[-1] or length > self._longest:
                return None
        line, _, self._left = b"".join(parts).partition(b"\n")
        return line

    def _more(self) -> bytes:
        """What comes next; nothing if it was silent for too long, or is gone.

        Silence is counted in pieces: where the whole machine stands still, one of them is over.
        """
        for _ in range(PIECES):
            with suppress(TimeoutError):
                return self._connection.recv(LONGEST)
        return b""

    def close(self) -> None:
        """Break the connection, also for a thread that reads from it."""
        import socket

        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        self._out.close()


class Cluster:
    """The processes of one training, as one of them sees them.

    Attributes
    ----------
    number, count : int
        Which one this is, from 0, and how many there are.
    """

    def __init__(self, number: int, count: int, links: dict[int, Link]) -> None:
        self.number, self.count, self._links = number, count, links
        self._leaving = False
        for other, link in links.items():
            link.trust(SILENCE)
            threading.Thread(target=self._listen, args=(other, link), daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def is_first(self) -> bool:
        """Whether this process writes files, and speaks."""
        return self.number == 0

    def _beat(self) -> None:
        while not self._leaving:
            for link in self._links.values():
                link.send(alive=True)
            time.sleep(BEAT)

    def _listen(self, other: int, link: Link) -> None:
        while (message := link.receive()) is not None:
            if "end" in message:
                self._end_all(message["end"])
            if "finished" in message:
                link.finished.set()
                link.heard.put(THROUGH)
            if "said" in message:
                self._leaving |= message.get("final", False)
                link.heard.put(message["said"])
        if not (self._leaving or link.finished.is_set()):
            silent = f"or was silent for {SILENCE:g} s"
            self._end_all(f"process {other} of {self.count} ended, {silent}; {AGAIN}")

    def _end_all(self, said: str) -> None:
        """End this process and those that it is connected to; not one that ends by itself."""
        if not self._leaving:
            self._leaving = True
            self._say_end(said)
            _end(said)

    def _say_end(self, said: str) -> None:
        for link in self._links.values():
            link.send(end=said)

    def agree(self, facts: Mapping[str, str]) -> None:
        """Go on only if all processes say the same.

        Raises
        ------
        EngineError
            In all of them, naming the first fact that differs.
        """
        if self.number:
            self._links[0].send(said=dict(facts))
            verdict = self._hear(0)
        else:
            found = [_difference(other, facts, self._hear(other)) for other in self._links]
            verdict = next(filter(None, found), None)
            self._leaving = verdict is not None
            for link in self._links.values():
                link.send(said=verdict, final=self._leaving)
        if verdict:
            raise EngineError(verdict)

    def share(self, value: Any) -> Any:
        """What process 0 has; the others' own is not looked at."""
        if self.number:
            return self._hear(0)
        for link in self._links.values():
            link.send(said=value)
        return value

    def gather(self, value: Any) -> list[Any]:
        """What all processes have, in their order: values that JSON can say."""
        if self.number:
            self._links[0].send(said=value)
            return list(self._hear(0))
        found = [value, *[self._hear(other) for other in sorted(self._links)]]
        for link in self._links.values():
            link.send(said=found)
        return found

    def _hear(self, other: int) -> Any:
        """What another process says next; if it ends, so does this one."""
        heard = self._links[other].heard
        while True:
            with suppress(Empty):  # waits in pieces, so that Ctrl-C is heard on Windows
                said = heard.get(timeout=1)
                if said is THROUGH:
                    raise EngineError(f"process {other} was through before the others")
                return said

    def leave(self) -> None:
        """Say that this process is through, and wait for the others."""
        for link in self._links.values():
            link.send(finished=True)
        while not all(link.finished.wait(1) for link in self._links.values()):
            pass
        self._close()

    def _close(self) -> None:
        self._leaving = True
        for link in self._links.values():
            link.close()

    def break_off(self, reason: BaseException) -> None:
        """Let the others end, and say why; this process ends without waiting for them."""
        if isinstance(reason, (ChainruleError, OSError)) and not self._leaving:
            self._say_end(f"process {self.number} of {self.count} failed: {reason}; {AGAIN}")
        self._close()
        interrupted = isinstance(reason, KeyboardInterrupt)
        # runs before what would wait for the others
        atexit.register(_exit, INTERRUPTED if interrupted else REFUSED)


def _difference(other: int, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    for name, value in mine.items():
        if theirs.get(name) != value:
            return (
                f"process {other} has another {name} than process 0"
                f" ({theirs.get(name)} instead of {value}); all processes must train the same"
            )
    return None


def _exit(status: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end(sentence: str) -> NoReturn:
    """End this process from any thread, whatever the others are waiting for."""
    os.write(2, f"chainrule: {sentence}\n".encode())
    _exit(REFUSED)


_current: list[Cluster] = []


def current() -> Cluster | None:
    """The cluster that this process belongs to, if any."""
    return _current[-1] if _current else None


def place() -> tuple[int, int]:
    """The number of this process, and how many belong to its training."""
    cluster = current()
    return (0, 1) if cluster is None else (cluster.number, cluster.count)


def gathered(value: Any) -> list[Any]:
    """What all processes of the cluster have, values that JSON can say; alone, this one's."""
    cluster = current()
    return [value] if cluster is None else cluster.gather(value)


def agree_on_columns(names: Sequence[str]) -> None:
    """Go on only if the tables of all processes have these columns; alone, go on.

    Raises
    ------
    EngineError
        In all of them, naming the first column that differs.
    """
    cluster = current()
    if cluster is not None:
        columns = {f"column {place}": repr(name) for place, name in enumerate(names)}
        cluster.agree({"number of columns": str(len(names)), **columns})


class Spread(np.ndarray[Any, Any]):
    """Rows that lie spread over the processes: here are some, and 0 in the place of the others."""

    @classmethod
    def of(cls, rows: Array, own: Array) -> Spread:
        """From rows and which of them are this process's: (n,) bool."""
        found = rows.copy()
        found[~own] = 0
        return found.view(cls)


def facts(
    signature: str, carried: Sequence[Array], rows: Sequence[Array], seed: int
) -> dict[str, str]:
    """What the processes of a training must agree on before its first step."""
    return {
        "program": digest([np.array(signature)]),
        "seed": str(seed),
        "data set": " and ".join(_described(x) for x in rows if not isinstance(x, Spread)),
        "starting point": f"checksum {_checksum(carried):08x}",
    }


def _described(rows: Array) -> str:
    """Rows in a few words."""
    shape = " x ".join(map(str, rows.shape))
    return f"{shape} {rows.dtype}, checksum {_checksum([rows]):08x}"


def _checksum(arrays: Iterable[Array]) -> int:
    """What accidents change, found at the speed of memory: each fit waits for it.

    Columns of words are added first, so few words are left for the CRC. Their number is a prime,
    so that rows in another order are added to other columns.
    """
    found = 0
    for array in arrays:
        stored = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        whole = len(stored) - len(stored) % (COLUMNS * 8)
        columns = stored[:whole].view(np.uint64).reshape(-1, COLUMNS)
        found = crc32(np.add.reduce(columns).data, crc32(stored[whole:].data, found))
    return found


def signature(program: Program) -> str:
    """The same for programs whose steps do the same, whichever nodes they are made of."""
    text, constants = print_graph(program.step)
    return f"{[getattr(program, name) for name in ITERATED]}\n{text}\n{digest(constants)}"


def digest(arrays: Iterable[Array]) -> str:
    """Sixteen digits that are the same for the same numbers."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def writes() -> bool:
    """Whether this process writes files: it is alone, or the first of its cluster."""
    cluster = current()
    return cluster is None or cluster.is_first


def await_verdict() -> None:
    """After a failure, give the thread that knows which process caused it time to end this one."""
    if current() is not None:
        time.sleep(AFTER_FAILURE)


@contextmanager
def results_only() -> Iterator[None]:
    """Keep standard output for results: what JAX's own libraries print goes to standard error."""
    if current() is None:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def one_core() -> bool:
    """Whether this process may compute on one core only, as far as the system says."""
    allowed = getattr(os, "sched_getaffinity", None)
    return allowed is not None and len(allowed(0)) == 1


@contextmanager
def calm_listeners() -> Iterator[None]:
    """Threads that begin in it and wait for messages give way to those that compute.

    That of Gloo, of which JAX's sums over processes are made, looks again and again while a message
    is there that this process has not asked for yet. On the one core that it has to compute on, it
    would get half of it, and another turn only after some milliseconds: 4.2 ms for the sum of
    numbers that takes 0.2 ms. Systems other than Linux are left as they are.
    """
    before = set(_threads())
    yield
    until = time.monotonic() + LOOKING
    while before and time.monotonic() < until:
        waiting = [each for each in _threads() if each not in before and _waits_for_messages(each)]
        for each in waiting:
            os.sched_setscheduler(each, os.SCHED_BATCH, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, each, LEAST_PRIORITY)
        if waiting:
            return
        time.sleep(LOOKING / 100)


def _threads() -> list[int]:
    """The numbers that Linux gives to the threads of this process; none elsewhere."""
    return [int(each.name) for each in THREADS.glob("*")]


def _waits_for_messages(thread: int) -> bool:
    with suppress(OSError):
        return "poll" in (THREADS / str(thread) / "wchan").read_text()
    return False  # it has ended


@contextmanager
def belonging(cluster: Cluster) -> Iterator[Cluster]:
    """In it, ``cluster`` is the current one; then the processes part, or end together."""
    _current.append(cluster)
    try:
        yield cluster
        cluster.leave()
    except BaseException as error:
        cluster.break_off(error)
        raise
    finally:
        _current.remove(cluster)


def checked_place(
    coordinator: str | None, number: int | None, count: int | None
) -> tuple[str, int, int]:
    """The same, where it is a "HOST:PORT" and the number of a process.

    Raises
    ------
    ParameterError
    """
    if coordinator is None or number is None or count is None:
        raise ParameterError(
            "no job of Slurm, MPI or Kubernetes was found; name --coordinator HOST:PORT,"
            " --process-id I and --processes N"
        )
    host, colon, port = coordinator.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise ParameterError(f"a coordinator is HOST:PORT, got {coordinator!r}")
    if not 0 <= number < count:
        raise ParameterError(f"{count} processes are numbered from 0, and {number} is none")
    return coordinator, number, count


def meeting_port(port: int) -> int:
    """Where processes meet whose engine uses ``port``: at the next one.

    Slurm jobs of one node have ports next to each other, from 61440 on: theirs is far below.

    Examples
    --------
    >>> meeting_port(9000), meeting_port(65535)
    (9001, 61439)
    """
    return port + 1 if port < FIRST_OF_JOBS else port - JOBS


def meet(host: str, port: int, number: int, count: int, version: str) -> Cluster:
    """The cluster of ``count`` processes, once all of them are there.

    Parameters
    ----------
    host, port : str, int
        Where process 0 listens.
    number, count : int
    version : str
        Of the software; all processes must have the same.

    Raises
    ------
    EngineError
        If one does not arrive within 45 s, or is of another version.
    """
    token = os.environ.get(TOKEN, "")
    hello = {"number": number, "count": count, "version": version}
    if number:
        return Cluster(number, count, _arrive(host, port, {**hello, "token": token}))
    return Cluster(number, count, _gather(host, port, hello, token))


def _gather(host: str, port: int, mine: Mapping[str, Any], token: str) -> dict[int, Link]:
    """Process 0: connections to all others, once all are there."""
    links: dict[int, Link] = {}
    fault, until = None, time.monotonic() + MEETING
    with _listening(host, port) as server:
        while len(links) < mine["count"] - 1 and time.monotonic() < until and not fault:
            server.settimeout(max(0.1, until - time.monotonic()))
            with suppress(TimeoutError):
                fault = _welcomed(Link(server.accept()[0], KNOCKING), links, mine, token)
    missing = [str(other) for other in range(1, mine["count"]) if other not in links]
    if missing and not fault:
        fault = f"process {', '.join(missing)} of {mine['count']} did not arrive in {MEETING:g} s"
    for link in links.values():
        link.send(welcome=fault)
        if fault:
            link.close()
    if fault:
        raise EngineError(f"{fault}; {AGAIN}")
    return links


def _welcomed(
    link: Link, links: dict[int, Link], mine: Mapping[str, Any], token: str
) -> str | None:
    """Take a process among ``links``; what makes the meeting fail, if it does.

    Somebody else is sent away, and does no harm.
    """
    hello = link.receive() or {}
    number = hello.get("number")
    if not (type(number) is int and number > 0 and isinstance(hello.get("token"), str)):
        link.close()
        return None
    if not hmac.compare_digest(hello["token"].encode(), token.encode()):
        link.send(welcome=f"process {number} has another {TOKEN} than process 0")
        link.close()
        return None
    if number in links:
        fault = f"two processes have the number {number}"
        link.send(welcome=fault)
        link.close()
        return fault
    links[number] = link
    return _difference(number, {**mine, "number": number}, hello)


def interface_of(host: str) -> str:
    """Where process 0 listens, if others are told that it is at ``host``; "" is everywhere.

    A coordinator on this machine is for this machine. Any other name may stand, here, for an
    address that others cannot reach.

    Examples
    --------
    >>> interface_of("localhost"), interface_of("node7")
    ('localhost', '')
    """
    return host if host == "localhost" or host.startswith("127.") else ""


def _listening(host: str, port: int) -> socket.socket:
    import socket

    try:
        return socket.create_server((interface_of(host), port), backlog=1024)
    except OSError as reason:
        raise EngineError(
            f"process 0 cannot listen at port {port} ({reason.strerror}); choose another port"
        ) from reason


def _arrive(host: str, port: int, hello: Mapping[str, Any]) -> dict[int, Link]:
    """Another process: its connection to process 0, once all are there."""
    link = Link(_connected(host, port), MEETING + SILENCE)
    link.send(**hello)
    answer = link.receive() or {"welcome": "process 0 ended before all processes had met"}
    fault = answer.get("welcome", f"what answers at {host}, port {port}, is no process 0")
    if fault:
        link.close()
        raise EngineError(f"{fault}; {AGAIN}")
    return {0: link}


def _connected(host: str, port: int) -> socket.socket:
    import socket

    until = time.monotonic() + MEETING
    while True:
        try:
            return socket.create_connection((host, port), timeout=1)
        except OSError as reason:
            if time.monotonic() > until:
                raise EngineError(
                    f"process 0 cannot be reached at {host}, port {port} ({reason}); check the"
                    " address, and that the port and the one before it are open"
                ) from reason
            time.sleep(0.2)
