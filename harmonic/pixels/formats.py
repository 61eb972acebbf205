"""The image formats that are read, in one list: folders, the service and the documentation go by it."""

import io
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from harmonic.errors import PixelError
from harmonic.pixels.upright import Upright


@dataclass(frozen=True, slots=True)
class Format:
    """name: Pillow's. suffixes: of its files. media_type: as HTTP calls it. starts: first bytes of its files."""

    name: str
    suffixes: tuple[str, ...]
    media_type: str
    starts: tuple[bytes, ...]


READ = (
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), "image/jpeg", (b"\xff\xd8\xff",)),
    Format("PNG", (".png",), "image/png", (b"\x89PNG\r\n\x1a\n",)),
    Format("WEBP", (".webp",), "image/webp", (b"RIFF",)),
    Format("BMP", (".bmp",), "image/bmp", (b"BM",)),
    Format("GIF", (".gif",), "image/gif", (b"GIF8",)),
    Format("TIFF", (".tif", ".tiff"), "image/tiff", (b"II*\x00", b"MM\x00*")),
)
FORMATS = tuple(kind.name for kind in READ)  # no other decoder is tried
SUFFIXES = frozenset(suffix for kind in READ for suffix in kind.suffixes)
STARTS = tuple(start for kind in READ for start in kind.starts)


def decoded(content: bytes) -> Upright:
    """The first frame of an encoded image, whole in memory. PixelError for another format and for damaged data."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.load()
            return Upright(image)
    except (PixelError, MemoryError):
        raise
    except UnidentifiedImageError as error:  # Pillow would name the object that holds the bytes
        raise PixelError(f"no {', '.join(FORMATS)}: {_looks_like(content)}") from error
    except Exception as error:  # Pillow's parsers let out whatever broken data made them run into
        raise PixelError(f"damaged or cut short: {str(error) or type(error).__name__}") from error


def _looks_like(content: bytes) -> str:
    return f"its {len(content):,} bytes begin with {content[:12]!r}" if content else "it is empty"
