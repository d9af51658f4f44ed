"""Options that say on what a training runs: engine, devices, processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

import click

from chainrule.engines.base import EngineChoice
from chainrule.engines.registry import ENGINES
from chainrule.errors import ParameterError

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS: Final = (
    click.option("--engine", type=click.Choice(list(ENGINES)), help="By default native."),
    click.option("--device", metavar="KIND", help="Of xla: cpu, gpu or tpu."),
    click.option("--precision", metavar="NAME", help="Of xla: float32, tf32 or bfloat16."),
    click.option("--split-units", type=int, metavar="N", help="Of xla: devices a layer is on."),
    click.option("--cluster", is_flag=True, help="Of xla: join a Slurm, MPI or Kubernetes job."),
    click.option("--coordinator", metavar="HOST:PORT", help="Of xla: where process 0 is."),
    click.option("--process-id", type=int, metavar="I", help="Of xla: which process this is."),
    click.option("--processes", type=int, metavar="N", help="Of xla: how many there are."),
)
SETTINGS: Final = ("device", "precision", "split_units")
JOINING: Final = ("coordinator", "process_id", "processes")
OF_EACH: Final = frozenset(
    [*JOINING, *"cluster checkpoints schema out report write_schema force quiet log".split()]
)
"""What each process of a cluster may have of its own: where it is, its files, what it says."""


class Place(NamedTuple):
    """What a training runs on.

    Attributes
    ----------
    engine : Engine or str or None
    speaks : bool
        Whether this process writes files and prints; of several, one does.
    share : callable
        What the process that speaks has, of what a process has: the same seed, for example.
    """

    engine: EngineChoice
    speaks: bool
    share: Callable[[Any], Any]


def engine_options(command: Command) -> Command:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@contextmanager
def placed(options: dict[str, Any]) -> Iterator[Place]:
    """Run on what the options say.

    Raises
    ------
    ParameterError
        For settings of the xla engine beside another one.
    EngineError
        If a device or a process is missing, or processes are told different things.
    """
    settings = {name: options[name] for name in SETTINGS if options[name] is not None}
    joining = {name: options[name] for name in JOINING if options[name] is not None}
    named = [*settings, *joining, *(["cluster"] if options["cluster"] else [])]
    if options["engine"] != "xla":
        if named:
            option = named[0].replace("_", "-")
            raise ParameterError(f"--{option} is a setting of the xla engine; add --engine xla")
        yield Place(options["engine"], True, lambda mine: mine)
        return
    from chainrule.engines.xla.cluster import joined
    from chainrule.engines.xla.engine import XlaEngine

    engine = XlaEngine(**settings)
    if not joining and not options["cluster"]:
        _ = engine.devices  # before a table is read in vain
        yield Place(engine, True, lambda mine: mine)
        return
    with joined(**joining) as cluster:
        cluster.agree(_common(options))
        _ = engine.devices
        yield Place(engine, cluster.is_first, cluster.share)


def _common(options: dict[str, Any]) -> dict[str, str]:
    """What all processes of a cluster are told alike."""
    return {
        f"--{name.replace('_', '-')}": "the default" if value is None else str(value)
        for name, value in options.items()
        if name not in OF_EACH
    }
