"""Writing files so that a reader finds the old content or the new, never a mixture.

The content goes into a temporary file in the same folder, which is flushed to the disk and then
renamed over the old file: POSIX, and ``os.replace`` on Windows, make that one step. Whatever
fails before the rename leaves the old file as it was.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeAlias

from chainrule.persist.regular import require_regular

Content: TypeAlias = bytes | bytearray | memoryview | Callable[[BinaryIO], object]

_NEW_FILE_MODE = 0o666  # less the umask, as for any new file
_PRIVATE_MODE = 0o600
_TEMPORARY = re.compile(r"\.chainrule-[0-9a-f]{16}\.tmp")
_FOLDER_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP)  # network file systems


def atomic_write(path: str | os.PathLike[str], content: Content) -> None:
    """Write ``content`` to ``path``: all of it or, whatever fails, nothing.

    Parameters
    ----------
    path : str or os.PathLike
        The file. An existing file keeps its mode bits; a link stays a link and what it points
        to is written.
    content : bytes-like or callable
        The bytes, or a function that writes them to the binary file it is given.

    Raises
    ------
    FileFormatError
        If ``path`` exists and is not a regular file.
    OSError
        If the folder does not exist, folder or file is read-only, or the disk is full.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "greeting.txt")
    ...     atomic_write(path, b"good morning")
    ...     atomic_write(path, lambda file: file.writelines([b"good ", b"night"]))
    ...     path.read_bytes()
    b'good night'
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of(target)
    temporary = target.with_name(f".chainrule-{secrets.token_hex(8)}.tmp")
    try:
        _write_to_disk(temporary, content, mode)
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = os.fspath(path)  # a full disk does not say what it was to hold
        raise
    _sync_folder(target.parent)


def remove_remains(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of writers that were killed; nobody may be writing in ``folder``.

    Parameters
    ----------
    folder : str or os.PathLike
        Nothing is done where there is no such folder.
    """
    here = Path(folder)
    for name in os.listdir(here) if here.is_dir() else ():
        if _TEMPORARY.fullmatch(name):
            (here / name).unlink(missing_ok=True)


def _mode_of(target: Path) -> int | None:
    """Permission bits of an existing regular file, None where there is none."""
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(target.parent))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    require_regular(target, mode)
    if not os.access(target, os.W_OK):  # a rename would not ask
        raise PermissionError(errno.EACCES, "the file is read-only", str(target))
    return stat.S_IMODE(mode)


def _write_to_disk(path: Path, content: Content, mode: int | None) -> None:
    # Private until its mode is set: what only its owner could read is at no moment public.
    created = _NEW_FILE_MODE if mode is None else _PRIVATE_MODE
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, created)) as file:
        if callable(content):
            content(file)
        else:
            file.write(content)
        file.flush()
        if mode is not None and sys.platform != "win32":
            os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where folders can be flushed."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _FOLDER_CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)
