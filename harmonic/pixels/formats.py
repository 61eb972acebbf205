"""The image formats that are read, in one list: folders, the service and the documentation go by it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import IO

from PIL import Image, UnidentifiedImageError

from harmonic.errors import MissingFormatError, PixelError
from harmonic.pixels.reduction import reduce
from harmonic.pixels.spec import PixelSpec
from harmonic.pixels.upright import Upright

_MOST_BRANDS = 64  # bytes of the box that names them


@dataclass(frozen=True, slots=True)
class Format:
    """name: Pillow's. suffixes: of its files. starts: first bytes of its files; or brands: names in the first box of a
    container that many formats share, of which one is enough."""

    name: str
    suffixes: tuple[str, ...]
    starts: tuple[bytes, ...] = ()
    brands: tuple[bytes, ...] = ()

    def begins(self, content: bytes) -> bool:
        """Whether the first bytes are those of this format."""
        if not self.brands:
            return content.startswith(self.starts)
        end = min(int.from_bytes(content[:4]), _MOST_BRANDS)
        return content[4:8] == b"ftyp" and any(content[at : at + 4] in self.brands for at in (8, *range(16, end, 4)))


AVIF = Format("AVIF", (".avif", ".avifs"), brands=(b"avif", b"avis"))
HEIC = Format("HEIF", (".heic", ".heif", ".hif"), brands=(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"))
NO_HEIC = "HEIC pictures are read with the extra heic: pip install 'harmonic-inference[heic]'. Or save it as a JPEG."
READ = (
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), (b"\xff\xd8\xff",)),
    Format("PNG", (".png",), (b"\x89PNG\r\n\x1a\n",)),
    Format("WEBP", (".webp",), (b"RIFF",)),
    Format("BMP", (".bmp",), (b"BM",)),
    Format("GIF", (".gif",), (b"GIF8",)),
    Format("TIFF", (".tif", ".tiff"), (b"II*\x00", b"MM\x00*")),
    AVIF,
    *((HEIC,) if find_spec("pillow_heif") else ()),
)
FORMATS = tuple(kind.name for kind in READ)  # no other decoder is tried
SUFFIXES = frozenset(suffix for kind in READ for suffix in kind.suffixes)


def recognised(content: bytes) -> Format | None:
    """The format whose first bytes these are, HEIC also where its extra is not installed."""
    return next((kind for kind in (*READ, HEIC) if kind.begins(content)), None)


def open_listed(stream: IO[bytes], content: bytes) -> Image.Image:
    """An encoded image with its header read; formats that are not on the list are not tried.

    stream: where its bytes are read from. content: the first of them.
    MissingFormatError for HEIC without its extra, and whatever Pillow raises.
    """
    kind = recognised(content)
    if kind == HEIC:
        _have_heic_read()
    names = [name for name in FORMATS if kind == HEIC or name != HEIC.name]  # HEIC's reader is there once it is needed
    return Image.open(stream, formats=names)


@cache
def _have_heic_read() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise MissingFormatError(NO_HEIC) from error
    # One thread a picture: who reads many has threads for them.
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


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
        with open_listed(io.BytesIO(content), content) as image:
            yield image
    except (PixelError, MemoryError):
        raise
    except UnidentifiedImageError as error:  # Pillow would name the object that holds the bytes
        raise PixelError(f"no {', '.join(FORMATS)}: {_looks_like(content)}") from error
    except Exception as error:  # Pillow's parsers let out whatever broken data made them run into
        raise PixelError(f"damaged or cut short: {str(error) or type(error).__name__}") from error


def _looks_like(content: bytes) -> str:
    return f"its {len(content):,} bytes begin with {content[:12]!r}" if content else "it is empty"
