"""Writing: the old file or the new one, whatever fails in between."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import pytest

from chainrule import persist
from chainrule.errors import FileFormatError
from chainrule.persist import atomic_write

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "replaced"])
@pytest.mark.parametrize(
    "content",
    [b"new", bytearray(b"new"), memoryview(b"new"), lambda file: file.writelines([b"n", b"ew"])],
    ids=["bytes", "bytearray", "memoryview", "callable"],
)
def test_content_is_written(tmp_path: Path, old: bytes | None, content: Any) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    atomic_write(path, content)
    assert contents(tmp_path) == {"file": b"new"}


def test_a_path_may_be_text_and_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    atomic_write("file", b"new")
    assert contents(tmp_path) == {"file": b"new"}


def test_a_name_of_the_longest_length(tmp_path: Path) -> None:
    atomic_write(tmp_path / ("n" * 255), b"new")
    assert contents(tmp_path) == {"n" * 255: b"new"}


class PowerCut(BaseException):
    """Something that no `except Exception` catches, like Ctrl-C."""


def fail(*arguments: object, **keywords: object) -> NoReturn:
    raise PowerCut


@pytest.mark.parametrize(
    ("function", "old"),
    [("fsync", None), ("replace", None), ("fsync", b"o"), ("replace", b"o"), ("fchmod", b"o")],
)
@posix_only
def test_a_failing_step_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, old: bytes | None
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    before = contents(tmp_path)
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(PowerCut):
        atomic_write(path, b"new")
    assert contents(tmp_path) == before


def test_a_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    def write_half(file: BinaryIO) -> None:
        file.write(b"half" * 100_000)
        raise OSError(errno.ENOSPC, "no space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="no space left"):
        atomic_write(path, write_half)
    assert contents(tmp_path) == {"file": b"old"}


@posix_only
def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    script = (
        "import signal, sys; from chainrule.persist import atomic_write\n"
        "def write(file):\n"
        "    file.write(b'half' * 100_000); file.flush()\n"
        "    print('half', flush=True); signal.pause()\n"
        "atomic_write(sys.argv[1], write)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(persist.__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], env=environment, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"


def order_of_calls(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to file and folder, in order: the flush of each, and the rename."""
    calls = []

    def spy(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if name == "fsync":
                folder = stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
                size = os.fstat(arguments[0]).st_size
                calls.append("fsync folder" if folder else f"fsync {size} bytes")
            else:
                calls.append(name)
            return function(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, spy(name, getattr(os, name)))
    atomic_write(path, b"new")
    return calls


@posix_only
def test_content_reaches_the_disk_before_the_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = order_of_calls(tmp_path / "file", monkeypatch)
    assert calls == ["fsync 3 bytes", "replace", "fsync folder"]


@posix_only
def test_folders_that_cannot_be_flushed_are_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "no")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    number = errno.EINVAL
    atomic_write(tmp_path / "file", b"new")
    number = errno.EIO
    with pytest.raises(OSError, match="no"):
        atomic_write(tmp_path / "file", b"newer")


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_mode_bits_are_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    mask = os.umask(0o077)
    try:
        atomic_write(path, b"new")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix_only
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_obeys_the_umask(tmp_path: Path, mask: int) -> None:
    old_mask = os.umask(mask)
    try:
        atomic_write(tmp_path / "file", b"new")
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


@posix_only
def test_a_private_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)
    modes = []
    atomic_write(path, lambda file: modes.append(os.fstat(file.fileno()).st_mode))
    assert [stat.S_IMODE(mode) for mode in modes] == [0o600]


def test_a_read_only_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write all
    with pytest.raises(PermissionError, match="read-only"):
        atomic_write(path, b"new")
    assert contents(tmp_path) == {"file": b"old"}


@posix_only
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/file")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "folder") == {"file": b"new"}


@posix_only
def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(FileFormatError, match="not a regular file"):
            atomic_write(path, b"new")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such folder.*missing"):
        atomic_write(tmp_path / "missing" / "file", b"new")


def test_many_writers_leave_one_whole_file(tmp_path: Path) -> None:
    """Writers that overlap use different temporary files."""
    script = (
        "import sys; from chainrule.persist import atomic_write\n"
        "for i in range(20): atomic_write(sys.argv[1], sys.argv[2].encode() * 100_000)"
    )
    path = tmp_path / "file"
    environment = os.environ | {"PYTHONPATH": str(Path(persist.__file__).parents[2])}
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(path), letter], env=environment)
        for letter in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            seen.add(path.read_bytes())
        time.sleep(0.001)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {b"a" * 100_000, b"b" * 100_000}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
