"""Our PNG bytes, read by somebody else's decoder."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chainrule.errors import ShapeError
from chainrule.explain.raster import data_uri, png

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4]))


@given(arrays(np.uint8, SHAPES))
def test_a_decoder_reads_back_every_pixel(pixels: np.ndarray) -> None:
    images = pytest.importorskip("PIL.Image", reason="decodes the picture")
    with images.open(io.BytesIO(png(pixels))) as image:
        image.load()
        assert np.array_equal(np.asarray(image), pixels)


def test_views_of_any_layout_are_written_as_they_look() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert png(pixels[::-1, ::2]) == png(np.ascontiguousarray(pixels[::-1, ::2]))


def test_the_address_holds_the_file() -> None:
    pixels = np.full((2, 2, 3), 7, np.uint8)
    kind, _, body = data_uri(pixels).partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(body) == png(pixels)


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 1), (0, 2, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"height, width, 3 or 4"):
        png(np.zeros(shape, np.uint8))
