"""Memory of one decode: what is set aside for it before any pixel is decoded is what it takes at most."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harmonic.pixels import FORMATS, HEIC, NO_HEIC, JpegScale, PixelSpec
from service.config import Limits
from service.decoding.decode import NeedsRoom, decode, read
from service.errors import ImageTooCostly
from tests.support.images import encoded, oriented
from tests.support.peak import told

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
SIDE = 3500  # 12 million pixels
LIMITS = Limits(decoded_bytes=2**40)
SLACK = 8 * 2**20  # of the interpreter and the allocator, whatever the image


def flat(mode: str) -> Image.Image:
    return Image.new(
        mode,
        (SIDE, SIDE),
        7 if len(mode) == 1 or mode == "I;16" else (200, 100, 50, 128)[: len(Image.new(mode, (1, 1)).getbands())],
    )


MORE = [Image.new("RGB", (SIDE, SIDE))]
FAST = {"quality": 30, "enc_params": {"preset": "ultrafast"}}
KINDS = {
    "jpeg": ("RGB", "JPEG", {}),
    "jpeg, turned": ("RGB", "JPEG", {"exif": oriented(6)}),
    "jpeg, progressive": ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    "jpeg, grey, progressive": ("L", "JPEG", {"progressive": True}),
    "jpeg, four inks, progressive": ("CMYK", "JPEG", {"progressive": True, "exif": oriented(6)}),
    "png": ("RGB", "PNG", {}),
    "png, alpha, turned": ("RGBA", "PNG", {"exif": oriented(6)}),
    "png, 16 bits": ("I;16", "PNG", {}),
    "png, palette": ("P", "PNG", {"transparency": 7}),
    "webp": ("RGB", "WEBP", {}),
    "webp, lossless, alpha, turned": ("RGBA", "WEBP", {"lossless": True, "exif": oriented(6)}),
    "avif": ("RGB", "AVIF", {"speed": 10}),
    "avif, every colour, alpha, turned": ("RGBA", "AVIF", {"speed": 10, "subsampling": "4:4:4", "exif": oriented(6)}),
    "avif, several pictures": ("RGB", "AVIF", {"speed": 10, "save_all": True, "append_images": MORE}),
    "heic": ("RGB", "HEIF", {**FAST}),
    "heic, alpha, turned": ("RGBA", "HEIF", {**FAST, "exif": oriented(6)}),
    "heic, tiles": ("RGB", "HEIF", {**FAST, "tile_size": 512}),
    "gif": ("P", "GIF", {}),
    "bmp": ("RGB", "BMP", {}),
    "tiff": ("RGB", "TIFF", {}),
    "tiff, deflated, turned": ("RGBA", "TIFF", {"compression": "tiff_adobe_deflate", "exif": oriented(6)}),
    "tiff, one strip": ("RGB", "TIFF", {"compression": "tiff_lzw", "tiffinfo": {278: SIDE}}),
    "tiff, jpeg": ("RGB", "TIFF", {"compression": "jpeg", "tiffinfo": {278: 3504}}),
}  # fmt: skip
_DECODE = """
data = Path(sys.argv[1]).read_bytes()
limits, spec = Limits(decoded_bytes=2**40), PixelSpec(height=224, width=224, jpeg_scale=sys.argv[3])
read(data[:0] + Path(sys.argv[2]).read_bytes(), limits, lambda image: prepare(image, spec), 2**40, spec)
reset(); before = status("VmRSS")
read(data, limits, lambda image: prepare(image, spec), 2**40, spec)
print(status("VmHWM") - before)
"""


def expected(data: bytes, scale: JpegScale = "full") -> int:
    with pytest.raises(NeedsRoom) as refusal:
        read(data, LIMITS, lambda _: None, 0, PixelSpec(height=224, width=224, jpeg_scale=scale))
    return refusal.value.bytes


def peak(kind: str, folder: Path, scale: JpegScale) -> tuple[int, bytes]:
    """Bytes that decoding took in a process of its own, and what was decoded."""
    mode, file, options = KINDS[kind]
    if file not in FORMATS:
        pytest.skip(NO_HEIC)
    data = encoded(flat(mode), file, **options)
    (folder / "image").write_bytes(data)
    (folder / "small").write_bytes(encoded(Image.new(mode, (16, 16)), file))
    (taken,) = told(_DECODE, folder / "image", folder / "small", scale)
    return taken, data


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_takes_no_more_memory_than_its_header_lets_expect(kind, tmp_path):
    taken, data = peak(kind, tmp_path, "full")
    assert taken <= expected(data) + SLACK


@pytest.mark.skipif(HEIC.name not in FORMATS, reason=NO_HEIC)
def test_a_heic_of_ten_bits_and_alpha_takes_no_more_either(tmp_path):
    from pillow_heif import from_bytes

    for name, side in (("image", SIDE // 2), ("small", 64)):
        deep = from_bytes("RGBA;16", (side, side), np.full((side, side, 4), 30000, np.uint16).tobytes())
        deep.save(tmp_path / name, format="HEIF", chroma="444", **FAST)
    (taken,) = told(_DECODE, tmp_path / "image", tmp_path / "small", "full")
    assert taken <= expected((tmp_path / "image").read_bytes()) + SLACK


@pytest.mark.parametrize("kind", ["jpeg, turned", "jpeg, four inks, progressive"])
def test_a_jpeg_at_a_smaller_scale_takes_no_more_than_is_expected_of_that(kind, tmp_path):
    taken, data = peak(kind, tmp_path, "reduced")
    assert taken <= expected(data, "reduced") + SLACK


def test_in_the_room_of_one_whole_photograph_several_reduced_ones_are_decoded():
    data = encoded(flat("RGB"), "JPEG", exif=oriented(6))
    assert 4 * expected(data, "reduced") < expected(data)


def test_what_would_take_more_than_is_set_aside_is_refused_before_any_pixel_is_decoded():
    data = encoded(flat("RGB"), "JPEG")
    with pytest.raises(ImageTooCostly, match="memory"):
        decode(data[: len(data) // 2], Limits(decoded_bytes=10 * 2**20))  # half of it: decoding would find it damaged


_STARVED = """
import resource
data = Path(sys.argv[1]).read_bytes()
room = status("VmSize") + 20 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (room, room))
try:
    decode(data, Limits())
except Exception as error:
    print(error.status)
"""


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff, one strip"])
def test_a_machine_without_memory_is_not_the_images_fault(kind, tmp_path):
    mode, file, options = KINDS[kind]
    (tmp_path / "image").write_bytes(encoded(flat(mode), file, **options))
    assert told(_STARVED, tmp_path / "image") == [503]
