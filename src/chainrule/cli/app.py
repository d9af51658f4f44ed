"""The group of all commands, and how anything that goes wrong is reported."""

from __future__ import annotations

import warnings
from typing import Any

import click

from chainrule.cli import status
from chainrule.cli.draw import draw
from chainrule.cli.inspect import inspect
from chainrule.cli.predict import evaluate, predict
from chainrule.cli.show import show
from chainrule.cli.train import train
from chainrule.data.cells import printable
from chainrule.errors import ChainruleError


class Group(click.Group):
    """Commands whose errors are one sentence on standard error."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command, and end the process with the status that says how it went."""
        try:
            with warnings.catch_warnings(action="ignore"):
                warnings.simplefilter("default", UserWarning)  # ours; others are for developers
                warnings.showwarning = _say_warning
                return super().invoke(context)
        except BrokenPipeError:  # who reads has read enough, as `head` does
            status.drop_output()
            context.exit(status.NOBODY_READS)
        except (ChainruleError, OSError, MemoryError) as error:
            if context.params["debug"]:
                raise
            if isinstance(error, OSError):
                status.drop_output()
            _say(_sentence(error))
            context.exit(status.REFUSED)
        except KeyboardInterrupt:
            advice = context.meta.get(
                status.ADVICE, str
            )  # which a context shares with its commands
            _say(("terminated" if status.terminated() else "interrupted") + advice())
            context.exit(status.TERMINATED if status.terminated() else status.INTERRUPTED)


def _sentence(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror[:1].lower() + error.strerror[1:]
        return reason if error.filename is None else f"{reason}: {error.filename}"
    return str(error)


def _say(sentence: str) -> None:
    click.echo(f"chainrule: {printable(sentence)}", err=True)


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


@click.group(
    cls=Group, context_settings={"help_option_names": ["-h", "--help"]}, epilog=status.EPILOG
)
@click.version_option(package_name="chainrule", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def app(debug: bool) -> None:
    """Dense neural networks as graphs, every number on show.

    \b
    chainrule draw "(x + y) * z" x=-2 y=5 z=-4
    chainrule train table.csv --target price --out model.chainrule
    chainrule predict model.chainrule new.csv --out predictions.csv
    """  # noqa: D301 - click wants the backspace itself


for command in (train, predict, evaluate, inspect, draw, show):
    app.add_command(command)
