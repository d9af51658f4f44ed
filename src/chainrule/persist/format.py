"""The file format of chainrule: arrays and their structure in the safetensors layout.

A file is ``length | header | data``:

``length``
    8 bytes, little-endian: the number of bytes of the header.
``header``
    A JSON object in UTF-8, padded with spaces to a multiple of 8 bytes. Its first member is
    ``"__metadata__": {"format": "chainrule", "version": "1", "kind": ..., "sha256": ...,
    "structure": ...}``, where ``kind`` says what the file holds (``"network"``), ``sha256`` is
    64 lower-case hexadecimal digits, and ``structure`` is a JSON object written as a string.
    Every further member is an array, ``name: {"dtype": "F32", "shape": [2, 3], "data_offsets":
    [begin, end]}``, larger elements first, then by name.
``data``
    The arrays' elements, little-endian, in C order, in the order of the header, without gaps.

The digest is the SHA-256 (FIPS 180-4) of the whole file, length, header and data, with the 64
digits themselves replaced by zeros. Both JSON texts are in canonical form: what Python's ``json``
writes with separators ``,`` and ``:``, without escapes for characters outside ASCII and without
NaN or infinities; anything that does not come out of the reader's own writer byte for byte is
refused. So equal content in equal order has equal bytes, and a name cannot occur twice.

Names are data: they are never used as paths. Reading runs no code and takes no other format.

The safetensors package reads these files, but does not write them here: it puts the metadata in
an order that changes from run to run. Nor does it check a digest, so that the reader has
checked everything that the package would by the time it could be called.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from chainrule.errors import DtypeError, FileFormatError, ParameterError
from chainrule.persist.atomic import atomic_write
from chainrule.persist.regular import open_regular

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
Structure: TypeAlias = dict[str, Any]

MAX_FILE_BYTES = 2**36
MAX_HEADER_BYTES = 2**26
MAX_NESTING = 100
MAX_DIMENSIONS = 64  # NumPy's own

FORMAT, VERSION = "chainrule", "1"
_METADATA = "__metadata__"
_FIELDS = ("format", "version", "kind", "sha256", "structure")
_ENTRY = ("dtype", "shape", "data_offsets")
_LENGTH_BYTES = 8
_HEADER_UNIT = 8  # keeps the data, and so every array in it, aligned to its elements
_NO_DIGEST = b"0" * 64

_DTYPES = {
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
    "F32": "<f4",
    "I32": "<i4",
    "U32": "<u4",
    "I16": "<i2",
    "U16": "<u2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
_DTYPE_NAMES = {code: name for name, code in _DTYPES.items()}

# A kind cannot hold 64 zeros or a quotation mark, so that the first digest is the digest.
_KIND = "[a-z][a-z0-9_-]{0,31}"
_START = re.compile(
    rb'\{"__metadata__":\{"format":"chainrule","version":"(?P<version>[0-9]{1,9})",'
    rb'"kind":"(?P<kind>%s)","sha256":"(?P<sha256>[0-9a-f]{64})","structure":"' % _KIND.encode()
)

# No text can end so: in it, quotation marks are escaped, and one more ends it.
_LAST_END = re.compile(rb'"data_offsets":\[[0-9]{1,19},(?P<end>[0-9]{1,19})\]\}\} {0,7}\Z')

# Who reads the files of a kind.
_READERS = {
    "network": "chainrule.load",
    "table": "TableRegressor.load or TableClassifier.load",
    "checkpoint": "fit(checkpoints=FOLDER, resume=True)",
}

# What a file that is not ours may turn out to be, by its first bytes.
_FOREIGN = (
    (b"\x80", "a pickle, which could run code and is never loaded"),
    (b"PK", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
)


class _Entry(NamedTuple):
    """One array of the header: where its elements lie in the data."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def write_file(
    path: str | os.PathLike[str],
    arrays: Mapping[str, npt.NDArray[Any]],
    structure: Structure,
    *,
    kind: str,
) -> None:
    """Write ``arrays`` and ``structure`` to ``path``, all or nothing.

    Parameters
    ----------
    path : str or os.PathLike
        The file; see :func:`chainrule.persist.atomic_write` for what happens to an old one.
    arrays : mapping of str to array
        Any shapes; dtypes float32, float64, bool, and integers of 8 to 64 bits. Neither names
        nor elements may change while this runs.
    structure : dict
        What ``json`` can write, with finite numbers; tuples come back as lists.
    kind : str
        What the file holds: a lower-case word of at most 32 letters, digits, ``-`` and ``_``.

    Raises
    ------
    DtypeError
        If an array has another dtype.
    ParameterError
        If ``structure`` or a name is not JSON, or is too deep or too large, or ``kind`` is no word.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "m.chainrule")
    ...     write_file(path, {"W": np.eye(2)}, {"layers": ["Linear"]}, kind="network")
    ...     read_file(path, kind="network")
    ({'W': array([[1., 0.], [0., 1.]])}, {'layers': ['Linear']})
    """
    pieces = _encode(arrays, structure, kind)
    atomic_write(path, lambda file: file.writelines(pieces))


