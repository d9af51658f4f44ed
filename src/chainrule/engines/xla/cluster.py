"""Several processes of one training on the xla engine: found, met, and handed to JAX.

JAX alone would wait for minutes for a process that is missing, and end with a stack trace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from chainrule.engines import processes as group
from chainrule.engines.processes import Cluster
from chainrule.engines.xla.library import clusters, in_words, jax

# On one core products by two threads that share it take a seventh less time than by one.
TWO_THREADS: Final = "PJRT_NPROC", "2"


@contextmanager
def joined(
    coordinator: str | None = None, process_id: int | None = None, processes: int | None = None
) -> Iterator[Cluster]:
    """Belong to a cluster; the first thing that a process does with JAX.

    Parameters
    ----------
    coordinator : "HOST:PORT", optional
        Where process 0 listens, at this port and at its ``meeting_port``, the next one. What is
        left out is found in the environment that Slurm, MPI or Kubernetes made.
    process_id : int >= 0, optional
    processes : int >= 1, optional

    Raises
    ------
    ParameterError
        If that is no address, or no number of a process, or nothing is found.
    EngineError
        If the environment cannot be understood, processes do not arrive within 45 s, or are of
        different versions.
    """
    address, number, count, local = _place(coordinator, process_id, processes)
    host, port = address.rsplit(":", 1)
    meeting = group.meeting_port(int(port))
    cluster = group.meet(host, meeting, number, count, f"JAX {jax.__version__}")
    with group.belonging(cluster):
        _initialize(address, count, number, local)
        yield cluster
    jax.distributed.shutdown()


def _initialize(address: str, count: int, number: int, local: Any) -> None:
    """Hand the processes to JAX, whose patience ends after that of the cluster.

    Its signs of life are left to the cluster's own: to JAX, processes that were all suspended for
    some minutes, and go on, would have been silent.
    """
    if group.one_core():
        os.environ.setdefault(*TWO_THREADS)
    bound = address if group.interface_of(address.rsplit(":", 1)[0]) else None
    with in_words("JAX cannot join the cluster: {}"):
        jax.distributed.initialize(
            address, count, number, local, coordinator_bind_address=bound,
            initialization_timeout=int(group.MEETING), shutdown_timeout_seconds=int(group.SILENCE),
            heartbeat_timeout_seconds=int(group.AS_LONG_AS_IT_TAKES),
        )  # fmt: skip
        with group.calm_listeners():
            jax.devices("cpu")


def _place(
    coordinator: str | None, process_id: int | None, processes: int | None
) -> tuple[str, int, int, Any]:
    """Address, number, count and local devices, by JAX's detection where they are not given."""
    local = None
    if coordinator is None or process_id is None or processes is None:
        with in_words("the job that this process belongs to is not understood: {}"):
            coordinator, processes, process_id, local = (
                clusters.ClusterEnv.auto_detect_unset_distributed_params(
                    coordinator, processes, process_id, None, None, int(group.MEETING)
                )
            )
    return *group.checked_place(coordinator, process_id, processes), local
