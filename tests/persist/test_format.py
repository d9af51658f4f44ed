"""The file format: round trips, determinism, and every way in which a file can be wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import socket
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule import persist
from chainrule.errors import DtypeError, FileFormatError, ParameterError
from chainrule.persist import format as file_format
from chainrule.persist import from_bytes, read_bytes, read_file, to_bytes, write_file

DTYPES = "float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()
ARRAYS = {
    "b": np.arange(6, dtype="float32").reshape(2, 3),
    "scalar": np.array(-0.0),
    "empty": np.zeros((0, 3), "int64"),
    "mask": np.array([True, False, True]),
    "../../etc/passwd": np.array([np.nan, np.inf]),
    "größe": np.array([1, 2], "uint16"),
}
STRUCTURE = {"layers": [{"type": "Linear", "n_in": 2}], "rate": 1e-3, "name": "größe", "no": None}


def small_file() -> bytes:
    return to_bytes({"w": np.array([1.5], "float32")}, {"n": 1}, kind="network")


def signed(header: bytes | dict[str, Any], body: bytes = b"") -> bytes:
    """A file with a right digest around any header: the definition of the format, once more."""
    if isinstance(header, dict):
        header = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
    unsigned = struct.pack("<Q", len(header)) + header + body
    digest = hashlib.sha256(unsigned).hexdigest().encode()
    return unsigned.replace(b"0" * 64, digest, 1)


def header(entries: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    fields = {"format": "chainrule", "version": "1", "kind": "network", "sha256": "0" * 64}
    return {"__metadata__": fields | {"structure": "{}"} | metadata} | (entries or {})


def entry(dtype: Any, shape: Any, offsets: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def assert_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert sorted(left) == sorted(right)
    for name, array in left.items():
        assert array.dtype == right[name].dtype
        assert array.shape == right[name].shape
        assert array.tobytes() == right[name].tobytes()


# Round trips


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.chainrule"
    write_file(path, ARRAYS, STRUCTURE, kind="network")
    arrays, structure = read_file(path, kind="network")
    assert_same(arrays, ARRAYS)
    assert structure == STRUCTURE
    assert path.read_bytes() == to_bytes(ARRAYS, STRUCTURE, kind="network")
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.chainrule"]


@given(
    arrays=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)),
        max_size=5,
    ),
    structure=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("k"), inner),
            max_leaves=8,
        ),
        max_size=4,
    ),
)
def test_round_trip_of_anything(arrays: dict[str, Any], structure: dict[str, Any]) -> None:
    data = to_bytes(arrays, structure, kind="network")
    loaded, same_structure = from_bytes(data, kind="network")
    assert_same(loaded, arrays)
    assert same_structure == structure
    assert list(same_structure) == list(structure)
    assert to_bytes(loaded, same_structure, kind="network") == data


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_layout_and_byte_order_do_not_matter(dtype: str) -> None:
    array = np.arange(24).reshape(4, 6).astype(dtype)
    expected = to_bytes({"a": array}, {}, kind="network")
    for same in (np.asfortranarray(array), array.astype(array.dtype.newbyteorder(">"))):
        assert to_bytes({"a": same}, {}, kind="network") == expected
    wide = np.zeros((4, 12), dtype)
    wide[:, ::2] = array
    assert to_bytes({"a": wide[:, ::2]}, {}, kind="network") == expected


def test_arrays_are_read_only_and_aligned() -> None:
    arrays, _ = from_bytes(to_bytes(ARRAYS, {}, kind="network"))
    for array in arrays.values():
        assert not array.flags.writeable
        assert array.flags.aligned
        assert array.ctypes.data % array.itemsize == 0


def test_data_starts_at_a_multiple_of_eight_bytes() -> None:
    for length in range(9):
        data = to_bytes({"a": np.zeros(1)}, {"x": "y" * length}, kind="network")
        assert struct.unpack("<Q", data[:8])[0] % 8 == 0


def test_the_safetensors_package_reads_the_same() -> None:
    data = to_bytes(ARRAYS, STRUCTURE, kind="network")
    assert_same(safetensors.numpy.load(data), ARRAYS)


def test_the_safetensors_package_reads_the_metadata(tmp_path: Path) -> None:
    path = tmp_path / "m.chainrule"
    write_file(path, ARRAYS, STRUCTURE, kind="network")
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
    assert json.loads(metadata["structure"]) == STRUCTURE
    assert metadata["kind"] == "network"


def test_the_digest_is_as_documented() -> None:
    data = small_file()
    digest = re.search(rb'"sha256":"([0-9a-f]{64})"', data)
    assert digest is not None
    unsigned = data.replace(digest[1], b"0" * 64)
    assert hashlib.sha256(unsigned).hexdigest().encode() == digest[1]


def test_order_of_arrays_and_hash_seed_leave_the_bytes_alone() -> None:
    script = (
        "import numpy as np; from chainrule.persist import to_bytes; import hashlib;"
        "a = {n: np.ones(2, t) for n, t in (('z', 'f4'), ('a', 'f8'), ('m', 'f4'))};"
        "print(hashlib.sha256(to_bytes(a, {'x': 1, 'a': 2}, kind='network')).hexdigest());"
        "a = dict(reversed(a.items()));"
        "print(hashlib.sha256(to_bytes(a, {'x': 1, 'a': 2}, kind='network')).hexdigest())"
    )
    digests = {
        digest
        for seed in ("0", "1")
        for digest in subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ
            | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(persist.__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    }
    assert len(digests) == 1


# Damage


def undetected_flips(data: bytes) -> list[int]:
    undetected = []
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            from_bytes(bytes(damaged))
        except FileFormatError:
            continue
        undetected.append(bit)
    return undetected


def test_every_flipped_bit_is_detected() -> None:
    assert undetected_flips(small_file()) == []


def test_planted_defect_a_reader_without_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever drops the comparison of digests lets bits through, and the law above sees it."""

    class AnyDigest(bytes):
        def __ne__(self, other: object) -> bool:
            return False

    data = small_file()
    monkeypatch.setattr(file_format, "_sha256", lambda pieces: AnyDigest())
    undetected = undetected_flips(data)
    assert set(range(8 * (len(data) - 4), 8 * len(data))) <= set(undetected)


