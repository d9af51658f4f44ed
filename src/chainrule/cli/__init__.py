"""The command line: thin shells around what the library does."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``chainrule`` with the arguments of this process, and exit with its status.

    The status is 0, 1 if a shown number is not the lectures', 2 for input that was refused, or
    130 after Ctrl-C.
    """
    from chainrule.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without a sign shows a question mark
            stream.reconfigure(errors="replace")
    app(prog_name="chainrule")
