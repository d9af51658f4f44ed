"""How a command ends: the statuses, and the signals behind them."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Final

UNLIKE, REFUSED, INTERRUPTED, NOBODY_READS, TERMINATED = 1, 2, 130, 141, 143
ADVICE: Final = "chainrule.advice"  # among a context's notes: says how to go on after Ctrl-C
EPILOG: Final = (
    f"Exit status: 0; {UNLIKE} if a shown number is not the lectures'; {REFUSED} for input that"
    f" was refused or a file that could not be written; {INTERRUPTED} after Ctrl-C and"
    f" {TERMINATED} after SIGTERM, when training has kept its best parameters; {NOBODY_READS} if"
    " nobody reads the output any more."
)

_received: list[int] = []


def end_on_termination() -> None:
    """Let SIGTERM end a command as Ctrl-C does, so that training keeps what it has."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def terminated() -> bool:
    """Whether it was SIGTERM that ended the command."""
    return bool(_received)


def drop_output() -> None:
    """Forget what standard output still holds: there is nowhere to write it."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, AttributeError):  # a test has put something else in its place
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
