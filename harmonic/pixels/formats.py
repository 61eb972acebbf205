"""The image formats that are read, in one list: folders, the service and the documentation go by it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from harmonic.errors import PixelError
from harmonic.pixels.reduction import reduce
from harmonic.pixels.spec import PixelSpec
from harmonic.pixels.upright import Upright


@dataclass(frozen=True, slots=True)
class Format:
    """name: Pillow's. suffixes: of its files. media_type: as HTTP calls it. starts: bytes of its files at `at`."""

    name: str
    suffixes: tuple[str, ...]
    media_type: str
    starts: tuple[bytes, ...]
    at: int = 0

    def begins(self, content: bytes) -> bool:
        """Whether the first bytes are those of this format."""
        return content.startswith(self.starts, self.at)


READ = (
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), "image/jpeg", (b"\xff\xd8\xff",)),
    Format("PNG", (".png",), "image/png", (b"\x89PNG\r\n\x1a\n",)),
    Format("WEBP", (".webp",), "image/webp", (b"RIFF",)),
    Format("BMP", (".bmp",), "image/bmp", (b"BM",)),
    Format("GIF", (".gif",), "image/gif", (b"GIF8",)),
    Format("TIFF", (".tif", ".tiff"), "image/tiff", (b"II*\x00", b"MM\x00*")),
    Format("AVIF", (".avif", ".avifs"), "image/avif", (b"ftypavif", b"ftypavis"), at=4),
)
FORMATS = tuple(kind.name for kind in READ)  # no other decoder is tried
SUFFIXES = frozenset(suffix for kind in READ for suffix in kind.suffixes)


def recognised(content: bytes) -> Format | None:
    """The format whose first bytes these are."""
    return next((kind for kind in READ if kind.begins(content)), None)


def decoded(content: bytes, spec: PixelSpec | None = None, box: tuple[float, float] | None = None) -> Upright:
    """The first frame of an encoded image, in memory: whole, or at the scale that a spec allows.

    box: width and height of the part of the upright image that becomes the model's input; None for what `prepare`
    takes. PixelError for another format and for damaged data.
    """
    with _opened(content) as image:
        reduction = reduce(image, spec, box) if spec is not None else None
        image.load()
        return Upright(image, reduction)


def upright_size(content: bytes) -> tuple[int, int]:
    """Width and height of an encoded image as its orientation says, without decoding it. PixelError as `decoded`."""
    with _opened(content) as image:
        return Upright(image).size


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            yield image
    except (PixelError, MemoryError):
        raise
    except UnidentifiedImageError as error:  # Pillow would name the object that holds the bytes
        raise PixelError(f"no {', '.join(FORMATS)}: {_looks_like(content)}") from error
    except Exception as error:  # Pillow's parsers let out whatever broken data made them run into
        raise PixelError(f"damaged or cut short: {str(error) or type(error).__name__}") from error


def _looks_like(content: bytes) -> str:
    return f"its {len(content):,} bytes begin with {content[:12]!r}" if content else "it is empty"
