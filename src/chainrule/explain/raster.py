"""A field of colours as a PNG, written with nothing but zlib (PNG 2nd edition, ISO 15948)."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ShapeError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {3: 2, 4: 6}  # channels to PNG's code: RGB, RGBA
UNFILTERED = 0


def png(pixels: NDArray[np.uint8]) -> bytes:
    r"""The bytes of a PNG file.

    Parameters
    ----------
    pixels : (height, width, 3 or 4) uint8
        Red, green, blue and, with four channels, opacity; the first row is the top one.

    Raises
    ------
    ShapeError
        Not three axes, no pixel, or another number of channels.

    Examples
    --------
    >>> png(np.zeros((2, 3, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    if pixels.ndim != 3 or pixels.shape[2] not in COLOUR_TYPES or not pixels.size:
        raise ShapeError(f"an image has the shape (height, width, 3 or 4), not {pixels.shape}")
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    rows = pixels.astype(np.uint8, copy=False).reshape(height, width * channels)
    filtered = np.pad(rows, ((0, 0), (1, 0)), constant_values=UNFILTERED)
    body = zlib.compress(filtered.tobytes(), 9)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """The picture inside its own address, so that nothing is fetched."""
    return "data:image/png;base64," + b64encode(png(pixels)).decode("ascii")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
