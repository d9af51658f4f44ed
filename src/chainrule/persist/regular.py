"""Opening regular files, and nothing else: no pipe, device, socket or folder."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from chainrule.errors import FileFormatError

# Without O_NONBLOCK, opening a pipe that nobody writes to waits for ever. Windows has neither of
# the first two flags; only Windows has the last.
_FLAGS = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open ``path``, or what it links to, for reading, if it is a regular file.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    BinaryIO
        A buffered binary file at position 0; the caller closes it.

    Raises
    ------
    FileFormatError
        If ``path`` is a folder, pipe, socket or device.
    OSError
        If there is no such file (FileNotFoundError) or it may not be read (PermissionError).

    Examples
    --------
    >>> open_regular(".")
    Traceback (most recent call last):
        ...
    chainrule.errors.FileFormatError: cannot use '.': it is a folder, not a regular file
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        # A socket everywhere, and a folder on Windows, fail to open in words that explain nothing.
        require_regular(path, os.stat(path).st_mode)
        raise
    try:
        require_regular(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_regular(path: str | os.PathLike[str], mode: int) -> None:
    """Refuse ``path`` unless ``mode``, its ``st_mode``, is that of a regular file."""
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something special")
        raise FileFormatError(f"cannot use {str(path)!r}: it is {kind}, not a regular file")
