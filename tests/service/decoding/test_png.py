"""A plain PNG is decoded without Pillow's parser, with Pillow's pixels; everything else is left to Pillow."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from service.config import Limits
from service.decoding.decode import read
from service.decoding.png import plain
from service.errors import DecodeError
from tests.support.images import encoded, noise

MOST = 10_000


def by_pillow(data: bytes) -> Image.Image | None:
    """The decoded image as Pillow's own reader gives it; None where it finds it damaged."""
    try:
        return read(data, Limits(), lambda upright: upright.whole(), 2**30, None)
    except DecodeError:
        return None


def same(one: Image.Image, data: bytes) -> bool:
    """True if both are the same image, as it is stored."""
    with Image.open(io.BytesIO(data)) as other:
        return (one.mode, one.size, one.tobytes()) == (other.mode, other.size, other.tobytes())


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (32, 32), (1, 40)])
def test_plain_files_of_every_kind_have_the_pixels_that_pillow_reads(mode, size):
    shape = (*size[::-1], len(mode))
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.frombytes(mode, size, pixels.tobytes())
    for level in (0, 6, 9):
        data = encoded(image, compress_level=level)
        assert same(plain(data, MOST), data)


def with_text(image: Image.Image) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("who", "me")
    return encoded(image, pnginfo=text)


@pytest.mark.parametrize(
    "data",
    [
        encoded(noise().convert("P")),
        encoded(noise().convert("1")),
        encoded(Image.new("I;16", (4, 4))),
        encoded(noise(), transparency=(1, 2, 3)),
        encoded(noise(), dpi=(72, 72)),
        with_text(noise()),
        encoded(noise(101)),
        encoded(noise(), "JPEG"),
        encoded(noise()) + b"more",
        encoded(noise())[:-1],
        encoded(noise())[:40],
        b"",
    ],
)
def test_what_is_not_plain_or_too_large_is_left_to_pillow(data):
    assert plain(data, MOST) is None


def test_an_interlaced_file_is_left_to_pillow():
    data = bytearray(encoded(noise(4)))
    data[28] = 1
    assert plain(bytes(data), MOST) is None


def test_a_damaged_file_is_left_to_pillow_or_has_the_pixels_that_pillow_reads():
    whole, left = encoded(noise(4)), 0
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 0x11
        found, wanted = plain(bytes(data), MOST), by_pillow(bytes(data))
        left += found is None
        assert found is None or (wanted is not None and found.tobytes() == wanted.tobytes()), place
    assert left > len(whole) // 2
