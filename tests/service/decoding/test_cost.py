"""Files of a few bytes that would keep a decoder busy for minutes, or fill the memory."""

import contextlib
import struct
import tracemalloc
import zlib
from dataclasses import replace

import pytest
from PIL import Image

from service.config import Limits
from service.decoding.decode import decode
from service.errors import DecodeError, ImageTooCostly
from tests.support.images import encoded, noise

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
LIMITS = Limits(pixels=1_000_000)
HASTY = replace(LIMITS, decode_seconds=0.02)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(extra: bytes) -> bytes:
    data = encoded(noise(4))
    return data[:33] + extra + data[33:]  # after the signature and IHDR


def jpeg_with(extra: bytes) -> bytes:
    data = encoded(noise(8), "JPEG")
    start = data.index(b"\xff\xdb")  # without JFIF, so that Pillow looks for the resolution in EXIF
    return data[:2] + extra + data[start:]


def scans(count: int, side: int) -> bytes:
    data = encoded(Image.new("L", (side, side)), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + data[-2:]


def directory(entries: list[tuple[int, int, int, int]]) -> bytes:
    """A little-endian TIFF header with one directory."""
    rows = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + rows + bytes(4)


def tiled(tile: int, side: int = 8) -> bytes:
    """A TIFF whose one tile, of zeros, is larger than its image."""
    packed = zlib.compress(bytes(tile * tile), 9)
    shorts = [(256, side), (257, side), (258, 8), (259, 8), (262, 1), (277, 1)]
    after = len(directory([(0, 0, 0, 0)] * 10))
    longs = [(322, tile), (323, tile), (324, after), (325, len(packed))]
    return (
        directory([(tag, 3, 1, value) for tag, value in shorts] + [(tag, 4, 1, value) for tag, value in longs]) + packed
    )


def overlapping(size: int) -> bytes:
    """EXIF data whose thousand entries each claim nearly all of it."""
    block = directory([(1000 + number, 7, size - 100, 0) for number in range(1000)])
    return block + bytes(size - len(block))


def run_lengths(side: int) -> bytes:
    """A BMP in runs of a single pixel, which Pillow unpacks in Python."""
    body = (b"\x01\x00" * side + b"\x00\x00") * side + b"\x00\x01"
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(body), 0, 0, 1078) + header + bytes(1024) + body


def test_a_flood_of_chunks_is_given_up_in_time():
    with pytest.raises(ImageTooCostly, match=r"0\.02 s"):
        decode(png_with(chunk(b"tEXt", b"a\0") * 50_000), HASTY)


def test_pixels_that_are_unpacked_in_python_are_given_up_in_time():
    with pytest.raises(ImageTooCostly, match=r"0\.02 s"):
        decode(run_lengths(500), HASTY)


def test_a_jpeg_of_many_scans_is_refused_before_any_is_walked():
    with pytest.raises(ImageTooCostly, match="not progressive"):
        decode(scans(60, 700), LIMITS)


def test_an_ordinary_progressive_jpeg_and_a_small_one_of_many_scans_are_taken():
    largest = encoded(noise(1000), "JPEG", progressive=True)
    assert decode(largest, LIMITS).size == (1000, 1000)
    assert decode(scans(60, 100), LIMITS).size == (100, 100)


def test_a_tile_larger_than_its_image_is_refused_and_a_usual_one_is_taken():
    with pytest.raises(ImageTooCostly, match="tiles"):
        decode(tiled(4000), LIMITS)
    assert decode(tiled(256), LIMITS).size == (8, 8)


def test_exif_entries_that_claim_the_same_bytes_do_not_multiply_them():
    block, size = overlapping(1_000_000), 60_000
    segments = [b"Exif\0\0" + block[start : start + size] for start in range(0, len(block), size)]
    app1 = b"".join(b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment for segment in segments)
    for data in (jpeg_with(app1), png_with(chunk(b"eXIf", block)), block):
        tracemalloc.start()
        with contextlib.suppress(DecodeError):  # refused is as good: it must not cost
            decode(data, LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 * len(block)
