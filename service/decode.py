"""From bytes to an upright RGB image, under limits.

Knows Pillow, not HTTP or models. Whatever the bytes, the outcome is an image or a DecodeError. Only formats on a short
list are tried, only the first frame is decoded, and the declared size is checked before any pixel is.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from harmonic.pixels import FORMATS
from service.costs import Metered, check_cost
from service.errors import DecodeError, ImageFormatError, ImageTooLarge

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"GIF8", b"II*\x00", b"MM\x00*")
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WITH_ALPHA = {"RGBA", "LA", "PA", "RGBa", "La"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may bring."""

    body_bytes: int = 32 * 2**20
    body_seconds: float = 30.0  # from the head of the request to the end of its body
    pixels: int = 50_000_000  # of one image, as declared
    images: int = 64
    decode_seconds: float = 5.0  # CPU time of one image
    json_bytes: int = 8 * 2**20  # of one inference request; larger tensors come as binary data


def decode(data: bytes, limits: Limits) -> Image.Image:
    """Decode an encoded image: mode RGB, upright by its EXIF orientation, alpha laid on white, first frame.

    Raises ImageFormatError for a format or a pixel type that is not taken, ImageTooLarge beyond `limits.pixels`,
    ImageTooCostly for what would take too long or too much memory, DecodeError for damaged data.
    """
    try:
        with Image.open(Metered(data, limits.decode_seconds), formats=FORMATS) as image:
            _check_size(image, limits)
            check_cost(image, data, limits.pixels)
            image.load()
            _check_size(image, limits)  # a GIF's first frame may be larger than its screen
            return _upright(_rgb(image), _orientation(image))
    except DecodeError:
        raise
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLarge(f"the image declares more than the {limits.pixels:,} pixels that are taken") from None
    except Exception as error:  # Pillow's parsers let out whatever broken data made them run into
        raise DecodeError(f"the image is damaged or cut short: {_cause(error)}") from error


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise ImageTooLarge(
            f"the image has {width} x {height} pixels; up to {limits.pixels:,} are taken. Send a smaller one."
        )
    if not width * height:
        raise DecodeError("the image has no pixels")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return _from_16_bit(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
    if image.mode in {"1", "L", "P", "CMYK", "YCbCr"}:
        return image.convert("RGB")
    raise ImageFormatError(f"pixels of type {image.mode!r} are not taken; save the image with 8 or 16 bits a channel")


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """16-bit grey to 8: 65535 is white, rounded to the nearest; Pillow's own conversion cuts off at 255."""
    grey = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; EXIF data that cannot be read are no reason to refuse the pixels."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # as in `decode`
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _unidentified(data: bytes) -> DecodeError:
    if not data:
        return DecodeError("the image is empty")
    if data.startswith(_SIGNATURES):
        return DecodeError("the image is damaged or cut short: its header cannot be read")
    return ImageFormatError(f"these {len(data)} bytes are no image that is taken; send {', '.join(FORMATS)}")


def _cause(error: Exception) -> str:
    """Pillow's reason, short and without addresses of objects."""
    text = str(error).split("<")[0].strip(" :") or type(error).__name__
    return text[:120]
