"""Small images are decoded where they run: handing them to another thread costs more than decoding them.

What a file's first bytes say of its size decides, before anybody opens it; what they do not say plainly is not small.
"""

import struct
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from harmonic.errors import PixelError
from harmonic.pixels import PixelSpec, Upright, prepare
from service.batching import Kind
from service.config import Limits
from service.decoding import jpeg, png
from service.decoding.decode import NeedsRoom, read
from service.decoding.loan import Loan
from service.errors import DecodeError, OutOfMemory, ServiceError

_BYTES = 32 * 1024  # of an encoded image
_PIXELS = 128 * 128  # of an image, and of what a model takes
_ALL_PIXELS = 4 * _PIXELS  # of all images of one request
_ROOM = 4 * 2**20  # bytes that decoding one may take; no image of so few pixels takes more
_SCANS = 4  # of a JPEG: one a channel


class Quick:
    """The images of one ticket, to be decoded by whoever takes it, which then calls `make`; or `forget`, once."""

    def __init__(self, images: Sequence[bytes], spec: PixelSpec, kind: Kind, limits: Limits, loan: Loan | None) -> None:
        self._images: list[bytes] = list(images)
        self._spec = spec
        self._limits = limits
        self._loan = loan
        self.kind = kind
        if loan is not None:
            loan.hold()

    def __len__(self) -> int:
        return len(self._images)

    def make(self, rows: NDArray[Any]) -> None:
        """Decode and prepare every image into its row. Raises a ServiceError that names the image at fault."""
        try:
            for index, image in enumerate(self._images):
                rows[index] = self._made(index, image)
        finally:
            self.forget()

    def forget(self) -> None:
        """Nobody waits for them."""
        self._images = [b""] * len(self._images)
        loan, self._loan = self._loan, None
        if loan is not None:
            loan.drop()

    def _made(self, index: int, image: bytes) -> NDArray[Any]:
        try:
            if (picture := png.plain(image, self._limits.pixels)) is not None:
                return self._prepared(Upright(picture))
            return read(image, self._limits, self._prepared, _ROOM, self._spec, metered=False)
        except NeedsRoom:
            raise DecodeError(f"{self._where(index)}the image's header says two sizes") from None
        except ServiceError as error:
            raise type(error)(f"{self._where(index)}{error.message}", retry_after_s=error.retry_after_s) from None
        except PixelError as error:
            raise DecodeError(f"{self._where(index)}{error}") from None
        except MemoryError:
            raise OutOfMemory(f"{self._where(index)}there is no memory left for it", retry_after_s=1) from None
        except Exception as error:  # whatever it is, it is told to its caller alone
            raise ServiceError(f"{self._where(index)}could not be prepared: {type(error).__name__}") from error

    def _prepared(self, image: Upright) -> NDArray[Any]:
        return prepare(image, self._spec)

    def _where(self, index: int) -> str:
        return f"image {index + 1} of {len(self._images)}: " if len(self._images) > 1 else ""


def is_quick(images: Sequence[bytes], spec: PixelSpec) -> bool:
    """True if the images are so small, and what the model takes of them too, that decoding is quickly done."""
    if spec.hair is not None or spec.fit == "spectral" or spec.height * spec.width > _PIXELS:
        return False
    left = _ALL_PIXELS
    for image in images:
        pixels = _pixels(image) if len(image) <= _BYTES else 0
        left -= pixels
        if not 0 < pixels <= _PIXELS or left < 0:
            return False
    return True


def _pixels(image: bytes) -> int:
    """How many pixels a file declares; 0 where its first bytes do not say it plainly."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return _area(">II", image, 16) if image[12:16] == b"IHDR" else 0
    if image.startswith(b"\xff\xd8\xff"):
        return _jpeg_pixels(image)
    if image.startswith(b"RIFF") and image[8:16] == b"WEBPVP8 ":
        return _area("<HH", image, 26) if image[23:26] == b"\x9d\x01\x2a" else 0
    return 0


def _area(form: str, image: bytes, place: int) -> int:
    if len(image) < place + struct.calcsize(form):
        return 0
    width, height = struct.unpack_from(form, image, place)
    return int(width * height)


def _jpeg_pixels(image: bytes) -> int:
    """Of a JPEG that is not progressive; a progressive one may take long, however small it is."""
    frame = jpeg.frame(image)
    if frame is None or not frame.baseline or jpeg.scans(image) > _SCANS:
        return 0
    return frame.width * frame.height