def test_planted_defect_a_digest_of_the_data_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        file_format,
        "_sha256",
        lambda pieces: hashlib.sha256(pieces[-1]).hexdigest().encode(),
    )
    assert undetected_flips(small_file()) != []


def test_every_truncation_and_extension_is_detected(tmp_path: Path) -> None:
    data = small_file()
    path = tmp_path / "m.chainrule"
    for damaged in [data[:n] for n in range(len(data))] + [data + b"\0", data + data]:
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match=re.escape(repr(str(path)))):
            read_file(path)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(FileFormatError):
        from_bytes(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def reads_or_refuses(data: bytes) -> None:
    """Anything but FileFormatError fails the test."""
    try:
        arrays, structure = from_bytes(data)
    except FileFormatError:
        return
    assert to_bytes(arrays, structure, kind="network") == data


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.text(max_size=4),
        JSON
        | st.builds(
            entry,
            st.sampled_from(["F32", "BOOL", "U8", "F16", "f4"]) | JSON,
            st.lists(st.integers(-1, 3) | st.sampled_from([2**62, 2**63, 2**64]), max_size=3)
            | JSON,
            st.lists(st.integers(-1, 9), min_size=1, max_size=3) | JSON,
        ),
        max_size=3,
    ),
    st.binary(max_size=16),
)
def test_signed_headers_of_any_content_are_read_or_refused(
    entries: dict[str, Any], body: bytes
) -> None:
    try:
        data = signed(header(entries), body)
    except UnicodeEncodeError:  # a lone surrogate cannot be put into a file unescaped
        return
    reads_or_refuses(data)