def read_file(path: str | os.PathLike[str], *, kind: str | None = None) -> tuple[Arrays, Structure]:
    """Arrays and structure of the file at ``path``, or an error and nothing of it.

    Parameters
    ----------
    path : str or os.PathLike
        A regular file, or a link to one.
    kind : str, optional
        What the file must hold; anything if None.

    Returns
    -------
    arrays : dict of str to array
        In the order of the file, read-only and aligned: they share the memory of its bytes.
    structure : dict
        What was given to :func:`write_file`.

    Raises
    ------
    FileFormatError
        If the file is damaged in any bit, hostile, of another kind or another format. The memory
        used is bounded by the length of the file, whatever sizes it declares.
    OSError
        If there is no such file (FileNotFoundError) or it may not be read (PermissionError).
    """
    with open_regular(path) as file:
        return _decode(file, _size(file), kind, repr(str(path)))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of the file at ``path``, for :func:`from_bytes`, which finds out if it is whole.

    Raises
    ------
    FileFormatError
        If it does not begin as a file of chainrule's, or is not as long as it says there: then no
        more of it is read.
    OSError
        As :func:`read_file`.
    """
    with open_regular(path) as file, _naming(repr(str(path))):
        size = _size(file)
        _started(file, size)
        file.seek(0)
        return _exactly(file, size)


def kind_of_bytes(data: bytes, source: str = "these bytes") -> str:
    """What a file says that it holds, such as ``"network"``; only reading finds out if it is whole.

    Parameters
    ----------
    data : bytes
        Of the file.
    source : str
        What messages call it.

    Raises
    ------
    FileFormatError
        If it is no file of chainrule's, or of another version.
    """
    with _naming(source):
        return _started(io.BytesIO(data), len(data))[2]["kind"].decode()


def to_bytes(arrays: Mapping[str, npt.NDArray[Any]], structure: Structure, *, kind: str) -> bytes:
    """Bytes of the file that :func:`write_file` would write.

    Examples
    --------
    >>> data = to_bytes({"b": np.zeros(3, "float32")}, {"layers": 1}, kind="network")
    >>> from_bytes(data, kind="network")
    ({'b': array([0., 0., 0.], dtype=float32)}, {'layers': 1})
    """
    return b"".join(_encode(arrays, structure, kind))


def from_bytes(
    data: bytes, *, kind: str | None = None, source: str = "these bytes"
) -> tuple[Arrays, Structure]:
    """Arrays and structure in ``data``, the bytes of a file; see :func:`read_file`.

    Messages call them ``source``.
    """
    return _decode(io.BytesIO(data), len(data), kind, source)


def _encode(
    arrays: Mapping[str, npt.NDArray[Any]], structure: Structure, kind: str
) -> list[bytes | memoryview]:
    """The pieces of a file, in order."""
    if re.fullmatch(_KIND, kind) is None:
        raise ParameterError(f"cannot write a file of kind {kind!r}: a kind is a lower-case word")
    stored = {name: _as_stored(name, array) for name, array in arrays.items()}
    order = sorted(stored, key=lambda name: _position(name, stored[name].dtype))
    body = [stored[name].reshape(-1).view(np.uint8).data for name in order]
    header = _header({name: stored[name] for name in order}, structure, kind)
    length = len(header).to_bytes(_LENGTH_BYTES, "little")
    digest = _sha256([length, header, *body])
    return [length, header.replace(_NO_DIGEST, digest, 1), *body]


def _as_stored(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``array`` as the file holds it: little-endian, in C order."""
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in _DTYPE_NAMES:
        raise DtypeError(
            f"cannot write array {name!r} of dtype {array.dtype}: a file holds "
            "float32, float64, bool, and integers of 8 to 64 bits"
        )
    return np.asarray(array, dtype=dtype, order="C")


