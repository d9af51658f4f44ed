"""``chainrule train``: from a table to a model file."""

from __future__ import annotations

import os
import secrets
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli.console import note, say_facts, say_numbers
from chainrule.cli.engines import engine_options, placed
from chainrule.cli.settings import (
    checked,
    inputs_of,
    require_apart,
    require_different,
    require_free,
)
from chainrule.cli.status import ADVICE
from chainrule.data.scaling import SCALINGS

if TYPE_CHECKING:
    from chainrule.cli.learn import Asked, Learned, Work
    from chainrule.data import Schema

TASKS = ("auto", "classification", "regression")
MOST_COLUMNS = 24  # that are listed one by one
COLUMN_KINDS = ("categorical", "text", "date", "id", "drop")
PATH = click.Path(readable=False)


def _kinds(command: Any) -> Any:
    """The options that say what some columns are."""
    for kind in reversed(COLUMN_KINDS):
        text = "Leave this column out." if kind == "drop" else f"This column is {kind}."
        option = click.option(f"--{kind}", multiple=True, metavar="COLUMN", help=text)
        command = option(command)
    return command


@click.command()
@click.argument("table", type=PATH)
@click.option(
    "--target", required=True, metavar="COLUMN", help="To predict: a name, or a place from 0."
)
@click.option("--task", type=click.Choice(TASKS), default="auto", show_default=True)
@click.option("--no-header", is_flag=True, help="The first line is a row; columns are x0, x1, ...")
@click.option("--schema", type=PATH, metavar="FILE", help="What the columns are, as JSON.")
@click.option("--write-schema", type=PATH, metavar="FILE", help="Write what they seem to be.")
@_kinds
@click.option("--group", metavar="COLUMN", help="Hold out whole groups of rows.")
@click.option("--time", metavar="COLUMN", help="Hold out the latest rows.")
@click.option("--test", type=float, default=0.15, show_default=True, help="Share of test rows.")
@click.option("--cv", type=int, metavar="K", help="Test every row in one of K folds instead.")
@click.option("--validation", type=float, help="Share of the others that choose the epoch.")
@click.option("--layers", metavar="SIZES", help="Hidden units, such as 64,32, or none.")
@click.option("--bins", type=int, help="Intervals that numbers are encoded by, at most.")
@click.option("--scaling", type=click.Choice([*SCALINGS]), help="Of numbers.")
@click.option("--members", type=int, help="Networks in the ensemble.")
@click.option("--epochs", type=int, help="Passes over the rows, at most.")
@click.option("--batch-size", type=int, help="Rows a step.")
@click.option("--learning-rate", type=float, help="At the start.")
@click.option("--dropout", type=float, help="Share of units left out in training.")
@click.option("--patience", type=int, help="Epochs without improvement.")
@click.option("--time-limit", type=float, metavar="SECONDS", help="Of all trainings together.")
@click.option("--seed", type=int, help="The same seed gives the same weights.")
@click.option("--checkpoints", type=PATH, metavar="DIR", help="Keep the newest two here.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoints; without any, begin.")
@click.option("--out", type=PATH, metavar="FILE", help="Write the model.")
@click.option("--report", type=PATH, metavar="FILE", help="Write a page of HTML about it.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option("--dry-run", is_flag=True, help="Say what the columns are, and stop.")
@click.option("--quiet", is_flag=True, help="Nothing but the results.")
@click.option(
    "--log", type=click.Choice(["json"]), help="Events as lines of JSON, in place of words."
)
@engine_options
@click.pass_context
def train(context: click.Context, /, table: str, **options: Any) -> None:
    """Train networks on a table: CSV, plain or compressed by gzip, or Parquet.

    TABLE is a file, a folder, or a pattern in quotes; several files have the same columns.

    \b
    chainrule train houses.csv --target price --out houses.chainrule --report houses.html
    chainrule train "data/part-??.parquet" --target y --out y.chainrule
    chainrule train big.csv --target y --checkpoints run --resume

    What the columns are is found out, said, and may be corrected. Rows are set apart for
    testing; of the others some choose the epoch. Settings that are not given have measured
    defaults. Results go to standard output, all else to standard error.
    """  # noqa: D301 - click wants the backspace itself
    context.meta[ADVICE] = partial(_advice, options)
    _require_one_way_to_test(context)
    with placed(options) as place:
        options["seed"] = place.share(_seed(options))
        if not place.speaks:
            options |= {"out": None, "report": None, "write_schema": None}
            options |= {"quiet": True, "log": None}
        asked = replace(asked_for(options), engine=place.engine)
        _train(context, table, asked, options, speaks=place.speaks)


def _require_one_way_to_test(context: click.Context) -> None:
    """Refuse test rows that no cross-validation would set apart."""
    from chainrule.errors import ParameterError

    given = context.get_parameter_source("test") is click.core.ParameterSource.COMMANDLINE
    if given and context.params["cv"] is not None:
        raise ParameterError(
            "--cv K tests every row in one of K folds, and --test sets rows apart for it; give one"
            " of them"
        )


def _advice(options: dict[str, Any], *, learned: bool = False) -> str:
    """How to go on with a training that is interrupted now."""
    from chainrule.training.checkpoints import Checkpoints

    if options["checkpoints"] is None:
        return "; with --checkpoints DIR, --resume could go on from here" if learned else ""
    written = any(path is not None and os.path.exists(path) for path in _outputs(options))
    added = ["--force"] if written and not options["force"] else []
    if Checkpoints(_first_folder(options)).numbers():
        words = " ".join(["--resume", *added])
        return f"; the same command with {words} goes on from the newest checkpoint"
    words = " ".join(["", "with", *added] if added else [])
    return f"; nothing was learned yet, run the same command again{words}"


def _outputs(options: dict[str, Any]) -> list[str | None]:
    """The files that are to be written."""
    return [options[name] for name in ("out", "report", "write_schema")]


def _first_folder(options: dict[str, Any]) -> Path:
    """Where the first of all trainings keeps its checkpoints."""
    from chainrule.cli.cross_validation import fold_folder
    from chainrule.estimators.table_learning import FIRST

    folder = Path(options["checkpoints"])
    return folder / FIRST if options["cv"] is None else folder / fold_folder(1) / FIRST


def _train(
    context: click.Context, table: str, asked: Asked, options: dict[str, Any], *, speaks: bool
) -> None:
    from chainrule.cli.cross_validation import cross_validated
    from chainrule.cli.learn import Work, learn
    from chainrule.cli.log import JsonLog
    from chainrule.data import as_frame
    from chainrule.estimators.table_streaming import is_streamed

    outputs = _outputs(options)
    require_different([path for path in outputs if path is not None])
    for path in outputs:
        require_free(path, force=options["force"], inputs=inputs_of(table))
        require_apart(path, table)
    if options["report"] is not None:
        from chainrule.cli.report import require_pictures

        require_pictures()
    header = not options["no_header"]
    if is_streamed(table):
        work = Work.of_stream(table, asked, header=header)
    else:
        work = Work.of(as_frame(table, header=header), asked)
    if options["dry_run"]:
        work.require_target()
    if speaks:
        _say_schema(work, options, asked.seed)
    if options["write_schema"] is not None:
        work.schema.save(options["write_schema"])
    if options["dry_run"]:
        return
    log = [JsonLog()] if options["log"] else []
    silent = options["quiet"] or options["log"] is not None
    progress = False if silent else None
    if asked.folds is None:
        learned = learn(work, asked, progress=progress, callbacks=log)
    else:
        learned = cross_validated(
            work, asked, progress=progress, callbacks=log, say=str if silent else note
        )
    if speaks:
        _finish(work, learned, asked, options, command_line(context, asked.seed))
    if learned.interrupted:
        context.meta[ADVICE] = partial(_advice, options, learned=True)
        raise KeyboardInterrupt


def asked_for(options: dict[str, Any]) -> Asked:
    """What the options say, checked.

    Raises
    ------
    ParameterError
        If one is out of its range.
    """
    from chainrule.cli.learn import Asked, hidden_layers
    from chainrule.data.schema import chosen_kinds
    from chainrule.training.plan import new_seed

    kinds = {
        ("category" if kind == "categorical" else kind): options[kind] for kind in COLUMN_KINDS
    }
    chosen = {"hidden": hidden_layers(options["layers"]), "scaling": options["scaling"]}
    chosen |= checked("train", options)
    limit, folds = chosen.pop("time_limit"), chosen.pop("cv")
    return Asked(
        options["target"], options["task"], options["test"], new_seed(_seed(options)), chosen,
        options["schema"], chosen_kinds(**kinds), options["group"], options["time"], limit,
        options["checkpoints"], options["resume"], folds=folds,
    )  # fmt: skip


def _seed(options: dict[str, Any]) -> int:
    """The seed that was given, that of the checkpoints, or a new one."""
    from chainrule.errors import ParameterError
    from chainrule.training.checkpoints import recorded_seed

    if options["resume"] and options["checkpoints"] is None:
        raise ParameterError("--resume needs --checkpoints DIR, the folder to go on from")
    if options["seed"] is not None:
        return int(options["seed"])
    recorded = recorded_seed(_first_folder(options)) if options["resume"] else None
    return secrets.randbits(32) if recorded is None else recorded


def command_line(context: click.Context, seed: int) -> str:
    """The command that does the same again.

    Parameters
    ----------
    context : click.Context
        Of the command, with its parameters.
    seed : int
    """
    words = ["chainrule", str(context.info_name), context.params["table"]]
    for option in context.command.params:
        value = seed if option.name == "seed" else context.params[str(option.name)]
        if not isinstance(option, click.Option) or value in (None, (), False, option.default):
            continue
        for each in value if isinstance(value, tuple) else (value,):
            words += [option.opts[0]] if each is True else [option.opts[0], str(each)]
    return shlex.join(words)


def _say_schema(work: Work, options: dict[str, Any], seed: int) -> None:
    """What the columns are: the result of a dry run, else a note."""
    from chainrule.cli.log import write_event

    if options["log"]:
        write_event("schema", **work.schema.to_json())
    elif options["dry_run"]:
        click.echo(str(work.schema))
        click.echo()
        say_facts([
            ("task", f"{work.task} of {work.column.name!r}"),
            ("rows", f"{work.rows[0]:,}"),
            ("to learn from", f"{work.rows[1]:,}"),
            ("to test", f"{len(work.test):,} ({work.how})"),
            ("seed", str(seed)),
        ])  # fmt: skip
    elif not options["quiet"]:
        note(shown(work.schema))


def shown(schema: Schema) -> str:
    """What the columns are; of many, those that there is something to say of.

    Examples
    --------
    >>> from chainrule.data import ColumnSchema, Schema
    >>> names = [f"x{place}" for place in range(50)]
    >>> many = Schema(tuple([ColumnSchema(name, "number") for name in names]))
    >>> print(shown(many.with_kinds({"x7": "drop"})))
    column  kind  note
    ------------------
    x7      drop  as asked for
    and 49 numbers
    """
    if len(schema.columns) <= MOST_COLUMNS:
        return str(schema)
    said = tuple([each for each in schema.columns if each.kind != "number" or each.note])
    rest = f"and {len(schema.columns) - len(said):,} numbers"
    return "\n".join([str(type(schema)(said)), rest] if said else [rest])


def _finish(
    work: Work, learned: Learned, asked: Asked, options: dict[str, Any], command: str
) -> None:
    """Write the files, then say what there is to say."""
    from chainrule.cli.learn import LINEAR, facts, score_table
    from chainrule.cli.log import write_event
    from chainrule.persist import atomic_write

    learned.model.facts |= {"scores": learned.scores, "command": command}
    if learned.errors:
        learned.model.facts["errors"] = learned.errors
    said = list(facts(work, learned))
    if options["out"] is not None:
        learned.model.save(options["out"])
        said.append(("written", click.format_filename(options["out"])))
    if options["report"] is not None:
        from chainrule.cli.report import report

        page = report(work, learned, said, command, asked.seed)
        atomic_write(options["report"], page.encode())
        said.append(("report", click.format_filename(options["report"])))
    if options["log"]:
        write_event("result", **dict(said), scores=learned.scores, errors=learned.errors,
                    findings=[str(each) for each in learned.findings])  # fmt: skip
    elif not options["quiet"]:
        for finding in learned.findings:
            note(f"note: {finding}")
        if learned.scores and not any(name.startswith(LINEAR) for name in learned.scores):
            note("note: interrupted before there was a linear model to compare with")
    say_facts(said)
    if learned.scores:
        click.echo()
        rows = score_table(learned.scores, lambda value: f"{value:.4g}", learned.errors)
        say_numbers(rows)