@settings(max_examples=300)
@given(st.data())
def test_signed_files_with_overwritten_headers_are_read_or_refused(data: st.DataObject) -> None:
    text = bytearray(
        json.dumps(header({"w": entry("F32", [1], [0, 4])}), separators=(",", ":")).encode()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(180, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    text += b" " * (-len(text) % 8)
    reads_or_refuses(signed(bytes(text), bytes(4)))


def test_the_signer_signs_what_the_reader_takes() -> None:
    """So that the refusals below are for the reason they name, not for the digest."""
    arrays, structure = from_bytes(signed(header({"w": entry("F32", [1], [0, 4])}), bytes(4)))
    assert arrays["w"] == 0.0
    assert structure == {}


DEEP = '{"a":' * 101 + "1" + "}" * 101
WRONG = {
    "negative extent": (header({"w": entry("F32", [-1], [0, 4])}), 4, "no counts"),
    "huge extent": (header({"w": entry("F32", [2**63], [0, 4])}), 4, "no counts"),
    "overflowing shape": (header({"w": entry("F32", [2**32, 2**32], [0, 0])}), 0, "impossible"),
    "overflow beside a 0": (header({"w": entry("F32", [2**62, 0, 2], [0, 0])}), 0, "impossible"),
    "65 axes": (header({"w": entry("U8", [1] * 65, [0, 1])}), 1, "impossible"),
    "fractional extent": (header({"w": entry("F32", [1.0], [0, 4])}), 4, "no counts"),
    "boolean extent": (header({"w": entry("F32", [True], [0, 4])}), 4, "no counts"),
    "text extent": (header({"w": entry("F32", "1", [0, 4])}), 4, "no counts"),
    "three offsets": (header({"w": entry("F32", [1], [0, 4, 4])}), 4, "no counts"),
    "shape against offsets": (header({"w": entry("F32", [2], [0, 4])}), 4, "does not fit"),
    "reversed offsets": (header({"w": entry("F32", [1], [4, 0])}), 4, "does not fit"),
    "data missing": (header({"w": entry("F32", [1], [0, 4])}), 3, "do not cover"),
    "data left over": (header({"w": entry("F32", [1], [0, 4])}), 5, "do not cover"),
    "gap": (
        header({"a": entry("U8", [1], [0, 1]), "b": entry("U8", [1], [2, 3])}),
        3,
        "do not cover",
    ),
    "overlap": (
        header({"a": entry("U8", [2], [0, 2]), "b": entry("U8", [2], [1, 3])}),
        3,
        "do not cover",
    ),
    "unaligned": (
        header({"a": entry("U8", [1], [0, 1]), "b": entry("F64", [1], [1, 9])}),
        9,
        "not in order",
    ),
    "unknown dtype": (header({"w": entry("F16", [1], [0, 2])}), 2, "unknown dtype 'F16'"),
    "dtype of another type": (header({"w": entry(["F32"], [1], [0, 4])}), 4, "unknown dtype"),
    "entry without shape": (header({"w": {"dtype": "F32"}}), 0, "must have"),
    "entry that is a list": (header({"w": [1]}), 0, "must have"),
    "extra metadata": (header(extra="x"), 0, "metadata must be"),
    "structure that is a list": (header(structure="[]"), 0, "not a JSON object"),
    "structure that is no JSON": (header(structure="{"), 0, "not JSON"),
    "NaN in the structure": (header(structure='{"a":NaN}'), 0, "not JSON"),
    "infinity by overflow": (header(structure='{"a":1e999}'), 0, "not JSON"),
    "name twice": (header(structure='{"a":1,"a":1}'), 0, "canonical"),
    "spaces": (header(structure='{"a": 1}'), 0, "canonical"),
    "lone surrogate": (header(structure='{"a":"\\ud800"}'), 0, "canonical"),
    "deep structure": (header(structure=DEEP), 0, "more than 100 levels"),
    "very deep structure": (header(structure="[" * 200_000), 0, "more than 100 levels"),
    "huge integer": (header(structure='{"a":' + "9" * 5000 + "}"), 0, "not JSON"),
    "other version": (header(version="2"), 0, "format version 2, this chainrule reads 1"),
    "other format": (header(format="keras"), 0, "not a file that chainrule wrote"),
    "kind that is no word": (header(kind='../"'), 0, "not a file that chainrule wrote"),
}


@pytest.mark.parametrize(("content", "size", "message"), WRONG.values(), ids=list(WRONG))
def test_a_signed_file_with_wrong_content_is_refused(
    content: dict[str, Any], size: int, message: str
) -> None:
    with pytest.raises(FileFormatError, match=message):
        from_bytes(signed(content, bytes(size)))


RAW = json.dumps(header({"w": entry("U8", [1], [0, 1])}), separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RAW[:-1] + b',"w":' + json.dumps(entry("U8", [1], [0, 1])).encode() + b"}", "canonical"),
        (RAW.replace(b'"w"', b'"\xff"'), "not UTF-8"),
        (RAW.replace(b'"w"', b'"\\u0077"'), "canonical"),
        (RAW + b"\n" * (-len(RAW) % 8), "canonical"),
        (RAW + b" " * (-len(RAW) % 8 + 8), "not padded"),
        (RAW + b" " * (-len(RAW) % 8 + 1), "not padded"),
        (RAW[:-1] + b',"d":' + b"[" * 200 + b"]" * 200 + b"}", "more than 100 levels"),
    ],
    ids=["name twice", "not UTF-8", "escape", "newline", "padded", "unaligned", "deep"],
)
def test_a_signed_header_that_is_not_canonical_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        from_bytes(signed(text, b"\0"))