def _position(name: str, dtype: np.dtype[Any]) -> tuple[int, str]:
    """Sort key of an array in its file: falling element sizes keep every array aligned."""
    return -dtype.itemsize, name


def _header(arrays: Arrays, structure: Structure, kind: str) -> bytes:
    """The header, padded, with zeros for the digest; it is one that the reader takes."""
    try:
        text = _canonical(structure)
        values = (FORMAT, VERSION, kind, _NO_DIGEST.decode(), text)
        entries = _entries(arrays)
        header = _padded(_canonical({_METADATA: dict(zip(_FIELDS, values, strict=True))} | entries))
        _parse(header, sum(array.nbytes for array in arrays.values()))
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError(f"cannot write this structure to a file: {error}") from error
    return header


def _entries(arrays: Arrays) -> dict[str, Any]:
    if _METADATA in arrays:
        raise ParameterError(f"{_METADATA!r} is not a name for an array")
    entries = {}
    begin = 0
    for name, array in arrays.items():
        end = begin + array.nbytes
        values = (_DTYPE_NAMES[array.dtype.str], array.shape, (begin, end))
        entries[name] = dict(zip(_ENTRY, values, strict=True))
        begin = end
    return entries


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _padded(text: str) -> bytes:
    header = text.encode()
    return header + b" " * (-len(header) % _HEADER_UNIT)


