"""AVIF files that say one thing and hold another; those of many bits; and how they are turned."""

import base64
import struct

import numpy as np
import pytest
from PIL import Image

from service.config import Limits
from service.decoding.avif import coded
from service.decoding.decode import decode
from service.errors import DecodeError, ImageTooCostly, ImageTooLarge
from tests.support.avif_files import GRID, widened
from tests.support.images import encoded, noise, oriented

# 24 x 16 pixels of 10 bits and every colour, red and orange halves; of libavif's encoder.
TEN_BITS = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA"
    "AAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAPAAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEA"
    "AGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAGAAAABAAAAAQcGl4aQAAAAADCgoKAAAADGF2MUOBIEAA"
    "AAAAE2NvbHJuY2x4AAIAAgAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAARG1kYXQSAAoIOBDv7WBAQNIyLkSAkNKgIIILyAAQ"
    "8AOqfHEp2A4kYzr6PozWpjzctorivEJCWaTkHpvYfCk/OnU="
)


def avif(width: int, height: int, **options: object) -> bytes:
    return encoded(Image.new("RGB", (width, height), (200, 100, 50)), "AVIF", speed=10, **options)


def declaring(data: bytes, width: int, height: int) -> bytes:
    """The same coded picture in a container that says it has another size."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


@pytest.mark.parametrize("options", [{}, {"save_all": True, "append_images": [Image.new("RGB", (3000, 3000))]}])
def test_a_small_container_of_a_huge_picture_is_refused_before_it_is_decoded(options):
    bomb = declaring(avif(3000, 3000, **options), 16, 16)
    bomb = bomb.replace(struct.pack(">II", 3000 << 16, 3000 << 16), struct.pack(">II", 16 << 16, 16 << 16))
    assert len(bomb) < 5000
    with pytest.raises(ImageTooCostly, match="coded pictures"):
        decode(bomb, Limits())


@pytest.mark.parametrize("side", [12_000, 40_000, 2**32 - 1])
def test_a_huge_container_of_a_small_picture_is_refused(side):
    with pytest.raises(DecodeError):
        decode(declaring(avif(16, 16), side, side), Limits())


def test_declared_pixels_are_held_against_the_limit():
    with pytest.raises(ImageTooLarge):
        decode(avif(200, 100), Limits(pixels=19_999))


@pytest.mark.parametrize("kind", [b"grid", b"iovl", b"iden", b"tmap", b"hvc1", b"mime"])
def test_an_item_that_is_another_than_it_says_is_refused(kind):
    with pytest.raises(DecodeError):
        decode(avif(64, 64).replace(b"av01", kind), Limits())


def test_a_file_is_held_against_all_that_it_codes():
    """A bound of the pictures' own sizes, and alpha counts."""
    assert coded(avif(320, 200)).pixels == 320 * 200
    assert coded(encoded(Image.new("RGBA", (320, 200), (1, 2, 3, 4)), "AVIF")).pixels == 2 * 320 * 200
    frames = coded(avif(320, 200, save_all=True, append_images=[noise(64).resize((320, 200))]))
    assert 320 * 200 <= frames.pixels <= 8 * 320 * 200
    assert coded(avif(320, 200, subsampling="4:4:4")).bytes == 2 * coded(avif(320, 200)).bytes


def test_a_picture_in_cells_is_read():
    assert coded(GRID).pixels == 192 * 128
    image = decode(GRID, Limits())
    assert image.size == (192, 128)
    assert image.getpixel((190, 5))[0] - image.getpixel((2, 5))[0] > 200
    assert image.getpixel((5, 120))[1] - image.getpixel((5, 5))[1] > 200


EVERYWHERE = (b"meta", b"mdat", b"iloc", b"iinf", b"iref", b"iprp")


@pytest.mark.parametrize(
    "form",
    [
        {"offset": 8, "length": 8},
        {"base": 8, "offset": 0},
        {"version": 1, "index": 4},
        {"version": 2, "index": 8, "offset": 8, "length": 8, "base": 8},
        {"version": 2, "large": EVERYWHERE},
    ],
    ids=str,
)
def test_wide_numbers_in_the_boxes_are_read(form):
    for data in (GRID, avif(64, 48)):
        other = widened(data, **form)
        assert other != data
        assert coded(other) == coded(data)
        assert decode(other, Limits()).tobytes() == decode(data, Limits()).tobytes()


TEXT = b"\n<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"


def test_words_that_look_like_a_picture_are_none():
    """A line feed is the head of a sequence header."""
    data = avif(64, 48, xmp=TEXT)
    assert coded(data) == coded(avif(64, 48))
    assert decode(data, Limits()).size == (64, 48)


def test_a_picture_that_is_said_to_be_words_as_well_counts():
    words = struct.pack(">I4sIHH4s", 21, b"infe", 2 << 24, 1, 0, b"mime") + b"\0"
    bomb = widened(declaring(avif(3000, 3000), 16, 16), described=words)
    with pytest.raises(DecodeError):
        decode(bomb, Limits())
    assert coded(bomb) == coded(avif(3000, 3000))


@pytest.mark.parametrize("cut", [8, 40, 120, 200, 270])
def test_boxes_that_end_too_early_are_a_damaged_image(cut):
    with pytest.raises(DecodeError):
        coded(avif(64, 64)[:cut])


def test_a_file_of_empty_boxes_is_given_up():
    with pytest.raises(DecodeError, match="boxes"):
        coded(struct.pack(">I4s", 8, b"free") * 20_000)


def test_ten_bits_a_channel_are_read():
    image = decode(TEN_BITS, Limits())
    assert image.size == (24, 16)
    assert np.abs(np.subtract(image.getpixel((2, 2)), (255, 0, 0))).max() <= 2
    assert np.abs(np.subtract(image.getpixel((20, 2)), (255, 128, 0))).max() <= 2


@pytest.mark.parametrize("said", [1, 6])
def test_what_the_container_turns_is_not_turned_again_by_exif(said):
    """The container's turn (`irot`, `imir`) counts, as the standard says, and EXIF data beside it do not."""
    exif = oriented(6)
    exif[0x0213] = said  # any tag of one short number, which then becomes a second orientation
    stored = encoded(Image.new("RGB", (20, 10)), "AVIF", exif=exif)
    assert b"irot" in stored and stored.count(b"\x02\x13\x00\x03") == 1
    assert decode(stored.replace(b"\x02\x13\x00\x03", b"\x01\x12\x00\x03"), Limits()).size == (10, 20)


def test_a_turn_in_exif_alone_is_none():
    exif = Image.Exif()
    exif[0x0213] = 6
    stored = encoded(Image.new("RGB", (20, 10)), "AVIF", exif=exif)
    assert decode(stored.replace(b"\x02\x13\x00\x03", b"\x01\x12\x00\x03"), Limits()).size == (20, 10)


def test_alpha_lies_on_white():
    clear = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "AVIF")
    assert decode(clear, Limits()).getpixel((4, 4)) == (255, 255, 255)
