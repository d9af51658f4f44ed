"""The command line: thin shells around what the library does."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``chainrule`` with the arguments of this process, and exit with its status.

    ``chainrule --help`` says what each status means; see :mod:`chainrule.cli.status`.
    """
    from chainrule.cli.app import app
    from chainrule.cli.status import end_on_termination

    end_on_termination()

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without a sign shows a question mark
            stream.reconfigure(errors="replace")
    app(prog_name="chainrule")
