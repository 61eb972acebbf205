import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.config import Limits
from service.decoding.decode import FORMATS, decode
from service.errors import DecodeError, ImageFormatError, ImageTooLarge
from tests.support.images import encoded, noise, plain

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL"
)  # as in the served process: Pillow remarks on metadata
LIMITS = Limits(pixels=1_000_000)
KINDS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")


def pixel(data: bytes, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    return decode(data, LIMITS).getpixel(at)


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and has almost no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_on_the_list_is_decoded(kind):
    image = decode(encoded(Image.new("RGB", (20, 10), (10, 200, 30)), kind), LIMITS)
    assert (image.mode, image.size) == ("RGB", (20, 10))
    assert np.abs(np.asarray(image).astype(int) - (10, 200, 30)).max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_rgb_keeps_every_pixel(kind):
    assert np.array_equal(decode(encoded(noise(), kind), LIMITS), noise())


@pytest.mark.parametrize(
    ("mode", "colour", "wanted"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
    ],
)
def test_grey_and_alpha_become_rgb_on_white(mode, colour, wanted):
    assert pixel(encoded(Image.new(mode, (4, 4), colour))) == wanted


def test_a_palette_is_resolved_and_its_transparent_entry_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    data = encoded(image, transparency=1)
    assert (pixel(data), pixel(data, (1, 0))) == ((255, 0, 0), (255, 255, 255))


def test_a_palette_with_several_alphas_is_laid_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 0])
    image.putpixel((1, 0), 1)
    data = encoded(image, transparency=bytes([255, 0]))
    assert (pixel(data), pixel(data, (1, 0))) == ((255, 0, 0), (255, 255, 255))


def test_a_transparent_colour_of_an_rgb_image_is_white():
    assert pixel(encoded(Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3))) == (255, 255, 255)


@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (65535, 255), (32768, 128), (257 * 77, 77)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind, value, wanted):
    assert pixel(encoded(Image.fromarray(np.full((3, 3), value, np.uint16)), kind)) == (wanted,) * 3


def test_cmyk_becomes_rgb():
    red, green, blue = pixel(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_a_known_range_are_refused(mode):
    with pytest.raises(ImageFormatError, match="8 or 16 bits"):
        decode(encoded(Image.new(mode, (2, 2)), "TIFF"), LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    upright = Image.new("RGB", (16, 8), "black")
    upright.paste("white", (0, 0, 8, 4))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {} if kind in {"PNG", "TIFF"} else {"quality": 95}
    found = decode(encoded(stored, kind, exif=exif, **options), LIMITS)
    assert found.size == upright.size
    assert np.abs(np.asarray(found).astype(int) - np.asarray(upright)).mean() < 6


def test_damaged_exif_does_not_cost_the_picture():
    assert decode(
        encoded(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"), LIMITS
    ).size == (8, 8)


def test_only_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        data = encoded(
            frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
        )
        assert np.abs(np.subtract(pixel(data), (255, 0, 0))).max() <= 2


def test_declared_pixels_are_refused_before_any_is_decoded():
    with pytest.raises(ImageTooLarge):
        decode(png_header(1001, 1000), LIMITS)


@pytest.mark.parametrize("side", [20_000, 60_000, 2**31 - 1])
def test_decompression_bombs_are_refused(side):
    with pytest.raises(DecodeError):
        decode(png_header(side, side), Limits())


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "EPS", "PDF"])
def test_formats_off_the_list_are_refused(kind):
    assert kind not in FORMATS
    with pytest.raises(ImageFormatError, match="JPEG, PNG"):
        decode(encoded(noise(), kind), LIMITS)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8\xff", b"GIF89a", b"BM"]
)
def test_what_is_no_image_is_refused(data):
    with pytest.raises(DecodeError):
        decode(data, LIMITS)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 0.98))
def test_a_truncated_image_is_decoded_or_refused(kind, share):
    data = encoded(noise(), kind)
    assert outcome(data[: int(len(data) * share)]) in {"RGB", "refused"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_half_an_image_is_refused(kind):
    data = encoded(noise(64), kind)
    with pytest.raises(DecodeError, match=r"damaged|no image"):
        decode(data[: len(data) // 2], LIMITS)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(damage=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_image_is_decoded_or_refused(kind, damage):
    data = bytearray(encoded(noise(), kind))
    for place, value in damage:
        data[place % len(data)] = value
    assert outcome(bytes(data)) in {"RGB", "refused"}


@settings(max_examples=150, deadline=None)
@given(
    head=st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\x40\x00\x00\x00WEBPVP8 ",
            b"BM",
            b"GIF89a",
            b"II*\x00",
            b"MM\x00*",
            b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1miaf",
        ]
    ),
    tail=st.binary(max_size=300),
)
def test_any_bytes_are_decoded_or_refused(head, tail):
    assert outcome(head + tail) in {"RGB", "refused"}


def outcome(data: bytes) -> str:
    try:
        return decode(data, LIMITS).mode
    except DecodeError:
        return "refused"


def test_the_message_names_no_object():
    with pytest.raises(DecodeError) as refusal:
        decode(plain(kind="GIF")[:20], LIMITS)
    assert "0x" not in str(refusal.value)
