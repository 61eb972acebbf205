"""What decoding one image may cost: files that declare little and demand much are refused.

Knows Pillow, not HTTP. A decoder in C cannot be interrupted, so what it would do is estimated before it begins; what
Pillow does in Python, and between the blocks that it feeds to a decoder, is timed.
"""

import io
import math
import time

from PIL import Image, TiffImagePlugin

from harmonic.pixels import Reduction
from service.decoding.avif import coded
from service.decoding.jpeg import scans
from service.errors import ImageTooCostly

_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF tags
_BITS, _ROWS = 258, 278
_SMALL_TILE = 2**20  # pixels that a tile may have, however small its image is
_CODED = 8  # times the image's pixels that an AVIF may code: with alpha, thumbnails, frames in sizes of their own
_SCANS = 16  # over an image of the most pixels; a usual progressive JPEG has 10
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # Pillow's bytes a pixel; else 4
_PER_PIXEL = {  # bytes beside what is stored; a PNG's rows are nothing
    "WEBP": 12,  # two canvases of its library, and the frame as bytes
    "BMP": 3,  # run lengths are unpacked in Python
}
_TILE = 2**20  # pixels that are converted and turned at once, in harmonic.pixels.upright
_NARROW = 16 * 2**20


class Metered(io.BytesIO):
    """An encoded image that can be read for `seconds` of this thread's CPU time, then raises ImageTooCostly."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._seconds = seconds
        self._end = time.thread_time() + seconds
        self._first_look = time.monotonic() + seconds  # no thread computes for longer than time goes by

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._first_look and time.thread_time() > self._end:
            raise ImageTooCostly(f"the image takes more than {self._seconds:g} s to decode. Save it again, plainly.")
        return super().read(size)


def check_cost(image: Image.Image, data: bytes, most_pixels: int) -> None:
    """Refuse, before any pixel is decoded, what C code would spend minutes or gigabytes on. Raises ImageTooCostly.

    A progressive JPEG is walked once a scan, and an empty scan of a large image costs a few bytes. A TIFF tile is
    unpacked whole, however little of it lies inside the image. An AVIF is decoded as it is coded, then scaled to the
    size that it declares.
    """
    pixels = image.width * image.height
    if image.format in {"JPEG", "MPO"} and (walks := scans(data)) * pixels > _SCANS * most_pixels:
        raise ImageTooCostly(f"the JPEG has {walks} scans of {pixels:,} pixels each. Save it again, not progressive.")
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _tile_pixels(image) > max(_SMALL_TILE, 4 * pixels):
        raise ImageTooCostly("the TIFF's tiles are far larger than its image. Save it again in strips.")
    if image.format == "AVIF" and coded(data).pixels > max(_SMALL_TILE, _CODED * pixels):
        raise ImageTooCostly("the AVIF's coded pictures are far larger than its image. Save it again, plainly.")


def memory(image: Image.Image, data: bytes, reduction: Reduction | None = None) -> int:
    """Bytes that decoding an opened image and bringing it into a model's shape take at most, beside `data` themselves.

    reduction: of an image that is decoded at a smaller scale than it is stored.
    By format, from what Pillow and the libraries under it allocate: measured by tests/service/decoding/test_memory.py.
    """
    pixels = image.width * image.height
    stored = _STORED.get(image.mode, 4) * pixels
    turned = 20 * min(pixels, _TILE)  # a tile of the picture at each step from its mode to upright RGB
    if pixels > _TILE:
        turned += 4 * pixels if max(image.size) > _TILE else _NARROW  # whole rows, and the rows between two resizes
    all_pixels = math.prod(reduction.size) if reduction else pixels
    return stored + turned + _beside(image, data, all_pixels, stored) + len(data)


def _beside(image: Image.Image, data: bytes, pixels: int, stored: int) -> int:
    """What the decoder holds beside the decoded pixels. pixels: of the image as it is stored, whatever its scale."""
    if image.format == "AVIF":
        return coded(data).bytes + 2 * 4 * pixels  # as it is coded, as pixels of its library, and these as bytes
    if image.format in {"JPEG", "MPO"}:
        progressive = "progressive" in image.info or scans(data) > 1
        return 2 * len(image.getbands()) * pixels if progressive else 0  # coefficients of 16 bits
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return stored + 2 * max(_tile_pixels(image), _strip_pixels(image)) * _pixel_bytes(image)  # turned as it is read
    if image.format == "HEIF":  # planes of its library, and pixels of these; two bytes each where they are deep
        return (16 if image.info.get("bit_depth", 8) > 8 else 8) * pixels
    if image.format == "GIF":
        return stored  # a frame and its screen
    return _PER_PIXEL.get(str(image.format), 0) * pixels


def _pixel_bytes(image: TiffImagePlugin.TiffImageFile) -> int:
    bits = image.tag_v2.get(_BITS, 8)
    return max(4, sum(map(int, bits)) // 8 if isinstance(bits, tuple) else int(bits) // 8)


def _strip_pixels(image: TiffImagePlugin.TiffImageFile) -> int:
    rows = image.tag_v2.get(_ROWS, image.height)
    return image.width * min(int(rows), image.height)


def _tile_pixels(image: TiffImagePlugin.TiffImageFile) -> int:
    width, length = (image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    return int(width) * int(length)
