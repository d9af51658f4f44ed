"""One process of ``chainrule train``, for tests: ``NUMBER COUNT PORT SPECIFICATIONS``.

The last word is JSON, for each process how it is called and what goes wrong in it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import jax

from chainrule.cli import learn
from chainrule.cli.app import app
from chainrule.engines import processes
from chainrule.engines.xla.devices import Devices
from chainrule.training.checkpoints import Checkpoints
from tests.engines.xla.worker import PATIENCE


def full(*_: Any) -> None:
    """In the place of what puts arrays on devices."""
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")


def killed(number: int) -> Any:
    """In the place of what writes checkpoints: it is killed in the place of a later one."""
    genuine, written = Checkpoints.write, []

    def write(self: Checkpoints, moment: Any) -> None:
        if len(written) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        genuine(self, moment)
        written.append(moment)

    return write


def main(number: str, count: str, port: str, specifications: str) -> None:
    mine = json.loads(specifications)[int(number)]
    place = ["--coordinator", f"127.0.0.1:{port}", "--process-id", number, "--processes", count]
    alone = [] if count == "1" else place
    with ExitStack() as stack:
        stack.enter_context(patch.object(learn, "OF_LENGTH", ()))  # a short comparison
        if not mine.get("limits"):
            patience = mine.get("patience", PATIENCE)
            stack.enter_context(patch.multiple(processes, MEETING=patience, SILENCE=patience))
        if "version" in mine:
            stack.enter_context(patch.object(jax, "__version__", mine["version"]))
        if mine.get("full"):
            stack.enter_context(patch.object(Devices, "put", full))
        if "killed" in mine:
            write = killed(mine["killed"])
            stack.enter_context(patch.object(Checkpoints, "write", write))
            # each epoch ends with a checkpoint
            genuine = Checkpoints.__init__
            stack.enter_context(
                patch.object(Checkpoints, "__init__", lambda self, folder: genuine(self, folder, 0))
            )
        app(["train", *mine["options"], "--engine", "xla", *alone], prog_name="chainrule")


if __name__ == "__main__":
    main(*sys.argv[1:])
