"""Settings typed as ``name=value``, and output files that must not be lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from chainrule.errors import ParameterError
from chainrule.estimators.table_settings import BINS
from chainrule.optim.settings import (
    BELOW_ONE,
    COUNT,
    FRACTION,
    POSITIVE,
    Kind,
    Range,
    check,
)
from chainrule.persist.regular import require_regular

OPTIONS: Final[dict[str, Kind]] = {
    "members": COUNT, "bins": BINS, "epochs": COUNT, "batch_size": COUNT,
    "patience": COUNT, "learning_rate": POSITIVE, "time_limit": POSITIVE, "dropout": BELOW_ONE,
    "validation": FRACTION, "cv": Range(2, whole=True),
}  # fmt: skip
"""Options of ``train`` and what they may be."""


def bindings(arguments: Iterable[str]) -> dict[str, str]:
    """Names and values of ``name=value`` arguments.

    Raises
    ------
    ParameterError
        If an argument has another form, or a name comes twice.

    Examples
    --------
    >>> bindings(["x=-2", "y=5"])
    {'x': '-2', 'y': '5'}
    """
    found: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ParameterError(f"{argument!r} is not NAME=VALUE; write x=3, for example")
        if name.strip() in found:
            raise ParameterError(f"{name.strip()!r} is given twice; give it one value")
        found[name.strip()] = value.strip()
    return found


def numbers(given: dict[str, str]) -> dict[str, float]:
    """The values as numbers.

    Raises
    ------
    ParameterError
        If one is none.
    """
    found: dict[str, float] = {}
    for name, text in given.items():
        try:
            found[name] = float(text)
        except ValueError:
            raise ParameterError(f"{name}={text!r}: a number is needed, such as {name}=3") from None
    return found


def checked(command: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among a command's options, in their ranges; None where one was not given.

    Raises
    ------
    ParameterError
        If one is out of its range.

    Examples
    --------
    >>> checked("train", dict.fromkeys(OPTIONS) | {"epochs": 0})
    Traceback (most recent call last):
        ...
    chainrule.errors.ParameterError: train: --epochs must be an int >= 1, got 0
    """
    return {
        name: None
        if options[name] is None
        else check(command, f"--{name.replace('_', '-')}", kind, options[name])
        for name, kind in OPTIONS.items()
    }


def inputs_of(table: str) -> list[str]:
    """The files that a table is read from."""
    from chainrule.data.streams import files_of

    found = files_of(table)
    return [table] if found is None else [os.fspath(each) for each in found]


def require_apart(path: str | None, table: str) -> None:
    """Refuse an output that would be one of the tables, the next time they are read.

    Raises
    ------
    ParameterError
        If the pattern or folder that names the tables names it too.
    """
    from chainrule.data.streams import is_named

    if path is not None and is_named(path, table):
        raise ParameterError(
            f"{path!r} would be one of the tables that {table!r} names, the next time; write it"
            " into another folder"
        )


def require_different(paths: Sequence[str]) -> None:
    """Refuse two outputs in one file.

    Raises
    ------
    ParameterError
        If two paths are those of one file.
    """
    real = [os.path.realpath(path) for path in paths]
    for place, path in enumerate(real):
        if path in real[:place]:
            raise ParameterError(f"{paths[place]!r} is to hold two outputs; choose another for one")


def require_free(path: str | None, *, force: bool, inputs: Iterable[str] = ()) -> None:
    """Refuse, before any work is done, a file that could not be written in the end.

    Parameters
    ----------
    path : str or None
        What is to be written, if anything.
    force : bool
        Whether an existing file may be replaced; none of ``inputs`` ever is.
    inputs : iterable of str
        Files that are read.

    Raises
    ------
    FileExistsError, FileNotFoundError, PermissionError
        If the file exists, or its folder does not or may not be written to.
    FileFormatError
        If ``path`` exists and is not a regular file.
    """
    if path is None:
        return
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(target.parent))
    if target.exists():
        require_regular(path, target.stat().st_mode)
        if any(target == Path(os.path.realpath(each)) for each in inputs):
            raise FileExistsError(errno.EEXIST, "this file is read, choose another output", path)
        if not force:
            raise FileExistsError(errno.EEXIST, "exists already, --force replaces it", path)
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(errno.EACCES, "the folder may not be written to", str(target.parent))
