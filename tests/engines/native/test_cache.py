"""The object cache: right bytes or none, one warning at most, and no exception of its own."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from chainrule.engines.native import cache
from chainrule.engines.native.cache import CacheWarning, ObjectCache, cached_object, engine_digest
from chainrule.engines.native.target import TARGETS

KEY, OTHER = "a" * 64, "b" * 64
CODE = bytes(range(256)) * 4
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="about modes and owners of POSIX")


class Compiler:
    """Counts how often it is asked."""

    def __init__(self, code: bytes = CODE) -> None:
        self.code = code
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.code


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "chainrule" / "native"


def entry(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def filled(folder: Path) -> Path:
    """The path of the only entry of a cache that has just been made."""
    ObjectCache(folder).get(KEY, Compiler())
    return entry(folder)


def reads(folder: Path, code: bytes = CODE) -> bool:
    """Whether the code comes from the folder, as another process would find it."""
    compiler = Compiler(code)
    assert ObjectCache(folder).get(KEY, compiler) == code
    return compiler.calls == 0


def test_a_second_process_compiles_nothing(folder):
    filled(folder)
    assert reads(folder)


@POSIX
def test_entries_are_private(folder):
    path = filled(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_have_entries_of_their_own(folder):
    kept = ObjectCache(folder)
    assert kept.get(KEY, Compiler(b"one")) == b"one"
    assert kept.get(OTHER, Compiler(b"two")) == b"two"
    assert kept.get(KEY, Compiler(b"")) == b"one"


def test_what_compiling_raises_is_raised(folder):
    def fail():
        raise RuntimeError("no such instruction")

    with pytest.raises(RuntimeError, match="no such instruction"):
        ObjectCache(folder).get(KEY, fail)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("position", [0, 31, 32, 500, -1])
def test_every_flipped_bit_is_found_and_mended(folder, position):
    path = filled(folder)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.warns(CacheWarning, match="entry aaaaaaaaaaaa is damaged"):
        assert not reads(folder)
    assert reads(folder)


@pytest.mark.parametrize("size", [0, 10, 32, 100])
def test_a_cut_entry_is_found(folder, size):
    os.truncate(filled(folder), size)
    with pytest.warns(CacheWarning, match="damaged"):
        assert not reads(folder)


def test_an_entry_under_anothers_name_is_found(folder):
    path = filled(folder)
    path.rename(path.with_name(f"{OTHER}.o"))
    with pytest.warns(CacheWarning, match="damaged"):
        assert ObjectCache(folder).get(OTHER, Compiler(b"right")) == b"right"


def _be_a_link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _be_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def _be_a_folder(path):
    path.unlink()
    path.mkdir()


def _be_writable_by_others(path):
    path.chmod(0o666)


@POSIX
@pytest.mark.parametrize(
    "spoil",
    [_be_a_link, _be_a_pipe, _be_a_folder, _be_writable_by_others],
    ids=lambda f: f.__name__,
)
def test_an_entry_that_is_not_ours_is_not_believed(folder, spoil):
    spoil(filled(folder))
    with pytest.warns(CacheWarning) as told:
        assert not reads(folder)
    assert len(told) == 1


@POSIX
@pytest.mark.parametrize("mode", [0o777, 0o750, 0o701])
def test_a_folder_open_to_others_is_not_used(folder, mode):
    filled(folder)
    folder.chmod(mode)
    with pytest.warns(CacheWarning, match=f"mode {mode:o}.*CHAINRULE_CACHE"):
        assert not reads(folder)


@POSIX
def test_a_folder_of_somebody_else_is_not_used(folder, monkeypatch):
    filled(folder)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.warns(CacheWarning, match=f"user {user} owns it"):
        assert not reads(folder)


@POSIX
def test_a_link_to_a_folder_is_not_used(folder, tmp_path):
    filled(folder)
    (tmp_path / "link").symlink_to(folder)
    with pytest.warns(CacheWarning, match="not a folder"):
        assert not reads(tmp_path / "link")


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(CacheWarning):
        assert not reads(tmp_path / "file")
    with pytest.warns(CacheWarning):
        assert not reads(tmp_path / "file" / "native")


def test_one_warning_however_often(tmp_path):
    (tmp_path / "file").write_text("")
    kept, compiler = ObjectCache(tmp_path / "file"), Compiler()
    with pytest.warns(CacheWarning) as told:
        for _ in range(5):
            assert kept.get(KEY, compiler) == CODE
    assert compiler.calls == 5
    assert len(told) == 1


@POSIX
def test_a_full_disk(folder):
    """A process may write no more than 500 bytes to a file: as on a full disk, half is there."""
    script = f"""
import resource, sys, warnings
from pathlib import Path
from chainrule.engines.native.cache import ObjectCache
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    kept = ObjectCache(Path({str(folder)!r}))
    for _ in range(3):
        assert kept.get("{KEY}", lambda: bytes(10000)) == bytes(10000)