def test_booleans_other_than_0_and_1_are_refused() -> None:
    content = header({"w": entry("BOOL", [2], [0, 2])})
    assert from_bytes(signed(content, b"\0\1"))[0]["w"].tolist() == [False, True]
    with pytest.raises(FileFormatError, match="neither 0 nor 1"):
        from_bytes(signed(content, b"\0\2"))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was run",))


def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../evil", "x" * 50)
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"abc", "cut short"),
        (pickle.dumps(Bomb()), "a pickle, which could run code and is never loaded"),
        (zip_archive(), "a zip archive"),
        (npy(), "a NumPy array"),
        (struct.pack("<Q", 2**63) + bytes(100), "cut short"),
        (struct.pack("<Q", 2**64 - 1) + bytes(100), "cut short"),
        (struct.pack("<Q", 101) + bytes(100), "cut short"),
        (struct.pack("<Q", 0), "not a file that chainrule wrote"),
        (safetensors.numpy.save({"w": np.ones(2)}), "not a file that chainrule wrote"),
        ("Größe,Gewicht\n1,2\n".encode("latin-1"), "no chainrule file"),
    ],
    ids="empty short pickle zip npy 2**63 2**64-1 long-header no-header safetensors csv".split(),
)
def test_other_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "m.chainrule"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_file(path)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_are_checked_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(io.BytesIO):
        asked = 0

        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            self.asked = max(self.asked, size)
            return super().read(size)

    for length in (93, 2**40, 2**63):
        file = Counting(struct.pack("<Q", length) + bytes(92))
        with pytest.raises(FileFormatError):
            file_format._decode(file, 100, None, "it")
        assert file.asked == 8
    data = small_file()
    file = Counting(data)
    monkeypatch.setattr(file_format, "MAX_HEADER_BYTES", 40)
    with pytest.raises(FileFormatError):
        file_format._decode(file, len(data), None, "it")
    assert file.asked == 8


def sparse_files() -> dict[str, bytes]:
    """How files of a gigabyte begin that are none of ours."""
    return {
        "zeros": b"",
        "text": b"day,price\n",
        "a header of other bytes": struct.pack("<Q", 4096),
        "arrays, then more": small_file(),
        "no arrays, then more": to_bytes({}, {"a": [1]}, kind="network"),
        "a header that is cut": small_file()[:100],
    }


