"""What decoding one image may cost: files that declare little and demand much are refused.

Knows Pillow, not HTTP. A decoder in C cannot be interrupted, so what it would do is estimated before it begins; what
Pillow does in Python, and between the blocks that it feeds to a decoder, is timed.
"""

import io
import time

from PIL import Image, TiffImagePlugin

from service.errors import ImageTooCostly

_SCAN = b"\xff\xda"  # in JPEG's coded data FF is always followed by 00, so this marks a scan
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF tags
_SMALL_TILE = 2**20  # pixels that a tile may have, however small its image is
_SCANS = 16  # over an image of the most pixels; a usual progressive JPEG has 10


class Metered(io.BytesIO):
    """An encoded image that can be read for `seconds` of this thread's CPU time, then raises ImageTooCostly."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._seconds = seconds
        self._end = time.thread_time() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end:
            raise ImageTooCostly(f"the image takes more than {self._seconds:g} s to decode. Save it again, plainly.")
        return super().read(size)


def check_cost(image: Image.Image, data: bytes, most_pixels: int) -> None:
    """Refuse, before any pixel is decoded, what C code would spend minutes or gigabytes on. Raises ImageTooCostly.

    A progressive JPEG is walked once a scan, and an empty scan of a large image costs a few bytes. A TIFF tile is
    unpacked whole, however little of it lies inside the image.
    """
    pixels = image.width * image.height
    if image.format in {"JPEG", "MPO"} and (scans := data.count(_SCAN)) * pixels > _SCANS * most_pixels:
        raise ImageTooCostly(f"the JPEG has {scans} scans of {pixels:,} pixels each. Save it again, not progressive.")
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _tile_pixels(image) > max(_SMALL_TILE, 4 * pixels):
        raise ImageTooCostly("the TIFF's tiles are far larger than its image. Save it again in strips.")


def _tile_pixels(image: TiffImagePlugin.TiffImageFile) -> int:
    width, length = (image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    return int(width) * int(length)