print(len(told), told[0].category.__name__)
"""
    environment = os.environ | {"PYTHONPATH": "src"}
    root = Path(__file__).resolve().parents[3]
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split() == ["1", "CacheWarning"]
    assert not list(folder.iterdir())


def test_a_read_only_folder(folder, monkeypatch):
    """Modes do not stop the superuser, so the refusal is the one of a read-only file system."""

    def refuse(path, flags):
        raise OSError(30, "Read-only file system", path)

    filled(folder)
    monkeypatch.setattr(cache, "_private", refuse)
    monkeypatch.setattr(os, "utime", lambda path: refuse(path, 0))
    assert reads(folder)
    with pytest.warns(CacheWarning, match="Read-only"):
        assert ObjectCache(folder).get(OTHER, Compiler(b"x")) == b"x"


def test_the_size_is_bounded(folder):
    kept = ObjectCache(folder, limit=10_000)
    for number in range(40):
        kept.get(f"{number:064}", Compiler(bytes(1000)))
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 10_000
    compiler = Compiler(bytes(1000))
    kept.get(f"{39:064}", compiler)
    assert compiler.calls == 0


def test_what_was_used_longest_ago_goes_first(folder):
    kept = ObjectCache(folder, limit=10_000)
    names = [f"{number:064}" for number in range(9)]
    for name in names:
        kept.get(name, Compiler(bytes(1000)))
    for age, path in enumerate(sorted(folder.iterdir(), reverse=True), start=1):
        moment = time.time() - 100 * age
        os.utime(path, (moment, moment))
    assert kept.get(names[0], Compiler(b"")) == bytes(1000)  # the oldest is used again
    kept.get(KEY, Compiler(bytes(1000)))
    left = {path.stem for path in folder.iterdir()}
    assert {names[0], names[8], KEY} <= left
    assert names[1] not in left


def test_what_killed_writers_left_goes_too(folder):
    filled(folder)
    (folder / "0123456789abcdef.tmp").write_bytes(bytes(20_000))
    os.utime(folder / "0123456789abcdef.tmp", (0, 0))
    ObjectCache(folder, limit=10_000).get(OTHER, Compiler())
    assert not list(folder.glob("*.tmp"))
    assert reads(folder)


def _write_often(folder, number):
    """In a process of its own: every answer is right, and there is no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for turn in range(60):
            key = hashlib.sha256(bytes([turn % 7])).hexdigest()
            code = key.encode() * 50
            assert ObjectCache(folder, limit=20_000).get(key, Compiler(code)) == code
    return number


def test_many_writers_at_once(folder):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(_write_often, [(folder, n) for n in range(3)]) == [0, 1, 2]


def test_no_folder_keeps_nothing():
    compiler = Compiler()
    for _ in range(2):
        assert ObjectCache(None).get(KEY, compiler) == CODE
    assert compiler.calls == 2


@pytest.fixture
def setting(monkeypatch):
    def set_to(value):
        monkeypatch.setenv("CHAINRULE_CACHE", str(value))

    return set_to


def calls(printed="program", target=TARGETS["avx2"]):
    compiler = Compiler()
    assert cached_object(printed, target, compiler) == CODE
    return compiler.calls


def test_the_key_is_text_and_target(setting, tmp_path):
    setting(tmp_path)
    assert calls() == 1
    assert calls() == 0
    assert calls(printed="program ") == 1
    assert calls(target=TARGETS["sse2"]) == 1


def test_the_key_is_the_engines_source(setting, tmp_path, monkeypatch):
    setting(tmp_path)
    assert calls() == 1
    changed = hashlib.sha256(engine_digest().encode()).hexdigest()
    monkeypatch.setattr(cache, "engine_digest", lambda: changed)
    assert calls() == 1
    monkeypatch.setattr(cache, "engine_digest", lambda: None)
    assert [calls(), calls()] == [1, 1]


def test_the_digest_sees_every_source_file(monkeypatch, tmp_path):
    digests = set()
    native, graph = tmp_path / "engines" / "native", tmp_path / "graph"
    native.mkdir(parents=True)
    graph.mkdir()
    monkeypatch.setattr(cache, "__file__", str(native / "cache.py"))
    changes = [("a.py", "1"), ("a.py", "2"), ("b.py", "1"), ("b.txt", "")]
    for folder in (native, graph):
        for name, content in changes:
            (folder / name).write_text(content)
            digests.add(engine_digest.__wrapped__())
    assert len(digests) == 6
    archive = tmp_path / "archive.zip" / "engines" / "native" / "cache.py"
    monkeypatch.setattr(cache, "__file__", str(archive))
    assert engine_digest.__wrapped__() is None


def test_off(setting, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    setting("off")
    assert [calls(), calls()] == [1, 1]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="about Linux's folders")
def test_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache.default_folder() == tmp_path / "home" / ".cache" / "chainrule"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.default_folder() == tmp_path / "xdg" / "chainrule"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.default_folder() == tmp_path / "home" / ".cache" / "chainrule"


def test_a_user_without_a_home(monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert cache.default_folder() is None