@pytest.mark.parametrize("name", sparse_files())
@pytest.mark.parametrize("read", [read_file, read_bytes])
def test_of_a_long_file_that_is_none_of_ours_little_is_read(
    name: str, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sparse(tmp_path / "m.chainrule", sparse_files()[name])
    asked: list[int] = []
    exactly = file_format._exactly
    monkeypatch.setattr(
        file_format, "_exactly", lambda file, size: asked.append(size) or exactly(file, size)
    )
    with pytest.raises(FileFormatError, match=re.escape(repr(str(path)))):
        read(path)
    assert 0 < sum(asked) <= 8 + 4096


def sparse(path: Path, start: bytes, size: int = 2**30) -> Path:
    """A file that is zeros but for its start, and takes no space."""
    with path.open("wb") as file:
        file.write(start)
        try:
            file.truncate(size)
        except OSError:
            pytest.skip(f"this file system takes no sparse file of {size} bytes")
    return path


def test_the_bytes_of_a_whole_file(tmp_path: Path) -> None:
    for data in (
        small_file(),
        to_bytes({}, {}, kind="network"),
        to_bytes({}, {"a": [1]}, kind="b"),
    ):
        (tmp_path / "m.chainrule").write_bytes(data)
        assert read_bytes(tmp_path / "m.chainrule") == data


def test_a_structure_that_ends_like_a_header_states_no_size() -> None:
    for text in ('"data_offsets":[0,9]}}', '"data_offsets":[0,9]'):
        for arrays in ({}, {text: np.ones(2)}):
            data = to_bytes(arrays, {text: text, "b": {"data_offsets": [0, 9]}}, kind="network")
            assert [*from_bytes(data)[0]] == [*arrays]


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = sparse(tmp_path / "sparse", b"", 2**36 + 1)
    with pytest.raises(FileFormatError, match="at most 68719476736 are read"):
        read_file(path)


def test_a_file_that_shrinks_while_it_is_read_is_refused() -> None:
    data = small_file()
    with pytest.raises(FileFormatError, match="became shorter"):
        file_format._decode(io.BytesIO(data[:-1]), len(data), None, "it")


def test_the_kind_must_be_the_one_asked_for() -> None:
    data = to_bytes({}, {}, kind="checkpoint")
    assert from_bytes(data, kind="checkpoint") == ({}, {})
    assert from_bytes(data) == ({}, {})
    with pytest.raises(FileFormatError, match=r"it holds a checkpoint, not a network \(fit\(check"):
        from_bytes(data, kind="network")
    with pytest.raises(FileFormatError, match="it holds a stone, not a network; nothing"):
        from_bytes(to_bytes({}, {}, kind="stone"), kind="network")


# What is not a regular file


def test_a_missing_file_is_reported_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"m\.chainrule"):
        read_file(tmp_path / "m.chainrule")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="a folder, not a regular file"):
        read_file(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match="a pipe, not a regular file"):
        read_file(tmp_path / "pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="no device files on this system")
def test_a_device_is_refused() -> None:
    with pytest.raises(FileFormatError, match="a device, not a regular file"):
        read_file("/dev/zero")


@pytest.mark.skipif(sys.platform == "win32", reason="no socket files on this system")
def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(FileFormatError, match="a socket, not a regular file"):
            read_file("s")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on this system")
def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    write_file(tmp_path / "a", ARRAYS, STRUCTURE, kind="network")
    (tmp_path / "link").symlink_to("a")
    assert_same(read_file(tmp_path / "link")[0], ARRAYS)


# What cannot be written


@pytest.mark.parametrize(
    "dtype", ["float16", "complex128", "object", "U3", "datetime64[s]", "i4,f4"]
)
def test_other_dtypes_are_not_written(dtype: str) -> None:
    with pytest.raises(DtypeError, match="array 'w' of dtype"):
        to_bytes({"w": np.zeros(2, dtype)}, {}, kind="network")


def nested(levels: int) -> dict[str, Any]:
    structure: dict[str, Any] = {}
    for _ in range(levels - 1):
        structure = {"a": structure}
    return structure


CIRCLE: dict[str, Any] = {}
CIRCLE["a"] = CIRCLE


@pytest.mark.parametrize(
    "structure",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": object()},
        {"a": "\ud800"},
        CIRCLE,
        nested(101),
        nested(100_000),
        [1],
    ],
    ids="nan infinity object surrogate circle deep very-deep list".split(),
)
def test_structures_that_could_not_be_read_are_not_written(
    tmp_path: Path, structure: dict[str, Any]
) -> None:
    path = tmp_path / "m.chainrule"
    path.write_bytes(b"old")
    with pytest.raises(ParameterError, match="cannot write this structure"):
        write_file(path, {}, structure, kind="network")
    assert path.read_bytes() == b"old"


def test_the_deepest_structure_is_written_and_read() -> None:
    assert from_bytes(to_bytes({}, nested(100), kind="network"))[1] == nested(100)


def test_headers_that_could_not_be_read_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_format, "MAX_HEADER_BYTES", 300)
    to_bytes({}, {}, kind="network")
    with pytest.raises(ParameterError, match="header is longer than 300 bytes"):
        to_bytes({}, {"a": "b" * 300}, kind="network")


@pytest.mark.parametrize("kind", ["", "Network", "a b", 'a"', "a" * 33, "0"])
def test_kinds_are_words(kind: str) -> None:
    with pytest.raises(ParameterError, match="a kind is a lower-case word"):
        to_bytes({}, {}, kind=kind)


@pytest.mark.parametrize("name", ["__metadata__", "\ud800"])
def test_names_that_could_not_be_read_are_not_written(name: str) -> None:
    with pytest.raises(ParameterError):
        to_bytes({name: np.ones(1)}, {}, kind="network")