def _sha256(pieces: Iterable[bytes | memoryview]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest().encode()


# Reading. The functions below say what is wrong; `_decode` adds with which file.


def _decode(file: BinaryIO, size: int, kind: str | None, source: str) -> tuple[Arrays, Structure]:
    with _naming(source):
        return _checked(file, size, kind)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """Errors say which file it is."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(f"cannot read {source}: {error}; nothing of it was used") from None


def _checked(file: BinaryIO, size: int, kind: str | None) -> tuple[Arrays, Structure]:
    length, header, start = _started(file, size)
    body = _exactly(file, size - _LENGTH_BYTES - len(header))
    unsigned = header.replace(start["sha256"], _NO_DIGEST, 1)
    if _sha256([length, unsigned, body]) != start["sha256"]:
        raise FileFormatError("it is damaged: its content does not have the SHA-256 it states")
    if kind is not None and start["kind"].decode() != kind:
        found = start["kind"].decode()
        reader = f" ({_READERS[found]} reads it)" if found in _READERS else ""
        raise FileFormatError(f"it holds a {found}, not a {kind}{reader}")
    entries, structure = _parse(header, len(body))
    return {entry.name: _array(entry, body) for entry in entries}, structure


def _started(file: BinaryIO, size: int) -> tuple[bytes, bytes, re.Match[bytes]]:
    """The first two parts of the file, and what the second begins with."""
    length, header = _length_and_header(file, size)
    start = _START.match(header)
    if start is None:
        raise FileFormatError("it is not a file that chainrule wrote")
    if start["version"].decode() != VERSION:
        raise FileFormatError(
            f"it has format version {start['version'].decode()}, this chainrule reads {VERSION}"
        )
    there = size - _LENGTH_BYTES - len(header)
    if _stated_bytes(header) != there:
        _parse(header, there)  # says what is wrong, before so much is read
    return length, header, start


def _stated_bytes(header: bytes) -> int:
    """Where the last array ends, as far as an unchecked header says."""
    found = _LAST_END.search(header)
    return 0 if found is None else int(found["end"])


def _length_and_header(file: BinaryIO, size: int) -> tuple[bytes, bytes]:
    """The first two parts of the file, sizes checked before anything is read."""
    if size == 0:
        raise FileFormatError("it is empty")
    if size > MAX_FILE_BYTES:
        raise FileFormatError(f"it has {size} bytes, at most {MAX_FILE_BYTES} are read")
    first = _exactly(file, min(size, _LENGTH_BYTES))
    length = int.from_bytes(first, "little")
    if len(first) < _LENGTH_BYTES or length > min(size - _LENGTH_BYTES, MAX_HEADER_BYTES):
        raise FileFormatError(_what_it_seems(first))
    return first, _exactly(file, length)


def _what_it_seems(first: bytes) -> str:
    for magic, seems in _FOREIGN:
        if first.startswith(magic):
            return f"it is no chainrule file, it starts like {seems}"
    return "it was cut short, or it is no chainrule file"


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise FileFormatError("it became shorter while it was read")
    return data


def _parse(header: bytes, size: int) -> tuple[list[_Entry], Structure]:
    """Entries and structure in a header that goes with ``size`` bytes of data."""
    if len(header) > MAX_HEADER_BYTES:
        raise FileFormatError(f"its header is longer than {MAX_HEADER_BYTES} bytes")
    try:
        text = header.decode()
    except UnicodeDecodeError:
        raise FileFormatError("its header is not UTF-8") from None
    members = _strict_json("header", text.rstrip(" "))
    if _padded(text.rstrip(" ")) != header:
        raise FileFormatError(f"its header is not padded to a multiple of {_HEADER_UNIT} bytes")
    metadata = members.pop(_METADATA)
    if tuple(metadata) != _FIELDS:
        raise FileFormatError(f"its metadata must be {', '.join(_FIELDS)}")
    return _layout(members, size), _strict_json("structure", metadata["structure"])


def _strict_json(what: str, text: str) -> dict[str, Any]:
    """The object that ``text`` writes in canonical form."""
    try:
        _limit_nesting(text)
        value = json.loads(text)
        canonical = _canonical(value) == text
    except ValueError as error:
        raise FileFormatError(f"its {what} is not JSON ({error})") from None
    if not canonical or not isinstance(value, dict):
        raise FileFormatError(f"its {what} is not a JSON object in canonical form")
    return value


_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]')
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def _limit_nesting(text: str) -> None:
    """Refuse deep JSON before the parser, which recurses, sees it."""
    steps = (_STEPS.get(token.group(), 0) for token in _BRACKETS.finditer(text))
    if max(accumulate(steps), default=0) > MAX_NESTING:
        raise ValueError(f"more than {MAX_NESTING} levels deep")


def _layout(members: dict[str, Any], size: int) -> list[_Entry]:
    """The arrays of a header, which must cover ``size`` bytes in order, each byte once."""
    entries = [_entry(name, member) for name, member in members.items()]
    ends = [0, *(entry.end for entry in entries)]
    if [entry.begin for entry in entries] != ends[:-1] or ends[-1] != size:
        raise FileFormatError("its arrays do not cover its data exactly")
    keys = [_position(entry.name, entry.dtype) for entry in entries]
    if keys != sorted(keys):
        raise FileFormatError("its arrays are not in order")
    return entries


def _entry(name: str, member: object) -> _Entry:
    if not isinstance(member, dict) or tuple(member) != _ENTRY:
        raise FileFormatError(f"its array {name!r} must have {', '.join(_ENTRY)}")
    code, shape, offsets = member.values()
    if not isinstance(code, str) or code not in _DTYPES:
        raise FileFormatError(f"its array {name!r} has unknown dtype {code!r}")
    dtype = np.dtype(_DTYPES[code])
    if not _is_counts(shape) or not _is_counts(offsets) or len(offsets) != 2:
        raise FileFormatError(f"its array {name!r} has a shape or offsets that are no counts")
    if len(shape) > MAX_DIMENSIONS or _extent_bytes(shape, dtype) >= 2**63:
        raise FileFormatError(f"its array {name!r} has an impossible shape")
    if math.prod(shape) * dtype.itemsize != offsets[1] - offsets[0]:
        raise FileFormatError(f"its array {name!r} has a shape that does not fit its offsets")
    return _Entry(name, dtype, tuple(shape), *offsets)


def _is_counts(value: object) -> bool:
    # `type`, not `isinstance`: true and false are ints to Python, but not in a file.
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _extent_bytes(shape: list[int], dtype: np.dtype[Any]) -> int:
    """What NumPy must be able to count, also where another extent is 0."""
    return math.prod(max(extent, 1) for extent in shape) * dtype.itemsize


def _array(entry: _Entry, body: bytes) -> npt.NDArray[Any]:
    if entry.dtype == np.bool_:
        _check_booleans(entry, body)
    return np.ndarray(entry.shape, entry.dtype, buffer=body, offset=entry.begin)


def _check_booleans(entry: _Entry, body: bytes) -> None:
    """A boolean that is neither 0 nor 1 is undefined behaviour for whoever computes with it."""
    stored = np.frombuffer(body, np.uint8)[entry.begin : entry.end]
    if stored.max(initial=0) > 1:
        raise FileFormatError(f"its array {entry.name!r} holds booleans that are neither 0 nor 1")
