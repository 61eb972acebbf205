"""The heads of JPEGs: what they declare, and how many scans a decoder walks through."""

import io

import pytest
from PIL import Image

from service.decoding.jpeg import Frame, frame, scans
from tests.support.images import encoded, noise, oriented

SCAN = b"\xff\xda"


def with_thumbnail(**options: object) -> bytes:
    """A photograph as phones and cameras write it: a small JPEG lies in its head."""
    data, small = encoded(noise(40), "JPEG", **options), encoded(noise(8), "JPEG")
    return data[:2] + b"\xff\xe1" + (len(small) + 2).to_bytes(2) + small + data[2:]


@pytest.mark.parametrize(
    ("mode", "options", "wanted"),
    [
        ("RGB", {}, Frame(True, 30, 20, 3)),
        ("RGB", {"exif": oriented(6), "restart_marker_blocks": 1}, Frame(True, 30, 20, 3)),
        ("L", {}, Frame(True, 30, 20, 1)),
        ("CMYK", {}, Frame(True, 30, 20, 4)),
        ("RGB", {"progressive": True}, Frame(False, 30, 20, 3)),
    ],
)
def test_a_head_says_the_size_the_kind_and_the_channels(mode, options, wanted):
    data = encoded(Image.new(mode, (30, 20)), "JPEG", **options)
    assert frame(data) == wanted
    if wanted.baseline:
        assert scans(data) == 1
    else:
        assert scans(data) == data.count(SCAN) > 1


def test_a_thumbnail_is_no_scan_of_a_plain_photograph():
    data = with_thumbnail()
    assert data.count(SCAN) == 2 and scans(data) == 1
    assert frame(data) == Frame(True, 40, 40, 3)
    Image.open(io.BytesIO(data)).load()


def test_a_thumbnail_counts_where_all_marks_do():
    data = with_thumbnail(progressive=True)
    assert scans(data) == data.count(SCAN)


def test_a_first_scan_of_one_channel_is_not_the_only_one():
    data = bytearray(encoded(noise(40), "JPEG"))
    place = data.index(SCAN)
    data[place + 4] = 1
    data += SCAN * 5
    assert scans(bytes(data)) == 6


def test_a_second_frame_or_what_is_no_marker_before_the_scan_has_all_marks_counted():
    data = encoded(noise(40), "JPEG")
    start = data.index(b"\xff\xc0")
    length = 2 + int.from_bytes(data[start + 2 : start + 4])
    twice = data[:start] + data[start : start + length] * 2 + data[start + length :] + SCAN
    astray = data[:start] + b"\0" + data[start:] + SCAN
    assert scans(twice) == scans(astray) == 2
    assert frame(astray) is None


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff" + b"\xff" * 100, encoded(noise(), "JPEG")[:30]])
def test_what_is_cut_short_declares_nothing(data):
    assert frame(data) is None
    assert scans(data) == data.count(SCAN)
