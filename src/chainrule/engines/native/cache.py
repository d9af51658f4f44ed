"""Object code on disk, so that a second process pays no compilation.

An entry is one file: a SHA-256 over key and object code, then the object code. It is believed
only if it lies in a folder that nobody else can write to, is a regular file of this user and has
the right digest. Nothing that is wrong with the cache stops a program: there is one warning, and
code is compiled.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

from chainrule.engines.native.llvm import bindings
from chainrule.engines.native.target import Target

VARIABLE = "CHAINRULE_CACHE"
OFF = "off"
LIMIT = 256 * 2**20  # bytes; the entries used longest ago are removed
TEMPORARY = ".tmp"
LONGEST_WRITE = 3600  # seconds; an older temporary file is what a killed process left
KEPT = 0.75  # of the limit once it is exceeded, so that not every write has to tidy up
UNSEEN = 1 / 64  # of the limit: so much is written before the folder is looked through again

# What makes code of a printed graph: its language, and this engine.
SOURCES = ("shapes.py", "graph/*.py", "ops/*.py", "engines/base.py", "engines/native/*.py")

_DIGEST_BYTES = hashlib.sha256().digest_size
_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe in place of an entry would wait for a writer
    | getattr(os, "O_BINARY", 0)
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class CacheWarning(UserWarning):
    """The object cache cannot be used: programs are compiled anew in each process."""


class ObjectCache:
    """Object code in one folder, shared by any number of processes.

    Parameters
    ----------
    folder : Path or None
        Made on first use, for this user alone; None keeps nothing.
    limit : int
        Bytes that the folder may hold.
    """

    def __init__(self, folder: Path | None, limit: int = LIMIT) -> None:
        self.folder = folder
        self.limit = limit
        self._warned = False
        self._written = limit  # bytes since the folder was last looked through

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The object code under ``key``, from ``make`` if the folder does not have it."""
        if self.folder is None:
            return make()
        found = self._attempt(self._read, key)
        if found is not None:
            return found
        made = make()
        self._attempt(self._write, key, made)
        return made

    def _attempt(self, step: Callable[..., bytes | None], *arguments: object) -> bytes | None:
        """What ``step`` gives; where it cannot, None, and the first time a warning."""
        try:
            return step(*arguments)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(_message(self.folder, error), CacheWarning, stacklevel=2)
        return None

    def _read(self, key: str) -> bytes | None:
        try:
            descriptor = os.open(self._path(key), _READ)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            _require(about, stat.S_ISREG, "a regular file", stat.S_IWGRP | stat.S_IWOTH)
            content = file.read(min(self.limit, about.st_size))  # room for so much is set aside
        found = content[_DIGEST_BYTES:]
        if content[:_DIGEST_BYTES] != _digest(key, found):
            raise OSError(errno.EIO, f"entry {key[:12]} is damaged")
        with contextlib.suppress(OSError):  # removed by now, or on a read-only file system
            os.utime(self._path(key))
        return found

    def _write(self, key: str, code: bytes) -> None:
        path = self._path(key)
        temporary = path.with_name(f"{secrets.token_hex(8)}{TEMPORARY}")
        try:
            with open(temporary, "xb", opener=_private) as file:
                file.write(_digest(key, code) + code)
            os.replace(temporary, path)
        except PermissionError:
            if not path.exists():  # on Windows, what another process reads is not replaced
                raise
        finally:
            temporary.unlink(missing_ok=True)
        self._written += len(code)
        if self._written > self.limit * UNSEEN:
            self._written = 0
            self._tidy()

    def _path(self, key: str) -> Path:
        """Where an entry lies, in a folder that has just been looked at."""
        assert self.folder is not None
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
        _require(self.folder.lstat(), stat.S_ISDIR, "a folder", _OTHERS)
        return self.folder / f"{key}.o"

    def _tidy(self) -> None:
        """Remove what was used longest ago, temporary files of killed processes among it."""
        assert self.folder is not None
        entries = sorted(_entries(self.folder))
        total = sum(size for _, _, size in entries)
        if total <= self.limit:
            return
        for _, path, size in entries:
            if total <= KEPT * self.limit:
                return
            path.unlink(missing_ok=True)
            total -= size


def cached_object(printed: str, target: Target, make: Callable[[], bytes]) -> bytes:
    """The object code of a program, from this user's cache folder where it is there.

    Parameters
    ----------
    printed : str
        The printed program. Everything that ``make`` depends on is in it, in ``target`` or in
        the SOURCES.
    target : Target
    make : callable
        Compiles; what it raises is raised.
    """
    digest = engine_digest()
    if digest is None:
        return make()
    key = hashlib.sha256("\0".join((digest, repr(target), printed)).encode()).hexdigest()
    return _cache(os.environ.get(VARIABLE, "")).get(key, make)


def default_folder() -> Path | None:
    """Where the operating system keeps what programs can make again; None for a homeless user."""
    variable, *below = {
        "win32": ("LOCALAPPDATA", "AppData", "Local"),
        "darwin": ("", "Library", "Caches"),
    }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    base = Path(os.environ.get(variable, ""))
    if not base.is_absolute():  # the XDG specification: others are to be ignored
        base = Path("~", *below)
    try:
        return base.expanduser() / "chainrule"
    except RuntimeError:
        return None


@cache
def engine_digest() -> str | None:
    """One digest of all that turns a program into object code: our sources and LLVM's version.

    It stands for chainrule's version too, which takes 20 ms to find out; this takes 3 ms. None
    where our sources are not files, as in a zip archive: nothing says then what made an entry.
    """
    package = Path(__file__).parents[2]
    sources = sorted(path for pattern in SOURCES for path in package.glob(pattern))
    with bindings():
        import llvmlite
    digest = hashlib.sha256(llvmlite.__version__.encode())
    for path in sources:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest() if sources else None


@cache
def _cache(setting: str) -> ObjectCache:
    base = default_folder() if not setting else None if setting == OFF else Path(setting)
    return ObjectCache(base and base / "native")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)


def _digest(key: str, code: bytes) -> bytes:
    """Over the key as well: an entry under another's name is damaged."""
    return hashlib.sha256(key.encode() + code).digest()


def _require(
    status: os.stat_result, is_kind: Callable[[int], bool], kind: str, closed: int
) -> None:
    """Refuse what another user made or, by the mode bits ``closed``, could change."""
    if not is_kind(status.st_mode):
        raise OSError(errno.EINVAL, f"it is not {kind}")
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, f"user {status.st_uid} owns it")
    if sys.platform != "win32" and status.st_mode & closed:
        raise PermissionError(errno.EPERM, f"others may use it (mode {status.st_mode & 0o777:o})")


def _entries(folder: Path) -> list[tuple[float, Path, int]]:
    """Time of last use, path and size of each file that may be removed.

    Not those that others are writing or have just removed.
    """
    found = []
    writing = time.time() - LONGEST_WRITE
    for path in folder.iterdir():
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if path.suffix != TEMPORARY or status.st_mtime < writing:
            found.append((status.st_mtime, path, status.st_size))
    return found


def _message(folder: Path | None, error: OSError) -> str:
    return (
        f"the cache of compiled programs in {folder} cannot be used ({error}), so programs are "
        f"compiled anew: make it a folder of yours with mode 700, or set {VARIABLE} to another "
        f"folder or to {OFF!r}"
    )
