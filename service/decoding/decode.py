"""From bytes to an upright RGB image, under limits.

Knows Pillow, not HTTP or models. Whatever the bytes, the outcome is an image or a DecodeError. Only formats on a short
list are tried, only the first frame is decoded, and what it declares is checked before any pixel is decoded. How pixels
are converted and turned stands in `harmonic.pixels.upright`, where training has it from, too.
"""

import io
from collections.abc import Callable
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from harmonic.errors import MissingFormatError, PixelError
from harmonic.pixels import FORMATS, PixelSpec, Upright, check_range, open_listed, recognised, reduce
from service.config import Limits
from service.decoding.cost import Metered, check_cost, memory
from service.errors import DecodeError, ImageFormatError, ImageTooCostly, ImageTooLarge, OutOfMemory

_NO_MEMORY = "out of memory"  # what Pillow says of a decoder in C that got none
T = TypeVar("T")


class NeedsRoom(Exception):  # noqa: N818 - no error: the image is to be decoded when there is room for it
    """Decoding would take `bytes` of memory, more than was given."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.bytes = needed


def decode(data: bytes, limits: Limits) -> Image.Image:
    """Decode an encoded image: mode RGB, upright by its EXIF orientation, alpha laid on white, first frame."""
    return read(data, limits, Upright.whole, limits.decoded_bytes, None)


def read(
    data: bytes, limits: Limits, make: Callable[[Upright], T], room: int, spec: PixelSpec | None, metered: bool = True
) -> T:
    """Decode an encoded image and make something of its first frame.

    spec: what it is made for, which may have it decoded at a smaller scale; None decodes all of it.
    room: bytes that decoding may take, as its header lets expect; NeedsRoom if it would take more. metered: False for
    what is too small to take long, where even a look at the thread's clock counts.
    Raises ImageFormatError for a format or a pixel type that is not taken, ImageTooLarge beyond `limits.pixels`,
    ImageTooCostly for what would take too long or too much memory, DecodeError for damaged data, OutOfMemory, and what
    `make` raises of HarmonicError.
    """
    try:
        stream = Metered(data, limits.decode_seconds) if metered else io.BytesIO(data)
        with open_listed(stream, data) as image:
            _check_size(image, limits)
            _check_mode(image)
            check_cost(image, data, limits.pixels)
            reduction = reduce(image, spec) if spec is not None else None
            _check_memory(memory(image, data, reduction), room, limits)
            image.load()
            _check_size(image, limits)  # a GIF's first frame may be larger than its screen
            return make(Upright(image, reduction))
    except MissingFormatError as error:
        raise ImageFormatError(str(error)) from None
    except (DecodeError, PixelError, NeedsRoom):
        raise
    except MemoryError:
        raise _no_memory() from None
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLarge(f"the image declares more than the {limits.pixels:,} pixels that are taken") from None
    except Exception as error:  # Pillow's parsers let out whatever broken data made them run into
        if str(error).startswith(_NO_MEMORY):
            raise _no_memory() from None
        raise DecodeError(f"the image is damaged or cut short: {_cause(error)}") from error


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise ImageTooLarge(
            f"the image has {width} x {height} pixels; up to {limits.pixels:,} are taken. Send a smaller one."
        )
    if not width * height:
        raise DecodeError("the image has no pixels")


def _check_mode(image: Image.Image) -> None:
    try:
        check_range(image.mode)
    except PixelError as error:
        raise ImageFormatError(str(error)) from None


def _check_memory(needed: int, room: int, limits: Limits) -> None:
    if needed > limits.decoded_bytes:
        raise ImageTooCostly(
            f"the image takes about {needed:,} bytes of memory to decode; {limits.decoded_bytes:,} are set aside. "
            "Send a smaller one, or the same as a plain JPEG."
        )
    if needed > room:
        raise NeedsRoom(needed)


def _no_memory() -> OutOfMemory:
    return OutOfMemory("there is no memory left to decode the image; ask again shortly", retry_after_s=1)


def _unidentified(data: bytes) -> DecodeError:
    if not data:
        return DecodeError("the image is empty")
    if recognised(data):
        return DecodeError("the image is damaged or cut short: its header cannot be read")
    return ImageFormatError(f"these {len(data)} bytes are no image that is taken; send {', '.join(FORMATS)}")


def _cause(error: Exception) -> str:
    """Pillow's reason, short and without addresses of objects."""
    text = str(error).split("<")[0].strip(" :") or type(error).__name__
    return text[:120]
